"""Real recordings of right and wrong form, given by path, as the sequences that plumbline-train-form reads."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from infra.evaluate_coach import POSE_TRAINER, Keypoints, from_openpose, picture_size

from plumbline_contract.form import RATE_HZ
from plumbline_contract.sequence import resample

PUSHUP_FPS, POSE_TRAINER_FPS = 25.0, 30.0


def at_rate(keypoints_TK3: Keypoints, fps: float) -> Keypoints:
    """The sequence at the judge's rate."""
    found = np.nan_to_num(np.asarray(keypoints_TK3, dtype=np.float64))
    return resample(found, np.arange(len(found)) / fps, RATE_HZ)[0]


def push_ups(path: Path) -> dict[str, Keypoints]:
    """Clips named label__clip; those of one picture size are one source."""
    clips, sequences = np.load(path), {}
    for key in clips.files:
        label, name = key.split("__")
        source = picture_size(clips[key]).replace(" ", "")
        sequences[f"push_up__{'wrong' if label == 'wrong' else 'right'}__{source}__{name}"] = at_rate(
            clips[key], PUSHUP_FPS
        )
    return sequences


def pose_trainer(folder: Path) -> dict[str, Keypoints]:
    """Four exercises, good and bad; nothing is known of who did which."""
    sequences = {}
    for path in sorted(folder.rglob("*.npy")):
        stem = path.stem.replace("_", "").replace("shouldershrug", "shrug")
        exercise = next(name for prefix, name in POSE_TRAINER.items() if prefix in stem)
        label = "wrong" if "bad" in stem else "right"
        keypoints = at_rate(from_openpose(np.load(path)), POSE_TRAINER_FPS)
        sequences[f"{exercise}__{label}__posetrainer__{path.stem.replace('_', '-')}"] = keypoints
    return sequences


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="form_data", description=__doc__)
    parser.add_argument("out", type=Path, metavar="NPZ")
    parser.add_argument("--pushups", type=Path, metavar="NPZ", help="clips as label__name: (T, 17, 3)")
    parser.add_argument("--pose-trainer", type=Path, metavar="DIR", help="the unpacked pose-trainer sequences")
    arguments = parser.parse_args()
    sequences: dict[str, Keypoints] = {}
    if arguments.pushups:
        sequences |= push_ups(arguments.pushups)
    if arguments.pose_trainer:
        sequences |= pose_trainer(arguments.pose_trainer)
    small: dict[str, Any] = {name: keypoints.astype(np.float32) for name, keypoints in sequences.items()}
    np.savez_compressed(arguments.out, **small)
    print(f"{arguments.out}: {len(sequences)} sequences")


if __name__ == "__main__":
    main()
