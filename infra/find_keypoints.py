"""Takes rendered clips through the edge's own pipeline and measures its errors, for docs/coach.md.

python -m infra.find_keypoints CLIPS OUT [--bundle DIR]: CLIPS is what `plumbline-render clips` wrote, with videos. OUT
gets NAME.npy (T, 17, 3), which `infra.evaluate_coach_clips --found OUT` judges, and found.json, which says of which
bundle they are; printed is the noise that `infra.coach_eyes` adds to exact keypoints in place of pixels. OUT/errors.npz
is what `plumbline-train-form --errors` learns with.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from infra.bench_tracking import follow
from infra.coach_eyes import clip_torso_px
from infra.evaluate_coach_rendered import exercise_of
from tqdm import tqdm

from plumbline_contract.form import RATE_HZ
from plumbline_contract.sequence import resample
from plumbline_edge.bundle import open_bundle
from plumbline_edge.estimator import PoseEstimator
from plumbline_training.form.errors import ErrorTrack, Noise, error_track, save_error_tracks

FOUND: Final = "found.json"
ROOT: Final = Path(__file__).resolve().parents[1]
VISIBLE: Final = 2
LEAST_FRAMES: Final = 15
SLOW_SECONDS: Final = 0.5
MAD_TO_SIGMA: Final = 1.4826
"""Deviation of a normal distribution over its median absolute one: errors have heavy tails, which are left out here."""


@dataclass(frozen=True)
class Errors:
    """Errors in torso lengths of the visible keypoints of one clip; NaN elsewhere."""

    error_TK2: npt.NDArray[np.float64]

    @property
    def distances(self) -> npt.NDArray[np.float64]:
        """Of each visible keypoint in each frame."""
        distance_TK = np.linalg.norm(self.error_TK2, axis=-1)
        return np.asarray(distance_TK[np.isfinite(distance_TK)])


def errors_of(clip: dict[str, Any], found_TK3: npt.NDArray[np.floating]) -> Errors:
    """What was found against what is true."""
    truth_TK3 = np.array(clip["keypoints"], dtype=np.float64)
    error_TK2 = (found_TK3[..., :2] - truth_TK3[..., :2]) / clip_torso_px(truth_TK3)
    there_TK = (truth_TK3[..., 2] == VISIBLE) & (found_TK3[..., 2] > 0)
    return Errors(np.where(there_TK[..., None], error_TK2, np.nan))


def error_track_of(clip: dict[str, Any], found_TK3: npt.NDArray[np.floating]) -> ErrorTrack:
    """The same at the judge's rate, of all keypoints in the picture."""
    truth_TK3, times_T = np.array(clip["keypoints"], dtype=np.float64), np.arange(len(found_TK3)) / float(clip["fps"])
    truth_TK3[..., 2] = truth_TK3[..., 2] > 0
    truth_tK3, found_tK3 = (resample(points, times_T, RATE_HZ)[0] for points in (truth_TK3, found_TK3))
    true_tK2 = np.where(truth_tK3[..., 2:] > 0, truth_tK3[..., :2], np.nan)
    exercise, azimuth = exercise_of(clip).name, float(clip["camera"]["azimuth_degrees"])
    return error_track(exercise, azimuth, true_tK2, found_tK3, clip_torso_px(truth_TK3))


def noise_of(clips: Sequence[Errors]) -> Noise:
    """Split into what stays throughout a clip, what changes slowly, and what each frame has by itself. Deviations."""
    constant, rest, jumps = [], [], []
    for clip in clips:
        for track_T2 in np.moveaxis(clip.error_TK2, 1, 0):
            if np.isfinite(track_T2[:, 0]).sum() < LEAST_FRAMES:
                continue
            middle_2 = np.nanmedian(track_T2, axis=0)
            constant.append(middle_2)
            rest.append(track_T2 - middle_2)
            jumps.append(track_T2[2:] - 2 * track_T2[1:-1] + track_T2[:-2])
    white = _deviation(np.concatenate(jumps)) / np.sqrt(6)
    both = _deviation(np.concatenate(rest))
    return Noise(
        constant=_deviation(np.array(constant)),
        slow=float(np.sqrt(max(both**2 - white**2, 0.0))),
        slow_seconds=SLOW_SECONDS,
        white=float(white),
    )


def _deviation(values: npt.NDArray[np.float64]) -> float:
    known = values[np.isfinite(values)]
    return float(MAD_TO_SIGMA * np.median(np.abs(known - np.median(known))))


def keep_bundle(out: Path, manifest_sha256: str) -> None:
    """Note whose keypoints OUT holds. Raises ValueError for those of another bundle, or of one that is not known."""
    noted = out / FOUND
    if any(out.glob("*.npy")):
        begun = json.loads(noted.read_bytes())["manifest_sha256"] if noted.is_file() else None
        if begun != manifest_sha256:
            whose = "a bundle that it does not name" if begun is None else f"the bundle of manifest {begun!r}"
            raise ValueError(
                f"{out} holds keypoints of {whose}, --bundle has {manifest_sha256!r}; "
                "name another OUT, or remove its .npy"
            )
    noted.write_text(json.dumps({"manifest_sha256": manifest_sha256}) + "\n", encoding="utf-8")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m infra.find_keypoints", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clips", type=Path, metavar="CLIPS", help="folder of NAME.json and videos")
    parser.add_argument("out", type=Path, metavar="OUT", help="folder for NAME.npy; those that are there are kept")
    parser.add_argument("--bundle", type=Path, default=ROOT / "models/hrnet-edge-s", help="default: the shipped model")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    bundle, errors, tracks = open_bundle(arguments.bundle), list[Errors](), list[ErrorTrack]()
    try:
        keep_bundle(arguments.out, bundle.manifest_sha256)
    except ValueError as error:
        parser.error(str(error))
    for path in tqdm(sorted(arguments.clips.glob("*_*.json")), unit="clip", disable=None):
        clip, saved = json.loads(path.read_bytes()), arguments.out / f"{path.stem}.npy"
        if clip["video"] is None:
            parser.error(f"{path} has no video; render clips without --keypoints-only")
        if not saved.is_file():
            estimator = PoseEstimator(bundle.load_model(1), lambda stage, seconds: None)
            np.save(saved, follow(estimator, path.parent / clip["video"]).keypoints_TK3)
        errors.append(errors_of(clip, np.load(saved)))
        tracks.append(error_track_of(clip, np.load(saved)))
    if not errors:
        parser.error(f"{arguments.clips} holds no clips; make some: plumbline-render clips --out DIR --count 20")
    save_error_tracks(tracks, arguments.out / "errors.npz")
    distances = np.concatenate([clip.distances for clip in errors])
    print(f"{len(errors)} clips: median error {np.median(distances):.3f} torso lengths, mean {distances.mean():.3f}")
    print(noise_of(errors))


if __name__ == "__main__":
    main()
