"""Measures the coach on clips of plumbline-render, whose faults were injected without knowledge of the rules.

T frames, K the 17 keypoints, 3 = x, y, score.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from infra.coach_eyes import Keypoints, found_file

from plumbline_contract.exercise import Exercise, View
from plumbline_edge.coach import Coach, CoachState, load_exercise
from plumbline_edge.coach.judge import FormJudge
from plumbline_edge.coach.view import FRONT_FROM, SIDE_BELOW
from plumbline_training.form.rendered import NAMED
from plumbline_training.render.motion import SEVERITIES, known_motions

RULES_OF: Final[dict[str, dict[str, str]]] = {
    "squat": {
        "too_shallow": "too_shallow", "knees_in": "knees_caving_in", "trunk_drops_forward": "leaning_too_far",
        "heels_lift": "heels_lifting", "weight_on_one_side": "shifting_sideways", "too_fast": "too_fast",
    },
    "push_up": {
        "too_shallow": "too_shallow", "hips_sag": "hips_sagging", "hips_high": "hips_too_high",
        "head_drops": "head_hanging", "elbows_flare": "elbows_flaring",
    },
    "lunge": {
        "too_shallow": "too_shallow", "trunk_drops_forward": "leaning_forward", "knee_past_toes": "knee_past_toes",
        "trunk_tips_sideways": "tipping_sideways",
    },
    "plank": {
        "hips_sag": "hips_sagging", "hips_high": "hips_too_high", "head_drops": "head_hanging",
        "head_back": "head_back",
    },
    "bicep_curl": {
        "not_all_the_way_up": "not_high_enough", "trunk_swings": "leaning_back",
        "elbows_drift_forward": "elbows_drifting", "shoulders_shrug": "shrugging",
    },
    "shoulder_press": {
        "not_all_the_way_up": "not_high_enough", "back_arches": "leaning_back", "one_arm_lags": "uneven_arms",
        "trunk_tips_sideways": "tipping_sideways",
    },
    "front_raise": {
        "too_low": "not_high_enough", "elbows_bend": "bent_elbows", "trunk_swings": "swinging", "too_high": "too_high",
    },
    "shoulder_shrug": {
        "too_low": "not_high_enough", "elbows_bend": "bent_arms", "one_shoulder_lags": "uneven_shoulders",
        "chin_pokes_forward": "chin_poking",
    },
    "jumping_jack": {
        "arms_too_low": "arms_too_low", "feet_too_close": "feet_too_narrow", "one_arm_lags": "uneven_arms",
    },
    "glute_bridge": {
        "hips_too_low": "not_high_enough", "knees_fall_apart": "knees_apart", "knees_in": "knees_together",
        "one_hip_drops": "hip_dropping",
    },
    "desk_sitting": {
        "head_forward": "forward_head slumping", "slumped_back": "slumping leaning forward_head",
        "rounded_shoulders": "rounded_shoulders", "one_shoulder_up": "tilted_shoulders",
        "leans_sideways": "tilted_shoulders",
    },
}  # fmt: skip
"""The renderer's faults by the names of the coach's rules that tell of them: whoever slumps is seen from before to get
shorter and from the side to lean. An exercise that has no such rule has none for the fault."""
EITHER_WAY: Final = (0.55, 0.85)
"""A rendered repetition that was meant to go this share of the full way may count or not: the renderer's depth and the
rules' progress are not the same number. Where one side lags, the share is the mean of both sides."""
FURTHER: Final = ("too_high",)
"""Faults by which a movement goes further than it should: one that was held back as well may count or not."""
WITHIN_SECONDS: Final[float] = 1.0
"""A fault told this long before or after its time is found; told at any other time, it is false."""


@dataclass(frozen=True)
class Told:
    """A fault that the coach found, and when."""

    name: str
    seconds: float


@dataclass(frozen=True)
class Spell:
    """A fault that was injected, with the names of the rules that tell of it, none where it has none."""

    injected: str
    names: frozenset[str]
    start: float
    end: float
    visible: bool
    """Whether the rule may judge from where the camera truly stands."""

    def distance(self, told: Told) -> float:
        """Seconds between the spell and what was told; infinite for another fault."""
        if told.name not in self.names:
            return math.inf
        return max(self.start - told.seconds, told.seconds - self.end, 0.0)


