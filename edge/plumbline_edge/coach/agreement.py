"""Rules and judge together: the judge silences a rule's cue that it finds unlikely, and speaks where it is very sure.

Repetitions, counts of faults and what is shown stay the rules' own, but for the faults that the judge adds to what is
shown.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Final, Literal

from plumbline_contract.exercise import SEVERITIES, Exercise, Fault
from plumbline_contract.form import Verdict

Disagreement = Literal["judge_silences", "judge_adds"]
DISAGREEMENTS: Final[tuple[Disagreement, ...]] = ("judge_silences", "judge_adds")

REMEMBERED_SECONDS: Final[float] = 3.0
"""A rule may speak this long after it saw something, at the end of an attempt; so long the judge looks back too."""
SURE_SECONDS: Final[float] = 0.5
"""The judge is as sure as it must be for this long before it speaks by itself."""
SILENCES_BELOW: Final[float] = 0.25
"""Of the fault's threshold: a rule is silenced when the judge thought it less likely than this all the time."""
SPEAKS_ABOVE: Final[float] = 0.6
"""Of the way from the fault's threshold to certainty."""
KNOWS_EXERCISE: Final[float] = 0.5
"""Below this mean probability of the exercise that is coached, the judge has no say: something else is done."""
LEAST_VERDICTS: Final = 5


class Agreement:
    """Follows one exercise. No clock: time comes with the verdicts."""

    def __init__(self, exercise: Exercise, thresholds: Mapping[tuple[str, str], float], *, rules: bool = True) -> None:
        """`thresholds` by (exercise, fault), from the judge's manifest. Without `rules`, the judge alone speaks."""
        self._exercise = exercise
        self._thresholds = {
            fault.name: thresholds[exercise.name, fault.name]
            for fault in exercise.faults
            if (exercise.name, fault.name) in thresholds
        }
        self._rules = rules
        self._verdicts: deque[tuple[float, Verdict]] = deque()
        self._differing: dict[Disagreement, frozenset[str]] = dict.fromkeys(DISAGREEMENTS, frozenset())
        self.disagreements: dict[Disagreement, int] = dict.fromkeys(DISAGREEMENTS, 0)
        """How often the judge silenced a rule, or spoke where none did; each occasion once."""

    def take(self, seconds: float, verdict: Verdict) -> None:
        """The judge's newest answer."""
        if self._verdicts and seconds < self._verdicts[-1][0]:
            self._verdicts.clear()
        self._verdicts.append((seconds, verdict))
        while seconds - self._verdicts[0][0] > REMEMBERED_SECONDS:
            self._verdicts.popleft()

    def spoken_of(self, faults: tuple[Fault, ...]) -> tuple[Fault, ...]:
        """Which faults to speak of, the most severe first, when the rules would speak of `faults`."""
        silenced = frozenset(fault.name for fault in faults if self._is_unlikely(fault.name))
        kept = {fault.name for fault in faults} - silenced if self._rules else set()
        added = frozenset(fault for fault in self._thresholds if self._is_sure_of(fault) and fault not in kept)
        self._note("judge_silences", silenced)
        self._note("judge_adds", added)
        heard = [fault for fault in self._exercise.faults if fault.name in kept | added]
        return tuple(sorted(heard, key=lambda fault: -SEVERITIES.index(fault.severity)))

    def _note(self, kind: Disagreement, names: frozenset[str]) -> None:
        self.disagreements[kind] += len(names - self._differing[kind])
        self._differing[kind] = names

    def _is_unlikely(self, name: str) -> bool:
        threshold = self._thresholds.get(name)
        if threshold is None or not self._has_say():
            return False
        return max(self._probabilities(name, REMEMBERED_SECONDS)) < SILENCES_BELOW * threshold

    def _is_sure_of(self, name: str) -> bool:
        if not self._has_say():
            return False
        threshold = self._thresholds[name]
        sure = threshold + SPEAKS_ABOVE * (1 - threshold)
        return min(self._probabilities(name, SURE_SECONDS)) >= sure

    def _has_say(self) -> bool:
        if len(self._verdicts) < LEAST_VERDICTS:
            return False
        known = [verdict.exercise.get(self._exercise.name, 0.0) for _, verdict in self._verdicts]
        return sum(known) / len(known) >= KNOWS_EXERCISE

    def _probabilities(self, name: str, seconds: float) -> list[float]:
        newest = self._verdicts[-1][0]
        return [verdict.faults[self._exercise.name, name] for at, verdict in self._verdicts if newest - at <= seconds]
