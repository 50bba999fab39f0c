"""The judge on the edge: a sequence built frame by frame is the contract's, and rules and judge agree by the policy."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.edge.coach.following import follow
from tests.edge.coach.squatter import Squat, film

from plumbline_contract.exercise import Fault
from plumbline_contract.form import EXERCISES, FAULT_NAMES, LOGITS, PHASES, RATE_HZ, WINDOW_FRAMES, Verdict
from plumbline_contract.sequence import resample
from plumbline_contract.skeleton import NUM_KEYPOINTS
from plumbline_edge.bundle import open_form_bundle
from plumbline_edge.coach import Coach, load_exercise
from plumbline_edge.coach.agreement import REMEMBERED_SECONDS, STALE_SECONDS, SURE_SECONDS, Agreement
from plumbline_edge.coach.judge import LEAST_FRAMES, FormJudge, SequenceBuffer

JUDGE = Path(__file__).parents[3] / "models" / "form-judge"
SQUAT = load_exercise("squat")
THRESHOLDS = dict.fromkeys(FAULT_NAMES, 0.4)
SHALLOW, KNEES = (next(f for f in SQUAT.faults if f.name == name) for name in ("too_shallow", "knees_caving_in"))


def verdict(exercise: str = "squat", **faults: float) -> Verdict:
    """Sure of the exercise, and of squat's faults as said; nothing else is wrong."""
    return Verdict(
        {name: float(name == exercise) for name in EXERCISES},
        {name: float(name == "full") for name in PHASES},
        0.0,
        {(name, fault): faults.get(fault, 0.0) if name == "squat" else 0.0 for name, fault in FAULT_NAMES},
        np.zeros(NUM_KEYPOINTS),
        np.zeros((NUM_KEYPOINTS, 2)),
    )


def heard(agreement: Agreement, faults: tuple[Fault, ...], given: Verdict, seconds: float = 4.0) -> tuple[str, ...]:
    """What is spoken of after the judge said the same for so long."""
    for number in range(round(seconds * RATE_HZ)):
        agreement.take(number / RATE_HZ, given)
        spoken_of = agreement.spoken_of(faults, faults)
    return tuple(fault.name for fault in spoken_of)


def test_a_judge_that_is_of_two_minds_changes_nothing() -> None:
    agreement = Agreement(SQUAT, THRESHOLDS)
    assert heard(agreement, (SHALLOW,), verdict(too_shallow=0.5, knees_caving_in=0.6)) == ("too_shallow",)
    assert heard(agreement, (), verdict(knees_caving_in=0.6)) == ()
    assert set(agreement.disagreements.values()) == {0}


def test_a_judge_silences_what_it_finds_unlikely_and_says_so_once() -> None:
    agreement = Agreement(SQUAT, THRESHOLDS)
    assert heard(agreement, (SHALLOW, KNEES), verdict(knees_caving_in=0.5)) == ("knees_caving_in",)
    assert agreement.disagreements == {"judge_silences": 1, "judge_adds": 0}


def test_a_fault_that_was_likely_a_moment_ago_is_not_silenced() -> None:
    agreement = Agreement(SQUAT, THRESHOLDS)
    heard(agreement, (), verdict(too_shallow=0.5))
    for number in range(40, 40 + round((REMEMBERED_SECONDS - 1) * RATE_HZ)):
        agreement.take(number / RATE_HZ, verdict())
    assert agreement.spoken_of((SHALLOW,), (SHALLOW,)) == (SHALLOW,)


def test_a_judge_that_is_sure_speaks_by_itself() -> None:
    agreement = Agreement(SQUAT, THRESHOLDS)
    assert heard(agreement, (SHALLOW,), verdict(too_shallow=0.5, knees_caving_in=0.9)) == (
        "knees_caving_in", "too_shallow",
    )  # fmt: skip
    assert agreement.disagreements == {"judge_silences": 0, "judge_adds": 1}


def test_one_sure_moment_is_not_enough() -> None:
    agreement = Agreement(SQUAT, THRESHOLDS)
    heard(agreement, (), verdict())
    agreement.take(4.0, verdict(knees_caving_in=1.0))
    assert agreement.spoken_of((), ()) == ()


def test_of_another_exercise_the_judge_has_no_say() -> None:
    sure = verdict("lunge", knees_caving_in=1.0)
    assert heard(Agreement(SQUAT, THRESHOLDS), (SHALLOW,), sure) == ("too_shallow",)


