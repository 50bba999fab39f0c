"""`make bench-models`: models beside each other, on the same persons and the same processor in one run.

AP and its parts on the validation set of a dataset list (ground-truth boxes, each model's own crop); PCK@0.2 on sports
pictures of a second list; latency with the contestants taking turns; file size; and, with --conditions, PCK@0.2 of the
same persons in the dark, blurred, small, turned, half hidden. Models are bundles, or MoveNet's and BlazePose's files.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt
from ai_edge_litert.interpreter import Interpreter

from plumbline_contract.box import Box
from plumbline_training import evaluate
from plumbline_training.datasets import Dataset, load_dataset, load_dataset_list
from plumbline_training.models import load_predictor
from plumbline_training.predictors import Predictor

Image = npt.NDArray[np.uint8]
ROUNDS: Final = 30
DRAWS: Final = 1000
THREADS: Final = (1, 2)


@dataclass(frozen=True)
class Condition:
    """Something that makes a picture harder; keypoints stay where they are, unless `turned`."""

    name: str
    change: Callable[[Image, Sequence[Box]], Image]
    turned: bool = False


def _dark(image: Image, boxes: Sequence[Box]) -> Image:
    """A dim room: an eighth of the light, with a sensor's noise (deviation 3 of 255) at a fixed seed."""
    noise = np.random.default_rng(0).normal(0, 3, image.shape)
    return np.clip(image / 8 + noise, 0, 255).astype(np.uint8)


def _blurred(image: Image, boxes: Sequence[Box]) -> Image:
    """A lens out of focus: a deviation of a fiftieth of the tallest person."""
    return np.asarray(cv2.GaussianBlur(image, (0, 0), max(box.height for box in boxes) / 50), np.uint8)


def _moved(image: Image, boxes: Sequence[Box]) -> Image:
    """Smeared sideways over a fifteenth of the tallest person's height."""
    length = max(1, round(max(box.height for box in boxes) / 15))
    return np.asarray(cv2.blur(image, (length, 1)), np.uint8)


def _small(image: Image, boxes: Sequence[Box]) -> Image:
    """As if the tallest person were 64 pixels tall."""
    scale = min(1.0, 64 / max(box.height for box in boxes))
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, image.shape[1::-1], interpolation=cv2.INTER_LINEAR), np.uint8)


def _covered(image: Image, boxes: Sequence[Box]) -> Image:
    """A grey bar across the middle fifth of each person's height."""
    covered = image.copy()
    for box in boxes:
        left, right = (round(box.centre_x + sign * box.width / 2) for sign in (-1, 1))
        top, bottom = (round(box.centre_y + sign * box.height / 10) for sign in (-1, 1))
        cv2.rectangle(covered, (left, top), (right, bottom), (128, 128, 128), cv2.FILLED)
    return covered


def _left_half_only(image: Image, boxes: Sequence[Box]) -> Image:
    """Half out of the frame: black from the first person's middle on."""
    cut = image.copy()
    cut[:, max(0, round(boxes[0].centre_x)) :] = 0
    return cut


CONDITIONS: Final = (
    Condition("as they are", lambda image, boxes: image),
    Condition("dark", _dark),
    Condition("out of focus", _blurred),
    Condition("motion blur", _moved),
    Condition("64 px tall", _small),
    Condition("bar across", _covered),
    Condition("half out of frame", _left_half_only),
    Condition("turned by 90 degrees", lambda image, boxes: np.ascontiguousarray(np.rot90(image)), turned=True),
)


class Under:
    """A predictor that sees every picture under a condition."""

    def __init__(self, predictor: Predictor, condition: Condition) -> None:
        self._predictor, self._condition = predictor, condition
        self.stage, self.precision = predictor.stage, predictor.precision

    def __call__(self, image_bgr_HW3: Image, boxes: Sequence[Box]) -> npt.NDArray[np.float32]:
        """One person at a time, since a condition is of one person's box."""
        return np.concatenate([self._one(image_bgr_HW3, box) for box in boxes])

    def _one(self, image: Image, box: Box) -> npt.NDArray[np.float32]:
        changed = self._condition.change(image, [box])
        if not self._condition.turned:
            return self._predictor(changed, [box])
        # Counterclockwise: (x, y) comes to lie at (y, width - 1 - x).
        last = image.shape[1] - 1
        found_1K3 = self._predictor(changed, [Box(box.centre_y, last - box.centre_x, box.height, box.width)])
        return np.stack([last - found_1K3[..., 1], found_1K3[..., 0], found_1K3[..., 2]], axis=-1)


