"""Who may write, and what: named tokens with scopes and an end, of which only hashes are stored."""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Final, get_args

from pydantic import AwareDatetime, BaseModel, ConfigDict, RootModel, ValidationError

from plumbline_registry.errors import Forbidden, RegistryError, StorageUnavailable, Unauthorised, WritesDisabled
from plumbline_registry.trust.roles import Scope

DEFAULT_NAME: Final = "publisher"
DEFAULT_SCOPES: Final[tuple[Scope, ...]] = ("publish", "promote")
SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


class InvalidTokenName(RegistryError):
    """A token's name would not read well as an actor in the history, or there is no token of this name."""


class InvalidTokenLife(RegistryError):
    """A token cannot end when it was asked to."""


class StoredToken(BaseModel):
    """What is kept of a token. Tokens carry 256 random bits, so a plain hash cannot be guessed back."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: str
    scopes: tuple[Scope, ...]
    expires_at: AwareDatetime


class _TokensFile(RootModel[dict[str, StoredToken]]):
    """name -> token."""


@dataclass(frozen=True)
class Grant:
    """What the token of a request is good for."""

    name: str
    scopes: tuple[Scope, ...]

    def require(self, scope: Scope) -> Grant:
        """Raise Forbidden unless the token has the scope."""
        if scope not in self.scopes:
            raise Forbidden(
                f"token {self.name!r} has the scopes {', '.join(self.scopes)}, this needs {scope!r}; make one with"
                f" `plumbline-registry token --scope {scope}`"
            )
        return self


def hash_token(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def create_token(
    path: Path, name: str = DEFAULT_NAME, scopes: Sequence[Scope] = DEFAULT_SCOPES, days: int = 365
) -> str:
    """Make a token, store its hash under `name` (an earlier one of that name ends) and return it, this once."""
    if _NAME.fullmatch(name) is None:
        raise InvalidTokenName(f"token name {name!r}: use lower-case letters, digits, '.', '_' and '-', 64 at most")
    token = secrets.token_urlsafe(32)
    try:
        expires_at = datetime.now(timezone.utc) + timedelta(days=days)
    except OverflowError as error:
        raise InvalidTokenLife(f"{days} days: no calendar goes so far; give fewer") from error
    stored = StoredToken(sha256=hash_token(token), scopes=tuple(scopes), expires_at=expires_at)
    with _alone(path):
        _write(path, _TokensFile({**read_tokens_file(path), name: stored}))
    return token


def revoke_token(path: Path, name: str) -> None:
    """End a token at once. Raises InvalidTokenName if there is none of this name."""
    with _alone(path):
        tokens = read_tokens_file(path)
        if name not in tokens:
            raise InvalidTokenName(f"no token is called {name!r}; there are {sorted(tokens) or 'none'}")
        _write(path, _TokensFile({other: token for other, token in tokens.items() if other != name}))


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """No other process changes the file meanwhile, or one's change would undo the other's."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(path.parent, os.O_RDONLY)
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _write(path: Path, content: _TokensFile) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(content.model_dump_json(indent=2) + "\n")
            file.flush()
            if os.geteuid() == 0:
                _give_to_owner(file.fileno(), path)
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> StorageUnavailable:
    return StorageUnavailable(f"tokens file {str(path)!r} cannot be written: {error.strerror}")


def _give_to_owner(descriptor: int, path: Path) -> None:
    """Made by root, 0600 and root's own, the file would be closed to the user that the registry runs as."""
    owner = (path if path.exists() else path.parent).stat()
    os.fchown(descriptor, owner.st_uid, owner.st_gid)


def read_tokens_file(path: Path) -> dict[str, StoredToken]:
    """The tokens by name; a file that is not there holds none."""
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
        self._fixed = write_token

    def grant(self, token: str | None) -> Grant:
        """Raises WritesDisabled if no token exists, Unauthorised if this one is not known or has ended."""
        known = [*read_tokens_file(self._tokens_file).items()]
        if self._fixed is not None:
            fixed = StoredToken(
                sha256=hash_token(self._fixed), scopes=SCOPES, expires_at=datetime.max.replace(tzinfo=timezone.utc)
            )
            known.append((DEFAULT_NAME, fixed))  # beside a token of that name in the file
        if not known:
            raise WritesDisabled("this registry has no write token; make one with `plumbline-registry token`")
        if token is None:
            raise Unauthorised("writing needs a token; send the header 'Authorization: Bearer <token>'")
        digest = hash_token(token)
        # Every entry is compared, in constant time each, so that the time taken says nothing.
        matches = [(name, stored) for name, stored in known if hmac.compare_digest(stored.sha256, digest)]
        if not matches:
            raise Unauthorised("the token is not known to this registry; make one with `plumbline-registry token`")
        name, stored = matches[0]
        if stored.expires_at < datetime.now(timezone.utc):
            raise Unauthorised(f"token {name!r} ended {stored.expires_at:%Y-%m-%d}; make a new one with `token`")
        return Grant(name, stored.scopes)
