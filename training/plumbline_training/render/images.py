"""Training pictures: one person each, somewhere, exercising, with COCO keypoints that are exact by construction."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from tqdm import tqdm

from plumbline_contract.skeleton import KEYPOINT_NAMES, LIMBS, Keypoint
from plumbline_training.render.camera import Camera, orbit
from plumbline_training.render.exercises import sample_pose
from plumbline_training.render.film import Picture, expose, jpeg
from plumbline_training.render.look import sample_look
from plumbline_training.render.person import OUTSIDE, Person, Studio, covered_box, turned
from plumbline_training.render.room import Block, Room, sample_colour_pair, sample_room
from plumbline_training.render.shade import SUPERSAMPLING, Drawn, Light, Shot, photograph
from plumbline_training.render.squats import clip_shot, demonstrator, squat_moment

CLIP_SHARE: Final = 0.12
"""How many of the pictures look like the sample clip."""
SIZES_HW: Final = ((320, 320), (384, 320), (512, 384), (448, 336), (360, 480), (384, 384))


@dataclass(frozen=True)
class Sample:
    """One picture and its annotation, (K, 3) keypoints as pixel x, y and visibility flag."""

    picture_rgb: Picture
    jpeg_quality: int
    keypoints_K3: np.ndarray[tuple[int, ...], np.dtype[np.float64]]
    bbox_xywh: tuple[float, float, float, float]
    area: float
    exercise: str


def sample_camera(rng: np.random.Generator, person: Person) -> Camera:
    """Anywhere around the person, mostly at chest height and far enough to see all of them."""
    height, width = SIZES_HW[int(rng.integers(len(SIZES_HW)))]
    low, high = person.vertices_V3.min(axis=0), person.vertices_V3.max(axis=0)
    middle = (low + high) / 2 + rng.normal(0, 0.06, 3)
    fov = float(rng.uniform(25, 65))
    size = float(np.linalg.norm(high - low))
    fill = float(rng.uniform(0.75, 1.3) if rng.random() < 0.9 else rng.uniform(1.3, 2.0))
    span = 2 * np.tan(np.radians(fov) / 2) * min(1.0, width / height * 1.25)
    distance = max(size / span / fill, 0.5 * size + 0.3)
    elevation = float(rng.choice([rng.normal(6, 9), rng.uniform(-12, 50)]))
    lowest = -np.degrees(np.arcsin(np.clip((middle[2] - 0.12) / distance, 0, 1)))
    position = orbit(middle, distance, float(rng.uniform(-180, 180)), max(elevation, float(lowest)))
    aim = (float(middle[0]), float(middle[1]), float(middle[2]))
    roll = float(rng.normal(0, 3 if rng.random() < 0.9 else 15))
    return Camera(position, aim, fov, height, width, roll, (float(rng.normal(0, 0.05)), float(rng.normal(0, 0.05))))


def behind(room: Room, camera: Camera, person: Person) -> Room:
    """The room without the things that would stand before the person."""
    far = float(camera.project(person.vertices_V3)[:, 2].max())
    kept = [block for block in room.blocks if far < float(camera.project(block.corners())[:, 2].min())]
    return replace(room, blocks=tuple(kept))


def seat(person: Person, rng: np.random.Generator) -> Block:
    """A stool under the person's hips."""
    left, right = person.keypoints_K3[Keypoint.LEFT_HIP], person.keypoints_K3[Keypoint.RIGHT_HIP]
    x, y, z = (float(value) for value in (left + right) / 2)
    turn = float(np.degrees(np.arctan2(left[1] - right[1], left[0] - right[0])))
    colour, second = sample_colour_pair(rng, 0.4)
    return Block((x, y, 0.0), (0.42, 0.36, max(z - 0.1, 0.1)), turn, colour, "plain", second)


def sample_light(rng: np.random.Generator) -> Light:
    """From flat to hard light."""
    strength = float(rng.uniform(0.15, 1.2))
    ambient = float(np.clip(1.25 - strength + rng.normal(0, 0.12), 0.3, 1.1))
    return Light(
        float(rng.uniform(-180, 180)), float(rng.uniform(20, 85)), strength, ambient, float(rng.normal(0, 0.05))
    )


def render_sample(studio: Studio, seed: int, index: int) -> Sample:
    """Picture number `index` of the set `seed`: the same two numbers give the same picture, whatever came before."""
    rng = np.random.default_rng((seed, index))
    if rng.random() < CLIP_SHARE:
        return clip_sample(studio, rng)
    wardrobe = studio.wardrobe(sample_look(rng))
    exercise, pose = sample_pose(rng, wardrobe.skeleton)
    person = turned(wardrobe.pose(pose), float(rng.uniform(-180, 180)))
    camera = sample_camera(rng, person)
    room = behind(sample_room(rng), camera, person)
    if exercise == "seated":
        room = replace(room, blocks=(*room.blocks, seat(person, rng)))
    shot = Shot(room, sample_light(rng), camera)
    drawn = photograph(studio, person, shot)
    return finish(studio, person, shot.camera, drawn, exercise, rng)


