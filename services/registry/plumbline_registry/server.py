"""Runs the application on a socket of its own choosing, so that a taken port is one clear line."""

from __future__ import annotations

import socket
from typing import Any, Final

import uvicorn
from pydantic import ValidationError

from plumbline_registry.app import create_app
from plumbline_registry.errors import RegistryError
from plumbline_registry.settings import ENV_PREFIX, Settings

_BACKLOG: Final = 2048
_SHUTDOWN_SECONDS: Final = 10
_SECRETS: Final = frozenset({"write_token", "s3_access_key_id", "s3_secret_access_key", "database_url"})
"""Settings whose value no message shows; a database's URL may hold a password."""


class InvalidSettings(RegistryError):
    """A setting has a value that it cannot have."""


class AddressUnavailable(RegistryError):
    """The address cannot be listened on."""


def load_settings(**given: Any) -> Settings:
    """Settings from the environment; what is given and not None wins. Raises InvalidSettings."""
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        if not first["loc"]:
            raise InvalidSettings(f"settings {ENV_PREFIX}*: {first['msg']}") from error
        name = str(first["loc"][0])
        value = "" if name in _SECRETS else f", got {first['input']!r}"
        raise InvalidSettings(f"setting {name} ({ENV_PREFIX}{name.upper()}): {first['msg']}{value}") from error


def serve(settings: Settings) -> None:
    """Serve until a signal. Raises AddressUnavailable, StorageUnavailable, StorageFull before it listens."""
    listener = listen(settings.host, settings.port)
    with listener:
        app = create_app(settings)
        host, port = listener.getsockname()[:2]
        print(f"registry on http://{f'[{host}]' if ':' in host else host}:{port} (API: /docs)", flush=True)  # noqa: T201
        config = uvicorn.Config(
            app,
            log_level="info",
            timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
            forwarded_allow_ips=settings.trusted_proxies,
        )
        try:
            uvicorn.Server(config).run(sockets=[listener])
        except KeyboardInterrupt:
            return


def listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise AddressUnavailable(
            f"cannot listen on {host!r} port {port}: {error.strerror}; choose another with --host and --port"
        ) from error
    # Connections inherit it. asyncio sets it only on sockets whose protocol is named, and without it every answer on a
    # kept connection waits 40 ms for the client's delayed acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener
