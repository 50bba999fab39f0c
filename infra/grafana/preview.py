"""Runs every query of the dashboards against a live Prometheus and draws what they would show, without a Grafana.

`python -m infra.grafana.preview http://127.0.0.1:9090 OUT` writes OUT/<dashboard>.png and fails where a query gives
no data. A picture shows the layout and the values, not Grafana's own look.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
from infra.grafana.build import COLUMNS, FOLDER, NATURAL_DESCENDING
from matplotlib.axes import Axes
from matplotlib.figure import Figure

POINTS: Final = 60
COLOURS: Final = {"green": "#37872d", "red": "#c4162a", "text": "#8e8e8e"}


@dataclass(frozen=True)
class Series:
    """A line with its labels, its legend filled in."""

    labels: Mapping[str, str]
    legend: str
    times: list[float]
    values: list[float]

    @property
    def last(self) -> float:
        """The newest value that is a number."""
        return next((value for value in reversed(self.values) if math.isfinite(value)), math.nan)


@dataclass(frozen=True)
class Prometheus:
    """A server, and the time that is looked at."""

    url: str
    seconds: float = 300
    rate_interval: str = "1m"
    """In Grafana four times the scrape interval, or more."""

    def values(self, variable: dict[str, Any]) -> list[str]:
        """What a variable can be chosen to be, in its order; a variable is `label_values(SELECTOR, LABEL)`."""
        found = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]["query"])
        if found is None:
            raise ValueError(f"variable {variable['name']!r} is no label_values(…): {variable['query']!r}")
        parameters = {"match[]": found[1], "start": str(time.time() - self.seconds), "end": str(time.time())}
        values = list(map(str, self._data(f"label/{found[2]}/values", parameters)))
        return sorted(values, key=_natural, reverse=variable["sort"] == NATURAL_DESCENDING)

    def series(self, target: dict[str, Any], chosen: Mapping[str, str]) -> list[Series]:
        """What a panel's query gives over the time that is looked at. Raises HTTPStatusError for a bad query."""
        now = time.time()
        expression = filled(target["expr"], chosen, self.rate_interval, f"{self.seconds:.0f}s")
        if target.get("instant"):
            answer = self._data("query", {"query": expression})["result"]
            return [Series(item["metric"], "", [item["value"][0]], [float(item["value"][1])]) for item in answer]
        step = self.seconds / POINTS
        period = {"start": str(now - self.seconds), "end": str(now), "step": f"{step:g}"}
        answer = self._data("query_range", {"query": expression, **period})["result"]
        return [
            Series(
                item["metric"],
                named(target["legendFormat"], item["metric"]),
                [float(at) for at, _ in item["values"]],
                [float(value) for _, value in item["values"]],
            )
            for item in answer
        ]

    def _data(self, path: str, parameters: Mapping[str, str]) -> Any:
        answer = httpx.get(f"{self.url}/api/v1/{path}", params=parameters, timeout=20, trust_env=False)
        return answer.raise_for_status().json()["data"]


def filled(expression: str, chosen: Mapping[str, str], rate_interval: str, whole_range: str) -> str:
    """A query with its variables put in."""
    given = {**chosen, "__rate_interval": rate_interval, "__range": whole_range}
    return re.sub(r"\$(\w+)", lambda name: given[name[1]], expression)


def written(value: float, unit: str) -> str:
    """A value in the unit that Grafana calls so, roughly as Grafana writes it."""
    match unit:
        case "percentunit":
            return f"{value * 100:.3g}%"
        case "s":
            return f"{value * 1000:.3g} ms" if abs(value) < 1 else f"{value:.4g} s"
        case "bytes" | "Bps":
            return f"{value / 1e6:.4g} MB" + "/s" * (unit == "Bps")
        case "celsius":
            return f"{value:.3g} °C"
        case _:
            return f"{value:.4g}"


def named(legend: str, labels: Mapping[str, str]) -> str:
    """A legend with a series' labels put in."""
    return re.sub(r"{{(\w+)}}", lambda name: labels.get(name[1], ""), legend)


def choices(dashboard: dict[str, Any], prometheus: Prometheus) -> dict[str, str]:
    """What each variable is at first: all, or the first of its values; empty where it has none."""
    variables = [variable for variable in dashboard["templating"]["list"] if variable["type"] == "query"]
    values = {variable["name"]: prometheus.values(variable) for variable in variables}
    return {
        variable["name"]: variable.get("allValue") or values[variable["name"]][0] if values[variable["name"]] else ""
        for variable in variables
    }


def empty(dashboard: dict[str, Any], prometheus: Prometheus) -> list[str]:
    """The variables without values and the queries that give no number."""
    chosen = choices(dashboard, prometheus)
    title = dashboard["title"]
    return [f"{title}: variable {name!r} has no values" for name, value in chosen.items() if not value] + [
        f"{title}, {panel['title']}: {target['expr']}"
        for panel in dashboard["panels"]
        for target in panel["targets"]
        if not any(math.isfinite(series.last) for series in prometheus.series(target, chosen))
    ]


