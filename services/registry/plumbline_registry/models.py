"""What the API gives and takes as JSON; the catalogue answers in the same types."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from plumbline_contract.channel import Channel
from plumbline_contract.manifest import BundleFile, BundleName, Sha256, Version

Role = Literal["root", "targets", "dev", "canary", "stable", "snapshot", "timestamp"]

_DIGEST = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_TIME = "2025-03-01T09:30:00Z"
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
"""All but tab and newline; PostgreSQL's text holds no NUL."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class BundleSummary(_Model):
    """One bundle name."""

    name: BundleName = Field(examples=["hrnet-edge-s"])
    versions: int = Field(ge=1, description="how many versions are published", examples=[3])
    latest: Version = Field(description="highest version by semantic-versioning precedence", examples=["1.2.0"])


class BundleList(_Model):
    """A page of bundles."""

    bundles: tuple[BundleSummary, ...] = Field(description="by name")
    next: str | None = Field(
        default=None, description="the `after` of the next page; none: this is the last", examples=["hrnet-edge-s"]
    )


class VersionInfo(_Model):
    """One published version; it never changes."""

    name: BundleName = Field(examples=["hrnet-edge-s"])
    version: Version = Field(examples=["1.2.0"])
    manifest_sha256: Sha256 = Field(description="digest of the exact manifest.json", examples=[_DIGEST])
    created_at: datetime = Field(description="when it was published, UTC", examples=[_TIME])
    actor: str = Field(description="name of the token that published it", examples=["publisher"])
    size_bytes: int = Field(description="of all its files, the manifest included", examples=[1486311])
    files: dict[str, BundleFile] = Field(
        description="the other files of the bundle, each at /v1/blobs/{sha256}",
        examples=[{"model.tflite": {"sha256": _DIGEST, "size_bytes": 1482752}}],
    )


class VersionList(_Model):
    """A page of versions."""

    versions: tuple[VersionInfo, ...] = Field(description="newest first")
    next: str | None = Field(
        default=None, description="the `after` of the next page; none: this is the last", examples=["1.2.0"]
    )


class Difference(_Model):
    """One thing that two versions do not share."""

    field: str = Field(description="path in the manifest", examples=["lineage.recipe"])
    before: str | None = Field(description="as JSON; none: it is not there", examples=['"edge_s"'])
    after: str | None = Field(examples=['"edge_m"'])


class Figure(_Model):
    """One measured number of two versions."""

    field: str = Field(examples=["AP tflite int8 coco-val2017"])
    before: float | None = Field(examples=[0.541])
    after: float | None = Field(examples=[0.563])
    change: float | None = Field(description="after - before; none where one is missing", examples=[0.022])


class Comparison(_Model):
    """Two versions beside each other."""

    name: BundleName = Field(examples=["hrnet-edge-s"])
    before: Version = Field(examples=["1.1.0"])
    after: Version = Field(examples=["1.2.0"])
    metrics: tuple[Figure, ...] = Field(description="AP, parity and latency that either has, and sizes in bytes")
    lineage: tuple[Difference, ...] = Field(description="where they came from, as far as it differs")
    other: tuple[Difference, ...] = Field(description="what else of the manifests differs")
    same_files: tuple[str, ...] = Field(description="files that are equal byte for byte", examples=[["golden.npz"]])


