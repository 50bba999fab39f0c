"""A set is of the exercise that is coached in it, whoever chooses another at the same moment."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from plumbline_contract.exercise import Exercise
from plumbline_edge.coach.exercises import load_exercise
from plumbline_edge.controls import Controls, Privacy
from plumbline_edge.diary.diary import Diary
from plumbline_edge.diary.recorder import OpenSet, SetRecorder
from plumbline_edge.errors import StateUnwritable


class Coached:
    """What Controls needs of a session."""

    def __init__(self) -> None:
        self.definition = load_exercise("squat")

    def choose(self, exercise: Exercise) -> None:
        self.definition = exercise


class Overtaken(SetRecorder):
    """While it is asked whether a set is under way, somebody else begins one."""

    def __init__(self, diary: Diary) -> None:
        super().__init__(diary, 365, 30)
        self.beginning = threading.Thread(target=lambda: self.controls.begin_set())
        self.controls: Controls

    @property
    def open_set(self) -> OpenSet | None:
        found = super().open_set
        if not self.beginning.is_alive() and self.beginning.ident is None:
            self.beginning.start()
            self.beginning.join(0.5)
        return found


def test_a_set_that_begins_while_an_exercise_is_chosen_is_of_that_one(tmp_path: Path) -> None:
    session, recorder = Coached(), Overtaken(Diary(tmp_path / "diary.sqlite3"))
    pipeline: Any = SimpleNamespace(session=session, newest_frame=SimpleNamespace(read=lambda: (0, None)))
    running: Any = SimpleNamespace(bundle=SimpleNamespace(manifest=SimpleNamespace(name="dots", version="1")))
    privacy: Any = None
    recorder.controls = Controls(pipeline, running, recorder, privacy)
    recorder.controls.choose("lunge")
    recorder.beginning.join(10)
    opened = recorder.open_set
    assert opened is not None
    assert opened.exercise == session.definition.name == "lunge"


def test_a_state_folder_of_another_user_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "exists", closed)
    view: Any = SimpleNamespace(hide_pixels=None)
    with pytest.raises(StateUnwritable, match="Permission denied; run as its owner, or give --state"):
        Privacy(view, tmp_path, always=False)
