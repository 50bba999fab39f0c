"""What can be measured on a body: angles in degrees, lengths in torso lengths, so that a number fits any picture.

A joint without a side ('knee') is measured on each side and the sides are joined by `sides`.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from plumbline_contract.skeleton import KEYPOINT_NAMES

PAIRED_JOINTS: Final[tuple[str, ...]] = tuple(
    name.removeprefix("left_") for name in KEYPOINT_NAMES if name.startswith("left_")
)
POINT_NAMES: Final[frozenset[str]] = frozenset(
    (*KEYPOINT_NAMES, *PAIRED_JOINTS, *(f"mid_{joint}" for joint in PAIRED_JOINTS))
)


def _known_point(name: str) -> str:
    if name not in POINT_NAMES:
        raise ValueError(
            f"no point is called {name!r}; use a joint on each side ('knee'), one side ('left_knee'), "
            f"the middle of both ('mid_hip') or 'nose'; the joints are {', '.join(PAIRED_JOINTS)}"
        )
    return name


def _known_keypoint(name: str) -> str:
    if name not in KEYPOINT_NAMES:
        raise ValueError(f"no keypoint is called {name!r}; the names are {', '.join(KEYPOINT_NAMES)}")
    return name


def _paired_joint(name: str) -> str:
    if name not in PAIRED_JOINTS:
        raise ValueError(f"{name!r} has no left and right; the joints that do are {', '.join(PAIRED_JOINTS)}")
    return name


Point = Annotated[str, AfterValidator(_known_point)]
"""A keypoint, the middle of a pair ('mid_hip'), or a joint without a side ('knee')."""
PairedJoint = Annotated[str, AfterValidator(_paired_joint)]
KeypointName = Annotated[str, AfterValidator(_known_keypoint)]
Sides = Annotated[
    Literal["mean", "least", "most"],
    Field(description="of a joint without a side: mean of both by how well each is seen, or the lesser or greater"),
]


class Strict(BaseModel):
    """Frozen, with no unknown field and no infinite number."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class JointAngle(Strict):
    """The angle at the second of three points, in degrees from 0 (folded) to 180 (straight)."""

    kind: Literal["joint_angle"]
    points: tuple[Point, Point, Point]
    sides: Sides = "mean"


class Bend(Strict):
    """How far three points are from straight, in degrees: positive with the second above the line of the others."""

    kind: Literal["bend"]
    points: tuple[Point, Point, Point]
    sides: Sides = "mean"


class SegmentTilt(Strict):
    """How far the line from `base` to `tip` leans from upright, in degrees: 0 upright, 90 level, 180 upside down."""

    kind: Literal["segment_tilt"]
    base: Point
    tip: Point
    sides: Sides = "mean"
    signed: bool = Field(
        False, description="tell leaning to the right from leaning to the left; for conditions relative to rest"
    )


class Height(Strict):
    """How far the point `of` lies above the point `above`, in torso lengths; negative when it lies below."""

    kind: Literal["height"]
    of: Point
    above: Point
    sides: Sides = "mean"


class DistanceRatio(Strict):
    """The distance between two points over the distance between two others."""

    kind: Literal["distance_ratio"]
    between: tuple[Point, Point]
    over: tuple[Point, Point]
    along: Literal["x", "y", "any"] = Field(
        "any", description="of the first distance only what goes from side to side (x), or up and down (y)"
    )


class Asymmetry(Strict):
    """By how much the left and the right of a joint differ in height, in torso lengths."""

    kind: Literal["asymmetry"]
    joint: PairedJoint


class AngleDifference(Strict):
    """By how much the angles of the left and the right side differ, in degrees."""

    kind: Literal["angle_difference"]
    points: tuple[PairedJoint, PairedJoint, PairedJoint]


class LineTilt(Strict):
    """How far the line through the left and the right of a joint is from level, in degrees from 0 to 90."""

    kind: Literal["line_tilt"]
    joint: PairedJoint


class MovementProgress(Strict):
    """The movement's own progress: 0 at rest, 1 at the full position; after an attempt, the most it reached."""

    kind: Literal["progress"]


class Tempo(Strict):
    """How many seconds an attempt took: on the way out, on the way back, or as a whole."""

    kind: Literal["tempo"]
    part: Literal["out", "back", "whole"] = "whole"


PointMeasure = JointAngle | Bend | SegmentTilt | Height | DistanceRatio
PairMeasure = Asymmetry | AngleDifference | LineTilt
AttemptMeasure = MovementProgress | Tempo
BodyMeasure = Annotated[PointMeasure | PairMeasure, Field(discriminator="kind")]
Measure = Annotated[PointMeasure | PairMeasure | AttemptMeasure, Field(discriminator="kind")]