def test_without_rules_the_judge_alone_speaks() -> None:
    agreement = Agreement(SQUAT, THRESHOLDS, rules=False)
    assert heard(agreement, (SHALLOW,), verdict(knees_caving_in=0.9)) == ("knees_caving_in",)
    assert heard(Agreement(SQUAT, THRESHOLDS, rules=False), (SHALLOW,), verdict(too_shallow=0.5)) == ()


def test_a_fault_that_the_judge_does_not_know_is_left_to_the_rules() -> None:
    known = {name: value for name, value in THRESHOLDS.items() if name != ("squat", "too_shallow")}
    assert heard(Agreement(SQUAT, known), (SHALLOW,), verdict()) == ("too_shallow",)


def test_of_the_tempo_the_judge_has_no_say() -> None:
    fast = next(fault for fault in SQUAT.faults if fault.name == "too_fast")
    assert heard(Agreement(SQUAT, THRESHOLDS), (fast,), verdict()) == ("too_fast",)
    assert heard(Agreement(SQUAT, THRESHOLDS), (), verdict(too_fast=1.0)) == ()


def test_a_fault_that_the_coach_has_no_rule_for_is_told_by_the_rule_that_is_apt() -> None:
    sitting = load_exercise("sitting")
    thresholds = dict.fromkeys(FAULT_NAMES, 0.5)
    leans = replace(verdict("sitting"), faults={name: float(name[1] == "leaning_sideways") for name in FAULT_NAMES})
    assert heard(Agreement(sitting, thresholds), (), leans, seconds=9.0) == ("tilted_shoulders",)


def test_what_must_last_before_a_word_is_shown_at_once_and_spoken_of_no_sooner_by_the_judge() -> None:
    sitting = load_exercise("sitting")
    pokes = next(fault for fault in sitting.faults if fault.name == "forward_head")
    sure = replace(verdict("sitting"), faults={name: float(name[1] == "forward_head") for name in FAULT_NAMES})
    alone, beside_rule = (Agreement(sitting, dict.fromkeys(FAULT_NAMES, 0.5)) for _ in range(2))
    shown_at, spoken_at = [], []
    for number in range(120):
        seconds = number / RATE_HZ
        # A moment's doubt is no new beginning.
        given = verdict("sitting") if number == 40 else sure
        alone.take(seconds, given)
        beside_rule.take(seconds, given)
        shown_at += [seconds] if alone.shown(()) else []
        spoken_at += [seconds] if alone.spoken_of((), ()) else []
        beside_rule.spoken_of((pokes,) if seconds >= pokes.spoken_after_seconds else (), (pokes,))
    assert shown_at[0] == pytest.approx(SURE_SECONDS)
    assert spoken_at[0] == pytest.approx(SURE_SECONDS + pokes.spoken_after_seconds)
    assert alone.disagreements == {"judge_silences": 0, "judge_adds": 1}
    assert set(beside_rule.disagreements.values()) == {0}


@pytest.mark.parametrize("rate_hz", [10.0, 4.0])
def test_sure_for_a_while_means_that_long_after_a_start_or_a_gap_too(rate_hz: float) -> None:
    agreement = Agreement(SQUAT, THRESHOLDS)
    sure = verdict(knees_caving_in=1.0)
    silent_until = []
    for begins in (0.0, 60.0, 62.0):
        for number in range(round(1.5 * rate_hz)):
            agreement.take(begins + number / rate_hz, sure)
            if agreement.spoken_of((), ()):
                silent_until.append(number / rate_hz)
                break
    # After a longer gap there are too few verdicts at first, where they come slowly.
    assert min(silent_until) >= SURE_SECONDS
    assert len(silent_until) == 3


def attempt(agreement: Agreement, given: Verdict, finds: int | None = None, begins: float = 0.0) -> tuple[str, ...]:
    """The faults of an attempt of 3 s, in frame `finds` of which the rules find too_shallow, shown from then on."""
    for number in range(31):
        seconds = begins + number / RATE_HZ
        agreement.take(seconds, given)
        agreement.newly_found(seconds, {"too_shallow": int(number == finds)})
        ruled = (SHALLOW,) if finds is not None and number >= finds else ()
        agreement.spoken_of(ruled, ruled)
    return tuple(fault.name for fault in agreement.attempt_ended(begins, (SHALLOW,) if finds is not None else ()))


def test_a_fault_that_was_silenced_is_none_of_its_attempt() -> None:
    agreement = Agreement(SQUAT, THRESHOLDS)
    assert attempt(agreement, verdict(too_shallow=0.5), 20) == ("too_shallow",)
    assert attempt(agreement, verdict(), 25, begins=4.0) == ()
    assert attempt(agreement, verdict(too_shallow=0.5), 20, begins=8.0) == ("too_shallow",)


