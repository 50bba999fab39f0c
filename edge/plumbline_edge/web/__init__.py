"""The page, its live picture and state, the metrics and the health probes."""

from plumbline_edge.web.app import create_app

__all__ = ["create_app"]
