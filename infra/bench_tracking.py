"""`make bench-tracking`: how steadily models follow a person through clips, each behind the same tracker and smoothing.

Lost are the frames in which nobody is followed, counted from the first in which somebody is; name clips that show a
person from then on to the end. Jitter is the mean second difference of the smoothed keypoints, in torso lengths, over
joints seen in three frames on end. --sheets writes a picture of each clip's frames with what each model saw.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from plumbline_contract.box import Box
from plumbline_contract.sequence import torso_length
from plumbline_contract.skeleton import LIMBS
from plumbline_edge.bundle import open_bundle
from plumbline_edge.estimator import PoseEstimator
from plumbline_edge.frame import Frame
from plumbline_training.peers import MoveNet

Image = npt.NDArray[np.uint8]
MIN_SCORE: Final = 0.2
"""Joints below are not drawn, and not counted in the jitter."""
SHEET_COLUMNS: Final = 6


class PeerEstimator(PoseEstimator):
    """MoveNet in place of our network, in boxes of the same padding."""

    def __init__(self, file: Path, like: Any) -> None:
        super().__init__(SimpleNamespace(manifest=like), lambda stage, seconds: None)
        self._peer = MoveNet(file, threads=1, box_padding=1.0)

    def _look(self, model: Any, frame: Frame, box: Box, spent: dict[str, float]) -> npt.NDArray[np.float32]:
        return np.asarray(self._peer(frame.image_bgr_HW3, [box])[0])


@dataclass(frozen=True)
class Followed:
    """One clip through one model, T frames."""

    keypoints_TK3: npt.NDArray[np.float32]
    seen_T: npt.NDArray[np.bool_]

    @property
    def counted(self) -> int:
        """Frames from the first in which somebody is followed."""
        return len(self.seen_T) - int(self.seen_T.argmax()) if self.seen_T.any() else len(self.seen_T)

    @property
    def lost(self) -> int:
        """Of these, the ones in which nobody is."""
        return self.counted - int(self.seen_T.sum())

    def second_differences(self) -> npt.NDArray[np.float64]:
        """Of each joint in each three frames on end, in torso lengths."""
        scale_T = torso_length(self.keypoints_TK3)[self.seen_T]
        if not np.isfinite(scale_T).any():
            return np.zeros(0)
        points_TK2 = self.keypoints_TK3[..., :2].astype(np.float64)
        there_TK = (self.keypoints_TK3[..., 2] > MIN_SCORE) & self.seen_T[:, None]
        changes_TK = np.linalg.norm(points_TK2[2:] - 2 * points_TK2[1:-1] + points_TK2[:-2], axis=-1)
        kept_TK = there_TK[2:] & there_TK[1:-1] & there_TK[:-2]
        return np.asarray(changes_TK[kept_TK] / np.nanmedian(scale_T))


def frames(clip: Path) -> Iterator[tuple[Image, float]]:
    """The clip's pictures and their times in seconds."""
    video = cv2.VideoCapture(str(clip))
    rate, index = video.get(cv2.CAP_PROP_FPS) or 30.0, 0
    while (read := video.read())[0]:
        yield np.asarray(read[1], np.uint8), index / rate
        index += 1


def follow(estimator: PoseEstimator, clip: Path) -> Followed:
    """Take the whole clip through the estimator."""
    poses = [
        estimator.estimate(Frame(image, seconds, index, seconds)) for index, (image, seconds) in enumerate(frames(clip))
    ]
    return Followed(np.stack([pose.keypoints_K3 for pose in poses]), np.array([pose.seen for pose in poses]))


def sheet(clip: Path, followed: dict[str, Followed], file: Path) -> None:
    """A row a model of frames spread over the clip, limbs drawn."""
    images = [image for image, _ in frames(clip)]
    chosen = np.linspace(0, len(images) - 1, SHEET_COLUMNS).round().astype(int)
    rows = []
    for found in followed.values():
        drawn = [_drawn(images[index], found.keypoints_TK3[index]) for index in chosen]
        rows.append(np.hstack(drawn))
    cv2.imwrite(str(file), np.vstack(rows))


def _drawn(image: Image, keypoints_K3: npt.NDArray[np.float32]) -> Image:
    canvas = image.copy()
    for first, second in LIMBS:
        if min(keypoints_K3[first, 2], keypoints_K3[second, 2]) > MIN_SCORE:
            ends = [tuple(map(int, keypoints_K3[joint, :2])) for joint in (first, second)]
            cv2.line(canvas, ends[0], ends[1], (0, 255, 0), max(2, image.shape[0] // 150))
    return np.asarray(cv2.resize(canvas, (320, round(320 * image.shape[0] / image.shape[1]))), np.uint8)


def estimators(models: Sequence[Path]) -> Iterator[tuple[str, PoseEstimator]]:
    """A fresh one of each model."""
    like = next(open_bundle(model).manifest for model in models if model.is_dir())
    for model in models:
        if model.is_dir():
            bundle = open_bundle(model)
            yield bundle.manifest.name, PoseEstimator(bundle.load_model(1), lambda stage, seconds: None)
        else:
            yield model.stem, PeerEstimator(model, like)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="make bench-tracking", description=__doc__)
    parser.add_argument("clips", nargs="+", type=Path, help="video files")
    parser.add_argument("--models", nargs="+", type=Path, required=True, help="a bundle folder, and MoveNet files")
    parser.add_argument("--sheets", type=Path, metavar="DIR", help="write pictures there")
    arguments = parser.parse_args()
    if arguments.sheets:
        arguments.sheets.mkdir(parents=True, exist_ok=True)
    totals: dict[str, list[Followed]] = {}
    print("| clip | model | frames | lost | jitter |\n|---|---|---|---|---|")
    for clip in tqdm(arguments.clips, unit="clip", disable=None):
        followed = {name: follow(estimator, clip) for name, estimator in estimators(arguments.models)}
        for name, found in followed.items():
            totals.setdefault(name, []).append(found)
            tqdm.write(_line(clip.stem, name, [found]))
        if arguments.sheets:
            sheet(clip, followed, arguments.sheets / f"{clip.stem}.jpg")
    if len(arguments.clips) > 1:
        for name, all_found in totals.items():
            print(_line("all", name, all_found))


def _line(clip: str, model: str, found: Sequence[Followed]) -> str:
    counted, lost = sum(item.counted for item in found), sum(item.lost for item in found)
    jitter = np.concatenate([item.second_differences() for item in found])
    mean = f"{jitter.mean():.4f}" if jitter.size else "none"
    return f"| {clip} | {model} | {counted} | {lost} ({100 * lost / counted:.1f}%) | {mean} |"


if __name__ == "__main__":
    main()
