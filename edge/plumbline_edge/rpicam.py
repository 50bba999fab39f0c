"""The Raspberry Pi's own camera: raw pictures through a pipe from rpicam-vid (libcamera-vid of older systems).

Python's picamera2 would give the same pictures, but Ubuntu does not package it; this needs nothing but the programs.
"""

from __future__ import annotations

import re
import select
import shutil
import subprocess
import threading
import time
from typing import IO, Final

import cv2
import numpy as np

from plumbline_edge.errors import SourceUnavailable
from plumbline_edge.frame import DEFAULT_FRAME_RATE, DEFAULT_SIZE, CameraOptions, Frame

PI_CAMERA: Final = re.compile(r"picamera(?::(\d))?")
"""`picamera`, or `picamera:1` for the second one."""
PROGRAMS: Final = ("rpicam-vid", "libcamera-vid")
ROW_ALIGNMENT: Final = 64
"""The camera's memory pads rows to this many bytes; other widths would arrive with a margin."""
SILENCE_SECONDS: Final = 5.0
END_SECONDS: Final = 2.0
LINE_BYTES: Final = 4096
"""A longer line of what the program says is taken as several."""


class LastLine:
    """Reads all that a program says, so that it never waits for a reader, and keeps its last line."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self._pipe = pipe
        self._line = ""
        self._thread = threading.Thread(target=self._read, name="rpicam", daemon=True)
        self._thread.start()

    def _read(self) -> None:
        # Closed here, as closing would wait for a read that is under way in another thread.
        with self._pipe:
            while said := self._pipe.readline(LINE_BYTES):
                self._line = said.decode(errors="replace").strip() or self._line

    def read(self) -> str:
        """The last line, empty without any, of a program that has ended: what it said at its end is waited for."""
        self._thread.join(END_SECONDS)
        return self._line


class RpicamSource:
    """Pictures of a camera module."""

    def __init__(self, source: str, options: CameraOptions) -> None:
        """Start the program. Raises SourceUnavailable when it is not installed or gives no picture."""
        self.name: str = source
        self.live: bool = True
        self.frame_rate: float = options.rate or DEFAULT_FRAME_RATE
        self._width, self._height = options.size or DEFAULT_SIZE
        self._index = 0
        self._first: Frame | None = None
        program = next((found for name in PROGRAMS if (found := shutil.which(name))), None)
        if program is None:
            raise SourceUnavailable(f"source {source!r}: neither {' nor '.join(PROGRAMS)} is here; install rpicam-apps")
        if self._width % ROW_ALIGNMENT or self._height % 2:
            raise SourceUnavailable(
                f"source {source!r}: width {self._width} is no multiple of {ROW_ALIGNMENT} or height {self._height} is"
                " odd; choose 640x480, 1280x720 or 1920x1080 as resolution"
            )
        match = PI_CAMERA.fullmatch(source)
        self._process = subprocess.Popen(
            self._command(program, (match and match[1]) or "0"), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert self._process.stderr is not None
        self._said = LastLine(self._process.stderr)
        self._first = self.read()
        if self._first is None:
            raise SourceUnavailable(f"source {source!r}: {self._complaint()}; see `{PROGRAMS[0]} --list-cameras`")

    def _command(self, program: str, camera: str) -> list[str]:
        size = ["--width", str(self._width), "--height", str(self._height), "--framerate", f"{self.frame_rate:g}"]
        quiet = ["--nopreview", "--verbose", "0"]
        return [program, "--camera", camera, *size, *quiet, "--codec", "yuv420", "--timeout", "0", "--output", "-"]

    def read(self) -> Frame | None:
        """The next picture; None when the program ended or stayed silent."""
        if self._first is not None:
            first, self._first = self._first, None
            return first
        rows = self._height * 3 // 2
        raw = self._exactly(rows * self._width)
        if raw is None:
            return None
        captured_at = time.monotonic()
        planes = np.frombuffer(raw, np.uint8).reshape(rows, self._width)
        image_bgr_HW3 = np.asarray(cv2.cvtColor(planes, cv2.COLOR_YUV2BGR_I420), dtype=np.uint8)
        self._index += 1
        return Frame(image_bgr_HW3, captured_at, self._index - 1, captured_at)

    def _exactly(self, size: int) -> bytes | None:
        pipe = self._process.stdout
        assert pipe is not None
        if pipe.closed:
            return None
        raw = bytearray()
        while len(raw) < size:
            if not select.select([pipe], [], [], SILENCE_SECONDS)[0]:
                return None
            block = pipe.read1(size - len(raw))  # type: ignore[attr-defined]  # a BufferedReader
            if not block:
                return None
            raw += block
        return bytes(raw)

    def _complaint(self) -> str:
        """What the program said last, after which it is stopped."""
        self.close()
        return self._said.read() or f"no picture in {SILENCE_SECONDS:g} s"

    def close(self) -> None:
        """Stop the program; reading afterwards gives None."""
        self._process.terminate()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
