"""What a person may change while the service runs; the page's buttons end here."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Final

from plumbline_contract.exercise import Exercise
from plumbline_edge.coach.exercises import exercise_names, load_exercise
from plumbline_edge.diary.recorder import SetRecorder
from plumbline_edge.errors import PixelsStayHidden, SetUnderWay, StateUnwritable, UnknownExercise
from plumbline_edge.frame import DEFAULT_SIZE
from plumbline_edge.pipeline import LivePipeline
from plumbline_edge.running import RunningBundle
from plumbline_edge.view import LiveView

HIDING_FILE: Final = "hide-pixels"


class Privacy:
    """Whether the camera's pixels are hidden; a choice that outlives a restart."""

    def __init__(self, view: LiveView, state: Path, *, always: bool) -> None:
        """`always`: they are, and nobody can change it. Raises StateUnwritable."""
        self.always = always
        self._view = view
        self._file = state / HIDING_FILE
        try:
            view.hide_pixels(always or self._file.exists())
        except OSError as error:
            raise StateUnwritable(
                f"{str(self._file)!r}: {error.strerror}; run as its owner, or give --state"
            ) from error

    @property
    def hidden(self) -> bool:
        """Whether they are hidden now."""
        return self._view.pixels_hidden

    def hide(self, hidden: bool) -> None:
        """Hide them or show them again. Raises PixelsStayHidden, StateUnwritable."""
        if self.always and not hidden:
            raise PixelsStayHidden("hide_pixels is set for this device; change the setting to see pictures")
        self._view.hide_pixels(hidden)
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._file.touch() if hidden else self._file.unlink(missing_ok=True)
        except OSError as error:
            raise StateUnwritable(
                f"{str(self._file)!r}: {error.strerror}; it holds until the next start only"
            ) from error


class Controls:
    """Exercise, sets, calibration, silence and privacy of one running service."""

    def __init__(self, pipeline: LivePipeline, running: RunningBundle, recorder: SetRecorder, privacy: Privacy) -> None:
        self.recorder = recorder
        self.privacy = privacy
        self._session = pipeline.session
        self._pipeline = pipeline
        self._running = running
        self._choosing = threading.Lock()
        """Held while the exercise changes or a set of it begins."""
        self.configured = pipeline.session.definition
        """The exercise that the service was started with."""

    def exercises(self) -> list[Exercise]:
        """What can be chosen: the coach's own exercises, and the one that the service was started with."""
        own = [load_exercise(name) for name in exercise_names() if name != self.configured.name]
        return sorted([*own, self.configured], key=lambda exercise: exercise.title)

    def choose(self, name: str) -> None:
        """Coach this exercise from now on. Raises UnknownExercise, SetUnderWay."""
        if name != self.configured.name and name not in exercise_names():
            raise UnknownExercise(f"no exercise is called {name!r}; /api/exercises lists those there are")
        exercise = self.configured if name == self.configured.name else load_exercise(name)
        with self._choosing:
            if (opened := self.recorder.open_set) is not None:
                raise SetUnderWay(f"a set of {opened.exercise!r} is under way; end it first")
            self._session.choose(exercise)

    def begin_set(self) -> int:
        """Begin a set, counting from nought; its number. Raises SetUnderWay, DiaryUnusable."""
        _, frame = self._pipeline.newest_frame.read()
        height, width = DEFAULT_SIZE[::-1] if frame is None else frame.image_bgr_HW3.shape[:2]
        manifest = self._running.bundle.manifest
        with self._choosing:
            exercise = self._session.definition
            # A new coach first: with frames that are not its own, what is kept could not be seen again the same way.
            return self.recorder.begin(
                exercise.name, f"{manifest.name} {manifest.version}", (int(height), int(width)),
                lambda: self._session.choose(exercise),
            )  # fmt: skip

    def calibrate(self) -> None:
        """Learn anew what is neutral for the person, and speak again; the counts stay."""
        self._session.recalibrate()

    def snooze(self, seconds: float) -> None:
        """Give no cue for this long; 0 ends it."""
        self._session.snooze(seconds)

    @property
    def quiet_seconds(self) -> float:
        """How long no cue will be given."""
        return self._session.quiet_seconds
