"""Files that never change under their digest: ETag, Range, and who sends the bytes."""

from __future__ import annotations

import re
from typing import Final

from fastapi import Request
from fastapi.responses import RedirectResponse, Response, StreamingResponse

from plumbline_registry.api.dependencies import Services
from plumbline_registry.blobs import blob_key
from plumbline_registry.errors import UnsatisfiableRange

_RANGE: Final = re.compile(r"bytes=(?:(\d{1,15})-(\d{1,15})?|-(0*[1-9]\d{0,14}))")


def immutable_file(
    request: Request, services: Services, sha256: str, media_type: str, *, hand_over: bool = False
) -> Response:
    """A blob as a file, whole or in part; with `hand_over`, somebody else may send it.

    Raises UnsatisfiableRange, UnknownBlob, StorageUnavailable.
    """
    etag = f'"{sha256}"'
    headers = {"ETag": etag, "Cache-Control": "public, max-age=31536000, immutable", "Accept-Ranges": "bytes"}
    known = request.headers.get("if-none-match", "")
    if etag in {tag.strip().removeprefix("W/") for tag in known.split(",")}:
        return Response(status_code=304, headers=headers)
    size_bytes = services.blobs.size(sha256)
    if hand_over and services.settings.downloads == "accel":
        # nginx takes the range from the request, and these headers from here.
        place = f"{services.settings.accel_prefix}/{blob_key(sha256)}"
        return Response(headers={**headers, "X-Accel-Redirect": place}, media_type=media_type)
    if hand_over and request.method == "GET" and (link := _link(services, sha256)):
        # The link ends; what may be kept is what it leads to.
        return RedirectResponse(link, status_code=307, headers={"ETag": etag, "Cache-Control": "no-store"})
    asked = request.headers.get("range") if request.headers.get("if-range", etag) == etag else None
    begin, end = (0, size_bytes) if asked is None else _range(asked, size_bytes)
    headers["Content-Length"] = str(end - begin)
    if asked is not None:
        headers["Content-Range"] = f"bytes {begin}-{end - 1}/{size_bytes}"
    status = 200 if asked is None else 206
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers, media_type=media_type)
    return StreamingResponse(services.blobs.read(sha256, begin, end), status, headers, media_type)


def _link(services: Services, sha256: str) -> str | None:
    return services.blobs.link(sha256) if services.settings.downloads == "redirect" else None


def _range(value: str, size_bytes: int) -> tuple[int, int]:
    """First byte, and the one after the last, of the one range that a download asks for when it resumes."""
    match = _RANGE.fullmatch(value)
    if match is not None and match[3]:
        return max(0, size_bytes - int(match[3])), size_bytes
    begin = int(match[1]) if match is not None else size_bytes
    end = size_bytes if match is None or not match[2] else min(int(match[2]) + 1, size_bytes)
    if begin >= size_bytes or end <= begin:
        raise UnsatisfiableRange(
            f"range {value!r}: give one range within the {size_bytes} bytes, such as 'bytes=0-1023'"
        )
    return begin, end
