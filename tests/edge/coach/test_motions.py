"""All exercises on people of sticks that know nothing of the rules: counts, faults, holds, and silence when right."""

from __future__ import annotations

import numpy as np
import pytest
from tests.edge.coach.figures import MOTIONS, Filmed, Motion, Set, film

from plumbline_edge.coach import Coach, CoachState, load_exercise

VIEWS = {
    "push_up": ("side", "three_quarter"),
    "lunge": ("side", "three_quarter"),
    "bicep_curl": ("side", "three_quarter"),
    "shoulder_press": ("front", "three_quarter", "side"),
    "front_raise": ("side", "three_quarter"),
    "shoulder_shrug": ("front", "three_quarter"),
    "jumping_jack": ("front", "three_quarter"),
    "glute_bridge": ("side",),
}
HALF = {"push_up": 0.6, "front_raise": 0.64, "shoulder_press": 0.45, "jumping_jack": 0.35}
"""Shares of the joint angles that are about half of the way; half a shrug is as small as the noise."""
SEEN_FROM = [(name, view) for name, views in VIEWS.items() for view in views]


def follow(filmed: Filmed, exercise: str) -> list[CoachState]:
    coach = Coach(load_exercise(exercise))
    return [coach.update(frame / filmed.rate_hz, pose_K3) for frame, pose_K3 in enumerate(filmed.keypoints_TK3)]


def found(states: list[CoachState]) -> set[str]:
    return {name for name, count in states[-1].fault_counts.items() if count}


@pytest.mark.parametrize(("name", "view"), SEEN_FROM)
@pytest.mark.parametrize("seconds", [1.6, 4.0])
@pytest.mark.parametrize("seed", range(1))
def test_right_repetitions_are_counted_and_not_spoken_of(name: str, view: str, seconds: float, seed: int) -> None:
    states = follow(film(Set(MOTIONS[name], 4, seconds), view).noisy(seed), name)
    assert (states[-1].reps, states[-1].partial_reps) == (4, 0)
    assert found(states) == set()
    assert [state.cue for state in states if state.cue_is_new] == []


@pytest.mark.parametrize(("name", "view"), [seen for seen in SEEN_FROM if seen[0] != "shoulder_shrug"])
def test_half_a_movement_is_told_and_not_counted(name: str, view: str) -> None:
    states = follow(
        film(Set(MOTIONS[name], 3, depths=(1.0, HALF.get(name, 0.5), 1.0)), view).noisy(1, jitter_px=1.0), name
    )
    assert (states[-1].reps, states[-1].partial_reps) == (2, 1)
    after = {fault.name for fault in load_exercise(name).faults if fault.judged == "after"}
    assert found(states) & after


