"""Pictures in tar shards are read as those in a folder are, and what is wrong with a shard is said."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from plumbline_training import engine, recipes
from plumbline_training.crops import read_image
from plumbline_training.datasets import load_dataset, load_dataset_list
from plumbline_training.errors import InvalidDataset
from plumbline_training.records import METRICS_FILE
from plumbline_training.shards import SUFFIX, members, read_bytes

MakeDataset = Callable[[Path, int], Path]


def pack(data: Path, out: Path, *more: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "plumbline_training.pack", "--data", data, "--out", out, *more]
    return subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)


def packed(data: Path, out: Path, *more: object) -> Path:
    done = pack(data, out, *more)
    assert done.returncode == 0, done.stderr
    return out / "data.yaml"


def losses(out: Path) -> list[tuple[float, float]]:
    lines = [json.loads(line) for line in (out / METRICS_FILE).read_text().splitlines()]
    return [(line["loss"], line["ap"]) for line in lines]


def test_a_run_on_shards_is_the_run_on_the_folder(make_dataset: MakeDataset, tmp_path: Path) -> None:
    folder = make_dataset(tmp_path / "data", 12)
    shards = packed(folder, tmp_path / "kit")
    for path, out in ((folder, tmp_path / "one"), (shards, tmp_path / "two")):
        listed = load_dataset_list(path)
        engine.train(recipes.tiny(), [load_dataset(listed.train[0])], load_dataset(listed.validation), out, quiet=True)
    assert losses(tmp_path / "one") == losses(tmp_path / "two")


def test_shards_stay_below_their_size_and_hold_every_picture(make_dataset: MakeDataset, tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "data", 3)
    generator = np.random.default_rng(0)
    for number in range(1, 4):
        noise = generator.integers(0, 255, 700_000, dtype=np.uint8).tobytes()
        picture = tmp_path / "data" / "images" / f"{number:04d}.jpg"
        picture.write_bytes(
            picture.read_bytes()[:-2] + b"\xff\xfe\xff\xff" + noise[:65533] + b"\xff\xd9" + noise[:1000]
        )
    for name in ("first", "again"):
        packed(data, tmp_path / name, "--max-mb", 1)
    files = sorted((tmp_path / "first" / "made").glob(f"*{SUFFIX}"))
    assert all(path.stat().st_size <= 1_000_000 for path in files)
    assert sorted(name for path in files for name in members(path)) == ["0001.jpg", "0002.jpg", "0003.jpg"]
    assert [path.read_bytes() for path in files] == [
        path.read_bytes() for path in sorted((tmp_path / "again" / "made").glob(f"*{SUFFIX}"))
    ]
    original = (tmp_path / "data" / "images" / "0002.jpg").read_bytes()
    assert read_bytes(next(path for path in files if "0002.jpg" in members(path)) / "0002.jpg") == original


def test_smaller_pictures_carry_their_labels_along(make_dataset: MakeDataset, tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "data", 2)
    before = load_dataset(load_dataset_list(data).train[0])
    after = load_dataset(load_dataset_list(packed(data, tmp_path / "kit", "--max-side", 48)).train[0])
    picture = read_image(after.persons[1])
    assert picture is not None
    assert picture.shape == (48, 48, 3)
    whole_K2, half_K2 = (dataset.persons[1].keypoints_K3[:, :2] for dataset in (before, after))
    assert half_K2 == pytest.approx((whole_K2 + 0.5) / 2 - 0.5, abs=1e-2)
    assert after.persons[1].area == pytest.approx(before.persons[1].area / 4)


def test_a_second_pack_takes_the_place_of_the_first(make_dataset: MakeDataset, tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "data", 2)
    packed(data, tmp_path / "kit")
    # Shards of the first pack that the second has no use for, as one of larger pictures has.
    whole = tmp_path / "kit" / "made" / "made-000.tar"
    whole.with_name("made-001.tar").write_bytes(whole.read_bytes())
    again = load_dataset(load_dataset_list(packed(data, tmp_path / "kit", "--max-side", 48)).train[0])
    pictures = [read_image(person) for person in again.persons]
    assert [picture is not None and picture.shape for picture in pictures] == [(48, 48, 3), (48, 48, 3)]


def test_a_pack_that_fails_leaves_no_list_to_train_on(make_dataset: MakeDataset, tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "data", 2)
    packed(data, tmp_path / "kit")
    (tmp_path / "data" / "images" / "0002.jpg").write_bytes(b"no picture")
    assert pack(data, tmp_path / "kit").returncode == 2
    assert not (tmp_path / "kit" / "data.yaml").exists()


def test_a_pack_is_not_made_in_place_of_its_source(make_dataset: MakeDataset, tmp_path: Path) -> None:
    path = packed(make_dataset(tmp_path / "data", 2), tmp_path / "kit")
    done = pack(path, tmp_path / "kit", "--max-side", 48)
    assert (done.returncode, "name another folder" in done.stderr) == (2, True)
    assert len(load_dataset(load_dataset_list(path).train[0]).persons) == 2


def test_what_is_no_person_goes_with_its_picture(make_dataset: MakeDataset, tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "data", 2)
    annotations = data.parent / "person_keypoints.json"
    content = json.loads(annotations.read_bytes())
    content["categories"] = [{**content["categories"][0], "id": 1}, {"id": 2, "name": "cat"}]
    content["images"].append({**content["images"][0], "id": 3, "file_name": "cat.jpg"})
    chair, cat = ({"id": 90 + n, "image_id": n, "category_id": 2, "bbox": [1, 2, 3, 4]} for n in (1, 3))
    annotations.write_text(json.dumps({**content, "annotations": [*content["annotations"], chair, cat]}))
    kept = json.loads((packed(data, tmp_path / "kit").parent / "made.json").read_bytes())
    assert [image["id"] for image in kept["images"]] == [1, 2]
    assert [item["image_id"] for item in kept["annotations"]] == [1, 2, 1]


def test_bad_shards_are_refused(make_dataset: MakeDataset, tmp_path: Path) -> None:
    path = packed(make_dataset(tmp_path / "data", 4), tmp_path / "kit")
    shard = tmp_path / "kit" / "made" / "made-000.tar"
    whole = shard.read_bytes()
    for content, message in (
        (whole[:5000], "ends early|no uncompressed tar"),
        (b"nothing of the sort" * 100, "no uncompressed tar"),
    ):
        shard.write_bytes(content)
        members.cache_clear()
        with pytest.raises(InvalidDataset, match=message):
            load_dataset(load_dataset_list(path).train[0])
    shard.write_bytes(whole)
    members.cache_clear()
    with pytest.raises(OSError, match="Not a directory"):
        read_bytes(shard / "other.jpg")


def test_an_archive_without_a_named_picture_is_refused(make_dataset: MakeDataset, tmp_path: Path) -> None:
    path = packed(make_dataset(tmp_path / "data", 2), tmp_path / "kit")
    with tarfile.open(tmp_path / "kit" / "made" / "made-000.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo("else.jpg"), io.BytesIO())
    members.cache_clear()
    with pytest.raises(InvalidDataset, match="missing picture"):
        load_dataset(load_dataset_list(path).train[0])


def test_a_tar_of_a_folder_names_its_pictures_with_a_dot(make_dataset: MakeDataset, tmp_path: Path) -> None:
    path = make_dataset(tmp_path / "data", 3)
    images = tmp_path / "data" / "images"
    subprocess.run(["tar", "-C", str(images), "-cf", str(tmp_path / "pictures.tar"), "."], check=True)
    entry = load_dataset_list(path).train[0].model_copy(update={"images": tmp_path / "pictures.tar"})
    pictures = sorted({person.image for person in load_dataset(entry).persons})
    assert [read_bytes(picture) for picture in pictures] == [
        (images / picture.name).read_bytes() for picture in pictures
    ]


def test_two_datasets_of_one_id_are_not_packed_over_each_other(make_dataset: MakeDataset, tmp_path: Path) -> None:
    make_dataset(tmp_path / "data", 3)
    make_dataset(tmp_path / "other", 3)
    path = tmp_path / "list.yaml"
    entries = [
        f"{{id: gym, annotations: {name}/person_keypoints.json, images: {name}/images" for name in ("data", "other")
    ]
    path.write_text(f"train: [{entries[0]}}}]\nvalidation: {entries[1]}}}\n")
    done = pack(path, tmp_path / "kit")
    assert done.returncode == 2
    assert "two datasets of the list have the id 'gym'" in done.stderr
    path.write_text(f"train: [{entries[0]}, repeat: 3}}]\nvalidation: {entries[0]}}}\n")
    assert pack(path, tmp_path / "kit").returncode == 0


def test_pictures_of_no_size_are_not_packed(make_dataset: MakeDataset, tmp_path: Path) -> None:
    done = pack(make_dataset(tmp_path / "data", 3), tmp_path / "kit", "--max-side", 0)
    assert (done.returncode, "--max-side 0: a picture has at least 1 pixel" in done.stderr) == (2, True)
