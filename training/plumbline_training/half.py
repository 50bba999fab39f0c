"""A checkpoint's weights as float16: `python -m plumbline_training.half best.pt best-half.pt`."""

from __future__ import annotations

import argparse
from pathlib import Path

from plumbline_training.cli import run_command
from plumbline_training.export import export_half


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m plumbline_training.half", description=__doc__)
    parser.add_argument("checkpoint", type=Path, help="a run's best.pt")
    parser.add_argument("out", type=Path, help="file to write; plumbline-train --init and the other commands take it")
    arguments = parser.parse_args()
    run_command(lambda: export_half(arguments.checkpoint, arguments.out))


if __name__ == "__main__":
    main()
