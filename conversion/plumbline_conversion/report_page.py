"""report.html: one page without scripts or anything to fetch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING, Final

from plumbline_conversion.plots import cost_bars, latency_bars, sensitivity_bars

if TYPE_CHECKING:
    from plumbline_conversion.report import PrecisionReport, Report

STYLE: Final = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
table { border-collapse: collapse; margin: .5rem 0 1rem; } th, td { padding: .2rem .7rem; text-align: right; }
th { border-bottom: 2px solid #888; } td { border-bottom: 1px solid #ddd; }
th:first-child, td:first-child { text-align: left; }
svg { max-width: 100%; height: auto; } .note { color: #555; }
"""


def page(report: Report) -> str:
    """The whole page."""
    reports = report.precisions
    sections = [
        f"<h1>{escape(report.name)} {escape(report.version)}: conversion</h1>",
        "<h2>Is it the same model?</h2>",
        _parity(reports),
        _average_precision(report),
        "<h2>What the runtimes make of it</h2>",
        _graphs(reports),
        "<h2>How fast is it here?</h2>",
        f'<p class="note">{escape(reports[0].profile.latency.machine)}</p>',
        latency_bars(reports),
        _latencies(reports),
        "<h2>Raspberry Pi 4: an estimate, not a measurement</h2>",
        _estimates(reports),
        "<h2>Where the time goes</h2>",
        '<p class="note">Each operator timed as a model of its own on one thread; in the graph some cost less.</p>',
        *(cost_bars(item.profile.costs, item.precision) for item in reports),
        *_quantisation(report),
    ]
    title = f"<title>{escape(report.name)} {escape(report.version)}</title>"
    head = f'<!doctype html><html lang="en"><meta charset="utf-8">{title}<style>{STYLE}</style>'
    return f"{head}<body>{''.join(sections)}</body></html>\n"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["".join(f"<th>{escape(cell)}</th>" for cell in header)]
    lines += ["".join(f"<td>{escape(cell)}</td>" for cell in row) for row in rows]
    return "<table>" + "".join(f"<tr>{line}</tr>" for line in lines) + "</table>"


def _parity(reports: Sequence[PrecisionReport]) -> str:
    header = ("against ONNX", "crops", "heatmap max abs", "mean abs", "keypoint p99 px", "max px", "OKS", "keypoints")
    rows = [
        (
            item.precision,
            str(item.parity.samples),
            f"{item.parity.heatmap_max_abs:.2g}",
            f"{item.parity.heatmap_mean_abs:.2g}",
            f"{item.parity.keypoint_p99_px:.2f}",
            f"{item.parity.keypoint_max_px:.2f}",
            "-" if item.parity.oks is None else f"{item.parity.oks:.4f}",
            str(item.parity.keypoints_compared),
        )
        for item in reports
    ]
    note = '<p class="note">Distances in heatmap pixels, on pictures that calibration never saw.</p>'
    return _table(header, rows) + note


def _average_precision(report: Report) -> str:
    if not report.average_precision:
        return "<p>AP: not measured. plumbline-evaluate --into-manifest adds it, plumbline-seal brings it here.</p>"
    rows = [
        (f"{item.stage} {item.precision}", item.dataset, str(item.persons), f"{item.ap:.3f}", f"{item.ap50:.3f}")
        for item in report.average_precision
    ]
    return _table(("AP of", "data", "persons", "AP", "AP50"), rows)


def _graphs(reports: Sequence[PrecisionReport]) -> str:
    header = ("precision", "operators", "Transpose", "GMAC", "MB alive at once", "runtime", "XNNPACK partitions")
    rows = []
    for item in reports:
        profile = item.profile
        facts = (
            item.precision,
            str(sum(profile.operators.values())),
            str(profile.operators.get("TRANSPOSE", 0)),
            f"{profile.macs / 1e9:.3f}",
            f"{profile.live_bytes / 1e6:.2f}",
        )
        for check in profile.runtimes:
            taken = (
                str(check.xnnpack_partitions or "none: it runs without XNNPACK") if check.loads else "cannot load it"
            )
            rows.append((*facts, check.runtime, taken))
    return _table(header, rows)


def _latencies(reports: Sequence[PrecisionReport]) -> str:
    rows = [
        (item.precision, str(latency.threads), _ms(latency.p50_seconds), _ms(latency.p95_seconds))
        for item in reports
        for latency in item.profile.latencies
    ]
    return _table(("precision", "threads", "p50 ms", "p95 ms"), rows)


def _ms(seconds: float | None) -> str:
    return "-" if seconds is None else f"{1000 * seconds:.2f}"


def _estimates(reports: Sequence[PrecisionReport]) -> str:
    rows = [
        (item.precision, bound.machine, str(bound.threads), _ms(bound.seconds), f"{bound.memory_bound_share:.0%}")
        for item in reports
        for bound in item.estimates
    ]
    note = (
        '<p class="note">A lower bound by the roofline model from the machine\'s published peaks; '
        "<code>plumbline-edge bench BUNDLE</code> on the device gives the true figure.</p>"
    )
    return _table(("precision", "machine", "threads", "at least ms", "waiting for memory"), rows) + note


def _quantisation(report: Report) -> list[str]:
    choice = report.choice
    if choice is None:
        return []
    rows = [(method, f"{oks:.5f}", f"{rms:.3g}") for method, (oks, rms) in choice.losses.items()]
    parts = [
        "<h2>How int8 was made</h2>",
        f"<p>Ranges: <b>{escape(choice.method)}</b>. Layers kept in float: "
        f"{escape(', '.join(name.partition(';')[0] for name in choice.kept_float) or 'none')}.</p>",
        _table(("ranges", "1 - OKS on calibration crops", "heatmap RMS difference"), rows),
    ]
    if choice.sensitivities:
        parts.append(sensitivity_bars(choice.sensitivities, choice.kept_float))
    return parts
