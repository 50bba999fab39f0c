"""How good a judge is: moment by moment on performances it did not see, and on whole recorded sequences.

N moments, K keypoints, F faults.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import torch

from plumbline_contract.form import ANSWER, EXERCISES, FAULT_NAMES, LAG_FRAMES, OFFSET_UNIT, sigmoid
from plumbline_contract.skeleton import NUM_KEYPOINTS
from plumbline_training.form.errors import ErrorBank
from plumbline_training.form.net import FormNet, as_input
from plumbline_training.form.recorded import Recorded, all_windows
from plumbline_training.form.rendered import Performed
from plumbline_training.form.samples import Batch, film, windows_of

AMBIGUOUS_FRAMES: Final = 3
"""Moments this near a fault's beginning or end are not asked about: whether it is there is a matter of taste."""
STEP_FRAMES: Final = 3
SEEN_TORSO_LENGTHS: Final = 0.15
"""A fault that moves no keypoint this far in the picture is hidden from that camera: nearly three times the pose
model's own error in the median."""
RIGHT_BELOW: Final = 0.5
"""A corrected pose is right when less than half of the fault's mildest form is left, either way: the renderer too says
that a fault is there from half of it on."""

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Moments:
    """Answers and truth of many moments."""

    logits_NL: npt.NDArray[np.float32]
    truth: Batch

    @staticmethod
    def joined(parts: Sequence[Moments]) -> Moments:
        """One after another."""
        return Moments(np.concatenate([part.logits_NL for part in parts]), Batch.joined([part.truth for part in parts]))

    @property
    def seen_N(self) -> Flags:
        """Of moments with a fault that moves joints: whether the camera can see it."""
        return np.asarray(np.linalg.norm(self.truth.fault_px_NK2, axis=-1).max(axis=1) >= SEEN_TORSO_LENGTHS)

    def probability(self, name: str) -> npt.NDArray[np.float64]:
        """Of each of the answers of that name."""
        return sigmoid(self.logits_NL[:, ANSWER[name]])


