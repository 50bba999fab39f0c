"""Files in real time, streams that come back."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from tests.edge.dots import write_video
from tests.edge.http_fixtures import mjpeg_camera

from plumbline_edge.errors import SourceUnavailable
from plumbline_edge.frame import Frame, FrameSource
from plumbline_edge.playback import PacedSource, ReconnectingSource, as_live
from plumbline_edge.source import open_source


def test_file_plays_at_its_own_speed(tmp_path: Path) -> None:
    path = str(write_video(tmp_path / "clip.mp4", frames=11, rate=50.0))
    source = as_live(open_source(path), lambda: open_source(path), threading.Event(), loop=False)
    started_at = time.monotonic()
    frames = []
    while (frame := source.read()) is not None:
        frames.append(frame)
    assert isinstance(source, PacedSource)
    assert len(frames) == 11
    assert 0.2 <= time.monotonic() - started_at < 3.0


def test_loop_goes_on_in_time_and_number(tmp_path: Path) -> None:
    path = str(write_video(tmp_path / "clip.mp4", frames=3, rate=100.0))
    source = PacedSource(open_source(path), lambda: open_source(path), threading.Event(), loop=True)
    frames = [source.read() for _ in range(8)]
    assert [frame.index for frame in frames if frame] == list(range(8))
    assert [frame.timestamp_seconds for frame in frames if frame] == pytest.approx([i / 100 for i in range(8)])


def test_stream_that_hangs_up_is_opened_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plumbline_edge.playback.RECONNECT_SECONDS", 0.05)
    with mjpeg_camera(pictures_a_connection=6) as url:
        source = ReconnectingSource(open_source(url), lambda: open_source(url), threading.Event())
        frames = [source.read() for _ in range(12)]
    assert [frame.index for frame in frames if frame] == list(range(12))
    assert source.reconnects >= 1


def test_reconnecting_waits_out_failures_until_told_to_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plumbline_edge.playback.RECONNECT_SECONDS", 0.01)
    stop = threading.Event()
    attempts = 0

    class Ended:
        name, live, frame_rate = "camera", True, 30.0

        def read(self) -> Frame | None:
            return None

        def close(self) -> None:
            pass

    def reopen() -> FrameSource:
        nonlocal attempts
        attempts += 1
        if attempts == 5:
            stop.set()
        raise SourceUnavailable("still unplugged")

    assert ReconnectingSource(Ended(), reopen, stop).read() is None
    assert attempts == 5
