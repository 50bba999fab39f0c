"""The command line: run, update, verify, bench."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2

from plumbline_contract.errors import PlumblineError
from plumbline_edge.bench import THREADS, bench, device
from plumbline_edge.bundle import open_bundle, replay_golden
from plumbline_edge.errors import InvalidSettings
from plumbline_edge.registry_client import RegistryClient
from plumbline_edge.settings import load_settings
from plumbline_edge.state import StateFolder
from plumbline_edge.updater import update

EXIT_USER_ERROR = 2
SILENT = 0

DESCRIPTION = "Watches a person exercise, counts repetitions and says what to do better. Pictures stay on this device."
RUN_EXAMPLES = """\
  plumbline-edge run --source 0                                   the first camera; page at http://127.0.0.1:8080/
  plumbline-edge run --source rtsp://camera/live --host 0.0.0.0   a network camera; page for the whole network
  plumbline-edge run --source squats.mp4 --loop                   a file, at its own speed, again and again
  plumbline-edge run --source squats.mp4 --once --output out.mp4  every frame once: a summary line and a video"""
UPDATE_EXAMPLES = """\
  plumbline-edge update --registry http://registry:8100 --name hrnet-edge-s --channel stable"""
VERIFY_EXAMPLES = """\
  plumbline-edge verify models/hrnet-edge-s                       digests, and the golden samples on this device"""
BENCH_EXAMPLES = """\
  plumbline-edge bench models/hrnet-edge-s                        p50 and p95 of an inference on 1, 2 and 4 threads"""
ENVIRONMENT_HINT = """\
Settings can also be given as environment variables, such as PLUMBLINE_EDGE_SOURCE=0; flags win. A user's mistake
ends with one line and exit code 2."""


def parser() -> argparse.ArgumentParser:
    """The parser of all commands; a flag that is not given is None."""
    examples = "\n".join((RUN_EXAMPLES, UPDATE_EXAMPLES, VERIFY_EXAMPLES, BENCH_EXAMPLES))
    top = argparse.ArgumentParser("plumbline-edge", description=DESCRIPTION, **_teaching(examples))
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    run_help = "coach a person in front of a camera, or in a file"
    update_help = "fetch, check and activate the bundle of a registry's channel"
    verify_help = "check a bundle's digests and replay its golden samples here"
    _add_run(commands.add_parser("run", help=run_help, description=run_help, **_teaching(RUN_EXAMPLES)))
    _add_update(commands.add_parser("update", help=update_help, description=update_help, **_teaching(UPDATE_EXAMPLES)))
    _add_verify(commands.add_parser("verify", help=verify_help, description=verify_help, **_teaching(VERIFY_EXAMPLES)))
    bench_help = "time the inferences of a bundle on this device"
    _add_bench(commands.add_parser("bench", help=bench_help, description=bench_help, **_teaching(BENCH_EXAMPLES)))
    return top


def _teaching(examples: str) -> dict[str, Any]:
    return {
        "epilog": f"examples:\n{examples}\n\n{ENVIRONMENT_HINT}",
        "formatter_class": argparse.RawDescriptionHelpFormatter,
    }


def _add_run(run: argparse.ArgumentParser) -> None:
    run.add_argument("--source", help="video file, picture, folder, camera index, /dev path or URL (default: 0)")
    run.add_argument("--bundle", type=Path, metavar="DIR", help="bundle folder (default: the active one of --state)")
    run.add_argument("--state", type=Path, metavar="DIR", help="state folder (default: ~/.local/state/plumbline-edge)")
    run.add_argument("--exercise", help="exercise: its name, or a YAML file (default: squat)")
    run.add_argument("--host", help="address to listen on (default: 127.0.0.1, this machine only)")
    run.add_argument("--port", type=int, help="port to listen on (default: 8080; 0: a free one)")
    run.add_argument("--threads", type=int, help="inference threads (default: all cores but one, at most 3)")
    run.add_argument("--loop", action="store_true", default=None, help="start a file again at its end")
    run.add_argument(
        "--once", action="store_true", help="take every frame of a file once, unpaced, and end with a summary"
    )
    run.add_argument("--allow-nobody", action="store_true", help="with --once: a source without a person is no error")
    run.add_argument("--output", type=Path, metavar="MP4", help="with --once: write the annotated video")


def _add_update(command: argparse.ArgumentParser) -> None:
    command.add_argument("--registry", metavar="URL", help="the registry (default: http://127.0.0.1:8100)")
    command.add_argument("--name", help="bundle to follow (default: hrnet-edge-s)")
    command.add_argument("--channel", help="channel to follow: dev, canary or stable (default: stable)")
    command.add_argument(
        "--state", type=Path, metavar="DIR", help="state folder (default: ~/.local/state/plumbline-edge)"
    )
    command.add_argument("--threads", type=int, help="threads of the golden replay")


def _add_verify(command: argparse.ArgumentParser) -> None:
    command.add_argument("bundle", type=Path, metavar="DIR", help="folder of a bundle")
    command.add_argument("--threads", type=int, help="inference threads (default: all cores but one, at most 3)")


def _add_bench(command: argparse.ArgumentParser) -> None:
    command.add_argument("bundle", type=Path, metavar="DIR", help="folder of a bundle")


def run_command(arguments: argparse.Namespace) -> int:
    """`plumbline-edge run`."""
    if arguments.output is not None and not arguments.once:
        raise InvalidSettings(f"--output {str(arguments.output)!r} needs --once; add it, or leave --output out")
    settings = load_settings(
        **{name: getattr(arguments, name) for name in ("source", "bundle", "state", "exercise", "host", "port")},
        threads=arguments.threads,
        loop=arguments.loop,
    )
    # The page's framework takes a small computer seconds to import, and `update` and `verify` do without.
    from plumbline_edge.service import run_live, run_recorded

    with _stopped_by_signals() as stop:
        if arguments.once:
            print(run_recorded(settings, arguments.output, stop, arguments.allow_nobody).line())
            return 0
        session = run_live(settings, stop, _say)
        print(f"stopped after {session.frames} frames, {session.state.reps} reps")
        return 0


def update_command(arguments: argparse.Namespace) -> int:
    """`plumbline-edge update`."""
    settings = load_settings(
        **{name: getattr(arguments, name) for name in ("registry", "name", "channel", "state", "threads")}
    )
    with _terminated_like_interrupted(), RegistryClient(settings.registry, settings.timeout_seconds) as registry:
        result = update(
            StateFolder(settings.state), registry, settings.name, settings.channel, settings.inference_threads, _say
        )
    what = f"{settings.name} {result.version} ({result.manifest_sha256[:12]})"
    if result.golden is None:
        print(f"already active: {what}")
    else:
        print(f"activated: {what}, golden samples differ by {result.golden.heatmap_max_abs:.2g}; restart the service")
    return 0


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


COMMANDS = {"run": run_command, "update": update_command, "verify": verify_command, "bench": bench_command}


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
        print("error: interrupted; nothing was changed", file=sys.stderr)
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
