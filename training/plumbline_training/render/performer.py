"""Draws performances: how one person does an exercise this time, correctly or with faults."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from plumbline_training.render.motion import Fault, Motion, Style, Tempo
from plumbline_training.render.performance import (
    CORRECT_SHARE,
    PLANTED,
    SHIFTABLE,
    Injected,
    Performance,
    Repetition,
    half_there,
)
from plumbline_training.render.pose import SIDES, Side
from plumbline_training.render.supports import SIDED


def perform(
    exercise: str,
    motion: Motion,
    rng: np.random.Generator,
    repetitions: tuple[int, int] = (3, 8),
    fault: str | None = None,
) -> Performance:
    """A performance. `fault` names one to show, "none" asks for correct form; without it chance decides."""
    style = _style(motion, rng)
    side: Side = SIDES[int(rng.integers(2))]
    lag: dict[Side, float] = {each: float(abs(rng.normal(0, 0.025))) for each in SIDES}
    rest, full = _person(motion, style, rng)
    chosen = _faults(motion, rng, fault)
    if motion.tempo is None:
        reps: list[Repetition] = []
        assert motion.hold is not None, "the schema asks for tempo or hold"
        seconds = float(rng.uniform(*motion.hold))
        injected = _spells(chosen, seconds, motion.neutral, rng)
    else:
        count = int(rng.integers(repetitions[0], repetitions[1] + 1))
        reps, injected, seconds = _repetitions(motion.tempo, count, chosen, rng)
    done = Performance(exercise, motion, style, seconds, reps, injected, rest, full, lag, {}, side)
    if style.one_arm:
        done.arm_of = [SIDES[(number + SIDES.index(side)) % 2] for number in range(len(reps))]
    done.sway = _sway(done, rng)
    return done


def _style(motion: Motion, rng: np.random.Generator) -> Style:
    shares = np.array([style.share for style in motion.styles])
    style = motion.styles[int(rng.choice(len(shares), p=shares / shares.sum()))]
    return style if style.props or motion.props is None else style.model_copy(update={"props": motion.props})


def sided(values: dict[str, float]) -> dict[str, float]:
    """Bare names of joints that a body has twice, on both sides; a sided name overrides."""
    both = {f"{name}.{side}": value for name, value in values.items() if name in SIDED for side in SIDES}
    return both | {name: value for name, value in values.items() if name not in SIDED}


def _person(motion: Motion, style: Style, rng: np.random.Generator) -> tuple[dict[str, float], dict[str, float]]:
    """This person's rest and full position: spread about the motion's, a little different left and right."""
    rest = sided(motion.rest | style.joints)
    full = rest | sided(motion.full)
    own = {name: float(rng.normal(0, spread)) for name, spread in motion.spread.items()}
    further = {name: float(rng.normal(0, spread)) for name, spread in motion.full_spread.items()}
    uneven = {name: float(rng.normal(0, 1.2)) for name in sorted(full) if "." in name}
    for name in sorted({*full, *sided(own), *sided(further)}):
        bare = name.partition(".")[0]
        common = own.get(bare, 0.0) + (0.0 if bare in SHIFTABLE else uneven.get(name, 0.0))
        rest[name] = rest.get(name, 0.0) + common
        full[name] = full.get(name, rest[name] - common) + common + further.get(bare, 0.0)
    return rest, full


def _sway(done: Performance, rng: np.random.Generator) -> dict[str, list[tuple[float, float, float]]]:
    """Slow unsteadiness of each joint: amounts in degrees, frequencies in hertz, phases."""
    names = {*done.rest, "lean", "tilt", "twist", "head_turn", "neck", "side_bend"}
    names -= {name for name in names if name.partition(".")[0] in SHIFTABLE | PLANTED}
    size = float(rng.uniform(0.25, 0.7))
    sway = {}
    for name in sorted(names):
        more = 3.0 if name in ("head_turn", "neck") else 1.0
        sway[name] = [
            (
                float(rng.normal(0, more * size / (1 + 2 * low))),
                float(low * rng.uniform(0.7, 1.3)),
                float(rng.uniform(0, 6.3)),
            )
            for low in (0.13, 0.4, 0.9)
        ]
    done.rest = done.rest | {name: 0.0 for name in names if name not in done.rest}
    return sway


def _faults(motion: Motion, rng: np.random.Generator, wanted: str | None) -> list[tuple[Fault, int]]:
    """Which faults, each with its severity."""
    if wanted == "none" or (wanted is None and rng.random() < CORRECT_SHARE):
        return []
    named = [fault for fault in motion.faults if fault.name == wanted]
    if named:
        return [(named[0], int(rng.integers(3)))]
    picked = rng.permutation(len(motion.faults))[: 2 if rng.random() < 0.2 else 1]
    return [(motion.faults[int(number)], int(rng.integers(3))) for number in picked]


def _scale(fault: Fault, severity: int, rng: np.random.Generator) -> float:
    """The injected amount: a factor of `add`, or the share of depth that is left."""
    left = fault.one_side_depth or fault.depth or fault.tempo
    return float(rng.uniform(0.92, 1.08)) if left is None else float(left[severity] * rng.uniform(0.95, 1.05))


def _spells(
    chosen: list[tuple[Fault, int]], seconds: float, neutral: float, rng: np.random.Generator
) -> list[Injected]:
    """Stretches of a hold during which a fault is shown, none of them in its first `neutral` seconds."""
    spells = []
    for fault, severity in chosen:
        start = max(float(rng.uniform(0.2, 0.45)) * seconds, neutral)
        while start < seconds - 2.5:
            end = min(start + float(rng.uniform(3, 10)), seconds - 0.6)
            scale, side = _scale(fault, severity, rng), SIDES[int(rng.integers(2))]
            spells.append(Injected(fault, severity, start, end, None, scale, side))
            start = end + float(rng.uniform(4, 12))
    return sorted(spells, key=lambda spell: spell.onset)


def _repetitions(
    tempo: Tempo, count: int, chosen: list[tuple[Fault, int]], rng: np.random.Generator
) -> tuple[list[Repetition], list[Injected], float]:
    """The repetitions one after another, with faults in a run of them, and the seconds until the end."""
    own = {phase: float(rng.uniform(*getattr(tempo, phase))) for phase in ("out", "full", "back", "rest")}
    runs = [_run(count, rng) for _ in chosen]
    sides = [SIDES[int(rng.integers(2))] for _ in chosen]
    tired = float(rng.uniform(0, 0.25))
    reps: list[Repetition] = []
    injected: list[Injected] = []
    now = float(rng.uniform(0.8, 2.0))
    for number in range(count):
        here = [
            (fault, severity, side)
            for (fault, severity), run, side in zip(chosen, runs, sides, strict=True)
            if number in run
        ]
        scales = {fault.name: _scale(fault, severity, rng) for fault, severity, _ in here}
        pace = (1 + tired * number / count) * float(
            np.prod([scales[f.name] for f, _, _ in here if f.tempo is not None])
        )
        depth = float(rng.normal(1, 0.025)) * float(
            np.prod([scales[f.name] for f, _, _ in here if f.depth is not None])
        )
        out, full, back = (
            max(0.04, pace * own[phase] * float(rng.uniform(0.9, 1.1))) for phase in ("out", "full", "back")
        )
        rep = Repetition(now, now + out, now + out + full, now + out + full + back, depth)
        reps.append(rep)
        injected += [_within(rep, number, fault, severity, scales[fault.name], side) for fault, severity, side in here]
        now = rep.end + own["rest"] * float(rng.uniform(0.7, 1.3))
    return reps, _joined(injected), now + float(rng.uniform(0.5, 1.2))


def _run(count: int, rng: np.random.Generator) -> range:
    """Which repetitions show a fault: a run of them, now and then all."""
    if rng.random() < 0.2:
        return range(count)
    start = int(rng.integers(0, count))
    return range(start, min(count, start + int(rng.integers(1, count + 1))))


def _within(rep: Repetition, number: int, fault: Fault, severity: int, scale: float, side: Side) -> Injected:
    """A fault in a repetition. Too little depth shows from where the person turns back."""
    if fault.add and fault.when != "throughout":
        onset, end = half_there(rep, fault.when)
    elif fault.depth is not None or fault.one_side_depth is not None:
        onset, end = rep.full, rep.end
    else:
        onset, end = rep.start, rep.end
    return Injected(fault, severity, onset, end, number, scale, side)


def _joined(injected: list[Injected]) -> list[Injected]:
    """Faults that last throughout a repetition go on through the rest between two."""
    joined: list[Injected] = []
    for item in sorted(injected, key=lambda each: each.onset):
        last = next((each for each in reversed(joined) if each.fault.name == item.fault.name), None)
        if item.fault.when == "throughout" and item.fault.add and last is not None and last.repetition is not None:
            joined[joined.index(last)] = replace(last, end=item.end, repetition=last.repetition)
        else:
            joined.append(item)
    return joined
