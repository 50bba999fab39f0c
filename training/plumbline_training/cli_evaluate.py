"""Command line of plumbline-evaluate."""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from plumbline_training import evaluate, report
from plumbline_training.boxes import Detection, evaluate_detected, load_detections
from plumbline_training.checkpoint import write_atomically
from plumbline_training.cli import dataset_list, dataset_parser, run_command
from plumbline_training.datasets import Dataset, load_dataset
from plumbline_training.errors import InvalidSettings
from plumbline_training.models import load_people_predictor, load_predictor
from plumbline_training.people import PeoplePredictor, find_people
from plumbline_training.predictors import Predictor

HEADER = "    AP   95% interval   AP50   AP75    APm    APl     AR    PCK  boxes         model"


def evaluate_main() -> None:
    """Entry point of plumbline-evaluate."""
    parser = dataset_parser(
        "plumbline-evaluate",
        "Measure COCO keypoint AP of models on the list's validation set: on ground-truth boxes, on a detector's, or, "
        "for a bottom-up net, without boxes.",
        "  plumbline-evaluate --data data.yaml runs/edge_s/best.pt build/int8 movenet-thunder.tflite --json ap.json\n"
        "  plumbline-evaluate --data data.yaml runs/w32/best.pt --flip --detections person_boxes.json --html ap.html\n"
        "  plumbline-evaluate --data data.yaml --into-manifest build/int8",
    )
    parser.add_argument(
        "models",
        nargs="+",
        type=Path,
        help="checkpoint .pt, .onnx, bundle folder or its model.tflite; MoveNet's or BlazePose's .tflite",
    )
    parser.add_argument("--flip", action="store_true", help="average with the mirrored crop (heatmap models)")
    parser.add_argument(
        "--detections",
        type=Path,
        metavar="FILE",
        help="also measure on a detector's boxes: COCO detection results [{image_id, category_id, bbox, score}]",
    )
    parser.add_argument("--detection-min-score", type=float, default=0.0, help="leave out boxes below (default 0)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a page with plots and the worst crops")
    parser.add_argument(
        "--results", type=Path, metavar="FILE", help="write what one model found as COCO keypoint results"
    )
    parser.add_argument("--into-manifest", action="store_true", help="add AP and evaluation.npz to each draft bundle")
    arguments = parser.parse_args()

    def main() -> None:
        _check_outputs(arguments)
        predictors = [load_people_predictor(path) or load_predictor(path, arguments.flip) for path in arguments.models]
        if arguments.html and all(isinstance(predictor, PeoplePredictor) for predictor in predictors):
            raise InvalidSettings("--html shows crops, and a bottom-up net has none; name a top-down model too")
        _check_people(arguments, predictors)
        dataset = load_dataset(dataset_list(arguments).validation)
        detections = None
        if arguments.detections is not None:
            detections = load_detections(arguments.detections, arguments.detection_min_score)
        print(f"{dataset.entry.id}: {dataset.images} pictures, {len(dataset.persons)} persons\n{HEADER}")
        measured = [
            _measure(path, predictor, dataset, detections, arguments)
            for path, predictor in zip(arguments.models, predictors, strict=True)
        ]
        if arguments.json is not None:
            figures = {str(path): record for path, (record, _) in zip(arguments.models, measured, strict=True)}
            write_atomically(json.dumps(_finite(figures), indent=2) + "\n", arguments.json)
        if arguments.html is not None:
            write_atomically(report.page(dataset, [model for _, model in measured if model]), arguments.html)

    run_command(main, "stopped; models measured so far are above")


def _measure(
    path: Path,
    predictor: Predictor | PeoplePredictor,
    dataset: Dataset,
    detections: list[Detection] | None,
    arguments: argparse.Namespace,
) -> tuple[dict[str, Any], report.Measured | None]:
    """Print a line a kind of boxes; the figures for JSON, and what the page shows of a top-down model."""
    if isinstance(predictor, PeoplePredictor):
        found = find_people(dataset, predictor)
        result = evaluate.score(dataset, found, "none")
        print(_line(result, path), flush=True)
        if arguments.results is not None:
            write_atomically(json.dumps(evaluate.results(found)) + "\n", arguments.results)
        return {"evaluations": [dataclasses.asdict(result)]}, None
    keypoints = evaluate.predict(dataset, predictor)
    evaluations = [evaluate.on_truth(dataset, keypoints)]
    found = evaluate.found_on_truth(dataset, keypoints)
    print(_line(evaluations[0], path), flush=True)
    if detections is not None:
        detected, found = evaluate_detected(dataset, predictor, detections)
        evaluations.append(detected)
        print(_line(detected, path), flush=True)
    if arguments.results is not None:
        write_atomically(json.dumps(evaluate.results(found)) + "\n", arguments.results)
    if arguments.into_manifest:
        record = evaluate.picture_by_picture(dataset, evaluate.found_on_truth(dataset, keypoints))
        evaluate.add_to_manifest(path, evaluations[0].record(predictor), record)
    detail = evaluate.detail(dataset, keypoints)
    figures = {
        "evaluations": [dataclasses.asdict(item) for item in evaluations],
        "oks_by_keypoint": detail.oks_K,
        "visible": detail.visible._asdict(),
        "occluded": detail.occluded._asdict(),
    }
    return figures, report.Measured("/".join(path.parts[-2:]), path, evaluations, detail, keypoints)


def _line(result: evaluate.Evaluation, path: Path) -> str:
    low, high = (report.number(value) for value in result.ap_interval or (None, None))
    figures = (result.ap50, result.ap75, result.ap_medium, result.ap_large, result.ar, result.pck)
    columns = " ".join(f"{report.number(value):>6}" for value in figures)
    return f"{report.number(result.ap):>6} {f'{low} to {high}':>14} {columns}  {result.boxes:<12}  {path}"


def _finite(value: Any) -> Any:
    """The same figures, with null for what JSON has no number for."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _check_people(arguments: argparse.Namespace, predictors: Sequence[Predictor | PeoplePredictor]) -> None:
    """Boxes and mirrored crops are of no use to a net that takes whole pictures."""
    for path, predictor in zip(arguments.models, predictors, strict=True):
        if isinstance(predictor, PeoplePredictor) and (arguments.flip or arguments.detections):
            option = "--flip" if arguments.flip else "--detections"
            raise InvalidSettings(f"{option}: {str(path)!r} finds people in whole pictures; measure it by itself")


def _check_outputs(arguments: argparse.Namespace) -> None:
    """What the figures go into, before the minutes it takes to have them."""
    if arguments.into_manifest and arguments.flip:
        raise InvalidSettings(
            "--into-manifest takes the figures of what a device computes, and none flips; drop --flip"
        )
    if arguments.into_manifest:
        for path in arguments.models:
            evaluate.open_draft(path)
    if arguments.results is not None and len(arguments.models) > 1:
        raise InvalidSettings("--results holds what one model found; name one model")
    for option in ("json", "html", "results"):
        path = getattr(arguments, option)
        if path is not None and not path.absolute().parent.is_dir():
            raise InvalidSettings(f"--{option} {str(path)!r}: its folder does not exist; make it first")
