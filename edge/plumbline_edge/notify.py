"""Tells systemd how the service does (sd_notify), when it was started with Type=notify."""

from __future__ import annotations

import os
import socket


def is_supervised() -> bool:
    """Whether systemd started this and listens."""
    return bool(os.environ.get("NOTIFY_SOCKET"))


def notify(message: str) -> bool:
    """Send 'READY=1', 'WATCHDOG=1', 'STOPPING=1' or 'STATUS=...'; False when nobody listens."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            channel.sendto(message.encode(), address)
    except OSError:
        return False
    return True
