"""What the coach knows after a frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

import numpy as np
import numpy.typing as npt

from plumbline_contract.exercise import Severity, View
from plumbline_contract.skeleton import Keypoint
from plumbline_edge.coach.repetitions import Attempt

LOOKING: Final = "looking"
"""The phase while the movement can't be followed: nobody is seen, or the person is not calibrated yet."""


@dataclass(frozen=True)
class Fault:
    """A fault to show now."""

    name: str
    keypoints: tuple[Keypoint, ...]
    cue: str
    severity: Severity


@dataclass(frozen=True)
class CoachState:
    """What the coach knows after a frame."""

    phase: str = LOOKING
    """The exercise's own name of the phase ('standing', 'descending', ...), 'looking' or 'calibrating'."""
    reps: int = 0
    partial_reps: int = 0
    """Attempts that did not go far enough to count."""
    faults: tuple[Fault, ...] = ()
    """Faults of now or a moment ago, the most severe first."""
    cue: str | None = None
    """A short text to show."""
    cue_is_new: bool = False
    """The cue begins with this frame: the time to say it aloud."""
    ghost_K3: npt.NDArray[np.float64] | None = None
    """The correct pose in image pixels, with the person's own scores; None when there is nothing to put right."""
    view: View | None = None
    progress: float | None = None
    """0 at rest, 1 at the full position."""
    fault_counts: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    """How many attempts (of a hold: occasions) showed each fault."""
    attempt: Attempt | None = None
    """The attempt that ended with this frame."""
    attempt_faults: tuple[str, ...] = ()
    """The names of the faults that were found in it."""
    holds: bool = False
    """The exercise is a position to be held: it has seconds instead of repetitions."""
    hold_seconds: float = 0.0
    best_hold_seconds: float = 0.0

    def without_picture(self) -> CoachState:
        """What stays true once no picture comes any more: the counts."""
        return replace(
            self, phase=LOOKING, faults=(), cue=None, cue_is_new=False, ghost_K3=None, view=None, progress=None
        )
