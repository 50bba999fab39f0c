"""The device's settings: flags over environment variables PLUMBLINE_EDGE_* over a YAML file over these defaults."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from plumbline_edge.coach.cues import Sensitivity
from plumbline_edge.config_file import read_config
from plumbline_edge.errors import InvalidSettings
from plumbline_edge.frame import CameraOptions, Rotation
from plumbline_edge.logs import LogFormat
from plumbline_edge.search import Whom
from plumbline_edge.tracker import TrackerConfig

ENVIRONMENT_PREFIX = "PLUMBLINE_EDGE_"
CONFIG_VARIABLE = "PLUMBLINE_EDGE_CONFIG"


def _number(value: object) -> object:
    """What the environment gives as text; pydantic takes no text for a Literal of numbers."""
    return int(value) if isinstance(value, str) and value.isdecimal() else value


def _text(value: object) -> object:
    """A camera's index, which YAML gives as a number; pydantic takes none for text."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _at_home(path: Path) -> Path:
    """The path with a ~ that no shell has replaced."""
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise ValueError(str(error)) from error


OwnPath = Annotated[Path, AfterValidator(_at_home)]


class EdgeSettings(BaseSettings):
    """Everything that can be set; each field NAME is also the environment variable PLUMBLINE_EDGE_NAME."""

    model_config = SettingsConfigDict(env_prefix=ENVIRONMENT_PREFIX, frozen=True, extra="ignore", env_ignore_empty=True)

    state: OwnPath = Field(
        default_factory=lambda: Path("~/.local/state/plumbline-edge").expanduser(),
        description="folder of the downloaded bundles and of the link to the active one",
    )

    source: Annotated[str, BeforeValidator(_text)] = Field(
        "0", description="video file, picture, folder of pictures, camera index or device, or stream URL"
    )
    bundle: OwnPath | None = Field(None, description="bundle folder; by default the active one of the state folder")
    judge: OwnPath | None = Field(
        None, description="bundle folder of the judge of form; by default the active one of the state folder, if any"
    )
    use_judge: bool = Field(True, description="let a judge of form have its say, where there is one")
    use_rules: bool = Field(True, description="speak of what the rules find; without, the judge alone speaks")
    exercise: str = Field("squat", description="exercise to coach: a known name, or the path of a YAML file")
    threads: int = Field(0, ge=0, le=64, description="inference threads; 0 leaves one core to camera and page")
    max_fps: float = Field(0.0, ge=0, le=240, description="most inferences a second; 0: as many as there are pictures")
    person: Whom = Field("largest", description="whom to follow among several people: largest, left or right")
    turn_crop: bool = Field(False, description="turn the crop by quarters with a lying body, for a net trained so")
    loop: bool = Field(False, description="start a file again at its end")
    speak: bool = Field(False, description="say cues aloud with espeak-ng, which must be installed")
    sensitivity: Sensitivity = Field(
        "normal", description="how readily the coach speaks: low (seldom, and of no minor fault), normal or high"
    )

    resolution: str = Field(
        "", pattern=r"^(\d{2,5}x\d{2,5})?$", description="camera's picture as WIDTHxHEIGHT; empty: 1280x720 or its own"
    )
    rate: float = Field(0.0, ge=0, le=240, description="camera's pictures a second; 0: its own")
    rotate: Annotated[Rotation, BeforeValidator(_number)] = Field(
        0, description="turn every picture clockwise by this, as the camera hangs"
    )
    mirror: bool = Field(False, description="show the page's picture like a looking-glass")

    host: str = Field("127.0.0.1", description="address that the page listens on")
    port: int = Field(8080, ge=0, le=65535, description="port that the page listens on; 0 takes a free one")
    token_file: OwnPath | None = Field(
        None, description="file with the page's token, made where absent; by default page-token in the state folder"
    )
    open_page: bool = Field(False, description="no token: whoever reaches the page may look; for a closed network")
    log_format: LogFormat = Field("text", description="text for people, json for a log store")
    stream_fps: float = Field(20.0, gt=0, le=60, description="most pictures a second that a viewer is sent")
    jpeg_quality: int = Field(80, ge=10, le=100, description="JPEG quality of the live picture")
    max_viewers: int = Field(8, ge=1, le=32, description="live pictures served at once; further ones get 503")
    hide_pixels: bool = Field(False, description="show the skeleton alone, and let nobody on the page change it")
    diary: OwnPath | None = Field(
        None, description="file of the person's sets, made where absent; by default diary.sqlite3 in the state folder"
    )
    keep_days: float = Field(365.0, ge=0, description="sets and sitting older than this are deleted; 0: none are")
    keep_keypoints_days: float = Field(
        30.0, ge=0, description="keypoints and reports older than this are deleted, counts stay; 0: none are"
    )
    stale_after_seconds: float = Field(10.0, gt=0, description="without a frame for this long, /healthz says 503")

    registry: str = Field("http://127.0.0.1:8100", description="URL of the registry")
    name: str = Field("hrnet-edge-s", description="bundle that updates follow")
    judge_name: str = Field("", description="bundle of the judge of form that updates follow too; empty: none")
    channel: str = Field("stable", description="channel that updates follow: dev, canary or stable")
    root: OwnPath | None = Field(
        None, description="root.json, whose keys updates trust; by default the one in the state folder"
    )
    health_url: str = Field(
        "", description="where the service answers, to be watched after a change; empty: nobody watches"
    )
    watch_seconds: float = Field(30.0, ge=0, description="how long a new bundle is watched before it is kept")
    device: str = Field("", description="name under which updates are reported to the registry; empty: they are not")
    device_token_file: OwnPath | None = Field(None, description="file with the device's token, which reports need")
    timeout_seconds: float = Field(20.0, gt=0, description="longest silence of the registry that an update bears")

    @property
    def judge_state(self) -> Path:
        """The state folder of the judge's bundles, which are followed apart from the pose model's."""
        return self.state / "judge"

    @property
    def root_file(self) -> Path:
        """The trust anchor."""
        return self.root or self.state / "root.json"

    @property
    def diary_file(self) -> Path:
        """Where sets are kept."""
        return self.diary or self.state / "diary.sqlite3"

    @property
    def tracking(self) -> TrackerConfig:
        """How the tracker is to work."""
        return TrackerConfig(whom=self.person, turns=self.turn_crop)

    @property
    def camera(self) -> CameraOptions:
        """How a camera is to give its pictures."""
        width, _, height = self.resolution.partition("x")
        size = (int(width), int(height)) if height else None
        return CameraOptions(size=size, rate=self.rate or None, rotate=self.rotate)

    @property
    def inference_threads(self) -> int:
        """The number of threads that inference may take."""
        return self.threads or max(1, min(3, (os.cpu_count() or 1) - 1))


