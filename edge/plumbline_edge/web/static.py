"""The page's own files. A strict policy keeps it from asking anybody else, and from running anything but them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from fastapi import FastAPI, Response

from plumbline_edge.web.problems import problem

NO_STORE: Final = {"Cache-Control": "no-store"}
PROTECTION: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
PAGE_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
    " manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
REPORT_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'"
)
TYPES: Final = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "json": "application/json",
    "svg": "image/svg+xml",
}


def add_page(app: FastAPI) -> None:
    """Serve the page at / and its files under /page/."""
    # Read once: what is served is what was there at the start, and no name in a request ever reaches the disk.
    served = {name: path.read_bytes() for name, path in page_files().items()}

    @app.get("/", include_in_schema=False)
    def show_page() -> Response:
        return _answer("index.html", served["index.html"])

    @app.get("/page/{name:path}", include_in_schema=False)
    def show_file(name: str) -> Response:
        if name not in served:
            return problem(404, "not_found", f"the page has no file {name!r}")
        return _answer(name, served[name])


def page_files() -> dict[str, Path]:
    """The page's files by their names under /page/."""
    folder = Path(__file__).parent / "page"
    return {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.suffix[1:] in TYPES}


def _answer(name: str, content: bytes) -> Response:
    headers = {"Content-Security-Policy": PAGE_POLICY, **PROTECTION, "Cache-Control": "no-cache"}
    return Response(content, media_type=TYPES[name.rpartition(".")[2]], headers=headers)
