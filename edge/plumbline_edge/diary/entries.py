"""What the diary holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from plumbline_edge.coach.repetitions import Attempt
from plumbline_edge.coach.state import CoachState


@dataclass(frozen=True)
class SetAttempt:
    """One attempt of a set."""

    ended_seconds: float
    """Since the set began."""
    seconds: float
    counted: bool
    peak_progress: float
    out_seconds: float
    faults: tuple[str, ...]

    @classmethod
    def of(cls, attempt: Attempt, faults: tuple[str, ...], ended_seconds: float) -> SetAttempt:
        """What the coach said of an attempt that ended then."""
        return cls(ended_seconds, attempt.seconds, attempt.counted, attempt.peak_progress, attempt.out_seconds, faults)


@dataclass(frozen=True)
class SetCounts:
    """What a set came to, or has come to so far."""

    frames: int = 0
    seconds: float = 0.0
    reps: int = 0
    partial_reps: int = 0
    best_hold_seconds: float = 0.0
    fault_counts: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, state: CoachState, frames: int, seconds: float) -> SetCounts:
        """The counts of a coach that was new when the set began."""
        found = {name: count for name, count in state.fault_counts.items() if count}
        return cls(frames, seconds, state.reps, state.partial_reps, state.best_hold_seconds, found)


@dataclass(frozen=True)
class SetStart:
    """What is known of a set when it begins, as SetEntry has it."""

    exercise: str
    bundle: str
    started_at: float
    size: tuple[int, int]


@dataclass(frozen=True)
class SetEntry:
    """A set as it is kept. `size` is the picture's height and width, in whose pixels the keypoints are."""

    id: int
    exercise: str
    bundle: str
    started_at: float
    """Seconds since 1970."""
    size: tuple[int, int]
    finished: bool
    counts: SetCounts
    clean_reps: int
    """Repetitions in which no fault was found."""
    mean_depth: float | None
    """Mean of how far its attempts went: 1 is the full position."""
    mean_rep_seconds: float | None
    has_keypoints: bool


@dataclass(frozen=True)
class SittingMinute:
    """Seconds of one minute of the clock: seen sitting, of these with a fault, and each fault's own."""

    minute: int
    """Minutes since 1970."""
    sitting_seconds: float
    fault_seconds: float
    away_seconds: float
    faults: Mapping[str, float]

    def plus(self, other: SittingMinute) -> SittingMinute:
        """Both together."""
        faults = dict(self.faults)
        for name, seconds in other.faults.items():
            faults[name] = faults.get(name, 0.0) + seconds
        return SittingMinute(
            self.minute,
            self.sitting_seconds + other.sitting_seconds,
            self.fault_seconds + other.fault_seconds,
            self.away_seconds + other.away_seconds,
            faults,
        )