WRONG: list[tuple[str, str, str, Motion]] = [
    (
        "push_up",
        "side",
        "hips_sagging",
        MOTIONS["push_up"].wrong({"trunk": 62, "thigh": 262, "shin": 262}, trunk=76, thigh=276, shin=276),
    ),
    (
        "push_up",
        "side",
        "hips_too_high",
        MOTIONS["push_up"].wrong({"trunk": 100, "thigh": 236, "shin": 236}, trunk=108, thigh=238, shin=238),
    ),
    ("push_up", "side", "head_hanging", MOTIONS["push_up"].wrong({"head": 125}, head=135)),
    ("lunge", "side", "knee_past_toes", MOTIONS["lunge"].wrong(left_thigh=86, left_shin=212)),
    ("push_up", "side", "elbows_flaring", MOTIONS["push_up"].wrong(flare=78)),
    ("lunge", "front", "tipping_sideways", MOTIONS["lunge"].wrong(roll=14)),
    ("lunge", "side", "leaning_forward", MOTIONS["lunge"].wrong(trunk=48)),
    ("bicep_curl", "side", "elbows_drifting", MOTIONS["bicep_curl"].wrong(upper_arm=135, forearm=20)),
    ("bicep_curl", "side", "leaning_back", MOTIONS["bicep_curl"].wrong(trunk=-20)),
    ("bicep_curl", "side", "shrugging", MOTIONS["bicep_curl"].wrong(shrug=0.07)),
    ("shoulder_press", "front", "tipping_sideways", MOTIONS["shoulder_press"].wrong(roll=14)),
    ("shoulder_press", "side", "leaning_back", MOTIONS["shoulder_press"].wrong(trunk=-20)),
    (
        "shoulder_press",
        "front",
        "uneven_arms",
        MOTIONS["shoulder_press"].wrong({"left_upper_arm": 135, "left_forearm": 8}, left_upper_arm=75, left_forearm=20),
    ),
    ("front_raise", "side", "swinging", MOTIONS["front_raise"].wrong(trunk=-18)),
    ("front_raise", "side", "bent_elbows", MOTIONS["front_raise"].wrong(upper_arm=100, forearm=30)),
    ("shoulder_shrug", "three_quarter", "bent_arms", MOTIONS["shoulder_shrug"].wrong(forearm=95)),
    ("front_raise", "side", "too_high", MOTIONS["front_raise"].wrong(upper_arm=50, forearm=48)),
    ("shoulder_shrug", "side", "chin_poking", MOTIONS["shoulder_shrug"].wrong(head=38)),
    ("shoulder_shrug", "front", "uneven_shoulders", MOTIONS["shoulder_shrug"].wrong(roll=16)),
    ("jumping_jack", "front", "feet_too_narrow", MOTIONS["jumping_jack"].wrong(spread=3)),
    (
        "jumping_jack",
        "front",
        "uneven_arms",
        MOTIONS["jumping_jack"].wrong({"left_upper_arm": 168, "left_forearm": 172}, left_upper_arm=70, left_forearm=60),
    ),
    ("glute_bridge", "side", "overarching", MOTIONS["glute_bridge"].wrong(trunk=228, thigh=80)),
    ("glute_bridge", "side", "feet_too_far", MOTIONS["glute_bridge"].wrong({"shin": 95}, shin=95)),
]


@pytest.mark.parametrize(("name", "view", "fault", "motion"), WRONG)
@pytest.mark.parametrize("seed", range(1))
def test_a_fault_is_found_and_spoken_of(name: str, view: str, fault: str, motion: Motion, seed: int) -> None:
    states = follow(film(Set(motion, 4), view).noisy(seed), name)
    assert fault in found(states)
    cue = next(found_fault.cue for found_fault in load_exercise(name).faults if found_fault.name == fault)
    assert cue in [state.cue for state in states if state.cue_is_new]


def test_every_fault_of_a_movement_is_among_those_tried() -> None:
    tried = {(name, fault) for name, _, fault, _ in WRONG}
    for name in VIEWS:
        during = {(name, fault.name) for fault in load_exercise(name).faults if fault.judged != "after"}
        assert during <= tried


def held(name: str, seconds: float, view: str, **wrong: float) -> Filmed:
    """A still position for so long, wrong from half of the time on."""
    right = film(Set(MOTIONS[name], 0), view)
    faulty = film(Set(MOTIONS[name].wrong(dict(wrong)), 0), view)
    frames = [right.keypoints_TK3[0]] * int(seconds * 15) + [faulty.keypoints_TK3[0]] * int(seconds * 15)
    return Filmed(np.stack(frames), 30.0).noisy(0, jitter_px=1.0)


def test_a_plank_is_timed() -> None:
    states = follow(held("plank", 20, "side"), "plank")
    assert states[-1].best_hold_seconds == pytest.approx(20, abs=1)
    assert states[-1].phase == "holding"
    assert found(states) == set()
    assert states[-1].reps == 0