@torch.inference_mode()
def answer(net: FormNet, windows_NWC: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Logits (N, L)."""
    parts = torch.split(torch.from_numpy(windows_NWC), 512)
    logits: npt.NDArray[np.float32] = torch.cat([net(as_input(part)).flatten(1) for part in parts]).numpy()
    return logits


def moments_asked(performed: Performed) -> npt.NDArray[np.int64]:
    """Frames to ask about, none near the beginning or end of a fault."""
    changes = np.flatnonzero((np.diff(performed.active_TF.astype(int), axis=0) != 0).any(axis=1)) + 1
    moments = np.arange(3 * LAG_FRAMES, len(performed.phase_T) - LAG_FRAMES, STEP_FRAMES)
    if len(changes) == 0:
        return moments
    near = np.abs(moments[:, None] - changes[None]).min(axis=1)
    return np.asarray(moments[near >= AMBIGUOUS_FRAMES])


def ask(
    net: FormNet,
    performed: Sequence[Performed],
    seed: int,
    held_out_view: bool | None = None,
    bank: ErrorBank | None = None,
) -> Moments:
    """Each performance before one camera, with the shipped pose model's errors, made-up or a bank's."""
    rng = np.random.default_rng(seed)
    filmed = [film(each, rng, held_out_view, augmented=False, bank=bank) for each in performed]
    parts = [windows_of(each, seen, moments_asked(each)) for each, seen in zip(performed, filmed, strict=True)]
    truth = Batch.joined([part for part in parts if len(part.exercise_N)])
    return Moments(answer(net, truth.windows_NWC), truth)


def exercise_accuracy(moments: Moments) -> tuple[int, int]:
    """(right, all)."""
    right = moments.logits_NL[:, ANSWER["exercise"]].argmax(axis=1) == moments.truth.exercise_N
    return int(right.sum()), len(right)


def best_thresholds(moments: Moments) -> npt.NDArray[np.float64]:
    """Of each fault the probability (F,) above which F1 is best on these moments."""
    candidates = np.linspace(0.1, 0.9, 33)
    probability_NF, truth_NF = moments.probability("faults"), moments.truth.faults_NF > 0
    own_NF = _own_faults(moments)
    best = np.full(len(FAULT_NAMES), 0.5)
    for fault in range(len(FAULT_NAMES)):
        p, t = probability_NF[own_NF[:, fault], fault], truth_NF[own_NF[:, fault], fault]
        if t.any():
            best[fault] = candidates[int(np.argmax([f1(p >= limit, t) for limit in candidates]))]
    return best


def _own_faults(moments: Moments) -> Flags:
    """Which faults (N, F) are of the exercise that is done: it is known to whoever asks."""
    exercise_F = np.array([EXERCISES.index(exercise) for exercise, _ in FAULT_NAMES])
    return np.asarray(moments.truth.exercise_N[:, None] == exercise_F[None])


def fault_scores(moments: Moments, thresholds_F: npt.NDArray[np.float64], hidden_too: bool) -> dict[str, float]:
    """F1 of each fault; without `hidden_too`, moments whose fault this camera can't see are left out."""
    told_NF, truth_NF = moments.probability("faults") >= thresholds_F, moments.truth.faults_NF > 0
    own_NF = _own_faults(moments)
    asked_N = np.ones(len(told_NF), bool) if hidden_too else ~truth_NF.any(axis=1) | moments.seen_N | _tempo(moments)
    scores = {}
    for number, (exercise, fault) in enumerate(FAULT_NAMES):
        which = own_NF[:, number] & asked_N
        if truth_NF[which, number].any():
            scores[f"{exercise} {fault}"] = f1(told_NF[which, number], truth_NF[which, number])
    return scores


def _tempo(moments: Moments) -> Flags:
    """Faults of tempo move no joint, and every camera sees them."""
    return np.asarray((moments.truth.wrong_N > 0) & (moments.truth.strength_N == 0))


def f1(told: Flags, truth: Flags) -> float:
    """The harmonic mean of precision and recall."""
    hits = int((told & truth).sum())
    return 2 * hits / max(1, int(told.sum()) + int(truth.sum()))


def attribution(moments: Moments) -> Flags:
    """Of each moment at which something is wrong, whether one of the two likeliest keypoints shows it."""
    wrong_N = moments.truth.wrong_N > 0
    top_N2 = np.argsort(-moments.logits_NL[wrong_N, ANSWER["keypoints"]], axis=1)[:, :2]
    return np.asarray(np.take_along_axis(moments.truth.keypoints_NK[wrong_N], top_N2, axis=1).any(axis=1))


def remaining(moments: Moments) -> npt.NDArray[np.float64]:
    """What is left of the fault (M,) after the offsets, in its mildest form, of moments whose fault moves joints.

    The injected fault's own measure: how far the pose still lies along the way that the fault moved it.
    """
    which = moments.truth.strength_N > 0
    away = moments.truth.fault_px_NK2[which].reshape(-1, 2 * NUM_KEYPOINTS).astype(np.float64)
    offsets = OFFSET_UNIT * moments.logits_NL[which][:, ANSWER["offsets"]]
    left = ((away + offsets) * away).sum(axis=1) / np.maximum((away**2).sum(axis=1), 1e-9)
    return np.asarray(left * moments.truth.strength_N[which])


def sequence_logits(net: FormNet, recorded: Sequence[Recorded]) -> npt.NDArray[np.float64]:
    """The mean logit of 'wrong' along each sequence."""
    return np.array([answer(net, all_windows(each))[:, ANSWER["wrong"]].mean() for each in recorded], dtype=np.float64)


def wrong_threshold(logits_N: npt.NDArray[np.float64], wrong_N: Flags) -> float:
    """The logit above which calling sequences wrong gives the best macro F1 on these; the middle of all such."""
    ordered = np.sort(logits_N)
    between = np.concatenate([[ordered[0] - 1], (ordered[1:] + ordered[:-1]) / 2])
    scores = np.array([macro_f1(logits_N > limit, wrong_N) for limit in between])
    return float(between[scores >= scores.max() - 1e-9].mean())


def macro_f1(told: Flags, truth: Flags) -> float:
    """The mean F1 of wrong and right."""
    return (f1(told, truth) + f1(~told, ~truth)) / 2


def sources(recorded: Sequence[Recorded]) -> dict[str, list[int]]:
    """The numbers of the sequences of each exercise and source; of all of an exercise and of a source with several."""
    groups: dict[str, list[int]] = {}
    for number, each in enumerate(recorded):
        exercise = EXERCISES[each.exercise]
        for name in (f"{exercise}, {each.source}", f"{exercise}, all", f"all, {each.source}"):
            groups.setdefault(name, []).append(number)
    alone = [numbers for name, numbers in groups.items() if "all" not in name]
    return {name: numbers for name, numbers in sorted(groups.items()) if "all" not in name or numbers not in alone}


def sequence_row(name: str, told: Flags, wrong: Flags) -> str:
    """A row of Markdown: n, wrong found, right blamed, and macro F1 with its 95% bootstrap interval."""
    rng = np.random.default_rng(0)
    draws = rng.integers(0, len(told), (1000, len(told)))
    low, high = np.percentile([macro_f1(told[draw], wrong[draw]) for draw in draws], [2.5, 97.5])
    found, blamed = int((told & wrong).sum()), int((told & ~wrong).sum())
    score = f"{macro_f1(told, wrong):.2f} ({low:.2f} to {high:.2f})"
    return f"| {name} | {len(told)} | {found} of {int(wrong.sum())} | {blamed} of {int((~wrong).sum())} | {score} |"


Figures = dict[str, tuple[float, int]]
"""Value and number of moments, by name."""


def rendered_rows(
    net: FormNet,
    performed: Sequence[Performed],
    thresholds_F: npt.NDArray[np.float64],
    bank: ErrorBank | None = None,
) -> tuple[Figures, list[str]]:
    """The figures on views as in training, and rows of Markdown: of these, of the views that training left out, and
    with a bank's errors."""
    seed = 20
    columns: dict[str, tuple[bool, ErrorBank | None]] = {
        "views as in training": (False, None),
        "views left out": (True, None),
    }
    if bank is not None:
        columns["errors as in pictures"] = (False, bank)
    figures = [summary(ask(net, performed, seed, *how), thresholds_F) for how in columns.values()]
    rows = [f"| {len(performed)} performances by others | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for name in figures[0]:
        rows.append(f"| {name} | {' | '.join(f'{column[name][0]:.3f} ({column[name][1]})' for column in figures)} |")
    return figures[0], rows


def summary(moments: Moments, thresholds_F: npt.NDArray[np.float64]) -> Figures:
    """The figures that a judge is measured by: each with the number of moments behind it."""
    right, n = exercise_accuracy(moments)
    wrong_N, moved_N, seen_N = moments.truth.wrong_N > 0, moments.truth.strength_N > 0, moments.seen_N
    seen, every = (list(fault_scores(moments, thresholds_F, hidden).values()) for hidden in (False, True))
    found, left = attribution(moments), np.abs(remaining(moments)) < RIGHT_BELOW
    phase = moments.logits_NL[:, ANSWER["phase"]].argmax(axis=1) == moments.truth.phase_N
    told = moments.probability("wrong")[:, 0] >= 0.5
    return {
        "exercise accuracy": (right / n, n),
        "phase accuracy": (float(phase.mean()), n),
        "fault macro F1, seen": (_mean(seen), int((~wrong_N | seen_N | _tempo(moments)).sum())),
        "fault macro F1, all": (_mean(every), n),
        "wrong macro F1": (macro_f1(told, wrong_N), n),
        "top-2 keypoints, seen": (_mean(found[seen_N[wrong_N]]), int((seen_N & wrong_N).sum())),
        "top-2 keypoints, all": (_mean(found), int(wrong_N.sum())),
        "corrected, seen": (_mean(left[seen_N[moved_N]]), int((seen_N & moved_N).sum())),
        "corrected, all": (_mean(left), int(moved_N.sum())),
    }


def _mean(values: Sequence[float] | Flags) -> float:
    return float(np.mean(values)) if len(values) else 0.0
