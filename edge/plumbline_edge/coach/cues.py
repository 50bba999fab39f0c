"""What to say and when: one thing at a time, the most severe first, and never the same thing over and over."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from plumbline_contract.exercise import SEVERITIES, Fault, Severity

Sensitivity = Literal["low", "normal", "high"]
"""How readily the coach speaks."""


@dataclass(frozen=True)
class CueTiming:
    """How talkative the coach is."""

    shown_seconds: float = 2.5
    """A cue stays on the screen for this long."""
    pause_seconds: float = 2.5
    """From one cue to the next, at least."""
    cool_down_seconds: float = 8.0
    """From one cue to the same again, at least."""
    ask_cool_down_seconds: float = 30.0
    """From one request to stand differently, or reminder of a break, to the next, at least."""
    least_severity: Severity = "minor"
    """Faults less severe than this are shown but not spoken of."""


SENSITIVITIES: Final = MappingProxyType[Sensitivity, CueTiming](
    {
        "low": CueTiming(pause_seconds=5.0, cool_down_seconds=20.0, least_severity="moderate"),
        "normal": CueTiming(),
        "high": CueTiming(pause_seconds=2.0, cool_down_seconds=5.0),
    }
)


PRAISE_SECONDS: Final = 5.0
"""A hold is praised so long after it deserved it, or not at all: later nobody knows what for."""


class CuePolicy:
    """Chooses the cue of each frame."""

    def __init__(self, praise: str, timing: CueTiming | None = None, break_after_seconds: float | None = None) -> None:
        """`break_after_seconds`: from one reminder of a break to the next, at least."""
        self._praise = praise
        self._timing = timing or CueTiming()
        self._break_seconds = max(break_after_seconds or 0.0, self._timing.ask_cool_down_seconds)
        self._cue: str | None = None
        self._cue_seconds = float("-inf")
        self._last_said: dict[str, float] = {}
        self._to_put_right = False
        self._held = False
        self._told: set[str] = set()
        """The faults of the hold under way that were spoken of."""
        self._in_order: AbstractSet[str] = frozenset()
        self._praise_due = float("-inf")
        self.quiet = False
        """Nothing is said."""

    def note_hold(
        self, time_seconds: float, held: bool, target_reached: bool = False, in_order: AbstractSet[str] = frozenset()
    ) -> None:
        """Of a position that is held: whether it is, and whether it has just been so for as long as a good one.

        `in_order` names the faults that could be judged in this frame and are not there.
        """
        self._held, self._in_order = held, in_order
        if not held:
            self._told.clear()
            self._praise_due = float("-inf")
        elif target_reached:
            self._praise_due = time_seconds

    def update(
        self,
        time_seconds: float,
        faults: Sequence[Fault],
        ended_with: Sequence[Fault] | None,
        counted: bool = False,
        ask: str | None = None,
        remind: str | None = None,
    ) -> tuple[str | None, bool]:
        """The cue to show, and whether it begins with this frame (say it aloud then).

        `faults` are those shown now, the most severe first; `ended_with` are those of the attempt that ended with this
        frame, None when none did. `ask` is what to ask of the person when there is nothing else to say. `remind` is
        said before any fault: it is seldom due, and three faults that take turns leave no pause for it.
        """
        if ended_with is not None:
            praise = self._to_put_right and counted and not ended_with
            self._to_put_right = bool(ended_with) or (self._to_put_right and not praise)
            if praise and not faults and self._may_say(time_seconds, self._praise):
                return self._say(time_seconds, self._praise), True
        if self._hold_deserves_praise(time_seconds, faults) and self._may_say(time_seconds, self._praise):
            self._praise_due = float("-inf")
            return self._say(time_seconds, self._praise), True
        if remind is not None and self._may_say(time_seconds, remind, self._break_seconds):
            return self._say(time_seconds, remind), True
        for fault in faults:
            spoken_of = SEVERITIES.index(fault.severity) >= SEVERITIES.index(self._timing.least_severity)
            if spoken_of and self._may_say(time_seconds, fault.cue):
                if self._held:
                    self._told.add(fault.name)
                return self._say(time_seconds, fault.cue), True
        if ask is not None and self._may_say(time_seconds, ask, self._timing.ask_cool_down_seconds):
            return self._say(time_seconds, ask), True
        if time_seconds - self._cue_seconds > self._timing.shown_seconds:
            self._cue = None
        return self._cue, False

    def _hold_deserves_praise(self, time_seconds: float, faults: Sequence[Fault]) -> bool:
        """Long enough, or free of a fault that was spoken of."""
        if faults:
            return False
        if self._told and self._told <= self._in_order:
            self._told.clear()
            self._praise_due = time_seconds
        return time_seconds - self._praise_due <= PRAISE_SECONDS

    def reset(self) -> None:
        """Forget what was said: time has jumped."""
        self._cue = None
        self._cue_seconds = float("-inf")
        self._last_said.clear()
        self.note_hold(0.0, held=False)

    def _may_say(self, time_seconds: float, cue: str, cool_down_seconds: float | None = None) -> bool:
        if self.quiet or time_seconds - self._cue_seconds < self._timing.pause_seconds:
            return False
        wait = self._timing.cool_down_seconds if cool_down_seconds is None else cool_down_seconds
        return time_seconds - self._last_said.get(cue, float("-inf")) >= wait

    def _say(self, time_seconds: float, cue: str) -> str:
        self._cue, self._cue_seconds = cue, time_seconds
        self._last_said[cue] = time_seconds
        return cue
