"""Data that changed stop a training run; data that did not pass."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from infra.dataset_lock import check, lock_of, lock_path, require

from plumbline_training import pack

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


def test_pictures_in_shards_count_as_in_a_folder(locked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["pack", "--data", str(locked), "--out", str(tmp_path / "kit")])
    pack.main()
    packed = tmp_path / "kit/data.yaml"
    lock = lock_of(packed, packed.parent)
    loose = lock_of(locked, locked.parent)
    assert lock["made"]["names_and_sizes_sha256"] == loose["made"]["names_and_sizes_sha256"]
    lock_path(packed).write_text(json.dumps(lock))
    require(packed, packed.parent)

    labels = packed.parent / "made.json"
    content = json.loads(labels.read_text())
    labels.write_text(json.dumps({**content, "images": [*content["images"], {"id": 99, "file_name": "gone.jpg"}]}))
    with pytest.raises(SystemExit, match=r"gone\.jpg is missing"):
        require(packed, packed.parent)
    (packed.parent / "made/made-001.tar").write_bytes(b"cut short")
    with pytest.raises(SystemExit, match=r"error: made: .*no uncompressed tar"):
        require(packed, packed.parent)


def test_two_data_sets_of_one_id_are_not_locked_as_one(locked: Path) -> None:
    content = yaml.safe_load(locked.read_text())
    content["validation"] = {**content["train"][0], "annotations": "other.json"}
    locked.write_text(yaml.safe_dump(content))
    with pytest.raises(SystemExit, match="two data sets have the id 'made'"):
        lock_of(locked, locked.parent)
    content["validation"] = {**content["train"][0], "repeat": 2}
    locked.write_text(yaml.safe_dump(content))
    assert set(lock_of(locked, locked.parent)) == {"made"}


def test_a_bad_list_or_annotation_file_is_one_line(locked: Path, tmp_path: Path) -> None:
    assert check(tmp_path / "typo.yaml", tmp_path) == [f"{tmp_path / 'typo.yaml'} is no file; name a dataset list"]
    labels = locked.parent / "person_keypoints.json"
    labels.write_text(labels.read_text()[:100])
    with pytest.raises(SystemExit, match="is no COCO keypoint file"):
        lock_of(locked, locked.parent)
    locked.write_text("train: []")
    with pytest.raises(SystemExit, match="is no dataset list"):
        lock_of(locked, locked.parent)
