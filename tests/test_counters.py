"""The numbers: names are checked, memory is bounded, the text is what Prometheus reads."""

from __future__ import annotations

import re
from typing import Any

import pytest

from fedaemon import counters
from fedaemon.counters import MAX_LABEL_CHARACTERS, MAX_SERIES, METRICS, Counters

SAMPLE = re.compile(
    r'[a-z_:]+(?:\{[a-z_]+="(?:[^"\\\n]|\\["\\n])*"(?:,[a-z_]+="(?:[^"\\\n]|\\["\\n])*")*\})? \S+'
)


def test_counters_add_up_whatever_the_order_of_labels() -> None:
    """A series is its labels' values; labels left out are empty."""
    numbers = Counters()
    numbers.count("delivery_outcomes_total", result="deferred", category="greylist")
    numbers.count("delivery_outcomes_total", 2, category="greylist", result="deferred")
    numbers.count("delivery_outcomes_total", result="delivered")
    assert numbers.value("delivery_outcomes_total", result="deferred", category="greylist") == 3
    assert numbers.value("delivery_outcomes_total", result="delivered", category="") == 1
    assert numbers.value("delivery_outcomes_total", result="bounced") == 0


def test_gauges_are_set_and_histograms_sort_values() -> None:
    """A value on a bucket's bound is in it; one above all bounds is in the last."""
    numbers = Counters()
    numbers.gauge("sites", 7)
    numbers.gauge("sites", 3)
    for value in (0.01, 0.5, 301):
        numbers.observe("delivery_duration_seconds", value)
    assert numbers.value("sites") == 3
    assert numbers.value("delivery_duration_seconds") == 3
    [series] = numbers.snapshot()["delivery_duration_seconds"]
    assert (series["count"], series["sum"]) == (3, 301.51)
    assert [series["buckets"][bound] for bound in ("0.01", "0.25", "0.5", "300", "+Inf")] == [1, 1, 2, 2, 3]


def test_a_gauge_forgets_what_is_no_more() -> None:
    """A service without listeners, or a certificate that was replaced, has no last value for ever."""
    numbers = Counters()
    numbers.gauge("sessions", 3, service="imap")
    numbers.gauge("sites", 3)
    numbers.forget("sessions")
    numbers.gauge("sessions", 1, service="pop3")
    assert [series["labels"] for series in numbers.series("sessions")] == [{"service": "pop3"}]
    numbers.gauge("sessions", 2, service="imap")
    assert numbers.value("sessions", service="imap") == 2
    for name in ("sites", "queue_claims_total", "no_such"):
        with pytest.raises(ValueError, match=name):
            numbers.forget(name)


@pytest.mark.parametrize(
    ("name", "labels"),
    [("no_such_total", {}), ("sites", {}), ("queue_claims_total", {"site": "x"})],
    ids=["name", "kind", "label"],
)
def test_what_is_not_in_the_table_is_refused(name: str, labels: dict[str, Any]) -> None:
    """A slip of the pen is found by the first test that runs the line."""
    with pytest.raises(ValueError, match=name):
        Counters().count(name, **labels)
    if name != "sites":
        with pytest.raises(ValueError, match=name):
            Counters().value(name, **labels)


def test_a_counter_never_goes_down() -> None:
    """Readers take a smaller number for a restart."""
    with pytest.raises(ValueError, match="cannot go down"):
        Counters().count("queue_claims_total", -1)


def test_values_from_outside_cannot_fill_the_memory() -> None:
    """Beyond MAX_SERIES all further label values are one series, and long values are cut."""
    numbers = Counters()
    for number in range(3 * MAX_SERIES):
        numbers.count("delivery_outcomes_total", result="bounced", category=f"{number:0200}")
    for number in range(3 * MAX_SERIES):
        numbers.count("delivery_outcomes_total", result="bounced", category=f"c{number}")
    series = numbers.snapshot()["delivery_outcomes_total"]
    assert len(series) <= MAX_SERIES + 1
    assert sum(each["value"] for each in series) == 6 * MAX_SERIES
    assert all(len(value) <= MAX_LABEL_CHARACTERS for each in series for value in each["labels"].values())
    assert {"result": "other", "category": "other"} in [each["labels"] for each in series]
    assert len(numbers._quick["counter"]) <= MAX_SERIES + len(METRICS)


def test_the_text_is_the_exposition_format() -> None:
    """HELP and TYPE come before the samples of a name; quotes, backslashes and line ends in labels are escaped."""
    numbers = Counters()
    numbers.count("delivery_outcomes_total", result='a"b\\c\nd')
    numbers.observe("delivery_duration_seconds", 0.3)
    lines = numbers.text().splitlines()
    assert 'fedaemon_delivery_outcomes_total{result="a\\"b\\\\c\\nd"} 1' in lines
    assert 'fedaemon_delivery_duration_seconds_bucket{le="0.25"} 0' in lines
    assert 'fedaemon_delivery_duration_seconds_bucket{le="+Inf"} 1' in lines
    assert "fedaemon_delivery_duration_seconds_sum 0.3" in lines
    assert "fedaemon_queue_claims_total 0" in lines
    samples = [line for line in lines if not line.startswith("#")]
    assert all(SAMPLE.fullmatch(line) for line in samples)
    assert [line.split()[2] for line in lines if line.startswith("# TYPE")] == [
        f"fedaemon_{n}" for n in METRICS
    ]
    assert [line.split()[2] for line in lines if line.startswith("# HELP")] == [
        f"fedaemon_{n}" for n in METRICS
    ]


def test_names_follow_the_custom() -> None:
    """Counters end in _total and nothing else does; only histograms have buckets, and these grow."""
    for metric in METRICS.values():
        assert metric.name.endswith("_total") == (metric.kind == "counter")
        assert bool(metric.buckets) == (metric.kind == "histogram")
        assert sorted(set(metric.buckets)) == list(metric.buckets)


def test_the_server_has_one_set() -> None:
    """The functions of the module count in the process's own numbers."""
    before = counters.value("reports_total", kind="failed")
    counters.count("reports_total", kind="failed")
    assert counters.SERVER.value("reports_total", kind="failed") == before + 1
    assert counters.snapshot() == counters.SERVER.snapshot()
