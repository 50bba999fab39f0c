"""One person doing one exercise for a while: tempo, depth, asymmetry and sway of their own, and faults at known times.

Everything is decided once, in seconds; `joints_at` then gives the joints at any times, so that any frame rate will do.
T moments.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from plumbline_training.render.motion import Fault, Motion, Style
from plumbline_training.render.pose import SIDES, Pose, Side, Skeleton, sign
from plumbline_training.render.supports import DEFAULTS, SIDED, SUPPORTS

Times = npt.NDArray[np.float64]

CORRECT_SHARE: Final = 0.35
"""Of the clips, how many are free of faults."""
RAMP_SECONDS: Final = 0.4
PHASES: Final = ("rest", "out", "full", "back", "hold")
SHIFTABLE: Final = frozenset({"stance", "stride", "hands", "shift", "seat", "foot_distance"})
"""Joints in metres, or in limb lengths: not to be swayed by degrees."""
PLANTED: Final = frozenset({"toe_out", "heel", "knees_in", "flare", "knee"})


def smooth(share: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Minimum-jerk ease from 0 to 1 (Flash and Hogan, 1985), constant outside."""
    s = np.clip(np.asarray(share, dtype=np.float64), 0.0, 1.0)
    return np.asarray(s**3 * (10 - 15 * s + 6 * s**2))


@dataclass(frozen=True)
class Repetition:
    """One repetition in seconds; `depth` is the share of the full position that was meant to be reached."""

    start: float
    full: float
    leaves: float
    end: float
    depth: float


@dataclass(frozen=True)
class Injected:
    """One fault over one stretch of time. Onset and end are where half of it, or more, is there."""

    fault: Fault
    severity: int
    onset: float
    end: float
    repetition: int | None
    scale: float
    side: Side | None


