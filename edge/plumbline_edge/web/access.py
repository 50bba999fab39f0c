"""Who may look: everybody on this machine, and from elsewhere whoever has the token."""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import ipaddress
import os
import secrets
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, quote, urlsplit

from starlette.requests import HTTPConnection
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from plumbline_edge.addresses import without_brackets
from plumbline_edge.errors import InvalidSettings
from plumbline_edge.settings import EdgeSettings
from plumbline_edge.state import sync_folder
from plumbline_edge.web.problems import PROBES, problem

LEAST_CHARACTERS: Final = 16


@dataclass(frozen=True)
class Access:
    """The page's token; None where none is needed."""

    token: str | None
    this_machine_only: bool = False
    """Nobody else can reach the address, unless by a page elsewhere whose name was made to resolve to it."""

    @property
    def query(self) -> str:
        """What the page's address ends with, for the first visit."""
        return "" if self.token is None else f"?token={quote(self.token, safe='')}"

    @property
    def cookie(self) -> str:
        """The cookie's name, of this token alone: a browser keeps one set of cookies for all ports of a host."""
        return f"plumbline_{hashlib.sha256((self.token or '').encode()).hexdigest()[:8]}"


def access_of(settings: EdgeSettings, *, makes_token: bool = True) -> Access:
    """No token while the page listens on this machine alone or is said to be open. Raises InvalidSettings.

    `makes_token`: where there is none, as the service does; a visitor's own would fit no service.
    """
    if settings.open_page:
        return Access(None)
    if _is_loopback(settings.host):
        return Access(None, this_machine_only=True)
    return Access(_token(settings.token_file or settings.state / "page-token", makes_token=makes_token))


def _token(path: Path, *, makes_token: bool) -> str:
    try:
        if not path.exists() or _is_empty(path):
            if not makes_token:
                raise InvalidSettings(
                    f"token file {str(path)!r}: no token is there; name the service's own token_file or its"
                    " --state, or give --url as the service printed it"
                )
            _make_token(path)
        token = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSettings(f"token file {str(path)!r}: {error}; name another with token_file") from error
    if len(token) < LEAST_CHARACTERS:
        raise InvalidSettings(f"token file {str(path)!r}: shorter than {LEAST_CHARACTERS} characters; remove the file")
    return token


def _is_empty(path: Path) -> bool:
    """A file without content, which a power cut may leave; a pipe has no size either, and its content is to come."""
    return path.is_file() and path.stat().st_size == 0


def _make_token(path: Path) -> None:
    """Put a token where there is none, whole or not at all, and never over one that another process put there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "rb") as place:
        fcntl.flock(place, fcntl.LOCK_EX)
        # Who waited for the lock may hold the file that was there before.
        if not os.path.samestat(os.fstat(place.fileno()), path.stat()) or not _is_empty(path):
            return
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(secrets.token_urlsafe(24))
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    sync_folder(path.parent)


def _is_loopback(host: str) -> bool:
    name = without_brackets(host).partition("%")[0]
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return name == "localhost"
    # A listener on :: sees 127.0.0.1 as ::ffff:127.0.0.1, which is no loopback to Python 3.11.
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


class TokenGate:
    """ASGI middleware: 401 without the token; a visit with ?token=... is given a cookie and the plain address."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._token, self._cookie = access.token, access.cookie
        self._this_machine_only = access.this_machine_only

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through, or answer it."""
        answer = self._answer(HTTPConnection(scope)) if scope["type"] in ("http", "websocket") else None
        await (self._app if answer is None else answer)(scope, receive, send)

    def _answer(self, request: HTTPConnection) -> Response | None:
        # The URL is put together from the Host header, which whoever asks may choose.
        path = request.scope["path"]
        if path in PROBES or _is_local(request):
            return None
        if self._this_machine_only:
            message = "this service answers to localhost alone; open http://localhost, or set open_page or another host"
            return problem(403, "not_this_machine", message)
        if self._token is None:
            return None
        given = parse_qs(request.url.query).get("token", [""])[0]
        if given and self._is_right(given):
            others = "&".join(part for part in request.url.query.split("&") if not part.startswith("token="))
            place = f"/{path.lstrip('/')}" + (f"?{others}" if others else "")
            response = RedirectResponse(place, status_code=303)
            # A strict one would be withheld from the address that a link on another site is sent on to.
            response.set_cookie(self._cookie, given, httponly=True, samesite="lax", max_age=30 * 24 * 3600)
            return response
        cookie = request.cookies.get(self._cookie, "")
        scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
        if self._is_right(cookie) or (scheme.lower() == "bearer" and self._is_right(bearer.strip())):
            return None
        message = "open the address that the service printed at its start, which ends with ?token=..."
        return problem(401, "token_needed", message)

    def _is_right(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), (self._token or "").encode())


def _is_local(request: HTTPConnection) -> bool:
    """From this machine and to its own name, which a page elsewhere that was made to resolve to it does not say."""
    return request.client is not None and _is_loopback(request.client.host) and _is_loopback(_asked_name(request))


def _asked_name(request: HTTPConnection) -> str:
    # Starlette's URL has the listener's own address in the place of a Host header that it cannot parse.
    try:
        return urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
    except ValueError:
        return ""
