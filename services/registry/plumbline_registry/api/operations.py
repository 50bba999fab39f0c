"""What an operator's machines ask: alive, ready, metrics."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from plumbline_registry.api.dependencies import ServicesDep
from plumbline_registry.api.responses import error_responses
from plumbline_registry.models import Health

router: Final = APIRouter(tags=["operations"])


@router.get("/healthz", summary="Is the process alive")
async def healthz() -> Health:
    """Answers as long as the process serves; asks nothing else."""
    return Health(status="alive")


@router.get("/readyz", summary="Can it read and write", responses=error_responses())
def readyz(services: ServicesDep) -> Health:
    """Answers 200 if the database and the blob folder could take a write now."""
    services.catalogue.check()
    services.blobs.check()
    return Health(status="ready")


@router.get("/metrics", summary="Prometheus metrics", response_class=Response)
def metrics(services: ServicesDep) -> Response:
    """The Prometheus text format; names are listed in the registry's README."""
    return Response(generate_latest(services.metrics.collectors), headers={"Content-Type": CONTENT_TYPE_LATEST})
