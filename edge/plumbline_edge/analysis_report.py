"""An analysis as a page that stands alone (no request leaves the device) and as JSON."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from html import escape
from string import Template
from typing import Any, Final

import cv2

from plumbline_contract.preprocess import Image
from plumbline_edge.analysis import Analysis

WIDTH, HEIGHT = 860, 120
CURVE_POINTS: Final = 800

PAGE: Final = Template("""<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>$title</title>
<style>
:root { color-scheme: light dark; --ink: #1c2733; --soft: #5c6b7a; --line: #d9dfe5; --card: #fff; --back: #f4f6f8;
  --good: #2b8a4b; --bad: #c8372d; --curve: #2563a8; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8edf2; --soft: #9fb0bf; --line: #33414e; --card: #1b242d;
  --back: #12181e; --good: #5ac57f; --bad: #ff7b70; --curve: #7db4ee; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--back); margin: 0 auto;
  max-width: 920px; padding: 24px; }
h1 { margin: 0 0 4px; } h2 { margin: 32px 0 8px; } p { margin: 4px 0; } .soft { color: var(--soft); }
section, figure { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 14px 18px;
  margin: 0 0 14px; overflow-x: auto; }
.numbers { display: flex; gap: 32px; flex-wrap: wrap; } .numbers b { display: block; font-size: 30px; }
table { border-collapse: collapse; width: 100%; } th, td { text-align: left; padding: 6px 10px;
  border-bottom: 1px solid var(--line); } th { color: var(--soft); font-weight: 500; }
