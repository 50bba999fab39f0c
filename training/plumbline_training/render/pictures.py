"""Training pictures: somebody who exercises, sits, or stands as a real person once did, with exact COCO keypoints."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from plumbline_training.render import backgrounds, coco, jobs
from plumbline_training.render.camera import Camera, orbit
from plumbline_training.render.film import Picture, expose, jpeg
from plumbline_training.render.lift import PosePrior, load_prior
from plumbline_training.render.look import Look, sample_look
from plumbline_training.render.moments import Moment, sample_moment
from plumbline_training.render.motion import Motion, load_motions
from plumbline_training.render.person import OUTSIDE, Person, Studio, turned
from plumbline_training.render.props import Mesh, box
from plumbline_training.render.room import Block, Room, sample_colour_pair, sample_room
from plumbline_training.render.scene import View, covered, draw_scene, visibility
from plumbline_training.render.shade import Light, Shot

SIZES_HW: Final = ((320, 320), (384, 320), (512, 384), (448, 336), (360, 480), (384, 384))
OTHERS_SHARE: Final = 0.3
IN_THE_WAY_SHARE: Final = 0.15
PHOTO_SHARE: Final = 0.7
"""Of the pictures, when there are photographs to stand before."""
LEAST_AREA: Final = 80.0
"""Square pixels of a person below which nobody could label them."""
ANNOTATIONS: Final = "person_keypoints.json"


@dataclass(frozen=True)
class Sources:
    """What pictures are made of beside chance."""

    motions: Mapping[str, Motion]
    prior: PosePrior | None = None
    photographs: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Labelled:
    """One person in a picture; (K, 3) keypoints as pixel x, y and visibility flag."""

    keypoints_K3: npt.NDArray[np.float64]
    bbox_xywh: tuple[float, float, float, float]
    area: float
    exercise: str

    def record(self) -> dict[str, Any]:
        """As it stands in the annotation file."""
        return {
            "keypoints": self.keypoints_K3.ravel().tolist(),
            "bbox": list(self.bbox_xywh),
            "area": self.area,
            "exercise": self.exercise,
        }


@dataclass(frozen=True)
class Sample:
    """One picture and everybody in it, the first of them in the middle of it."""

    picture_rgb: Picture
    jpeg_quality: int
    people: tuple[Labelled, ...]


def sample_camera(rng: np.random.Generator, person: Person, around_degrees: float = 180.0) -> Camera:
    """Somewhere around the person, mostly at chest height and far enough to see all of them."""
    height, width = SIZES_HW[int(rng.integers(len(SIZES_HW)))]
    low, high = person.vertices_V3.min(axis=0), person.vertices_V3.max(axis=0)
    middle = (low + high) / 2 + rng.normal(0, 0.06, 3)
    fov = float(rng.uniform(25, 65) if rng.random() < 0.85 else rng.uniform(65, 88))
    size = float(np.linalg.norm(high - low))
    fill = float(rng.uniform(0.75, 1.3) if rng.random() < 0.9 else rng.uniform(1.3, 2.0))
    span = 2 * np.tan(np.radians(fov) / 2) * min(1.0, width / height * 1.25)
    distance = max(size / span / fill, 0.5 * size + 0.3)
    elevation = float(rng.choice([rng.normal(6, 9), rng.uniform(-12, 50)]))
    lowest = -np.degrees(np.arcsin(np.clip((middle[2] - 0.12) / distance, 0, 1)))
    azimuth = float(rng.uniform(-around_degrees, around_degrees))
    position = orbit(middle, distance, azimuth, max(elevation, float(lowest)))
    aim = (float(middle[0]), float(middle[1]), float(middle[2]))
    roll = float(rng.normal(0, 3 if rng.random() < 0.9 else 15))
    return Camera(position, aim, fov, height, width, roll, (float(rng.normal(0, 0.05)), float(rng.normal(0, 0.05))))


def behind(room: Room, camera: Camera, person: Person) -> Room:
    """The room without the things that would stand before the person."""
    far = float(camera.project(person.vertices_V3)[:, 2].max())
    kept = [block for block in room.blocks if far < float(camera.project(block.corners())[:, 2].min())]
    return replace(room, blocks=tuple(kept))


def sample_light(rng: np.random.Generator) -> Light:
    """From flat to hard light."""
    strength = float(rng.uniform(0.15, 1.2))
    ambient = float(np.clip(1.25 - strength + rng.normal(0, 0.12), 0.3, 1.1))
    warmth = float(rng.normal(0, 0.05))
    return Light(float(rng.uniform(-180, 180)), float(rng.uniform(20, 85)), strength, ambient, warmth)


def in_the_way(rng: np.random.Generator, camera: Camera, person: Person) -> Mesh:
    """Something between the camera and a part of the person."""
    keypoint = person.keypoints_K3[int(rng.integers(5, 17))]
    near = float(rng.uniform(0.35, 0.75))
    place = np.array(camera.position) + near * (keypoint - np.array(camera.position))
    size = near * rng.uniform((0.06, 0.06, 0.15), (0.45, 0.3, 1.1))
    colour, _ = sample_colour_pair(rng, float(rng.uniform(0.08, 0.9)))
    x, y, z = (float(value) for value in place + np.array([rng.normal(0, 0.1), 0, -size[2] * rng.uniform(0.3, 1)]))
    return box(Block((x, y, z), (float(size[0]), float(size[1]), float(size[2])), float(rng.uniform(0, 180)), colour))


def bystander(studio: Studio, sources: Sources, rng: np.random.Generator, camera: Camera, main: Person) -> Person:
    """Somebody else, mostly farther from the camera than the main person, now and then half before them."""
    wardrobe = studio.wardrobe(sample_look(rng))
    moment = sample_moment(rng, wardrobe, sources.motions, None)
    middle = (main.vertices_V3.min(axis=0) + main.vertices_V3.max(axis=0)) / 2
    ahead = middle[:2] - np.array(camera.position[:2])
    distance = float(np.linalg.norm(ahead))
    ahead, across = ahead / distance, np.array([ahead[1], -ahead[0]]) / distance
    if rng.random() < 0.2:
        further, aside = (
            float(rng.uniform(-0.35, -0.15)) * distance,
            float(rng.choice([-1, 1]) * rng.uniform(0.35, 0.8)),
        )
    else:
        further, aside = float(rng.uniform(0.4, 3.0)), float(rng.uniform(-1.0, 1.0)) * (0.5 + 0.45 * distance)
    x, y = middle[:2] + further * ahead + aside * across
    return turned(moment.person, float(rng.uniform(-180, 180)), (float(x), float(y)))


def render_sample(
    studio: Studio, sources: Sources, seed: int, index: int, change: Callable[[Look], Look] = lambda look: look
) -> Sample:
    """Picture number `index` of the set `seed`: the same two numbers give the same picture, whatever came before.

    `change` dresses or shapes the person in the middle otherwise; all else is drawn as without it.
    """
    rng = np.random.default_rng((seed, index))
    wardrobe = studio.wardrobe(change(sample_look(rng)))
    moment = sample_moment(rng, wardrobe, sources.motions, sources.prior)
    heading = 0.0 if moment.faces_camera else float(rng.uniform(-180, 180))
    person = turned(moment.person, heading)
    camera = sample_camera(rng, person, 40.0 if moment.faces_camera else 180.0)
    room = behind(sample_room(rng), camera, person)
    shot = Shot(room, sample_light(rng), camera)
    people = [person]
    if rng.random() < OTHERS_SHARE:
        people += [bystander(studio, sources, rng, camera, person) for _ in range(int(rng.integers(1, 4)))]
    things = [thing for each in people for thing in each.things]
    if rng.random() < IN_THE_WAY_SHARE:
        things.append(in_the_way(rng, camera, person))
    backdrop = None
    if sources.photographs and rng.random() < PHOTO_SHARE:
        photograph = sources.photographs[int(rng.integers(len(sources.photographs)))]
        backdrop = backgrounds.backdrop(photograph, camera, rng)
    view = draw_scene(studio, people, things, shot, backdrop)
    labels = [label(studio, each, number, view, camera, moment) for number, each in enumerate(people)]
    picture = expose(view.picture_rgb, rng)
    return Sample(picture, int(rng.integers(35, 96)), tuple(each for each in labels if each.area >= LEAST_AREA))


def label(studio: Studio, person: Person, number: int, view: View, camera: Camera, moment: Moment) -> Labelled:
    """What is true of one person in the picture."""
    flags = visibility(studio, person, number, view)
    xy = camera.project(person.keypoints_K3)[:, :2].astype(np.float64)
    xy[flags == OUTSIDE] = 0
    box_xywh, area = covered(view, number)
    keypoints_K3 = np.concatenate([xy.round(2), flags[:, None]], axis=1)
    return Labelled(keypoints_K3, box_xywh, area, moment.exercise if number == 0 else "bystander")


@dataclass
class PictureJob(jobs.Job):
    """Pictures into `out`/images, each with its annotation in `out`/parts until the set is complete."""

    out: Path
    seed: int
    poses: Path | None = None
    photographs: Path | None = None
    exercises: Path | None = None

    def start(self) -> None:
        """Loads the body model, the motions, the pose prior and the list of photographs."""
        self.sources = Sources(
            load_motions(self.exercises),
            None if self.poses is None else load_prior(self.poses),
            () if self.photographs is None else backgrounds.photographs(self.photographs),
        )
        self.studio = Studio()

    def part(self, number: int) -> Path:
        """The annotation of one picture; it is written last, so where it is, the picture is."""
        return self.out / "parts" / f"{self.seed}_{number:06d}.json"

    def make(self, number: int) -> None:
        """Renders one picture."""
        sample = render_sample(self.studio, self.sources, self.seed, number)
        name = f"{self.seed}_{number:06d}.jpg"
        jobs.write_whole(self.out / "images" / name, jpeg(sample.picture_rgb, sample.jpeg_quality))
        height, width = sample.picture_rgb.shape[:2]
        part = {"file_name": name, "height": height, "width": width}
        part |= {"persons": [person.record() for person in sample.people]}
        jobs.write_whole(self.part(number), json.dumps(part).encode())


def write_pictures(job: PictureJob, count: int, workers: int, quiet: bool = False) -> jobs.Made:
    """Writes `count` pictures and the annotation file of all; pictures that are there already are kept."""
    for folder in (job.out / "images", job.out / "parts"):
        folder.mkdir(parents=True, exist_ok=True)
        jobs.clear_partial(folder)
    made_with = {"seed": job.seed, "poses": job.poses, "backgrounds": job.photographs, "exercises": job.exercises}
    jobs.keep_settings(job.out, made_with)
    todo = [number for number in range(count) if not job.part(number).is_file()]
    made = jobs.run(job, todo, count, workers, quiet, lambda: write_annotations(job, count))
    write_annotations(job, count)
    return made


def write_annotations(job: PictureJob, count: int) -> Path:
    """The COCO keypoint file of the first `count` pictures, or of as many as are finished."""
    parts = [json.loads(job.part(number).read_bytes()) for number in range(count) if job.part(number).is_file()]
    path = job.out / ANNOTATIONS
    jobs.write_whole(path, json.dumps(coco.document(parts, {"seed": job.seed})).encode())
    return path
