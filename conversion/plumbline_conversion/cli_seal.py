"""plumbline-seal: fixes the digests of draft bundles."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from plumbline_conversion.cli_command import exit_code

EPILOG = """\
example:
  plumbline-seal bundles/int8

Sealing replays golden.npz on this machine, brings the measured part of model-card.md in line with manifest.json and
writes the digests. A bundle without lineage or parity is refused. Sealing again changes nothing.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of plumbline-seal; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="plumbline-seal",
        description="Seal draft bundles, so that a registry takes them.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("bundle", type=Path, nargs="+", metavar="BUNDLE_DIR", help="a folder with manifest.json")
    options = parser.parse_args(arguments)
    from plumbline_conversion.seal import seal

    def run() -> None:
        for bundle_dir in options.bundle:
            manifest = seal(bundle_dir)
            print(f"sealed {manifest.name} {manifest.version} ({manifest.precision}) in {bundle_dir}")

    return exit_code(run)


if __name__ == "__main__":
    sys.exit(main())
