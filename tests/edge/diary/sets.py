"""Sets for tests: results as the inference thread gives them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from plumbline_contract.box import Box
from plumbline_edge.coach.engine import Coach
from plumbline_edge.coach.exercises import load_exercise
from plumbline_edge.diary.recorder import SetRecorder
from plumbline_edge.estimator import Pose
from plumbline_edge.frame import Frame
from plumbline_edge.session import Result

RATE = 25.0
SIZE = (360, 480)


@dataclass
class Exerciser:
    """Somebody who is coached and written down, frame after frame."""

    recorder: SetRecorder
    coach: Coach
    frames: int = 0

    @classmethod
    def of(cls, recorder: SetRecorder, exercise: str = "squat") -> Exerciser:
        return cls(recorder, Coach(load_exercise(exercise)))

    def begin(self) -> int:
        return self.recorder.begin(self.coach.exercise.name, "dots 1", SIZE, self.start_again)

    def start_again(self) -> None:
        self.coach = Coach(self.coach.exercise)

    def do(self, keypoints_TK3: Sequence[npt.NDArray[np.float32]], seen: bool = True) -> None:
        """Every frame through the coach and the recorder."""
        for keypoints_K3 in keypoints_TK3:
            seconds = self.frames / RATE
            frame = Frame(np.zeros((*SIZE, 3), np.uint8), seconds, self.frames, seconds)
            pose = Pose(keypoints_K3, seen, Box(0, 0, 1, 1), np.zeros((17, 2)))
            state = self.coach.update(seconds, keypoints_K3)
            self.recorder.note(Result(frame, pose, state, False, self.coach.exercise))
            self.frames += 1