def clip_sample(studio: Studio, rng: np.random.Generator) -> Sample:
    """A moment like those of the sample clip, by other people or cameras as often as by its own."""
    look = demonstrator() if rng.random() < 0.5 else sample_look(rng)
    shot = clip_shot(float(rng.normal(30, 45)), float(rng.uniform(3.9, 5.6)), float(rng.normal(5, 5)))
    wardrobe = studio.wardrobe(look)
    moment = squat_moment(wardrobe.skeleton, float(rng.uniform(0, 1)), float(rng.uniform(40, 105)))
    person = wardrobe.pose(moment)
    return finish(studio, person, shot.camera, photograph(studio, person, shot), "squat", rng)


def finish(
    studio: Studio, person: Person, camera: Camera, drawn: Drawn, exercise: str, rng: np.random.Generator
) -> Sample:
    """Films the drawn picture and writes down what is true of it."""
    picture = expose(drawn.picture_rgb, rng)
    flags = studio.visibility(person, drawn.fine, drawn.seen)
    xy = camera.project(person.keypoints_K3)[:, :2].astype(np.float64)
    xy[flags == OUTSIDE] = 0
    box_xywh, area = covered_box(drawn.seen, SUPERSAMPLING)
    keypoints = np.concatenate([xy.round(2), flags[:, None]], axis=1)
    return Sample(picture, int(rng.integers(55, 96)), keypoints, box_xywh, area, exercise)


def write_images(out: Path, count: int, seed: int) -> Path:
    """Writes `images/*.jpg` and `person_keypoints.json` under `out`; pictures that are there already are kept.

    Returns the annotation file's path.
    """
    (out / "images").mkdir(parents=True, exist_ok=True)
    (out / "parts").mkdir(exist_ok=True)
    todo = [index for index in range(count) if not part_path(out, seed, index).is_file()]
    if todo:
        studio = Studio()
        for index in tqdm(todo, desc="rendering", unit="picture", initial=count - len(todo), total=count):
            write_sample(out, seed, index, render_sample(studio, seed, index))
    parts = [json.loads(part_path(out, seed, index).read_text()) for index in range(count)]
    path = out / "person_keypoints.json"
    write_whole(path, json.dumps(coco(parts, seed)).encode())
    return path


def part_path(out: Path, seed: int, index: int) -> Path:
    """Where one picture's annotation waits until the set is complete."""
    return out / "parts" / f"{seed}_{index:06d}.json"


def write_whole(path: Path, data: bytes) -> None:
    """All of the file or none of it."""
    temporary = path.with_name(path.name + ".partial")
    temporary.write_bytes(data)
    temporary.replace(path)


def write_sample(out: Path, seed: int, index: int, sample: Sample) -> None:
    """The picture first, then the annotation that says that it is there."""
    name = f"{seed}_{index:06d}.jpg"
    write_whole(out / "images" / name, jpeg(sample.picture_rgb, sample.jpeg_quality))
    height, width = sample.picture_rgb.shape[:2]
    part = {
        "file_name": name,
        "height": height,
        "width": width,
        "keypoints": sample.keypoints_K3.ravel().tolist(),
        "bbox": list(sample.bbox_xywh),
        "area": sample.area,
        "exercise": sample.exercise,
    }
    write_whole(part_path(out, seed, index), json.dumps(part).encode())


def coco(parts: list[dict[str, Any]], seed: int) -> dict[str, Any]:
    """The COCO keypoint document of all parts, numbered from 1."""
    images, annotations = [], []
    for number, part in enumerate(parts, start=1):
        images.append({"id": number, **{key: part[key] for key in ("file_name", "height", "width")}})
        labelled = sum(1 for flag in part["keypoints"][2::3] if flag > 0)
        if labelled:
            annotations.append(
                {
                    "id": number,
                    "image_id": number,
                    "category_id": 1,
                    "iscrowd": 0,
                    "num_keypoints": labelled,
                    **{key: part[key] for key in ("keypoints", "bbox", "area", "exercise")},
                }
            )
    category = {
        "id": 1,
        "name": "person",
        "supercategory": "person",
        "keypoints": list(KEYPOINT_NAMES),
        "skeleton": [[first + 1, second + 1] for first, second in LIMBS],
    }
    info = {"description": "Plumbline rendered gym", "seed": seed}
    return {"info": info, "images": images, "annotations": annotations, "categories": [category]}
