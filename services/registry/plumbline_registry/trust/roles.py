"""The roles of the repository, how long each signature holds, and who may send it."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Final, Literal

from plumbline_contract.channel import CHANNELS

Scope = Literal["publish", "promote", "sign", "device", "admin"]

ROOT: Final = "root"
TARGETS: Final = "targets"
SNAPSHOT: Final = "snapshot"
TIMESTAMP: Final = "timestamp"
ROLES: Final[tuple[str, ...]] = (ROOT, TARGETS, *CHANNELS, SNAPSHOT, TIMESTAMP)
"""In the order in which one vouches for the next; a set of documents is checked in this order."""

_YEAR: Final = timedelta(days=365)
LIFETIMES: Final[dict[str, timedelta]] = {
    ROOT: _YEAR,
    TARGETS: _YEAR,
    **dict.fromkeys(CHANNELS, _YEAR),
    SNAPSHOT: timedelta(days=30),
    TIMESTAMP: timedelta(days=7),
}
"""A device that is cut off from the signer notices after the timestamp's; the signer renews at half of it."""


def expiry(role: str) -> datetime:
    """When a document of this role that is signed now ends."""
    return datetime.now(timezone.utc).replace(microsecond=0) + LIFETIMES[role]


def scope_of(role: str) -> Scope:
    """What a token must be good for to send this role's documents."""
    if role in CHANNELS:
        return "promote"
    return "sign" if role in (SNAPSHOT, TIMESTAMP) else "admin"
