"""The live service from start to stop: opens everything, serves the page, keeps systemd and the terminal informed."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import uvicorn

from plumbline_edge.addresses import without_brackets, without_password
from plumbline_edge.climate import read_climate
from plumbline_edge.coach.cues import SENSITIVITIES
from plumbline_edge.coach.engine import Coach
from plumbline_edge.coach.exercises import load_exercise
from plumbline_edge.controls import Controls, Privacy
from plumbline_edge.diary.diary import Diary
from plumbline_edge.diary.recorder import SetRecorder
from plumbline_edge.errors import PortTaken, SourceUnavailable
from plumbline_edge.frame import FrameSource
from plumbline_edge.judging import RunningJudge
from plumbline_edge.logs import event, warn
from plumbline_edge.meter import Meter
from plumbline_edge.metrics import EdgeMetrics
from plumbline_edge.notify import is_supervised, notify
from plumbline_edge.once import Summary, run_once
from plumbline_edge.pace import Pace, allowed_duty
from plumbline_edge.pipeline import LivePipeline
from plumbline_edge.playback import AbsentSource, as_live
from plumbline_edge.recorder import VideoRecorder
from plumbline_edge.recording import open_configured, open_recording, require_another_file
from plumbline_edge.running import RunningBundle
from plumbline_edge.session import Session
from plumbline_edge.settings import EdgeSettings
from plumbline_edge.source import comes_and_goes
from plumbline_edge.speech import Speaker
from plumbline_edge.status import StatusLine
from plumbline_edge.update_metrics import UpdateMetrics
from plumbline_edge.view import LiveView
from plumbline_edge.web.access import Access, access_of
from plumbline_edge.web.app import create_app
from plumbline_edge.web.parts import Parts

METER_WINDOW_SECONDS: Final = 5.0
TICK_SECONDS: Final = 0.5


def run_recorded(
    settings: EdgeSettings, output: Path | None, stop: threading.Event, allow_nobody: bool = False
) -> Summary:
    """`run --once`: the whole source, unpaced. Raises InvalidSettings for an output that is the source."""
    if output is not None:
        require_another_file(settings.source, output)
    metrics = EdgeMetrics()
    recording = open_recording(settings, metrics, "--once")
    source = recording.source
    try:
        recorder = None if output is None else VideoRecorder(output, source.frame_rate)
        coach = Coach(recording.exercise, cue_timing=SENSITIVITIES[settings.sensitivity])
        say = _speaker(settings)
        session = Session(recording.estimator, coach, metrics, Meter(), say, None, recording.judging)
        status = StatusLine(sys.stdout)
        summary = run_once(source, session, metrics, recorder, output, stop, status.show, allow_nobody)
        status.end()
        return summary
    finally:
        source.close()


def run_live(settings: EdgeSettings, stop: threading.Event) -> Session:
    """`run`: until the source ends or `stop` is set; changes over when an update activates another bundle.

    Raises what made a thread fail.
    """
    metrics, ended, pace = EdgeMetrics(), threading.Event(), Pace(settings.max_fps)
    metrics.registry.register(UpdateMetrics(settings.state, settings.judge_state))
    exercise, running = load_exercise(settings.exercise), RunningBundle(settings, metrics)
    with _listen(settings.host, settings.port) as listener:
        access = access_of(settings)
        opened = _open_or_wait(settings)
        source = as_live(opened, lambda: open_configured(settings), ended, loop=settings.loop)
        diary = Diary(settings.diary_file)
        recorder = SetRecorder(diary, settings.keep_days, settings.keep_keypoints_days)
        meter, say, judge = Meter(METER_WINDOW_SECONDS), _speaker(settings), RunningJudge(settings)
        coach = Coach(exercise, cue_timing=SENSITIVITIES[settings.sensitivity])
        session = Session(running.estimator, coach, metrics, meter, say, recorder.note, judge.begun_with)
        pipeline = LivePipeline(source, session, metrics, ended, pace)
        event(f"page    {_address(listener)}{access.query}", source=source.name)
        view = _view(settings, pipeline, metrics)
        privacy = Privacy(view, settings.state, always=settings.hide_pixels)
        controls = Controls(pipeline, running, recorder, privacy)
        with _serving(settings, Parts(pipeline, view, metrics, running, controls, diary), access, listener, judge):
            _watch(pipeline, stop, metrics, pace, await_frames=not isinstance(opened, AbsentSource))
    if pipeline.failure is not None:
        raise pipeline.failure
    return session


def _open_or_wait(settings: EdgeSettings) -> FrameSource:
    """The source; under systemd, where nobody reads an error, a camera that is not there is waited for."""
    try:
        return open_configured(settings)
    except SourceUnavailable as error:
        if not (is_supervised() and comes_and_goes(settings.source)):
            raise
        warn(f"{error}; it is waited for")
        return AbsentSource(without_password(settings.source))


def _speaker(settings: EdgeSettings) -> Callable[[str], None] | None:
    return Speaker().say if settings.speak else None


def _view(settings: EdgeSettings, pipeline: LivePipeline, metrics: EdgeMetrics) -> LiveView:
    return LiveView(
        pipeline,
        metrics,
        max_fps=settings.stream_fps,
        jpeg_quality=settings.jpeg_quality,
        max_viewers=settings.max_viewers,
        mirror=settings.mirror,
    )


@contextmanager
def _serving(
    settings: EdgeSettings, parts: Parts, access: Access, listener: socket.socket, judge: RunningJudge
) -> Iterator[None]:
    """The pipeline, the live picture, the diary and the page, from start to stop."""
    pipeline, recorder = parts.pipeline, parts.controls.recorder
    app = create_app(parts, access, stale_after_seconds=settings.stale_after_seconds)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=2))
    serving = threading.Thread(target=server.run, args=([listener],), name="web", daemon=True)
    following = threading.Thread(target=_follow, args=(pipeline, parts.running, judge), name="follow", daemon=True)
    writing = threading.Thread(target=recorder.run, args=(pipeline.stop_requested,), name="diary", daemon=True)
    try:
        pipeline.start()
        parts.view.start()
        serving.start()
        following.start()
        writing.start()
        yield
    finally:
        notify("STOPPING=1")
        server.should_exit = True
        pipeline.stop()
        serving.join(5)
        writing.join(5)
        recorder.close()


def _watch(
    pipeline: LivePipeline, stop: threading.Event, metrics: EdgeMetrics, pace: Pace, *, await_frames: bool
) -> None:
    """Until the end: the status line, READY once frames flow (at once without `await_frames`), the watchdog, heat."""
    status, ready, fed_at = StatusLine(sys.stdout), False, 0.0
    while not stop.is_set() and not pipeline.finished.wait(TICK_SECONDS):
        if not ready and (pipeline.session.frames > 0 or not await_frames):
            ready = notify("READY=1") or True
        elif ready and pipeline.alive_at > fed_at:
            # Fed while inference goes round. A camera that is gone is no reason to start again: it is waited for.
            fed_at = pipeline.alive_at
            notify("WATCHDOG=1")
        climate = read_climate()
        pace.adapt(climate)
        metrics.device.show(climate, allowed_duty(climate))
        status.show(pipeline.session, pipeline.source_up)
    status.end()


def _follow(pipeline: LivePipeline, running: RunningBundle, judge: RunningJudge) -> None:
    """In a thread of its own, as loading a large model takes longer than the watchdog waits."""
    while not pipeline.stop_requested.wait(TICK_SECONDS):
        if running.follow():
            pipeline.await_first_frame()
        if (judging := judge.follow()) is not None:
            pipeline.session.judge_with(judging)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((without_brackets(host), port))
    except (OSError, OverflowError) as error:
        listener.close()
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise PortTaken(f"cannot listen on {host}:{port}: {reason}; choose others with --host and --port") from error
    listener.listen(64)
    return listener


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"
