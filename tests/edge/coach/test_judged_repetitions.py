"""What the judge saw whole counts once, whether the rules saw it, saw less or saw nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.edge.coach.squatter import Squat, film

from plumbline_contract.form import EXERCISES, FAULT_NAMES, PHASES, RATE_HZ, Verdict
from plumbline_contract.skeleton import NUM_KEYPOINTS
from plumbline_edge.coach import Coach, load_exercise
from plumbline_edge.coach.agreement import Agreement
from plumbline_edge.coach.judged_repetitions import JudgedRepetitions, Recount
from plumbline_edge.coach.movement import Step
from plumbline_edge.coach.repetitions import Attempt

SQUAT = load_exercise("squat")
THRESHOLDS = dict.fromkeys(FAULT_NAMES, 0.4)
AT_REST = Step("rest", "standing", True)
MOVEMENT = ("rest",) * 20 + ("out",) * 8 + ("full",) * 5 + ("back",) * 8 + ("rest",) * 15
"""Five seconds and a half of the judge's answers: half a second late, the full position from 2.3 to 2.8 seconds."""


def verdict(phase: str, shallow: float = 0.0, exercise: str = "squat") -> Verdict:
    return Verdict(
        {name: float(name == exercise) for name in EXERCISES},
        {name: float(name == phase) for name in PHASES},
        0.0,
        {(name, fault): shallow * (fault == "too_shallow") for name, fault in FAULT_NAMES},
        np.zeros(NUM_KEYPOINTS),
        np.zeros((NUM_KEYPOINTS, 2)),
    )


def ended(seconds: float, began: float, counted: bool, peak: float) -> dict[int, Step]:
    """A step of the rules by its frame: an attempt that ended then."""
    attempt = Attempt(peak, seconds - began, counted, (seconds - began) / 2)
    number = int(counted)
    return {
        round(seconds * RATE_HZ): replace(AT_REST, attempt=attempt, repetitions=number, partial_repetitions=1 - number)
    }


def counts(
    steps: dict[int, Step], phases: Sequence[str] = MOVEMENT, shallow: float = 0.0, exercise: str = "squat"
) -> tuple[list[Attempt], Step]:
    """The attempts of both, and the last step with what both count; the rules are at rest but for `steps`."""
    judged, recount, attempts = JudgedRepetitions(SQUAT, THRESHOLDS), Recount(), []
    step = AT_REST
    for frame, phase in enumerate(phases):
        judged.take(frame / RATE_HZ, verdict(phase, shallow, exercise))
        step = steps.get(frame, replace(step, attempt=None))
        if (attempt := judged.agree(frame / RATE_HZ, step, recount)) is not None:
            attempts.append(attempt)
    return attempts, recount.applied_to(step)


def test_what_the_rules_did_not_see_counts() -> None:
    attempts, both = counts({})
    assert [attempt.counted for attempt in attempts] == [True]
    assert attempts[0].seconds == pytest.approx(2.2)
    assert attempts[0].out_seconds == pytest.approx(0.9)
    assert (both.repetitions, both.partial_repetitions) == (1, 0)


def test_what_did_not_go_far_enough_does_not() -> None:
    assert counts({}, shallow=0.5)[1].repetitions == 0
    steps = ended(4.0, 1.8, False, 0.4)
    attempts, both = counts(steps, shallow=0.5)
    assert (both.repetitions, both.partial_repetitions) == (0, 1)
    assert [attempt.counted for attempt in attempts] == [False]


@pytest.mark.parametrize("seconds", [3.0, 3.8, 4.5])
def test_what_the_rules_saw_half_of_counts_with_their_attempt(seconds: float) -> None:
    out = {frame: replace(AT_REST, phase="out", at_rest=False) for frame in range(18, round(seconds * RATE_HZ))}
    attempts, both = counts({**out, **ended(seconds, 1.8, False, 0.4)})
    assert [(attempt.counted, attempt.peak_progress) for attempt in attempts] == [(True, 1.0)]
    assert attempts[0].seconds == pytest.approx(seconds - 1.8)
    assert (both.repetitions, both.partial_repetitions) == (1, 0)


def test_a_short_attempt_of_which_the_judge_hears_late_counts_too() -> None:
    attempts, both = counts(ended(2.6, 1.8, False, 0.4))
    assert [attempt.counted for attempt in attempts] == [False]
    assert (both.repetitions, both.partial_repetitions) == (1, 0)


