"""Exercise motions as data: read and checked here, so that anyone can add one without touching code."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Final, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from plumbline_contract.skeleton import KEYPOINT_NAMES
from plumbline_training.render.errors import InvalidMotion
from plumbline_training.render.motions import HAND_PLACES
from plumbline_training.render.supports import JOINTS, SIDED, SUPPORTS

SEVERITIES: Final = ("mild", "moderate", "severe")
RELATIVE_KEYPOINTS: Final = tuple(f"{place}_{joint}" for place in ("front", "rear") for joint in ("knee", "ankle"))
"""Of a lunge: resolved when it is known which leg is ahead."""

Range = tuple[Annotated[float, Field(ge=0)], float]
Three = tuple[float, float, float]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def _known(values: Mapping[str, object]) -> None:
    for name in values:
        if name.removesuffix(".L").removesuffix(".R") not in {*JOINTS, *SIDED} or ("." in name and name in JOINTS):
            raise ValueError(f"no joint is called {name!r}; `plumbline-render joints` lists them")


class Fault(_Model):
    """Something done wrong, as a change of joints, of depth or of tempo; each amount is mild, moderate, severe."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    keypoints: tuple[str, ...] = Field(min_length=1)
    when: Literal["full", "throughout", "out", "back"] = "full"
    add: dict[str, Three] = Field(default_factory=dict)
    depth: Three | None = None
    one_side_depth: Three | None = None
    tempo: Three | None = None
    joints: tuple[str, ...] | None = Field(default=None, description="what `one_side_depth` holds back; all if absent")
    mirrored: bool = Field(default=False, description="`add` may as well have the other sign")
    one_side: bool = Field(default=False, description="`add` falls on one side")

    @model_validator(mode="after")
    def _one_kind(self) -> Fault:
        kinds = [bool(self.add), self.depth is not None, self.one_side_depth is not None, self.tempo is not None]
        if sum(kinds) != 1:
            raise ValueError(f"fault {self.name!r} needs exactly one of add, depth, one_side_depth and tempo")
        _known(self.add)
        for keypoint in self.keypoints:
            if keypoint not in (*KEYPOINT_NAMES, *RELATIVE_KEYPOINTS):
                raise ValueError(f"fault {self.name!r}: no keypoint is called {keypoint!r}")
        return self


class Style(_Model):
    """One way of doing it."""

    share: float = Field(default=1.0, gt=0)
    hands: str | None = None
    props: Literal["dumbbells", "barbell", "desk"] | None = None
    one_arm: bool = False
    joints: dict[str, float] = Field(default_factory=dict)

    @field_validator("hands")
    @classmethod
    def _known_place(cls, place: str | None) -> str | None:
        if place is not None and place not in HAND_PLACES:
            raise ValueError(f"hands {place!r}: use one of {', '.join(HAND_PLACES)}")
        return place


class Tempo(_Model):
    """Seconds, from and to, of each phase."""

    out: Range
    full: Range
    back: Range
    rest: Range


class Motion(_Model):
    """One exercise: repetitions between `rest` and `full`, or one long hold of `rest`."""

    support: str
    rest: dict[str, float]
    full: dict[str, float] = Field(default_factory=dict)
    tempo: Tempo | None = None
    hold: Range | None = None
    neutral: float = Field(default=0.0, ge=0, description="of a hold, the first seconds that are free of faults")
    balance: bool = False
    spread: dict[str, Annotated[float, Field(ge=0)]] = Field(default_factory=dict)
    full_spread: dict[str, Annotated[float, Field(ge=0)]] = Field(default_factory=dict)
    styles: tuple[Style, ...] = (Style(),)
    props: Literal["dumbbells", "barbell", "desk"] | None = None
    faults: tuple[Fault, ...] = Field(min_length=3)

    @model_validator(mode="after")
    def _complete(self) -> Motion:
        if self.support not in SUPPORTS:
            raise ValueError(f"support {self.support!r}: use one of {', '.join(SUPPORTS)}")
        if (self.tempo is None) == (self.hold is None):
            raise ValueError("give either `tempo` (repetitions) or `hold` (seconds, from and to)")
        if self.tempo is not None and not self.full:
            raise ValueError("repetitions need `full`, the joints of the full position")
        for values in (self.rest, self.full, self.spread, self.full_spread, *(style.joints for style in self.styles)):
            _known(values)
        return self


def read_motions(text: str, source: str) -> dict[str, Motion]:
    """Checks a YAML document of motions. Raises InvalidMotion that names what is wrong."""
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InvalidMotion(f"{source} is no YAML: {' '.join(str(error).split())}") from error
    if not isinstance(document, dict) or not document:
        raise InvalidMotion(f"{source} holds no exercises; it maps each one's name to its motion")
    motions = {}
    for name, value in document.items():
        try:
            motions[str(name)] = Motion.model_validate(value)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise InvalidMotion(f"{source}: {name}{'.' * bool(where)}{where}: {first['msg']}") from error
    return motions


@cache
def known_motions() -> dict[str, Motion]:
    """The exercises that come with the renderer."""
    file = resources.files("plumbline_training.render") / "exercises.yaml"
    return read_motions(file.read_text(encoding="utf-8"), "exercises.yaml")


def load_motions(path: Path | None) -> dict[str, Motion]:
    """The known exercises, and those of a file of the user's over them. Raises InvalidMotion."""
    if path is None:
        return known_motions()
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidMotion(f"--exercises {str(path)!r}: {error}") from error
    return known_motions() | read_motions(text, repr(str(path)))
