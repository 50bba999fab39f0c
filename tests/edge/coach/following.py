"""Lets the coach watch a clip."""

from __future__ import annotations

from tests.edge.coach.squatter import Clip

from plumbline_edge.coach import Coach, CoachState, load_exercise


def follow(clip: Clip, coach: Coach | None = None) -> list[CoachState]:
    """The coach's state after each frame."""
    coach = coach or Coach(load_exercise("squat"))
    frames = zip(clip.times_seconds_T.tolist(), clip.keypoints_TK3, strict=True)
    return [coach.update(time_seconds, keypoints_K3) for time_seconds, keypoints_K3 in frames]


def cues(states: list[CoachState]) -> list[str | None]:
    """What was said, in order."""
    return [state.cue for state in states if state.cue_is_new]
