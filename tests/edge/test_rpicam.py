"""The Pi's camera through a program of the same command line, as no such camera is here."""

from __future__ import annotations

import re
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest

from plumbline_edge.errors import SourceUnavailable
from plumbline_edge.frame import CameraOptions
from plumbline_edge.playback import ReconnectingSource
from plumbline_edge.source import open_source

LEVELS = (60, 120, 180)
PROGRAM = """#!/usr/bin/env python3
import sys
words = sys.argv[1:]
open({log!r}, "w").write(" ".join(words))
width, height = (int(words[words.index(name) + 1]) for name in ("--width", "--height"))
for level in {levels}:
    sys.stdout.buffer.write(bytes([level]) * (width * height) + bytes([128]) * (width * height // 2))
"""


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> Path:
    log = folder / "log"
    program = folder / "rpicam-vid"
    program.write_text(script.format(log=str(log), levels=LEVELS))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return log


def test_pictures_come_through_the_pipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = install(tmp_path, monkeypatch, PROGRAM)
    source = open_source("picamera:1", CameraOptions(size=(128, 96), rate=15))
    levels = []
    while (frame := source.read()) is not None:
        assert frame.image_bgr_HW3.shape == (96, 128, 3)
        levels.append(int(frame.image_bgr_HW3.mean()))
    source.close()
    greys = [np.concatenate([np.full((2, 2), level, np.uint8), np.full((1, 2), 128, np.uint8)]) for level in LEVELS]
    assert levels == [int(cv2.cvtColor(grey, cv2.COLOR_YUV2BGR_I420).mean()) for grey in greys]
    assert re.search("--camera 1 --width 128 --height 96 --framerate 15", log.read_text())


ONE_PICTURE = """#!/usr/bin/env python3
import os, sys
if os.path.exists({log!r}) and open({log!r}).read().count("+") in (1, 2):
    open({log!r}, "a").write("+")
    sys.exit("no cameras available")
open({log!r}, "a").write("+")
sys.stdout.buffer.write(bytes([{levels}[0]]) * (128 * 96 * 3 // 2))
sys.exit(1)
"""
"""A camera that gives one picture, is away for the next two starts, and is there again."""


def test_a_camera_that_is_away_for_longer_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plumbline_edge.playback.RECONNECT_SECONDS", 0.01)
    log = install(tmp_path, monkeypatch, ONE_PICTURE)
    options = CameraOptions(size=(128, 96))
    opened = open_source("picamera", options)
    source = ReconnectingSource(opened, lambda: open_source("picamera", options), threading.Event())
    frames = [source.read(), source.read()]
    source.close()
    assert [frame.index for frame in frames if frame] == [0, 1]
    assert log.read_text() == "++++"
    assert opened.read() is None


def test_its_complaint_is_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, "#!/bin/sh\necho 'ERROR: *** no cameras available ***' >&2\nexit 255\n")
    with pytest.raises(SourceUnavailable, match=r"no cameras available.*rpicam-vid --list-cameras"):
        open_source("picamera")


WARNING = """#!/usr/bin/env python3
import sys
for _ in range(100):
    sys.stderr.write("WARN V4L2 v4l2_videodevice.cpp:2095 Dequeue timer has expired! " * 40 + "\\n")
sys.stderr.flush()
sys.stdout.buffer.write(bytes(128 * 96 * 3 // 2))
sys.stderr.write("ERROR: *** the cable is loose ***\\n\\n")
"""
"""More than the 64 kB that a pipe holds, before its picture."""


def test_a_camera_that_warns_much_gives_its_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plumbline_edge.rpicam.SILENCE_SECONDS", 3.0)
    install(tmp_path, monkeypatch, WARNING)
    source = open_source("picamera", CameraOptions(size=(128, 96)))
    assert source.read() is not None
    assert source.read() is None
    source.close()


def test_the_last_of_many_lines_is_its_complaint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, WARNING.replace("sys.stdout.buffer.write", "len"))
    with pytest.raises(SourceUnavailable, match=r"'picamera': ERROR: \*\*\* the cable is loose \*\*\*; see"):
        open_source("picamera", CameraOptions(size=(128, 96)))


def test_without_the_program_or_with_an_odd_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SourceUnavailable, match="install rpicam-apps"):
        open_source("picamera")
    install(tmp_path, monkeypatch, PROGRAM)
    with pytest.raises(SourceUnavailable, match="width 700 is no multiple of 64"):
        open_source("picamera", CameraOptions(size=(700, 480)))