def load_settings(config: Path | None = None, **given: Any) -> EdgeSettings:
    """Settings with `given` (None: not given) over the environment over the file. Raises InvalidSettings."""
    file = config or (Path(named) if (named := os.environ.get(CONFIG_VARIABLE)) else None)
    written = read_config(file, set(EdgeSettings.model_fields)) if file is not None else {}
    flags = {name: value for name, value in given.items() if value is not None}
    spoken = {name for name in written if os.environ.get(f"{ENVIRONMENT_PREFIX}{name.upper()}")}
    try:
        return EdgeSettings(**{name: value for name, value in written.items() if name not in spoken} | flags)
    except ValidationError as error:
        in_file = {name: str(file) for name in written if name not in flags}
        raise InvalidSettings("; ".join(_mistake(mistake, in_file) for mistake in error.errors())) from error


def _mistake(mistake: Mapping[str, Any], in_file: Mapping[str, str]) -> str:
    """What is wrong with a setting, and where to correct it; `in_file` names the file of those that stand in one."""
    name = ".".join(str(part) for part in mistake["loc"])
    where = f"{name!r} in {in_file[name]!r}" if name in in_file else f"--{name.replace('_', '-')}"
    return f"{name} is {mistake['input']!r}: {mistake['msg']}; correct {where} or {ENVIRONMENT_PREFIX}{name.upper()}"
