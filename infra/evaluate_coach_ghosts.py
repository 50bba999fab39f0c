"""Measures the correct poses of the coach: whether they break no rule, keep limbs and turn what is at fault."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from infra.evaluate_coach_rendered import share

from plumbline_contract.exercise import Exercise, Fault
from plumbline_contract.sequence import SEEN_SCORE
from plumbline_contract.skeleton import LIMBS, Keypoint
from plumbline_edge.coach import CoachState
from plumbline_edge.coach.correction import BODY
from plumbline_edge.coach.faults import breaks
from plumbline_edge.coach.measures import read
from plumbline_edge.coach.pose import Pose

Keypoints = npt.NDArray[np.floating]

GHOST_AFTER_SECONDS: Final[float] = 0.5
"""A ghost is measured once it has had time to get to where it is going."""


@dataclass
class GhostScore:
    """How many correct poses were drawn, and how many of them were what they should be."""

    drawn: int = 0
    breaks_no_rule: int = 0
    keeps_lengths: int = 0
    measured_lengths: int = 0
    turns_the_faulty: int = 0

    def take(self, exercise: Exercise, keypoints_TK3: Keypoints, states: Sequence[CoachState], fps: float) -> None:
        """Measure the ghosts of one clip."""
        since = 0
        for keypoints_K3, state in zip(keypoints_TK3, states, strict=True):
            since = since + 1 if state.ghost_K3 is not None else 0
            if state.ghost_K3 is None or since < GHOST_AFTER_SECONDS * fps or not state.faults:
                continue
            torso_px = Pose(keypoints_K3).torso_px() or 1.0
            moves_K2 = np.where(state.ghost_K3[:, 2:] >= SEEN_SCORE, state.ghost_K3[:, :2] - keypoints_K3[:, :2], 0.0)
            self.drawn += 1
            faulty = {keypoint for fault in state.faults for keypoint in fault.keypoints}
            self.turns_the_faulty += not faulty.isdisjoint(_turned_most(moves_K2, keypoints_K3))
            self.breaks_no_rule += not any(_is_broken(fault, state, torso_px) for fault in exercise.faults)
            if state.view == "side" and not any(fault.name in AFTER for fault in state.faults):
                self.measured_lengths += 1
                self.keeps_lengths += _length_change(keypoints_K3, state.ghost_K3, torso_px) < 0.02

    def table(self) -> str:
        """A table in Markdown."""
        return (
            f"| breaks no rule of that moment | {share(self.breaks_no_rule, self.drawn)} |\n"
            f"| limbs change by under 2%, seen from the side | {share(self.keeps_lengths, self.measured_lengths)} |\n"
            f"| the limb that turns most ends at a joint at fault | {share(self.turns_the_faulty, self.drawn)} |"
        )


AFTER: Final = frozenset({"too_shallow", "not_high_enough", "arms_too_low"})
"""Faults shown on an earlier pose: the limbs of that pose are not those of the frame."""


def _turned_most(moves_K2: Keypoints, keypoints_K3: Keypoints) -> tuple[Keypoint, Keypoint]:
    """The limb whose ends move most against each other. An arm that a turning trunk carries along moves as a whole."""
    limbs = [limb for limb in BODY if min(keypoints_K3[limb[0], 2], keypoints_K3[limb[1], 2]) >= SEEN_SCORE]
    return max(limbs, key=lambda limb: float(np.hypot(*(moves_K2[limb[0]] - moves_K2[limb[1]]))))


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
