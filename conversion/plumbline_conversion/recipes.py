"""Named sets of options, so that one word makes what a device needs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

SAMPLE_CLIP: Final = Path("samples/squats.mp4")
"""Comes with the repository: one rendered person, which may be given away."""

RECIPES: Final[Mapping[str, Mapping[str, Any]]] = {
    "edge": {"precision": ["fp16", "int8"], "input": "uint8", "ranges": "auto"},
    "all": {"precision": ["fp32", "fp16", "dynamic", "int8"], "input": "normalised", "ranges": "auto"},
}
"""edge: what a Pi runs (int8) and the float file to fall back on, both of which take a crop's bytes as they are."""
