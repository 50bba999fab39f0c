"""`evaluation.npz`: a bundle's evaluation picture by picture, so that two bundles can be compared on the same pictures.

What COCO's AP is made of, after matching and before ranking; I pictures, D persons found, T thresholds of OKS:

    dataset   ()      its id               persons     (I,)    labelled persons that count
    pictures  (I,)    ids, ascending       picture     (D,)    index of the picture that each was found in
    score     (D,)    what ranks them      matched     (D, T)  whether each is right at that threshold
                                           ignored     (D, T)  neither right nor wrong (crowds, unlabelled persons)

It is no file that a device needs, and AP on ground-truth boxes is what the manifest gives beside it.
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from plumbline_contract.errors import UNREADABLE, InvalidEvaluation

MAX_BYTES: Final = 32 << 20
"""The largest file, and half the largest content, that is read."""
OKS_THRESHOLDS: Final[tuple[float, ...]] = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))
_RECALLS: Final = np.linspace(0, 1, 101)


@dataclass(frozen=True)
class EvaluationRecord:
    """The arrays that the module's legend names."""

    dataset: str
    pictures: npt.NDArray[np.int64]
    persons: npt.NDArray[np.int32]
    picture: npt.NDArray[np.int32]
    score: npt.NDArray[np.float32]
    matched: npt.NDArray[np.bool_]
    ignored: npt.NDArray[np.bool_]

    def __post_init__(self) -> None:
        found, shape = len(self.score), (len(self.score), len(OKS_THRESHOLDS))
        if self.picture.shape != (found,) or self.matched.shape != shape or self.ignored.shape != shape:
            raise InvalidEvaluation(f"evaluation of {found} found persons has arrays of other lengths; evaluate again")
        if self.persons.shape != self.pictures.shape or self.pictures.ndim != 1 or not len(self.pictures):
            raise InvalidEvaluation("evaluation names no pictures, or not as many as it counts persons in")
        if found and not (self.picture.min() >= 0 and self.picture.max() < len(self.pictures)):
            raise InvalidEvaluation("evaluation finds persons in pictures that it does not name; evaluate again")

    def same_truth(self, other: EvaluationRecord) -> bool:
        """Whether both were measured on the same labelled pictures."""
        return (
            self.dataset == other.dataset
            and np.array_equal(self.pictures, other.pictures)
            and np.array_equal(self.persons, other.persons)
        )

    def to_bytes(self) -> bytes:
        """The file."""
        out = io.BytesIO()
        arrays: dict[str, Any] = {field.name: np.asarray(getattr(self, field.name)) for field in fields(self)}
        np.savez_compressed(out, **arrays)
        return out.getvalue()


def read_evaluation(content: bytes) -> EvaluationRecord:
    """The record of a file that anybody may have written. Raises InvalidEvaluation."""
    if len(content) > MAX_BYTES:
        raise InvalidEvaluation(f"evaluation.npz has {len(content)} bytes; at most {MAX_BYTES} are read")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if sum(member.file_size for member in archive.infolist()) > 2 * MAX_BYTES:
                raise InvalidEvaluation(f"evaluation.npz unpacks to more than {2 * MAX_BYTES} bytes")
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            return _record(arrays)
    except UNREADABLE as error:
        raise InvalidEvaluation(f"evaluation.npz cannot be read: {error}; evaluate the draft again") from error


def _record(arrays: Any) -> EvaluationRecord:
    return EvaluationRecord(
        dataset=str(arrays["dataset"]),
        pictures=arrays["pictures"].astype(np.int64),
        persons=arrays["persons"].astype(np.int32),
        picture=arrays["picture"].astype(np.int32),
        score=arrays["score"].astype(np.float32),
        matched=arrays["matched"].astype(np.bool_),
        ignored=arrays["ignored"].astype(np.bool_),
    )


class Ranking:
    """A record ready to be weighed again and again: its found persons in order of their scores, best first."""

    def __init__(self, record: EvaluationRecord) -> None:
        # pycocotools sorts by merge sort picture by picture: equal scores keep that order.
        order = np.lexsort((record.picture, -record.score))
        self._picture = record.picture[order]
        self._right_TD = (record.matched & ~record.ignored)[order].T.astype(np.float64)
        self._wrong_TD = (~record.matched & ~record.ignored)[order].T.astype(np.float64)
        self._persons = record.persons.astype(np.float64)

    def average_precision(self, weights_I: npt.NDArray[Any] | None = None) -> float:
        """COCO's AP over OKS .50 to .95, each picture counted as often as its weight says; 0 where there is nobody."""
        weights = np.ones(len(self._persons)) if weights_I is None else np.asarray(weights_I, np.float64)
        labelled = float(weights @ self._persons)
        if labelled == 0 or not self._picture.size:
            return 0.0
        weights_D = weights[self._picture]
        right_TD = np.cumsum(self._right_TD * weights_D, axis=1)
        wrong_TD = np.cumsum(self._wrong_TD * weights_D, axis=1)
        recall_TD = right_TD / labelled
        precision_TD = right_TD / np.maximum(right_TD + wrong_TD, np.spacing(1))
        return float(np.mean([_interpolated(*row) for row in zip(recall_TD, precision_TD, strict=True)]))


def _interpolated(recall_D: npt.NDArray[np.float64], precision_D: npt.NDArray[np.float64]) -> float:
    """Mean of the best precision at or beyond each of 101 recalls."""
    best_D = np.maximum.accumulate(precision_D[::-1])[::-1]
    places = np.searchsorted(recall_D, _RECALLS, side="left")
    return float(np.where(places < len(best_D), best_D[np.minimum(places, len(best_D) - 1)], 0.0).mean())
