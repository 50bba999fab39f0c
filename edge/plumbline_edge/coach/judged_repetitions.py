"""Repetitions that the judge saw whole where the rules saw less, or nothing.

A camera that stands high or near sees a movement at half its size, and so may a pose model; from angles and heights the
rules can't tell it from a shallow one, the judge can. What the rules count stays counted, and nothing is counted twice.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from plumbline_contract.exercise import Exercise
from plumbline_contract.form import TOLD_AS, Verdict
from plumbline_contract.measure import MovementProgress
from plumbline_edge.coach.judge import LAG_SECONDS, has_say
from plumbline_edge.coach.movement import Step
from plumbline_edge.coach.repetitions import Attempt

KNOWS_SECONDS: Final[float] = 3.0
STALE_SECONDS: Final[float] = 0.5
"""After a longer silence of the judge a movement under way is none that it saw whole."""
LIKELY: Final[float] = 0.5
SHALLOW_FROM: Final[float] = 0.95
"""Of the fault's threshold, in the mean of a movement, at whose ends the judge is less sure than in its middle."""
AWAY_SECONDS: Final[float] = 0.2
"""From the full position to the next one the judge sees something else for at least this long."""
_TOLERANCE: Final = 1e-6
PATIENCE_SECONDS: Final[float] = 3.0
"""So long after a full position the rules may still be about to count it themselves."""


@dataclass
class Recount:
    """How many more are counted than the rules count. It is the coach's: judges come and go."""

    added: int = 0
    """The rules saw nothing of them."""
    raised: int = 0
    """The rules saw less than what counts."""

    def applied_to(self, step: Step) -> Step:
        """A step of the rules with these counted too."""
        return replace(
            step,
            repetitions=step.repetitions + self.added + self.raised,
            partial_repetitions=step.partial_repetitions - self.raised,
        )


@dataclass
class Whole:
    """A movement out to the full position and back, as the judge sees it."""

    began: float
    full: float
    """When the full position was reached."""
    ended: float | None = None
    doubt: float = 0.0
    """The sum over `answers` of how likely it is that it did not go far enough; 1 is the fault's threshold."""
    answers: int = 0

    @property
    def is_shallow(self) -> bool:
        """Whether the judge thought so in the mean of the movement. In a single moment it is often mistaken."""
        return self.doubt >= SHALLOW_FROM * self.answers


class JudgedRepetitions:
    """Follows one exercise. No clock: time comes with verdicts and steps."""

    def __init__(self, exercise: Exercise, thresholds: Mapping[tuple[str, str], float]) -> None:
        """`thresholds` by (exercise, fault), from the judge's manifest."""
        self._name = exercise.name
        shallow = {
            fault.name
            for fault in exercise.faults
            if isinstance(fault.condition.measure, MovementProgress) and fault.condition.comparison == "below"
        }
        self._limits = {
            key: threshold
            for key, threshold in thresholds.items()
            if key[0] == exercise.name and TOLD_AS.get(key, key[1]) in shallow
        }
        repetition = exercise.repetition
        self._seconds = (repetition.min_seconds, repetition.max_seconds) if repetition else (math.inf, 0.0)
        self._known: deque[tuple[float, float]] = deque()
        self.clear()

    def clear(self) -> None:
        """Forget what is under way: it may be another person from now on. The counts stay."""
        self._known.clear()
        self._whole: Whole | None = None
        """The one under way."""
        self._over: deque[Whole] = deque()
        self._rested = -math.inf
        self._out_since: float | None = None
        """Since when the rules see an attempt under way."""
        self._counted_until = -math.inf
        """Full positions up to here are counted."""
        self._partial: tuple[float, float] | None = None
        """When the rules' last attempt was, where it did not count and the judge had seen nothing of it yet."""
        self._added_at: deque[float] = deque(maxlen=8)
        """When the full positions were that were counted for the rules."""

    def take(self, seconds: float, verdict: Verdict) -> None:
        """The judge's newest answer."""
        if self._known and seconds - self._known[-1][0] > STALE_SECONDS:
            self._known.clear()
            self._whole, self._rested = None, -math.inf
        self._known.append((seconds, verdict.exercise.get(self._name, 0.0)))
        while seconds - self._known[0][0] > KNOWS_SECONDS:
            self._known.popleft()
        if not self._limits or not has_say([probability for _, probability in self._known]):
            self._whole = None
            return
        at, phase = seconds - LAG_SECONDS, verdict.phase
        away = phase.get("rest", 0.0) + phase.get("out", 0.0)
        if phase.get("rest", 0.0) > LIKELY:
            self._rested = at
        if self._whole is None and phase.get("full", 0.0) > LIKELY:
            self._whole = Whole(self._rested if math.isfinite(self._rested) else at, at)
        if self._whole is None:
            return
        self._whole.answers += 1
        self._whole.doubt += max(verdict.faults[key] / max(limit, _TOLERANCE) for key, limit in self._limits.items())
        if away <= LIKELY:
            self._whole.ended = None
            return
        if self._whole.ended is None:
            self._whole.ended = at
        if at - self._whole.ended >= AWAY_SECONDS - _TOLERANCE:
            self._over.append(self._whole)
            self._whole = None

    def agree(self, now: float, step: Step, recount: Recount) -> Attempt | None:
        """The attempt that ended with a frame, by the rules' step of it or by the judge; what it adds to the count."""
        if step.phase == "rest":
            self._out_since = None
        elif self._out_since is None:
            self._out_since = now
        if step.attempt is not None:
            return self._attempt_of_rules(now, step.attempt, recount)
        return self._attempt_of_judge(now, recount)

    def _attempt_of_rules(self, now: float, attempt: Attempt, recount: Recount) -> Attempt:
        """An attempt that ended; it counts too where the judge has seen it whole."""
        began = now - attempt.seconds
        seen = [*self._over, *([self._whole] if self._whole else [])]
        within = [whole for whole in seen if began <= whole.full <= now]
        was_added = any(began <= full <= now for full in self._added_at)
        if was_added:
            # What was counted for the rules they have seen themselves, after all.
            recount.added -= 1
            self._added_at.clear()
        if not attempt.counted and (was_added or any(not whole.is_shallow for whole in within)):
            recount.raised += 1
            attempt = replace(attempt, counted=True, peak_progress=max(attempt.peak_progress, 1.0))
        self._partial = None if attempt.counted or within else (began, now)
        if attempt.counted or within:
            self._counted_until = now
        return attempt

    def _attempt_of_judge(self, now: float, recount: Recount) -> Attempt | None:
        """A movement that the rules saw nothing of, once they are past it."""
        while self._over:
            whole = self._over[0]
            assert whole.ended is not None
            is_out = self._out_since is not None and self._out_since <= whole.ended
            if is_out and now - whole.full <= PATIENCE_SECONDS:
                return None
            self._over.popleft()
            seconds = whole.ended - whole.began
            lasts = self._seconds[0] <= seconds <= self._seconds[1]
            if whole.full <= self._counted_until or whole.is_shallow or not lasts:
                continue
            # What follows sooner than a repetition takes is the same one.
            self._counted_until = whole.full + self._seconds[0]
            if self._partial is not None and self._partial[0] <= whole.full <= self._partial[1]:
                recount.raised, self._partial = recount.raised + 1, None
                continue
            recount.added += 1
            self._added_at.append(whole.full)
            return Attempt(1.0, seconds, True, whole.full - whole.began)
        return None
