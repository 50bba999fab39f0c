"""Publishing and finding versions of bundles."""

from __future__ import annotations

import logging
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from plumbline_contract.errors import (
    DigestMismatch,
    InvalidEvaluation,
    InvalidManifest,
    PlumblineError,
    UnpublishableBundle,
)
from plumbline_contract.manifest import Version
from plumbline_registry.api.dependencies import (
    AfterQuery,
    CredentialsDep,
    NamePath,
    PublisherDep,
    SearchQuery,
    Services,
    ServicesDep,
    VersionPath,
)
from plumbline_registry.api.files import immutable_file
from plumbline_registry.api.responses import error_responses
from plumbline_registry.body import body_chunks
from plumbline_registry.catalogue import Outcome
from plumbline_registry.comparison import compare
from plumbline_registry.errors import (
    Forbidden,
    InvalidRequest,
    MalformedUpload,
    QuotaExceeded,
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
from plumbline_registry.models import BundleList, Comparison, VersionInfo, VersionList
from plumbline_registry.upload import BundleUpload

router: Final = APIRouter(prefix="/v1/bundles", tags=["bundles"])
LimitQuery = Annotated[int, Query(ge=1, le=1000, description="entries a page")]
_log: Final = logging.getLogger(__name__)

_TAR_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "description": "An uncompressed tar of manifest.json, model.tflite, golden.npz and model-card.md, with"
        " evaluation.npz if there is one, and no more:"
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
    InvalidEvaluation,
    QuotaExceeded,
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
    await run_in_threadpool(services.catalogue.check_quota)
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
    with services.leases.held(upload.digests):
        upload.commit()
        return services.catalogue.add_version(manifest, upload.manifest_sha256, upload.manifest_bytes, actor)


@router.get("", summary="List bundles", responses=error_responses(InvalidRequest))
def list_bundles(
    services: ServicesDep,
    search: SearchQuery = "",
    after: AfterQuery = "",
    limit: LimitQuery = 100,
) -> BundleList:
    """Bundle names, with how many versions and the highest one; `next` is the `after` of the next page."""
    return services.catalogue.bundles(search, after, limit)


@router.get(
    "/{name}/versions",
    summary="List versions of a bundle",
    responses=error_responses(UnknownBundle, UnknownVersion, InvalidRequest),
)
def list_versions(
    name: NamePath,
    services: ServicesDep,
    search: SearchQuery = "",
    after: Annotated[Version | None, Query(description="go on with those published before this one")] = None,
    limit: LimitQuery = 100,
) -> VersionList:
    """Versions with their digests, newest first; `next` is the `after` of the next page."""
    return services.catalogue.versions(name, search, after, limit)


@router.get(
    "/{name}/compare",
    summary="Two versions beside each other",
    responses=error_responses(UnknownBundle, UnknownVersion, UnknownBlob, InvalidRequest),
)
def compare_versions(
    name: NamePath,
    before: Annotated[Version, Query(examples=["1.1.0"])],
    after: Annotated[Version, Query(examples=["1.2.0"])],
    services: ServicesDep,
) -> Comparison:
    """What was measured, where they came from, how large they are, and what else of their manifests differs."""
    found = (services.catalogue.version(name, version).manifest_sha256 for version in (before, after))
    return compare(*map(services.manifests.manifest, found))


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
    services.catalogue.delete_version(name, version, grant.name)
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
    return immutable_file(request, services, digest, "application/json")
