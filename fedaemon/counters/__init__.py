"""What the server has done since it started, as numbers: counters, gauges and histograms.

Every number has a name in ``METRICS``, which is all the documentation there is: names, kinds and labels are
stable, because people build dashboards and alarms on them. They are kept in memory, cost nothing to read, and
begin at zero with each start, as the readers of such numbers expect.

Standards: the Prometheus text exposition format 0.0.4 (names there begin with ``fedaemon_``).
Invariants: a name or label that ``METRICS`` does not list is a ValueError at its first use; a counter never
goes down; no I/O and no lock. Reading is for the reactor thread; counting goes from any (``after_commit`` runs
in the store's): two threads that count the same thing at the same moment may at worst lose one of the two.
Limits: MAX_SERIES sets of label values for a name and MAX_LABEL_CHARACTERS for a value, so that nothing a peer
says can fill the memory; further sets are counted together with every label saying "other".
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from typing import Any, Final

from fedaemon.counters.table import METRICS as METRICS
from fedaemon.counters.table import Kind, Metric

PREFIX: Final = "fedaemon_"
MAX_SERIES: Final = 200
MAX_LABEL_CHARACTERS: Final = 64
OTHER: Final = "other"

Labels = dict[str, str]
_Cell = list[float]
_Key = tuple[object, ...]


class Counters:
    """One set of numbers; the server has one, tests make their own."""

    def __init__(self) -> None:
        # Cells are found by (name, *label items) as the caller gave them, which is the cheapest key there is;
        # the table of true cells is by sorted label values.
        self._quick: dict[Kind, dict[_Key, _Cell]] = {"counter": {}, "gauge": {}, "histogram": {}}
        self._counters, self._gauges = self._quick["counter"], self._quick["gauge"]
        self._histograms = self._quick["histogram"]
        self._cells: dict[str, dict[tuple[str, ...], _Cell]] = {name: {} for name in METRICS}
        for metric in METRICS.values():
            if not metric.labels:
                # Shown as 0 from the start: a rate over a number that appears suddenly misses its first step.
                self._cell(metric.kind, metric.name, {})

    def count(self, name: str, amount: float = 1, **labels: object) -> None:
        """Add *amount* to a counter; labels that are left out are empty.

        :raises ValueError: no counter of that name and labels, or a negative amount.
        """
        if amount < 0:
            raise ValueError(f"the counter {name} cannot go down by {-amount}")
        cell = self._counters.get((name, *labels.items())) or self._cell("counter", name, labels)
        cell[0] += amount

    def gauge(self, name: str, value: float, **labels: object) -> None:
        """Set a gauge to *value*.

        :raises ValueError: no gauge of that name and labels.
        """
        cell = self._gauges.get((name, *labels.items())) or self._cell("gauge", name, labels)
        cell[0] = value

    def forget(self, name: str) -> None:
        """Drop all series of a gauge with labels: what is set next is all that there is.

        :raises ValueError: no such gauge.
        """
        metric = METRICS.get(name)
        if metric is None or metric.kind != "gauge" or not metric.labels:
            raise ValueError(f"there is no gauge {name} with labels; see counters.METRICS")
        self._cells[name].clear()
        for key in [key for key in self._gauges if key[0] == name]:
            del self._gauges[key]

    def observe(self, name: str, value: float, **labels: object) -> None:
        """Enter *value* into a histogram.

        :raises ValueError: no histogram of that name and labels.
        """
        cell = self._histograms.get((name, *labels.items())) or self._cell("histogram", name, labels)
        cell[0] += value
        cell[1 + bisect_left(METRICS[name].buckets, value)] += 1

    def value(self, name: str, **labels: object) -> float:
        """Return a counter or gauge (0 before its first use), or how many values a histogram has.

        :raises ValueError: nothing of that name and labels.
        """
        metric = METRICS.get(name)
        if metric is None or not labels.keys() <= set(metric.labels):
            raise ValueError(f"there is no metric {name} with the labels {', '.join(labels) or '(none)'}")
        cell = self._cells[name].get(_values(metric, labels))
        if cell is None:
            return 0
        return sum(cell[1:]) if metric.kind == "histogram" else cell[0]

    def _cell(self, kind: Kind, name: str, labels: dict[str, Any]) -> _Cell:
        """Return the cell for a set of labels, made when it is new and there is room."""
        metric = METRICS.get(name)
        if metric is None or metric.kind != kind or not labels.keys() <= set(metric.labels):
            given = ", ".join(labels) or "(none)"
            raise ValueError(f"there is no {kind} {name} with the labels {given}; see counters.METRICS")
        cells = self._cells[name]
        values = _values(metric, labels)
        full = values not in cells and len(cells) >= MAX_SERIES
        if full:
            values = (OTHER,) * len(values)
        cell = cells.get(values)
        if cell is None:
            cell = cells[values] = [0.0] * (len(metric.buckets) + 2 if metric.buckets else 1)
        # What was made to fit is not worth a key: there may be any number of such values.
        if not full and all(len(each) < MAX_LABEL_CHARACTERS for each in values):
            self._quick[kind][(name, *labels.items())] = cell
        return cell

    # -- Reading ---------------------------------------------------------------------------------------------

    def snapshot(self) -> dict[str, list[dict[str, Any]]]:
        """Return {name: series}, ready for JSON.

        A series has ``labels`` (those that are not empty) and ``value``; of a histogram ``count``, ``sum`` and
        ``buckets`` ({upper bound: how many are not above it}).
        """
        return {name: list(self._series(metric)) for name, metric in METRICS.items()}

    def series(self, name: str) -> Iterator[dict[str, Any]]:
        """Yield the series of one name, as ``snapshot`` has them."""
        return self._series(METRICS[name])

    def _series(self, metric: Metric) -> Iterator[dict[str, Any]]:
        for values, cell in self._cells[metric.name].items():
            labels = {name: value for name, value in zip(metric.labels, values, strict=True) if value}
            if metric.kind == "histogram":
                total, buckets = 0.0, {}
                bounds = [*(f"{bound:g}" for bound in metric.buckets), "+Inf"]
                for bound, number in zip(bounds, cell[1:], strict=True):
                    total += number
                    buckets[bound] = total
                yield {"labels": labels, "count": total, "sum": cell[0], "buckets": buckets}
            else:
                yield {"labels": labels, "value": cell[0]}

    def text(self) -> str:
        """Return everything in the text exposition format."""
        return "".join(f"{line}\n" for metric in METRICS.values() for line in self._lines(metric))

    def _lines(self, metric: Metric) -> Iterator[str]:
        name = PREFIX + metric.name
        about = metric.about.replace("\\", "\\\\").replace("\n", "\\n")
        yield f"# HELP {name} {about}"
        yield f"# TYPE {name} {metric.kind}"
        for series in self._series(metric):
            labels = series["labels"]
            if metric.kind != "histogram":
                yield f"{name}{_braces(labels)} {_number(series['value'])}"
                continue
            for bound, number in series["buckets"].items():
                yield f"{name}_bucket{_braces({**labels, 'le': bound})} {_number(number)}"
            yield f"{name}_sum{_braces(labels)} {_number(series['sum'])}"
            yield f"{name}_count{_braces(labels)} {_number(series['count'])}"


def _values(metric: Metric, labels: dict[str, Any]) -> tuple[str, ...]:
    """Return the values of all labels of a metric, in their order."""
    return tuple(str(labels.get(name, ""))[:MAX_LABEL_CHARACTERS] for name in metric.labels)


def _braces(labels: Labels) -> str:
    """Return labels as they stand behind a name."""
    pairs = [f'{name}="{_escaped(value)}"' for name, value in labels.items()]
    return "{" + ",".join(pairs) + "}" if pairs else ""


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(value)


SERVER: Final = Counters()
"""The numbers of this process."""

count = SERVER.count
gauge = SERVER.gauge
forget = SERVER.forget
observe = SERVER.observe
value = SERVER.value
snapshot = SERVER.snapshot
text = SERVER.text