def test_what_the_judge_adds_is_of_the_attempt_that_it_is_about() -> None:
    agreement = Agreement(SQUAT, THRESHOLDS)
    both = verdict(too_shallow=0.5, knees_caving_in=0.9)
    assert attempt(agreement, both, 20) == ("too_shallow", "knees_caving_in")
    agreement.take(3.3, verdict(knees_caving_in=0.9))
    assert attempt(agreement, verdict(), begins=3.4) == ()


def test_without_rules_an_attempt_has_the_judges_faults_alone() -> None:
    agreement = Agreement(SQUAT, THRESHOLDS, rules=False)
    assert attempt(agreement, verdict(too_shallow=0.5, knees_caving_in=0.9), 20) == ("knees_caving_in",)


@pytest.mark.parametrize(("rules", "silent"), [(True, True), (True, False), (False, True)])
def test_nobody_is_praised_for_putting_right_what_they_were_not_told_of(rules: bool, silent: bool) -> None:
    clip = film([Squat(thigh_degrees=60), Squat(), Squat()], "side", 15.0)
    coach = Coach(SQUAT, agreement=Agreement(SQUAT, THRESHOLDS, rules=rules))
    states = [
        coach.update(frame / 15, keypoints_K3, verdict(too_shallow=0.0 if silent else 0.5))
        for frame, keypoints_K3 in enumerate(clip.keypoints_TK3)
    ]
    said = [state.cue for state in states if state.cue_is_new]
    faults = [state.attempt_faults for state in states if state.attempt is not None]
    assert len(faults) == 3
    assert faults[0] == (() if silent else ("too_shallow",))
    assert said == ([] if silent else [SHALLOW.cue, SQUAT.praise])
    assert states[-1].fault_counts["too_shallow"] == (0 if silent else 1)


def counted(agreement: Agreement, given: Verdict, ruled: dict[int, int], seconds: float = 4.0) -> dict[str, int]:
    """Faults counted while the judge says the same, with how often the rules find too_shallow in which frames."""
    total = {"too_shallow": 0, "knees_caving_in": 0}
    for number in range(round(seconds * RATE_HZ)):
        agreement.take(number / RATE_HZ, given)
        newly = {"too_shallow": ruled.get(number, 0), "knees_caving_in": 0}
        for name, count in agreement.newly_found(number / RATE_HZ, newly).items():
            total[name] += count
    return total


def test_what_the_judge_adds_counts_once_an_occasion_and_what_it_silences_not_at_all() -> None:
    sure = verdict(knees_caving_in=0.9)
    assert counted(Agreement(SQUAT, THRESHOLDS), sure, {20: 1}) == {"too_shallow": 0, "knees_caving_in": 1}
    assert counted(Agreement(SQUAT, THRESHOLDS, rules=False), sure, {20: 1}) == {"too_shallow": 0, "knees_caving_in": 1}


def test_what_both_find_counts_as_often_as_the_rules_find_it() -> None:
    sure = verdict(too_shallow=0.9)
    assert counted(Agreement(SQUAT, THRESHOLDS), sure, {2: 1, 20: 1, 35: 1})["too_shallow"] == 3
    # Sure after five verdicts, and the rule tells of it half a second later.
    assert counted(Agreement(SQUAT, THRESHOLDS), sure, {9: 1})["too_shallow"] == 1


@pytest.mark.parametrize(
    ("fault", "squat", "view", "of_attempt"),
    [("knees_caving_in", Squat(knees_over_ankles=0.45), "front", True), ("too_shallow", Squat(60), "side", False)],
)
@pytest.mark.parametrize("agrees", [0.0, 0.5, 0.9])
def test_a_fault_that_is_told_late_counts_once(
    fault: str, squat: Squat, view: str, of_attempt: bool, agrees: float
) -> None:
    clip = film([squat, Squat(), Squat()], view, 15.0)
    found = next(frame for frame, state in enumerate(follow(clip)) if state.fault_counts[fault])
    coach = Coach(SQUAT, agreement=Agreement(SQUAT, THRESHOLDS))
    states = [
        # The judge's answer is about a moment ago, in which nothing was wrong yet.
        coach.update(frame / 15, keypoints_K3, verdict("squat", **{fault: agrees if 7 < frame - found < 18 else 0.0}))
        for frame, keypoints_K3 in enumerate(clip.keypoints_TK3)
    ]
    told = agrees > 0
    cue = next(each.cue for each in SQUAT.faults if each.name == fault)
    assert states[found].fault_counts[fault] == 0
    assert states[-1].fault_counts[fault] == told
    assert [state.cue for state in states if state.cue_is_new].count(cue) >= told
    # One that is judged after the attempt is told when the attempt is over.
    faults = [state.attempt_faults for state in states if state.attempt is not None]
    assert faults == [(fault,) * (told and of_attempt), (), ()]


