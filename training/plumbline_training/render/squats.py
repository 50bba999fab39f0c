"""The sample clip: five squats of one rendered person, one too shallow, with exact keypoints for every frame."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from plumbline_training.render.body import Phenotype
from plumbline_training.render.camera import Camera, orbit
from plumbline_training.render.errors import ClipNotWritten
from plumbline_training.render.film import Picture
from plumbline_training.render.look import Garment, Look
from plumbline_training.render.motions import Squat, squat
from plumbline_training.render.person import Person, Studio
from plumbline_training.render.pose import Pose, Skeleton
from plumbline_training.render.room import Block, Room
from plumbline_training.render.shade import Light, Shot, empty_room, photograph

FPS: Final = 30
DEPTHS_DEGREES: Final = (94.0, 97.0, 48.0, 99.0, 95.0)
"""Thigh from vertical at the bottom of each repetition, seen from the side; 90 is horizontal."""
TOO_SHALLOW_BELOW_DEGREES: Final = 70.0


@dataclass(frozen=True)
class Repetition:
    """One squat, in frames from 0; `end_frame` is the first frame upright again."""

    start_frame: int
    bottom_frame: int
    end_frame: int
    thigh_degrees: float
    too_shallow: bool


def demonstrator() -> Look:
    """The person in the sample clip: plain clothes that stand out from each other and from the wall."""
    return Look(
        phenotype=Phenotype(0.05, 0.68, 0.5, 0.46, 0.55, 0.8, 0.2, 0.3, 0.5),
        skin=(0.84, 0.63, 0.50),
        hair=(0.13, 0.09, 0.07),
        hairline=1.15,
        nape=-0.55,
        hair_thickness=0.014,
        beard=0.0,
        shirt=Garment((0.13, 0.42, 0.62), 0.010, "plain"),
        sleeve=0.55,
        collar=0.03,
        trousers=Garment((0.13, 0.13, 0.16), 0.009, "plain"),
        leg_length=0.72,
        waist=0.08,
        shoes=Garment((0.85, 0.85, 0.87), 0.009, "plain", (0.95, 0.95, 0.95)),
        sock_length=1.84,
        sock_colour=(0.25, 0.25, 0.28),
    )


def studio_room() -> Room:
    """A plain room with a few things along the walls."""
    blocks = (
        Block((-1.9, 2.05, 0.0), (0.9, 0.4, 0.75), 0, (0.45, 0.33, 0.22)),
        Block((1.6, 2.2, 0.0), (0.5, 0.35, 1.7), 0, (0.72, 0.72, 0.70)),
        Block((-0.6, 2.38, 1.35), (0.9, 0.03, 0.6), 0, (0.40, 0.52, 0.48)),
    )
    return Room(
        (-2.6, -6.0),
        (2.8, 2.4),
        2.7,
        "planks",
        ((0.62, 0.48, 0.36), (0.48, 0.36, 0.26)),
        "plain",
        ((0.84, 0.82, 0.78), (0.76, 0.74, 0.70)),
        7,
        (0.75, 0.95, (0.22, 0.28, 0.36)),
        blocks=blocks,
    )


def clip_shot(azimuth_degrees: float = 38.0, distance: float = 4.9, elevation_degrees: float = 4.0) -> Shot:
    """The clip's room, light and camera; the whole body in view with a margin, standing and squatting."""
    target = (0.0, -0.05, 0.86)
    position = orbit(np.array(target), distance, azimuth_degrees, elevation_degrees)
    light = Light(azimuth_degrees - 55, 52, 0.75, 0.55, 0.02)
    return Shot(studio_room(), light, Camera(position, target, 30.5, 640, 480))


class SquatClip:
    """The clip as a function of the frame number. `seed` varies the tempo."""

    def __init__(self, studio: Studio, seed: int = 0, look: Look | None = None, shot: Shot | None = None) -> None:
        self.studio = studio
        self.wardrobe = studio.wardrobe(look or demonstrator())
        self.shot = shot or clip_shot()
        rng = np.random.default_rng((seed, 2024))
        self.repetitions, self.shares = timeline(rng)

    @property
    def frame_count(self) -> int:
        """Frames in the clip."""
        return len(self.shares)

    @cached_property
    def backdrop(self) -> npt.NDArray[np.float32]:
        """The empty room, drawn once."""
        return empty_room(self.shot)

    def person(self, frame: int) -> Person:
        """The posed person; feet stay where they are planted."""
        return self.wardrobe.pose(squat_moment(self.wardrobe.skeleton, *self.shares[frame]), grounded=True)

    def keypoints(self, person: Person) -> npt.NDArray[np.float64]:
        """Exact pixels of the 17 keypoints, (K, 2)."""
        return self.shot.camera.project(person.keypoints_K3)[:, :2].astype(np.float64)

    def frame(self, frame: int) -> tuple[Picture, npt.NDArray[np.float64]]:
        """The picture (H, W, 3) RGB and its keypoints (K, 3): x, y in pixels and COCO's visibility flag."""
        person = self.person(frame)
        drawn = photograph(self.studio, person, self.shot, self.backdrop)
        flags = self.studio.visibility(person, drawn.fine, drawn.seen)
        return drawn.picture_rgb, np.concatenate([self.keypoints(person), flags[:, None]], axis=1)


