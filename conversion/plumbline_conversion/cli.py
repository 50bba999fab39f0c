"""plumbline-convert: from the ONNX file that training exported to draft bundles."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from plumbline_contract.manifest import Precision
from plumbline_conversion.cli_command import exit_code
from plumbline_conversion.errors import InvalidPlan
from plumbline_conversion.plan import (
    DEFAULT_LIMITS,
    INPUT_FORMS,
    PRECISIONS,
    RANGINGS,
    TRANSLATORS,
    ImageSource,
    ParityLimit,
    Plan,
)
from plumbline_conversion.recipes import RECIPES, SAMPLE_CLIP

if TYPE_CHECKING:
    from plumbline_conversion.pipeline import Draft

EPILOG = """\
examples:
  what a Pi runs, made of the repository's sample clip; then the same on your own pictures:
    plumbline-convert model.onnx --recipe edge
    plumbline-convert model.onnx --recipe edge --calibration photos --golden photos
  all four precisions, int8 calibrated on the persons of a COCO keypoint json:
    plumbline-convert model.onnx --version 0.1.0 --out bundles \\
        --calibration person_keypoints_train2017.json --calibration-images train2017 --golden samples/squats.mp4
  int8 alone, calibrated on a folder of pictures that each show one person:
    plumbline-convert model.onnx --version 0.1.0 --out bundles --precision int8 --calibration photos --golden photos

Each bundle is a draft in OUT/<precision>: add AP to its manifest if you can, then fix its digests with
  plumbline-seal OUT/int8

The golden images travel in the bundle, so they must be yours to give away. No bundle is written unless every step
succeeds; finished steps are kept in OUT/.steps and not done again. A step that loses accuracy beyond its limit stops
the conversion and says by how much. OUT/report.html shows what was measured.
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
    add("--recipe", choices=tuple(RECIPES), default="all", help="options as a device needs them (default: all)")
    add("--out", type=Path, default=Path("bundles"), metavar="DIR", help="bundles go to DIR/<precision> (bundles)")
    add("--version", default="0.1.0", metavar="X.Y.Z", help="semantic version of the bundles (0.1.0)")
    add("--calibration", type=Path, metavar="IMAGES", help=f"folder of images, video or COCO json ({SAMPLE_CLIP})")
    add("--calibration-images", type=Path, metavar="DIR", help="where the images of a calibration json are")
    add("--golden", type=Path, metavar="IMAGES", help=f"the same, for images that may be given away ({SAMPLE_CLIP})")
    add("--golden-images", type=Path, metavar="DIR", help="where the images of a golden json are")
    add(
        "--input",
        choices=INPUT_FORMS,
        help="what the device hands over; uint8: a crop's bytes, normalised in the graph",
    )
    add("--translator", choices=TRANSLATORS, default="nhwc", help="ours, or onnx-tf in its own environment")
    add("--onnx-tf-python", type=Path, metavar="PYTHON", help="of the environment of conversion/onnx_tf")
    add(
        "--runtime-python",
        type=Path,
        metavar="PYTHON",
        help="of an environment with tflite-runtime, to try files there",
    )
    add("--ranges", choices=RANGINGS, help="how int8 ranges are found; auto takes what loses least")
    add("--scan-layers", action="store_true", help="measure what each layer loses when it alone is in int8")
    add("--float-layers", type=int, default=0, metavar="N", help="keep the N layers that lose most in float (0)")
    add("--work", type=Path, metavar="DIR", help="where finished steps are kept (OUT/.steps)")
    add("--explain", action="store_true", help="say what would be done, and do nothing")
    add("--precision", nargs="+", choices=PRECISIONS, help="default: the recipe's")
    add("--calibration-samples", type=int, default=100, metavar="N", help="crops that set int8 ranges (100)")
    add("--parity-samples", type=int, default=64, metavar="N", help="other crops that prove parity (64)")
    add("--golden-samples", type=int, default=4, metavar="N", help="crops in golden.npz (4)")
    add("--limit-oks", type=_limit, action="append", default=[], metavar="PRECISION=OKS", help=_limit_help())
    add("--limit-p99-px", type=_limit, action="append", default=[], metavar="PRECISION=PX", help=P99_HELP)
    add("--model-card", type=Path, metavar="FILE", help="markdown in place of the generated description")
    add("--overwrite", action="store_true", help="replace bundles that are already in DIR")
    return result


