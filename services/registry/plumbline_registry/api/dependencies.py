"""What the routes share: the application's services, and who is asking."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Path, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from plumbline_contract.manifest import BundleName, Sha256, Version
from plumbline_registry.blobs import BlobStore
from plumbline_registry.catalogue import Catalogue
from plumbline_registry.metrics import Metrics
from plumbline_registry.models import Channel
from plumbline_registry.settings import Settings
from plumbline_registry.tokens import TokenVerifier


@dataclass(frozen=True)
class Services:
    """What one application works with."""

    settings: Settings
    blobs: BlobStore
    catalogue: Catalogue
    tokens: TokenVerifier
    metrics: Metrics


async def _services(request: Request) -> Services:
    services = request.app.state.services
    assert isinstance(services, Services)  # noqa: S101
    return services


ServicesDep = Annotated[Services, Depends(_services)]

_bearer = HTTPBearer(auto_error=False, description="a write token, made by `plumbline-registry token`")


def _actor(services: ServicesDep, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]) -> str:
    return services.tokens.actor(None if credentials is None else credentials.credentials)


ActorDep = Annotated[str, Depends(_actor)]
"""The name of the request's token; reading it refuses requests without a known one."""

NamePath = Annotated[BundleName, Path(description="name of the bundle", examples=["hrnet-edge-s"])]
VersionPath = Annotated[Version, Path(description="semantic version", examples=["1.2.0"])]
ChannelPath = Annotated[Channel, Path(description="channel", examples=["stable"])]
DigestPath = Annotated[Sha256, Path(description="sha256, 64 lower-case hex digits")]
