"""What an operator may set, by environment or keyword; nothing else in the package reads the environment."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pydantic import Field, SecretStr
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
    tokens_file: Path = Field(
        default=Path("var/registry/tokens.json"), description="names and hashes of write tokens, made by `token`"
    )
    write_token: SecretStr | None = Field(
        default=None, min_length=16, description="a write token as plain text, for containers; named `publisher`"
    )
    max_bundle_bytes: int = Field(default=300_000_000, ge=1024, description="largest upload, counted on the wire")
    upload_idle_seconds: float = Field(
        default=30.0, gt=0, description="an upload that sends nothing for this long is dropped"
    )
    host: str = Field(default="127.0.0.1", description="address to listen on")
    port: int = Field(default=8100, ge=0, le=65535, description="port to listen on; 0 takes a free one")
