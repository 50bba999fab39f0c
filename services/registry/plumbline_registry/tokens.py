"""Who may write: named tokens, of which only hashes are stored."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
from pathlib import Path
from typing import Final

from pydantic import RootModel, ValidationError

from plumbline_registry.errors import RegistryError, StorageUnavailable, Unauthorised, WritesDisabled

DEFAULT_NAME: Final = "publisher"
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


class InvalidTokenName(RegistryError):
    """A token's name would not read well as an actor in the history."""


class _TokensFile(RootModel[dict[str, str]]):
    """name -> sha256 of the token. Tokens carry 256 random bits, so a plain hash cannot be guessed back."""


def hash_token(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def create_token(path: Path, name: str = DEFAULT_NAME) -> str:
    """Make a token, store its hash under `name` (an earlier one of that name ends) and return it, this once."""
    if _NAME.fullmatch(name) is None:
        raise InvalidTokenName(f"token name {name!r}: use lower-case letters, digits, '.', '_' and '-', 64 at most")
    hashes = read_tokens_file(path)
    token = secrets.token_urlsafe(32)
    _write(path, _TokensFile({**hashes, name: hash_token(token)}))
    return token


def _write(path: Path, content: _TokensFile) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(content.model_dump_json(indent=2) + "\n")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise StorageUnavailable(f"tokens file {str(path)!r} cannot be written: {error.strerror}") from error


def read_tokens_file(path: Path) -> dict[str, str]:
    """Token names and hashes; a file that is not there holds none."""
    try:
        return _TokensFile.model_validate_json(path.read_bytes()).root
    except FileNotFoundError:
        return {}
    except (OSError, ValidationError) as error:
        raise StorageUnavailable(
            f"tokens file {str(path)!r} cannot be read; make it again with `plumbline-registry token`"
        ) from error


class TokenVerifier:
    """Answers who a token belongs to. The file is read at every write, so that a removed token ends at once."""

    def __init__(self, tokens_file: Path, write_token: str | None = None) -> None:
        self._tokens_file = tokens_file
        self._fixed = {} if write_token is None else {DEFAULT_NAME: hash_token(write_token)}

    def actor(self, token: str | None) -> str:
        """The token's name. Raises WritesDisabled if no token exists, Unauthorised if this one is not known."""
        known = [*read_tokens_file(self._tokens_file).items(), *self._fixed.items()]
        if not known:
            raise WritesDisabled("this registry has no write token; make one with `plumbline-registry token`")
        if token is None:
            raise Unauthorised("writing needs a token; send the header 'Authorization: Bearer <token>'")
        digest = hash_token(token)
        # Every entry is compared, in constant time each, so that the time taken says nothing.
        matches = [name for name, stored in known if hmac.compare_digest(stored.encode(), digest.encode())]
        if not matches:
            raise Unauthorised("the token is not known to this registry; make one with `plumbline-registry token`")
        return matches[0]
