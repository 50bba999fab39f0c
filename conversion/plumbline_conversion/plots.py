"""The report's pictures, as SVG text."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from plumbline_conversion.choice import Sensitivity
from plumbline_conversion.op_profile import LayerCost

if TYPE_CHECKING:
    from plumbline_conversion.report import PrecisionReport

SHOWN_LAYERS: Final = 25


def _svg(figure: Figure) -> str:
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    return text.getvalue()[text.getvalue().index("<svg") :]


def _figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasSVG(figure)
    return figure


def latency_bars(reports: Sequence[PrecisionReport]) -> str:
    """p50 of each precision and number of threads, with p95 as a whisker."""
    figure = _figure(7, 3)
    axes = figure.subplots()
    for number, threads in enumerate(latency.threads for latency in reports[0].profile.latencies):
        found = [report.profile.latencies[number] for report in reports]
        p50 = [1000 * item.p50_seconds for item in found]
        above = [
            max(0.0, 1000 * (item.p95_seconds or item.p50_seconds) - low) for item, low in zip(found, p50, strict=True)
        ]
        places = [index + 0.26 * (number - 1) for index in range(len(reports))]
        axes.bar(places, p50, 0.24, yerr=[[0.0] * len(p50), above], capsize=3, label=f"{threads} thread(s)")
    axes.set_xticks(range(len(reports)), [report.precision for report in reports])
    axes.set(ylabel="ms an inference", title="latency here: p50, whisker to p95")
    axes.legend()
    return _svg(figure)


def cost_bars(costs: Sequence[LayerCost], title: str) -> str:
    """Time by kind of operator, each timed alone."""
    totals: dict[str, float] = {}
    for cost in costs:
        totals[cost.operator] = totals.get(cost.operator, 0.0) + 1000 * cost.seconds
    kinds = sorted(totals, key=totals.__getitem__)
    figure = _figure(7, 0.7 + 0.3 * len(kinds))
    axes = figure.subplots()
    axes.barh(kinds, [totals[kind] for kind in kinds], color="tab:blue")
    axes.set(xlabel="ms, sum over operators timed alone on one thread", title=title)
    return _svg(figure)


def sensitivity_bars(found: Sequence[Sensitivity], kept_float: Sequence[str]) -> str:
    """The layers that lose most when they alone are in int8; those kept in float stand out."""
    shown = list(reversed(found[:SHOWN_LAYERS]))
    figure = _figure(9, 0.9 + 0.24 * len(shown))
    oks_axes, rms_axes = figure.subplots(1, 2, sharey=True)
    labels = [item.layer[-48:] for item in shown]
    colours = ["tab:orange" if item.tensor in kept_float else "tab:blue" for item in shown]
    rows = range(len(shown))
    oks_axes.barh(rows, [item.oks_loss for item in shown], color=colours)
    rms_axes.barh(rows, [item.heatmap_rms for item in shown], color=colours)
    oks_axes.set_yticks(rows, labels, fontsize=7)
    oks_axes.set(xlabel="1 - OKS", title="int8 in this layer alone")
    rms_axes.set(xlabel="heatmap RMS difference", title="orange: kept in float")
    return _svg(figure)
