"""What must not matter does not, and nothing that comes in makes the coach raise or uncount; searched by hypothesis."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.edge.coach.figures import MOTIONS, Camera, Filmed, Set, film

from plumbline_contract.skeleton import MIRROR
from plumbline_edge.coach import Coach, CoachState, load_exercise
from plumbline_edge.coach.exercises import exercise_names

REPEATED = ("push_up", "lunge", "bicep_curl", "shoulder_press", "front_raise", "jumping_jack", "glute_bridge")
PHASES = (Phase.explicit, Phase.generate)
"""No shrinking: a clip that fails is as telling as a shorter one, and far quicker."""
FEW = settings(
    phases=PHASES, max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)

exercises = st.sampled_from(REPEATED)
depths = st.lists(st.sampled_from([0.4, 1.0, 1.0]), min_size=1, max_size=2).map(tuple)
yaws = st.sampled_from([0.0, 50.0, 90.0])


def follow(filmed: Filmed, exercise: str) -> list[CoachState]:
    coach = Coach(load_exercise(exercise))
    return [coach.update(frame / filmed.rate_hz, pose_K3) for frame, pose_K3 in enumerate(filmed.keypoints_TK3)]


def told(states: list[CoachState]) -> list[tuple[str, int, int, tuple[str, ...], str | None, str | None]]:
    return [
        (
            state.phase,
            state.reps,
            state.partial_reps,
            tuple(fault.name for fault in state.faults),
            state.cue,
            state.view,
        )
        for state in states
    ]


def filmed_set(exercise: str, depths: tuple[float, ...], yaw: float, rate_hz: float = 15.0) -> Filmed:
    what = Set(MOTIONS[exercise], len(depths), depths=depths)
    return film(what, rate_hz=rate_hz, camera=Camera(yaw)).noisy(0, jitter_px=1.0, dropout=0.0)


@FEW
@given(exercises, depths, yaws, st.floats(-5000, 5000), st.floats(-5000, 5000), st.floats(0.05, 20))
def test_place_and_size_do_not_matter(
    exercise: str, depths: tuple[float, ...], yaw: float, x: float, y: float, scale: float
) -> None:
    filmed = filmed_set(exercise, depths, yaw)
    moved_TK3 = filmed.keypoints_TK3.copy()
    moved_TK3[..., :2] = scale * moved_TK3[..., :2] + np.array([x, y])
    assert told(follow(Filmed(moved_TK3, filmed.rate_hz), exercise)) == told(follow(filmed, exercise))


@FEW
@given(exercises, depths, yaws)
def test_a_mirror_does_not_matter(exercise: str, depths: tuple[float, ...], yaw: float) -> None:
    filmed = filmed_set(exercise, depths, yaw)
    mirrored_TK3 = filmed.keypoints_TK3[:, list(MIRROR)].copy()
    mirrored_TK3[..., 0] = 1279 - mirrored_TK3[..., 0]
    assert told(follow(Filmed(mirrored_TK3, filmed.rate_hz), exercise)) == told(follow(filmed, exercise))


@FEW
@given(exercises, depths, st.floats(8, 60))
def test_the_frame_rate_does_not_change_the_counts(exercise: str, depths: tuple[float, ...], rate_hz: float) -> None:
    yaw = 0.0 if exercise in ("shoulder_press", "jumping_jack") else 90.0
    what = Set(MOTIONS[exercise], len(depths), depths=depths)
    last, reference = (follow(film(what, rate_hz=rate, camera=Camera(yaw)), exercise)[-1] for rate in (rate_hz, 30.0))
    assert (last.reps, last.partial_reps) == (reference.reps, reference.partial_reps)
    assert last.reps == depths.count(1.0)


odd_numbers = st.one_of(st.floats(-1e4, 1e4), st.sampled_from([0.0, np.nan, np.inf, -np.inf, 1e300, -1e300, 1e-300]))
odd_steps = st.sampled_from([0.033, 0.125, 0.2, 1.0, 6.0, -3.0, 0.0, 1e9])


@pytest.mark.parametrize("exercise", exercise_names())
@settings(phases=PHASES, max_examples=4, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(data=st.data())
def test_nothing_raises_and_counts_never_fall(exercise: str, data: st.DataObject) -> None:
    coach, now, before = Coach(load_exercise(exercise)), 0.0, (0, 0)
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    good = film(Set(MOTIONS.get(exercise, MOTIONS["push_up"]), 2), rate_hz=10).keypoints_TK3
    for frame in range(len(good)):
        now += data.draw(odd_steps) if rng.random() < 0.15 else 0.1
        state = coach.update(now, spoilt(good[frame], data, rng))
        assert state.reps >= before[0]
        assert state.partial_reps >= before[1]
        assert state.ghost_K3 is None or np.isfinite(state.ghost_K3).all()
        before = (state.reps, state.partial_reps)


def spoilt(pose_K3: npt.NDArray[np.float64], data: st.DataObject, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """A pose that is sometimes whole, sometimes lacks joints, and sometimes holds odd numbers."""
    keypoints_K3 = pose_K3.copy()
    kind = rng.integers(4)
    if kind == 1:
        keypoints_K3[rng.random(17) < 0.4] = 0.0
    elif kind == 2:
        keypoints_K3[rng.random((17, 3)) < 0.2] = data.draw(odd_numbers)
    elif kind == 3 and rng.random() < 0.3:
        keypoints_K3[:] = data.draw(odd_numbers)
    return keypoints_K3


@pytest.mark.parametrize("exercise", exercise_names())
def test_nobody_for_ten_minutes_is_nothing(exercise: str) -> None:
    coach = Coach(load_exercise(exercise))
    state = coach.state
    for second in range(600):
        state = coach.update(float(second), np.zeros((17, 3)))
    assert (state.reps, state.partial_reps, state.cue, state.hold_seconds) == (0, 0, None, 0.0)
