"""The coach: pure functions on keypoints and their times, with no camera, clock or network."""

from plumbline_edge.coach.engine import Coach
from plumbline_edge.coach.exercises import load_exercise
from plumbline_edge.coach.state import CoachState, Fault

__all__ = ["Coach", "CoachState", "Fault", "load_exercise"]