class MetadataSet(_Model):
    """Signed documents that are taken together or not at all."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"documents": {"stable": '{"signatures": [], "signed": {}}'}}]}
    )

    documents: dict[Role, str] = Field(min_length=1, description="role -> the document, as text, exactly as signed")


class MetadataVersions(_Model):
    versions: dict[str, int] = Field(
        description="role -> newest version", examples=[{"root": 1, "targets": 1, "stable": 4, "timestamp": 9}]
    )


class ChannelInfo(_Model):
    """What a channel gives now."""

    name: BundleName = Field(examples=["hrnet-edge-s"])
    channel: Channel = Field(examples=["stable"])
    version: Version = Field(examples=["1.2.0"])
    manifest_sha256: Sha256 = Field(examples=[_DIGEST])
    updated_at: datetime = Field(description="when it last moved, UTC", examples=[_TIME])
    metadata_version: int = Field(description="version of the channel's signed metadata that says so", examples=[4])


class ChannelChange(_Model):
    """One move of a channel."""

    version: Version = Field(examples=["1.2.0"])
    changed_at: datetime = Field(description="UTC", examples=[_TIME])
    actor: str = Field(description="name of the token that did it", examples=["publisher"])
    reason: str = Field(examples=["AP +1.4 on the gym clips"])
    metadata_version: int = Field(description="version of the channel's signed metadata", examples=[4])
    gates: str | None = Field(
        default=None, description="what the promotion gates said", examples=["ap: +0.0140, at least +0.0032"]
    )


class ChannelHistory(_Model):
    """Every move of a channel."""

    history: tuple[ChannelChange, ...] = Field(description="newest first")


class DeviceReport(_Model):
    """What a device's updater says after a run."""

    name: BundleName = Field(description="the bundle that it follows", examples=["hrnet-edge-s"])
    channel: Channel = Field(examples=["stable"])
    version: Version | None = Field(default=None, description="what it runs; none: nothing yet", examples=["1.2.0"])
    manifest_sha256: Sha256 | None = Field(default=None, examples=[_DIGEST])
    judge_name: BundleName | None = Field(
        default=None, description="the judge of form that it runs; none: none", examples=["form-judge"]
    )
    judge_version: Version | None = Field(default=None, examples=["0.4.0"])
    judge_manifest_sha256: Sha256 | None = Field(default=None, examples=[_DIGEST])
    outcome: str = Field(pattern=r"^[a-z_]{1,64}$", description="`ok`, or why the update was refused", examples=["ok"])
    message: str = Field(default="", max_length=2000, description="the error's own words", examples=[""])

    @field_validator("message")
    @classmethod
    def _without_controls(cls, message: str) -> str:
        """An odd error is worth more than no report."""
        return _CONTROLS.sub("", message)


class DeviceState(DeviceReport):
    """The newest report of a device."""

    device: str = Field(examples=["pi-07"])
    reported_at: datetime = Field(description="by the registry's clock, UTC", examples=[_TIME])


class DeviceList(_Model):
    """A page of devices."""

    devices: tuple[DeviceState, ...] = Field(description="by name")
    next: str | None = Field(
        default=None, description="the `after` of the next page; none: this is the last", examples=["pi-07"]
    )


class AuditEntry(_Model):
    """Something that somebody did, or was refused."""

    id: int = Field(examples=[1207])
    at: datetime = Field(description="UTC", examples=[_TIME])
    actor: str = Field(description="name of the token", examples=["publisher"])
    action: str = Field(description="publish, delete, metadata, promote or refuse", examples=["publish"])
    subject: str = Field(description="what it was done to", examples=["hrnet-edge-s 1.2.0"])
    detail: str = Field(examples=["manifest 9f86d081884c"])


class AuditPage(_Model):
    """A page of the audit log."""

    entries: tuple[AuditEntry, ...] = Field(description="newest first")
    next: int | None = Field(
        default=None, description="the `before` of the next page; none: this is the last", examples=[1108]
    )


class Health(_Model):
    """How the registry is."""

    status: Literal["alive", "ready"] = Field(examples=["ready"])


class ErrorDetail(_Model):
    code: str = Field(description="stable, for programs", examples=["unknown_bundle"])
    message: str = Field(
        description="for people: what, the value, what to do",
        examples=["no bundle 'hrnet' was published here; /v1/bundles lists those that were"],
    )


class ErrorBody(_Model):
    """The one shape of every error."""

    error: ErrorDetail
