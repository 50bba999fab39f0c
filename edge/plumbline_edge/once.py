"""A recorded source from beginning to end, every frame, as fast as it goes: a summary and an annotated video."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from plumbline_edge.draw import draw_annotated
from plumbline_edge.errors import Interrupted, NobodySeen, SourceUnavailable
from plumbline_edge.frame import Frame, FrameSource
from plumbline_edge.metrics import EdgeMetrics
from plumbline_edge.recorder import VideoRecorder
from plumbline_edge.session import Session
from plumbline_edge.status import warn_of_recording


@dataclass(frozen=True)
class Summary:
    """What came of a recorded source."""

    reps: int
    faults: dict[str, int]
    frames: int
    persons_seen_frames: int
    fps: float
    p95_latency_ms: float
    output: Path | None

    def line(self) -> str:
        """One line of key=value pairs in a fixed order, for people and scripts; values hold no spaces but a path's."""
        faults = ",".join(f"{name}:{count}" for name, count in sorted(self.faults.items())) or "none"
        return (
            f"summary reps={self.reps} faults={faults} frames={self.frames}"
            f" persons_seen_frames={self.persons_seen_frames} fps={self.fps:.1f}"
            f" p95_latency_ms={self.p95_latency_ms:.1f} output={self.output or 'none'}"
        )


def run_once(
    source: FrameSource,
    session: Session,
    metrics: EdgeMetrics,
    recorder: VideoRecorder | None,
    output: Path | None,
    stop: threading.Event,
    report: Callable[[Session], None],
    allow_nobody: bool = False,
) -> Summary:
    """Take every frame of the source through the session.

    Raises Interrupted, SourceUnavailable if it is empty, and NobodySeen if no frame shows a person, unless allowed.
    """
    times_seconds: list[float] = []
    try:
        while (frame := _timed_read(source, metrics)) is not None:
            if stop.is_set():
                raise Interrupted(f"stopped by a signal after {session.frames} frames; no output was written")
            times_seconds.append(frame.timestamp_seconds)
            result = session.process(frame)
            if recorder is not None:
                started_at = time.perf_counter()
                draw_annotated(frame.image_bgr_HW3, result.overlay(session.meter.fps(time.monotonic())))
                metrics.observe_stage("draw", time.perf_counter() - started_at)
                recorder.write(frame.image_bgr_HW3)
            report(session)
        if session.frames == 0:
            raise SourceUnavailable(f"source {source.name!r}: gives no picture at all; the file is empty or damaged")
        if session.frames_with_person == 0 and not allow_nobody:
            raise NobodySeen(
                f"source {source.name!r}: nobody is seen in its {session.frames} pictures; show one person from head to"
                " foot in good light, or say --allow-nobody"
            )
        warn_of_recording(times_seconds, session.definition)
        if recorder is not None:
            recorder.finish()
    finally:
        source.close()
        if recorder is not None:
            recorder.discard()
    return _summary(session, output)


def _timed_read(source: FrameSource, metrics: EdgeMetrics) -> Frame | None:
    started_at = time.perf_counter()
    frame = source.read()
    metrics.observe_stage("capture", time.perf_counter() - started_at)
    return frame


def _summary(session: Session, output: Path | None) -> Summary:
    return Summary(
        reps=session.state.reps,
        faults={name: count for name, count in session.state.fault_counts.items() if count},
        frames=session.frames,
        persons_seen_frames=session.frames_with_person,
        fps=session.meter.fps(time.monotonic()),
        p95_latency_ms=1000 * session.meter.p95_latency_seconds(),
        output=output,
    )
