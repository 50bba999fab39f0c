"""Whether the running service is well with a new bundle, watched from outside as a person would."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import httpx

from plumbline_edge.addresses import require_url
from plumbline_edge.errors import UnhealthyBundle

_LOOK_SECONDS: Final = 1.0
_BUNDLE: Final = re.compile(r'^plumbline_edge_bundle_info\{[^}]*manifest_sha256="([0-9a-f]{64})"', re.MULTILINE)


@dataclass(frozen=True)
class HealthWatch:
    """Where the service answers, how long it may take to be ready, and how long it is then watched."""

    url: str
    ready_seconds: float = 60.0
    watch_seconds: float = 30.0
    sleep: Callable[[float], None] = time.sleep

    def __post_init__(self) -> None:
        """Raise InvalidSettings for what is no URL, before anything was changed."""
        require_url("health_url", self.url)

    def problem(self, manifest_sha256: str) -> str | None:
        """What is wrong with the service now; None if it is well and runs this bundle."""
        with self._client() as client:
            return _problem(client, manifest_sha256)

    def watch(self, manifest_sha256: str) -> None:
        """Return once the service ran this bundle, well, for the whole time. Raises UnhealthyBundle."""
        with self._client() as client:
            self._until_ready(client, manifest_sha256)
            deadline = time.monotonic() + self.watch_seconds
            while time.monotonic() < deadline:
                if problem := _problem(client, manifest_sha256):
                    raise UnhealthyBundle(f"{self.url}: {problem} within {self.watch_seconds:g} s of the new bundle")
                self.sleep(_LOOK_SECONDS)

    def _client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=5.0)

    def _until_ready(self, client: httpx.Client, manifest_sha256: str) -> None:
        deadline = time.monotonic() + self.ready_seconds
        while problem := _problem(client, manifest_sha256):
            if time.monotonic() > deadline:
                raise UnhealthyBundle(f"{self.url}: {problem}, {self.ready_seconds:g} s after the bundle changed")
            self.sleep(_LOOK_SECONDS)


def _problem(client: httpx.Client, manifest_sha256: str) -> str | None:
    """What is wrong with the service; None if it is ready and runs this bundle."""
    try:
        ready, metrics = client.get("/readyz"), client.get("/metrics")
    except httpx.HTTPError as error:
        return f"does not answer ({type(error).__name__})"
    if ready.status_code != 200:
        return f"is not ready ({' '.join(ready.text.split())[:200]})"
    running = _BUNDLE.search(metrics.text)
    if running is None or running[1] != manifest_sha256:
        return f"runs {running[1][:12] if running else 'no bundle'}, not {manifest_sha256[:12]}"
    return None
