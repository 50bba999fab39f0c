"""What an exercise is: how far through the movement a pose is, which poses are faults, and what to say about them.

An exercise is data (YAML) that this schema checks, so that somebody who knows bodies can add one without touching code.
Lengths are in the person's own torso lengths and angles in degrees, so a definition fits any picture and person.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from plumbline_contract.errors import InvalidExercise
from plumbline_contract.skeleton import KEYPOINT_NAMES

View = Literal["front", "side", "three_quarter"]
VIEWS: Final[tuple[View, ...]] = ("front", "side", "three_quarter")
Severity = Literal["minor", "moderate", "serious"]
SEVERITIES: Final[tuple[Severity, ...]] = ("minor", "moderate", "serious")
"""From the least to the most severe: the order in which faults wait for their turn to be spoken of."""

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
"""A keypoint, the middle of a pair ('mid_hip'), or a joint without a side ('knee'): measured on each side, averaged."""
PairedJoint = Annotated[str, AfterValidator(_paired_joint)]
KeypointName = Annotated[str, AfterValidator(_known_keypoint)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]*(?:_[a-z0-9]+)*$", max_length=48)]
ShortText = Annotated[str, StringConstraints(min_length=1, max_length=48, strip_whitespace=True)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=600, strip_whitespace=True)]
Views = Annotated[tuple[View, ...], Field(min_length=1, description="views in which this can be judged")]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class JointAngle(_Model):
    """The angle at the second of three points, in degrees from 0 (folded) to 180 (straight)."""

    kind: Literal["joint_angle"]
    points: tuple[Point, Point, Point]


class SegmentTilt(_Model):
    """How far the line from `base` to `tip` leans from upright, in degrees: 0 upright, 90 level, 180 upside down."""

    kind: Literal["segment_tilt"]
    base: Point
    tip: Point


class Height(_Model):
    """How far the point `of` lies above the point `above`, in torso lengths; negative when it lies below."""

    kind: Literal["height"]
    of: Point
    above: Point


class DistanceRatio(_Model):
    """The distance between two points over the distance between two others."""

    kind: Literal["distance_ratio"]
    between: tuple[Point, Point]
    over: tuple[Point, Point]
    along: Literal["x", "any"] = Field("any", description="x: only from side to side in the picture")


class Asymmetry(_Model):
    """By how much the left and the right of a joint differ in height, in torso lengths."""

    kind: Literal["asymmetry"]
    joint: PairedJoint


class MovementProgress(_Model):
    """The movement's own progress: 0 at rest, 1 at the full position; after an attempt, the most it reached."""

    kind: Literal["progress"]


BodyMeasure = Annotated[JointAngle | SegmentTilt | Height | DistanceRatio | Asymmetry, Field(discriminator="kind")]
Measure = Annotated[
    JointAngle | SegmentTilt | Height | DistanceRatio | Asymmetry | MovementProgress, Field(discriminator="kind")
]


class LearntRest(_Model):
    """The value at rest is learnt from the person while they exercise."""

    learnt_between: tuple[float, float] = Field(description="only values in this range can be a rest; low, high")

    @model_validator(mode="after")
    def _positive_range(self) -> LearntRest:
        low, high = self.learnt_between
        if not 0 < low < high:
            raise ValueError(f"learnt_between {self.learnt_between!r} must be two rising positive numbers")
        return self


class ProgressSource(_Model):
    """One measure that tells how far through the movement the person is."""

    measure: BodyMeasure
    rest: LearntRest | float = Field(description="the measure at rest, where progress is 0; or how it is learnt")
    full: float = Field(description="the measure where progress is 1; as a fraction of the rest when that is learnt")
    weight: float = Field(1.0, gt=0, le=10)
    views: Views = VIEWS

    @model_validator(mode="after")
    def _rest_is_not_full(self) -> ProgressSource:
        rest = 1.0 if isinstance(self.rest, LearntRest) else self.rest
        if abs(rest - self.full) < 1e-6:
            raise ValueError(f"rest and full are both {rest!r}: progress could not change")
        return self

    @property
    def in_every_view(self) -> bool:
        """Whether it can be judged before the view is known."""
        return set(self.views) == set(VIEWS)