P99_HELP = "how far, in heatmap pixels, the 99th percentile of keypoints may move (fp32 and fp16: 0.5); repeatable"


def _limit_help() -> str:
    limits = ", ".join(f"{name}={limit.oks:g}" for name, limit in DEFAULT_LIMITS.items())
    return f"least mean OKS of a file's keypoints against the ONNX model's ({limits}); repeatable"


def _limit(text: str) -> tuple[Precision, float]:
    precision, _, value = text.partition("=")
    if precision not in PRECISIONS:
        raise argparse.ArgumentTypeError(f"{text!r}: write PRECISION=NUMBER, such as int8=0.95")
    try:
        number = float(value)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: {value!r} is no number") from None
    if not number >= 0:
        raise argparse.ArgumentTypeError(f"{text!r}: a limit cannot be negative")
    return precision, number


def _limits(options: argparse.Namespace) -> dict[Precision, ParityLimit]:
    limits: dict[Precision, ParityLimit] = dict(DEFAULT_LIMITS)
    for precision, pixels in options.limit_p99_px:
        limits[precision] = replace(limits[precision], keypoint_p99_px=pixels)
    for precision, oks in options.limit_oks:
        limits[precision] = replace(limits[precision], oks=oks)
    return limits


def plan_from(options: argparse.Namespace) -> Plan:
    """The plan that the options describe. Raises InvalidPlan."""
    recipe = RECIPES[options.recipe]
    return Plan(
        onnx_path=options.onnx,
        out_dir=options.out,
        version=options.version,
        calibration=ImageSource(_pictures("--calibration", options.calibration), options.calibration_images),
        golden=ImageSource(_pictures("--golden", options.golden), options.golden_images),
        precisions=tuple(dict.fromkeys(options.precision or recipe["precision"])),
        form=options.input or recipe["input"],
        translator=options.translator,
        ranging=options.ranges or recipe["ranges"],
        scan_layers=options.scan_layers,
        float_layers=options.float_layers,
        onnx_tf_python=options.onnx_tf_python,
        other_runtime=options.runtime_python,
        work_dir=options.work,
        calibration_samples=options.calibration_samples,
        parity_samples=options.parity_samples,
        golden_samples=options.golden_samples,
        limits=_limits(options),
        model_card=options.model_card,
        overwrite=options.overwrite,
    )


def _pictures(option: str, given: Path | None) -> Path:
    """The pictures that an option names, or the sample clip. Raises InvalidPlan where there is neither."""
    if given is not None:
        return given
    if not SAMPLE_CLIP.is_file():
        raise InvalidPlan(
            f"{option} names no pictures and {SAMPLE_CLIP} is not here; give a folder, video or COCO json"
        )
    return SAMPLE_CLIP


def _summary(draft: Draft) -> str:
    parity, latency = draft.manifest.metrics.parity[-1], draft.profile.latency
    oks = "unknown" if parity.oks is None else f"{parity.oks:.4f}"
    transposes = draft.profile.operators.get("TRANSPOSE", 0)
    return (
        f"{draft.bundle_dir}: {draft.size_bytes / 1e6:.2f} MB, heatmap max abs {parity.heatmap_max_abs:.2g}, "
        f"keypoint p99 {parity.keypoint_p99_px:.2f} px and max {parity.keypoint_max_px:.2f} px over "
        f"{parity.keypoints_compared} keypoints, OKS {oks}, {1000 * latency.p50_seconds:.1f} ms on 1 thread, "
        f"{draft.profile.partitions} XNNPACK partition(s), {transposes} Transpose"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of plumbline-convert; returns the exit code."""
    options = parser().parse_args(arguments)
    # TensorFlow greets on stderr when it is imported; what matters here is printed by us.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    from plumbline_conversion.explain import explain
    from plumbline_conversion.pipeline import convert, work_dir

    def run() -> None:
        plan = plan_from(options)
        if options.explain:
            print(explain(plan, work_dir(plan)))
            return
        for draft in convert(plan, report=lambda line: print(line, file=sys.stderr, flush=True)):
            print(_summary(draft))
            if not draft.manifest.metrics.parity[-1].keypoints_compared:
                print(f"warning: {draft.bundle_dir}: no keypoint scored high enough to be compared", file=sys.stderr)

    return exit_code(run, stopped="stopped: no bundle was written; finished steps are kept")


if __name__ == "__main__":
    sys.exit(main())
