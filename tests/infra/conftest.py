"""Marks of the tests that boot machines or engines: they run when asked for by name (`-m fleet`), never by the way."""

from __future__ import annotations

import pytest

_BY_NAME = {
    "fleet": "boots stand-in Pis and deploys to them; needs root and a few minutes",
    "docker": "builds the images and runs docker-compose.yml; needs root and a few minutes",
}


def pytest_configure(config: pytest.Config) -> None:
    for name, meaning in _BY_NAME.items():
        config.addinivalue_line("markers", f"{name}: {meaning}")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    asked: str = config.getoption("markexpr")
    unasked = [item for item in items if any(item.get_closest_marker(name) and name not in asked for name in _BY_NAME)]
    if unasked:
        config.hook.pytest_deselected(items=unasked)
        items[:] = [item for item in items if item not in unasked]
