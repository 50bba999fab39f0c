"""A Prometheus, asked from outside, and a server that answers as a test says."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import httpx


@contextmanager
def answering(respond: Callable[[str], tuple[int, str]], content_type: str = "text/plain") -> Iterator[str]:
    """A server's address; `respond` gives status and text for the path that was asked for."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, text = respond(self.path)
            content = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *arguments: object) -> None:
            """Nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def query(prometheus: str, expression: str) -> dict[str, float]:
    """An instant query: instance -> value."""
    return {instance: value for (instance,), value in query_by(prometheus, expression, "instance").items()}


def query_by(prometheus: str, expression: str, *labels: str) -> dict[tuple[str, ...], float]:
    """An instant query: the values of these labels -> value."""
    answer = httpx.get(f"{prometheus}/api/v1/query", params={"query": expression}).raise_for_status().json()
    samples: list[dict[str, Any]] = answer["data"]["result"]
    return {
        tuple(str(sample["metric"].get(label, "")) for label in labels): float(sample["value"][1]) for sample in samples
    }
