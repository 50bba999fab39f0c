"""Rules and judge together: the judge silences a rule that it does not agree with, and speaks where it is very sure.

Cues, praise, counts of faults and of repetitions, and an attempt's faults are both's. What is shown stays the rules'
own, but for the faults that the judge adds.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Final, Literal

from plumbline_contract.exercise import SEVERITIES, Exercise, Fault
from plumbline_contract.form import TOLD_AS, Verdict
from plumbline_edge.coach.faults import SHOWN_SECONDS
from plumbline_edge.coach.judge import LAG_SECONDS, has_say
from plumbline_edge.coach.judged_repetitions import JudgedRepetitions

Disagreement = Literal["judge_silences", "judge_adds"]
DISAGREEMENTS: Final[tuple[Disagreement, ...]] = ("judge_silences", "judge_adds")

REMEMBERED_SECONDS: Final[float] = 3.0
"""A rule may speak this long after it saw something, at the end of an attempt; so long the judge looks back too."""
SURE_SECONDS: Final[float] = 0.4
"""The judge is as sure as it must be for this long before it speaks by itself."""
SPEAKS_ABOVE: Final[float] = 0.45
"""Of the way from the fault's threshold to certainty."""
SAME_SECONDS: Final[float] = 1.0
"""A rule that tells, at the end of an attempt, of what the judge added so shortly before tells of the same."""
STALE_SECONDS: Final[float] = 0.5
"""A judge that has given no answer for longer says nothing of now."""
_TOLERANCE: Final = 1e-6


@dataclass
class AttemptTally:
    """What became, in the attempt under way, of the faults that the rules found in it."""

    found: set[str] = field(default_factory=set)
    told: set[str] = field(default_factory=set)
    silenced: set[str] = field(default_factory=set)


