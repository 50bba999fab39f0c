"""A few pages for people: versions beside each other, channels with their history, which device runs what."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, HTMLResponse
from jinja2 import Environment, PackageLoader

from plumbline_contract.channel import CHANNELS
from plumbline_contract.manifest import Version
from plumbline_registry.api.dependencies import AfterQuery, NamePath, Services, ServicesDep
from plumbline_registry.errors import ChannelEmpty
from plumbline_registry.models import ChannelChange
from plumbline_registry.version_table import Column, rows

router: Final = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)
_PAGES: Final = Path(__file__).parents[1] / "pages"
_VERSIONS: Final = 6
_DEVICES: Final = 200
_BUNDLES: Final = 50
_POLICY: Final = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


@router.get("/")
def bundles(request: Request, services: ServicesDep, after: AfterQuery = "") -> HTMLResponse:
    """Every bundle, and what each channel of it gives."""
    page = services.catalogue.bundles(after=after, limit=_BUNDLES)
    given = {bundle.name: services.catalogue.channels(bundle.name) for bundle in page.bundles}
    return _page(request, "bundles.html", bundles=page.bundles, next=page.next, given=given, channels=CHANNELS)


@router.get("/bundles/{name}")
def bundle(request: Request, name: NamePath, services: ServicesDep, after: Version | None = None) -> HTMLResponse:
    """One bundle: its versions beside each other, and its channels' history."""
    page = services.catalogue.versions(name, after=after, limit=_VERSIONS)
    given, running = services.catalogue.channels(name), services.devices.counts(name)
    columns = []
    for info in page.versions:
        manifest = services.manifests.manifest(info.manifest_sha256)
        channels = tuple(channel for channel, version in given.items() if version == info.version)
        columns.append(Column(info, manifest, channels, running.get(info.version, 0)))
    histories = {channel: _history(services, name, channel) for channel in reversed(CHANNELS)}
    shown = {"name": name, "columns": columns, "rows": rows(columns), "next": page.next, "histories": histories}
    return _page(request, "bundle.html", **shown)


@router.get("/devices")
def devices(request: Request, services: ServicesDep, after: AfterQuery = "") -> HTMLResponse:
    """What every device runs, and how its last update ended."""
    page = services.devices.page(after, _DEVICES)
    return _page(request, "devices.html", devices=page.devices, next=page.next)


@router.get("/static/registry.css")
def style() -> FileResponse:
    """The pages' style."""
    return FileResponse(_PAGES / "static" / "registry.css", media_type="text/css")


def _history(services: Services, name: str, channel: Any) -> tuple[ChannelChange, ...]:
    try:
        return services.catalogue.history(name, channel)
    except ChannelEmpty:
        return ()


def _page(request: Request, template: str, **shown: Any) -> HTMLResponse:
    environment = request.app.state.templates
    assert isinstance(environment, Environment)  # noqa: S101
    text = environment.get_template(template).render(root=request.scope.get("root_path", ""), **shown)
    return HTMLResponse(text, headers={"Content-Security-Policy": _POLICY, "Cache-Control": "no-cache"})


def open_templates() -> Environment:
    """The pages' templates, every value escaped."""
    return Environment(loader=PackageLoader("plumbline_registry", "pages/templates"), autoescape=True, trim_blocks=True)
