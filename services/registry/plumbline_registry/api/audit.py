"""The audit log, for those who run the registry."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Query

from plumbline_registry.api.dependencies import CredentialsDep, ServicesDep
from plumbline_registry.api.responses import error_responses
from plumbline_registry.errors import Forbidden, InvalidRequest, Unauthorised, WritesDisabled
from plumbline_registry.models import AuditPage

router: Final = APIRouter(prefix="/v1/audit", tags=["audit"])


@router.get(
    "",
    summary="Who did what",
    responses=error_responses(Unauthorised, WritesDisabled, Forbidden, InvalidRequest),
)
def get_audit(
    credentials: CredentialsDep,
    services: ServicesDep,
    before: Annotated[int | None, Query(ge=1, le=2**31 - 1, description="go on with entries older than this")] = None,
    limit: Annotated[int, Query(ge=1, le=1000, description="entries a page")] = 100,
) -> AuditPage:
    """Every change and every refused one, newest first. The token must have the scope `admin`."""
    services.tokens.grant(credentials).require("admin")
    return services.audit.page(before, limit)
