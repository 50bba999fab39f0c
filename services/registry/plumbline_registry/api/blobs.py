"""The bytes of bundles, by digest."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Request, Response

from plumbline_registry.api.dependencies import DigestPath, ServicesDep
from plumbline_registry.api.files import immutable_file
from plumbline_registry.api.responses import error_responses
from plumbline_registry.errors import InvalidRequest, UnknownBlob, UnsatisfiableRange

router: Final = APIRouter(prefix="/v1/blobs", tags=["blobs"])

_BYTES: Final = {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}


@router.head("/{sha256}", include_in_schema=False)
@router.get(
    "/{sha256}",
    summary="A file of a bundle",
    response_class=Response,
    responses={
        200: {**_BYTES, "description": "The bytes"},
        206: {**_BYTES, "description": "The bytes of the asked range"},
        304: {"description": "The client has it already (If-None-Match)"},
        307: {"description": "Where the object store gives it, for some minutes (setting `downloads`)"},
        **error_responses(UnknownBlob, UnsatisfiableRange, InvalidRequest),
    },
)
def get_blob(request: Request, sha256: DigestPath, services: ServicesDep) -> Response:
    """The bytes that hash to this digest, streamed; check them. A cut download goes on with `Range: bytes=N-`."""
    return immutable_file(request, services, sha256, "application/octet-stream", hand_over=True)
