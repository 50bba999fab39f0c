"""What the page's buttons ask for."""

from __future__ import annotations

from typing import Annotated

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field

from plumbline_contract.exercise import View
from plumbline_edge.web.live import state_of
from plumbline_edge.web.parts import Parts
from plumbline_edge.web.problems import answers, changes
from plumbline_edge.web.state import ServiceState

LONGEST_SNOOZE_SECONDS = 86400


class Asked(BaseModel):
    """A body in which nothing unknown may stand."""

    model_config = ConfigDict(extra="forbid")


class ExerciseChoice(Asked):
    """Which exercise to coach."""

    name: Annotated[str, Field(max_length=48)]


class Silence(Asked):
    """For how long to give no cue; 0 ends it."""

    seconds: Annotated[float, Field(ge=0, le=LONGEST_SNOOZE_SECONDS)]


class PrivacyChoice(Asked):
    """Whether viewers see the skeleton alone."""

    hide_pixels: bool


class ExerciseEntry(BaseModel):
    """An exercise that can be chosen."""

    name: str
    title: str
    holds: bool
    views: list[View]
    faults: dict[str, str]
    """The cue of each."""


class SetNumber(BaseModel):
    """A set's number."""

    id: int


def add_controls(app: FastAPI, parts: Parts) -> None:
    """Serve everything that changes what the service does."""
    controls = parts.controls

    @app.get("/api/exercises", responses=answers(), tags=["controls"])
    def exercises() -> list[ExerciseEntry]:
        """The exercises that can be chosen."""
        return [
            ExerciseEntry(
                name=exercise.name,
                title=exercise.title,
                holds=exercise.hold is not None,
                views=list(exercise.view),
                faults={fault.name: fault.cue for fault in exercise.faults},
            )
            for exercise in controls.exercises()
        ]

    @app.put("/api/exercise", responses=changes(404, 409, 422), tags=["controls"])
    def choose(choice: ExerciseChoice) -> ServiceState:
        """Coach another exercise, counting from nought; not during a set."""
        controls.choose(choice.name)
        return state_of(parts)

    @app.post("/api/set/start", status_code=201, responses=changes(409, 503), tags=["controls"])
    def start() -> SetNumber:
        """Begin a set, counting from nought. It is kept on this device: keypoints and counts, no pictures."""
        return SetNumber(id=controls.begin_set())

    @app.post("/api/set/stop", responses=changes(409, 503), tags=["controls"])
    def stop() -> SetNumber:
        """End the set under way."""
        return SetNumber(id=controls.recorder.end())

    @app.post("/api/calibrate", responses=changes(), tags=["controls"])
    def calibrate() -> ServiceState:
        """Learn anew what is neutral for the person, who stands or sits as they should; the counts stay."""
        controls.calibrate()
        return state_of(parts)

    @app.post("/api/snooze", responses=changes(422), tags=["controls"])
    def snooze(silence: Silence) -> ServiceState:
        """Give no cue for a while; what is wrong is still counted and shown."""
        controls.snooze(silence.seconds)
        return state_of(parts)

    @app.put("/api/privacy", responses=changes(409, 422, 503), tags=["controls"])
    def privacy(choice: PrivacyChoice) -> ServiceState:
        """Send every viewer the skeleton alone, or the camera's picture too; outlives a restart."""
        controls.privacy.hide(choice.hide_pixels)
        return state_of(parts)
