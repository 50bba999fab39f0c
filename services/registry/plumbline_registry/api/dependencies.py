"""What the routes share: the application's services, and who is asking."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import Depends, Path, Query, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy import Engine

from plumbline_contract.channel import Channel
from plumbline_contract.manifest import BundleName, Sha256, Version
from plumbline_registry.audit import AuditLog
from plumbline_registry.blobs import BlobStore
from plumbline_registry.catalogue import Catalogue
from plumbline_registry.device_store import DeviceStore
from plumbline_registry.gates.gatekeeper import Gatekeeper
from plumbline_registry.leases import Leases
from plumbline_registry.manifests import Manifests
from plumbline_registry.metadata_store import MetadataStore
from plumbline_registry.metrics import Metrics
from plumbline_registry.settings import Settings
from plumbline_registry.tokens import TokenVerifier


@dataclass(frozen=True)
class Services:
    """What one application works with."""

    settings: Settings
    engine: Engine
    blobs: BlobStore
    catalogue: Catalogue
    leases: Leases
    manifests: Manifests
    gates: Gatekeeper
    metadata: MetadataStore
    audit: AuditLog
    devices: DeviceStore
    tokens: TokenVerifier
    metrics: Metrics


async def _services(request: Request) -> Services:
    services = request.app.state.services
    assert isinstance(services, Services)  # noqa: S101
    return services


ServicesDep = Annotated[Services, Depends(_services)]

_bearer = HTTPBearer(auto_error=False, description="a write token, made by `plumbline-registry token`")


async def _credentials(given: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]) -> str | None:
    return None if given is None else given.credentials


CredentialsDep = Annotated[str | None, Depends(_credentials)]
"""The token as the request gives it, not looked at yet."""


def _publisher(services: ServicesDep, credentials: CredentialsDep) -> str:
    return services.tokens.grant(credentials).require("publish").name


PublisherDep = Annotated[str, Depends(_publisher)]
"""The name of the request's token; reading it refuses requests whose token may not publish."""

NamePath = Annotated[BundleName, Path(description="name of the bundle", examples=["hrnet-edge-s"])]
VersionPath = Annotated[Version, Path(description="semantic version", examples=["1.2.0"])]
ChannelPath = Annotated[Channel, Path(description="channel", examples=["stable"])]
_TEXT: Final = r"^[^\x00-\x1f\x7f]*$"
"""Without control characters: PostgreSQL's text holds no NUL."""
SearchQuery = Annotated[
    str, Query(max_length=64, pattern=_TEXT, description="only those that hold this text", examples=["edge"])
]
AfterQuery = Annotated[str, Query(max_length=64, pattern=_TEXT, description="go on after this name")]
DigestPath = Annotated[Sha256, Path(description="sha256, 64 lower-case hex digits")]