def test_what_was_counted_before_is_not_counted_again_when_it_is_told() -> None:
    agreement = Agreement(SQUAT, THRESHOLDS)
    counts = []
    for number in range(100):
        seconds = number / RATE_HZ
        # Likely, then not for long, then likely again, then sure.
        agreement.take(seconds, verdict(too_shallow=0.9 if number >= 75 else 0.0 if 12 <= number < 60 else 0.5))
        newly = agreement.newly_found(seconds, {"too_shallow": int(number in (10, 50))})["too_shallow"]
        agreement.spoken_of((SHALLOW,), (SHALLOW,))
        if number in (30, 70):
            agreement.attempt_ended(seconds - 2, (SHALLOW,))
        counts.append(newly + len(agreement.found_after_all(seconds)))
    assert [number for number, count in enumerate(counts) if count] == [10, 60]
    assert sum(counts) == 2


def test_a_fault_that_did_not_last_for_a_word_counts_with_its_attempt() -> None:
    agreement = Agreement(SQUAT, THRESHOLDS)
    for number in range(31):
        agreement.take(number / RATE_HZ, verdict())
        assert agreement.newly_found(number / RATE_HZ, {"too_shallow": int(number == 20)}) == {"too_shallow": 0}
        agreement.spoken_of((), (SHALLOW,))
        assert agreement.found_after_all(number / RATE_HZ) == set()
    assert agreement.attempt_ended(0.0, (SHALLOW,)) == (SHALLOW,)
    assert agreement.found_after_all(3.0) == {"too_shallow"}
    assert agreement.found_after_all(3.1) == set()


def test_counts_stay_when_another_judge_is_heard() -> None:
    clip = film([Squat(thigh_degrees=60)] * 2, "side", 15.0)
    coach = Coach(SQUAT, agreement=Agreement(SQUAT, THRESHOLDS))
    for frame, keypoints_K3 in enumerate(clip.keypoints_TK3):
        if frame == len(clip.keypoints_TK3) - 5:
            coach.agreement = Agreement(SQUAT, THRESHOLDS)
        coach.update(frame / 15, keypoints_K3)
    assert coach.state.fault_counts == follow(clip)[-1].fault_counts


def test_a_coach_with_a_silent_judge_is_the_coach() -> None:
    clip = film([Squat(thigh_degrees=60)] * 3, "side", 15.0)
    alone, both = Coach(SQUAT), Coach(SQUAT, agreement=Agreement(SQUAT, THRESHOLDS))
    for frame, keypoints_K3 in enumerate(clip.keypoints_TK3):
        assert alone.update(frame / 15, keypoints_K3).cue == both.update(frame / 15, keypoints_K3).cue
    assert follow(clip)[-1].reps == both.state.reps


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), rate_hz=st.sampled_from([8.0, 10.0, 15.0, 24.0, 30.0]), lost=st.floats(0, 0.7))
def test_a_sequence_built_frame_by_frame_is_the_resampled_one(seed: int, rate_hz: float, lost: float) -> None:
    rng = np.random.default_rng(seed)
    times_T = np.arange(60) / rate_hz + rng.uniform(0, 0.2 / rate_hz, 60)
    keypoints_TK3 = rng.uniform(0, 100, (60, NUM_KEYPOINTS, 3))
    keypoints_TK3[..., 2] = rng.random((60, NUM_KEYPOINTS)) >= lost
    buffer = SequenceBuffer()
    for seconds, keypoints_K3 in zip(times_T, keypoints_TK3, strict=True):
        buffer.add(float(seconds), keypoints_K3)
    expected_TK3 = resample(keypoints_TK3, times_T, RATE_HZ)[0]
    # Times a microsecond apart count as the same, in which these points move by as much as a hundredth.
    np.testing.assert_allclose(buffer.sequence(), expected_TK3, atol=0.01)


def test_a_jump_of_time_begins_anew() -> None:
    buffer = SequenceBuffer()
    for seconds in (0.0, 0.1, 0.2, 9.0):
        buffer.add(seconds, np.ones((NUM_KEYPOINTS, 3)))
    assert len(buffer.sequence()) == 1


