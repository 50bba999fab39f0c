"""What the judge of form is asked: nothing of where and how big, nothing after the moment, zeros for the unseen."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from plumbline_contract.errors import InvalidSequence
from plumbline_contract.form import (
    ANSWER,
    CHANNELS,
    EXERCISES,
    FAULT_NAMES,
    LOGITS,
    OFFSET_UNIT,
    WINDOW_FRAMES,
    form_windows,
    largest,
    offset_changes,
    probability_changes,
    read_answer,
)
from plumbline_contract.skeleton import Keypoint


def person(frames: int = 60) -> npt.NDArray[np.float64]:
    """Somebody whose parts move smoothly, in pixels."""
    base_K2 = np.random.default_rng(3).uniform(100, 300, (17, 2))
    sway_TK = 12 * np.sin(np.arange(frames)[:, None] / 5 + np.arange(17))
    points_TK2 = base_K2 + np.stack([sway_TK, 0.5 * sway_TK], axis=-1)
    return np.concatenate([points_TK2, np.full((frames, 17, 1), 0.8)], axis=-1)


def test_a_window_knows_neither_place_nor_size() -> None:
    near_TK3 = person() * (2.5, 2.5, 1) + (40, -7, 0)
    np.testing.assert_allclose(form_windows(near_TK3, [30, 59]), form_windows(person(), [30, 59]), atol=1e-5)


def test_a_window_knows_nothing_of_what_comes_after() -> None:
    np.testing.assert_array_equal(form_windows(person(), [44])[0], form_windows(person()[:45], [44])[0])


def test_several_windows_are_those_asked_for_one_by_one() -> None:
    alone = np.concatenate([form_windows(person(), [end]) for end in (3, 20, 59)])
    np.testing.assert_array_equal(form_windows(person(), [3, 20, 59]), alone)


def test_before_the_first_frame_there_are_zeros() -> None:
    window_WC = form_windows(person(), [9])[0]
    assert window_WC.shape == (WINDOW_FRAMES, CHANNELS)
    assert not window_WC[:-10].any()
    assert window_WC[-10:].any(axis=1).all()


def test_an_unseen_keypoint_is_zero_whatever_its_place() -> None:
    lost_TK3 = person()
    lost_TK3[:, Keypoint.LEFT_KNEE] = (np.nan, 1e9, 0.9)
    window_WKX = form_windows(lost_TK3, [59])[0].reshape(WINDOW_FRAMES, 17, 5)
    assert not window_WKX[:, Keypoint.LEFT_KNEE].any()
    assert (window_WKX[:, Keypoint.NOSE, 4] == 1).all()


def test_without_hips_there_is_nothing_to_measure_from() -> None:
    lost_TK3 = person()
    lost_TK3[:, [Keypoint.LEFT_HIP, Keypoint.RIGHT_HIP], 2] = 0
    assert not form_windows(lost_TK3, [59]).any()


@pytest.mark.parametrize("shape", [(0, 17, 3), (5, 18, 3), (17, 3)])
def test_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InvalidSequence, match="expected"):
        form_windows(np.zeros(shape), [0])


def test_an_answer_is_read_by_name() -> None:
    logits_L = np.zeros(LOGITS)
    logits_L[ANSWER["exercise"]][EXERCISES.index("squat")] = 9
    logits_L[ANSWER["faults"]][FAULT_NAMES.index(("squat", "too_shallow"))] = 4
    logits_L[ANSWER["offsets"]][2 * Keypoint.LEFT_KNEE + 1] = -3
    verdict = read_answer(logits_L)
    assert verdict.exercise["squat"] > 0.99
    assert verdict.fault("squat", "too_shallow") == pytest.approx(1 / (1 + np.exp(-4)))
    assert verdict.fault("squat", "of_another_coach") is None
    assert verdict.wrong == 0.5
    assert verdict.offsets_K2[Keypoint.LEFT_KNEE].tolist() == pytest.approx([0, -3 * OFFSET_UNIT])


def test_every_logit_has_one_meaning() -> None:
    taken = np.zeros(LOGITS, int)
    for where in ANSWER.values():
        taken[where] += 1
    assert (taken == 1).all()
    with pytest.raises(InvalidSequence, match="logits"):
        read_answer(np.zeros(LOGITS + 1))


def test_changes_are_of_exercise_and_phase_too_and_nothing_that_is_no_number_is_lost() -> None:
    reference_NL = np.random.default_rng(0).normal(size=(6, LOGITS)).astype(np.float32)
    assert largest(probability_changes(reference_NL, reference_NL)) == 0
    for name in ("exercise", "phase", "wrong", "faults", "keypoints"):
        other_NL = reference_NL.copy()
        other_NL[:, ANSWER[name]] *= -5
        assert largest(probability_changes(reference_NL, other_NL)) > 0.2, name
        other_NL[3, ANSWER[name].start] = np.nan
        assert np.isnan(largest(probability_changes(reference_NL, other_NL))), name
    moved_NL = reference_NL.copy()
    moved_NL[2, ANSWER["offsets"].start] += 3
    assert largest([offset_changes(reference_NL, moved_NL)]) == pytest.approx(3 * OFFSET_UNIT, rel=1e-5)
    assert largest(probability_changes(reference_NL, moved_NL)) == 0
