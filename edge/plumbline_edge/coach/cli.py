"""`plumbline-coach`: checks exercise definitions, so that an author learns of a mistake before anybody exercises."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from plumbline_contract.errors import PlumblineError
from plumbline_edge.coach.exercises import exercise_names, load_exercise

EPILOG = """examples:
  plumbline-coach check my-lunge.yaml     is this definition right? says what is wrong, and where
  plumbline-coach check squat             a definition that comes with the coach
  plumbline-coach list                    the exercises that come with the coach

Exit code: 0 when every definition is right, 2 when one is not.
"""


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="plumbline-coach",
        description="Check exercise definitions for the coach.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser("check", help="check exercise definitions against the schema")
    check.add_argument("exercise", nargs="+", metavar="FILE", help="a YAML file, or the name of an exercise")
    commands.add_parser("list", help="list the exercises that come with the coach")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code."""
    options = build_parser().parse_args(arguments)
    if options.command == "list":
        for name in exercise_names():
            print(f"{name}: {load_exercise(name).title}")
        return 0
    return max(check(name_or_path) for name_or_path in options.exercise)


def check(name_or_path: str) -> int:
    """Check one definition and say what it holds, or what is wrong with it."""
    try:
        exercise = load_exercise(name_or_path)
    except PlumblineError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    phases = exercise.repetition.phases if exercise.repetition else exercise.hold and exercise.hold.phases
    names = ", ".join(name for _, name in phases) if phases else ""
    print(f"{name_or_path}: ok: {exercise.title!r}: {names}")
    for fault in exercise.faults:
        print(f"  {fault.name} ({fault.severity}, {fault.judged}, seen from {', '.join(fault.views)}): {fault.cue!r}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
