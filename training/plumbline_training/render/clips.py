"""Clips of exercises: a video or keypoints alone, and what is true of every frame (docs/rendering.md)."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from plumbline_training.render import backgrounds, jobs
from plumbline_training.render.camera import Camera, orbit
from plumbline_training.render.errors import ClipNotWritten, InvalidRequest
from plumbline_training.render.film import Film, Picture, sample_film
from plumbline_training.render.look import sample_look
from plumbline_training.render.moments import prop_maker, sample_moment
from plumbline_training.render.motion import SEVERITIES, Motion, load_motions
from plumbline_training.render.performance import Injected, Performance
from plumbline_training.render.performer import perform
from plumbline_training.render.person import Person, Studio, Wardrobe, turned
from plumbline_training.render.pictures import PHOTO_SHARE, behind, sample_light
from plumbline_training.render.room import sample_room
from plumbline_training.render.scene import draw_scene, survey, visibility
from plumbline_training.render.shade import Shot, empty_room

FORMAT: Final = "plumbline-clip/1"
CODEC: Final = "mp4v"
LYING: Final = frozenset({"hands_and_toes", "forearms_and_toes", "shoulders_and_feet"})
COARSE: Final = 4
"""Without pixels, what hides what is looked up in a picture so many times smaller."""
BYSTANDER_SHARE: Final = 0.2


@dataclass(frozen=True)
class Aim:
    """Where the camera of a clip stands, seen from the person: azimuth 0 is before them, 90 at their left side."""

    view: str
    azimuth_degrees: float
    elevation_degrees: float
    distance_metres: float
    camera: Camera

    def record(self) -> dict[str, Any]:
        """As it stands in the json."""
        return {
            "view": self.view,
            "azimuth_degrees": round(self.azimuth_degrees, 2),
            "elevation_degrees": round(self.elevation_degrees, 2),
            "distance_metres": round(self.distance_metres, 3),
            "height_metres": round(self.camera.position[2], 3),
            "vertical_fov_degrees": round(self.camera.fov_degrees, 2),
            "roll_degrees": round(self.camera.roll_degrees, 2),
        }


def view_of(azimuth_degrees: float) -> str:
    """front, three_quarter, side or back, by how far the camera stands from straight ahead of the person."""
    off = abs((azimuth_degrees + 180) % 360 - 180)
    if off < 20:
        return "front"
    if off < 62:
        return "three_quarter"
    return "side" if off <= 118 else "back"


def sample_aim(rng: np.random.Generator, points_N3: npt.NDArray[np.float32], lying: bool) -> Aim:
    """A camera that sees the whole movement, as one that stands on a shelf or tripod would."""
    height, width = (360, 480) if lying or rng.random() < 0.3 else (480, 360)
    kind = rng.random()
    if lying:
        off = float(rng.normal(88, 12)) if kind < 0.75 else float(rng.uniform(25, 70))
    elif kind < 0.3:
        off = float(rng.normal(0, 8))
    elif kind < 0.6:
        off = float(rng.normal(90, 8))
    else:
        off = float(rng.uniform(22, 62)) if kind < 0.95 else float(rng.uniform(125, 180))
    azimuth = off * float(rng.choice([-1, 1]))
    fov = float(rng.uniform(36, 62))
    low, high = points_N3.min(axis=0) - (0.1, 0.1, 0.05), np.add(points_N3.max(axis=0), (0.1, 0.1, 0.16))
    middle, reach = (low + high) / 2, (high - low) / 2
    radians = math.radians(azimuth)
    across = abs(math.cos(radians)) * reach[0] + abs(math.sin(radians)) * reach[1]
    depth = abs(math.sin(radians)) * reach[0] + abs(math.cos(radians)) * reach[1]
    half = math.tan(math.radians(fov) / 2)
    distance = float(depth + max(reach[2] / half, across / (half * width / height)) * rng.uniform(1.05, 1.35))
    elevation = float(np.clip(rng.normal(8, 7), -3, 28))
    lowest = -math.degrees(math.asin(min(1.0, max(0.0, (float(middle[2]) - 0.15) / distance))))
    elevation = max(elevation, lowest)
    x, y, z = (float(value) for value in middle)
    camera = Camera(
        orbit(middle, distance, azimuth, elevation), (x, y, z), fov, height, width, float(rng.normal(0, 1.5))
    )
    return Aim(view_of(azimuth), azimuth, elevation, distance, camera)


@dataclass
class ClipJob(jobs.Job):
    """Clips into `out`: NAME.json, and NAME.mp4 unless keypoints alone are asked for."""

    out: Path
    seed: int
    fps: float = 15.0
    pixels: bool = True
    exercise: str | None = None
    fault: str | None = None
    photographs: Path | None = None
    exercises: Path | None = None
    unit = "clip"

    def start(self) -> None:
        """Loads the body model, the motions and the list of photographs."""
        self.motions = load_motions(self.exercises)
        self.pictures = () if self.photographs is None else backgrounds.photographs(self.photographs)
        self.studio = Studio()

    def record(self, number: int) -> Path:
        """The json of a clip; it is written last, so where it is, the video is."""
        return self.out / f"{self.seed}_{number:06d}.json"

    def make(self, number: int) -> None:
        """Renders one clip."""
        clip = Clip(self.studio, self.motions, self.seed, number, self.fps, self.exercise, self.fault)
        path = self.record(number)
        if self.pixels:
            keypoints, video = clip.film(path.with_suffix(".mp4"), self.pictures), path.with_suffix(".mp4").name
            jobs.write_whole(path, json.dumps(clip.describe(keypoints, video)).encode())
        else:
            jobs.write_whole(path, json.dumps(clip.describe(clip.keypoints(), None)).encode())


class Clip:
    """One clip, decided by the seed and its number. T frames."""

    def __init__(
        self,
        studio: Studio,
        motions: Mapping[str, Motion],
        seed: int,
        number: int,
        fps: float,
        exercise: str | None = None,
        fault: str | None = None,
    ) -> None:
        self.studio, self.motions, self.fps = studio, motions, fps
        self.seed, self.number = seed, number
        self.rng = np.random.default_rng((seed, 1, number))
        name = exercise or list(motions)[number % len(motions)]
        self.performance: Performance = perform(name, motions[name], self.rng, fault=fault)
        self.wardrobe: Wardrobe = studio.wardrobe(sample_look(self.rng))
        self.times_T = np.arange(int(self.performance.seconds * fps)) / fps
        self.props = prop_maker(self.performance.style, int(self.rng.integers(2**31)))
        poses = self.performance.pose_at(self.wardrobe.skeleton, self.times_T)
        self.rotations_TS33, self.positions_TS3 = self.wardrobe.skeleton.solve(poses)
        some = range(0, len(self.times_T), max(1, len(self.times_T) // 40))
        points = np.concatenate([self.person(frame).keypoints_K3 for frame in some])
        self.aim = sample_aim(self.rng, points, self.performance.motion.support in LYING)

    def person(self, frame: int) -> Person:
        """The person in one frame."""
        return self.wardrobe.placed(self.rotations_TS33[frame], self.positions_TS3[frame], props=self.props)

    def keypoints(self) -> npt.NDArray[np.float64]:
        """Keypoints (T, K, 3): x, y in pixels and COCO's visibility, without drawing the picture."""
        camera = self.aim.camera
        coarse = Camera(
            camera.position,
            camera.target,
            camera.fov_degrees,
            camera.height // COARSE,
            camera.width // COARSE,
            camera.roll_degrees,
        )
        found = []
        for frame in range(len(self.times_T)):
            person = self.person(frame)
            flags = visibility(self.studio, person, 0, survey(self.studio, [person], person.things, coarse))
            xy = camera.project(person.keypoints_K3)[:, :2].astype(np.float64)
            found.append(np.concatenate([xy, flags[:, None]], axis=1))
        return np.stack(found)

    def film(self, path: Path, photographs: tuple[Path, ...] = ()) -> npt.NDArray[np.float64]:
        """Writes the video, whole or not at all, and gives the keypoints (T, K, 3). Raises ClipNotWritten."""
        camera, rng = self.aim.camera, self.rng
        first = self.person(0)
        shot = Shot(behind(sample_room(rng), camera, first), sample_light(rng), camera)
        if photographs and rng.random() < PHOTO_SHARE:
            backdrop = backgrounds.backdrop(photographs[int(rng.integers(len(photographs)))], camera, rng)
        else:
            backdrop = empty_room(shot)
        others = self._others(first) if rng.random() < BYSTANDER_SHARE else []
        film, found = sample_film(rng), []
        temporary = path.with_name(f"{path.stem}{jobs.PARTIAL}{path.suffix}")
        writer = cv2.VideoWriter(
            str(temporary), cv2.VideoWriter.fourcc(*CODEC), self.fps, (camera.width, camera.height)
        )
        if not writer.isOpened():
            raise ClipNotWritten(f"{str(path)!r}: no {CODEC} video can be written there; choose another --out")
        for frame in range(len(self.times_T)):
            picture, keypoints_K3 = self._frame(frame, others, shot, backdrop, film)
            writer.write(np.ascontiguousarray(picture[..., ::-1]))
            found.append(keypoints_K3)
        writer.release()
        temporary.replace(path)
        return np.stack(found)

    def _frame(
        self, frame: int, others: list[Person], shot: Shot, backdrop: npt.NDArray[np.float32], film: Film
    ) -> tuple[Picture, npt.NDArray[np.float64]]:
        person = self.person(frame)
        view = draw_scene(self.studio, [person, *others], person.things, shot, backdrop)
        flags = visibility(self.studio, person, 0, view)
        xy = shot.camera.project(person.keypoints_K3)[:, :2].astype(np.float64)
        return film.apply(view.picture_rgb, self.rng), np.concatenate([xy, flags[:, None]], axis=1)

    def _others(self, main: Person) -> list[Person]:
        """Somebody who stands farther away, still."""
        moment = sample_moment(self.rng, self.studio.wardrobe(sample_look(self.rng)), self.motions, None)
        middle = main.keypoints_K3.mean(axis=0)
        ahead = np.asarray(middle[:2] - np.array(self.aim.camera.position[:2]), np.float64)
        ahead /= np.linalg.norm(ahead)
        aside = float(self.rng.choice([-1, 1]) * self.rng.uniform(0.8, 2.0))
        x, y = middle[:2] + float(self.rng.uniform(0.8, 2.5)) * ahead + aside * np.array([ahead[1], -ahead[0]])
        return [turned(moment.person, float(self.rng.uniform(-180, 180)), (float(x), float(y)))]

    def describe(self, keypoints_TK3: npt.NDArray[np.float64], video: str | None) -> dict[str, Any]:
        """What the json says."""
        done, camera = self.performance, self.aim.camera
        return {
            "format": FORMAT,
            "exercise": done.exercise,
            "seed": self.seed,
            "number": self.number,
            "video": video,
            "fps": self.fps,
            "width": camera.width,
            "height": camera.height,
            "frame_count": len(self.times_T),
            "camera": self.aim.record(),
            "person": {
                "phenotype": {name: round(value, 3) for name, value in asdict(self.wardrobe.look.phenotype).items()},
                "front": {"L": "left", "R": "right"}[done.front] if done.motion.support == "split" else None,
                "hands": done.style.hands,
                "props": done.style.props,
                "one_arm": done.style.one_arm,
            },
            "repetitions": self._repetitions(),
            "faults": [self._fault(injected) for injected in done.injected],
            "phases": done.phases(self.times_T),
            "keypoints": keypoints_TK3.round(1).tolist(),
        }

    def _frame_at(self, seconds: float) -> int:
        return min(len(self.times_T) - 1, math.ceil(seconds * self.fps - 1e-6))

    def _repetitions(self) -> list[dict[str, Any]]:
        return [
            {
                "start_frame": self._frame_at(rep.start),
                "full_frame": self._frame_at((rep.full + rep.leaves) / 2),
                "end_frame": self._frame_at(rep.end),
                "start_seconds": round(rep.start, 3),
                "full_seconds": round((rep.full + rep.leaves) / 2, 3),
                "end_seconds": round(rep.end, 3),
                "depth": round(rep.depth, 3),
            }
            for rep in self.performance.repetitions
        ]

    def _fault(self, injected: Injected) -> dict[str, Any]:
        fault = injected.fault
        front = "left" if self.performance.front == "L" else "right"
        rear = "right" if front == "left" else "left"
        names = [name.replace("front_", f"{front}_").replace("rear_", f"{rear}_") for name in fault.keypoints]
        if (fault.one_side or fault.one_side_depth is not None) and injected.side is not None:
            own = {"L": "left_", "R": "right_"}[injected.side]
            names = [name for name in names if name.startswith(own)] or names
        return {
            "name": fault.name,
            "severity": SEVERITIES[injected.severity],
            "onset_frame": self._frame_at(injected.onset),
            "end_frame": self._frame_at(injected.end),
            "onset_seconds": round(injected.onset, 3),
            "end_seconds": round(injected.end, 3),
            "repetition": injected.repetition,
            "keypoints": names,
        }


def write_clips(job: ClipJob, count: int, workers: int, quiet: bool = False) -> jobs.Made:
    """Writes `count` clips; those that are there already are kept. Raises InvalidRequest for unknown names."""
    motions = load_motions(job.exercises)
    if job.exercise is not None and job.exercise not in motions:
        raise InvalidRequest(f"--exercise {job.exercise!r}: use one of {', '.join(motions)}")
    if job.fault not in (None, "none"):
        names = [fault.name for fault in motions[job.exercise].faults] if job.exercise is not None else []
        if job.fault not in names:
            raise InvalidRequest(
                f"--fault {job.fault!r}: name its --exercise, and use none or one of {', '.join(names) or '(none yet)'}"
            )
    job.out.mkdir(parents=True, exist_ok=True)
    jobs.clear_partial(job.out)
    made_with = ("fps", "pixels", "exercise", "fault", "photographs", "exercises")
    jobs.keep_settings(job.out, {name: getattr(job, name) for name in made_with})
    todo = [number for number in range(count) if not job.record(number).is_file()]
    return jobs.run(job, todo, count, workers, quiet)
