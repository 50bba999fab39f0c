"""The device's settings: command-line flags over environment variables PLUMBLINE_EDGE_* over these defaults."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from plumbline_edge.errors import InvalidSettings

ENVIRONMENT_PREFIX = "PLUMBLINE_EDGE_"


class EdgeSettings(BaseSettings):
    """Everything that can be set; each field NAME is also the environment variable PLUMBLINE_EDGE_NAME."""

    model_config = SettingsConfigDict(env_prefix=ENVIRONMENT_PREFIX, frozen=True, extra="ignore", env_ignore_empty=True)

    state: Path = Field(
        default_factory=lambda: Path("~/.local/state/plumbline-edge").expanduser(),
        description="folder of the downloaded bundles and of the link to the active one",
    )

    source: str = Field(
        "0", description="video file, picture, folder of pictures, camera index or device, or stream URL"
    )
    bundle: Path | None = Field(None, description="bundle folder; by default the active one of the state folder")
    exercise: str = Field("squat", description="exercise to coach: a known name, or the path of a YAML file")
    threads: int = Field(0, ge=0, le=64, description="inference threads; 0 leaves one core to camera and page")
    loop: bool = Field(False, description="start a file again at its end")
    speak: bool = Field(False, description="say cues aloud with espeak-ng, which must be installed")

    host: str = Field("127.0.0.1", description="address that the page listens on")
    port: int = Field(8080, ge=0, le=65535, description="port that the page listens on; 0 takes a free one")
    stream_fps: float = Field(20.0, gt=0, le=60, description="most pictures a second that a viewer is sent")
    jpeg_quality: int = Field(80, ge=10, le=100, description="JPEG quality of the live picture")
    max_viewers: int = Field(8, ge=1, le=32, description="live pictures served at once; further ones get 503")
    stale_after_seconds: float = Field(10.0, gt=0, description="without a frame for this long, /healthz says 503")

    registry: str = Field("http://127.0.0.1:8100", description="URL of the registry")
    name: str = Field("hrnet-edge-s", description="bundle that updates follow")
    channel: str = Field("stable", description="channel that updates follow: dev, canary or stable")
    root: Path | None = Field(
        None, description="root.json, whose keys updates trust; by default the one in the state folder"
    )
    health_url: str = Field(
        "", description="where the service answers, to be watched after a change; empty: nobody watches"
    )
    watch_seconds: float = Field(30.0, ge=0, description="how long a new bundle is watched before it is kept")
    device: str = Field("", description="name under which updates are reported to the registry; empty: they are not")
    device_token_file: Path | None = Field(None, description="file with the device's token, which reports need")
    timeout_seconds: float = Field(20.0, gt=0, description="longest silence of the registry that an update bears")

    @property
    def root_file(self) -> Path:
        """The trust anchor."""
        return self.root or self.state / "root.json"

    @property
    def inference_threads(self) -> int:
        """The number of threads that inference gets."""
        return self.threads or max(1, min(3, (os.cpu_count() or 1) - 1))


def load_settings(**given: Any) -> EdgeSettings:
    """Settings with `given` (None: not given) over the environment. Raises InvalidSettings for the first bad one."""
    try:
        return EdgeSettings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise InvalidSettings(
            f"{name} is {first['input']!r}: {first['msg']}; correct --{name.replace('_', '-')} or"
            f" {ENVIRONMENT_PREFIX}{name.upper()}"
        ) from error
