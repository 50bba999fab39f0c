"""Rules, judge and both on clips of plumbline-render: the tables of docs/judge.md.

python -m infra.evaluate_judge BUNDLE FOLDER... [--noise KIND | --errors NPZ | --found FOLDER of NAME.npy]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from infra.coach_eyes import Keypoints, add_eye, eye_of
from infra.evaluate_coach_rendered import (
    RULES_OF,
    Score,
    clip_paths,
    compared,
    details,
    exercise_of,
    follow,
    score_clip,
    share,
)

from plumbline_contract.exercise import Exercise
from plumbline_contract.form import FAULT_NAMES
from plumbline_edge.bundle import FormBundle, open_form_bundle
from plumbline_edge.coach import Coach, CoachState
from plumbline_edge.coach.agreement import Agreement
from plumbline_edge.coach.judge import FormJudge

HEARD: Final = ("rules", "judge", "both")
HEAD: Final = (
    "| who speaks | faults found | false | F | F of judged faults | macro F over faults | false cues in 2 min |"
    " count exact | off by more than one |\n|---|---|---|---|---|---|---|---|---|"
)
EXERCISE_HEAD: Final = "| exercise | clips | rules: F of judged faults | judge | both |\n|---|---|---|---|---|"


@dataclass
class Heard:
    """What one way of speaking made of all clips. Faults that no rule tells of can be named by nobody here."""

    score: Score = field(default_factory=Score)
    by_fault: dict[str, list[int]] = field(default_factory=dict)
    """Found, missed and falsely told, by exercise and injected fault."""

    def add(self, clip: Mapping[str, Any], states: Sequence[CoachState]) -> Score:
        """One clip; what it scored."""
        exercise = exercise_of(clip)
        score = score_clip(clip, exercise, states)
        self.score.add(score)
        spells, found, false = compared(clip, exercise, states)
        for number, spell in enumerate(spells):
            if spell.names:
                self._of(clip, spell.injected)[0 if number in found else 1] += 1
        for event in false:
            self._of(clip, _injected(clip["exercise"], event.name))[2] += 1
        return score

    def _of(self, clip: Mapping[str, Any], injected: str) -> list[int]:
        return self.by_fault.setdefault(f"{clip['exercise']} {injected}", [0, 0, 0])

    @property
    def macro_f_score(self) -> float:
        """The mean over the faults that there are."""
        scores = [2 * hit / max(2 * hit + miss + wrong, 1) for hit, miss, wrong in self.by_fault.values() if hit + miss]
        return float(np.mean(scores)) if scores else 0.0

    def row(self, name: str) -> str:
        """A row of Markdown."""
        score = self.score
        found, of = score.found + score.hidden_found, score.found + score.missed + score.hidden
        f_score = 2 * found / max(found + of + score.false, 1)
        return (
            f"| {name} | {share(found, of)} | {score.false} | {f_score:.2f} | {score.f_score(False):.2f} |"
            f" {self.macro_f_score:.2f} | {score.false_cue_rate:.1f} in {score.right_seconds / 60:.1f} min |"
            f" {share(score.exact, score.counted)} | {score.off_by_more} |"
        )


def _judged(score: Score) -> str:
    """F of judged faults, the 95% interval of what was found of them, and how many were told falsely."""
    return f"{score.f_score(False):.2f} ({share(score.found, score.found + score.missed)}, {score.false} false)"


def _injected(exercise: str, rule: str) -> str:
    """The injected fault that a rule tells of, or the rule's own name."""
    return next((injected for injected, rules in RULES_OF[exercise].items() if rule in rules.split()), rule)


def listen(exercise: Exercise, fps: float, bundle: FormBundle, keypoints_TK3: Keypoints) -> dict[str, list[CoachState]]:
    """How rules, judge and both see the keypoints."""
    thresholds = dict(zip(FAULT_NAMES, bundle.manifest.thresholds, strict=True))
    agreements = {"judge": Agreement(exercise, thresholds, rules=False), "both": Agreement(exercise, thresholds)}
    seen = {}
    for name in HEARD:
        coach, judge = Coach(exercise, agreement=agreements.get(name)), FormJudge(bundle.load_model())
        seen[name] = follow(keypoints_TK3, fps, coach, judge if name in agreements else None)
    return seen


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="evaluate_judge", description=__doc__)
    parser.add_argument("bundle", type=Path, help="a sealed judge")
    parser.add_argument("folders", type=Path, nargs="+", metavar="DIR", help="clips of plumbline-render")
    add_eye(parser)
    parser.add_argument("--details", action="store_true", help="what both together missed, told falsely and miscounted")
    arguments = parser.parse_args()
    bundle, eye = open_form_bundle(arguments.bundle), eye_of(arguments)
    heard = {name: Heard() for name in HEARD}
    by_exercise: dict[str, dict[str, Score]] = {}
    for number, path in enumerate(clip_paths(arguments.folders, arguments.found)):
        clip = json.loads(path.read_bytes())
        exercise, keypoints_TK3 = exercise_of(clip), eye(path, clip, number)
        scores = by_exercise.setdefault(exercise.name, {name: Score() for name in HEARD})
        for name, states in listen(exercise, float(clip["fps"]), bundle, keypoints_TK3).items():
            scores[name].add(heard[name].add(clip, states))
            if arguments.details and name == "both" and (text := details(path, clip, exercise, states)):
                print(text)
    print(HEAD)
    for name, each in heard.items():
        print(each.row(name))
    print(f"\n{EXERCISE_HEAD}")
    for exercise_name, scores in sorted(by_exercise.items()):
        print(
            f"| {exercise_name} | {next(iter(scores.values())).clips} |",
            *(f"{_judged(score)} |" for score in scores.values()),
        )


if __name__ == "__main__":
    main()
