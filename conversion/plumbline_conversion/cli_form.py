"""plumbline-convert-form: from the ONNX file of a judge of form to draft bundles."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from plumbline_conversion.cli_command import exit_code
from plumbline_conversion.plan import PRECISIONS

EPILOG = """\
example:
  plumbline-convert-form build/form.onnx --version 0.1.0 --out build/form && plumbline-seal build/form/fp32

plumbline-export-form writes the ONNX file, and beside it the windows by which int8 is calibrated and parity proven.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of plumbline-convert-form; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="plumbline-convert-form",
        description="Convert a judge of form to TFLite bundles and prove that it is the same model.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("onnx", type=Path, help="a file that plumbline-export-form wrote")
    parser.add_argument("--version", required=True, help="semantic version of the bundles")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="bundles go to DIR/PRECISION")
    parser.add_argument(
        "--precision", nargs="+", choices=PRECISIONS, default=["fp32", "int8"], help="default fp32 and int8"
    )
    options = parser.parse_args(arguments)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from plumbline_conversion.form import convert_form

    def run() -> None:
        for draft in convert_form(options.onnx, options.out, options.version, tuple(dict.fromkeys(options.precision))):
            parity, latency = draft.manifest.metrics.parity[-1], draft.manifest.metrics.latency[-1]
            size = (draft.bundle_dir / "model.tflite").stat().st_size
            print(
                f"{draft.bundle_dir}: {size:,} bytes, probabilities within {parity.probability_max_abs:.2g},"
                f" {latency.p50_seconds * 1000:.2f} ms on one thread"
            )

    return exit_code(run, mendable=(ValueError,))


if __name__ == "__main__":
    sys.exit(main())
