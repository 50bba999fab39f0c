"""Writes dashboards/*.json from pages.py: `python -m infra.grafana.build`; with --check it only compares."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any, Final

from infra.grafana.pages import DASHBOARDS
from infra.grafana.panels import Dashboard, Panel, Variable

FOLDER: Final = Path(__file__).parent / "dashboards"
DATASOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
COLUMNS: Final = 24
NATURAL, NATURAL_DESCENDING = 7, 8
"""Ways that Grafana sorts a variable's values."""


def field_config(panel: Panel) -> dict[str, Any]:
    """How values are written and coloured."""
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if panel.red_below is not None:
        steps = [{"color": "red", "value": None}, {"color": "green", "value": panel.red_below}]
    if panel.red_above is not None:
        steps.append({"color": "red", "value": panel.red_above})
    defaults: dict[str, Any] = {"unit": panel.unit, "thresholds": {"mode": "absolute", "steps": steps}}
    if panel.kind == "timeseries":
        defaults |= {"color": {"mode": "palette-classic"}, "min": panel.low, "max": panel.high}
        defaults["custom"] = {"fillOpacity": 8, "lineWidth": 1, "showPoints": "never"}
    elif panel.kind != "table":
        defaults["color"] = {"mode": "thresholds"}
    if panel.decimals is not None:
        defaults["decimals"] = panel.decimals
    if panel.words:
        words = {str(value): {"text": text, "color": colour} for value, (text, colour) in panel.words.items()}
        defaults["mappings"] = [{"type": "value", "options": words}]
    if panel.link is not None:
        defaults["links"] = [{"title": panel.link[0], "url": panel.link[1]}]
    return {"defaults": {name: value for name, value in defaults.items() if value is not None}, "overrides": []}


def options(panel: Panel) -> dict[str, Any]:
    """What a panel of its kind can be told."""
    legend = {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []}
    reduce = {"calcs": ["lastNotNull"], "fields": "", "values": False}
    tooltip = {"mode": "multi", "sort": "desc"}
    match panel.kind:
        case "timeseries":
            return {"legend": legend, "tooltip": tooltip}
        case "state-timeline":
            return {"legend": {**legend, "showLegend": False}, "showValue": "never", "mergeValues": True,
                    "rowHeight": 0.8, "tooltip": tooltip}  # fmt: skip
        case "stat":
            return {"reduceOptions": reduce, "colorMode": "value", "graphMode": "area", "justifyMode": "auto",
                    "orientation": "auto", "textMode": "name" if panel.names else "auto"}  # fmt: skip
        case "table":
            return {"showHeader": True, "cellHeight": "sm"}


def panel_json(number: int, panel: Panel, left: int, top: int) -> dict[str, Any]:
    """A panel as Grafana reads it."""
    table = {"format": "table", "instant": True} if panel.kind == "table" else {}
    order = {name: place for place, name in enumerate(panel.columns)}
    only = [
        {"id": "filterFieldsByName", "options": {"include": {"names": list(panel.columns)}}},
        {"id": "organize", "options": {"indexByName": order}},
    ]
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": DATASOURCE,
        "gridPos": {"x": left, "y": top, "w": panel.width, "h": panel.height},
        "fieldConfig": field_config(panel),
        "options": options(panel),
        **({"transformations": only} if panel.columns else {}),
        "targets": [
            {
                "datasource": DATASOURCE,
                "refId": chr(ord("A") + index),
                "expr": expression,
                "legendFormat": legend,
                **table,
            }
            for index, (expression, legend) in enumerate(panel.queries)
        ],
    }


def variable_json(variable: Variable) -> dict[str, Any]:
    """A choice as Grafana reads it; its values are read again whenever the time range changes."""
    every = {"multi": True, "includeAll": True, "allValue": ".*"} if variable.several else {}
    return {
        "name": variable.name,
        "label": variable.label,
        "type": "query",
        "datasource": DATASOURCE,
        "query": {"query": variable.query, "refId": variable.name},
        "refresh": 2,
        "sort": NATURAL_DESCENDING if variable.newest_first else NATURAL,
        **every,
    }


def dashboard_json(uid: str, page: Dashboard) -> dict[str, Any]:
    """A dashboard as Grafana reads it."""
    placed, left, top = [], 0, 0
    for number, panel in enumerate(page.panels, start=1):
        if left + panel.width > COLUMNS:
            left, top = 0, top + page.panels[number - 2].height
        placed.append(panel_json(number, panel, left, top))
        left += panel.width
    source = {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"}
    links = {"title": "Plumbline", "type": "dashboards", "tags": ["plumbline"], "asDropdown": True, "includeVars": True}
    return {
        "uid": f"plumbline-{uid}",
        "title": page.title,
        "description": page.description,
        "tags": ["plumbline"],
        "schemaVersion": 39,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "10s",
        "time": {"from": f"now-{page.hours}h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": [source, *map(variable_json, page.variables)]},
        "annotations": {"list": []},
        "links": [{**links, "icon": "", "keepTime": True, "targetBlank": False, "tooltip": "", "url": ""}],
        "panels": placed,
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m infra.grafana.build", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail where a file differs")
    check = parser.parse_args().check
    for uid, page in DASHBOARDS.items():
        path, text = FOLDER / f"{uid}.json", json.dumps(dashboard_json(uid, page), indent=2) + "\n"
        if check and (not path.exists() or path.read_text(encoding="utf-8") != text):
            sys.exit(f"error: {path.name} is not what `python -m infra.grafana.build` writes; run it again")
        if not check:
            path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
