"""Which registry a command talks to, and as whom."""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path
from typing import Final

from plumbline_registry.errors import RegistryError
from plumbline_registry.settings import ENV_PREFIX

TOKEN_VARIABLE: Final = f"{ENV_PREFIX}TOKEN"
URL_VARIABLE: Final = f"{ENV_PREFIX}URL"
DEFAULT_URL: Final = "http://127.0.0.1:8100"


class InvalidToken(RegistryError):
    """The publisher gave no token, or something that is none."""


def add_connection(parser: argparse.ArgumentParser, *, writes: bool) -> None:
    """The flags --url and, for writers, --token-file."""
    parser.add_argument("--url", default=os.environ.get(URL_VARIABLE, DEFAULT_URL), help="the registry (%(default)s)")
    if writes:
        parser.add_argument("--token-file", type=Path, help=f"file with the write token (else ${TOKEN_VARIABLE})")


def read_token(path: Path | None) -> str:
    """The token from the file, else from the environment. Raises InvalidToken."""
    where = f"token file {str(path)!r}" if path else f"variable {TOKEN_VARIABLE}"
    try:
        token = (path.read_text() if path else os.environ.get(TOKEN_VARIABLE, "")).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidToken(f"{where} cannot be read: {error}") from error
    if not token:
        raise InvalidToken(f"{where} holds no token; give --token-file FILE or set {TOKEN_VARIABLE}")
    if re.fullmatch(r"[!-~]+", token) is None:
        raise InvalidToken(f"{where} holds more than one word; it should hold what `plumbline-registry token` printed")
    return token
