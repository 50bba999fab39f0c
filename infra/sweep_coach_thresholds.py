"""Prints how well each rule of the coach tells rendered faults at thresholds around its own.

python -m infra.sweep_coach_thresholds CLIPS [--exercise NAME] [--noise KIND | --errors NPZ | --found DIR] [--draws N]

CLIPS are of `plumbline-render clips --keypoints-only`, of seeds that no table of docs/coach.md is of. The rules do not
depend on one another, so one run of an exercise moves them all.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from infra.coach_eyes import Keypoints, add_eye, eye_of
from infra.evaluate_coach_rendered import (
    Score,
    clip_paths,
    exercise_of,
    follow,
    matched,
    spells_of,
    told_in,
)
from tqdm import tqdm

from plumbline_contract.exercise import Exercise, Fault
from plumbline_edge.coach import Coach, load_exercise

STEPS: Final = 7
"""Thresholds to either side of a rule's own."""
STEP_SIZES: Final = {
    "progress": 0.03, "tempo": 0.06, "joint_angle": 4.0, "bend": 2.0, "segment_tilt": 2.0, "line_tilt": 1.0,
    "angle_difference": 4.0, "height": 0.015, "distance_ratio": 0.05, "asymmetry": 0.05,
}  # fmt: skip
"""From one threshold to the next, by the kind of measure, in its own unit."""


class WithoutGhost(Coach):
    """A coach that draws no correct pose, which is most of its work."""

    def _ghost_K3(self, *_: object) -> None:
        return None


def moved(exercise: Exercise, step: int) -> Exercise:
    """The exercise with all thresholds of its rules so many steps away."""

    def fault(old: Fault) -> Fault:
        threshold = old.condition.threshold + step * STEP_SIZES[old.condition.measure.kind]
        return old.model_copy(update={"condition": old.condition.model_copy(update={"threshold": threshold})})

    return exercise.model_copy(update={"faults": tuple(fault(old) for old in exercise.faults)})


def by_rule(clip: dict[str, Any], keypoints_TK3: Keypoints, exercise: Exercise) -> Iterator[tuple[str, Score]]:
    """What each rule made of one clip; its false cues are what it told where nothing is wrong."""
    fps = float(clip["fps"])
    told, spells = told_in(follow(keypoints_TK3, fps, WithoutGhost(exercise)), fps), spells_of(clip, exercise)
    for rule in exercise.faults:
        own = [spell for spell in spells if rule.name in spell.names]
        found, false = matched(own, [item for item in told if item.name == rule.name])
        seen = {number for number, spell in enumerate(own) if spell.visible}
        score = Score(clips=1, found=len(found & seen), missed=len(seen - found), false=len(false))
        if not clip["faults"]:
            score.right_seconds, score.false_cues = len(keypoints_TK3) / fps, len(false)
        yield rule.name, score


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="sweep_coach_thresholds", description=__doc__)
    parser.add_argument("folders", type=Path, nargs="+", metavar="DIR", help="clips of plumbline-render")
    parser.add_argument("--exercise", help="this one alone, by the coach's name")
    add_eye(parser)
    parser.add_argument("--draws", type=int, default=1, help="how often noise is drawn for a clip (default 1)")
    arguments = parser.parse_args()
    eye, paths = eye_of(arguments), clip_paths(arguments.folders, arguments.found)
    clips = [(path, json.loads(path.read_bytes())) for path in paths]
    clips = [(path, clip) for path, clip in clips if arguments.exercise in (None, exercise_of(clip).name)]
    scores: dict[tuple[str, str, int], Score] = defaultdict(Score)
    for number, (path, clip) in enumerate(tqdm(clips, unit="clip")):
        exercise = exercise_of(clip)
        for draw in range(arguments.draws):
            keypoints_TK3 = eye(path, clip, number + draw * len(clips))
            for step in range(-STEPS, STEPS + 1):
                for rule, score in by_rule(clip, keypoints_TK3, moved(exercise, step)):
                    scores[exercise.name, rule, step].add(score)
    for (exercise_name, rule, step), score in sorted(scores.items(), key=lambda item: item[0]):
        condition = next(fault.condition for fault in load_exercise(exercise_name).faults if fault.name == rule)
        threshold = condition.threshold + step * STEP_SIZES[condition.measure.kind]
        if step == -STEPS:
            print(f"\n{exercise_name} {rule}: {condition.measure.kind} {condition.comparison}")
        print(
            f"{'->' if step == 0 else '  '} {threshold:8.3f}  F {score.f_score(False):.2f}  found {score.found:3d}"
            f"  missed {score.missed:3d}  false {score.false:3d}, {score.false_cues} of them in"
            f" {score.right_seconds / 60:.1f} minutes of correct exercise"
        )


if __name__ == "__main__":
    main()
