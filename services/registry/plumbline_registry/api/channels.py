"""Channels for people and dashboards: an index of the signed metadata, which alone is what devices believe."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter

from plumbline_registry.api.dependencies import ChannelPath, NamePath, ServicesDep
from plumbline_registry.api.responses import error_responses
from plumbline_registry.errors import ChannelEmpty, InvalidRequest, UnknownBundle
from plumbline_registry.models import ChannelHistory, ChannelInfo

router: Final = APIRouter(prefix="/v1/bundles/{name}/channels", tags=["channels"])


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