def timeline(rng: np.random.Generator) -> tuple[list[Repetition], list[tuple[float, float]]]:
    """The repetitions, and for each frame (depth share in [0, 1], thigh angle of that repetition's bottom)."""
    shares: list[tuple[float, float]] = [(0.0, DEPTHS_DEGREES[0])] * round(0.8 * FPS)
    repetitions = []
    for depth in DEPTHS_DEGREES:
        size = 0.55 + 0.45 * depth / max(DEPTHS_DEGREES)
        down, hold, up, rest = (
            max(1, round(seconds * FPS * size * float(rng.uniform(0.93, 1.07)))) for seconds in (1.05, 0.12, 0.9, 0.4)
        )
        start = len(shares)
        shares += [(smooth(step / down), depth) for step in range(1, down + 1)]
        shares += [(1.0, depth)] * hold
        shares += [(smooth(1 - step / up), depth) for step in range(1, up + 1)]
        bottom, end = start + down - 1 + hold // 2, start + down + hold + up - 1
        repetitions.append(Repetition(start, bottom, end, depth, depth < TOO_SHALLOW_BELOW_DEGREES))
        shares += [(0.0, depth)] * rest
    shares += [(0.0, DEPTHS_DEGREES[-1])] * round(0.5 * FPS)
    return repetitions, shares


def smooth(share: float) -> float:
    """Minimum-jerk ease from 0 to 1 (Flash and Hogan, 1985)."""
    return share**3 * (10 - 15 * share + 6 * share**2)


def squat_moment(skeleton: Skeleton, share: float, bottom_degrees: float) -> Pose:
    """The pose at a share of the way down: hips back, trunk leaning to keep balance, arms coming up in front."""
    thigh = 3 + (bottom_degrees - 3) * share
    return squat(
        skeleton,
        Squat(
            thigh_degrees=thigh,
            shin_degrees=1 + 0.38 * (thigh - 3),
            width=0.40,
            toe_out=20,
            knees_in=2,
            arms="forward",
            arm_degrees=8 + 80 * min(1.0, (thigh - 3) / 85),
        ),
    )


def write_squats(out: Path, seed: int) -> Path:
    """Writes the mp4 and the json beside it. Raises ClipNotWritten when OpenCV can't encode it."""
    out.parent.mkdir(parents=True, exist_ok=True)
    clip = SquatClip(Studio(), seed)
    camera = clip.shot.camera
    temporary = out.with_name(f"{out.stem}.partial{out.suffix}")
    writer = cv2.VideoWriter(str(temporary), cv2.VideoWriter.fourcc(*"mp4v"), FPS, (camera.width, camera.height))
    if not writer.isOpened():
        raise ClipNotWritten(f"{out}: no mp4v video can be written there; give --out a path that ends in .mp4")
    keypoints = []
    for number in tqdm(range(clip.frame_count), desc="rendering", unit="frame"):
        picture, keypoints_K3 = clip.frame(number)
        writer.write(np.ascontiguousarray(picture[..., ::-1]))
        keypoints.append(keypoints_K3.round(2).tolist())
    writer.release()
    temporary.replace(out)
    out.with_suffix(".json").write_text(json.dumps(describe(clip, seed, keypoints)) + "\n")
    return out


def describe(clip: SquatClip, seed: int, keypoints: list[list[list[float]]]) -> dict[str, object]:
    """What the json says: the clip's format, its repetitions, and `keypoints[frame][k]` = x, y, visibility."""
    repetitions = [asdict(repetition) for repetition in clip.repetitions]
    return {
        "exercise": "squat",
        "seed": seed,
        "fps": FPS,
        "width": clip.shot.camera.width,
        "height": clip.shot.camera.height,
        "frame_count": clip.frame_count,
        "repetitions": repetitions,
        "too_shallow": [number for number, rep in enumerate(clip.repetitions, start=1) if rep.too_shallow],
        "keypoints": keypoints,
    }