def clip_paths(folders: Sequence[Path], found: Path | None = None) -> list[Path]:
    """What plumbline-render wrote of each clip in these folders; with `found`, of those whose keypoints are there."""
    paths = sorted(path for folder in folders for path in folder.glob("*_*.json"))
    return [path for path in paths if found is None or found_file(path, found).is_file()]


def exercise_of(clip: Mapping[str, Any]) -> Exercise:
    """The coach's exercise that a clip shows."""
    return load_exercise(NAMED.get(clip["exercise"], clip["exercise"]))


def follow(keypoints_TK3: Keypoints, rate_hz: float, coach: Coach, judge: FormJudge | None = None) -> list[CoachState]:
    """The coach's state after each frame, with what a judge answers."""
    states = []
    for frame, keypoints_K3 in enumerate(keypoints_TK3):
        seconds = frame / rate_hz
        verdict = None if judge is None else judge.update(seconds, keypoints_K3)
        states.append(coach.update(seconds, keypoints_K3, verdict))
    return states


def true_view(azimuth_degrees: float) -> View:
    """What the view estimator would say if it measured exactly; a back looks like a front."""
    facing = abs(math.cos(math.radians(azimuth_degrees)))
    return "front" if facing >= FRONT_FROM else "side" if facing < SIDE_BELOW else "three_quarter"


def told_in(states: Sequence[CoachState], fps: float) -> list[Told]:
    """Each time that a fault was found: once an attempt, or of a hold once an occasion."""
    told: list[Told] = []
    before = dict.fromkeys(states[-1].fault_counts, 0)
    for frame, state in enumerate(states):
        told += [Told(name, frame / fps) for name, count in state.fault_counts.items() if count > before[name]]
        before = dict(state.fault_counts)
    return told


def spells_of(clip: Mapping[str, Any], exercise: Exercise) -> list[Spell]:
    """What was injected."""
    rules, view = {fault.name: fault for fault in exercise.faults}, true_view(clip["camera"]["azimuth_degrees"])
    spells = []
    for spell in clip["faults"]:
        told_by = [rules[name] for name in RULES_OF[clip["exercise"]].get(spell["name"], "").split() if name in rules]
        names, seen = frozenset(rule.name for rule in told_by), any(view in rule.views for rule in told_by)
        spells.append(Spell(spell["name"], names, spell["onset_seconds"], spell["end_seconds"], seen))
    return spells


def matched(spells: Sequence[Spell], told: Sequence[Told]) -> tuple[set[int], list[Told]]:
    """The numbers of the spells that were found, and what was told falsely. What is told counts for one spell alone."""
    found, false = set[int](), list[Told]()
    for event in told:
        near = [(spell.distance(event), number) for number, spell in enumerate(spells)]
        near = [(distance, number) for distance, number in near if distance <= WITHIN_SECONDS]
        if not near:
            false.append(event)
            continue
        found.add(min((number in found, distance, number) for distance, number in near)[2])
    return found, false


def compared(
    clip: Mapping[str, Any], exercise: Exercise, states: Sequence[CoachState]
) -> tuple[list[Spell], set[int], list[Told]]:
    """What was injected, which of it was found, and what was told falsely."""
    spells = spells_of(clip, exercise)
    return spells, *matched(spells, told_in(states, float(clip["fps"])))


@dataclass
class Score:
    """What the coach made of the clips of one exercise."""

    clips: int = 0
    counted: int = 0
    exact: int = 0
    off_by_more: int = 0
    found: int = 0
    missed: int = 0
    false: int = 0
    hidden: int = 0
    hidden_found: int = 0
    without_rule: int = 0
    right_seconds: float = 0.0
    false_cues: int = 0

    def add(self, other: Score) -> None:
        """Sum up."""
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)

    def f_score(self, everything: bool) -> float:
        """F of the faults that may be judged in their view, or of everything that was injected."""
        found = self.found + (self.hidden_found if everything else 0)
        missed = self.missed + (self.hidden - self.hidden_found + self.without_rule if everything else 0)
        return 2 * found / max(2 * found + missed + self.false, 1)

    @property
    def false_cue_rate(self) -> float:
        """False cues in two minutes of correct exercise."""
        return self.false_cues / max(self.right_seconds / 120, 1e-9)

    def row(self, name: str) -> str:
        """A row of a table in Markdown."""
        counts = f"{share(self.exact, self.counted)} | {self.off_by_more}" if self.counted else "held | "
        return (
            f"| {name} | {self.clips} | {counts} | {self.f_score(False):.2f} ({self.found}, {self.missed},"
            f" {self.false}) | {self.f_score(True):.2f} ({self.hidden_found} of {self.hidden}; {self.without_rule}) |"
            f" {self.false_cue_rate:.2f} in {self.right_seconds / 60:.1f} min |"
        )