.good { color: var(--good); } .bad { color: var(--bad); } .pair { display: flex; gap: 10px; flex-wrap: wrap; }
.pair div { flex: 1 1 260px; } .pair img { width: 100%; border-radius: 6px; } svg { width: 100%; height: auto; }
polyline { fill: none; stroke: var(--curve); stroke-width: 1.6; } .band { fill: var(--good); opacity: .14; }
.band.partial { fill: var(--bad); } text { fill: var(--soft); font-size: 11px; }
</style>
<h1>$title</h1><p class="soft">$source: $frames pictures, $seconds seconds. $seen</p>
<h2>Summary</h2><section class="numbers">$numbers</section>
<h2>What to do better</h2>$faults
<h2>$attempts_title</h2>$attempts
<h2>Curves</h2><p class="soft">Green: repetitions. Red: attempts that did not go far enough.</p>$curves
</html>
""")


def as_data(analysis: Analysis, source: str) -> dict[str, Any]:
    """The report as plain data."""
    state = analysis.state
    return {
        "schema_version": 1,
        "source": source,
        "exercise": analysis.exercise.name,
        "frames": len(analysis.times),
        "frames_with_person": analysis.frames_with_person,
        "seconds": round(analysis.times[-1], 3) if analysis.times else 0.0,
        "reps": state.reps,
        "partial_reps": state.partial_reps,
        "best_hold_seconds": round(state.best_hold_seconds, 2),
        "view": state.view,
        "faults": [
            {
                "name": fault.name,
                "times": state.fault_counts.get(fault.name, 0),
                "severity": fault.severity,
                "cue": fault.cue,
                "good": fault.good,
                "worst_seconds": round(worst.seconds, 3) if (worst := analysis.worst.get(fault.name)) else None,
            }
            for fault in analysis.exercise.faults
        ],
        "attempts": [
            {key: _rounded(value) for key, value in vars(repetition).items()} for repetition in analysis.repetitions
        ],
        "times_seconds": [_rounded(seconds) for seconds in analysis.times],
        "progress": [_rounded(value) for value in analysis.progress],
        "curves": {name: [_rounded(value) for value in values] for name, values in analysis.curves.items()},
    }


def as_json(analysis: Analysis, source: str) -> str:
    """The report as JSON text."""
    return json.dumps(as_data(analysis, source), indent=1, allow_nan=False) + "\n"


def as_page(analysis: Analysis, source: str) -> str:
    """The report as an HTML page."""
    seen = analysis.frames_with_person
    return PAGE.substitute(
        title=escape(analysis.exercise.title),
        source=escape(source),
        frames=len(analysis.times),
        seconds=f"{analysis.times[-1]:.1f}" if analysis.times else "0",
        seen=f"A person was seen in {seen} of them." if seen < len(analysis.times) else "",
        numbers=_numbers(analysis),
        faults=_faults(analysis),
        attempts_title="Held" if analysis.state.holds else "Each attempt",
        attempts=_attempts(analysis),
        curves=_curves(analysis),
    )


def _rounded(value: object) -> object:
    return round(value, 4) if isinstance(value, float) else value


def _numbers(analysis: Analysis) -> str:
    state = analysis.state
    found = sum(state.fault_counts.values())
    numbers = [(f"{state.best_hold_seconds:.1f} s", "longest hold")] if state.holds else []
    if not state.holds:
        numbers = [(str(state.reps), "repetitions"), (str(state.partial_reps), "not far enough")]
    numbers.append((str(found), "faults"))
    return "".join(f"<div><b>{value}</b>{escape(name)}</div>" for value, name in numbers)


def _faults(analysis: Analysis) -> str:
    counts = analysis.state.fault_counts
    found = [fault for fault in analysis.exercise.faults if counts.get(fault.name)]
    if not found:
        return '<section class="good">Nothing: no fault was found in what could be seen.</section>'
    parts = []
    for fault in found:
        times = counts[fault.name]
        head = f"<b>{escape(fault.cue)}</b> <span class='soft'>{escape(fault.name.replace('_', ' '))}, "
        head += f"{fault.severity}, {times} time{'s' if times > 1 else ''}</span><p>{escape(fault.good)}</p>"
        moment = analysis.worst.get(fault.name)
        pictures = ""
        if moment is not None:
            pictures = f"<p class='soft'>At {moment.seconds:.1f} s, as it was and (green) as it should be:</p>"
            pictures += f"<div class='pair'>{_image(moment.as_it_was)}{_image(moment.as_it_should_be)}</div>"
        parts.append(f"<section>{head}{pictures}</section>")
    return "".join(parts)


def _image(picture: Image) -> str:
    _, encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 85])
    return f'<div><img alt="" src="data:image/jpeg;base64,{base64.b64encode(encoded.tobytes()).decode()}"></div>'


def _attempts(analysis: Analysis) -> str:
    if analysis.state.holds:
        return f"<section>The longest hold was {analysis.state.best_hold_seconds:.1f} seconds.</section>"
    if not analysis.repetitions:
        return "<section>No attempt was seen from beginning to end.</section>"
    rows = ""
    for number, attempt in enumerate(analysis.repetitions, 1):
        faults = ", ".join(name.replace("_", " ") for name in attempt.faults)
        verdict = '<span class="good">counted</span>' if attempt.counted else '<span class="bad">not far enough</span>'
        cells = (
            str(number),
            f"{attempt.began_seconds:.1f} to {attempt.ended_seconds:.1f} s",
            verdict,
            f"{100 * attempt.peak_progress:.0f}%",
            f"{attempt.out_seconds:.1f} s, {attempt.back_seconds:.1f} s",
            escape(faults) or "none",
        )
        rows += f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
    head = "<tr><th></th><th>when</th><th></th><th>depth</th><th>there, back</th><th>faults</th></tr>"
    return f"<section><table>{head}{rows}</table></section>"


def _curves(analysis: Analysis) -> str:
    curves = {"progress (0 at rest, 1 at the full position)": analysis.progress, **analysis.curves}
    told = {name: values for name, values in curves.items() if any(value is not None for value in values)}
    return "".join(_curve(analysis, name, values) for name, values in told.items())


def _curve(analysis: Analysis, name: str, values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    low, high = min(known), max(known)
    end = max(analysis.times[-1], 1e-6)
    span = max(high - low, 1e-6)
    bands = "".join(
        f'<rect class="band{"" if attempt.counted else " partial"}" x="{attempt.began_seconds / end * WIDTH:.1f}" y="0"'
        f' width="{(attempt.ended_seconds - attempt.began_seconds) / end * WIDTH:.1f}" height="{HEIGHT}"/>'
        for attempt in analysis.repetitions
    )
    lines = "".join(
        f'<polyline points="{" ".join(points)}"/>' for points in _pieces(analysis.times, values, end, low, span)
    )
    labels = f'<text x="4" y="11">{high:.4g}</text><text x="4" y="{HEIGHT - 4}">{low:.4g}</text>'
    return (
        f'<figure>{escape(name)}<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(name)}">'
        f"{bands}{lines}{labels}</svg></figure>"
    )


def _pieces(
    times: Sequence[float], values: Sequence[float | None], end: float, low: float, span: float
) -> list[list[str]]:
    """The points of a curve, broken where nothing was measured."""
    pieces: list[list[str]] = [[]]
    for index in range(0, len(times), max(1, len(times) // CURVE_POINTS)):
        value = values[index]
        if value is None:
            pieces.append([])
        else:
            height = HEIGHT - 6 - (value - low) / span * (HEIGHT - 12)
            pieces[-1].append(f"{times[index] / end * WIDTH:.1f},{height:.1f}")
    return [piece for piece in pieces if len(piece) > 1]
