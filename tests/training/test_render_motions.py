"""Exercise motions on a body of sticks: what the data says the joints do, faults when they are said to be."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from tests.training.stick_body import stick_skeleton

from plumbline_training.render.body import SEGMENT_INDEX
from plumbline_training.render.errors import InvalidMotion
from plumbline_training.render.motion import known_motions, load_motions
from plumbline_training.render.performance import Performance
from plumbline_training.render.performer import perform

Points = npt.NDArray[np.float64]
SKELETON = stick_skeleton()
MOTIONS = known_motions()
NAMED = [
    "squat", "push_up", "lunge", "plank", "bicep_curl", "shoulder_press", "front_raise", "shoulder_shrug",
    "jumping_jack", "glute_bridge", "desk_sitting",
]  # fmt: skip
FAULTS = [(name, fault.name) for name, motion in MOTIONS.items() for fault in motion.faults]


def solved(performance: Performance, times: Points) -> Points:
    """Pivots (T, S, 3) at each time."""
    return SKELETON.solve(performance.pose_at(SKELETON, times))[1].astype(np.float64)


def at(positions: Points, segment: str) -> Points:
    return np.asarray(positions[:, SEGMENT_INDEX[segment]])


def angle(positions: Points, first: str, middle: str, last: str) -> Points:
    """Degrees at the middle pivot, from positions alone."""
    a, b = at(positions, first) - at(positions, middle), at(positions, last) - at(positions, middle)
    cosine = np.sum(a * b, axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    return np.asarray(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def shown(name: str, fault: str, seed: int = 0) -> tuple[Performance, Performance]:
    """A performance with a fault, and the same without it."""
    faulty = perform(name, MOTIONS[name], np.random.default_rng(seed), (3, 3), fault)
    assert faulty.injected, "a named fault is always shown"
    return faulty, replace(faulty, injected=[])


def test_every_exercise_is_there_with_three_faults() -> None:
    assert list(MOTIONS) == NAMED
    assert min(len(motion.faults) for motion in MOTIONS.values()) >= 3


@pytest.mark.parametrize("name", NAMED)
def test_bones_keep_their_lengths_and_stay_finite(name: str) -> None:
    performance = perform(name, MOTIONS[name], np.random.default_rng(3))
    positions = solved(performance, np.linspace(0, performance.seconds, 60))
    assert np.isfinite(positions).all()
    for first, second in (("thigh.L", "shin.L"), ("shin.R", "foot.R"), ("upper_arm.L", "forearm.L")):
        lengths = np.linalg.norm(at(positions, first) - at(positions, second), axis=1)
        assert np.ptp(lengths) < 0.02 * lengths.mean()


@pytest.mark.parametrize("name", ["squat", "bicep_curl", "lunge", "push_up", "glute_bridge"])
def test_the_feet_stay_planted(name: str) -> None:
    performance = perform(name, MOTIONS[name], np.random.default_rng(1), fault="none")
    positions = solved(performance, np.linspace(0, performance.seconds, 80))
    assert np.ptp(at(positions, "foot.L" if performance.front == "L" else "foot.R")[:, :2], axis=0).max() < 0.06


def test_one_draw_is_one_performance_at_any_frame_rate() -> None:
    first, again = (perform("squat", MOTIONS["squat"], np.random.default_rng(9)) for _ in range(2))
    assert first.repetitions == again.repetitions
    coarse, fine = np.arange(0, 6, 0.2), np.arange(0, 6, 0.05)
    np.testing.assert_array_equal(first.joints_at(coarse)["thigh.L"], again.joints_at(fine)["thigh.L"][::4])


def test_a_repetition_goes_from_rest_to_full_and_back() -> None:
    performance = perform("bicep_curl", MOTIONS["bicep_curl"], np.random.default_rng(5), (4, 4), "none")
    performance = replace(performance, arm_of=[])
    for rep in performance.repetitions:
        elbow = angle(
            solved(performance, np.array([rep.start, (rep.full + rep.leaves) / 2, rep.end + 0.1])),
            "upper_arm.L", "forearm.L", "hand.L",
        )  # fmt: skip
        assert elbow[0] > 155
        assert elbow[2] > 150
        assert elbow[1] < 60
        phases = performance.phases(np.array([rep.start - 0.01, rep.start + 0.05, rep.end - 0.05, rep.end + 0.01]))
        assert phases[1:3] == ["out", "back"]


@pytest.mark.parametrize(("name", "fault"), FAULTS)
def test_a_fault_moves_joints_between_its_onset_and_its_end_and_not_elsewhere(name: str, fault: str) -> None:
    faulty, clean = shown(name, fault)
    injected = faulty.injected[0]
    if injected.fault.tempo is not None:
        return
    if injected.fault.depth is not None:
        clean = replace(clean, repetitions=[replace(rep, depth=1.0) for rep in clean.repetitions])
    middle = (injected.onset + injected.end) / 2 if injected.fault.add else injected.onset
    times = np.array([max(0.0, min(each.onset for each in faulty.injected) - 2.5), middle])
    if injected.repetition is not None:
        times[0] = 0.0
    apart = np.linalg.norm(solved(faulty, times) - solved(clean, times), axis=2).max(axis=1)
    assert apart[0] < 0.005, "before anything is wrong nothing differs"
    assert apart[1] > 0.015, "in the middle of the fault something is 15 mm off"


def test_a_hold_is_right_until_the_fault_begins_half_way_through_its_ramp() -> None:
    faulty, clean = shown("plank", "hips_sag")
    injected = faulty.injected[0]
    times = np.array([injected.onset - 0.3, injected.onset, (injected.onset + injected.end) / 2, injected.end + 0.3])
    hips = [angle(solved(each, times), "upper_arm.L", "thigh.L", "foot.L") for each in (faulty, clean)]
    off = np.abs(hips[0] - hips[1])
    assert off[0] < 0.5
    assert off[3] < 0.5
    assert off[1] == pytest.approx(off[2] / 2, rel=0.4), "an angle does not grow evenly with the joints"
    assert off[2] > 5


def test_the_knees_come_closer_than_the_ankles_only_while_they_cave_in() -> None:
    faulty, clean = shown("squat", "knees_in", seed=2)
    injected = faulty.injected[0]
    times = np.array([0.1, injected.onset, (injected.onset + injected.end) / 2])

    def apart(performance: Performance) -> Points:
        positions = solved(performance, times)
        knees = at(positions, "shin.L")[:, 0] - at(positions, "shin.R")[:, 0]
        return np.asarray(knees / (at(positions, "foot.L")[:, 0] - at(positions, "foot.R")[:, 0]))

    lost = apart(clean) - apart(faulty)
    assert abs(lost[0]) < 0.01
    assert 0.05 < lost[1] < lost[2]
    assert lost[2] > 0.3


def test_a_shallow_squat_bends_the_knees_less() -> None:
    faulty, clean = shown("squat", "too_shallow")
    clean = replace(clean, repetitions=[replace(rep, depth=1.0) for rep in clean.repetitions])
    times = np.array([faulty.injected[0].onset])
    knees = [angle(solved(each, times), "thigh.L", "shin.L", "foot.L")[0] for each in (faulty, clean)]
    assert knees[0] > knees[1] + 20


def test_hurrying_makes_a_repetition_short() -> None:
    hurried = perform("squat", MOTIONS["squat"], np.random.default_rng(0), (6, 6), "too_fast")
    fast = {injected.repetition for injected in hurried.injected}
    lasts = [rep.end - rep.start for rep in hurried.repetitions]
    slow = [seconds for number, seconds in enumerate(lasts) if number not in fast]
    assert slow, "this draw hurries some of them"
    assert max(lasts[number] for number in fast if number is not None) < 0.7 * min(slow)


def test_the_head_pokes_forward_at_the_desk() -> None:
    faulty, clean = shown("desk_sitting", "head_forward")
    middle = np.array([(faulty.injected[0].onset + faulty.injected[0].end) / 2])
    head, neck = (at(solved(each, middle), "head")[0] for each in (faulty, clean))
    assert head[1] < neck[1] - 0.015
    assert abs(head[2] - neck[2]) < 0.05


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[", "is no YAML"),
        ("{}", "holds no exercises"),
        ("a: {support: feet, rest: {wing: 1}, hold: [1, 2], faults: []}", "a.faults"),
        ("a: {support: moon, rest: {}, hold: [1, 2], faults: [F, F, F]}", "support 'moon'"),
        ("a: {support: feet, rest: {wing: 1}, hold: [1, 2], faults: [F, F, F]}", "no joint is called 'wing'"),
        ("a: {support: feet, rest: {lean: 1}, faults: [F, F, F]}", "give either `tempo`"),
        ("a: {support: feet, rest: {}, hold: [1, 2], faults: [F, F, G]}", "exactly one of"),
    ],
)
def test_a_file_that_breaks_the_schema_is_named_with_the_field(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    fault = "{name: f, keypoints: [nose], add: {neck: [1, 2, 3]}}"
    path.write_text(text.replace("[F, F", f"[{fault}, {fault}").replace(", F]", f", {fault}]").replace(
        "G]", "{name: g, keypoints: [nose]}]"))  # fmt: skip
    with pytest.raises(InvalidMotion, match=said.replace("[", r"\[")) as raised:
        load_motions(path)
    assert "mine.yaml" in str(raised.value)


def test_the_worked_example_of_the_documentation_is_an_exercise(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "rendering.md").read_text(encoding="utf-8")
    example = page.split("```yaml\n")[1].split("```")[0]
    (tmp_path / "mine.yaml").write_text(example)
    motions = load_motions(tmp_path / "mine.yaml")
    (name,) = set(motions) - set(MOTIONS)
    performance = perform(name, motions[name], np.random.default_rng(0))
    assert np.isfinite(solved(performance, np.linspace(0, performance.seconds, 20))).all()
