"""The fleet, booted once for all files of this folder: each test starts from it as the last one left it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.infra.fleet.fleet import CLIP, CLIP_ON_PI, FRAMES_PER_SECOND, HUB, PIS, Fleet, write_inventory
from tests.infra.fleet.pis import booted, slow_clip
from tests.infra.machine import exclusive, require_root_and


@pytest.fixture(scope="session")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Bare Pis with a clip in place of a camera, and a bare server."""
    require_root_and("systemd-nspawn", "debootstrap", "ssh", "ip")
    folder = tmp_path_factory.mktemp("fleet")
    with exclusive("fleet"), booted(*PIS, HUB):
        clip = slow_clip(CLIP, folder / "clip.mp4", FRAMES_PER_SECOND)
        for pi in PIS:
            pi.copy(clip, CLIP_ON_PI)
        write_inventory(folder)
        yield Fleet(folder)
