"""Measures the coach on real recordings given by path, and prints docs/coach.md's tables with n and intervals.

The keypoints are those of other models (MoveNet, OpenPose, MediaPipe), so this measures the rules and not our own eye.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from plumbline_contract.exercise import Exercise, Fault
from plumbline_contract.sequence import SEEN_SCORE, torso_length
from plumbline_contract.skeleton import KEYPOINT_NAMES, LIMBS, NUM_KEYPOINTS, Keypoint
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
FAULTS_OF: Final[dict[str, dict[str, str]]] = {
    "squat": {"too_shallow": "too_shallow", "knees_in": "knees_caving_in", "trunk_drops_forward": "leaning_too_far"},
    "push_up": {
        "too_shallow": "too_shallow", "hips_sag": "hips_sagging", "hips_high": "hips_too_high",
        "head_drops": "head_hanging",
    },
    "lunge": {
        "too_shallow": "too_shallow", "trunk_drops_forward": "leaning_forward", "knee_past_toes": "knee_past_toes",
    },
    "plank": {"hips_sag": "hips_sagging", "hips_high": "hips_too_high", "head_drops": "head_hanging"},
    "bicep_curl": {
        "not_all_the_way_up": "not_high_enough", "trunk_swings": "leaning_back",
        "elbows_drift_forward": "elbows_drifting",
    },
    "shoulder_press": {
        "not_all_the_way_up": "not_high_enough", "back_arches": "leaning_back", "one_arm_lags": "uneven_arms",
    },
    "front_raise": {"too_low": "not_high_enough", "elbows_bend": "bent_elbows", "trunk_swings": "swinging"},
    "shoulder_shrug": {
        "too_low": "not_high_enough", "elbows_bend": "bent_arms", "one_shoulder_lags": "uneven_shoulders",
    },
    "jumping_jack": {
        "arms_too_low": "arms_too_low", "feet_too_close": "feet_too_narrow", "one_arm_lags": "uneven_arms",
    },
    "glute_bridge": {"hips_too_low": "not_high_enough"},
    "desk_sitting": {
        "head_forward": "forward_head", "slumped_back": "slumping", "rounded_shoulders": "rounded_shoulders",
        "one_shoulder_up": "tilted_shoulders",
    },
}  # fmt: skip
"""The renderer's faults by the names of the coach's rules; those left out have no rule."""
EITHER_WAY: Final = (0.55, 0.85)
"""A rendered repetition that was meant to go this share of the full way may count or not: the renderer's depth and the
rules' progress are not the same number."""
GHOST_AFTER_SECONDS: Final[float] = 0.5
"""A ghost is measured once it has had time to get to where it is going."""
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
        return f"| {name} | {n} | {_share(*recall)} | {_share(*fall_out)} | {f1:.2f} |"


HEAD: Final = "| data | n | wrong ones found | right ones blamed | F1 |\n|---|---|---|---|---|"


