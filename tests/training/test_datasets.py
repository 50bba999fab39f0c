"""Dataset lists and annotation files: what is wrong with them is said in one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from plumbline_training import engine, recipes
from plumbline_training.crops import ImageStore
from plumbline_training.datasets import load_dataset, load_dataset_list
from plumbline_training.errors import InvalidDataset, InvalidSettings

MakeDataset = Callable[[Path, int], Path]
Change = Callable[[dict[str, Any]], Any]


def test_a_dataset_is_read_with_its_digest_and_terms(make_dataset: MakeDataset, tmp_path: Path) -> None:
    dataset = load_dataset(load_dataset_list(make_dataset(tmp_path / "data", 5)).train[0])
    assert (len(dataset.persons), dataset.images) == (5, 5)
    assert dataset.lineage().terms == "made by the tests"
    assert len(dataset.sha256) == 64


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content["annotations"].clear(), "labels no person"),
        (lambda content: content["annotations"][0].pop("keypoints"), "0 keypoint numbers, 51 are needed"),
        (lambda content: content["annotations"][0]["keypoints"].pop(), "50 keypoint numbers, 51 are needed"),
        (lambda content: content["annotations"][0].update(image_id=99), "names image 99"),
        (lambda content: content["images"][0].update(file_name="gone.jpg"), "missing picture"),
        (lambda content: content["categories"][0].update(keypoints=["nose"]), "not COCO's 17"),
        (lambda content: content.pop("images"), "no COCO keypoint file"),
        (lambda content: content["annotations"][0]["keypoints"].__setitem__(0, float("nan")), "not a finite number"),
        (lambda content: content["annotations"][0]["keypoints"].__setitem__(0, None), "annotation 1: keypoints holds"),
        (lambda content: content["annotations"][0]["keypoints"].__setitem__(0, "3"), "annotation 1: keypoints holds"),
        (lambda content: content["annotations"][1].pop("bbox"), "annotation 2: has 0 bbox numbers, 4 are needed"),
        (lambda content: content["annotations"][1].update(bbox=None), "0 bbox numbers"),
        (lambda content: content["annotations"][1].update(bbox=[1, 2, 3]), "3 bbox numbers"),
        (lambda content: content["annotations"][1].update(bbox=[1, 2, [3], 4]), "annotation 2: bbox holds"),
        (lambda content: content["annotations"][1].update(area="big"), "annotation 2: area is 'big'"),
        (lambda content: content["annotations"][0].pop("image_id"), "annotation 1: image_id is None"),
        (lambda content: content["annotations"][2].pop("id"), "annotation 2: id is None"),
        (lambda content: content["annotations"].insert(0, 7), r"annotations\[0\] is 7, an object is needed"),
        (lambda content: content.update(annotations=None), "'annotations' is missing or no list"),
        (lambda content: content["images"][0].update(file_name=5), r"images\[0\] has id 1 and file_name 5"),
        (lambda content: content["images"][0].pop("id"), r"images\[0\] has id None"),
        (lambda content: content.update(categories=["person"]), r"categories\[0\] is 'person'"),
    ],
)
def test_a_bad_annotation_file_is_refused(
    make_dataset: MakeDataset, tmp_path: Path, change: Change, message: str
) -> None:
    path = make_dataset(tmp_path / "data", 3)
    file = path.parent / "person_keypoints.json"
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))
    with pytest.raises(InvalidDataset, match=message):
        load_dataset(load_dataset_list(path).train[0])


@pytest.mark.parametrize("text", ["", "train: 3", "train: []\nvalidation: {}", "train: [", "other: 1"])
def test_a_bad_list_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "data.yaml"
    path.write_text(text)
    with pytest.raises(InvalidDataset, match="no dataset list"):
        load_dataset_list(path)


def test_a_list_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "data.yaml"
    path.write_bytes(b"\xff\xfe\x00train")
    with pytest.raises(InvalidDataset, match="no dataset list"):
        load_dataset_list(path)


def test_other_categories_are_left_out(make_dataset: MakeDataset, tmp_path: Path) -> None:
    path = make_dataset(tmp_path / "data", 3)
    file = path.parent / "person_keypoints.json"
    content = json.loads(file.read_text())
    content["categories"].insert(0, {"id": 18, "name": "dog"})
    content["annotations"].append({"id": 4, "image_id": 1, "category_id": 18, "bbox": [1, 2, 30, 40]})
    file.write_text(json.dumps(content))
    dataset = load_dataset(load_dataset_list(path).train[0])
    assert len(dataset.annotations) == len(dataset.persons) == 3


def test_a_truncated_annotation_file_is_refused(make_dataset: MakeDataset, tmp_path: Path) -> None:
    path = make_dataset(tmp_path / "data", 3)
    file = path.parent / "person_keypoints.json"
    file.write_text(file.read_text()[:200])
    with pytest.raises(InvalidDataset, match="is the file complete"):
        load_dataset(load_dataset_list(path).train[0])


def test_too_many_broken_pictures_stop_and_few_are_left_out(make_dataset: MakeDataset, tmp_path: Path) -> None:
    path = make_dataset(tmp_path / "data", 120)
    dataset = load_dataset(load_dataset_list(path).train[0])
    (path.parent / "images" / "0001.jpg").write_bytes(b"no picture")
    store = ImageStore([dataset], quiet=True)
    assert len(store.broken) == 1
    assert sum(person in store for person in dataset.persons) == 119
    (path.parent / "images" / "0002.jpg").write_bytes(b"")
    with pytest.raises(InvalidDataset, match="2 of 120 pictures cannot be decoded"):
        ImageStore([dataset], quiet=True)


def test_a_file_that_labels_some_keypoints_is_mapped_into_the_seventeen(
    make_dataset: MakeDataset, tmp_path: Path
) -> None:
    path = make_dataset(tmp_path / "data", 3)
    entry = load_dataset_list(path).train[0]
    whole = load_dataset(entry)
    file = path.parent / "person_keypoints.json"
    content = json.loads(file.read_text())
    for item in content["annotations"]:
        item["keypoints"] = item["keypoints"][27:30] + item["keypoints"][:3]
    content["categories"][0]["keypoints"] = ["left_wrist", "nose"]
    file.write_text(json.dumps(content))
    with pytest.raises(InvalidDataset, match="under `keypoints` of the dataset list"):
        load_dataset(entry)
    some = load_dataset(entry.model_copy(update={"keypoints": ("left_wrist", "nose")}))
    assert [int(value) for value in some.persons[0].keypoints_K3[:, 2]] == [2] + 8 * [0] + [2] + 7 * [0]
    for joint in (0, 9):
        assert some.persons[1].keypoints_K3[joint].tolist() == whole.persons[1].keypoints_K3[joint].tolist()
    with pytest.raises(InvalidDataset, match="annotation 1: has 6 keypoint numbers, 3 are needed"):
        load_dataset(entry.model_copy(update={"keypoints": ("nose",), "annotations": without_categories(file)}))


def without_categories(file: Path) -> Path:
    content = json.loads(file.read_text())
    del content["categories"]
    bare = file.with_name("bare.json")
    bare.write_text(json.dumps(content))
    return bare


@pytest.mark.parametrize("names", ["[nose, nose]", "[tail]", "[]"])
def test_unknown_and_double_keypoints_are_refused(make_dataset: MakeDataset, tmp_path: Path, names: str) -> None:
    path = make_dataset(tmp_path / "data", 2)
    path.write_text(path.read_text().replace("images: images,", f"images: images, keypoints: {names},"))
    with pytest.raises(InvalidDataset, match="each must be one of COCO's 17"):
        load_dataset_list(path)


def test_a_detectors_other_categories_are_left_out(make_dataset: MakeDataset, tmp_path: Path) -> None:
    path = make_dataset(tmp_path / "data", 3)
    file = path.parent / "person_keypoints.json"
    content = json.loads(file.read_text())
    content["categories"] = [{"id": 1, "name": "person"}, {"id": 18, "name": "dog"}]
    content["annotations"][2]["category_id"] = 18
    file.write_text(json.dumps(content))
    entry = load_dataset_list(path).train[0].model_copy(update={"unlabelled": True})
    assert len(load_dataset(entry).persons) == 2
    content["categories"][0]["name"] = "cat"
    file.write_text(json.dumps(content))
    with pytest.raises(InvalidDataset, match="none of its 2 categories is a person: 'cat', 'dog'"):
        load_dataset(entry)


def test_boxes_alone_are_persons_where_a_teacher_is_to_label_them(make_dataset: MakeDataset, tmp_path: Path) -> None:
    path = make_dataset(tmp_path / "data", 24)
    entry = load_dataset_list(path).train[0]
    labelled = load_dataset(entry)
    file = path.parent / "person_keypoints.json"
    content = json.loads(file.read_text())
    for item in content["annotations"]:
        del item["keypoints"]
    file.write_text(json.dumps(content))
    boxes = load_dataset(entry.model_copy(update={"unlabelled": True}))
    assert len(boxes.persons) == 24
    assert float(boxes.persons[0].keypoints_K3[:, 2].max()) == 0
    with pytest.raises(InvalidSettings, match="'made' is unlabelled and teaches nothing alone"):
        engine.train(recipes.tiny(), [boxes], labelled, tmp_path / "run", quiet=True)