class Silent:
    """A FormModel that is sure of nothing and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[npt.NDArray[np.float32]] = []

    def infer(self, window_WC: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        self.asked.append(window_WC)
        return np.zeros(LOGITS, np.float32)


@pytest.mark.parametrize("rate_hz", [8.0, 10.0, 30.0])
def test_after_a_second_and_a_half_the_judge_is_asked_ten_times_a_second_or_with_every_frame(rate_hz: float) -> None:
    model = Silent()
    judge = FormJudge(model)
    answers = [judge.update(frame / rate_hz, np.ones((NUM_KEYPOINTS, 3))) for frame in range(round(7 * rate_hz))]
    assert len(model.asked) == sum(answer is not None for answer in answers)
    first_seconds, full_seconds = ((frames - 1) / RATE_HZ for frames in (LEAST_FRAMES, WINDOW_FRAMES))
    assert not any(answers[: int(first_seconds * rate_hz)])
    assert len(model.asked) == pytest.approx((7 - first_seconds) * min(rate_hz, RATE_HZ), abs=2)
    whole = [answer.whole for answer in answers if answer is not None]
    assert whole.count(False) == pytest.approx((full_seconds - first_seconds) * min(rate_hz, RATE_HZ), abs=2)
    assert whole == sorted(whole)


def test_of_half_a_repetition_the_judge_has_no_say() -> None:
    agreement = Agreement(SQUAT, THRESHOLDS)
    early = replace(verdict(knees_caving_in=0.9), whole=False)
    assert heard(agreement, (SHALLOW,), early) == ("too_shallow",)
    assert set(agreement.disagreements.values()) == {0}


@pytest.mark.parametrize("keypoints_K3", [np.full((17, 3), np.nan), np.full((17, 3), 1e300), np.zeros((17, 3))])
def test_nothing_that_a_camera_gives_breaks_the_judge(keypoints_K3: npt.NDArray[np.float64]) -> None:
    model = Silent()
    judge = FormJudge(model)
    for frame in range(60):
        judge.update(frame / 10, keypoints_K3)
    assert len(model.asked) > 15
    assert all(np.isfinite(window).all() for window in model.asked)


def test_the_shipped_judge_knows_squats_from_push_ups() -> None:
    judge = FormJudge(open_form_bundle(JUDGE).load_model())
    verdicts = [judge.update(f / 10, k) for f, k in enumerate(film([Squat()] * 4, "side", 10.0).keypoints_TK3)]
    known = [answer.exercise["squat"] for answer in verdicts[20:] if answer is not None]
    assert np.mean(known) > 0.5


def judged(coach: Coach, given: Verdict | None, begins: float, seconds: float) -> None:
    """The coach's frames, ten a second, of nobody, with this answer to each."""
    for number in range(round(seconds * RATE_HZ)):
        coach.update(begins + number / RATE_HZ, np.zeros((NUM_KEYPOINTS, 3)), given)


def test_after_a_gap_the_judges_last_word_is_not_repeated() -> None:
    coach = Coach(SQUAT, agreement=Agreement(SQUAT, THRESHOLDS))
    judged(coach, verdict(knees_caving_in=1.0), 0.0, 4.0)
    assert [fault.name for fault in coach.state.faults] == ["knees_caving_in"]
    judged(coach, None, 20.0, 3.0)
    assert (coach.state.faults, coach.state.cue) == ((), None)
    assert coach.state.fault_counts["knees_caving_in"] == 1


@pytest.mark.parametrize("lost", ["again", "silent"])
def test_what_the_judge_silenced_long_ago_may_be_told(lost: str) -> None:
    agreement = Agreement(SQUAT, THRESHOLDS)
    coach = Coach(SQUAT, agreement=agreement)
    judged(coach, verdict(), 0.0, 4.0)
    assert agreement.spoken_of((SHALLOW,), (SHALLOW,)) == ()
    if lost == "again":
        coach.recalibrate()
    else:
        judged(coach, None, 4.0, STALE_SECONDS + 0.2)
    assert agreement.spoken_of((SHALLOW,), (SHALLOW,)) == (SHALLOW,)


def test_a_frame_without_an_answer_changes_nothing_for_a_moment() -> None:
    coach = Coach(SQUAT, agreement=Agreement(SQUAT, THRESHOLDS))
    judged(coach, verdict(knees_caving_in=1.0), 0.0, 4.0)
    judged(coach, None, 4.0, STALE_SECONDS - 0.1)
    assert [fault.name for fault in coach.state.faults] == ["knees_caving_in"]
    judged(coach, None, 4.0 + STALE_SECONDS, 0.2)
    assert coach.state.faults == ()
