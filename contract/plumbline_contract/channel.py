"""Channels, and where the signed metadata of The Update Framework keeps what a channel gives."""

from __future__ import annotations

from typing import Final, Literal, get_args

from plumbline_contract.manifest import MANIFEST_FILE

Channel = Literal["dev", "canary", "stable"]
CHANNELS: Final[tuple[Channel, ...]] = get_args(Channel)


def target_path(channel: str, name: str) -> str:
    """The TUF target of a bundle in a channel: its manifest, whose digests vouch for the bundle's other files."""
    return f"{channel}/{name}/{MANIFEST_FILE}"


def channel_pattern(channel: str) -> str:
    """The target paths that a channel's role may sign for, as a TUF path pattern."""
    return target_path(channel, "*")
