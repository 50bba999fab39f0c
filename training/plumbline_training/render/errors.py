"""What can go wrong with a rendering that somebody asked for."""

from __future__ import annotations

from plumbline_contract.errors import PlumblineError


class RenderUnavailable(PlumblineError):
    """The packages that the renderer needs are not installed."""


class InvalidRequest(PlumblineError):
    """What was asked for can't be rendered."""


class InvalidMotion(PlumblineError):
    """A file of exercise motions breaks their schema."""


class ClipNotWritten(PlumblineError):
    """A video could not be encoded."""


class WorkerLost(PlumblineError):
    """A worker process ended before its work was done."""
