"""plumbline-convert: from the ONNX file that training exported to draft bundles."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from plumbline_contract.errors import PlumblineError
from plumbline_contract.manifest import Precision
from plumbline_conversion.errors import InvalidPlan
from plumbline_conversion.plan import DEFAULT_LIMITS, PRECISIONS, ImageSource, ParityLimit, Plan

if TYPE_CHECKING:
    from plumbline_conversion.pipeline import Draft

EPILOG = """\
examples:
  all four precisions, int8 calibrated on the persons of a COCO keypoint json:
    plumbline-convert model.onnx --version 0.1.0 --out bundles \\
        --calibration person_keypoints_train2017.json --calibration-images train2017 --golden samples/squats.mp4
  int8 alone, calibrated on a folder of pictures that each show one person:
    plumbline-convert model.onnx --version 0.1.0 --out bundles --precision int8 --calibration photos --golden photos

Each bundle is a draft in OUT/<precision>: add AP to its manifest if you can, then fix its digests with
  plumbline-seal OUT/int8

The golden images travel in the bundle, so they must be yours to give away. Nothing is written unless every step
succeeds. A step that loses accuracy beyond its limit stops the conversion and says by how much.
"""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    result = argparse.ArgumentParser(
        prog="plumbline-convert",
        description="Convert an exported ONNX pose net to TFLite bundles and prove that it is the same model.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = result.add_argument
    add("onnx", type=Path, metavar="model.onnx", help="what plumbline-train exported")
    add("--out", type=Path, required=True, metavar="DIR", help="bundles are written to DIR/<precision>")
    add("--version", required=True, metavar="X.Y.Z", help="semantic version of the bundles")
    add("--calibration", type=Path, required=True, metavar="IMAGES", help="folder of images, video or COCO json")
    add("--calibration-images", type=Path, metavar="DIR", help="where the images of a calibration json are")
    add("--golden", type=Path, required=True, metavar="IMAGES", help="the same, for images that may be given away")
    add("--golden-images", type=Path, metavar="DIR", help="where the images of a golden json are")
    add("--precision", nargs="+", choices=PRECISIONS, default=PRECISIONS, help="default: all")
    add("--calibration-samples", type=int, default=200, metavar="N", help="crops that set int8 ranges (200)")
    add("--parity-samples", type=int, default=64, metavar="N", help="other crops that prove parity (64)")
    add("--golden-samples", type=int, default=4, metavar="N", help="crops in golden.npz (4)")
    add("--limit-p99-px", type=_limit, action="append", default=[], metavar="PRECISION=PX", help=_limit_help())
    add("--model-card", type=Path, metavar="FILE", help="markdown in place of the generated description")
    add("--overwrite", action="store_true", help="replace bundles that are already in DIR")
    return result


def _limit_help() -> str:
    limits = ", ".join(f"{name}={limit.keypoint_p99_px:g}" for name, limit in DEFAULT_LIMITS.items())
    return f"how far, in heatmap pixels, the 99th percentile of keypoints may move ({limits}); repeatable"


def _limit(text: str) -> tuple[Precision, float]:
    precision, _, pixels = text.partition("=")
    if precision not in PRECISIONS:
        raise argparse.ArgumentTypeError(f"{text!r}: write PRECISION=PX, such as int8=3")
    try:
        return precision, float(pixels)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: {pixels!r} is no number of pixels") from None


def plan_from(options: argparse.Namespace) -> Plan:
    """The plan that the options describe. Raises InvalidPlan."""
    limits: dict[Precision, ParityLimit] = dict(DEFAULT_LIMITS)
    for precision, pixels in options.limit_p99_px:
        if not pixels >= 0:
            raise InvalidPlan(f"--limit-p99-px {precision}={pixels}: pixels cannot be negative")
        limits[precision] = replace(limits[precision], keypoint_p99_px=pixels)
    return Plan(
        onnx_path=options.onnx,
        out_dir=options.out,
        version=options.version,
        calibration=ImageSource(options.calibration, options.calibration_images),
        golden=ImageSource(options.golden, options.golden_images),
        precisions=tuple(dict.fromkeys(options.precision)),
        calibration_samples=options.calibration_samples,
        parity_samples=options.parity_samples,
        golden_samples=options.golden_samples,
        limits=limits,
        model_card=options.model_card,
        overwrite=options.overwrite,
    )


def _summary(draft: Draft) -> str:
    parity, latency = draft.manifest.metrics.parity[-1], draft.profile.latency
    return (
        f"{draft.bundle_dir}: {draft.size_bytes / 1e6:.2f} MB, heatmap max abs {parity.heatmap_max_abs:.2g}, "
        f"keypoint p99 {parity.keypoint_p99_px:.2f} px and max {parity.keypoint_max_px:.2f} px over "
        f"{parity.keypoints_compared} keypoints, {1000 * latency.p50_seconds:.1f} ms on 1 thread, "
        f"{draft.profile.partitions} XNNPACK partition(s), 0 Transpose"
    )


@contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM end the program as an exception does, so that temporary folders go away."""
    previous = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of plumbline-convert; returns the exit code."""
    options = parser().parse_args(arguments)
    # TensorFlow greets on stderr when it is imported; what matters here is printed by us.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    from plumbline_conversion.pipeline import convert

    try:
        with _terminable():
            drafts = convert(plan_from(options), report=lambda line: print(line, file=sys.stderr, flush=True))
    except PlumblineError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: {error.filename}: {error.strerror}; free some space or name another folder", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped: nothing was written", file=sys.stderr)
        return 128 + signal.SIGINT
    for draft in drafts:
        print(_summary(draft))
        if not draft.manifest.metrics.parity[-1].keypoints_compared:
            print(f"warning: {draft.bundle_dir}: no keypoint scored high enough to be compared", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
