"""Publishing and finding versions of bundles."""

from __future__ import annotations

import logging
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from plumbline_contract.errors import DigestMismatch, InvalidManifest, PlumblineError, UnpublishableBundle
from plumbline_registry.api.dependencies import (
    CredentialsDep,
    NamePath,
    PublisherDep,
    Services,
    ServicesDep,
    VersionPath,
)
from plumbline_registry.api.responses import error_responses, immutable_file
from plumbline_registry.body import body_chunks
from plumbline_registry.catalogue import Outcome
from plumbline_registry.errors import (
    Forbidden,
    InvalidRequest,
    MalformedUpload,
    Unauthorised,
    UnknownBlob,
    UnknownBundle,
    UnknownVersion,
    UploadInterrupted,
    UploadStalled,
    UploadTooLarge,
    VersionExists,
    VersionInUse,
    WritesDisabled,
    WrongAddress,
    spec_of,
)
from plumbline_registry.models import BundleList, VersionInfo, VersionList
from plumbline_registry.upload import BundleUpload

router: Final = APIRouter(prefix="/v1/bundles", tags=["bundles"])
_log: Final = logging.getLogger(__name__)

_TAR_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "description": "An uncompressed tar of manifest.json, model.tflite, golden.npz and model-card.md, and no more:"
        " `tar -C BUNDLE -cf - manifest.json model.tflite golden.npz model-card.md | curl -T - ...`",
        "content": {"application/x-tar": {"schema": {"type": "string", "format": "binary"}}},
    }
}
_PUBLISH_ERRORS: Final = error_responses(
    UploadInterrupted,
    Unauthorised,
    WritesDisabled,
    Forbidden,
    UploadStalled,
    VersionExists,
    VersionInUse,
    UploadTooLarge,
    InvalidRequest,
    MalformedUpload,
    InvalidManifest,
    UnpublishableBundle,
    WrongAddress,
    DigestMismatch,
)


@router.put(
    "/{name}/versions/{version}",
    summary="Publish a bundle",
    status_code=201,
    response_model=VersionInfo,
    responses={200: {"model": VersionInfo, "description": "This very bundle is already here"}, **_PUBLISH_ERRORS},
    openapi_extra=_TAR_BODY,
)
async def publish(
    request: Request,
    response: Response,
    name: NamePath,
    version: VersionPath,
    actor: PublisherDep,
    services: ServicesDep,
) -> VersionInfo:
    """Store a bundle as a version that never changes. Sending the same bundle again is harmless (200)."""
    try:
        info, outcome = await _receive(request, name, version, actor, services)
    except PlumblineError as error:
        services.metrics.publishes.labels(spec_of(error).code).inc()
        raise
    services.metrics.publishes.labels(outcome).inc()
    response.status_code = 201 if outcome == "created" else 200
    return info


async def _receive(
    request: Request, name: str, version: str, actor: str, services: Services
) -> tuple[VersionInfo, Outcome]:
    settings = services.settings
    with BundleUpload(services.blobs) as upload:
        async for chunk in body_chunks(request, settings.max_bundle_bytes, settings.upload_idle_seconds):
            services.metrics.received_bytes.inc(len(chunk))
            await run_in_threadpool(upload.feed, chunk)
        return await run_in_threadpool(_complete, upload, name, version, actor, services)


def _complete(
    upload: BundleUpload, name: str, version: str, actor: str, services: Services
) -> tuple[VersionInfo, Outcome]:
    """Blobs first, the database row last: a version that can be seen is whole."""
    manifest = upload.finish(name, version)
    services.catalogue.check_unclaimed(manifest, upload.manifest_sha256)
    upload.commit()
    return services.catalogue.add_version(manifest, upload.manifest_sha256, upload.manifest_bytes, actor)


@router.get("", summary="List bundles", responses=error_responses())
def list_bundles(services: ServicesDep) -> BundleList:
    """Every bundle name with its number of versions and its highest one."""
    return BundleList(bundles=services.catalogue.bundles())


@router.get(
    "/{name}/versions", summary="List versions of a bundle", responses=error_responses(UnknownBundle, InvalidRequest)
)
def list_versions(name: NamePath, services: ServicesDep) -> VersionList:
    """Every version with its digests, newest first."""
    return VersionList(versions=services.catalogue.versions(name))


@router.get(
    "/{name}/versions/{version}",
    summary="One version",
    responses=error_responses(UnknownBundle, UnknownVersion, InvalidRequest),
)
def get_version(name: NamePath, version: VersionPath, services: ServicesDep) -> VersionInfo:
    """The version's digests and sizes."""
    return services.catalogue.version(name, version)


@router.delete(
    "/{name}/versions/{version}",
    summary="Delete a version",
    status_code=204,
    responses=error_responses(
        Unauthorised, WritesDisabled, Forbidden, UnknownBundle, UnknownVersion, VersionInUse, InvalidRequest
    ),
)
def delete_version(name: NamePath, version: VersionPath, credentials: CredentialsDep, services: ServicesDep) -> None:
    """Forget a version that no channel ever gave. The token must have the scope `admin`."""
    grant = services.tokens.grant(credentials).require("admin")
    services.catalogue.delete_version(name, version)
    _log.info("%s deleted %s %s", grant.name, name, version)


@router.get(
    "/{name}/versions/{version}/manifest",
    summary="The manifest of a version",
    response_class=Response,
    responses={
        200: {
            "content": {"application/json": {"schema": {"type": "object"}}},
            "description": "manifest.json, byte for byte",
        },
        **error_responses(UnknownBundle, UnknownVersion, UnknownBlob, InvalidRequest),
    },
)
def get_manifest(request: Request, name: NamePath, version: VersionPath, services: ServicesDep) -> Response:
    """The exact bytes that were published; they hash to the version's `manifest_sha256`."""
    digest = services.catalogue.version(name, version).manifest_sha256
    return immutable_file(request, services.blobs.locate(digest), digest, "application/json")
