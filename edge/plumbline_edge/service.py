"""The live service from start to stop: opens everything, serves the page, keeps systemd and the terminal informed."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

import uvicorn

from plumbline_contract.exercise import Exercise
from plumbline_edge.bundle import Bundle, open_bundle
from plumbline_edge.coach.engine import Coach
from plumbline_edge.coach.exercises import load_exercise
from plumbline_edge.errors import InvalidSettings, PortTaken
from plumbline_edge.estimator import PoseEstimator
from plumbline_edge.meter import Meter
from plumbline_edge.metrics import EdgeMetrics
from plumbline_edge.notify import notify
from plumbline_edge.once import Summary, run_once
from plumbline_edge.pipeline import LivePipeline
from plumbline_edge.playback import as_live
from plumbline_edge.recorder import VideoRecorder
from plumbline_edge.session import Session
from plumbline_edge.settings import EdgeSettings
from plumbline_edge.source import open_source
from plumbline_edge.speech import Speaker
from plumbline_edge.state import StateFolder
from plumbline_edge.status import StatusLine
from plumbline_edge.update_metrics import UpdateMetrics
from plumbline_edge.view import LiveView
from plumbline_edge.web import create_app

METER_WINDOW_SECONDS: Final = 5.0
TICK_SECONDS: Final = 0.5


def chosen_bundle(settings: EdgeSettings) -> Bundle:
    """The bundle to run: the one given, or the active one of the state folder, verified."""
    folder = settings.bundle if settings.bundle is not None else StateFolder(settings.state).active_bundle_folder()
    return open_bundle(folder)


def new_session(
    settings: EdgeSettings, exercise: Exercise, bundle: Bundle, metrics: EdgeMetrics, meter: Meter
) -> Session:
    """Model, tracker and coach, ready for frames."""
    model = bundle.load_model(settings.inference_threads)
    metrics.describe_bundle(bundle.manifest, bundle.manifest_sha256)
    say = Speaker().say if settings.speak else None
    return Session(PoseEstimator(model, metrics.observe_stage), Coach(exercise), metrics, meter, say)


def run_recorded(
    settings: EdgeSettings, output: Path | None, stop: threading.Event, allow_nobody: bool = False
) -> Summary:
    """`run --once`: the whole source, unpaced."""
    metrics = EdgeMetrics()
    exercise, bundle = load_exercise(settings.exercise), chosen_bundle(settings)
    source = open_source(settings.source)
    try:
        if source.live:
            raise InvalidSettings(f"--once needs a recording, and {source.name!r} has no end; leave --once out")
        recorder = None if output is None else VideoRecorder(output, source.frame_rate)
        session = new_session(settings, exercise, bundle, metrics, Meter())
        status = StatusLine(sys.stdout)
        summary = run_once(source, session, metrics, recorder, output, stop, status.show, allow_nobody)
        status.end()
        return summary
    finally:
        source.close()


def run_live(settings: EdgeSettings, stop: threading.Event, say: Callable[[str], None]) -> Session:
    """`run`: until the source ends or `stop` is set; changes over when an update activates another bundle.

    Raises what made a thread fail.
    """
    chosen_bundle(settings)  # a mistake here is told before the port is taken
    with _listen(settings.host, settings.port) as listener:
        announced = False
        while True:
            with listener.dup() as own:
                superseded, session = _run_bundle(settings, stop, own, None if announced else say)
            if not superseded:
                return session
            announced = True
            say("another bundle is active: changed over to it")


def _run_bundle(
    settings: EdgeSettings, stop: threading.Event, listener: socket.socket, say: Callable[[str], None] | None
) -> tuple[bool, Session]:
    """Run with the bundle that is chosen now; also gives whether it ended because another one is."""
    metrics, ended = EdgeMetrics(), threading.Event()
    metrics.registry.register(UpdateMetrics(settings.state))
    exercise, bundle = load_exercise(settings.exercise), chosen_bundle(settings)
    source = as_live(open_source(settings.source), lambda: open_source(settings.source), ended, loop=settings.loop)
    session = new_session(settings, exercise, bundle, metrics, Meter(METER_WINDOW_SECONDS))
    pipeline = LivePipeline(source, session, metrics, ended)
    view = LiveView(
        pipeline,
        metrics,
        max_fps=settings.stream_fps,
        jpeg_quality=settings.jpeg_quality,
        max_viewers=settings.max_viewers,
    )
    app = create_app(pipeline, view, metrics, bundle, stale_after_seconds=settings.stale_after_seconds)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=2))
    serving = threading.Thread(target=server.run, args=([listener],), name="web", daemon=True)
    superseded = False
    if say is not None:
        say(f"page    {_address(listener)}")
    try:
        pipeline.start()
        view.start()
        serving.start()
        superseded = _watch(pipeline, stop, lambda: _is_superseded(settings, bundle))
    finally:
        if not superseded:
            notify("STOPPING=1")
        server.should_exit = True
        pipeline.stop()
        serving.join(5)
    if pipeline.failure is not None:
        raise pipeline.failure
    return superseded, session


def _is_superseded(settings: EdgeSettings, bundle: Bundle) -> bool:
    """Whether an update activated another bundle than the one that runs."""
    if settings.bundle is not None:
        return False
    active = StateFolder(settings.state).active_sha256()
    return active is not None and active != bundle.manifest_sha256


def _watch(pipeline: LivePipeline, stop: threading.Event, superseded: Callable[[], bool]) -> bool:
    """Until the end: the status line, READY once frames flow, and the watchdog fed only while they do.

    True if it ends because another bundle became the active one.
    """
    status = StatusLine(sys.stdout)
    frames = 0
    while not stop.is_set() and not pipeline.finished.wait(TICK_SECONDS):
        if pipeline.session.frames > frames:
            notify("READY=1" if frames == 0 else "WATCHDOG=1")
            frames = pipeline.session.frames
        status.show(pipeline.session)
        if superseded():
            status.end()
            return True
    status.end()
    return False


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except (OSError, OverflowError) as error:
        listener.close()
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise PortTaken(f"cannot listen on {host}:{port}: {reason}; choose others with --host and --port") from error
    listener.listen(64)
    return listener


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"