@pytest.mark.parametrize(
    ("fault", "wrong"),
    [
        ("hips_sagging", {"trunk": 70.0, "thigh": 270.0, "shin": 270.0}),
        ("hips_too_high", {"trunk": 108.0, "thigh": 232.0, "shin": 232.0}),
        ("head_hanging", {"head": 145.0}),
    ],
)
def test_a_plank_that_gives_way_is_told(fault: str, wrong: dict[str, float]) -> None:
    assert found(follow(held("plank", 12, "side", **wrong), "plank")) == {fault}


def test_standing_is_no_plank() -> None:
    states = follow(film(Set(MOTIONS["bicep_curl"], 1), "side"), "plank")
    assert states[-1].best_hold_seconds == 0


@pytest.mark.parametrize(
    ("fault", "view", "wrong"),
    [
        ("forward_head", "side", {"head": 42.0}),
        ("leaning", "side", {"trunk": 24.0}),
        ("tilted_shoulders", "front", {"roll": 12.0}),
        ("slumping", "front", {"head": 70.0}),
    ],
)
def test_sitting_is_compared_with_how_it_began(fault: str, view: str, wrong: dict[str, float]) -> None:
    states = follow(held("sitting", 60, view, **wrong), "sitting")
    assert fault in found(states)
    first = next(frame for frame, state in enumerate(states) if fault in {shown.name for shown in state.faults})
    assert 30 < first / 30 < 32, "it is shown soon"
    cue = next(own.cue for own in load_exercise("sitting").faults if own.name == fault)
    spoken = next(frame for frame, state in enumerate(states) if state.cue_is_new and state.cue == cue)
    assert spoken / 30 > 30 + 7, "it must last before it is spoken of"
    assert "calibrating" in {state.phase for state in states}