HEAD: Final = (
    "| exercise | clips | count exact | off by more than one | F of judged faults (found, missed, false)"
    " | F of all injected (found where hidden; without a rule) | false cues in 2 min |\n|---|---|---|---|---|---|---|"
)


def wilson(hits: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """The 95% interval of a share (Wilson 1927)."""
    if n == 0:
        return 0.0, 1.0
    middle, spread = hits / n + z * z / (2 * n), z * math.sqrt(hits * (n - hits) / n**3 + z * z / (4 * n * n))
    return max((middle - spread) / (1 + z * z / n), 0.0), min((middle + spread) / (1 + z * z / n), 1.0)


def share(hits: int, n: int) -> str:
    """A share with its interval."""
    low, high = wilson(hits, n)
    return f"{hits} of {n} ({100 * low:.0f} to {100 * high:.0f}%)" if n else "none"


def depths_of(clip: Mapping[str, Any]) -> list[float]:
    """How much of the full way each repetition was meant to go, on average of both sides."""
    depths = [float(rep["depth"]) for rep in clip["repetitions"]]
    kinds = {fault.name: fault for fault in known_motions()[clip["exercise"]].faults}
    for spell in clip["faults"]:
        lagging, number = kinds[spell["name"]].one_side_depth, spell["repetition"]
        if lagging is not None:
            depths[number] *= (1 + lagging[SEVERITIES.index(spell["severity"])]) / 2
        elif spell["name"] in FURTHER:
            depths[number] = max(depths[number], EITHER_WAY[0])
    return depths


def count_error(clip: Mapping[str, Any], repetitions: int) -> int:
    """By how many the count is wrong."""
    most, least = (sum(each >= depth for each in depths_of(clip)) for depth in EITHER_WAY)
    off: int = max(least - repetitions, repetitions - most, 0)
    return off


def score_clip(clip: Mapping[str, Any], exercise: Exercise, states: Sequence[CoachState]) -> Score:
    """Counts and faults against what was done."""
    score = Score(clips=1)
    spells, found, false = compared(clip, exercise, states)
    if not states[-1].holds:
        off = count_error(clip, states[-1].reps)
        score.counted, score.exact, score.off_by_more = 1, int(off == 0), int(off > 1)
    score.false = len(false)
    for number, spell in enumerate(spells):
        hit = number in found
        if not spell.names:
            score.without_rule += 1
        elif spell.visible:
            score.found, score.missed = score.found + hit, score.missed + (not hit)
        else:
            score.hidden, score.hidden_found = score.hidden + 1, score.hidden_found + hit
    if not spells:
        score.right_seconds = len(states) / float(clip["fps"])
        blameless = (exercise.praise, exercise.turn_cue, exercise.hold.break_cue if exercise.hold else None)
        score.false_cues = sum(state.cue_is_new and state.cue not in blameless for state in states)
    return score


def details(path: Path, clip: Mapping[str, Any], exercise: Exercise, states: Sequence[CoachState]) -> str:
    """What was missed, told falsely or miscounted in one clip."""
    spells, found, false = compared(clip, exercise, states)
    where = f"{path.stem} {exercise.name} {true_view(clip['camera']['azimuth_degrees'])}"
    severities = [spell["severity"] for spell in clip["faults"]]
    lines = [
        f"{where}: {'found' if number in found else 'MISSED'} {spell.injected} ({severities[number]},"
        f" {'seen' if spell.visible else 'hidden'}) {spell.start:.1f} to {spell.end:.1f}"
        for number, spell in enumerate(spells)
    ]
    lines += [f"{where}: FALSE {told.name} at {told.seconds:.1f}, view {states[-1].view}" for told in false]
    if not states[-1].holds and count_error(clip, states[-1].reps):
        depths = [round(depth, 2) for depth in depths_of(clip)]
        lines.append(f"{where}: COUNT {states[-1].reps} of {depths}")
    return "\n".join(lines)
