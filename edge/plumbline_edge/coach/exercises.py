"""Finds and reads exercise definitions: those that come with the coach, and a user's own files."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from plumbline_contract.errors import InvalidExercise
from plumbline_contract.exercise import Exercise, parse_exercise

MAX_BYTES = 1_000_000


def exercises_folder() -> Path:
    """Where the definitions that come with the coach lie."""
    return Path(__file__).parent / "exercises"


def exercise_names() -> tuple[str, ...]:
    """The names of the exercises that come with the coach."""
    return tuple(sorted(path.stem for path in exercises_folder().glob("*.yaml")))


def load_exercise(name_or_path: str | Path) -> Exercise:
    """An exercise by its name ('squat') or from a YAML file.

    Raises InvalidExercise that names the file, the field and the value at fault.
    """
    text = str(name_or_path)
    if re.fullmatch(r"[a-z0-9_]+", text):
        if text not in exercise_names():
            known = ", ".join(exercise_names())
            raise InvalidExercise(f"no exercise is called {text!r}; there are {known}; or give the path of a YAML file")
        return _read(exercises_folder() / f"{text}.yaml")
    return _read(Path(text))


def _read(path: Path) -> Exercise:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InvalidExercise(f"{path}: larger than {MAX_BYTES} bytes, so no exercise definition")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InvalidExercise(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InvalidExercise(f"{path}: is no UTF-8 text") from error
    try:
        data = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InvalidExercise(f"{path}: is no YAML: {' '.join(str(error).split())}") from error
    return parse_exercise(data, str(path))
