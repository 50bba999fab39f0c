"""What an exercise is: how far through the movement a pose is, which poses are faults, and what to say about them.

An exercise is data (YAML) that this schema checks, so that somebody who knows bodies can add one without touching code.
Lengths are in the person's own torso lengths and angles in degrees, so a definition fits any picture and person.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import Field, StringConstraints, ValidationError, model_validator

from plumbline_contract.errors import InvalidExercise
from plumbline_contract.measure import BodyMeasure, KeypointName, Measure, MovementProgress, SegmentTilt, Strict, Tempo

View = Literal["front", "side", "three_quarter"]
VIEWS: Final[tuple[View, ...]] = ("front", "side", "three_quarter")
Severity = Literal["minor", "moderate", "serious"]
SEVERITIES: Final[tuple[Severity, ...]] = ("minor", "moderate", "serious")
"""From the least to the most severe: the order in which faults wait for their turn to be spoken of."""

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]*(?:_[a-z0-9]+)*$", max_length=48)]
ShortText = Annotated[str, StringConstraints(min_length=1, max_length=48, strip_whitespace=True)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=600, strip_whitespace=True)]
Views = Annotated[tuple[View, ...], Field(min_length=1, description="views in which this can be judged")]


class LearntRest(Strict):
    """The value at rest is learnt from the person while they exercise."""

    learnt_between: tuple[float, float] = Field(description="only values in this range can be a rest; low, high")

    @model_validator(mode="after")
    def _range_of_one_sign(self) -> LearntRest:
        low, high = self.learnt_between
        if not (0 < low < high or low < high < 0):
            raise ValueError(f"learnt_between {self.learnt_between!r} must be two rising numbers of one sign")
        return self


class ProgressSource(Strict):
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


class PhaseNames(Strict):
    """What the four phases of an attempt are called."""

    rest: Name
    out: Name
    full: Name
    back: Name


class Repetition(Strict):
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


class Range(Strict):
    """What a measure must be while the exercise is done; in other views it is not asked."""

    measure: BodyMeasure
    at_least: float | None = None
    at_most: float | None = None
    views: Views = VIEWS

    @model_validator(mode="after")
    def _is_a_range(self) -> Range:
        if self.at_least is None and self.at_most is None:
            raise ValueError("give at_least, at_most or both")
        if self.at_least is not None and self.at_most is not None and self.at_least >= self.at_most:
            raise ValueError(f"at_least {self.at_least!r} must be below at_most {self.at_most!r}")
        return self


class HoldPhases(Strict):
    """What being out of the position and in it are called."""

    away: Name
    held: Name


class Hold(Strict):
    """A position that is held for a time instead of a movement that is repeated."""

    phases: HoldPhases
    begins_after_seconds: float = Field(gt=0, description="time in position after which it is being held")
    ends_after_seconds: float = Field(gt=0, description="time out of position after which it no longer is")
    target_seconds: float | None = Field(None, gt=0, description="how long a good hold lasts; then it is praised")
    calibration_seconds: float = Field(0.0, ge=0, description="time at the start in which this person's own is learnt")
    break_after_seconds: float | None = Field(None, gt=0, description="how long until a break is due")
    break_cue: ShortText = "Time for a break"


class Condition(Strict):
    """A measure beyond a threshold; it ends only once the measure is back by `hysteresis`."""

    measure: Measure
    comparison: Literal["above", "below"]
    threshold: float
    hysteresis: float = Field(ge=0)
    relative: bool = Field(False, description="compare the difference from this person's own value at rest")

    @property
    def either_way(self) -> bool:
        """Whether only the size of the difference from rest counts: forwards and backwards look alike in a mirror."""
        return isinstance(self.measure, SegmentTilt) and self.measure.signed

    @model_validator(mode="after")
    def _signed_is_relative(self) -> Condition:
        if self.either_way and not self.relative:
            raise ValueError("a signed segment_tilt needs relative: true, since the picture may be mirrored")
        return self


class Fault(Strict):
    """Something done wrong, how to see it and what to say."""

    name: Name
    keypoints: tuple[KeypointName, ...] = Field(min_length=1, description="the keypoints that show it")
    condition: Condition
    judged: Literal["throughout", "moving", "at_full", "after"] = Field(
        description="in every frame; during an attempt; in its full position; or once an attempt is over"
    )
    views: Views = VIEWS
    persists_seconds: float = Field(0.0, ge=0, description="how long the condition must last before it is a fault")
    spoken_after_seconds: float = Field(
        0.0, ge=0, description="how long the fault must last before it is spoken of; it is shown at once"
    )
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
        of_attempt = isinstance(condition.measure, MovementProgress | Tempo)
        if (self.judged == "after") != of_attempt:
            raise ValueError(
                "only progress and tempo can be judged after an attempt, and nowhere else; judge other measures at_full"
            )
        if of_attempt and condition.relative:
            raise ValueError("progress and tempo have no value at rest to be relative to")
        return self


class Exercise(Strict):
    """An exercise as its author writes it."""

    schema_version: Literal[1] = 1
    name: Name
    title: ShortText
    view: Views = Field(VIEWS, description="views in which the movement can be followed")
    turn_cue: ShortText = Field("Turn a little", description="what to say to somebody seen from another side")
    position: tuple[Range, ...] = Field((), description="what must hold while the exercise is being done at all")
    progress: tuple[ProgressSource, ...] = Field((), description="what tells how far a repetition has gone")
    repetition: Repetition | None = None
    hold: Hold | None = None
    planted: tuple[KeypointName, ...] = Field((), description="keypoints that stay where they are in the correct pose")
    faults: tuple[Fault, ...] = Field(min_length=1)
    praise: ShortText = Field(description="what to say when a fault has been put right")

    @model_validator(mode="after")
    def _repeated_or_held(self) -> Exercise:
        if (self.repetition is None) == (self.hold is None):
            raise ValueError("give either repetition, for a movement, or hold, for a position")
        if (self.repetition is None) == bool(self.progress):
            raise ValueError("progress and repetition belong together: give both, or hold alone")
        if self.hold is not None and not self.position:
            raise ValueError("a hold needs a position that says when it is held")
        if self.hold is not None and any(fault.judged == "after" for fault in self.faults):
            raise ValueError("a hold has no attempts: its faults can't be judged after one")
        return self

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
