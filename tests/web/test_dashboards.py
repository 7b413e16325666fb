"""The dashboard and the alerts name numbers that there are."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fedaemon.counters import METRICS, PREFIX

ETC = Path(__file__).parent.parent.parent / "etc"
RULES = ETC / "prometheus" / "fedaemon.rules.yml"
NAME = re.compile(rf"\b{PREFIX}([a-z_]+)")
SUFFIXES = ("_bucket", "_sum", "_count")


def known() -> set[str]:
    """Return the names of all samples."""
    histograms = [metric.name for metric in METRICS.values() if metric.kind == "histogram"]
    plain = METRICS.keys() - set(histograms)
    return plain | {name + suffix for name in histograms for suffix in SUFFIXES}


def dashboard() -> Any:
    return json.loads((ETC / "grafana" / "fedaemon.json").read_text())


def panels() -> Iterator[dict[str, Any]]:
    return (panel for panel in dashboard()["panels"] if panel["type"] != "row")


def test_every_panel_shows_numbers_that_there_are() -> None:
    """Each has a title, a place of its own, and only names of ``METRICS``."""
    seen: set[tuple[int, int]] = set()
    for panel in panels():
        expressions = [target["expr"] for target in panel["targets"]]
        assert panel["title"] and expressions
        for expression in expressions:
            names = set(NAME.findall(expression))
            assert names and names <= known(), f"{panel['title']}: {names - known()}"
            assert expression.count("(") == expression.count(")")
        place = (panel["gridPos"]["x"], panel["gridPos"]["y"])
        assert place not in seen
        seen.add(place)
    ids = [panel["id"] for panel in dashboard()["panels"]]
    assert len(set(ids)) == len(ids)


def test_the_dashboard_asks_for_its_data_source() -> None:
    """It is imported anywhere: the data source is a variable, and nothing has an id of another installation."""
    board = dashboard()
    assert board["id"] is None
    assert {panel["datasource"]["uid"] for panel in panels()} == {"${datasource}"}
    assert board["templating"]["list"][0]["name"] == "datasource"


def test_every_alert_looks_at_numbers_that_there_are() -> None:
    """Each has an expression, a severity, and says what to do."""
    text = RULES.read_text()
    names = set(NAME.findall(text))
    assert len(names) > 8
    assert names <= known(), names - known()
    alerts = text.split("- alert: ")[1:]
    assert len(alerts) > 8
    for alert in alerts:
        for part in ("expr:", "severity:", "summary:", "description:"):
            assert part in alert, alert.splitlines()[0]
