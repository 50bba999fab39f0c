"""`plumbline-edge analyze`: a recording from beginning to end, and a report on it."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Final, TextIO

from plumbline_edge.analysis import Analysis
from plumbline_edge.analysis_report import as_json, as_page
from plumbline_edge.capture import CaptureSource
from plumbline_edge.errors import Interrupted, NobodySeen, OutputUnwritable, SourceUnavailable
from plumbline_edge.metrics import EdgeMetrics
from plumbline_edge.recording import Recording, open_recording
from plumbline_edge.settings import EdgeSettings
from plumbline_edge.status import warn_of_recording

BAR_WIDTH: Final = 30


class ProgressBar:
    """A bar on a terminal; elsewhere a line every tenth of the way."""

    def __init__(self, total: int, out: TextIO) -> None:
        self._total = total
        self._out = out
        self._in_place = out.isatty()
        self._shown = -1

    def show(self, done: int) -> None:
        """Draw how far it is, when that has changed."""
        if self._total <= 0:
            return
        percent = min(100 * done // self._total, 100)
        step = percent if self._in_place else percent // 10 * 10
        if step == self._shown:
            return
        self._shown = step
        filled = BAR_WIDTH * step // 100
        bar = f"[{'#' * filled}{'.' * (BAR_WIDTH - filled)}] {step:3d}%"
        print(f"\r{bar}" if self._in_place else bar, end="" if self._in_place else "\n", file=self._out, flush=True)

    def end(self) -> None:
        """Leave the terminal on a fresh line."""
        if self._in_place and self._shown >= 0:
            print(file=self._out)


def analyze(settings: EdgeSettings, out: Path | None, stop: threading.Event, terminal: TextIO) -> str:
    """Write report.html and report.json; the line that says what came of it.

    Raises InvalidSettings for a camera, NobodySeen, SourceUnavailable, OutputUnwritable and Interrupted.
    """
    recording = open_recording(settings, EdgeMetrics(), "analyze")
    try:
        target = _made(out or _beside(settings.source))
        judging, exercise = recording.judging, recording.exercise
        analysis = Analysis(exercise, None if judging is None else judging.agreement(exercise))
        _watch(recording, analysis, stop, terminal)
    finally:
        recording.source.close()
    name = _named(settings.source).name
    page = target / "report.html"
    _write(page, as_page(analysis, name))
    _write(target / "report.json", as_json(analysis, name))
    state = analysis.state
    faults = ",".join(f"{fault}:{count}" for fault, count in state.fault_counts.items() if count) or "none"
    return (
        f"analysis reps={state.reps} partial_reps={state.partial_reps} faults={faults} frames={len(analysis.times)}"
        f" report={page}"
    )


def _watch(recording: Recording, analysis: Analysis, stop: threading.Event, terminal: TextIO) -> None:
    source, judging = recording.source, recording.judging
    bar = ProgressBar(source.declared_frames if isinstance(source, CaptureSource) else 0, terminal)
    while (frame := source.read()) is not None:
        if stop.is_set():
            raise Interrupted(f"stopped by a signal after {len(analysis.times)} frames; no report was written")
        pose, seconds = recording.estimator.estimate(frame), frame.timestamp_seconds
        verdict = None if judging is None else judging.judge.update(seconds, pose.keypoints_K3)
        analysis.take(seconds, frame.image_bgr_HW3, pose.keypoints_K3, pose.seen, verdict)
        bar.show(len(analysis.times))
    bar.end()
    if not analysis.times:
        raise SourceUnavailable(f"source {source.name!r}: gives no picture at all; the file is empty or damaged")
    if not analysis.frames_with_person:
        raise NobodySeen(
            f"source {source.name!r}: nobody is seen in its {len(analysis.times)} pictures; show one person from"
            " head to foot in good light"
        )
    warn_of_recording(analysis.times, analysis.exercise)


def _beside(video: str) -> Path:
    path = _named(video)
    return path.with_name(f"{path.stem}-analysis")


def _named(video: str) -> Path:
    """The recording's path, which ends with its name: `.` and `..` are none."""
    path = Path(video).expanduser()
    return path.resolve() if path.name in ("", "..") else path


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputUnwritable(f"output {str(folder)!r}: {error.strerror}; name another folder with --out") from error
    return folder


def _write(path: Path, text: str) -> None:
    """Whole or not at all: to a file beside it, renamed at the end."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise OutputUnwritable(f"output {str(path)!r}: {error.strerror}; free space, or name another --out") from error
