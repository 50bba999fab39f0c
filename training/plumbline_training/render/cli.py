"""The command line of the rendered gym."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from plumbline_contract.errors import PlumblineError

EXAMPLES = """examples:
  python -m plumbline_training.render images --out data/rendered --count 3000 --seed 1
  python -m plumbline_training.render squats --out samples/squats.mp4

The same seed gives the same pictures. An interrupted set goes on where it stopped when the command is given again."""


class RenderUnavailable(PlumblineError):
    """The packages that the renderer needs are not installed."""


class InvalidRequest(PlumblineError):
    """What was asked for can't be rendered."""


def parser() -> argparse.ArgumentParser:
    """The argument parser."""
    top = argparse.ArgumentParser(
        prog="python -m plumbline_training.render",
        description="Renders people who exercise, with keypoints known exactly. The first run takes two minutes more.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = top.add_subparsers(dest="command", required=True)
    images = commands.add_parser("images", help="training pictures with a COCO keypoint file")
    images.add_argument("--out", type=Path, required=True, help="folder for images/ and person_keypoints.json")
    images.add_argument("--count", type=int, default=1000, help="how many pictures (default: %(default)s)")
    images.add_argument("--seed", type=int, default=0, help="which set of pictures (default: %(default)s)")
    clip = commands.add_parser("squats", help="the sample clip: five squats, one too shallow, and its keypoints")
    clip.add_argument("--out", type=Path, default=Path("samples/squats.mp4"), help="the mp4 (default: %(default)s)")
    clip.add_argument("--seed", type=int, default=0, help="which person and room (default: %(default)s)")
    return top


def run(arguments: argparse.Namespace) -> str:
    """Does what was asked and returns the line to print. Raises PlumblineError."""
    if arguments.seed < 0:
        raise InvalidRequest(f"--seed: {arguments.seed} is negative; give 0 or more")
    if arguments.command == "images" and arguments.count < 1:
        raise InvalidRequest(f"--count: {arguments.count} is not a number of pictures; give 1 or more")
    try:
        from plumbline_training.render.images import write_images
        from plumbline_training.render.squats import write_squats
    except ImportError as missing:
        raise RenderUnavailable(
            f"the renderer needs {missing.name!r}; install it with: pip install 'plumbline-training[render]'"
        ) from None
    try:
        if arguments.command == "images":
            return f"wrote {write_images(arguments.out, arguments.count, arguments.seed)}"
        return f"wrote {write_squats(arguments.out, arguments.seed)}"
    except OSError as problem:
        raise InvalidRequest(f"--out: {arguments.out} can't be written ({problem.strerror}); choose another") from None


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; 2 for a user's error."""
    arguments = parser().parse_args(argv)
    try:
        print(run(arguments))
    except PlumblineError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0
