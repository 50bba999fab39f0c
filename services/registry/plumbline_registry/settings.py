"""What an operator may set, by environment or keyword; nothing else in the package reads the environment."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

ENV_PREFIX: Final = "PLUMBLINE_REGISTRY_"
MAX_MANIFEST_BYTES: Final = 1024 * 1024
MAX_REPORT_BYTES: Final = 16 * 1024
MAX_METADATA_BYTES: Final = 4 * 1024 * 1024


class Settings(BaseSettings):
    """Settings of the server; each is also an environment variable PLUMBLINE_REGISTRY_<NAME>."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, env_ignore_empty=True, frozen=True, extra="ignore")

    database_url: str = Field(
        default="sqlite:///var/registry/registry.sqlite3", description="SQLAlchemy URL of the catalogue"
    )
    blob_dir: Path = Field(
        default=Path("var/registry/blobs"), description="folder of the blobs and of unfinished uploads"
    )
    s3_bucket: str | None = Field(
        default=None, min_length=3, description="keep blobs in this bucket instead; `blob_dir` then holds uploads alone"
    )
    s3_endpoint: str | None = Field(default=None, pattern=r"^https?://", description="of the object store; none: AWS")
    s3_public_endpoint: str | None = Field(
        default=None, pattern=r"^https?://", description="where devices reach it, for links; none: as above"
    )
    s3_region: str = Field(default="us-east-1", description="region of the bucket")
    s3_prefix: str = Field(default="", description="keep all objects below this prefix")
    s3_access_key_id: SecretStr | None = Field(
        default=None, description="none: what AWS's own tools would take, the machine's role included"
    )
    s3_secret_access_key: SecretStr | None = Field(default=None, description="the secret of that key")
    downloads: Literal["direct", "redirect", "accel"] = Field(
        default="direct", description="who sends files: the registry, the object store by signed links, or nginx"
    )
    link_seconds: int = Field(default=300, ge=10, le=604800, description="how long a signed link lasts")
    accel_prefix: str = Field(
        default="/_blobs", pattern=r"^/[\w/-]+$", description="nginx's internal location of `blob_dir`"
    )
    tokens_file: Path = Field(
        default=Path("var/registry/tokens.json"), description="names and hashes of write tokens, made by `token`"
    )
    write_token: SecretStr | None = Field(
        default=None, min_length=16, description="a write token as plain text, for containers; named `publisher`"
    )
    max_bundle_bytes: int = Field(default=300_000_000, ge=1024, description="largest upload, counted on the wire")
    quota_bytes: int | None = Field(default=None, ge=1024, description="of all versions together; none: what fits")
    upload_idle_seconds: float = Field(
        default=30.0, gt=0, description="an upload that sends nothing for this long is dropped"
    )
    gated_channels: str = Field(
        default="canary,stable",
        pattern=r"^(none|(dev|canary|stable)(,(dev|canary|stable))*)$",
        description="channels that take a bundle only through the gates; `none`: no channel",
    )
    gate_ap_drop: float = Field(
        default=0.02, ge=0, le=1, description="how far AP may be below the channel's current bundle"
    )
    gate_parity_px: float = Field(
        default=2.0, gt=0, description="heatmap pixels that conversion may move keypoints, 99th percentile"
    )
    gate_parity_ap: float = Field(
        default=0.02, ge=0, le=1, description="AP that conversion may cost where it moves keypoints further"
    )
    gate_latency_growth: float = Field(
        default=0.25, ge=0, description="how much slower than the current bundle, as a share"
    )
    writes_per_minute: int = Field(default=600, ge=0, description="writes an address may send a minute; 0: any number")
    reads_per_minute: int = Field(default=0, ge=0, description="reads an address may send a minute; 0: any number")
    refusals_per_minute: int = Field(
        default=30, ge=0, description="refused tokens of an address a minute, then none is looked at; 0: any number"
    )
    trusted_proxies: str = Field(
        default="127.0.0.1", description="proxies, comma-separated, that are believed when they name the address"
    )
    host: str = Field(default="127.0.0.1", description="address to listen on")
    port: int = Field(default=8100, ge=0, le=65535, description="port to listen on; 0 takes a free one")

    @model_validator(mode="after")
    def _downloads_fit_the_store(self) -> Settings:
        if self.downloads == "redirect" and self.s3_bucket is None:
            raise ValueError("downloads 'redirect' needs s3_bucket: a folder has no links to give; use 'accel'")
        if self.downloads == "accel" and self.s3_bucket is not None:
            raise ValueError("downloads 'accel' is for blobs in a folder; use 'redirect' with s3_bucket")
        if (self.s3_access_key_id is None) != (self.s3_secret_access_key is None):
            raise ValueError("s3_access_key_id and s3_secret_access_key belong together; set both or neither")
        return self