def wilson(hits: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """The 95% interval of a share (Wilson 1927)."""
    if n == 0:
        return 0.0, 1.0
    middle, spread = hits / n + z * z / (2 * n), z * math.sqrt(hits * (n - hits) / n**3 + z * z / (4 * n * n))
    return max((middle - spread) / (1 + z * z / n), 0.0), min((middle + spread) / (1 + z * z / n), 1.0)


def _share(hits: int, n: int) -> str:
    low, high = wilson(hits, n)
    return f"{hits} of {n} ({100 * low:.0f} to {100 * high:.0f}%)" if n else "none"


def follow(keypoints_TK3: Keypoints, rate_hz: float, exercise: Exercise) -> list[CoachState]:
    """The coach's state after each frame."""
    coach = Coach(exercise)
    return [coach.update(frame / rate_hz, keypoints_K3) for frame, keypoints_K3 in enumerate(keypoints_TK3)]


def is_blamed(states: Sequence[CoachState]) -> bool:
    """Whether any fault was found."""
    return any(states[-1].fault_counts.values())


def picture_size(keypoints_TK3: Keypoints) -> str:
    """The group of sources that a push-up clip belongs to, told by how far its coordinates reach."""
    width, height = np.nanmax(keypoints_TK3[..., :2], axis=(0, 1))
    if width < 330 and height < 250:
        return "320 x 240"
    return "640 x 360" if width < 650 and height < 370 else "larger"


def evaluate_pushups(path: Path) -> None:
    """Counts against those by eye, and faults against the labels, a group of sources at a time."""
    exercise, groups, exact, counted = load_exercise("push_up"), dict[str, Confusion](), 0, 0
    clips = np.load(path)
    for key in clips.files:
        label, name = key.split("__")
        states = follow(clips[key], 25.0, exercise)
        groups.setdefault(picture_size(clips[key]), Confusion()).add(label == "wrong", is_blamed(states))
        if name in COUNTED_BY_EYE:
            counted += 1
            exact += states[-1].reps == COUNTED_BY_EYE[name]
            if states[-1].reps != COUNTED_BY_EYE[name]:
                print(f"{name}: counted {states[-1].reps}, by eye {COUNTED_BY_EYE[name]}")
    print(f"\nrepetitions exact on {_share(exact, counted)} push-up clips counted by eye\n\n{HEAD}")
    for name, confusion in sorted(groups.items()):
        print(confusion.row(f"push-up, {name}"))


def from_openpose(sequence_T18: Keypoints) -> Keypoints:
    """OpenPose's 18 keypoints as our 17."""
    keypoints_TK3 = np.zeros((len(sequence_T18), NUM_KEYPOINTS, 3))
    for index, name in OPENPOSE.items():
        keypoints_TK3[:, KEYPOINT_NAMES.index(name)] = sequence_T18[:, index]
    return keypoints_TK3


def evaluate_pose_trainer(folder: Path) -> None:
    """Good and bad sequences of four exercises."""
    print(f"\n{HEAD}")
    for prefix, name in POSE_TRAINER.items():
        exercise, confusion, unseen, reps = load_exercise(name), Confusion(), 0, list[int]()
        for path in sorted(folder.rglob("*.npy")):
            if prefix not in path.stem.replace("_", "").replace("shouldershrug", "shrug"):
                continue
            states = follow(from_openpose(np.load(path)), 30.0, exercise)
            reps.append(states[-1].reps + states[-1].partial_reps)
            unseen += states[-1].reps + states[-1].partial_reps == 0
            confusion.add("bad" in path.stem, is_blamed(states))
        print(confusion.row(f"pose-trainer, {name}"), f"no attempt seen in {unseen}, attempts {np.mean(reps):.1f}")


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


@dataclass
class RenderedScore:
    """What the coach made of rendered clips of one exercise."""

    clips: int = 0
    exact: int = 0
    off_by_more: int = 0
    found: int = 0
    missed: int = 0
    false: int = 0
    without_rule: int = 0
    right_seconds: float = 0.0
    false_cues: int = 0

    def add(self, other: RenderedScore) -> None:
        """Sum up."""
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)

    def row(self, name: str) -> str:
        """A row of a table in Markdown."""
        f = 2 * self.found / max(2 * self.found + self.missed + self.false, 1)
        cues = self.false_cues / max(self.right_seconds / 120, 1e-9)
        return (
            f"| {name} | {self.clips} | {_share(self.exact, self.clips)} | {self.off_by_more} | {f:.2f}"
            f" ({self.found}, {self.missed}, {self.false}; {self.without_rule} without a rule) | {cues:.2f} |"
        )


RENDERED_HEAD: Final = (
    "| exercise | clips | count exact | off by more than one | fault F1 (found, missed, false) | false cues, 2 min |\n"
    "|---|---|---|---|---|---|"
)


