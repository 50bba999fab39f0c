"""The whole coach on people of sticks: counts, faults, cues, robustness and invariances."""

from __future__ import annotations

import math
import time
from dataclasses import replace

import numpy as np
import pytest
from tests.edge.coach.following import cues, follow
from tests.edge.coach.squatter import YAW, Camera, Clip, Squat, film

from plumbline_contract.skeleton import MIRROR, Keypoint
from plumbline_edge.coach import Coach, load_exercise
from plumbline_edge.coach.state import LOOKING

GOOD = [Squat(), Squat(seconds=1.8), Squat(seconds=3.5)]


@pytest.mark.parametrize("view", YAW)
@pytest.mark.parametrize("rate_hz", [8.0, 15.0, 60.0])
def test_correct_squats_are_counted_in_every_view_without_a_fault(view: str, rate_hz: float) -> None:
    states = follow(film(GOOD, view, rate_hz))
    assert (states[-1].reps, states[-1].partial_reps) == (3, 0)
    assert states[-1].view == view
    assert not any(state.faults for state in states)
    assert not any(state.ghost_K3 is not None for state in states)
    assert set(cues(states)) <= ({"Turn a little"} if view == "three_quarter" else set())


@pytest.mark.parametrize("view", YAW)
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("rate_hz", [10.0, 30.0])
def test_noise_dropped_joints_and_swapped_sides_do_not_change_the_count(view: str, rate_hz: float, seed: int) -> None:
    clip = film(GOOD, view, rate_hz).noisy(seed, jitter=0.08, dropout=0.2, swaps=0.1)
    assert follow(clip)[-1].reps == 3


@pytest.mark.parametrize("seconds", [1.0, 1.4, 8.0])
def test_fast_and_slow_squats_count(seconds: float) -> None:
    assert follow(film([Squat(seconds=seconds)] * 3))[-1].reps == 3


@pytest.mark.parametrize("view", YAW)
@pytest.mark.parametrize("thigh_degrees", [48.0, 58.0])
def test_a_shallow_squat_is_partial_and_a_fault(view: str, thigh_degrees: float) -> None:
    squats = [Squat(), Squat(thigh_degrees=thigh_degrees), Squat()]
    states = follow(film(squats, view).noisy(0, jitter=0.02))
    assert (states[-1].reps, states[-1].partial_reps) == (2, 1)
    assert {name: count for name, count in states[-1].fault_counts.items() if count} == {"too_shallow": 1}
    assert [cue for cue in cues(states) if cue != "Turn a little"] == ["Go lower", "Good, that's it"]
    at_fault = next(state.faults[0] for state in states if state.faults)
    assert Keypoint.LEFT_HIP in at_fault.keypoints
    assert at_fault.severity == "minor"


@pytest.mark.parametrize("rate_hz", [2.5, 3.0, 4.0, 8.0])
def test_slow_repetitions_are_counted_and_judged_at_a_low_rate(rate_hz: float) -> None:
    states = follow(film([Squat(seconds=4.0, knees_over_ankles=0.45)] * 2, "front", rate_hz))
    assert (states[-1].reps, states[-1].fault_counts["knees_caving_in"]) == (2, 2)


def test_leaning_is_seen_from_the_side() -> None:
    states = follow(film([Squat(trunk_degrees=72)] * 2, "side").noisy(1, jitter=0.03))
    assert states[-1].fault_counts["leaning_too_far"] == 2
    assert states[-1].reps == 2
    assert "Chest up" in cues(states)


def test_caving_knees_are_seen_from_the_front() -> None:
    states = follow(film([Squat(knees_over_ankles=0.45)] * 2, "front").noisy(1, jitter=0.03))
    assert states[-1].fault_counts["knees_caving_in"] == 2
    assert "Push your knees out" in cues(states)


def test_a_fault_is_not_guessed_in_a_view_that_hides_it() -> None:
    from_front = follow(film([Squat(trunk_degrees=72)] * 2, "front"))
    from_side = follow(film([Squat(knees_over_ankles=0.45)] * 2, "side"))
    assert set(from_front[-1].fault_counts.values()) == {0}
    assert set(from_side[-1].fault_counts.values()) == {0}


def test_a_fault_of_an_attempt_that_was_lost_sight_of_is_not_the_next_ones() -> None:
    clip = film([Squat(), Squat(seconds=6.0, knees_over_ankles=0.6), Squat(), Squat()], rate_hz=10.0)
    found = next(frame for frame, state in enumerate(follow(clip)) if state.fault_counts["knees_caving_in"])
    clip.keypoints_TK3[found + 1 : found + 26, :, 2] = 0.0
    states = follow(clip)
    assert states[-1].fault_counts["knees_caving_in"] == 1
    attempts = [state for state in states if state.attempt is not None]
    assert [state.attempt_faults for state in attempts] == [(), (), ()]
    assert "Good, that's it" not in cues(states[found + 26 :])


@pytest.mark.parametrize("unseen", [Keypoint.LEFT_KNEE, Keypoint.RIGHT_ANKLE])
def test_an_unseen_joint_is_never_at_fault(unseen: Keypoint) -> None:
    clip = film([Squat(knees_over_ankles=0.45)] * 2, "front")
    clip.keypoints_TK3[:, unseen, 2] = 0.05
    states = follow(clip)
    assert states[-1].reps == 2
    assert states[-1].fault_counts["knees_caving_in"] == 0


def test_legs_out_of_the_picture_give_no_count_and_no_fault() -> None:
    clip = film([Squat(trunk_degrees=72)] * 2, "side")
    clip.keypoints_TK3[:, Keypoint.LEFT_KNEE :, 2] = 0.0
    last = follow(clip)[-1]
    assert (last.phase, last.reps, last.partial_reps) == (LOOKING, 0, 0)


