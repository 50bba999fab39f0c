"""Command line of plumbline-train, and what the other commands share with it."""

from __future__ import annotations

import argparse
import dataclasses
import os
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from plumbline_contract.errors import PlumblineError
from plumbline_training import engine, recipes
from plumbline_training.config import Distillation, RunConfig, Stage
from plumbline_training.datasets import DatasetList, load_dataset, load_dataset_list
from plumbline_training.distillation import load_teacher
from plumbline_training.distributed import own_device
from plumbline_training.errors import InvalidSettings
from plumbline_training.tracking import MlflowTracker, Tracker, local_uri

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


def dataset_parser(program: str, description: str, examples: str) -> argparse.ArgumentParser:
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


def dataset_list(arguments: argparse.Namespace) -> DatasetList:
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
        schedule: dict[str, Any] = {}
        for name in ("batch_size", "learning_rate"):
            if (value := getattr(arguments, name)) is not None:
                schedule[name] = value
        if arguments.sync_batch_norm:
            schedule["sync_batch_norm"] = True
        changes["schedule"] = dataclasses.replace(config.schedule, **schedule)
        return dataclasses.replace(config, **changes)
    except ValueError as error:
        raise InvalidSettings(str(error)) from error


def _taught(config: RunConfig, digest: str, arguments: argparse.Namespace) -> RunConfig:
    try:
        settings = Distillation(digest, arguments.teacher_weight, arguments.teacher_min_score)
    except ValueError as error:
        raise InvalidSettings(str(error)) from error
    return dataclasses.replace(config, distillation=settings)


def _textfile(path: Path) -> Tracker:
    """Imported here alone: a run that writes no such file needs no prometheus-client."""
    from plumbline_training.textfile import Textfile

    return Textfile(path)


def train_main() -> None:
    """Entry point of plumbline-train."""
    parser = dataset_parser(
        "plumbline-train",
        "Train a keypoint model on COCO-style data. Run it again with the same --out to go on where it stopped.",
        "  plumbline-train --recipe edge_s --data data.yaml --out runs/edge_s\n"
        "  plumbline-train --recipe edge_s --stages 128x96:20:1.5,256x192:5 --data data.yaml --out runs/short\n"
        "  plumbline-train --init runs/short/best.pt --data more.yaml --out runs/longer\n"
        "  plumbline-train --recipe edge_s --teacher runs/w32/best.pt --data data.yaml --out runs/student\n"
        "  plumbline-train --recipe tiny --data data.yaml --out /tmp/tiny\n"
        "  torchrun --nproc-per-node 4 --max-restarts 3 -m plumbline_training --recipe hrnet_w32_256x192 "
        "--data data.yaml --out runs/w32",
    )
    parser.add_argument(
        "--recipe", default="edge_s", help=f"one of {', '.join(sorted(recipes.RECIPES))} (default edge_s)"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoints, metrics and curves")
    parser.add_argument(
        "--init", type=Path, metavar="CHECKPOINT", help="start from another run's best.pt, or from a bare state dict"
    )
    parser.add_argument(
        "--init-partial", action="store_true", help="take of --init what fits, such as a trunk trained on ImageNet"
    )
    parser.add_argument(
        "--stages",
        type=_stages,
        metavar="HxW:EPOCHS[:TARGET],…",
        help=f"instead of the recipe's, such as {STAGES_EXAMPLE}. TARGET is the deviation of the Gaussian in heatmap "
        f"pixels, a quarter of the input's (default {Stage.target_size})",
    )
    parser.add_argument("--batch-size", type=_positive, help="instead of the recipe's")
    parser.add_argument("--learning-rate", type=float, metavar="RATE", help="instead of the recipe's")
    parser.add_argument(
        "--sync-batch-norm",
        action="store_true",
        help="batch statistics over all GPUs, for batches that leave few crops on each",
    )
    parser.add_argument("--seed", type=int, help="instead of the recipe's")
    parser.add_argument("--workers", type=int, help="processes that prepare crops (0: none besides the main one)")
    parser.add_argument(
        "--stop-after", type=_positive, metavar="EPOCH", help="stop there; the same command goes on later"
    )
    parser.add_argument(
        "--teacher",
        type=Path,
        metavar="MODEL",
        help="learn from this model too, on labelled and unlabelled persons: .pt, .onnx, bundle, MoveNet .tflite",
    )
    parser.add_argument(
        "--teacher-weight",
        type=float,
        default=Distillation.weight,
        help=f"its share in the loss of labelled keypoints (default {Distillation.weight})",
    )
    parser.add_argument(
        "--teacher-min-score",
        type=float,
        default=Distillation.min_score,
        help=f"keypoints that it scores lower teach nothing (default {Distillation.min_score})",
    )
    parser.add_argument("--compile", action="store_true", help="fuse the net by torch.compile; worth its wait on a GPU")
    parser.add_argument(
        "--mlflow",
        nargs="?",
        const="",
        metavar="URI",
        help="track the run in MLflow too: a server's address, or without URI MLFLOW_TRACKING_URI, else a database "
        "beside --out (needs the extra 'tracking'); `mlflow ui --backend-store-uri sqlite:///runs/mlflow.db` shows it",
    )
    parser.add_argument(
        "--textfile",
        type=Path,
        metavar="RUN.prom",
        help="write the figures for Prometheus there too, in a folder that node exporter's textfile collector reads",
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bars")
    arguments = parser.parse_args()

    def main() -> None:
        if arguments.init_partial and arguments.init is None:
            raise InvalidSettings("--init-partial takes of --init what fits; name that too")
        listed = dataset_list(arguments)
        config = _overridden(recipes.recipe_named(arguments.recipe), arguments)
        teacher = None
        if arguments.teacher is not None:
            own_device()  # or the teachers of all processes would crowd the first GPU
            teacher, digest = load_teacher(arguments.teacher)
            config = _taught(config, digest, arguments)
        train_sets = [load_dataset(entry) for entry in listed.train]
        trackers: list[Tracker] = []
        if arguments.mlflow is not None:
            uri = arguments.mlflow or os.environ.get("MLFLOW_TRACKING_URI") or local_uri(arguments.out)
            trackers.append(MlflowTracker(uri))
        if arguments.textfile is not None:
            trackers.append(_textfile(arguments.textfile))
        best = engine.train(
            config,
            train_sets,
            load_dataset(listed.validation),
            arguments.out,
            quiet=arguments.quiet,
            initial=arguments.init,
            initial_partial=arguments.init_partial,
            stop_after=arguments.stop_after,
            teacher=teacher,
            compiled=arguments.compile,
            trackers=trackers,
        )
        print(f"best checkpoint: {best}")

    run_command(main, "stopped; the same command goes on from the last finished epoch")
