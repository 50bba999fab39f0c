"""Channels: which version a fleet should run, and every move with who, when and why."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from plumbline_registry.api.dependencies import ActorDep, ChannelPath, NamePath, ServicesDep
from plumbline_registry.api.responses import error_responses
from plumbline_registry.body import read_small_body
from plumbline_registry.errors import (
    ChannelEmpty,
    InvalidRequest,
    Unauthorised,
    UnknownBundle,
    UnknownVersion,
    UploadInterrupted,
    UploadStalled,
    UploadTooLarge,
    WritesDisabled,
)
from plumbline_registry.models import ChannelHistory, ChannelInfo, PromotionRequest
from plumbline_registry.settings import MAX_JSON_BYTES

router: Final = APIRouter(prefix="/v1/bundles/{name}/channels", tags=["channels"])

# The body is read by hand, after the token was checked and against a limit; the framework would do neither.
_PROMOTION_BODY: Final[dict[str, Any]] = {
    "requestBody": {"required": True, "content": {"application/json": {"schema": PromotionRequest.model_json_schema()}}}
}
_PROMOTE_ERRORS: Final = error_responses(
    UploadInterrupted,
    Unauthorised,
    WritesDisabled,
    UnknownBundle,
    UnknownVersion,
    UploadStalled,
    UploadTooLarge,
    InvalidRequest,
)


@router.put(
    "/{channel}",
    summary="Move a channel",
    responses=_PROMOTE_ERRORS,
    openapi_extra=_PROMOTION_BODY,
)
async def promote(
    request: Request, name: NamePath, channel: ChannelPath, actor: ActorDep, services: ServicesDep
) -> ChannelInfo:
    """Let the channel give this version from now on; moving it to where it already is adds nothing to the history."""
    body = await read_small_body(request, MAX_JSON_BYTES, services.settings.upload_idle_seconds)
    try:
        promotion = PromotionRequest.model_validate_json(body)
    except ValidationError as error:
        problems = [{**problem, "loc": ("body", *problem["loc"])} for problem in error.errors()]
        raise RequestValidationError(problems) from error
    return await run_in_threadpool(services.catalogue.promote, name, channel, promotion, actor)


@router.get(
    "/{channel}", summary="What a channel gives", responses=error_responses(UnknownBundle, ChannelEmpty, InvalidRequest)
)
def get_channel(name: NamePath, channel: ChannelPath, services: ServicesDep) -> ChannelInfo:
    """The version that devices on this channel should run."""
    return services.catalogue.channel(name, channel)


@router.get(
    "/{channel}/history",
    summary="Every move of a channel",
    responses=error_responses(UnknownBundle, ChannelEmpty, InvalidRequest),
)
def get_history(name: NamePath, channel: ChannelPath, services: ServicesDep) -> ChannelHistory:
    """Who moved the channel to which version, when and why; newest first."""
    return ChannelHistory(history=services.catalogue.history(name, channel))
