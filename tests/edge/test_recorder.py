"""The annotated video is there whole, or not at all."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest

from plumbline_edge.errors import OutputUnwritable
from plumbline_edge.recorder import VideoRecorder

FULL_AFTER_BYTES = 100_000


@contextmanager
def disk_with(free_bytes: int) -> Iterator[None]:
    """No file of this process grows beyond `free_bytes`: to a writer the same as a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (free_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def record(recorder: VideoRecorder, frames: int) -> None:
    random = np.random.default_rng(0)
    for _ in range(frames):
        recorder.write(random.integers(0, 255, (120, 160, 3), dtype=np.uint8))


@pytest.mark.parametrize("frames", [1, 40])
def test_video_appears_when_finished(tmp_path: Path, frames: int) -> None:
    recorder = VideoRecorder(tmp_path / "out.mp4", 25.0)
    record(recorder, frames)
    assert not (tmp_path / "out.mp4").exists()
    recorder.finish()
    recorder.discard()
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]
    assert cv2.VideoCapture(str(tmp_path / "out.mp4")).get(cv2.CAP_PROP_FRAME_COUNT) == frames


def test_full_disk_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "out.mp4").write_bytes(b"the video of before")
    with disk_with(FULL_AFTER_BYTES):
        recorder = VideoRecorder(tmp_path / "out.mp4", 25.0)
        record(recorder, 40)
        with pytest.raises(OutputUnwritable, match=r"only \d+ of 40 frames could be written; free space"):
            recorder.finish()
        recorder.discard()
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]
    assert (tmp_path / "out.mp4").read_bytes() == b"the video of before"
