"""What the judge of form takes and answers: a few seconds of keypoints in, what is done and what is wrong with it out.

Axes: T frames at RATE_HZ, K keypoints, N windows, W frames of a window, C channels, L logits. Training makes its
windows, conversion its golden samples and the edge its questions by the same function.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from plumbline_contract.errors import InvalidSequence
from plumbline_contract.sequence import HIPS, TORSO_PERCENTILE, is_seen, midpoint, torso_length
from plumbline_contract.skeleton import NUM_KEYPOINTS

Array = npt.NDArray[np.floating]

RATE_HZ: Final[float] = 10.0
WINDOW_FRAMES: Final[int] = 40
LAG_FRAMES: Final[int] = 5
"""The answer is about the moment this many frames before the newest, so that what comes after is seen too."""
HISTORY_FRAMES: Final[int] = 300
"""The person's size and usual pose are taken from at most so many frames before the newest."""
CHANNELS: Final[int] = 5 * NUM_KEYPOINTS
"""Of each keypoint: x, y from the middle of the hips, x, y from where it usually is, and whether it was seen."""

FAULTS: Final[dict[str, tuple[str, ...]]] = {
    "bicep_curl": ("not_high_enough", "leaning_back", "elbows_drifting", "shrugging"),
    "front_raise": ("not_high_enough", "too_high", "bent_elbows", "swinging"),
    "glute_bridge": ("not_high_enough", "knees_apart", "knees_together", "hip_dropping"),
    "jumping_jack": ("arms_too_low", "feet_too_narrow", "uneven_arms"),
    "lunge": ("too_shallow", "knee_caving_in", "leaning_forward", "knee_past_toes", "tipping_sideways"),
    "plank": ("hips_sagging", "hips_too_high", "head_hanging", "head_back"),
    "push_up": ("too_shallow", "hips_sagging", "hips_too_high", "elbows_flaring", "head_hanging"),
    "shoulder_press": ("not_high_enough", "leaning_back", "uneven_arms", "tipping_sideways"),
    "shoulder_shrug": ("not_high_enough", "bent_arms", "uneven_shoulders", "chin_poking"),
    "sitting": ("forward_head", "slumping", "rounded_shoulders", "leaning_sideways", "tilted_shoulders"),
    "squat": (
        "too_shallow", "knees_caving_in", "leaning_too_far", "heels_lifting", "shifting_sideways", "too_fast",
    ),
}  # fmt: skip
"""By exercise, what can be wrong; called as the coach's rules are where one tells of it."""
TOLD_AS: Final[dict[tuple[str, str], str]] = {("sitting", "leaning_sideways"): "tilted_shoulders"}
"""(exercise, fault) of which the coach speaks by another of its rules: who leans to a side has a shoulder higher."""
EXERCISES: Final[tuple[str, ...]] = tuple(FAULTS)
PHASES: Final[tuple[str, ...]] = ("rest", "out", "full", "back", "hold")
FAULT_NAMES: Final[tuple[tuple[str, str], ...]] = tuple((name, fault) for name in FAULTS for fault in FAULTS[name])
"""(exercise, fault) of each fault logit."""

OFFSET_UNIT: Final[float] = 0.1
"""Offsets are answered in tenths of a torso length: numbers of the size of the logits beside them, for int8's sake."""


def _slices(sizes: dict[str, int]) -> dict[str, slice]:
    ends = np.cumsum(list(sizes.values())).tolist()
    return {name: slice(end - size, end) for (name, size), end in zip(sizes.items(), ends, strict=True)}


ANSWER: Final[dict[str, slice]] = _slices(
    {
        "exercise": len(EXERCISES),
        "phase": len(PHASES),
        "wrong": 1,
        "faults": len(FAULT_NAMES),
        "keypoints": NUM_KEYPOINTS,
        "offsets": 2 * NUM_KEYPOINTS,
    }
)
"""Where each answer lies among the logits."""
LOGITS: Final[int] = ANSWER["offsets"].stop
CHOICES: Final[tuple[slice, ...]] = (ANSWER["exercise"], ANSWER["phase"])
"""Of each one is right: their probabilities add up to 1."""
PROBABILITIES: Final[slice] = slice(ANSWER["wrong"].start, ANSWER["keypoints"].stop)
"""Each by itself."""


