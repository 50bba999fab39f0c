"""When the coach speaks, and when it keeps silent."""

from __future__ import annotations

from plumbline_contract.exercise import Fault
from plumbline_edge.coach import load_exercise
from plumbline_edge.coach.cues import SENSITIVITIES, CuePolicy, CueTiming

SHALLOW, LEANING, CAVING = load_exercise("squat").faults[:3]
TIMING = CueTiming(shown_seconds=2, pause_seconds=2, cool_down_seconds=8)


def said(policy: CuePolicy, faults: tuple[Fault, ...], seconds: float, start: float = 0.0) -> list[tuple[float, str]]:
    times = [start + frame / 10 for frame in range(int(seconds * 10))]
    spoken = [(now, *policy.update(now, faults, None)) for now in times]
    return [(now, cue) for now, cue, is_new in spoken if is_new and cue]


def test_the_most_severe_is_said_first_and_the_other_after_a_pause() -> None:
    policy = CuePolicy("Good", TIMING)
    assert said(policy, (LEANING, SHALLOW), 4) == [(0.0, "Chest up"), (2.0, "Go lower")]


def test_the_same_is_not_said_again_before_its_cool_down() -> None:
    times = [now for now, _ in said(CuePolicy("Good", TIMING), (CAVING,), 20)]
    assert times == [0.0, 8.0, 16.0]


def test_a_cue_stays_for_a_while_and_goes() -> None:
    policy = CuePolicy("Good", TIMING)
    assert policy.update(0.0, (LEANING,), None) == ("Chest up", True)
    assert policy.update(1.9, (), None) == ("Chest up", False)
    assert policy.update(2.1, (), None) == (None, False)


def test_praise_comes_once_when_a_fault_was_put_right() -> None:
    policy = CuePolicy("Good", TIMING)
    assert policy.update(0.0, (), (), counted=True) == (None, False)
    policy.update(5.0, (SHALLOW,), (SHALLOW,), counted=False)
    assert policy.update(10.0, (), (), counted=True) == ("Good", True)
    assert policy.update(15.0, (), (), counted=True) == (None, False)


def test_no_praise_while_a_fault_shows() -> None:
    policy = CuePolicy("Good", TIMING)
    policy.update(0.0, (LEANING,), (LEANING,), counted=True)
    assert policy.update(5.0, (CAVING,), (CAVING,), counted=True) == ("Push your knees out", True)


def test_a_reminder_comes_between_faults_that_take_turns_and_again_after_its_interval() -> None:
    policy = CuePolicy("Good", SENSITIVITIES["high"], break_after_seconds=60.0)
    spoken = [(now, policy.update(float(now), (CAVING, LEANING, SHALLOW), None, remind="Get up")) for now in range(130)]
    policy.quiet = True
    assert [now for now, told in spoken if told == ("Get up", True)] == [0, 60, 120]
    assert policy.update(200.0, (), None, remind="Get up") == (None, False)
    policy.quiet = False
    assert policy.update(201.0, (), None, remind="Get up") == ("Get up", True)


def test_the_less_sensitive_speaks_less_and_of_no_minor_fault() -> None:
    faults = (LEANING, SHALLOW, CAVING)
    spoken = {name: len(said(CuePolicy("Good", timing), faults, 60)) for name, timing in SENSITIVITIES.items()}
    assert 0 < spoken["low"] < spoken["normal"] < spoken["high"]
    minor = LEANING.model_copy(update={"severity": "minor"})
    heard = {name: bool(said(CuePolicy("Good", timing), (minor,), 10)) for name, timing in SENSITIVITIES.items()}
    assert heard == {"low": False, "normal": True, "high": True}
