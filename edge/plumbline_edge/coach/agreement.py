"""Rules and judge together: the judge silences a rule that it finds unlikely, and speaks where it is very sure.

Cues and counts of faults are both's. Repetitions and what is shown stay the rules' own, but for the faults that the
judge adds to what is shown.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from typing import Final, Literal

from plumbline_contract.exercise import SEVERITIES, Exercise, Fault
from plumbline_contract.form import TOLD_AS, Verdict

Disagreement = Literal["judge_silences", "judge_adds"]
DISAGREEMENTS: Final[tuple[Disagreement, ...]] = ("judge_silences", "judge_adds")

REMEMBERED_SECONDS: Final[float] = 3.0
"""A rule may speak this long after it saw something, at the end of an attempt; so long the judge looks back too."""
SURE_SECONDS: Final[float] = 0.6
"""The judge is as sure as it must be for this long before it speaks by itself."""
SILENCES_BELOW: Final[float] = 0.5
"""Of the fault's threshold: a rule is silenced when the judge thought it less likely than this all the time."""
SPEAKS_ABOVE: Final[float] = 0.45
"""Of the way from the fault's threshold to certainty."""
SAME_SECONDS: Final[float] = 1.0
"""A rule that tells, at the end of an attempt, of what the judge added so shortly before tells of the same."""
KNOWS_EXERCISE: Final[float] = 0.5
"""Below this mean probability of the exercise that is coached, the judge has no say: something else is done."""
LEAST_VERDICTS: Final = 5


class Agreement:
    """Follows one exercise. No clock: time comes with the verdicts."""

    def __init__(self, exercise: Exercise, thresholds: Mapping[tuple[str, str], float], *, rules: bool = True) -> None:
        """`thresholds` by (exercise, fault), from the judge's manifest. Without `rules`, the judge alone speaks."""
        self._exercise = exercise
        self._limits: dict[str, dict[str, float]] = {fault.name: {} for fault in exercise.faults}
        for (name, fault), threshold in thresholds.items():
            told = TOLD_AS.get((name, fault), fault)
            if name == exercise.name and told in self._limits:
                self._limits[told][fault] = threshold
        self._rules = rules
        self._verdicts: deque[tuple[float, Verdict]] = deque()
        self._differing: dict[Disagreement, frozenset[str]] = dict.fromkeys(DISAGREEMENTS, frozenset())
        self._unlikely: frozenset[str] = frozenset()
        self._sure: frozenset[str] = frozenset()
        self._found_at: dict[str, float] = {}
        self._added_at: dict[str, float] = {}
        self.disagreements: dict[Disagreement, int] = dict.fromkeys(DISAGREEMENTS, 0)
        """How often the judge silenced a rule, or spoke where none did; each occasion once."""

    def take(self, seconds: float, verdict: Verdict) -> None:
        """The judge's newest answer."""
        if self._verdicts and seconds < self._verdicts[-1][0]:
            self._verdicts.clear()
            self._found_at.clear()
            self._added_at.clear()
        self._verdicts.append((seconds, verdict))
        while seconds - self._verdicts[0][0] > REMEMBERED_SECONDS:
            self._verdicts.popleft()
        known = self._limits if self._has_say() else {}
        self._unlikely = frozenset(name for name in known if self._is_unlikely(name))
        self._sure = frozenset(name for name in known if self._is_sure_of(name))

    def spoken_of(self, faults: tuple[Fault, ...]) -> tuple[Fault, ...]:
        """Which faults to speak of, the most severe first, when the rules would speak of `faults`."""
        silenced = self._unlikely.intersection(fault.name for fault in faults)
        kept = {fault.name for fault in faults} - silenced if self._rules else set()
        added = self._sure - kept
        self._note("judge_silences", silenced)
        self._note("judge_adds", added)
        heard = [fault for fault in self._exercise.faults if fault.name in kept | added]
        return tuple(sorted(heard, key=lambda fault: -SEVERITIES.index(fault.severity)))

    def newly_found(self, seconds: float, ruled: Mapping[str, int]) -> dict[str, int]:
        """How often both together found each fault in this frame, when the rules found it `ruled` times in it.

        A rule counts unless it is silenced, and what the judge adds counts once an occasion.
        """
        found = dict.fromkeys(ruled, 0)
        for name, count in ruled.items():
            is_same = seconds - self._added_at.get(name, -math.inf) <= SAME_SECONDS
            if count > 0 and self._rules and not is_same and name not in self._unlikely:
                found[name] = count
                self._found_at[name] = seconds
            if name in self._sure:
                if seconds - self._found_at.get(name, -math.inf) > REMEMBERED_SECONDS:
                    found[name] = 1
                    self._added_at[name] = seconds
                self._found_at[name] = seconds
        return found

    def _note(self, kind: Disagreement, names: frozenset[str]) -> None:
        self.disagreements[kind] += len(names - self._differing[kind])
        self._differing[kind] = names

    def _is_unlikely(self, name: str) -> bool:
        limits = self._limits[name]
        return bool(limits) and all(
            max(self._probabilities(fault, REMEMBERED_SECONDS)) < SILENCES_BELOW * limit
            for fault, limit in limits.items()
        )

    def _is_sure_of(self, name: str) -> bool:
        return any(
            min(self._probabilities(fault, SURE_SECONDS)) >= limit + SPEAKS_ABOVE * (1 - limit)
            for fault, limit in self._limits[name].items()
        )

    def _has_say(self) -> bool:
        if len(self._verdicts) < LEAST_VERDICTS:
            return False
        known = [verdict.exercise.get(self._exercise.name, 0.0) for _, verdict in self._verdicts]
        return sum(known) / len(known) >= KNOWS_EXERCISE

    def _probabilities(self, name: str, seconds: float) -> list[float]:
        newest = self._verdicts[-1][0]
        return [verdict.faults[self._exercise.name, name] for at, verdict in self._verdicts if newest - at <= seconds]