def form_windows(keypoints_TK3: Array, ends: Sequence[int]) -> npt.NDArray[np.float32]:
    """What the judge is asked about each frame of `ends`, the newest of its window: (N, W, C).

    Keypoints in pixels at RATE_HZ (`sequence.resample`). Nothing after a window's end is looked at; before the first
    frame, and where a keypoint or both hips were not seen, there are zeros. Raises InvalidSequence for other shapes.
    """
    if keypoints_TK3.ndim != 3 or keypoints_TK3.shape[1:] != (NUM_KEYPOINTS, 3) or len(keypoints_TK3) == 0:
        raise InvalidSequence(f"keypoints have shape {keypoints_TK3.shape!r}; expected (frames, {NUM_KEYPOINTS}, 3)")
    origin_T2 = midpoint(keypoints_TK3, HIPS)
    seen_TK = is_seen(keypoints_TK3) & np.isfinite(origin_T2).all(axis=-1, keepdims=True)
    points_TK2 = np.where(seen_TK[..., None], keypoints_TK3[..., :2] - origin_T2[:, None], 0.0)
    lengths_T = torso_length(keypoints_TK3)
    sums_TK2 = np.cumsum(np.concatenate([np.zeros_like(points_TK2[:1]), points_TK2]), axis=0)
    counts_TK = np.cumsum(np.concatenate([np.zeros_like(seen_TK[:1], dtype=int), seen_TK]), axis=0)
    windows = np.zeros((len(ends), WINDOW_FRAMES, CHANNELS), dtype=np.float32)
    for number, end in enumerate(ends):
        start, first = max(0, end + 1 - HISTORY_FRAMES), max(0, end + 1 - WINDOW_FRAMES)
        unit = _unit(lengths_T[start : end + 1])
        if unit is None:
            continue
        count_K = np.maximum(counts_TK[end + 1] - counts_TK[start], 1)
        usual_K2 = (sums_TK2[end + 1] - sums_TK2[start]) / count_K[:, None]
        seen_WK = seen_TK[first : end + 1]
        away_WK2 = np.where(seen_WK[..., None], points_TK2[first : end + 1] - usual_K2, 0.0)
        parts = (points_TK2[first : end + 1] / unit, away_WK2 / unit, seen_WK[..., None])
        windows[number, WINDOW_FRAMES - len(seen_WK) :] = np.concatenate(parts, axis=-1).reshape(len(seen_WK), -1)
    return np.asarray(np.clip(windows, -8.0, 8.0))


def _unit(lengths_T: npt.NDArray[np.float64]) -> float | None:
    known = lengths_T[np.isfinite(lengths_T) & (lengths_T > 0)]
    return float(np.percentile(known, TORSO_PERCENTILE)) if known.size else None


@dataclass(frozen=True)
class Verdict:
    """What the judge answers about one moment; every probability in [0, 1]."""

    exercise: dict[str, float]
    phase: dict[str, float]
    wrong: float
    """That anything is wrong."""
    faults: dict[tuple[str, str], float]
    """By (exercise, fault)."""
    keypoints_K: npt.NDArray[np.float64]
    """That a keypoint shows what is wrong."""
    offsets_K2: npt.NDArray[np.float64]
    """Where each keypoint belongs, from where it is, in torso lengths."""
    whole: bool = True
    """The window was full; of the first seconds less is known."""

    def fault(self, exercise: str, fault: str) -> float | None:
        """The probability of a fault, None of one that the judge does not know."""
        return self.faults.get((exercise, fault))


def read_answer(logits_L: Array) -> Verdict:
    """The judge's logits in words. Raises InvalidSequence for another number of them."""
    if logits_L.shape != (LOGITS,):
        raise InvalidSequence(f"the judge gave logits of shape {logits_L.shape!r}; expected {(LOGITS,)!r}")
    part = {name: logits_L[where].astype(np.float64) for name, where in ANSWER.items()}
    return Verdict(
        exercise=dict(zip(EXERCISES, softmax(part["exercise"]).tolist(), strict=True)),
        phase=dict(zip(PHASES, softmax(part["phase"]).tolist(), strict=True)),
        wrong=float(sigmoid(part["wrong"])[0]),
        faults=dict(zip(FAULT_NAMES, sigmoid(part["faults"]).tolist(), strict=True)),
        keypoints_K=sigmoid(part["keypoints"]),
        offsets_K2=OFFSET_UNIT * part["offsets"].reshape(NUM_KEYPOINTS, 2),
    )


def sigmoid(logits: Array) -> npt.NDArray[np.float64]:
    """The logistic function, for any finite number."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * logits)), dtype=np.float64)


def softmax(logits: Array) -> npt.NDArray[np.float64]:
    """Over the last axis."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True), dtype=np.float64)


def probability_changes(reference_NL: Array, candidate_NL: Array) -> list[npt.NDArray[np.float64]]:
    """How far probabilities move: of exercise and of phase the most in each window (N,), and each other one (N, P).

    Apart, so that a percentile of the one is not hidden by how many there are of the other. NaN where an answer is.
    """
    pairs = [(reference_NL[:, part], candidate_NL[:, part]) for part in CHOICES]
    chosen = [np.abs(softmax(reference) - softmax(candidate)).max(axis=1) for reference, candidate in pairs]
    return [*chosen, np.abs(sigmoid(reference_NL[:, PROBABILITIES]) - sigmoid(candidate_NL[:, PROBABILITIES]))]


def largest(changes: Sequence[npt.NDArray[np.float64]]) -> float:
    """Of all of them; NaN when any is."""
    return float(np.max([part.max() for part in changes]))


def offset_changes(reference_NL: Array, candidate_NL: Array) -> npt.NDArray[np.float64]:
    """How far the corrections move, in torso lengths."""
    return np.asarray(OFFSET_UNIT * np.abs(reference_NL - candidate_NL)[:, ANSWER["offsets"]], np.float64)