def rendered_keypoints(clip: dict[str, Any], noise: float, seed: int) -> Keypoints:
    """A rendered clip's keypoints with Gaussian noise in torso lengths; hidden ones score low, others nothing."""
    truth_TK3 = np.array(clip["keypoints"], dtype=np.float64)
    torso_px = float(np.nanpercentile(torso_length(np.where(truth_TK3 > 0, truth_TK3, 0.0)), 75))
    jitter = np.random.default_rng(seed).normal(0, noise * torso_px, truth_TK3[..., :2].shape)
    score_TK = np.select([truth_TK3[..., 2] == 2, truth_TK3[..., 2] == 1], [0.9, 0.5], 0.0)
    return np.concatenate([truth_TK3[..., :2] + jitter, score_TK[..., None]], axis=-1)


def onsets(states: Sequence[CoachState], fps: float) -> list[tuple[str, float]]:
    """When each fault began to be shown."""
    begun, before = [], set[str]()
    for frame, state in enumerate(states):
        shown = {fault.name for fault in state.faults}
        begun += [(name, frame / fps) for name in shown - before]
        before = shown
    return begun


def score_rendered(clip: dict[str, Any], exercise: Exercise, states: Sequence[CoachState]) -> RenderedScore:
    """Counts and faults against what was injected; a fault told within a second of its time is found."""
    names, fps, score = FAULTS_OF[clip["exercise"]], float(clip["fps"]), RenderedScore(clips=1)
    if not states[-1].holds:
        most, least = (sum(rep["depth"] >= depth for rep in clip["repetitions"]) for depth in EITHER_WAY)
        off = max(least - states[-1].reps, states[-1].reps - most, 0)
        score.exact, score.off_by_more = int(off == 0), int(off > 1)
    spells = [(names.get(spell["name"]), spell["onset_seconds"], spell["end_seconds"]) for spell in clip["faults"]]
    told = onsets(states, fps)
    shown = {(fault.name, round(frame / fps, 3)) for frame, state in enumerate(states) for fault in state.faults}
    for name, start, end in spells:
        if name is None:
            score.without_rule += 1
            continue
        hit = any(other == name and start - 1 <= seconds <= end + 1 for other, seconds in shown)
        score.found, score.missed = score.found + hit, score.missed + (not hit)
    score.false = sum(
        not any(other == name and start - 1 <= seconds <= end + 2.5 for other, start, end in spells)
        for name, seconds in told
    )
    if not spells:
        score.right_seconds = len(states) / fps
        asks = (exercise.turn_cue, exercise.hold.break_cue if exercise.hold else None)
        score.false_cues = sum(state.cue_is_new and state.cue not in asks for state in states)
    return score


@dataclass
class GhostScore:
    """How many correct poses were drawn, and how many of them were what they should be."""

    drawn: int = 0
    breaks_no_rule: int = 0
    keeps_lengths: int = 0
    measured_lengths: int = 0
    moves_the_faulty: int = 0

    def take(self, exercise: Exercise, keypoints_TK3: Keypoints, states: Sequence[CoachState], fps: float) -> None:
        """Measure the ghosts of one clip."""
        since = 0
        for keypoints_K3, state in zip(keypoints_TK3, states, strict=True):
            since = since + 1 if state.ghost_K3 is not None else 0
            if state.ghost_K3 is None or since < GHOST_AFTER_SECONDS * fps or not state.faults:
                continue
            torso_px = Pose(keypoints_K3).torso_px() or 1.0
            moves_K2 = np.where(state.ghost_K3[:, 2:] >= SEEN_SCORE, state.ghost_K3[:, :2] - keypoints_K3[:, :2], 0.0)
            moved_K = np.hypot(moves_K2[:, 0], moves_K2[:, 1])
            self.drawn += 1
            faulty = {keypoint for fault in state.faults for keypoint in fault.keypoints}
            self.moves_the_faulty += int(moved_K.argmax()) in faulty
            self.breaks_no_rule += not any(_is_broken(fault, state, torso_px) for fault in exercise.faults)
            if state.view == "side" and not any(fault.name in AFTER for fault in state.faults):
                self.measured_lengths += 1
                self.keeps_lengths += _length_change(keypoints_K3, state.ghost_K3, torso_px) < 0.02

    def table(self) -> str:
        """A table in Markdown."""
        return (
            f"| breaks no rule of that moment | {_share(self.breaks_no_rule, self.drawn)} |\n"
            f"| limbs change by under 2%, seen from the side | {_share(self.keeps_lengths, self.measured_lengths)} |\n"
            f"| the joint that moves most is one at fault | {_share(self.moves_the_faulty, self.drawn)} |"
        )


