"""Puts the application together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI

from plumbline_registry.api import audit, blobs, bundles, channels, devices, metadata, operations, pages
from plumbline_registry.api.dependencies import Services
from plumbline_registry.api.responses import install_error_handlers
from plumbline_registry.audit import AuditLog
from plumbline_registry.catalogue import Catalogue
from plumbline_registry.database import open_engine
from plumbline_registry.device_store import DeviceStore
from plumbline_registry.gates.gatekeeper import Gatekeeper
from plumbline_registry.leases import Leases
from plumbline_registry.manifests import Manifests
from plumbline_registry.metadata_store import MetadataStore
from plumbline_registry.metrics import Metrics
from plumbline_registry.rate_limits import RateLimits
from plumbline_registry.request_metrics import RequestMetrics
from plumbline_registry.security_headers import SecurityHeaders
from plumbline_registry.settings import Settings
from plumbline_registry.stores.opening import open_store
from plumbline_registry.tokens import TokenVerifier


def create_app(settings: Settings | None = None) -> FastAPI:
    """The application, with its folder and tables made. Raises StorageUnavailable, StorageFull."""
    services = open_services(settings or Settings())

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        services.engine.dispose()
        services.blobs.close()

    app = FastAPI(
        title="Plumbline registry",
        version=version("plumbline-registry"),
        summary="Immutable model bundles by digest, and channels that say which version a fleet runs.",
        description="Reading is open; writing needs a Bearer token. Every error is"
        ' `{"error": {"code": "...", "message": "..."}}`; codes are stable.',
        lifespan=lifespan,
    )
    app.state.services = services
    app.state.templates = pages.open_templates()
    for part in (bundles, channels, blobs, metadata, devices, audit, operations, pages):
        app.include_router(part.router)
    install_error_handlers(app)
    app.add_middleware(RateLimits, settings=services.settings)
    app.add_middleware(SecurityHeaders)
    app.add_middleware(RequestMetrics, metrics=services.metrics)
    return app


def open_services(settings: Settings) -> Services:
    """Everything the application works with. Raises StorageUnavailable, StorageFull."""
    engine = open_engine(settings.database_url)
    blobs = open_store(settings)
    catalogue, metadata_store = Catalogue(engine, settings.quota_bytes), MetadataStore(engine)
    manifests = Manifests(blobs)
    write_token = settings.write_token.get_secret_value() if settings.write_token else None
    return Services(
        settings=settings,
        engine=engine,
        blobs=blobs,
        catalogue=catalogue,
        leases=Leases(engine),
        manifests=manifests,
        gates=Gatekeeper(settings, manifests),
        metadata=metadata_store,
        audit=AuditLog(engine),
        devices=DeviceStore(engine),
        tokens=TokenVerifier(settings.tokens_file, write_token),
        metrics=Metrics(catalogue, metadata_store),
    )