def draw(dashboard: dict[str, Any], prometheus: Prometheus, out: Path) -> None:
    """Write a picture of the dashboard, in its own layout; times are minutes ago."""
    chosen = choices(dashboard, prometheus)
    rows = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in dashboard["panels"])
    figure = Figure(figsize=(18, rows * 0.42 + 0.8))
    figure.suptitle(
        f"{dashboard['title']}   {', '.join(f'{name}: {value}' for name, value in chosen.items())}",
        x=0.01,
        ha="left",
        fontsize=11,
    )
    top = 1 - 0.6 / figure.get_figheight()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        width, height = place["w"] / COLUMNS, place["h"] / rows * top
        axes = figure.add_axes(
            (place["x"] / COLUMNS + 0.03, top * (1 - place["y"] / rows) - height + 0.45 * top / rows, width - 0.04,
             height - 1.35 * top / rows)
        )  # fmt: skip
        axes.set_title(panel["title"], loc="left", fontsize=9, fontweight="bold")
        lines = [series for target in panel["targets"] for series in prometheus.series(target, chosen)]
        _DRAWN[panel["type"]](axes, panel, lines)
    figure.savefig(out, dpi=70)


def _minutes(times: Sequence[float]) -> list[float]:
    return [(at - time.time()) / 60 for at in times]


def _lines(axes: Axes, panel: dict[str, Any], lines: list[Series]) -> None:
    for series in lines:
        marker = "." if len(series.times) == 1 else ""
        axes.plot(_minutes(series.times), series.values, label=series.legend, linewidth=1, marker=marker)
    defaults = panel["fieldConfig"]["defaults"]
    # Some room, so that a line along the edge is seen.
    low, high = defaults.get("min", axes.get_ylim()[0]), defaults.get("max", axes.get_ylim()[1])
    axes.set_ylim(low - 0.02 * (high - low), high + 0.15 * (high - low))
    axes.yaxis.set_major_formatter(lambda value, _: written(value, defaults["unit"]))
    axes.tick_params(labelsize=7)
    axes.grid(alpha=0.3)
    if lines:
        axes.legend(fontsize=6, loc="upper left", ncols=2)


def _state(axes: Axes, panel: dict[str, Any], lines: list[Series]) -> None:
    words = panel["fieldConfig"]["defaults"]["mappings"][0]["options"]
    for row, series in enumerate(lines):
        minutes = _minutes(series.times)
        step = minutes[1] - minutes[0] if len(minutes) > 1 else 0.1
        colours = [COLOURS[words[f"{value:.0f}"]["color"]] for value in series.values]
        axes.barh([row] * len(minutes), step, left=minutes, color=colours, height=0.8, linewidth=0)
    axes.set_yticks(range(len(lines)), [series.legend for series in lines], fontsize=7)
    axes.tick_params(labelsize=7)


def _stat(axes: Axes, panel: dict[str, Any], lines: list[Series]) -> None:
    axes.axis("off")
    defaults = panel["fieldConfig"]["defaults"]
    names = panel["options"]["textMode"] == "name"
    for index, series in enumerate(lines):
        value = series.last
        passed = [step["color"] for step in defaults["thresholds"]["steps"] if value >= (step["value"] or -math.inf)]
        text, colour = written(value, defaults["unit"]), passed[-1] if passed else "text"
        for mapping in defaults.get("mappings", []):
            word = mapping["options"].get(f"{value:.0f}")
            text, colour = (word["text"], word["color"]) if word else (text, colour)
        label = series.legend if names else f"{text}\n{series.legend}"
        where = ((index + 0.5) / len(lines), 0.5)
        axes.text(*where, label, ha="center", va="center", fontsize=12, color=COLOURS[colour])


def _table(axes: Axes, panel: dict[str, Any], lines: list[Series]) -> None:
    axes.axis("off")
    columns = panel["transformations"][0]["options"]["include"]["names"]
    cells = [[str(series.labels.get(name, ""))[:24] for name in columns] for series in lines]
    if cells:
        axes.table(cells, colLabels=columns, loc="upper center", cellLoc="left").set_fontsize(8)


_DRAWN: Final = {"timeseries": _lines, "state-timeline": _state, "stat": _stat, "table": _table}


def _natural(text: str) -> list[tuple[int, int, str]]:
    """Numbers by their value, the rest by letters."""
    parts = re.findall(r"\d+|\D+", text)
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m infra.grafana.preview",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("prometheus", metavar="URL")
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=60, help="how far to look back")
    arguments = parser.parse_args()
    prometheus = Prometheus(arguments.prometheus, arguments.minutes * 60)
    arguments.out.mkdir(parents=True, exist_ok=True)
    lacking = []
    for path in sorted(FOLDER.glob("*.json")):
        dashboard = json.loads(path.read_text(encoding="utf-8"))
        lacking += empty(dashboard, prometheus)
        draw(dashboard, prometheus, arguments.out / f"{path.stem}.png")
    if lacking:
        sys.exit("no data:\n" + "\n".join(lacking))


if __name__ == "__main__":
    main()
