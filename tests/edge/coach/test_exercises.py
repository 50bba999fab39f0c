"""Exercise files: the ones that come with the coach, and the mistakes authors make."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from plumbline_contract.errors import InvalidExercise
from plumbline_edge.coach.exercises import exercise_names, exercises_folder, load_exercise


def squat_data() -> Any:
    return yaml.safe_load((exercises_folder() / "squat.yaml").read_text(encoding="utf-8"))


def written(folder: Path, data: Any) -> Path:
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump(data), encoding="utf-8")
    return path


@pytest.mark.parametrize("name", exercise_names())
def test_every_exercise_is_valid_and_named_like_its_file(name: str) -> None:
    exercise = load_exercise(name)
    assert exercise.name == name
    assert all(fault.source and fault.good for fault in exercise.faults)


def test_squat_has_its_faults() -> None:
    names = [fault.name for fault in load_exercise("squat").faults]
    assert names == ["too_shallow", "leaning_too_far", "knees_caving_in", "too_fast"]


def test_a_file_of_ones_own_is_the_same_as_the_one_by_name(tmp_path: Path) -> None:
    assert load_exercise(written(tmp_path, squat_data())) == load_exercise("squat")


def _wrong(data: Any, path: tuple[str | int, ...], value: object) -> Any:
    inner = data
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return data


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("name",), "Squat!", r"name: .*'Squat!'"),
        (("faults",), [], r"faults: "),
        (("faults", 1, "severity"), "terrible", r"faults\.1\.severity: .*'terrible'"),
        (("faults", 1, "views"), ["back"], r"faults\.1\.views\.0: .*'back'"),
        (("faults", 0, "keypoints"), ["left_toe"], r"faults\.0\.keypoints\.0: .*'left_toe'"),
        (("faults", 1, "condition", "measure", "base"), "hipp", r"faults\.1\.condition\.measure.*base: .*'hipp'"),
        (("faults", 1, "condition", "measure", "kind"), "smell", r"faults\.1\.condition\.measure: .*smell"),
        (("faults", 1, "condition", "threshold"), "a lot", r"faults\.1\.condition\.threshold: .*'a lot'"),
        (("faults", 1, "condition", "threshold"), float("nan"), r"faults\.1\.condition\.threshold: .*nan"),
        (("faults", 1, "target"), 80, r"faults\.1: target 80\.0 is itself at fault"),
        (("faults", 1, "judged"), "after", r"faults\.1: only progress and tempo can be judged after"),
        (("faults", 1, "name"), "too_shallow", r"every name once"),
        (("faults", 1, "cue"), "x" * 80, r"faults\.1\.cue: "),
        (("progress", 0, "full"), 1.0, r"progress\.0: rest and full are both 1\.0"),
        (("progress", 0, "rest"), {"learnt_between": [2, 1]}, r"progress\.0\.rest.*learnt_between"),
        (("repetition", "ends_below"), 0.5, r"repetition: ends_below 0\.5"),
        (("repetition", "max_seconds"), 0.1, r"repetition: min_seconds"),
        (("colour",), "red", r"colour: .*'red'"),
    ],
)
def test_a_mistake_is_named_with_its_file_field_and_value(
    tmp_path: Path, path: tuple[str | int, ...], value: object, message: str
) -> None:
    file = written(tmp_path, _wrong(squat_data(), path, value))
    with pytest.raises(InvalidExercise, match=message) as caught:
        load_exercise(file)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(InvalidExercise, match=r"'squatt'; there are .*squat"):
        load_exercise("squatt")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff\xfe\x00", "no UTF-8"),
        (b"a: [1", "no YAML"),
        (b"!!python/object/apply:os.getcwd []", "no YAML"),
        (b"", "valid dictionary"),
        (b"[" * 5000, "no YAML"),
        (b"#" * 2_000_000, "larger than"),
    ],
)
def test_what_is_no_exercise_at_all_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes(content)
    with pytest.raises(InvalidExercise, match=message):
        load_exercise(path)


def test_a_missing_file_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(InvalidExercise, match=r"gone\.yaml: cannot be read: No such file"):
        load_exercise(tmp_path / "gone.yaml")
