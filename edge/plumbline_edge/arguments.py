"""What can be said on the command line."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, get_args

from plumbline_edge.coach.cues import Sensitivity
from plumbline_edge.frame import Rotation
from plumbline_edge.search import Whom

DESCRIPTION = "Watches a person exercise, counts repetitions and says what to do better. Pictures stay on this device."
RUN_EXAMPLES = """\
  plumbline-edge run --source 0                                   the first camera; page at http://127.0.0.1:8080/
  plumbline-edge run --source rtsp://camera/live --host 0.0.0.0   a network camera; page for the whole network
  plumbline-edge run --source squats.mp4 --loop                   a file, at its own speed, again and again
  plumbline-edge run --source squats.mp4 --once --output out.mp4  every frame once: a summary line and a video"""
UPDATE_EXAMPLES = """\
  plumbline-edge update --registry http://registry:8100 --root root.json --name hrnet-edge-s --channel stable"""
ANALYZE_EXAMPLES = """\
  plumbline-edge analyze squats.mp4                               a report beside it: squats-analysis/report.html
  plumbline-edge analyze set2.mp4 --exercise push_up --out reports/set2"""
VERIFY_EXAMPLES = """\
  plumbline-edge verify models/hrnet-edge-s                       digests, and the golden samples on this device"""
BENCH_EXAMPLES = """\
  plumbline-edge bench models/hrnet-edge-s                        p50 and p95 of an inference on 1, 2 and 4 threads"""
KIOSK_EXAMPLES = """\
  plumbline-edge kiosk                                            the page of this device, full-screen on its screen
  plumbline-edge kiosk --url http://pi.local:8080/?token=...      another device's page"""
CONFIG_EXAMPLES = """\
  plumbline-edge config check edge.yaml                           every mistake by name; exit code 2 if there is one
  plumbline-edge config show --config edge.yaml                   what would be used: file, environment and defaults
  plumbline-edge config schema > edge.schema.json                 for an editor that checks while you write"""
ENVIRONMENT_HINT = """\
Settings can also be given as environment variables, such as PLUMBLINE_EDGE_SOURCE=0, or in a YAML file named by
--config or PLUMBLINE_EDGE_CONFIG. Flags win over the environment, which wins over the file. A user's mistake ends
with one line and exit code 2."""


def parser() -> argparse.ArgumentParser:
    """The parser of all commands; a flag that is not given is None."""
    coaching, upkeep = (RUN_EXAMPLES, ANALYZE_EXAMPLES, KIOSK_EXAMPLES), (VERIFY_EXAMPLES, BENCH_EXAMPLES)
    examples = "\n".join((*coaching, UPDATE_EXAMPLES, *upkeep, CONFIG_EXAMPLES))
    top = argparse.ArgumentParser("plumbline-edge", description=DESCRIPTION, **_teaching(examples))
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    run_help = "coach a person in front of a camera, or in a file"
    update_help = "fetch, check and activate the bundle of a registry's channel"
    verify_help = "check a bundle's digests and replay its golden samples here"
    _add_run(commands.add_parser("run", help=run_help, description=run_help, **_teaching(RUN_EXAMPLES)))
    analyze_help = "report on a recording: repetitions, faults, angles, what to do better"
    _add_analyze(
        commands.add_parser("analyze", help=analyze_help, description=analyze_help, **_teaching(ANALYZE_EXAMPLES))
    )
    _add_update(commands.add_parser("update", help=update_help, description=update_help, **_teaching(UPDATE_EXAMPLES)))
    _add_verify(commands.add_parser("verify", help=verify_help, description=verify_help, **_teaching(VERIFY_EXAMPLES)))
    bench_help = "time the inferences of a bundle on this device"
    _add_bench(commands.add_parser("bench", help=bench_help, description=bench_help, **_teaching(BENCH_EXAMPLES)))
    kiosk_help = "show the page full-screen, in a browser on this machine's own screen"
    _add_kiosk(commands.add_parser("kiosk", help=kiosk_help, description=kiosk_help, **_teaching(KIOSK_EXAMPLES)))
    config_help = "check a file of settings, show what would be used, or print the schema"
    _add_config(commands.add_parser("config", help=config_help, description=config_help, **_teaching(CONFIG_EXAMPLES)))
    return top


def _teaching(examples: str) -> dict[str, Any]:
    return {
        "epilog": f"examples:\n{examples}\n\n{ENVIRONMENT_HINT}",
        "formatter_class": argparse.RawDescriptionHelpFormatter,
    }


