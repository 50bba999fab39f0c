"""evaluation.npz: what is written is read, what others write does no harm, and AP is what its definition says."""

from __future__ import annotations

import io
import zipfile
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from plumbline_contract.errors import InvalidEvaluation
from plumbline_contract.evaluation import MAX_BYTES, OKS_THRESHOLDS, EvaluationRecord, Ranking, read_evaluation

T = len(OKS_THRESHOLDS)


def record(matched: list[int], persons: int, pictures: int = 4) -> EvaluationRecord:
    """Found persons in order of their scores, each right at this many of the thresholds."""
    found = len(matched)
    return EvaluationRecord(
        dataset="made",
        pictures=np.arange(pictures),
        persons=np.bincount(np.arange(persons) % pictures, minlength=pictures).astype(np.int32),
        picture=(np.arange(found) % pictures).astype(np.int32),
        score=np.linspace(1, 0.1, found, dtype=np.float32),
        matched=np.arange(T)[None, :] < np.array(matched, int).reshape(-1, 1),
        ignored=np.zeros((found, T), bool),
    )


@pytest.mark.parametrize(
    ("matched", "persons", "expected"),
    [
        ([T, T, T, T], 4, 1.0),
        ([0, 0, 0, 0], 4, 0.0),
        ([], 4, 0.0),
        ([5, 5, 5, 5], 4, 0.5),  # right at five of ten thresholds
        ([T, 0, T, 0], 2, (51 + 50 * 2 / 3) / 101),  # precision 1 up to recall .5, then 2/3
        ([T, T], 4, 51 / 101),  # half of the persons are never found
    ],
)
def test_average_precision_by_hand(matched: list[int], persons: int, expected: float) -> None:
    assert Ranking(record(matched, persons)).average_precision() == pytest.approx(expected)


def test_weight_is_as_good_as_a_copy_of_the_picture() -> None:
    once = record([T, 3, 0, T, 6, 1, T, 2], 8)
    twice = replace(
        once,
        pictures=np.arange(5),
        persons=np.append(once.persons, once.persons[0]),
        picture=np.append(once.picture, np.full(2, 4, np.int32)),
        score=np.append(once.score, once.score[once.picture == 0]),
        matched=np.vstack([once.matched, once.matched[once.picture == 0]]),
        ignored=np.vstack([once.ignored, once.ignored[once.picture == 0]]),
    )
    weighed = Ranking(once).average_precision(np.array([2, 1, 1, 1]))
    assert weighed == pytest.approx(Ranking(twice).average_precision())
    assert Ranking(once).average_precision(np.zeros(4)) == 0.0


def test_what_is_ignored_is_neither_right_nor_wrong() -> None:
    plain = record([T, 0, T], 2)
    ignored = replace(plain, ignored=np.repeat([[False], [True], [False]], T, axis=1))
    assert Ranking(ignored).average_precision() == 1.0


def test_file_comes_back_as_it_was() -> None:
    written = record([T, 3, 0], 3)
    again = read_evaluation(written.to_bytes())
    assert again.dataset == "made"
    for name in ("pictures", "persons", "picture", "score", "matched", "ignored"):
        np.testing.assert_array_equal(getattr(again, name), getattr(written, name))
    assert again.same_truth(written)
    assert not again.same_truth(replace(written, dataset="other"))
    assert not again.same_truth(record([T, 3, 0], 4))


def pickled() -> bytes:
    out = io.BytesIO()
    np.savez(out, dataset=np.array([{"a": 1}], dtype=object))
    return out.getvalue()


def bomb() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("score.npy", bytes(3 * MAX_BYTES))
    return out.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "cannot be read"),
        (b"PK\x03\x04 no archive", "cannot be read"),
        (record([T], 1).to_bytes()[:-40], "cannot be read"),
        (pickled(), "cannot be read"),
        (bomb(), "unpacks to more than"),
        (bytes(MAX_BYTES + 1), "at most"),
    ],
)
def test_file_that_anybody_may_have_written(content: bytes, message: str) -> None:
    with pytest.raises(InvalidEvaluation, match=message):
        read_evaluation(content)


def test_whatever_byte_is_damaged_nothing_else_escapes() -> None:
    content, refused = record([T, 0] * 20, 40).to_bytes(), 0
    for position in range(len(content)):
        damaged = content[:position] + bytes([content[position] ^ 0x55]) + content[position + 1 :]
        try:
            read_evaluation(damaged)
        except InvalidEvaluation:
            refused += 1
    assert refused > len(content) / 2


@pytest.mark.parametrize(
    "changes",
    [
        {"picture": np.array([0, 9], np.int32)},
        {"picture": np.array([0, -1], np.int32)},
        {"score": np.zeros(3, np.float32)},
        {"matched": np.zeros((2, 3), bool)},
        {"pictures": np.arange(0), "persons": np.zeros(0, np.int32)},
        {"persons": np.zeros(2, np.int32)},
    ],
)
def test_arrays_that_contradict_each_other(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidEvaluation):
        replace(record([T, 0], 2), **changes)
