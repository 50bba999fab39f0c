"""Sequences of real people that somebody called right or wrong as a whole.

An npz of arrays (T, 17, 3) in pixels at the contract's rate, each under EXERCISE__LABEL__SOURCE__NAME with the label
right or wrong; sequences of one source look alike and must not be parted by a split.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from plumbline_contract.errors import UNREADABLE
from plumbline_contract.form import EXERCISES, LAG_FRAMES, form_windows
from plumbline_contract.sequence import is_seen
from plumbline_contract.skeleton import MIRROR
from plumbline_training.errors import InvalidDataset
from plumbline_training.form.samples import dropped_out, noise

LABELS = ("right", "wrong")


@dataclass(frozen=True)
class Recorded:
    """One sequence."""

    exercise: int
    wrong: bool
    source: str
    name: str
    keypoints_TK3: npt.NDArray[np.float64]


def load_recorded(path: Path) -> list[Recorded]:
    """Read sequences. Raises InvalidDataset."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return [_read(key, archive[key], path) for key in archive.files]
    except UNREADABLE as error:
        raise InvalidDataset(f"{str(path)!r} is no npz of sequences ({error})") from error


def _read(key: str, keypoints_TK3: npt.NDArray[np.float64], path: Path) -> Recorded:
    exercise, label, source, name = (*key.split("__"), "", "", "", "")[:4]
    if exercise not in EXERCISES or label not in LABELS or not name or not _is_sequence(keypoints_TK3):
        raise InvalidDataset(
            f"{str(path)!r}: {key!r} of shape {keypoints_TK3.shape}; name arrays (T, 17, 3) as"
            f" EXERCISE__LABEL__SOURCE__NAME, with an exercise of {', '.join(EXERCISES)} and a label of {LABELS}"
        )
    return Recorded(EXERCISES.index(exercise), label == "wrong", source, name, keypoints_TK3)


def _is_sequence(keypoints_TK3: npt.NDArray[np.float64]) -> bool:
    return keypoints_TK3.shape[1:] == (17, 3) and len(keypoints_TK3) > 0 and keypoints_TK3.dtype.kind in "fiu"


def all_windows(recorded: Recorded, step: int = 1) -> npt.NDArray[np.float32]:
    """What the judge is asked along the sequence (N, W, C); at least one question, however short it is."""
    latest = len(recorded.keypoints_TK3) - 1
    return form_windows(recorded.keypoints_TK3, sorted({*range(min(LAG_FRAMES, latest), latest + 1, step), latest}))


def varied_windows(recorded: Recorded, count: int, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """`count` windows of the sequence as another camera and another day would have shown it."""
    keypoints_TK3 = recorded.keypoints_TK3.copy()
    if len(keypoints_TK3) > 12:
        first = int(rng.integers(0, max(1, len(keypoints_TK3) // 6)))
        keypoints_TK3 = keypoints_TK3[first : len(keypoints_TK3) - int(rng.integers(0, len(keypoints_TK3) // 6))]
    if rng.random() < 0.5:
        keypoints_TK3 = keypoints_TK3[:, list(MIRROR)] * (-1, 1, 1)
    pace = float(np.exp(rng.normal(0, 0.12)))
    frames = np.round(np.arange(0, len(keypoints_TK3) - 0.5, pace)).astype(int)
    keypoints_TK3 = keypoints_TK3[np.minimum(frames, len(keypoints_TK3) - 1)]
    turn, stretch = rng.normal(0, np.radians(3)), float(np.exp(rng.normal(0, 0.06)))
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    size = _extent(keypoints_TK3) / 3
    moved_TK2 = keypoints_TK3[..., :2] @ rotation * (stretch, 1 / stretch)
    moved_TK2 = moved_TK2 + size * noise(len(keypoints_TK3), rng, float(rng.uniform(0, 0.5)))
    scores_TK = np.where(dropped_out(len(keypoints_TK3), rng), 0.0, keypoints_TK3[..., 2])
    latest = len(keypoints_TK3) - 1
    ends = rng.integers(min(LAG_FRAMES, latest), latest + 1, count)
    return form_windows(np.concatenate([moved_TK2, scores_TK[..., None]], axis=-1), ends.tolist())


def _extent(keypoints_TK3: npt.NDArray[np.float64]) -> float:
    """The longer side in pixels of what was seen throughout; 0 when nothing was."""
    seen_N2 = keypoints_TK3[is_seen(keypoints_TK3), :2]
    return float(np.ptp(seen_N2, axis=0).max()) if len(seen_N2) else 0.0


def folds(recorded: Sequence[Recorded], count: int) -> list[tuple[list[int], list[int]]]:
    """(train, test) numbers `count` times: whole sources of the exercises that have several, else single sequences.

    A source is held out once while `count` is at least the number of sources; further folds train on all of them.
    """
    tests: list[set[int]] = [set() for _ in range(count)]
    for exercise in sorted({each.exercise for each in recorded}):
        numbers = [number for number, each in enumerate(recorded) if each.exercise == exercise]
        sources = sorted({recorded[number].source for number in numbers})
        if len(sources) > 1:
            for number in numbers:
                tests[sources.index(recorded[number].source) % count].add(number)
            continue
        for wrong in (False, True):
            same = [number for number in numbers if recorded[number].wrong == wrong]
            order = np.random.default_rng(exercise).permutation(same).tolist()
            for place, number in enumerate(order):
                tests[place % count].add(number)
    everything = range(len(recorded))
    return [([n for n in everything if n not in test], sorted(test)) for test in tests]


def require_folds(recorded: Sequence[Recorded], count: int) -> None:
    """Raises InvalidDataset when a fold would hold out all sequences of an exercise."""
    for train, test in folds(recorded, count):
        left = {recorded[number].exercise for number in train}
        for number in test:
            if recorded[number].exercise not in left:
                raise InvalidDataset(
                    f"--cross-validate would hold out all sequences of {EXERCISES[recorded[number].exercise]} at once;"
                    " give some of another source, or two right and two wrong ones"
                )
