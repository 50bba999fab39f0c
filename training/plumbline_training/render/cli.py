"""Command line of plumbline-render."""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from plumbline_contract.errors import PlumblineError
from plumbline_training.render.errors import InvalidRequest, RenderUnavailable

EXAMPLES = """examples:
  plumbline-render all --out data/rendered --pictures 5000 --clips 50     # training pictures and clips, one command
  plumbline-render images --out data/rendered --count 3000 --seed 1       # pictures alone
  plumbline-render images --out data/mine --poses train2017_labels_only.npz --backgrounds photos/
  plumbline-render clips --out data/clips --count 2000 --keypoints-only   # thousands of sequences, no pixels
  plumbline-render clips --out data/squats --exercise squat --fault knees_in --count 20
  plumbline-render gallery data/rendered                                  # a page to look at it all
  plumbline-render check data/rendered --real data/data.yaml --model movenet-thunder.tflite
  plumbline-render attributes --model models/hrnet-edge-s --model movenet-thunder.tflite
  plumbline-render squats --out samples/squats.mp4                        # the sample clip

The same seed gives the same bytes, whatever --workers is. An interrupted command goes on where it stopped when it is
given again; nothing half-written counts. docs/rendering.md describes the files and how to add an exercise.
The first run on a machine loads the body model for some minutes; later ones take seconds."""


def parser() -> argparse.ArgumentParser:
    """The argument parser."""
    top = argparse.ArgumentParser(
        prog="plumbline-render",
        description="Render people who exercise, sit and stand, with keypoints, phases and faults known exactly.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = top.add_subparsers(dest="command", required=True)
    everything = commands.add_parser("all", help="pictures and clips in one folder")
    everything.add_argument("--pictures", type=int, default=5000, help="how many pictures (default: %(default)s)")
    everything.add_argument("--clips", type=int, default=50, help="how many clips, in clips/ (default: %(default)s)")
    images = commands.add_parser("images", help="training pictures with a COCO keypoint file")
    images.add_argument("--count", type=int, default=1000, help="how many pictures (default: %(default)s)")
    clips = commands.add_parser("clips", help="clips with phases, repetitions, faults and keypoints")
    clips.add_argument("--count", type=int, default=50, help="how many clips (default: %(default)s)")
    clips.add_argument("--keypoints-only", action="store_true", help="no video: a clip in a few seconds")
    clips.add_argument("--exercise", metavar="NAME", help="this exercise alone (default: each in turn)")
    clips.add_argument("--fault", metavar="NAME", help="this fault in every clip, or 'none'; needs --exercise")
    for command in (everything, images, clips):
        _add_common(command)
    for command in (everything, images):
        command.add_argument(
            "--poses", type=Path, metavar="FILE.npz", help="2D poses of real people, lifted to a third of the pictures"
        )
    for command in (everything, clips):
        command.add_argument("--fps", type=float, default=15.0, help="frames a second (default: %(default)s)")
    gallery = commands.add_parser("gallery", help="write FOLDER/gallery.html, a page to look at it all")
    gallery.add_argument("folder", type=Path, help="what images, clips or all wrote")
    gallery.add_argument("--count", type=int, default=300, help="at most so many pictures (default: %(default)s)")
    check = commands.add_parser("check", help="a model's error on rendered pictures beside real ones")
    check.add_argument("folder", type=Path, help="what images or all wrote")
    check.add_argument("--real", type=Path, required=True, metavar="DATA", help="COCO keypoint json, or a data.yaml")
    check.add_argument("--real-images", type=Path, metavar="DIR", help="the pictures of a --real json")
    check.add_argument("--model", type=Path, required=True, action="append", help="any that plumbline-evaluate opens")
    check.add_argument("--count", type=int, default=300, help="at most so many persons of each (default: %(default)s)")
    attributes = commands.add_parser("attributes", help="for whom a model works: skin, age, body, clothes changed")
    attributes.add_argument(
        "--model", type=Path, required=True, action="append", help="any that plumbline-evaluate opens"
    )
    attributes.add_argument("--count", type=int, default=60, help="scenes, each in 15 forms (default: %(default)s)")
    attributes.add_argument("--seed", type=int, default=900, help="which scenes (default: %(default)s)")
    attributes.add_argument("--quiet", action="store_true", help="no progress bar")
    commands.add_parser("exercises", help="list the exercises and their faults")
    commands.add_parser("joints", help="list the joints that an exercise may set")
    sample = commands.add_parser("squats", help="the sample clip: five squats, one too shallow, and its keypoints")
    sample.add_argument("--out", type=Path, default=Path("samples/squats.mp4"), help="the mp4 (default: %(default)s)")
    sample.add_argument("--seed", type=int, default=0, help="which tempo (default: %(default)s)")
    return top


def _add_common(command: argparse.ArgumentParser) -> None:
    command.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write")
    command.add_argument("--seed", type=int, default=0, help="which set (default: %(default)s)")
    command.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes (default: %(default)s)")
    command.add_argument("--backgrounds", type=Path, metavar="DIR", help="your photographs, best without people")
    command.add_argument("--exercises", type=Path, metavar="FILE.yaml", help="your own exercises (docs/rendering.md)")
    command.add_argument("--quiet", action="store_true", help="no progress bar")


def checked(arguments: argparse.Namespace) -> None:
    """Raises InvalidRequest for numbers that make no sense."""
    for name in ("seed", "count", "pictures", "clips", "workers"):
        value = getattr(arguments, name, None)
        least = 0 if name in ("seed", "pictures", "clips") else 1
        if value is not None and value < least:
            raise InvalidRequest(f"--{name}: {value} is too small; give {least} or more")
    fps = getattr(arguments, "fps", 15.0)
    if not (math.isfinite(fps) and 1 <= fps <= 120):
        raise InvalidRequest(f"--fps: {fps!r} is no frame rate for a clip; give 1 to 120")


def run(arguments: argparse.Namespace) -> str:
    """Does what was asked and returns what to print. Raises PlumblineError."""
    checked(arguments)
    try:
        from plumbline_training.render import commands
    except ImportError as missing:
        raise RenderUnavailable(
            f"the renderer needs {missing.name!r}; install it with: pip install 'plumbline-training[render]'"
        ) from None
    try:
        return commands.COMMANDS[arguments.command](arguments)
    except OSError as problem:
        if not hasattr(arguments, "out"):
            raise
        raise InvalidRequest(f"--out: {arguments.out} can't be written ({problem.strerror}); choose another") from None


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; 2 for a user's error."""
    arguments = parser().parse_args(argv)
    try:
        print(run(arguments))
    except PlumblineError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; what is finished is kept: give the same command again to go on", file=sys.stderr)
        return 130
    return 0


def render_main() -> None:
    """Entry point of plumbline-render."""
    sys.exit(main())