def pck(dataset: Dataset, found: Sequence[npt.NDArray[np.float32]]) -> tuple[float, float, float]:
    """PCK@0.2 and its 95% interval by a bootstrap over persons."""
    correct_NK, counted_NK = evaluate.correct_keypoints(dataset.persons, found)
    correct_N, counted_N = (correct_NK & counted_NK).sum(axis=1), counted_NK.sum(axis=1)
    drawn = np.random.default_rng(0).integers(0, len(counted_N), (DRAWS, len(counted_N)))
    low, high = np.percentile(correct_N[drawn].sum(axis=1) / counted_N[drawn].sum(axis=1), [2.5, 97.5])
    return float(correct_N.sum() / counted_N.sum()), float(low), float(high)


def latencies(files: Sequence[Path], threads: int) -> list[float]:
    """Median milliseconds of an inference of each file, taking turns; the first fifth is warming up."""
    runs = []
    for file in files:
        interpreter: Any = Interpreter(model_path=str(file), num_threads=threads)
        interpreter.allocate_tensors()
        (source,) = interpreter.get_input_details()
        generator = np.random.default_rng(0)
        interpreter.set_tensor(source["index"], generator.integers(0, 2, source["shape"]).astype(source["dtype"]))
        runs.append(interpreter.invoke)
    taken = np.zeros((ROUNDS, len(runs)))
    for turn in range(ROUNDS):
        for index, run in enumerate(runs):
            started = time.perf_counter()
            run()
            taken[turn, index] = 1000 * (time.perf_counter() - started)
    return [float(value) for value in np.median(taken[ROUNDS // 5 :], axis=0)]


def _file(model: Path) -> Path:
    return model / "model.tflite" if model.is_dir() else model


def _number(value: float) -> str:
    return f"{value:.3f}".replace("0.", ".", 1) if 0 <= value < 1 else f"{value:.3f}"


def _spread(values: tuple[float, float, float]) -> str:
    middle, low, high = map(_number, values)
    return f"{middle} ({low} to {high})"


def table(models: Sequence[Path], truth: Dataset, sports: Dataset | None) -> None:
    """Print a line a model."""
    taken = {threads: latencies([_file(model) for model in models], threads) for threads in THREADS}
    print(f"{truth.entry.id}: {len(truth.persons)} persons of {truth.images} pictures", end="")
    print(f"; {sports.entry.id}: {len(sports.persons)} persons of {sports.images} pictures" if sports else "")
    columns = (
        "model",
        "AP (95% interval)",
        "AP50",
        "APm",
        "APl",
        "PCK@0.2",
        "PCK@0.2, sports",
        "ms, 1 thread",
        "2",
        "MB",
    )
    print(f"\n| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for index, model in enumerate(models):
        predictor = load_predictor(model)
        found = evaluate.predict(truth, predictor)
        result = evaluate.on_truth(truth, found)
        cells = [
            _name(model),
            _spread((result.ap, *(result.ap_interval or (result.ap, result.ap)))),
            *map(_number, (result.ap50, result.ap_medium, result.ap_large)),
            _spread(pck(truth, found)),
            _spread(pck(sports, evaluate.predict(sports, predictor))) if sports else "",
            *(f"{taken[threads][index]:.1f}" for threads in THREADS),
            f"{_file(model).stat().st_size / 1e6:.2f}",
        ]
        print(f"| {' | '.join(cells)} |", flush=True)


def conditions(models: Sequence[Path], truth: Dataset) -> None:
    """Print PCK@0.2 of each model under each condition."""
    print(f"\n| PCK@0.2 | {' | '.join(_name(model) for model in models)} |\n|---|{'---|' * len(models)}")
    predictors = [load_predictor(model) for model in models]
    for condition in CONDITIONS:
        found = [_spread(pck(truth, evaluate.predict(truth, Under(item, condition)))) for item in predictors]
        print(f"| {condition.name} | {' | '.join(found)} |", flush=True)


def _validation(data: Path, root: Path | None) -> Dataset:
    return load_dataset(load_dataset_list(data, root).validation)


def _name(model: Path) -> str:
    return "/".join(model.parts[-2:]) if model.is_dir() else model.stem


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="make bench-models", description=__doc__)
    parser.add_argument("models", nargs="+", type=Path, help="bundle folders, and .tflite files of peers")
    parser.add_argument(
        "--data", type=Path, required=True, metavar="YAML", help="dataset list; its validation set counts"
    )
    parser.add_argument("--sports", type=Path, metavar="YAML", help="list whose validation set is of sports pictures")
    parser.add_argument("--data-root", type=Path, help="where the lists' paths begin (default: the list's folder)")
    parser.add_argument("--conditions", action="store_true", help="also in the dark, blurred, turned and the like")
    arguments = parser.parse_args()
    truth = _validation(arguments.data, arguments.data_root)
    table(arguments.models, truth, _validation(arguments.sports, arguments.data_root) if arguments.sports else None)
    if arguments.conditions:
        conditions(arguments.models, truth)


if __name__ == "__main__":
    main()
