"""Rules, judge and both on clips of plumbline-render, and on real sequences: the tables of docs/judge.md.

python -m infra.evaluate_judge BUNDLE FOLDER... [--noise shipped|white]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from infra.evaluate_coach_rendered import (
    NOISES,
    RULES_OF,
    Spell,
    Told,
    clip_paths,
    exercise_of,
    follow,
    matched,
    noisy_keypoints,
    share,
    spells_of,
    told_in,
)

from plumbline_contract.form import FAULT_NAMES
from plumbline_edge.bundle import FormBundle, open_form_bundle
from plumbline_edge.coach import Coach
from plumbline_edge.coach.agreement import Agreement
from plumbline_edge.coach.judge import FormJudge

HEARD: Final = ("rules", "judge", "both")
HEAD: Final = (
    "| who speaks | faults found | false | F | F of judged faults | macro F over faults | false cues in 2 min |\n"
    "|---|---|---|---|---|---|---|"
)


@dataclass
class Heard:
    """What one way of speaking made of all clips."""

    found: int = 0
    missed: int = 0
    judged_found: int = 0
    judged: int = 0
    """Of the faults whose rule may judge in the view from which the camera truly sees."""
    false: int = 0
    false_in_correct: int = 0
    correct_seconds: float = 0.0
    by_fault: dict[str, list[int]] = field(default_factory=dict)

    def add(self, spells: Sequence[Spell], told: Sequence[Told], exercise: str, seconds: float) -> None:
        """One clip; faults that no rule of the exercise tells of can be named by nobody here and are left out."""
        spells = [spell for spell in spells if spell.names]
        found, false = matched(spells, told)
        self.found, self.missed = self.found + len(found), self.missed + len(spells) - len(found)
        self.judged += sum(spell.visible for spell in spells)
        self.judged_found += sum(spells[number].visible for number in found)
        self.false += len(false)
        for number, spell in enumerate(spells):
            self.by_fault.setdefault(f"{exercise} {spell.injected}", [0, 0, 0])[0 if number in found else 1] += 1
        for event in false:
            self.by_fault.setdefault(f"{exercise} {_injected(exercise, event.name)}", [0, 0, 0])[2] += 1
        if not spells:
            self.correct_seconds, self.false_in_correct = (
                self.correct_seconds + seconds,
                self.false_in_correct + len(told),
            )

    @property
    def f_score(self) -> float:
        """Over all spells."""
        return 2 * self.found / max(2 * self.found + self.missed + self.false, 1)

    @property
    def judged_f_score(self) -> float:
        """Over those that a rule may judge: docs/coach.md asks for the same."""
        return 2 * self.judged_found / max(self.judged_found + self.judged + self.false, 1)

    @property
    def macro_f_score(self) -> float:
        """The mean over faults."""
        scores = [2 * hit / max(2 * hit + miss + wrong, 1) for hit, miss, wrong in self.by_fault.values() if hit + miss]
        return float(np.mean(scores))

    def row(self, name: str) -> str:
        """A row of Markdown."""
        rate = self.false_in_correct / max(self.correct_seconds / 120, 1e-9)
        return (
            f"| {name} | {share(self.found, self.found + self.missed)} | {self.false} | {self.f_score:.2f} |"
            f" {self.judged_f_score:.2f} | {self.macro_f_score:.2f} |"
            f" {rate:.1f} in {self.correct_seconds / 60:.1f} min |"
        )


def _injected(exercise: str, rule: str) -> str:
    names = RULES_OF[{"sitting": "desk_sitting"}.get(exercise, exercise)]
    return next((injected for injected, rules in names.items() if rule in rules.split()), rule)


def listen(clip: dict[str, Any], bundle: FormBundle, keypoints_TK3: np.ndarray[Any, Any]) -> dict[str, list[Told]]:
    """What rules, judge and both tell of."""
    exercise, fps = exercise_of(clip), float(clip["fps"])
    thresholds = dict(zip(FAULT_NAMES, bundle.manifest.thresholds, strict=True))
    agreements = {"judge": Agreement(exercise, thresholds, rules=False), "both": Agreement(exercise, thresholds)}
    told = {}
    for name in HEARD:
        coach, judge = Coach(exercise, agreement=agreements.get(name)), FormJudge(bundle.load_model())
        told[name] = told_in(follow(keypoints_TK3, fps, coach, judge if name in agreements else None), fps)
    return told


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="evaluate_judge", description=__doc__)
    parser.add_argument("bundle", type=Path, help="a sealed judge")
    parser.add_argument("folders", type=Path, nargs="+", metavar="DIR", help="clips of plumbline-render")
    parser.add_argument("--noise", choices=NOISES, default="shipped")
    arguments = parser.parse_args()
    bundle = open_form_bundle(arguments.bundle)
    heard = {name: Heard() for name in HEARD}
    for number, path in enumerate(clip_paths(arguments.folders)):
        clip = json.loads(path.read_bytes())
        keypoints_TK3 = noisy_keypoints(clip, NOISES[arguments.noise], number)
        spells, exercise = spells_of(clip, exercise_of(clip)), exercise_of(clip).name
        for name, told in listen(clip, bundle, keypoints_TK3).items():
            heard[name].add(spells, told, exercise, len(keypoints_TK3) / float(clip["fps"]))
    print(HEAD)
    for name, score in heard.items():
        print(score.row(name))


if __name__ == "__main__":
    main()