@pytest.mark.parametrize("rate_hz", [1, 2, 3])
@pytest.mark.parametrize(
    ("name", "fault", "wrong"), [("sitting", "forward_head", 42.0), ("plank", "head_hanging", 145.0)]
)
def test_what_is_held_is_judged_at_a_low_rate(name: str, fault: str, wrong: float, rate_hz: int) -> None:
    filmed = held(name, 60, "side", head=wrong)
    states = follow(Filmed(filmed.keypoints_TK3[:: 30 // rate_hz], rate_hz), name)
    assert found(states) == {fault}
    assert next(own.cue for own in load_exercise(name).faults if own.name == fault) in {state.cue for state in states}
    assert states[-1].view == "side"


def test_a_plank_as_long_as_a_good_one_is_praised_once() -> None:
    states = follow(held("plank", 45, "side"), "plank")
    (praised,) = (state for state in states if state.cue_is_new)
    assert praised.cue == load_exercise("plank").praise
    assert praised.hold_seconds == pytest.approx(30, abs=0.1)


@pytest.mark.parametrize("stays", [True, False])
def test_who_was_told_how_they_sit_and_puts_it_right_is_praised(stays: bool) -> None:
    slumped, well = held("sitting", 60, "side", head=42.0), held("sitting", 30, "side")
    after_K3 = well.keypoints_TK3 if stays else np.zeros_like(well.keypoints_TK3)
    sitting = load_exercise("sitting")
    states = follow(Filmed(np.concatenate([slumped.keypoints_TK3, after_K3]), 30.0), "sitting")
    said = [state.cue for state in states if state.cue_is_new]
    told = sitting.faults[0].cue
    assert said == [told] * said.count(told) + [sitting.praise] * stays
    assert told in said


def test_sitting_well_is_left_alone_until_a_break_is_due() -> None:
    coach = Coach(load_exercise("sitting"))
    pose_K3 = held("sitting", 0.2, "side").keypoints_TK3[0]
    said = [(second, state.cue) for second in range(4000) if (state := coach.update(float(second), pose_K3)).cue_is_new]
    assert [cue for _, cue in said] == ["Time to stand up for a moment"] * 2
    assert said[0][0] == pytest.approx(1800, abs=10)


def sitting_with_breaks(seconds: float) -> Coach:
    sitting = load_exercise("sitting")
    assert sitting.hold is not None
    hold = sitting.hold.model_copy(update={"break_after_seconds": seconds})
    return Coach(sitting.model_copy(update={"hold": hold}))


@pytest.mark.parametrize("due_seconds", [40.0, 42.0, 44.0, 46.0])
def test_who_slumps_is_reminded_of_every_break(due_seconds: float) -> None:
    coach = sitting_with_breaks(due_seconds)
    well_K3, slumped_K3 = held("sitting", 1, "side", head=42.0).keypoints_TK3[[0, -1]]
    reminded = []
    for frame in range(1000):
        state = coach.update(frame / 10, well_K3 if frame < 150 else slumped_K3)
        reminded += [frame / 10] if state.cue_is_new and state.cue == "Time to stand up for a moment" else []
    assert len(reminded) == 2
    # A cue that was said just before is given its pause.
    assert all(0 <= at - due_seconds * (1 + number) <= 6 for number, at in enumerate(reminded))
    assert "forward_head" in {fault.name for fault in state.faults}


@pytest.mark.parametrize("stays", [True, False])
def test_a_break_that_came_due_in_quiet_is_told_after_it_to_who_still_sits(stays: bool) -> None:
    coach = sitting_with_breaks(40.0)
    coach.snooze(60.0)
    well_K3 = held("sitting", 1, "side").keypoints_TK3[0]
    said = []
    for frame in range(700):
        state = coach.update(frame / 10, well_K3 if frame < 590 or stays else np.zeros_like(well_K3))
        said += [(frame / 10, state.cue)] if state.cue_is_new else []
    assert [cue for _, cue in said] == ["Time to stand up for a moment"] * stays
    assert all(at == pytest.approx(60, abs=0.2) for at, _ in said)


@pytest.mark.parametrize("name", ["plank", "jumping_jack"])
def test_somebody_seen_from_the_wrong_side_is_asked_to_turn_and_not_nagged(name: str) -> None:
    view = "front" if name == "plank" else "side"
    states = follow(film(Set(MOTIONS[name], 10), view), name) if name != "plank" else follow(held(name, 30, view), name)
    asked = [state.cue for state in states if state.cue_is_new]
    assert asked == [load_exercise(name).turn_cue] * len(asked)
    assert len(asked) <= 2


def test_snoozed_it_counts_and_shows_and_keeps_silent() -> None:
    filmed = film(Set(MOTIONS["lunge"].wrong(trunk=48), 4), "side")
    coach = Coach(load_exercise("lunge"))
    coach.snooze(600)
    states = [coach.update(frame / 30, pose_K3) for frame, pose_K3 in enumerate(filmed.keypoints_TK3)]
    assert states[-1].reps == 4
    assert "leaning_forward" in found(states)
    assert not any(state.cue_is_new for state in states)
    with pytest.raises(ValueError, match="-1"):
        coach.snooze(-1)


@pytest.mark.parametrize("first_seconds", [0.0, 86_400.0])
def test_silence_lasts_its_time_from_before_the_first_frame_and_over_a_gap(first_seconds: float) -> None:
    filmed = film(Set(MOTIONS["lunge"].wrong(trunk=48), 4), "side")
    coach = Coach(load_exercise("lunge"))
    coach.snooze(100)
    told = []
    for begins, quiet_seconds in ((0.0, 100.0), (60.0, 40.0), (110.0, 0.0)):
        for frame, pose_K3 in enumerate(filmed.keypoints_TK3):
            state = coach.update(first_seconds + begins + frame / 30, pose_K3)
            if frame == 0:
                assert coach.quiet_seconds == pytest.approx(quiet_seconds)
            told += [begins] if state.cue_is_new else []
    assert set(told) == {110.0}
    coach.snooze(100)
    coach.recalibrate()
    assert coach.quiet_seconds == 0