AFTER: Final = frozenset({"too_shallow", "not_high_enough", "arms_too_low"})
"""Faults shown on an earlier pose: the limbs of that pose are not those of the frame."""


def _is_broken(fault: Fault, state: CoachState, torso_px: float) -> bool:
    condition = fault.condition
    elsewhere = fault.judged in ("after", "at_full") or condition.relative or state.view not in fault.views
    if elsewhere or state.ghost_K3 is None:
        return False
    reading = read(condition.measure, Pose(state.ghost_K3), torso_px)  # type: ignore[arg-type]
    return reading is not None and breaks(condition, reading.value, already=False)


def _length_change(keypoints_K3: Keypoints, ghost_K3: Keypoints, torso_px: float) -> float:
    changes = [0.0]
    for one, other in LIMBS:
        if min(ghost_K3[one, 2], ghost_K3[other, 2]) >= SEEN_SCORE:
            before, after = (float(np.hypot(*(pose[one, :2] - pose[other, :2]))) for pose in (keypoints_K3, ghost_K3))
            changes += [abs(after / before - 1)] if before > 0.15 * torso_px else []
    return max(changes)


def evaluate_rendered(folder: Path, noise: float) -> None:
    """Clips of plumbline-render, whose faults were injected without knowledge of the rules."""
    scores: dict[str, RenderedScore] = {}
    ghosts = GhostScore()
    for number, path in enumerate(sorted(folder.glob("*.json"))):
        clip = json.loads(path.read_bytes())
        name = {"desk_sitting": "sitting"}.get(clip["exercise"], clip["exercise"])
        exercise, fps = load_exercise(name), float(clip["fps"])
        keypoints_TK3 = rendered_keypoints(clip, noise, number)
        states = follow(keypoints_TK3, fps, exercise)
        ghosts.take(exercise, keypoints_TK3, states, fps)
        scores.setdefault(name, RenderedScore()).add(score_rendered(clip, exercise, states))
    print(f"\n{RENDERED_HEAD}")
    total, counted = RenderedScore(), RenderedScore()
    for name, score in sorted(scores.items()):
        print(score.row(name))
        total.add(score)
        if load_exercise(name).repetition:
            counted.add(score)
    print(total.row("all"))
    print(counted.row("all that are counted"))
    print(f"\n| of {ghosts.drawn} correct poses | |\n|---|---|\n{ghosts.table()}")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="evaluate_coach.py", description=__doc__)
    parser.add_argument("--rendered", type=Path, metavar="DIR", help="clips of plumbline-render: their .json files")
    parser.add_argument("--noise", type=float, default=0.03, help="of rendered keypoints, in torso lengths")
    parser.add_argument("--pushups", type=Path, metavar="NPZ", help="clips as label__name: (T, 17, 3)")
    parser.add_argument("--pose-trainer", type=Path, metavar="DIR", help="the unpacked pose-trainer sequences")
    parser.add_argument("--exercise-correction", type=Path, metavar="DIR", help="the unpacked CSV files")
    arguments = parser.parse_args()
    if arguments.rendered:
        evaluate_rendered(arguments.rendered, arguments.noise)
    if arguments.pushups:
        evaluate_pushups(arguments.pushups)
    if arguments.pose_trainer:
        evaluate_pose_trainer(arguments.pose_trainer)
    if arguments.exercise_correction:
        print(f"\n{HEAD}")
        folder = arguments.exercise_correction
        evaluate_frames(folder / "plank_model__test.csv", "plank", {"H": "hips_too_high", "L": "hips_sagging"})
        evaluate_frames(folder / "lunge_model__err.test.csv", "lunge", {"L": "knee_past_toes"})


if __name__ == "__main__":
    main()
