"""Folders, videos and COCO jsons are cut as the contract cuts; bad ones say what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from tests.conversion.pictures import spot_picture, write_annotations, write_pictures, write_video

from plumbline_contract.box import Box
from plumbline_contract.manifest import InputSpec
from plumbline_contract.preprocess import extract_crop
from plumbline_conversion.crops import split_by_picture
from plumbline_conversion.errors import UnreadableImages
from plumbline_conversion.pictures import Sighting, cut_out, find_sightings, spread
from plumbline_conversion.plan import ImageSource

SPEC = InputSpec(height=64, width=48, box_padding=1.25)


def test_folder_gives_whole_pictures_in_order(tmp_path: Path) -> None:
    sightings = find_sightings(ImageSource(write_pictures(tmp_path / "p", 3)))
    assert [sighting.name for sighting in sightings] == ["000.png", "001.png", "002.png"]
    crop = next(cut_out(sightings, SPEC))
    picture = np.asarray(cv2.imread(str(sightings[0].path)), dtype=np.uint8)
    expected, _ = extract_crop(picture, Box.whole_image(96, 72).padded(1.25), 64, 48)
    np.testing.assert_array_equal(crop, expected)


@pytest.mark.parametrize("separate", [False, True], ids=["images beside the json", "images elsewhere"])
def test_json_gives_padded_boxes(tmp_path: Path, separate: bool) -> None:
    folder = write_pictures(tmp_path / "images", 2)
    json_path = write_annotations(tmp_path / "person_keypoints.json" if separate else folder / "a.json", 2)
    sightings = find_sightings(ImageSource(json_path, folder if separate else None))
    assert [sighting.box for sighting in sightings] == [Box.from_xywh([10, 20, 40, 60])] * 2
    picture = np.asarray(cv2.imread(str(folder / "000.png")), dtype=np.uint8)
    expected, _ = extract_crop(picture, Box.from_xywh([10, 20, 40, 60]).padded(1.25), 64, 48)
    np.testing.assert_array_equal(next(cut_out(sightings, SPEC)), expected)


def test_video_frames_are_the_frames_asked_for(tmp_path: Path) -> None:
    video = write_video(tmp_path / "clip.mp4", 9)
    sightings = find_sightings(ImageSource(video))
    assert len(sightings) == 9
    chosen = spread(sightings, 3)
    assert [sighting.frame for sighting in chosen] == [1, 4, 7]
    every, some = list(cut_out(sightings, SPEC)), list(cut_out(chosen, SPEC))
    for crop, frame in zip(some, (1, 4, 7), strict=True):
        np.testing.assert_array_equal(crop, every[frame])


@pytest.mark.parametrize("kept", [0.0, 0.5])
def test_a_picture_that_ends_early_is_refused(tmp_path: Path, kept: float) -> None:
    """A decoder fills the rest of a JPEG with grey, and int8 would be calibrated on that."""
    cv2.imwrite(str(tmp_path / "half.jpg"), spot_picture(np.random.default_rng(0)))
    whole = (tmp_path / "half.jpg").read_bytes()
    assert len(list(cut_out(find_sightings(ImageSource(tmp_path)), SPEC))) == 1
    (tmp_path / "half.jpg").write_bytes(whole[: int(kept * len(whole))])
    with pytest.raises(UnreadableImages, match=r"half\.jpg cannot be decoded"):
        list(cut_out(find_sightings(ImageSource(tmp_path)), SPEC))


@pytest.mark.parametrize("count", [1, 4, 10, 99])
def test_spread_is_even_and_without_repeats(count: int) -> None:
    chosen = spread(range(10), count)
    assert len(chosen) == min(count, 10)
    assert chosen == sorted(set(chosen))


def test_persons_of_one_picture_stay_on_one_side() -> None:
    sightings = [
        Sighting(Path(f"{picture}.png"), box=Box(9, 9, 9, 9 + person)) for picture in range(12) for person in (0, 1)
    ]
    calibrating, held_out = split_by_picture(sightings)
    assert len(held_out) == 6
    assert not {sighting.path for sighting in calibrating} & {sighting.path for sighting in held_out}


def test_crowds_and_persons_without_keypoints_are_left_out(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "images", 1)
    for changes in ({"iscrowd": 1}, {"num_keypoints": 0}):
        source = ImageSource(write_annotations(folder / "a.json", 1, **changes))
        with pytest.raises(UnreadableImages, match="no image of a person"):
            find_sightings(source)


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"bbox": ["left", 2, 9, 4]}, "ValueError"), ({"bbox": "wide"}, "ValueError"), ({"image_id": 77}, "KeyError: 77")],
)
def test_broken_annotations_say_what_is_wrong(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    folder = write_pictures(tmp_path / "images", 1)
    with pytest.raises(UnreadableImages, match=message):
        find_sightings(ImageSource(write_annotations(folder / "a.json", 1, **changes)))


def test_json_that_names_a_missing_image(tmp_path: Path) -> None:
    with pytest.raises(UnreadableImages, match=r"'000\.png' is not in"):
        find_sightings(ImageSource(write_annotations(tmp_path / "a.json", 1)))


@pytest.mark.parametrize("name", ["missing", "empty", "truncated.json", "truncated.mp4", "list.json"])
def test_sources_that_hold_nothing(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "truncated.json").write_text('{"images": [', encoding="utf-8")
    (tmp_path / "list.json").write_text("[1, 2]", encoding="utf-8")
    (tmp_path / "truncated.mp4").write_bytes(b"\x00" * 100)
    with pytest.raises(UnreadableImages, match=name):
        find_sightings(ImageSource(tmp_path / name))


def test_picture_that_cannot_be_decoded_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"no picture")
    with pytest.raises(UnreadableImages, match=r"bad\.jpg"):
        list(cut_out(find_sightings(ImageSource(tmp_path)), SPEC))


def test_persons_are_those_that_training_learns_from(tmp_path: Path) -> None:
    """Some programs leave the count of keypoints out, and a box without width is skipped, not the file."""
    folder = write_pictures(tmp_path / "images", 3)
    json_path = write_annotations(folder / "a.json", 3)
    content = json.loads(json_path.read_text())
    for number, annotation in enumerate(content["annotations"]):
        annotation.pop("num_keypoints", None)
        annotation["keypoints"] = [5, 5, 2] * 17 if number != 1 else [0, 0, 0] * 17
    content["annotations"][2]["bbox"] = [10, 20, 0, 60]
    json_path.write_text(json.dumps(content))
    assert [sighting.name for sighting in find_sightings(ImageSource(json_path))] == ["000.png"]
