"""The command line: run, analyze, update, verify, bench, kiosk, config."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import cv2
import yaml

from plumbline_contract.errors import PlumblineError
from plumbline_edge.arguments import parser
from plumbline_edge.bench import THREADS, bench, device
from plumbline_edge.bundle import open_bundle, replay_golden
from plumbline_edge.coach.exercises import load_exercise
from plumbline_edge.errors import Interrupted, InvalidSettings
from plumbline_edge.health import HealthWatch
from plumbline_edge.journal import read_journal
from plumbline_edge.logs import configure, event
from plumbline_edge.registry_client import RegistryClient
from plumbline_edge.report import Reporter, reporter_of
from plumbline_edge.settings import EdgeSettings, load_settings
from plumbline_edge.state import StateFolder
from plumbline_edge.updater import JudgeUpdate, Update, UpdateResult

EXIT_USER_ERROR = 2
SILENT = 0
UNCHANGED = "nothing was changed"

RUN_SETTINGS = (
    "source", "bundle", "judge", "state", "exercise", "host", "port", "threads", "max_fps", "person", "resolution",
    "rotate", "mirror", "loop", "speak", "sensitivity",
)  # fmt: skip
"""Flags of `run` that are settings of the same name."""


def run_command(arguments: argparse.Namespace) -> int:
    """`plumbline-edge run`."""
    if arguments.output is not None and not arguments.once:
        raise InvalidSettings(f"--output {str(arguments.output)!r} needs --once; add it, or leave --output out")
    settings = load_settings(arguments.config, **{name: getattr(arguments, name) for name in RUN_SETTINGS})
    configure(settings.log_format)
    # The page's framework takes a small computer seconds to import, and `update` and `verify` do without.
    from plumbline_edge.service import run_live, run_recorded

    with _stopped_by_signals() as stop:
        if arguments.once:
            print(run_recorded(settings, arguments.output, stop, arguments.allow_nobody).line())
            return 0
        session = run_live(settings, stop)
        event(f"stopped after {session.frames} frames, {session.state.reps} reps")
        return 0


def analyze_command(arguments: argparse.Namespace) -> int:
    """`plumbline-edge analyze`."""
    names = ("exercise", "bundle", "state", "threads")
    settings = load_settings(source=arguments.video, **{name: getattr(arguments, name) for name in names})
    configure(settings.log_format)
    from plumbline_edge.analyze import analyze

    with _stopped_by_signals() as stop:
        print(analyze(settings, arguments.out, stop, sys.stdout))
    return 0


def update_command(arguments: argparse.Namespace) -> int:
    """`plumbline-edge update`."""
    settings = load_settings(
        **{
            name: getattr(arguments, name)
            for name in ("registry", "root", "name", "judge_name", "channel", "state", "threads")
        },
        health_url=arguments.health_url,
    )
    reporter = reporter_of(settings)
    activated: list[str] = []
    failed: dict[str, PlumblineError] = {}
    with _terminated_like_interrupted(), RegistryClient(settings.registry, settings.timeout_seconds) as registry:
        try:
            for update in _updates(settings, registry, retry_failed=arguments.retry_failed):
                _follow(update, activated, failed)
            _report_all(reporter, registry, failed)
        except KeyboardInterrupt as stopped:
            raise Interrupted(f"interrupted; {_what_stays(settings, activated)}") from stopped
    if not failed:
        return 0
    first, *others = failed.values()
    for error in others:
        print(f"error: {error}", file=sys.stderr)
    raise first


def _follow(update: Update, activated: list[str], failed: dict[str, PlumblineError]) -> None:
    """Run one update, and note what came of it: one that is refused must not keep the others back."""
    try:
        result = update.run(_say)
    except PlumblineError as error:
        failed[update.name] = error
        return
    _say_result(update.name, result)
    if result.changed:
        activated.append(update.name)


def _what_stays(settings: EdgeSettings, activated: Sequence[str]) -> str:
    """What an interrupted update has changed for good."""
    if read_journal(settings.state).on_trial is not None:
        return f"{settings.name} is active and on trial, which the next update goes on with"
    return f"activated before: {' and '.join(activated)}; nothing else was changed" if activated else UNCHANGED


def _say_result(name: str, result: UpdateResult) -> None:
    what = f"{name} {result.version} ({result.manifest_sha256[:12]})"
    golden = "" if result.golden is None else f", golden samples differ by {result.golden.heatmap_max_abs:.2g}"
    print(f"activated: {what}{golden}" if result.changed else f"already active: {what}")


def _updates(settings: EdgeSettings, registry: RegistryClient, *, retry_failed: bool) -> tuple[Update, ...]:
    """That of the pose model, and that of the judge where one is followed."""
    watch = HealthWatch(settings.health_url, watch_seconds=settings.watch_seconds)
    update = Update(
        state=StateFolder(settings.state),
        registry=registry,
        root_file=settings.root_file,
        name=settings.name,
        channel=settings.channel,
        threads=settings.inference_threads,
        health=watch if settings.health_url else None,
        retry_failed=retry_failed,
    )
    if not settings.judge_name:
        return (update,)
    judge = replace(update, state=StateFolder(settings.judge_state), name=settings.judge_name, health=None)
    return (update, JudgeUpdate(**vars(judge)))


def _report_all(reporter: Reporter | None, registry: RegistryClient, failed: dict[str, PlumblineError]) -> None:
    """Each failure, or that all went well. The registry shows the last report, which is of the first failure."""
    if not failed:
        _report(reporter, registry)
    for name, error in reversed(failed.items()):
        _report(reporter, registry, error, name)


def _report(
    reporter: Reporter | None, registry: RegistryClient, error: PlumblineError | None = None, failed: str = ""
) -> None:
    """A report that does not get through changes nothing of what was done."""
    if reporter is None:
        return
    try:
        reporter.report(registry, error, failed)
    except PlumblineError as unheard:
        print(f"warning: not reported: {unheard}", file=sys.stderr)


def verify_command(arguments: argparse.Namespace) -> int:
    """`plumbline-edge verify`."""
    settings = load_settings(threads=arguments.threads)
    bundle = open_bundle(arguments.bundle)
    result = replay_golden(bundle, bundle.load_model(settings.inference_threads))
    print(
        f"verified: {bundle.manifest.name} {bundle.manifest.version} {bundle.manifest.precision}"
        f" manifest_sha256={bundle.manifest_sha256} golden_samples={result.samples}"
        f" heatmap_max_abs={result.heatmap_max_abs:.3g} keypoint_max_px={result.keypoint_max_px:.3g}"
    )
    return 0


def bench_command(arguments: argparse.Namespace) -> int:
    """`plumbline-edge bench`."""
    bundle = open_bundle(arguments.bundle)
    manifest = bundle.manifest
    print(f"bundle={manifest.name} version={manifest.version} precision={manifest.precision} device={device()!r}")
    for threads in THREADS:
        _say(bench(bundle, threads).line())
    return 0


def kiosk_command(arguments: argparse.Namespace) -> int:
    """`plumbline-edge kiosk`."""
    from plumbline_edge.kiosk import local_url, own_profile, run_kiosk

    settings = load_settings(arguments.config, host=arguments.host, port=arguments.port, state=arguments.state)
    url = arguments.url or local_url(settings)
    with _stopped_by_signals() as stop:
        return run_kiosk(url, arguments.browser, own_profile(arguments.state), stop)


def config_command(arguments: argparse.Namespace) -> int:
    """`plumbline-edge config`."""
    if arguments.action == "schema":
        print(json.dumps(EdgeSettings.model_json_schema(), indent=2))
        return 0
    settings = load_settings(arguments.file if arguments.action == "check" else arguments.config)
    if arguments.action == "check":
        load_exercise(settings.exercise)
        print(f"ok: {arguments.file}")
    else:
        print(yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False), end="")
    return 0


COMMANDS = {
    "config": config_command,
    "run": run_command,
    "analyze": analyze_command,
    "update": update_command,
    "verify": verify_command,
    "bench": bench_command,
    "kiosk": kiosk_command,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; a PlumblineError becomes one line on stderr and exit code 2."""
    arguments = parser().parse_args(argv)
    silence_opencv()
    try:
        return COMMANDS[arguments.command](arguments)
    except PlumblineError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_USER_ERROR
    except KeyboardInterrupt:
        print(f"error: interrupted; {UNCHANGED}", file=sys.stderr)
        return EXIT_USER_ERROR


def _say(line: str) -> None:
    print(line, flush=True)


def silence_opencv() -> None:
    """OpenCV and FFmpeg print warnings of their own beside our one line."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    # OpenCV 4 has the first, OpenCV 5 the second.
    set_log_level = getattr(cv2, "setLogLevel", None) or cv2.utils.logging.setLogLevel
    set_log_level(SILENT)


@contextmanager
def _stopped_by_signals() -> Iterator[threading.Event]:
    """An event that SIGINT and SIGTERM set."""
    stop = threading.Event()
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda *_: stop.set()) for number in numbers]
    try:
        yield stop
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


@contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    """SIGTERM ends the work as Ctrl-C does, so that it cleans up behind itself."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
