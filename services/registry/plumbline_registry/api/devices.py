"""What each device runs, as its updater reports it."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query, Request
from fastapi.concurrency import run_in_threadpool

from plumbline_registry.api.dependencies import AfterQuery, CredentialsDep, ServicesDep
from plumbline_registry.api.responses import error_responses, validated
from plumbline_registry.body import read_small_body
from plumbline_registry.errors import (
    Forbidden,
    InvalidRequest,
    Unauthorised,
    UploadInterrupted,
    UploadStalled,
    UploadTooLarge,
    WritesDisabled,
)
from plumbline_registry.models import DeviceList, DeviceReport, DeviceState
from plumbline_registry.settings import MAX_REPORT_BYTES

router: Final = APIRouter(prefix="/v1/devices", tags=["devices"])

DevicePath = Annotated[
    str, Path(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$", description="the device's name", examples=["pi-07"])
]
_BODY: Final[dict[str, Any]] = {
    "requestBody": {"required": True, "content": {"application/json": {"schema": DeviceReport.model_json_schema()}}}
}


@router.put(
    "/{device}",
    summary="Report what a device runs",
    responses=error_responses(
        UploadInterrupted, Unauthorised, WritesDisabled, Forbidden, UploadStalled, UploadTooLarge, InvalidRequest
    ),
    openapi_extra=_BODY,
)
async def report(
    request: Request, device: DevicePath, credentials: CredentialsDep, services: ServicesDep
) -> DeviceState:
    """Keep the device's newest report. The token must have the scope `device` and the device's own name."""
    grant = (await run_in_threadpool(services.tokens.grant, credentials)).require("device")
    if grant.name != device and "admin" not in grant.scopes:
        raise Forbidden(f"token {grant.name!r} may report for the device {grant.name!r} alone, not for {device!r}")
    sent = validated(
        DeviceReport, await read_small_body(request, MAX_REPORT_BYTES, services.settings.upload_idle_seconds)
    )
    return await run_in_threadpool(services.devices.report, device, sent)


@router.get("", summary="What every device runs", responses=error_responses(InvalidRequest))
def list_devices(
    services: ServicesDep,
    after: AfterQuery = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> DeviceList:
    """Newest report of each device, by name; `next` is the `after` of the next page."""
    return services.devices.page(after, limit)