class Agreement:
    """Follows one exercise. No clock: time comes with the verdicts."""

    def __init__(self, exercise: Exercise, thresholds: Mapping[tuple[str, str], float], *, rules: bool = True) -> None:
        """`thresholds` by (exercise, fault), from the judge's manifest. Without `rules`, the judge alone speaks."""
        self._exercise = exercise
        self._limits: dict[str, dict[str, float]] = {fault.name: {} for fault in exercise.faults}
        # A rule has a clock for the tempo; the judge guesses it.
        timed = {fault.name for fault in exercise.faults if fault.condition.measure.kind == "tempo"}
        for (name, fault), threshold in thresholds.items():
            told = TOLD_AS.get((name, fault), fault)
            if name == exercise.name and told in self._limits.keys() - timed:
                self._limits[told][fault] = threshold
        self.repetitions = JudgedRepetitions(exercise, thresholds)
        self._rules = rules
        self._waits = {fault.name: fault.spoken_after_seconds for fault in exercise.faults}
        self._verdicts: deque[tuple[float, Verdict]] = deque()
        self._unbroken_since = 0.0
        """When the first of the verdicts came that follow one another without a gap."""
        self._differing: dict[Disagreement, frozenset[str]] = dict.fromkeys(DISAGREEMENTS, frozenset())
        self._unlikely: frozenset[str] = frozenset()
        self._sure: frozenset[str] = frozenset()
        self._sure_since: dict[str, float] = {}
        self._sure_at: dict[str, float] = {}
        self._attempt = AttemptTally()
        self._uncounted: set[str] = set()
        """What a rule found last while it was silenced, and that was not told since."""
        self._kept: set[str] = set()
        """The rules' faults that are told in this frame."""
        self._found_at: dict[str, float] = {}
        self._added_at: dict[str, float] = {}
        self.disagreements: dict[Disagreement, int] = dict.fromkeys(DISAGREEMENTS, 0)
        """How often the judge silenced a rule, or spoke where none did; each occasion once."""

    def clear(self) -> None:
        """Forget everything but how often both disagreed: it may be another person from now on."""
        for memory in (self._verdicts, self._sure_since, self._sure_at, self._found_at, self._added_at):
            memory.clear()
        self._unlikely, self._sure = frozenset(), frozenset()
        self._uncounted, self._kept = set(), set()
        self.repetitions.clear()
        self.abandon_attempt()

    def await_answer(self, seconds: float) -> None:
        """A frame without an answer: the last one stands for a while."""
        if self._verdicts and seconds - self._verdicts[-1][0] > STALE_SECONDS:
            self._unlikely, self._sure = frozenset(), frozenset()

    def take(self, seconds: float, verdict: Verdict) -> None:
        """The judge's newest answer."""
        if self._verdicts and seconds < self._verdicts[-1][0]:
            self.clear()
        self.repetitions.take(seconds, verdict)
        if not verdict.whole:
            # Of half a repetition the judge knows less than the rules.
            return
        if not self._verdicts or seconds - self._verdicts[-1][0] > SURE_SECONDS:
            self._unbroken_since = seconds
        self._verdicts.append((seconds, verdict))
        while seconds - self._verdicts[0][0] > REMEMBERED_SECONDS:
            self._verdicts.popleft()
        exercise = [each.exercise.get(self._exercise.name, 0.0) for _, each in self._verdicts]
        known = self._limits if has_say(exercise) else {}
        self._unlikely = frozenset(name for name in known if self._is_unlikely(name))
        self._sure = frozenset(name for name in known if self._is_sure_of(name))
        for name in self._sure:
            # A moment's doubt does not make a person wait anew, as with a rule's fault.
            if seconds - self._sure_at.get(name, -math.inf) > SHOWN_SECONDS:
                self._sure_since[name] = seconds
            self._sure_at[name] = seconds

    def shown(self, ruled: tuple[Fault, ...]) -> tuple[Fault, ...]:
        """Which faults to show when the rules show `ruled`: these, then what the judge adds."""
        return ruled + self._most_severe_first(self._sure.difference(fault.name for fault in ruled))

    def spoken_of(self, faults: tuple[Fault, ...], shown: tuple[Fault, ...]) -> tuple[Fault, ...]:
        """Which faults to speak of, the most severe first, when the rules show `shown` and would speak of `faults`."""
        silenced = self._unlikely.intersection(fault.name for fault in faults)
        kept = {fault.name for fault in faults} - silenced if self._rules else set()
        told = frozenset(name for name in self._sure if self._has_waited(name))
        self._note("judge_silences", silenced)
        self._note("judge_adds", told.difference(fault.name for fault in shown))
        self._attempt.silenced |= silenced & self._attempt.found
        self._attempt.told |= kept & self._attempt.found
        self._kept = kept
        return self._most_severe_first(kept | told)

    def attempt_ended(self, began_seconds: float, ruled: tuple[Fault, ...]) -> tuple[Fault, ...]:
        """Which faults were in the attempt that ended with this frame, when the rules found `ruled` in it.

        Those that were not silenced, and those that the judge was sure of meanwhile.
        """
        silent = self._attempt.silenced - self._attempt.told
        kept = {fault.name for fault in ruled} - silent if self._rules else set()
        self._kept |= kept
        added = {name for name, at in self._sure_at.items() if at - LAG_SECONDS >= began_seconds}
        self.abandon_attempt()
        return tuple(fault for fault in self._exercise.faults if fault.name in kept | added)

    def abandon_attempt(self) -> None:
        """Forget what was found in the attempt under way."""
        self._attempt = AttemptTally()

    def newly_found(self, seconds: float, ruled: Mapping[str, int]) -> dict[str, int]:
        """How often both together found each fault in this frame, when the rules found it `ruled` times in it.

        A rule counts unless it is silenced (`found_after_all`), and what the judge adds counts once an occasion.
        """
        found = dict.fromkeys(ruled, 0)
        self._attempt.found |= {name for name, count in ruled.items() if count > 0}
        for name, count in ruled.items():
            is_same = seconds - self._added_at.get(name, -math.inf) <= SAME_SECONDS
            if count > 0 and self._rules and not is_same:
                if name in self._unlikely:
                    self._uncounted.add(name)
                else:
                    found[name] = count
                    self._found_at[name] = seconds
            if name in self._sure:
                if seconds - self._found_at.get(name, -math.inf) > REMEMBERED_SECONDS:
                    found[name] = 1
                    self._added_at[name] = seconds
                self._found_at[name] = seconds
        self._uncounted -= {name for name, count in found.items() if count > 0}
        return found

    def found_after_all(self, seconds: float) -> AbstractSet[str]:
        """What was silenced when a rule found it and is told from this frame on: counted now, once.

        The judge's answers lag, so it may agree only later.
        """
        late = self._uncounted & self._kept
        self._uncounted -= late
        self._found_at.update(dict.fromkeys(late, seconds))
        return late

    def _note(self, kind: Disagreement, names: frozenset[str]) -> None:
        self.disagreements[kind] += len(names - self._differing[kind])
        self._differing[kind] = names

    def _is_unlikely(self, name: str) -> bool:
        limits = self._limits[name]
        return bool(limits) and all(
            max(self._probabilities(fault, REMEMBERED_SECONDS)) < limit for fault, limit in limits.items()
        )

    def _is_sure_of(self, name: str) -> bool:
        if self._verdicts[-1][0] - self._unbroken_since < SURE_SECONDS - _TOLERANCE:
            return False
        return any(
            min(self._probabilities(fault, SURE_SECONDS)) >= limit + SPEAKS_ABOVE * (1 - limit)
            for fault, limit in self._limits[name].items()
        )

    def _has_waited(self, name: str) -> bool:
        """Whether the judge has been sure of a fault for as long as this one must last to be worth a word."""
        return self._verdicts[-1][0] - self._sure_since[name] >= self._waits[name]

    def _most_severe_first(self, names: AbstractSet[str]) -> tuple[Fault, ...]:
        heard = [fault for fault in self._exercise.faults if fault.name in names]
        return tuple(sorted(heard, key=lambda fault: -SEVERITIES.index(fault.severity)))

    def _probabilities(self, name: str, seconds: float) -> list[float]:
        newest = self._verdicts[-1][0]
        return [verdict.faults[self._exercise.name, name] for at, verdict in self._verdicts if newest - at <= seconds]
