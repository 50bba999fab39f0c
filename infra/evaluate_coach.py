"""Measures the coach on real recordings given by path, and prints docs/coach.md's tables with n and intervals.

The keypoints are those of other models (MoveNet, OpenPose, MediaPipe), so this measures the rules and not our own eye.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from infra.evaluate_coach_rendered import follow, share
from infra.evaluate_judge import listen

from plumbline_contract.exercise import Exercise
from plumbline_contract.skeleton import KEYPOINT_NAMES, NUM_KEYPOINTS, Keypoint
from plumbline_edge.bundle import FormBundle, open_form_bundle
from plumbline_edge.coach import Coach, CoachState, load_exercise
from plumbline_edge.coach.faults import breaks
from plumbline_edge.coach.measures import read
from plumbline_edge.coach.pose import Pose

Keypoints = npt.NDArray[np.floating]

OPENPOSE: Final = {
    0: "nose", 2: "right_shoulder", 3: "right_elbow", 4: "right_wrist", 5: "left_shoulder", 6: "left_elbow",
    7: "left_wrist", 8: "right_hip", 9: "right_knee", 10: "right_ankle", 11: "left_hip", 12: "left_knee",
    13: "left_ankle", 14: "right_eye", 15: "left_eye", 16: "right_ear", 17: "left_ear",
}  # fmt: skip
"""OpenPose's 18 keypoints by our names; its neck (1) is no keypoint of ours."""
POSE_TRAINER: Final = {
    "bicep": "bicep_curl", "front": "front_raise", "shoulderpress": "shoulder_press", "shrug": "shoulder_shrug",
}  # fmt: skip
PICTURE_ASPECT: Final[float] = 16 / 9
"""Exercise-Correction's coordinates are shares of a picture whose shape is not told; most of its videos are wide."""
COUNTED_BY_EYE: Final = {
    "correct12": 1, "correct18": 1, "correct23": 1, "correct28": 1, "correct38": 1, "correct41": 1, "correct48": 1,
    "correct58": 2, "correct64": 1, "correct67": 2, "correct74": 2, "correct77": 1, "correct85": 2, "correct90": 1,
    "wrong2": 1, "wrong12": 1, "wrong48": 1, "wrong68": 2, "wrong75": 2, "wrong92": 3,
}  # fmt: skip
"""Repetitions of 20 push-up clips, counted by eye from their pictures before any rule was tuned."""


@dataclass
class Confusion:
    """Wrong is the positive class: how often the coach finds a fault where a person did."""

    found: int = 0
    missed: int = 0
    false: int = 0
    right: int = 0

    def add(self, wrong: bool, told: bool) -> None:
        """One clip or frame."""
        if wrong:
            self.found, self.missed = self.found + told, self.missed + (not told)
        else:
            self.false, self.right = self.false + told, self.right + (not told)

    def row(self, name: str) -> str:
        """A row of a table in Markdown."""
        f1 = 2 * self.found / max(2 * self.found + self.false + self.missed, 1)
        n = self.found + self.missed + self.false + self.right
        recall, fall_out = (self.found, self.found + self.missed), (self.false, self.false + self.right)
        return f"| {name} | {n} | {share(*recall)} | {share(*fall_out)} | {f1:.2f} |"


HEAD: Final = "| data | n | wrong ones found | right ones blamed | F1 |\n|---|---|---|---|---|"


def is_blamed(states: Sequence[CoachState]) -> bool:
    """Whether any fault was found."""
    return any(states[-1].fault_counts.values())


def picture_size(keypoints_TK3: Keypoints) -> str:
    """The group of sources that a push-up clip belongs to, told by how far its coordinates reach."""
    width, height = np.nanmax(keypoints_TK3[..., :2], axis=(0, 1))
    if width < 330 and height < 250:
        return "320 x 240"
    return "640 x 360" if width < 650 and height < 370 else "larger"


def told_by(
    exercise: Exercise, keypoints_TK3: Keypoints, rate_hz: float, bundle: FormBundle | None
) -> dict[str, list[CoachState]]:
    """What the rules made of a sequence, and with a judge what it did, and both."""
    if bundle is None:
        return {"rules": follow(keypoints_TK3, rate_hz, Coach(exercise))}
    return listen(exercise, rate_hz, bundle, keypoints_TK3)


