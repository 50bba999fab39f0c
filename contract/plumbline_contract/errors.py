"""One base for every error a user can cause or meet, so that a front end can print one clear line and exit."""

from __future__ import annotations

import zipfile
import zlib
from typing import Final

UNREADABLE: Final = (
    zipfile.BadZipFile, zlib.error, ValueError, KeyError, OSError, EOFError, NotImplementedError, TypeError,
    RuntimeError, MemoryError,
)  # fmt: skip
"""What reading a damaged archive of arrays, an encrypted one, or one that promises arrays without end is met with."""


class PlumblineError(Exception):
    """Base of all errors that Plumbline raises on purpose; the message says what happened and what to do."""


class InvalidManifest(PlumblineError):
    """A manifest does not parse, or its values contradict each other."""


class UnpublishableBundle(PlumblineError):
    """A bundle lacks what every published bundle must carry: digests, lineage, parity."""


class DigestMismatch(PlumblineError):
    """Bytes do not hash to the digest that names them."""

    def __init__(self, what: str, expected: str, actual: str) -> None:
        super().__init__(
            f"{what}: expected sha256 {expected!r}, got {actual!r}; the file is damaged or was changed, fetch it again"
        )
        self.what = what
        self.expected = expected
        self.actual = actual


class InvalidExercise(PlumblineError):
    """An exercise definition breaks the exercise schema."""


class InvalidSequence(PlumblineError):
    """A keypoint sequence has the wrong shape, or times that do not rise."""


class InvalidBox(PlumblineError):
    """A box has no area, or holds a number that is not finite."""


class InvalidEvaluation(PlumblineError):
    """evaluation.npz cannot be read, or contradicts itself."""
