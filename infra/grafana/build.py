"""Writes dashboards/*.json from the table below: `python infra/grafana/build.py`; with --check only compares them."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

FOLDER: Final = Path(__file__).parent / "dashboards"
DATASOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
PI: Final = 'job="edge", instance=~"$instance"'
BY_VERSION: Final = "on (instance) group_left (version) max by (instance, version) (plumbline_edge_bundle_info)"
COLUMNS: Final = 24


@dataclass(frozen=True)
class Panel:
    """One picture; `queries` are pairs of expression and legend."""

    title: str
    description: str
    queries: tuple[tuple[str, str], ...]
    kind: str = "timeseries"
    unit: str = "short"
    width: int = 12
    height: int = 8
    red_below: float | None = None
    red_above: float | None = None


def p95(stage: str = "", by: str = "instance") -> str:
    """The 95th percentile of a latency histogram of the edge."""
    name = f"plumbline_edge_{stage}latency_seconds_bucket"
    return f"histogram_quantile(0.95, sum by ({by}, le) (rate({name}{{{PI}}}[$__rate_interval])))"


def per_version(rate: str) -> str:
    """A rate of each Pi, averaged over those that run the same version."""
    return f"avg by (version) (({rate}) * {BY_VERSION})"


FLEET: Final = (
    Panel(
        "Pis that answer",
        "Of the Pis that are scraped, how many answer.",
        ((f"sum(up{{{PI}}})", ""),),
        "stat",
        width=6,
        height=4,
        red_below=1,
    ),
    Panel(
        "Slowest Pi",
        "Least FPS of all.",
        ((f"min(plumbline_edge_fps{{{PI}}})", ""),),
        "stat",
        width=6,
        height=4,
        red_below=5,
    ),
    Panel(
        "Worst p95 latency",
        "From a frame's capture to coaching.",
        ((f"max({p95()})", ""),),
        "stat",
        "s",
        6,
        4,
        red_above=0.25,
    ),
    Panel(
        "Bundles in use",
        "More than one for long: a rollout stopped halfway.",
        ((f"count(count by (manifest_sha256) (plumbline_edge_bundle_info{{{PI}}}))", ""),),
        "stat",
        width=6,
        height=4,
    ),
    Panel("FPS", "Frames a second through inference.", ((f"plumbline_edge_fps{{{PI}}}", "{{instance}}"),)),
    Panel("p95 latency", "From a frame's capture to its keypoints and coaching.", ((p95(), "{{instance}}"),), unit="s"),
    Panel("Cameras", "0 while a camera gives no picture.", ((f"plumbline_edge_source_up{{{PI}}}", "{{instance}}"),)),
    Panel(
        "Updates",
        "Tried in the last hour, and bundles that failed here and are not tried again.",
        (
            (f"sum by (instance) (increase(plumbline_edge_updates_total{{{PI}}}[1h]))", "{{instance}} tried"),
            (f"sum(plumbline_edge_failed_bundles{{{PI}}})", "bundles refused"),
        ),
    ),
    Panel(
        "What runs where",
        "Version and digest of each Pi's bundle.",
        ((f"plumbline_edge_bundle_info{{{PI}}}", ""),),
        "table",
        width=24,
    ),
)
ONE: Final = (
    Panel("FPS", "Frames a second through inference.", ((f"plumbline_edge_fps{{{PI}}}", "{{instance}}"),)),
    Panel(
        "p95 latency by stage",
        "Which stage takes the time; capture includes the wait for the camera.",
        ((p95("stage_", "stage"), "{{stage}}"),),
        unit="s",
    ),
    Panel(
        "Temperature and duty",
        "The service rests between frames once the processor is warm.",
        (
            (f"plumbline_edge_inference_duty{{{PI}}}", "duty"),
            (f"plumbline_edge_temperature_celsius{{{PI}}}", "degrees"),
        ),
    ),
    Panel(
        "Firmware's flags",
        "1 while under-voltage or heat holds the processor down.",
        ((f"plumbline_edge_throttled{{{PI}}}", "{{flag}}"),),
    ),
    Panel(
        "Dropped frames",
        "Replaced by a newer one before inference had time for them.",
        ((f"rate(plumbline_edge_frames_dropped_total{{{PI}}}[$__rate_interval])", "{{instance}}"),),
        unit="reqps",
    ),
    Panel(
        "Tracking",
        "1 while a person is seen, and while one is followed.",
        ((f"plumbline_edge_person_visible{{{PI}}}", "seen"), (f"plumbline_edge_tracking{{{PI}}}", "followed")),
    ),
    Panel(
        "Repetitions a minute",
        "Counted by the coach.",
        ((f"sum by (exercise) (rate(plumbline_edge_reps_total{{{PI}}}[$__rate_interval])) * 60", "{{exercise}}"),),
    ),
    Panel(
        "Faults a minute",
        "Found by the coach.",
        (
            (
                f"sum by (exercise, fault) (rate(plumbline_edge_faults_total{{{PI}}}[$__rate_interval])) * 60",
                "{{exercise}}: {{fault}}",
            ),
        ),
    ),
    Panel("Memory", "Of the service.", ((f"process_resident_memory_bytes{{{PI}}}", "{{instance}}"),), unit="bytes"),
    Panel("Viewers", "Live pictures being served.", ((f"plumbline_edge_viewers{{{PI}}}", "{{instance}}"),)),
)
CANARY: Final = (
    Panel(
        "FPS by version", "Mean over the Pis that run a version.", ((per_version("plumbline_edge_fps"), "{{version}}"),)
    ),
    Panel(
        "Inference by version",
        "Mean time of one inference.",
        (
            (
                per_version(
                    'rate(plumbline_edge_stage_latency_seconds_sum{stage="inference"}[$__rate_interval]) / '
                    'rate(plumbline_edge_stage_latency_seconds_count{stage="inference"}[$__rate_interval])'
                ),
                "{{version}}",
            ),
        ),
        unit="s",
    ),
    Panel(
        "Keypoint confidence by version",
        "Mean score of seen people: a fall means that the new one sees worse.",
        (
            (
                per_version(
                    "rate(plumbline_edge_keypoint_confidence_sum[$__rate_interval]) / "
                    "rate(plumbline_edge_keypoint_confidence_count[$__rate_interval])"
                ),
                "{{version}}",
            ),
        ),
        unit="percentunit",
    ),
    Panel(
        "People lost, a minute, by version",
        "How often a followed person is lost.",
        ((per_version("rate(plumbline_edge_tracking_lost_total[$__rate_interval]) * 60"), "{{version}}"),),
    ),
    Panel(
        "Faults a minute by version",
        "A jump means that the new one sees faults that are none.",
        ((per_version("sum by (instance) (rate(plumbline_edge_faults_total[$__rate_interval])) * 60"), "{{version}}"),),
    ),
    Panel(
        "Pis by version",
        "How far the rollout is.",
        (("count by (version) (max by (instance, version) (plumbline_edge_bundle_info))", "{{version}}"),),
    ),
)
REGISTRY: Final = (
    Panel(
        "Requests a second",
        "By answer.",
        (
            (
                "sum by (status) (rate(plumbline_registry_request_duration_seconds_count[$__rate_interval]))",
                "{{status}}",
            ),
        ),
        unit="reqps",
    ),
    Panel(
        "p95 of a request",
        "By route.",
        (
            (
                "histogram_quantile(0.95, sum by (route, le) "
                "(rate(plumbline_registry_request_duration_seconds_bucket[$__rate_interval])))",
                "{{route}}",
            ),
        ),
        unit="s",
    ),
    Panel(
        "Bytes sent a second",
        "Mostly bundles on their way to Pis.",
        (("rate(plumbline_registry_sent_bytes_total[$__rate_interval])", "{{instance}}"),),
        unit="Bps",
    ),
    Panel(
        "Memory", "Of the registry.", (('process_resident_memory_bytes{job="registry"}', "{{instance}}"),), unit="bytes"
    ),
)
DASHBOARDS: Final = {
    "fleet": ("Plumbline: fleet", FLEET, True),
    "pi": ("Plumbline: one Pi", ONE, True),
    "canary": ("Plumbline: versions beside each other", CANARY, False),
    "registry": ("Plumbline: registry", REGISTRY, False),
}


def panel_json(number: int, panel: Panel, left: int, top: int) -> dict[str, Any]:
    """A panel as Grafana reads it."""
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if panel.red_below is not None:
        steps = [{"color": "red", "value": None}, {"color": "green", "value": panel.red_below}]
    if panel.red_above is not None:
        steps.append({"color": "red", "value": panel.red_above})
    options: dict[str, Any] = {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []}
    }
    if panel.kind == "stat":
        options = {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}, "colorMode": "value"}
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": DATASOURCE,
        "gridPos": {"x": left, "y": top, "w": panel.width, "h": panel.height},
        "fieldConfig": {
            "defaults": {"unit": panel.unit, "thresholds": {"mode": "absolute", "steps": steps}},
            "overrides": [],
        },
        "options": {} if panel.kind == "table" else options,
        "targets": [
            {
                "datasource": DATASOURCE,
                "refId": chr(ord("A") + index),
                "expr": expression,
                "legendFormat": legend,
                **({"format": "table", "instant": True} if panel.kind == "table" else {}),
            }
            for index, (expression, legend) in enumerate(panel.queries)
        ],
    }


def dashboard(uid: str, title: str, panels: tuple[Panel, ...], choose: bool) -> dict[str, Any]:
    """A dashboard as Grafana reads it; `choose`: with a variable for the Pi."""
    placed, left, top = [], 0, 0
    for number, panel in enumerate(panels, start=1):
        if left + panel.width > COLUMNS:
            left, top = 0, top + panels[number - 2].height
        placed.append(panel_json(number, panel, left, top))
        left += panel.width
    variables: list[dict[str, Any]] = [
        {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"}
    ]
    if choose:
        query = {"query": 'label_values(up{job="edge"}, instance)', "refId": "instance"}
        variables.append(
            {
                "name": "instance",
                "label": "Pi",
                "type": "query",
                "datasource": DATASOURCE,
                "query": query,
                "refresh": 2,
                "sort": 1,
                "multi": True,
                "includeAll": True,
                "allValue": ".*",
            }
        )
    links = [
        {"title": "Plumbline", "type": "dashboards", "tags": ["plumbline"], "asDropdown": True, "includeVars": True}
    ]
    return {
        "uid": f"plumbline-{uid}",
        "title": title,
        "tags": ["plumbline"],
        "schemaVersion": 39,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": variables},
        "annotations": {"list": []},
        "links": links,
        "panels": placed,
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail where a file differs")
    check = parser.parse_args().check
    for uid, (title, panels, choose) in DASHBOARDS.items():
        path, text = FOLDER / f"{uid}.json", json.dumps(dashboard(uid, title, panels, choose), indent=2) + "\n"
        if check and (not path.exists() or path.read_text(encoding="utf-8") != text):
            sys.exit(f"error: {path.name} is not what infra/grafana/build.py writes; run it again")
        if not check:
            path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