def test_ankles_out_of_the_picture_still_give_a_count() -> None:
    clip = film(GOOD, "front")
    clip.keypoints_TK3[:, Keypoint.LEFT_ANKLE :, 2] = 0.0
    assert follow(clip)[-1].reps == 3


def test_phases_follow_one_another() -> None:
    phases = [state.phase for state in follow(film([Squat()]))]
    changes = [phase for before, phase in zip(["", *phases], phases, strict=False) if phase != before]
    assert changes == [LOOKING, "standing", "descending", "bottom", "ascending", "standing"]


def test_sitting_down_for_long_is_no_squat() -> None:
    squat = film([Squat(seconds=4.0)])
    lowest = int(np.argmax(squat.keypoints_TK3[:, Keypoint.LEFT_HIP, 1]))
    rate_hz, seated = 30, 20 * 30
    keypoints = np.concatenate(
        [
            squat.keypoints_TK3[:lowest],
            np.repeat(squat.keypoints_TK3[lowest][None], seated, axis=0),
            squat.keypoints_TK3[lowest:],
            film([Squat()]).keypoints_TK3,
        ]
    )
    states = follow(Clip(np.arange(len(keypoints)) / rate_hz, keypoints))
    assert (states[-1].reps, states[-1].partial_reps) == (1, 0)


@pytest.mark.parametrize("view", YAW)
def test_somebody_who_comes_into_sight_half_way_down_has_not_squatted_yet(view: str) -> None:
    clip = film(GOOD, view)
    lowest = int(np.argmax(clip.keypoints_TK3[:90, Keypoint.LEFT_HIP, 1]))
    later = replace(clip, times_seconds_T=clip.times_seconds_T[lowest:], keypoints_TK3=clip.keypoints_TK3[lowest:])
    last = follow(later)[-1]
    assert (last.reps, last.partial_reps) == (2, 0)


def test_out_of_sight_and_back_the_count_goes_on() -> None:
    clip = film([*GOOD, *GOOD])
    second = (clip.times_seconds_T > 4.5) & (clip.times_seconds_T < 7.0)
    clip.keypoints_TK3[second] = 0.0
    states = follow(clip)
    assert {state.phase for state in np.array(states, dtype=object)[second][60:]} == {LOOKING}
    assert (states[-1].reps, states[-1].partial_reps) == (5, 0)


def test_walking_up_to_the_camera_is_no_squat() -> None:
    steps = [film([], camera=Camera(distance=distance)).keypoints_TK3[:1] for distance in np.linspace(7, 4, 120)]
    keypoints = np.concatenate([*steps, film(GOOD[:2]).keypoints_TK3])
    last = follow(Clip(np.arange(len(keypoints)) / 30, keypoints))[-1]
    assert (last.reps, last.partial_reps) == (2, 0)


@pytest.mark.parametrize("view", YAW)
def test_place_size_and_mirroring_do_not_matter(view: str) -> None:
    clip = film([*GOOD, Squat(thigh_degrees=50)], view)
    moved, mirrored = clip.keypoints_TK3.copy(), clip.keypoints_TK3[:, list(MIRROR)].copy()
    moved[..., :2] = 0.37 * moved[..., :2] + np.array([-900.0, 4000.0])
    mirrored[..., 0] = 1279 - mirrored[..., 0]
    expected = follow(clip)
    for keypoints in (moved, mirrored):
        states = follow(replace(clip, keypoints_TK3=keypoints))
        assert [state.phase for state in states] == [state.phase for state in expected]
        np.testing.assert_allclose(
            [state.progress or 0.0 for state in states], [state.progress or 0.0 for state in expected], atol=1e-6
        )
        assert states[-1].reps == expected[-1].reps == 3


@pytest.mark.parametrize("seed", range(4))
def test_nonsense_never_raises_and_counts_never_fall(seed: int) -> None:
    rng = np.random.default_rng(seed)
    coach = Coach(load_exercise("squat"))
    before = (0, 0)
    now = 0.0
    for _ in range(400):
        keypoints_K3 = rng.normal(300, 200, (17, 3)) * rng.choice([0.0, 1.0, 1e-3, 1e6], (17, 1))
        keypoints_K3[..., 2] = rng.random(17)
        keypoints_K3[rng.random((17, 3)) < 0.1] = rng.choice([np.nan, np.inf, -np.inf, 0.0])
        now += float(rng.choice([-3.0, 0.0, 0.01, 0.05, 0.3, 9.0], p=[0.02, 0.08, 0.3, 0.4, 0.18, 0.02]))
        state = coach.update(now, keypoints_K3)
        assert (state.reps, state.partial_reps) >= before
        assert state.reps >= before[0]
        assert state.ghost_K3 is None or np.isfinite(state.ghost_K3).all()
        before = (state.reps, state.partial_reps)


def test_a_repeated_time_changes_nothing_and_a_jump_back_keeps_the_count() -> None:
    clip = film(GOOD)
    coach = Coach(load_exercise("squat"))
    last = follow(clip, coach)[-1]
    assert coach.update(float(clip.times_seconds_T[-1]), np.zeros((17, 3))) is last
    assert follow(clip, coach)[-1].reps == 6


def test_a_wrong_shape_or_time_is_refused() -> None:
    coach = Coach(load_exercise("squat"))
    with pytest.raises(ValueError, match=r"\(16, 3\)"):
        coach.update(0.0, np.zeros((16, 3)))
    with pytest.raises(ValueError, match="finite"):
        coach.update(math.nan, np.zeros((17, 3)))


def test_a_frame_costs_little() -> None:
    clip = film([Squat(knees_over_ankles=0.45)] * 3)
    began = time.perf_counter()
    frames = len(follow(clip))
    assert (time.perf_counter() - began) / frames < 0.005
