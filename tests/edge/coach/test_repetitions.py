"""The state machine on progress curves drawn by hand."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from plumbline_contract.exercise import PhaseNames, Repetition
from plumbline_edge.coach.repetitions import Attempt, RepetitionCounter

RULES = Repetition(
    phases=PhaseNames(rest="up", out="lowering", full="down", back="rising"),
    begins_above=0.2,
    ends_below=0.1,
    counts_from=0.6,
    hysteresis=0.12,
    min_seconds=0.3,
    min_partial_seconds=0.5,
    max_seconds=6,
)
RATE_HZ = 30


def bump(peak: float, seconds: float) -> list[float]:
    """Two seconds of rest and a bump of progress."""
    steps = int(seconds * RATE_HZ)
    return [0.0] * (2 * RATE_HZ) + [peak * math.sin(math.pi * step / steps) ** 2 for step in range(steps)] + [0.0] * 5


def attempts(progress: list[float]) -> tuple[RepetitionCounter, list[Attempt]]:
    counter = RepetitionCounter(RULES)
    ended = [counter.update(frame / RATE_HZ, value) for frame, value in enumerate(progress)]
    return counter, [attempt for attempt in ended if attempt is not None]


def test_a_full_movement_counts_once_and_on_return() -> None:
    counter, ended = attempts(bump(1.0, 2.0))
    assert (counter.repetitions, counter.partial_repetitions) == (1, 0)
    assert ended[0].counted
    assert ended[0].peak_progress == pytest.approx(1.0, abs=0.01)
    assert 1.0 < ended[0].seconds < 2.0
    on_the_way, _ = attempts(bump(1.0, 2.0)[: 3 * RATE_HZ])
    assert on_the_way.repetitions == 0


def test_half_a_movement_is_partial() -> None:
    counter, ended = attempts(bump(0.5, 2.0))
    assert (counter.repetitions, counter.partial_repetitions) == (0, 1)
    assert not ended[0].counted


@pytest.mark.parametrize(("peak", "seconds"), [(0.1, 2.0), (1.0, 0.3), (0.4, 0.6)])
def test_a_twitch_is_nothing(peak: float, seconds: float) -> None:
    counter, ended = attempts(bump(peak, seconds))
    assert (counter.repetitions, counter.partial_repetitions, ended) == (0, 0, [])


def test_wobbling_at_any_threshold_counts_once() -> None:
    rng = np.random.default_rng(0)
    for level in (RULES.begins_above, RULES.counts_from):
        wobble = (level + rng.uniform(-0.05, 0.05, 60)).tolist()
        counter, _ = attempts([0.0] * 60 + wobble + [0.4, 0.7, 1.0] + wobble + [0.4, 0.3, 0.0])
        assert (counter.repetitions, counter.partial_repetitions) == (1, 0)


def test_dipping_twice_without_standing_up_is_one_attempt() -> None:
    dip = [1.0 - 0.3 * math.sin(math.pi * step / 30) for step in range(30)]
    down = [step / 15 for step in range(15)]
    counter, _ = attempts([0.0] * 60 + down + dip + dip + down[::-1])
    assert counter.repetitions == 1


def test_nothing_begins_before_a_rest_was_seen() -> None:
    up = [step / 15 for step in range(15)][::-1]
    counter, ended = attempts([1.0] * 10 + up)
    assert (counter.repetitions, counter.partial_repetitions, ended) == (0, 0, [])
    counter, _ = attempts([1.0] * 10 + up + bump(1.0, 2.0))
    assert counter.repetitions == 1


def test_too_long_an_attempt_is_dropped_and_the_next_one_counts() -> None:
    down = [step / 15 for step in range(15)]
    counter, _ = attempts([0.0] * 60 + down + [1.0] * (8 * RATE_HZ) + down[::-1] + bump(1.0, 2.0))
    assert (counter.repetitions, counter.partial_repetitions) == (1, 0)


def test_a_new_level_of_rest_is_learnt() -> None:
    shifted: Callable[[float], list[float]] = lambda peak: [0.25 + 0.75 * value for value in bump(peak, 2.0)]  # noqa: E731
    counter, _ = attempts([0.0] * 60 + [0.25] * (9 * RATE_HZ) + shifted(1.0) + shifted(1.0))
    assert counter.repetitions == 2


def test_jitter_at_rest_is_no_attempt_but_the_same_bend_of_a_steady_person_is() -> None:
    rng = np.random.default_rng(1)
    jitter = np.convolve(rng.normal(0, 0.4, 40 * RATE_HZ), np.full(15, 1 / 15), mode="same")
    assert jitter.max() > RULES.begins_above
    noisy, _ = attempts(jitter.tolist())
    steady, _ = attempts(bump(float(jitter.max()) + 0.1, 2.0))
    assert noisy.partial_repetitions == 0
    assert steady.partial_repetitions == 1


@pytest.mark.parametrize(("valley", "counted"), [(0.3, 2), (0.6, 1)])
def test_two_movements_without_a_rest_between_count_twice_if_most_of_the_way_was_gone_back(
    valley: float, counted: int
) -> None:
    half = int(0.6 * RATE_HZ)
    down = [math.sin(math.pi / 2 * step / half) ** 2 for step in range(half)]
    between = [valley + (1 - valley) * math.cos(math.pi * step / (4 * half)) ** 2 for step in range(2 * half)]
    between += between[::-1]
    counter, ended = attempts([0.0] * (2 * RATE_HZ) + down + between + down[::-1] + [0.0] * 5)
    assert counter.repetitions == len(ended) == counted