class PhaseNames(_Model):
    """What the four phases of an attempt are called."""

    rest: Name
    out: Name
    full: Name
    back: Name


class Repetition(_Model):
    """When an attempt begins, counts and ends; the gaps between the numbers are the hysteresis."""

    phases: PhaseNames
    begins_above: float = Field(gt=0, lt=1, description="progress at which an attempt begins")
    ends_below: float = Field(gt=0, lt=1, description="progress at which it is over")
    counts_from: float = Field(gt=0, le=1.5, description="progress an attempt must reach to count as a repetition")
    hysteresis: float = Field(gt=0, lt=0.5, description="progress to fall back by before the full position is left")
    min_seconds: float = Field(gt=0, description="a shorter attempt is noise")
    min_partial_seconds: float = Field(gt=0, description="one that did not count must last this long to be one at all")
    max_seconds: float = Field(gt=0, description="a longer attempt is something else, such as sitting down")

    @model_validator(mode="after")
    def _in_order(self) -> Repetition:
        if not self.ends_below < self.begins_above < self.counts_from:
            raise ValueError(
                f"ends_below {self.ends_below!r}, begins_above {self.begins_above!r} and counts_from "
                f"{self.counts_from!r} must rise in this order"
            )
        if self.min_seconds >= self.max_seconds:
            raise ValueError(f"min_seconds {self.min_seconds!r} must be below max_seconds {self.max_seconds!r}")
        return self


class Condition(_Model):
    """A measure beyond a threshold; it ends only once the measure is back by `hysteresis`."""

    measure: Measure
    comparison: Literal["above", "below"]
    threshold: float
    hysteresis: float = Field(ge=0)


class Fault(_Model):
    """Something done wrong, how to see it and what to say."""

    name: Name
    keypoints: tuple[KeypointName, ...] = Field(min_length=1, description="the keypoints that show it")
    condition: Condition
    judged: Literal["throughout", "at_full", "after"] = Field(
        description="in every frame; in the full position of an attempt; or once an attempt is over"
    )
    views: Views = VIEWS
    severity: Severity
    cue: ShortText = Field(description="what to do, short enough to be spoken during the movement")
    good: Text = Field(description="what good looks like")
    target: float = Field(description="the measure in the correct pose, which the ghost shows")
    source: Text = Field(description="where the threshold comes from; say so when it is a judgement")

    @model_validator(mode="after")
    def _judgeable(self) -> Fault:
        condition = self.condition
        wanted = -1 if condition.comparison == "above" else 1
        if (self.target - condition.threshold) * wanted < 0:
            raise ValueError(
                f"target {self.target!r} is itself at fault: {condition.comparison} {condition.threshold!r}"
            )
        if self.judged == "after" and not isinstance(condition.measure, MovementProgress):
            raise ValueError("only progress can be judged after an attempt; judge other measures at_full")
        return self


class Exercise(_Model):
    """An exercise as its author writes it."""

    schema_version: Literal[1] = 1
    name: Name
    title: ShortText
    view: Views = Field(VIEWS, description="views in which the movement can be followed")
    progress: tuple[ProgressSource, ...] = Field(min_length=1)
    repetition: Repetition
    faults: tuple[Fault, ...] = Field(min_length=1)
    praise: ShortText = Field(description="what to say when a fault has been put right")

    @model_validator(mode="after")
    def _names_once(self) -> Exercise:
        names = [fault.name for fault in self.faults]
        if len(set(names)) != len(names):
            raise ValueError(f"faults: every name once; got {names!r}")
        return self


def parse_exercise(data: Any, source: str = "exercise") -> Exercise:
    """Check plain data, such as YAML gives, against the schema.

    Raises InvalidExercise with the file (`source`), the field and the value of the first problem.
    """
    try:
        return Exercise.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole file"
        value = "" if first["type"] == "missing" else f", got {_shortened(first['input'])}"
        more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
        raise InvalidExercise(
            f"{source}: {where}: {first['msg'].removeprefix('Value error, ')}{value}{more}"
        ) from error


def _shortened(value: object, limit: int = 60) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