@pytest.mark.parametrize("seconds", [2.6, 3.5, 4.5, 5.4])
@pytest.mark.parametrize("flickers", [False, True])
@pytest.mark.parametrize("counted", [False, True])
def test_what_the_rules_end_late_counts_once(seconds: float, flickers: bool, counted: bool) -> None:
    """However late they do: by then the judge may have counted it for them."""
    phases = list(MOVEMENT)
    if flickers:
        phases[30] = "out"
    attempts, both = counts(ended(seconds, 1.8, counted, 0.5 + 0.4 * counted), phases)
    assert both.repetitions == 1
    assert both.partial_repetitions == 0
    assert attempts[-1].counted == (counted or seconds > 3)


def test_while_the_rules_see_an_attempt_it_is_theirs_for_a_while() -> None:
    out = {frame: replace(AT_REST, phase="out", at_rest=False) for frame in range(20, 90)}
    assert counts(out, MOVEMENT[:52])[1].repetitions == 0
    assert counts(out)[1].repetitions == 1
    until = {frame: step for frame, step in out.items() if frame < 50}
    assert counts({**until, **ended(5.0, 2.0, True, 0.9)})[1].repetitions == 1


def test_another_exercise_counts_nothing() -> None:
    assert counts({}, exercise="lunge") == ([], AT_REST)


def test_a_movement_of_which_the_judge_saw_the_end_alone_is_none() -> None:
    judged, recount = JudgedRepetitions(SQUAT, THRESHOLDS), Recount()
    for frame, phase in enumerate(MOVEMENT):
        if not 26 <= frame < 33:
            judged.take(frame / RATE_HZ, verdict(phase))
        assert judged.agree(frame / RATE_HZ, AT_REST, recount) is None


def test_a_thing_without_a_depth_is_left_to_the_rules() -> None:
    plank = load_exercise("plank")
    judged = JudgedRepetitions(plank, THRESHOLDS)
    for frame, phase in enumerate(MOVEMENT):
        judged.take(frame / RATE_HZ, verdict(phase, exercise="plank"))
        assert judged.agree(frame / RATE_HZ, AT_REST, Recount()) is None


def test_what_the_judge_counted_stays_when_another_is_heard_or_none() -> None:
    coach = Coach(SQUAT, agreement=Agreement(SQUAT, THRESHOLDS))
    standing_K3 = film([Squat()], "side", RATE_HZ).keypoints_TK3[0]
    for frame, phase in enumerate(MOVEMENT):
        coach.update(frame / RATE_HZ, standing_K3, verdict(phase))
    assert coach.state.reps == 1
    for agreement in (Agreement(SQUAT, THRESHOLDS), None):
        coach.agreement = agreement
        frame += 1
        assert coach.update(frame / RATE_HZ, standing_K3).reps == 1


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(PHASES), st.integers(1, 9)), max_size=30),
    st.lists(st.tuples(st.integers(0, 12), st.booleans()), max_size=12),
)
def test_repetitions_never_fall(judged_phases: list[tuple[str, int]], attempts: list[tuple[int, bool]]) -> None:
    phases = [phase for phase, length in judged_phases for _ in range(length)]
    ends = {
        sum(gap for gap, _ in attempts[: number + 1]) + number: counted for number, (_, counted) in enumerate(attempts)
    }
    judged, recount = JudgedRepetitions(SQUAT, THRESHOLDS), Recount()
    step, before, last = AT_REST, 0, 0
    for frame, phase in enumerate(phases):
        judged.take(frame / RATE_HZ, verdict(phase))
        step = replace(step, attempt=None)
        if (counted := ends.get(frame)) is not None:
            attempt = Attempt(0.5 + 0.5 * counted, (frame - last) / RATE_HZ, counted)
            step, last = replace(step, attempt=attempt), frame
            step = replace(
                step,
                repetitions=step.repetitions + counted,
                partial_repetitions=step.partial_repetitions + (not counted),
            )
        judged.agree(frame / RATE_HZ, step, recount)
        both = recount.applied_to(step)
        assert both.repetitions >= before
        assert both.partial_repetitions >= 0
        before = both.repetitions
