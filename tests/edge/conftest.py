"""The terminal's OpenCV is as quiet as the command line makes it."""

from __future__ import annotations

import os

import pytest

from plumbline_edge.cli import silence_opencv


@pytest.fixture(autouse=True, scope="session")
def _quiet_opencv() -> None:
    silence_opencv()


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("PLUMBLINE_EDGE_") or name == "NOTIFY_SOCKET":
            monkeypatch.delenv(name)
