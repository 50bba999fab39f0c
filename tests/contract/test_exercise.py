"""The exercise schema on a small definition."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from plumbline_contract.errors import InvalidExercise
from plumbline_contract.exercise import LearntRest, parse_exercise
from plumbline_contract.measure import POINT_NAMES, JointAngle

CURL: dict[str, Any] = {
    "name": "bicep_curl",
    "title": "Bicep curl",
    "view": ["side"],
    "progress": [
        {"measure": {"kind": "joint_angle", "points": ["shoulder", "elbow", "wrist"]}, "rest": 160, "full": 50}
    ],
    "repetition": {
        "phases": {"rest": "arms_down", "out": "lifting", "full": "top", "back": "lowering"},
        "begins_above": 0.2,
        "ends_below": 0.1,
        "counts_from": 0.8,
        "hysteresis": 0.1,
        "min_seconds": 0.4,
        "min_partial_seconds": 0.5,
        "max_seconds": 10,
    },
    "faults": [
        {
            "name": "swinging",
            "keypoints": ["left_shoulder", "left_hip"],
            "condition": {
                "measure": {"kind": "segment_tilt", "base": "mid_hip", "tip": "mid_shoulder"},
                "comparison": "above",
                "threshold": 20,
                "hysteresis": 3,
            },
            "judged": "throughout",
            "views": ["side"],
            "severity": "moderate",
            "cue": "Keep your back still",
            "good": "The back stays upright.",
            "target": 5,
            "source": "Our own judgement.",
        }
    ],
    "praise": "Good",
}


def test_a_definition_parses_into_typed_measures() -> None:
    curl = parse_exercise(CURL)
    assert isinstance(curl.progress[0].measure, JointAngle)
    assert curl.progress[0].rest == 160
    assert curl.faults[0].views == ("side",)


def test_what_is_parsed_can_be_written_and_parsed_again() -> None:
    curl = parse_exercise(CURL)
    assert parse_exercise(curl.model_dump(mode="json")) == curl


def test_rest_may_be_learnt() -> None:
    data = copy.deepcopy(CURL)
    data["progress"][0] |= {"rest": {"learnt_between": [100, 180]}, "full": 0.4}
    assert parse_exercise(data).progress[0].rest == LearntRest(learnt_between=(100, 180))


@pytest.mark.parametrize("between", [(-0.7, -1.3), (-0.5, 0.5), (0.0, 1.0)])
def test_a_learnt_rest_rises_and_keeps_its_sign(between: tuple[float, float]) -> None:
    assert LearntRest(learnt_between=(-1.3, -0.7)).learnt_between == (-1.3, -0.7)
    with pytest.raises(ValueError, match="two rising numbers of one sign"):
        LearntRest(learnt_between=between)


def test_points_are_joints_with_and_without_a_side_and_middles() -> None:
    assert {"nose", "knee", "left_knee", "mid_knee"} <= POINT_NAMES
    assert not {"mid_nose", "left_nose", "toe"} & POINT_NAMES


def test_the_error_names_source_field_and_value_and_counts_the_others() -> None:
    data = copy.deepcopy(CURL)
    data["repetition"]["hysteresis"] = 7
    del data["praise"]
    with pytest.raises(InvalidExercise, match=r"^curl\.yaml: repetition\.hysteresis: .*, got 7 \(and 1 more\)$"):
        parse_exercise(data, "curl.yaml")


def test_a_missing_field_is_named() -> None:
    data = {key: value for key, value in CURL.items() if key != "praise"}
    with pytest.raises(InvalidExercise, match=r"^exercise: praise: Field required$"):
        parse_exercise(data)


def test_a_long_value_is_shortened() -> None:
    with pytest.raises(InvalidExercise) as caught:
        parse_exercise(CURL | {"title": "x" * 5000})
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("joint", ["nose", "left_knee", "mid_hip"])
def test_asymmetry_needs_a_joint_with_two_sides(joint: str) -> None:
    data = copy.deepcopy(CURL)
    data["faults"][0]["condition"]["measure"] = {"kind": "asymmetry", "joint": joint}
    with pytest.raises(InvalidExercise, match="has no left and right"):
        parse_exercise(data)