def evaluate_pushups(path: Path, bundle: FormBundle | None) -> None:
    """Counts against those by eye, and faults against the labels, a group of sources at a time."""
    exercise, groups, exact, counted = load_exercise("push_up"), dict[str, Confusion](), 0, 0
    clips = np.load(path)
    for key in clips.files:
        label, name = key.split("__")
        told = told_by(exercise, clips[key], 25.0, bundle)
        states = told["rules"]
        for who, each in told.items():
            group = f"{picture_size(clips[key])}: {who}"
            groups.setdefault(group, Confusion()).add(label == "wrong", is_blamed(each))
        if name in COUNTED_BY_EYE:
            counted += 1
            exact += states[-1].reps == COUNTED_BY_EYE[name]
            if states[-1].reps != COUNTED_BY_EYE[name]:
                print(f"{name}: counted {states[-1].reps}, by eye {COUNTED_BY_EYE[name]}")
    print(f"\nrepetitions exact on {share(exact, counted)} push-up clips counted by eye\n\n{HEAD}")
    for name, confusion in sorted(groups.items()):
        print(confusion.row(f"push-up, {name}"))


def from_openpose(sequence_T18: Keypoints) -> Keypoints:
    """OpenPose's 18 keypoints as our 17."""
    keypoints_TK3 = np.zeros((len(sequence_T18), NUM_KEYPOINTS, 3))
    for index, name in OPENPOSE.items():
        keypoints_TK3[:, KEYPOINT_NAMES.index(name)] = sequence_T18[:, index]
    return keypoints_TK3


def evaluate_pose_trainer(folder: Path, bundle: FormBundle | None) -> None:
    """Good and bad sequences of four exercises."""
    print(f"\n{HEAD}")
    for prefix, name in POSE_TRAINER.items():
        exercise, confusions, unseen, reps = load_exercise(name), dict[str, Confusion](), 0, list[int]()
        for path in sorted(folder.rglob("*.npy")):
            if prefix not in path.stem.replace("_", "").replace("shouldershrug", "shrug"):
                continue
            told = told_by(exercise, from_openpose(np.load(path)), 30.0, bundle)
            states = told["rules"]
            reps.append(states[-1].reps + states[-1].partial_reps)
            unseen += states[-1].reps + states[-1].partial_reps == 0
            for who, each in told.items():
                confusions.setdefault(who, Confusion()).add("bad" in path.stem, is_blamed(each))
        for who, confusion in confusions.items():
            print(confusion.row(f"pose-trainer, {name}: {who}"))
        print(f"{name}: no attempt seen in {unseen}, attempts {np.mean(reps):.1f}")


def frames_of(path: Path) -> Iterator[tuple[str, Pose]]:
    """Label and pose of each row of one of Exercise-Correction's files; joints that it lacks are not seen."""
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            keypoints_K3 = np.full((NUM_KEYPOINTS, 3), np.nan)
            for keypoint in Keypoint:
                name = KEYPOINT_NAMES[keypoint]
                if f"{name}_x" in row:
                    keypoints_K3[keypoint] = (
                        1000 * PICTURE_ASPECT * float(row[f"{name}_x"]), 1000 * float(row[f"{name}_y"]),
                        float(row[f"{name}_v"]),
                    )  # fmt: skip
            yield row["label"], Pose(keypoints_K3)


def evaluate_frames(path: Path, exercise_name: str, faults: dict[str, str], skip: str = "") -> None:
    """Single frames: a fault's condition on its own, without views, time or calibration."""
    rules = {fault.name: fault.condition for fault in load_exercise(exercise_name).faults}
    confusions = {fault: Confusion() for fault in faults.values()}
    for label, pose in frames_of(path):
        for wrong_label, fault in faults.items():
            condition = rules[fault]
            reading = read(condition.measure, pose, pose.torso_px())  # type: ignore[arg-type]
            told = reading is not None and breaks(condition, reading.value, already=False)
            if label != skip:
                confusions[fault].add(label == wrong_label, told)
    for fault, confusion in confusions.items():
        print(confusion.row(f"Exercise-Correction, {path.stem.split('_')[0]}, {fault}"))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="evaluate_coach.py", description=__doc__)
    parser.add_argument("--pushups", type=Path, metavar="NPZ", help="clips as label__name: (T, 17, 3)")
    parser.add_argument("--pose-trainer", type=Path, metavar="DIR", help="the unpacked pose-trainer sequences")
    parser.add_argument("--exercise-correction", type=Path, metavar="DIR", help="the unpacked CSV files")
    parser.add_argument("--judge", type=Path, metavar="BUNDLE", help="a sealed judge: what it says, and both together")
    arguments = parser.parse_args()
    bundle = open_form_bundle(arguments.judge) if arguments.judge else None
    if arguments.pushups:
        evaluate_pushups(arguments.pushups, bundle)
    if arguments.pose_trainer:
        evaluate_pose_trainer(arguments.pose_trainer, bundle)
    if arguments.exercise_correction:
        print(f"\n{HEAD}")
        folder = arguments.exercise_correction
        evaluate_frames(folder / "plank_model__test.csv", "plank", {"H": "hips_too_high", "L": "hips_sagging"})
        evaluate_frames(folder / "lunge_model__err.test.csv", "lunge", {"L": "knee_past_toes"})


if __name__ == "__main__":
    main()
