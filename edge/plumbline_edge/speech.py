"""Cues said aloud by espeak-ng, where it is installed."""

from __future__ import annotations

import shutil
import subprocess
from typing import Final

from plumbline_edge.errors import InvalidSettings
from plumbline_edge.logs import warn

PROGRAM: Final = "espeak-ng"
WORDS_A_MINUTE: Final = 165


class Speaker:
    """Says one thing at a time without keeping anybody waiting."""

    def __init__(self) -> None:
        """Raises InvalidSettings when espeak-ng is not installed."""
        path = shutil.which(PROGRAM)
        if path is None:
            raise InvalidSettings(f"{PROGRAM!r} is not installed, so cues cannot be spoken: apt install {PROGRAM}")
        self._path = path
        self._speaking: subprocess.Popen[bytes] | None = None
        self._warned = False

    def say(self, text: str) -> None:
        """Say a text in the background; while something is being said, the new text is left out.

        A program that cannot be started any more is told of once: what is seen goes on being shown.
        """
        if self._speaking is not None and self._speaking.poll() is None:
            return
        # "--": a cue is data, and one that begins with a dash must not become an option.
        command = [self._path, "-s", str(WORDS_A_MINUTE), "--", text]
        quiet = subprocess.DEVNULL
        try:
            self._speaking = subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet)
        except OSError as error:
            self._warn(error)

    def wait(self) -> None:
        """Until what is being said has been said."""
        if self._speaking is not None:
            self._speaking.wait()

    def _warn(self, error: OSError) -> None:
        if not self._warned:
            warn(f"cues are not spoken: {self._path}: {error.strerror}; apt install {PROGRAM}")
        self._warned = True
