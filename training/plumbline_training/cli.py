"""Command lines: plumbline-train, plumbline-evaluate, plumbline-export."""

from __future__ import annotations

import argparse
import dataclasses
import json
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from plumbline_contract.errors import PlumblineError
from plumbline_training import engine, evaluate, export, recipes
from plumbline_training.checkpoint import write_atomically
from plumbline_training.config import RunConfig, Stage
from plumbline_training.datasets import DatasetList, load_dataset, load_dataset_list
from plumbline_training.errors import InvalidSettings
from plumbline_training.predictors import Predictor, load_predictor

STAGES_EXAMPLE = "128x96:40:1.5,256x192:10"
DATA_HELP = """
a dataset list is a YAML file; paths are relative to it, or to --data-root:

  train:
    - id: coco-train2017
      annotations: coco/person_keypoints_train2017.json
      images: coco/train2017
      terms: CC BY 4.0
      repeat: 1
  validation:
    id: coco-val2017
    annotations: coco/person_keypoints_val2017.json
    images: coco/val2017
"""


def _parser(program: str, description: str, examples: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=program,
        description=description,
        epilog=f"examples:\n{examples}\n{DATA_HELP}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, required=True, metavar="LIST.yaml", help="dataset list")
    parser.add_argument("--data-root", type=Path, metavar="DIR", help="what the list's paths are relative to")
    return parser


def run_command(main: Callable[[], None], stopped: str = "stopped; nothing was written") -> None:
    """One clear line and exit code 2 for what a user can mend; another and 130 when it is interrupted or terminated."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        main()
    except PlumblineError as error:
        _leave(f"error: {error}", 2)
    except OSError as error:
        where = f"{error.filename!r}: " if error.filename is not None else ""
        _leave(f"error: {where}{error.strerror or error}; check the path and the space on its disk", 2)
    except KeyboardInterrupt:
        _leave(stopped, 130)


def _leave(line: str, code: int) -> None:
    print(line, file=sys.stderr)
    sys.exit(code)


def _lists(arguments: argparse.Namespace) -> DatasetList:
    return load_dataset_list(arguments.data, arguments.data_root)


def _stages(text: str) -> tuple[Stage, ...]:
    """'128x96:40:1.5,256x192:10' as stages."""
    stages = []
    for part in text.split(","):
        match = re.fullmatch(r"(\d+)x(\d+):(\d+)(?::(\d+(?:\.\d+)?))?", part)
        if match is None:
            raise argparse.ArgumentTypeError(
                f"{part!r} is no stage; write HxW:EPOCHS[:TARGET], such as {STAGES_EXAMPLE}"
            )
        height, width, epochs, target = match.groups()
        try:
            size = {} if target is None else {"target_size": float(target)}
            stages.append(Stage(int(height), int(width), int(epochs), **size))
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{error}; a stage looks like {STAGES_EXAMPLE}") from error
    return tuple(stages)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of at least 1")
    return int(text)


def _overridden(config: RunConfig, arguments: argparse.Namespace) -> RunConfig:
    changes = {name: value for name in ("stages", "seed", "workers") if (value := getattr(arguments, name)) is not None}
    try:
        if arguments.batch_size is not None:
            changes["schedule"] = dataclasses.replace(config.schedule, batch_size=arguments.batch_size)
        return dataclasses.replace(config, **changes)
    except ValueError as error:
        raise InvalidSettings(str(error)) from error


def train_main() -> None:
    """Entry point of plumbline-train."""
    parser = _parser(
        "plumbline-train",
        "Train a keypoint model on COCO-style data. Run it again with the same --out to go on where it stopped.",
        "  plumbline-train --recipe edge_s --data data.yaml --out runs/edge_s\n"
        "  plumbline-train --recipe edge_s --stages 128x96:20:1.5,256x192:5 --data data.yaml --out runs/short\n"
        "  plumbline-train --init runs/short/best.pt --data more.yaml --out runs/longer\n"
        "  plumbline-train --recipe tiny --data data.yaml --out /tmp/tiny",
    )
    parser.add_argument(
        "--recipe", default="edge_s", help=f"one of {', '.join(sorted(recipes.RECIPES))} (default edge_s)"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoints, metrics and curves")
    parser.add_argument(
        "--init", type=Path, metavar="CHECKPOINT", help="start from another run's best.pt, or from a bare state dict"
    )
    parser.add_argument(
        "--stages",
        type=_stages,
        metavar="HxW:EPOCHS[:TARGET],…",
        help=f"instead of the recipe's, such as {STAGES_EXAMPLE}. TARGET is the deviation of the Gaussian in heatmap "
        f"pixels, a quarter of the input's (default {Stage.target_size})",
    )
    parser.add_argument("--batch-size", type=_positive, help="instead of the recipe's")
    parser.add_argument("--seed", type=int, help="instead of the recipe's")
    parser.add_argument("--workers", type=int, help="processes that prepare crops (0: none besides the main one)")
    parser.add_argument(
        "--stop-after", type=_positive, metavar="EPOCH", help="stop there; the same command goes on later"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bars")
    arguments = parser.parse_args()

    def main() -> None:
        listed = _lists(arguments)
        config = _overridden(recipes.recipe_named(arguments.recipe), arguments)
        train_sets = [load_dataset(entry) for entry in listed.train]
        best = engine.train(
            config,
            train_sets,
            load_dataset(listed.validation),
            arguments.out,
            quiet=arguments.quiet,
            initial=arguments.init,
            stop_after=arguments.stop_after,
        )
        print(f"best checkpoint: {best}")

    run_command(main, "stopped; the same command goes on from the last finished epoch")


def evaluate_main() -> None:
    """Entry point of plumbline-evaluate."""
    parser = _parser(
        "plumbline-evaluate",
        "Measure COCO keypoint AP of models on the list's validation set, with ground-truth boxes.",
        "  plumbline-evaluate --data data.yaml runs/edge_s/best.pt build/int8 movenet-thunder.tflite --json ap.json\n"
        "  plumbline-evaluate --data data.yaml --into-manifest build/int8",
    )
    parser.add_argument("models", nargs="+", type=Path, help="checkpoint .pt, .onnx, bundle folder, MoveNet .tflite")
    parser.add_argument("--flip", action="store_true", help="average with the mirrored crop (torch checkpoints)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    parser.add_argument("--into-manifest", action="store_true", help="add the AP to the manifest of each draft bundle")
    arguments = parser.parse_args()

    def main() -> None:
        _check_outputs(arguments)
        predictors = [_predictor(path, arguments.flip) for path in arguments.models]
        dataset = load_dataset(_lists(arguments).validation)
        measured = {}
        print(f"{dataset.entry.id}: {dataset.images} pictures, {len(dataset.persons)} persons, ground-truth boxes")
        print(f"{'AP':>6} {'95% interval':>14} {'AP50':>6} {'AR':>6} {'PCK@.2':>6}  model")
        for path, predictor in zip(arguments.models, predictors, strict=True):
            result = evaluate.evaluate(dataset, predictor)
            measured[str(path)] = dataclasses.asdict(result)
            low, high = result.ap_interval or (float("nan"), float("nan"))
            print(
                f"{result.ap:6.3f} {f'{low:.3f} to {high:.3f}':>14} {result.ap50:6.3f} {result.ar:6.3f} "
                f"{result.pck:6.3f}  {path}"
            )
            if arguments.into_manifest:
                evaluate.add_to_manifest(path, result.record(predictor))
        if arguments.json is not None:
            write_atomically(json.dumps(measured, indent=2) + "\n", arguments.json)

    run_command(main, "stopped; models measured so far are above")


def _check_outputs(arguments: argparse.Namespace) -> None:
    """What the figures go into, before the minutes it takes to have them."""
    if arguments.into_manifest:
        for path in arguments.models:
            evaluate.open_draft(path)
    if arguments.json is not None and not arguments.json.absolute().parent.is_dir():
        raise InvalidSettings(f"--json {str(arguments.json)!r}: its folder does not exist; make it first")


def _predictor(path: Path, flip: bool) -> Predictor:
    if path.suffix == ".pt":
        net, config, _ = export.load_model(path)
        return engine.stage_predictor(net, config, config.final_stage, flip)
    return load_predictor(path)


def export_main() -> None:
    """Entry point of plumbline-export."""
    parser = _parser(
        "plumbline-export",
        "Export a checkpoint to ONNX: measures AP of the torch form and parity of the ONNX form on the validation set.",
        "  plumbline-export --data data.yaml runs/edge_s/best.pt --out build/model.onnx",
    )
    parser.add_argument("checkpoint", type=Path, help="best.pt of a run")
    parser.add_argument("--out", type=Path, required=True, metavar="MODEL.onnx", help="file to write")
    parser.add_argument("--half", type=Path, metavar="FILE.pt", help="also keep float16 weights, to train on from")
    arguments = parser.parse_args()

    def main() -> None:
        net, config, _ = export.load_model(arguments.checkpoint)
        dataset = load_dataset(_lists(arguments).validation)
        predictor = engine.stage_predictor(net, config, config.final_stage)
        result = evaluate.evaluate(dataset, predictor)
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        record = export.export(arguments.checkpoint, arguments.out, dataset, [result.record(predictor)])
        if arguments.half is not None:
            export.export_half(arguments.checkpoint, arguments.half)
        parity = record.metrics.parity[0]
        print(
            f"{arguments.out}: {record.name} {record.input.height}x{record.input.width}, AP {result.ap:.3f} on "
            f"{result.persons} persons, parity torch -> ONNX {parity.heatmap_max_abs:.1e} on heatmaps"
        )

    run_command(main)