@dataclass
class Performance:
    """What somebody does from second 0 to `seconds`."""

    exercise: str
    motion: Motion
    style: Style
    seconds: float
    repetitions: list[Repetition]
    injected: list[Injected]
    rest: dict[str, float]
    full: dict[str, float]
    lag: dict[Side, float]
    sway: dict[str, list[tuple[float, float, float]]]
    front: Side = "L"
    arm_of: list[Side | None] = field(default_factory=list)
    """Of each repetition: the one arm that moves, or None for both."""

    def progress(self, times_T: Times, lag: float = 0.0) -> npt.NDArray[np.float64]:
        """0 at rest, 1 in the full position (T,); a repetition may fall short of it."""
        total = np.zeros_like(times_T)
        for rep in self.repetitions:
            out = smooth((times_T - lag - rep.start) / (rep.full - rep.start))
            back = smooth((times_T - lag - rep.leaves) / (rep.end - rep.leaves))
            total += rep.depth * (out - back)
        return total

    def phases(self, times_T: Times) -> list[str]:
        """The phase at each time: rest, out, full, back; hold for an exercise without repetitions."""
        if self.motion.hold is not None:
            return ["hold"] * len(times_T)
        phase = np.zeros(len(times_T), int)
        for rep in self.repetitions:
            phase[(times_T >= rep.start) & (times_T < rep.end)] = 3
            phase[(times_T >= rep.start) & (times_T <= rep.leaves)] = 2
            phase[(times_T >= rep.start) & (times_T < rep.full)] = 1
        return [PHASES[code] for code in phase]

    def joints_at(self, times_T: Times) -> dict[str, npt.NDArray[np.float64]]:
        """Every joint of the motion at each time, (T,), sided ones by side."""
        joints = {}
        for name in self._names():
            bare, _, letter = name.partition(".")
            side: Side | None = "L" if letter == "L" else "R" if letter == "R" else None
            start = self.rest.get(name, self.full.get(name, DEFAULTS.get(bare, 0.0)))
            span = self.full.get(name, start) - start
            values = start + span * self._share(times_T, bare, side)
            for amount, frequency, phase in self.sway.get(name, ()):
                values = values + amount * np.sin(2 * np.pi * frequency * times_T + phase)
            for injected in self.injected:
                values = values + self._change(injected, bare, side, times_T)
            joints[name] = values
        return joints

    def pose_at(self, skeleton: Skeleton, times_T: Times) -> Pose:
        """The poses at each time."""
        options: dict[str, object] = {}
        if self.motion.support == "split":
            options["front"] = self.front
        if self.motion.support in ("feet", "feet_level_arms"):
            options["balance"] = self.motion.balance
        if self.style.hands is not None:
            options["hands"] = self.style.hands
        return SUPPORTS[self.motion.support](skeleton, self.joints_at(times_T), **options)

    def _names(self) -> list[str]:
        changed = [name for injected in self.injected for name in injected.fault.add]
        names = {name.partition(".")[0] for name in (*self.rest, *self.full, *changed)}
        return sorted(
            sided for name in names for sided in ([f"{name}.{side}" for side in SIDES] if name in SIDED else [name])
        )

    def _share(self, times_T: Times, bare: str, side: Side | None) -> npt.NDArray[np.float64]:
        """How far this joint is from its rest to its full position."""
        share = self.progress(times_T, self.lag[side] if side else 0.0)
        for number, rep in enumerate(self.repetitions):
            during = (times_T >= rep.start) & (times_T < rep.end + 0.2)
            if side and self.arm_of and self.arm_of[number] not in (None, side):
                share = np.where(during, 0.0, share)
        for injected in self.injected:
            fault = injected.fault
            held = fault.one_side_depth is not None and side == injected.side and side is not None
            if held and (fault.joints is None or bare in fault.joints) and injected.repetition is not None:
                rep = self.repetitions[injected.repetition]
                during = (times_T >= rep.start) & (times_T < rep.end + 0.2)
                share = np.where(during, share * injected.scale, share)
        return share

    def _change(self, injected: Injected, bare: str, side: Side | None, times_T: Times) -> npt.NDArray[np.float64]:
        """What a fault adds to this joint."""
        fault = injected.fault
        if bare not in fault.add or (fault.one_side and side != injected.side):
            return np.zeros_like(times_T)
        if bare == "knees_in" and self.motion.support == "split" and side != self.front:
            return np.zeros_like(times_T)
        turned = sign(injected.side) if fault.mirrored and injected.side else 1.0
        return turned * injected.scale * fault.add[bare][injected.severity] * self.envelope(injected, times_T)

    def envelope(self, injected: Injected, times_T: Times) -> npt.NDArray[np.float64]:
        """How much of the fault is there, 0 to 1."""
        if injected.repetition is None or injected.fault.when == "throughout":
            half = RAMP_SECONDS / 2
            begins = smooth((times_T - injected.onset + half) / RAMP_SECONDS)
            return np.asarray(begins - smooth((times_T - injected.end + half) / RAMP_SECONDS))
        return rep_envelope(self.repetitions[injected.repetition], injected.fault.when, times_T)


def rep_envelope(rep: Repetition, when: str, times_T: Times) -> npt.NDArray[np.float64]:
    """The envelope of a fault within one repetition: about the full position, or on the way out or back."""
    out = (times_T - rep.start) / (rep.full - rep.start)
    back = (times_T - rep.leaves) / (rep.end - rep.leaves)
    if when == "out":
        return np.asarray(smooth(out / 0.45) - smooth((out - 0.55) / 0.45))
    if when == "back":
        return np.asarray(smooth(back / 0.45) - smooth((back - 0.55) / 0.45))
    reached = smooth(out) - smooth(back)
    return np.asarray(smooth((reached - 0.2) / 0.6))


def half_there(rep: Repetition, when: str) -> tuple[float, float]:
    """The seconds between which half of a fault's envelope, or more, is there."""
    fine = np.linspace(rep.start, rep.end, 2001)
    inside = fine[rep_envelope(rep, when, fine) >= 0.5]
    return float(inside[0]), float(inside[-1])
