"""Command line of plumbline-evaluate."""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path

from plumbline_training import evaluate, export
from plumbline_training.checkpoint import write_atomically
from plumbline_training.cli import dataset_list, dataset_parser, run_command
from plumbline_training.datasets import load_dataset
from plumbline_training.errors import InvalidSettings
from plumbline_training.predictors import Predictor, load_predictor
from plumbline_training.tasks import stage_predictor


def evaluate_main() -> None:
    """Entry point of plumbline-evaluate."""
    parser = dataset_parser(
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
        dataset = load_dataset(dataset_list(arguments).validation)
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
        return stage_predictor(net, config, config.final_stage, flip)
    return load_predictor(path)
