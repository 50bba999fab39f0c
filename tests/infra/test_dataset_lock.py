"""Data that changed stop a training run; data that did not pass."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from infra.dataset_lock import check, lock_of, lock_path

MakeDataset = Callable[[Path, int], Path]


@pytest.fixture
def locked(make_dataset: MakeDataset, tmp_path: Path) -> Path:
    """A list of stick figures with its lock."""
    dataset_list = make_dataset(tmp_path / "data", 6)
    lock_path(dataset_list).write_text(json.dumps(lock_of(dataset_list, dataset_list.parent)))
    return dataset_list


def test_unchanged_data_pass(locked: Path) -> None:
    assert check(locked, locked.parent) == []


def test_a_label_that_moved_is_named_by_its_data_set(locked: Path) -> None:
    labels = locked.parent / "person_keypoints.json"
    content = json.loads(labels.read_text())
    content["annotations"][0]["keypoints"][0] += 1
    labels.write_text(json.dumps(content))
    differing = check(locked, locked.parent)
    assert differing
    assert all(": " in line and "is locked, found" in line for line in differing)


def test_a_picture_that_was_exchanged_or_lost_is_noticed(locked: Path) -> None:
    picture = next((locked.parent / "images").glob("*.jpg"))
    picture.write_bytes(picture.read_bytes() + b"\0")
    assert check(locked, locked.parent)
    picture.unlink()
    with pytest.raises(SystemExit, match="is missing; fetch the data again"):
        check(locked, locked.parent)


def test_without_a_lock_nothing_runs(locked: Path) -> None:
    lock_path(locked).unlink()
    assert "has no lock" in check(locked, locked.parent)[0]
