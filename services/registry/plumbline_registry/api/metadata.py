"""The signed metadata: TUF clients read it as files; operators, CI and the signer send it in sets."""

from __future__ import annotations

import re
from typing import Annotated, Final

from fastapi import APIRouter, Path, Request, Response
from fastapi.concurrency import run_in_threadpool

from plumbline_contract.manifest import MANIFEST_FILE, Sha256
from plumbline_registry.api.dependencies import ChannelPath, CredentialsDep, NamePath, Services, ServicesDep
from plumbline_registry.api.files import immutable_file
from plumbline_registry.api.responses import error_responses, validated
from plumbline_registry.body import read_small_body
from plumbline_registry.errors import (
    Forbidden,
    GateRefused,
    InvalidMetadata,
    InvalidRequest,
    MetadataConflict,
    Unauthorised,
    UnknownBlob,
    UnknownMetadata,
    UnsatisfiableRange,
    UntrustedMetadata,
    UploadInterrupted,
    UploadStalled,
    UploadTooLarge,
    WritesDisabled,
)
from plumbline_registry.models import MetadataSet, MetadataVersions
from plumbline_registry.settings import MAX_METADATA_BYTES
from plumbline_registry.tokens import Grant
from plumbline_registry.trust.roles import TIMESTAMP, scope_of

router: Final = APIRouter(tags=["metadata"])

_FILE: Final = r"^(?:timestamp|[1-9][0-9]{0,17}\.(?:root|targets|snapshot|dev|canary|stable))\.json$"
FilePath = Annotated[str, Path(pattern=_FILE, description="timestamp.json, or <version>.<role>.json")]
_JSON: Final = {"content": {"application/json": {"schema": {"type": "object"}}}}


@router.get("/v1/metadata", summary="Newest versions of the signed metadata", responses=error_responses())
def get_versions(services: ServicesDep) -> MetadataVersions:
    """The newest version of each role; what devices see is what the timestamp and its snapshot list."""
    return MetadataVersions(versions=services.metadata.versions())


@router.post(
    "/v1/metadata",
    summary="Send signed metadata",
    responses=error_responses(
        UploadInterrupted,
        Unauthorised,
        WritesDisabled,
        Forbidden,
        UntrustedMetadata,
        UploadStalled,
        MetadataConflict,
        UploadTooLarge,
        InvalidRequest,
        InvalidMetadata,
        GateRefused,
    ),
    openapi_extra={
        "requestBody": {"required": True, "content": {"application/json": {"schema": MetadataSet.model_json_schema()}}}
    },
)
async def post_metadata(request: Request, credentials: CredentialsDep, services: ServicesDep) -> MetadataVersions:
    """Take a set of signed documents, all or none: a promotion is a new version of its channel's role.

    Each document must be signed by its role's keys and be the next version of its role; the token must have the scope
    `promote` for channels, `sign` for snapshot and timestamp, `admin` for root and targets. A bundle that a channel
    has not given before must pass the gates.
    """
    grant = await run_in_threadpool(services.tokens.grant, credentials)
    sent = validated(
        MetadataSet, await read_small_body(request, MAX_METADATA_BYTES, services.settings.upload_idle_seconds)
    )
    for role in sent.documents:
        grant.require(scope_of(role))
    contents: dict[str, bytes] = {role: text.encode() for role, text in sent.documents.items()}
    return MetadataVersions(versions=await run_in_threadpool(_take, contents, grant, services))


def _take(contents: dict[str, bytes], grant: Grant, services: Services) -> dict[str, int]:
    """The gates first, since they take seconds: if a channel moved meanwhile, the set itself is out of date."""
    try:
        said = services.gates.judge(services.metadata.moves(contents), grant)
        return services.metadata.accept(contents, grant.name, said)
    except (GateRefused, UntrustedMetadata, Forbidden) as error:
        services.audit.refused(grant.name, ", ".join(sorted(contents)), str(error))
        raise


@router.get(
    "/tuf/metadata/{file}",
    summary="A document, for TUF clients",
    response_class=Response,
    responses={
        200: {**_JSON, "description": "The document, byte for byte as it was signed"},
        **error_responses(UnknownMetadata, InvalidRequest),
    },
)
def get_document(file: FilePath, services: ServicesDep) -> Response:
    """Versioned files never change; timestamp.json is the newest."""
    if file == f"{TIMESTAMP}.json":
        content = services.metadata.content(TIMESTAMP)
        return Response(content, media_type="application/json", headers={"Cache-Control": "no-cache"})
    version, role, _ = re.split(r"\.", file)
    headers = {"Cache-Control": "public, max-age=31536000, immutable"}
    return Response(services.metadata.content(role, int(version)), media_type="application/json", headers=headers)


@router.get(
    f"/tuf/targets/{{channel}}/{{name}}/{{sha256}}.{MANIFEST_FILE}",
    summary="A manifest, for TUF clients",
    response_class=Response,
    responses={
        200: {**_JSON, "description": "manifest.json, byte for byte"},
        **error_responses(UnknownBlob, UnsatisfiableRange, InvalidRequest),
    },
)
def get_target(
    request: Request, channel: ChannelPath, name: NamePath, sha256: Annotated[Sha256, Path()], services: ServicesDep
) -> Response:
    """The manifest that a channel's role names, at the address where a TUF client looks for it."""
    services.catalogue.require_manifest(name, sha256)
    return immutable_file(request, services, sha256, "application/json")
