"""What a run writes and says after each epoch."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from plumbline_training import lineage, plots
from plumbline_training.checkpoint import save_atomically, write_atomically
from plumbline_training.config import RunConfig
from plumbline_training.datasets import Dataset
from plumbline_training.evaluate import Evaluation
from plumbline_training.state import TrainingState

LAST_CHECKPOINT = "last.pt"
BEST_CHECKPOINT = "best.pt"
METRICS_FILE = "metrics.jsonl"
CURVES_FILE = "curves.png"


def record(
    state: TrainingState,
    config: RunConfig,
    out: Path,
    figures: dict[str, float],
    measured: Evaluation,
    train_sets: Sequence[Dataset],
) -> dict[str, Any]:
    """Append the epoch's figures, draw the curves, save the checkpoints; returns the figures."""
    stage = config.stage_at(state.epoch - 1)
    line = {
        "epoch": state.epoch,
        "height": stage.height,
        **figures,
        "learning_rate": state.scheduler.get_last_lr()[0],
        **{key: value for key, value in asdict(measured).items() if value is not None},
    }
    lines = [*_metrics_before(out, state.epoch), line]
    write_atomically("".join(json.dumps(item) + "\n" for item in lines), out / METRICS_FILE)
    plots.curves(lines, out / CURVES_FILE)
    # Only the last size counts: a better AP at a smaller input is no better model to export.
    if stage != config.final_stage or measured.ap >= state.best_ap:
        state.best_ap = measured.ap if stage == config.final_stage else -1.0
        save_atomically(_weights(state, config, measured, train_sets), out / BEST_CHECKPOINT)
    save_atomically(state.to_dict(config), out / LAST_CHECKPOINT)
    return line


def _weights(
    state: TrainingState, config: RunConfig, measured: Evaluation, train_sets: Sequence[Dataset]
) -> dict[str, Any]:
    return {
        "net": state.evaluated.state_dict(),
        "config": config.to_dict(),
        "epoch": state.epoch,
        "ap": measured.ap,
        "datasets": [dataset.lineage().model_dump() for dataset in train_sets],
        "git_commit": lineage.git_commit(),
        "tools": lineage.tool_versions(),
        "initial": state.initial,
    }


def _metrics_before(out: Path, epoch: int) -> Iterator[dict[str, Any]]:
    """The figures of earlier epochs; a line that a crash cut short is left out."""
    path = out / METRICS_FILE
    if not path.exists():
        return
    for text in path.read_text(encoding="utf-8", errors="replace").splitlines():
        with contextlib.suppress(ValueError, KeyError, TypeError):
            line = json.loads(text)
            if line["epoch"] < epoch:
                yield line


def progress(config: RunConfig, line: dict[str, Any], epoch_seconds: float) -> str:
    """One line on the epoch that ended, with the time to the end of the run."""
    epoch = line["epoch"]
    stage = config.stage_at(epoch - 1)
    if epoch == config.epochs:
        ahead = "done"
    else:
        ahead = f"{config.epochs - epoch} epochs, about {duration(seconds_to_go(config, epoch, epoch_seconds))} to go"
    pck = f"PCK {line['pck']:.3f} " if "pck" in line else ""
    return (
        f"epoch {epoch}/{config.epochs} {stage.height}x{stage.width} loss {line['loss']:.4f} AP {line['ap']:.3f} "
        f"AP50 {line['ap50']:.3f} {pck}{line['images_per_second']:.0f} images/s, {ahead}"
    )


def seconds_to_go(config: RunConfig, epoch: int, epoch_seconds: float) -> float:
    """Time for the epochs after the first `epoch`, when the last one took so long: it grows with the pixels."""
    pixels = [stage.height * stage.width for stage in map(config.stage_at, range(config.epochs))]
    return epoch_seconds * sum(pixels[epoch:]) / pixels[epoch - 1]


def duration(seconds: float) -> str:
    """'2 h 05 min', '7 min' or '40 s'."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"