def _add_run(run: argparse.ArgumentParser) -> None:
    run.add_argument("--config", type=Path, metavar="YAML", help="file of settings (see: plumbline-edge config)")
    run.add_argument("--source", help="file, picture, folder, camera index, /dev path, picamera or URL (default: 0)")
    run.add_argument("--bundle", type=Path, metavar="DIR", help="bundle folder (default: the active one of --state)")
    run.add_argument("--state", type=Path, metavar="DIR", help="state folder (default: ~/.local/state/plumbline-edge)")
    run.add_argument("--judge", type=Path, metavar="DIR", help="judge's bundle (default: that of --state, if any)")
    run.add_argument("--exercise", help="exercise: its name, or a YAML file (default: squat)")
    run.add_argument("--host", help="address to listen on (default: 127.0.0.1, this machine only)")
    run.add_argument("--port", type=int, help="port to listen on (default: 8080; 0: a free one)")
    run.add_argument("--threads", type=int, help="inference threads (default: all cores but one, at most 3)")
    run.add_argument("--max-fps", type=float, help="most inferences a second (default: as many as there are pictures)")
    run.add_argument("--person", choices=get_args(Whom), help="whom to follow (default: largest)")
    run.add_argument("--resolution", metavar="WxH", help="camera's picture (default: 1280x720)")
    run.add_argument("--rotate", type=int, choices=get_args(Rotation), help="turn every picture clockwise by this")
    run.add_argument("--mirror", action="store_true", default=None, help="show the page's picture like a looking-glass")
    run.add_argument("--loop", action="store_true", default=None, help="start a file again at its end")
    run.add_argument("--speak", action="store_true", default=None, help="say cues aloud with espeak-ng")
    run.add_argument(
        "--sensitivity", choices=get_args(Sensitivity), help="how readily the coach speaks (default: normal)"
    )
    run.add_argument(
        "--once", action="store_true", help="take every frame of a file once, unpaced, and end with a summary"
    )
    run.add_argument("--allow-nobody", action="store_true", help="with --once: a source without a person is no error")
    run.add_argument("--output", type=Path, metavar="MP4", help="with --once: write the annotated video")


def _add_analyze(command: argparse.ArgumentParser) -> None:
    command.add_argument("video", help="video file, or folder of pictures")
    command.add_argument("--exercise", help="exercise: its name, or a YAML file (default: squat)")
    command.add_argument(
        "--bundle", type=Path, metavar="DIR", help="bundle folder (default: the active one of --state)"
    )
    command.add_argument("--state", type=Path, metavar="DIR", help="state folder")
    command.add_argument("--threads", type=int, help="inference threads (default: all cores but one, at most 3)")
    command.add_argument("--out", type=Path, metavar="DIR", help="where to write (default: VIDEO-analysis beside it)")


def _add_update(command: argparse.ArgumentParser) -> None:
    command.add_argument("--registry", metavar="URL", help="the registry (default: http://127.0.0.1:8100)")
    command.add_argument("--root", type=Path, metavar="JSON", help="whom to trust (default: root.json of --state)")
    command.add_argument("--name", help="bundle to follow (default: hrnet-edge-s)")
    command.add_argument("--judge-name", help="bundle of the judge of form to follow too (default: none)")
    command.add_argument("--channel", help="channel to follow: dev, canary or stable (default: stable)")
    command.add_argument(
        "--state", type=Path, metavar="DIR", help="state folder (default: ~/.local/state/plumbline-edge)"
    )
    command.add_argument("--threads", type=int, help="threads of the golden replay")
    command.add_argument("--health-url", metavar="URL", help="watch the service there after a change, else go back")
    command.add_argument("--retry-failed", action="store_true", help="try a bundle again that failed here before")


def _add_verify(command: argparse.ArgumentParser) -> None:
    command.add_argument("bundle", type=Path, metavar="DIR", help="folder of a bundle")
    command.add_argument("--threads", type=int, help="inference threads (default: all cores but one, at most 3)")


def _add_bench(command: argparse.ArgumentParser) -> None:
    command.add_argument("bundle", type=Path, metavar="DIR", help="folder of a bundle")


def _add_kiosk(command: argparse.ArgumentParser) -> None:
    command.add_argument("--url", metavar="URL", help="the page (default: that of the service on this machine)")
    command.add_argument("--config", type=Path, metavar="YAML", help="file of settings, as the service has it")
    command.add_argument("--host", help="address that the page listens on (default: 127.0.0.1)")
    command.add_argument("--port", type=int, help="port that the page listens on (default: 8080)")
    command.add_argument("--browser", metavar="PROGRAM", help="browser (default: the first Chromium or Firefox found)")
    command.add_argument(
        "--state", type=Path, metavar="DIR", help="state folder, and the place of the browser's profile"
    )


def _add_config(command: argparse.ArgumentParser) -> None:
    actions = command.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("check", help="check a file").add_argument("file", type=Path, metavar="YAML")
    show = actions.add_parser("show", help="print the settings that would be used, as YAML")
    show.add_argument("--config", type=Path, metavar="YAML", help="file of settings")
    actions.add_parser("schema", help="print the JSON schema of a file of settings")
