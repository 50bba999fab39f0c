"""A YAML file of settings, with mistakes told by name."""

from __future__ import annotations

from collections.abc import Set
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from plumbline_edge.errors import InvalidSettings


def read_config(path: Path, known: Set[str]) -> dict[str, Any]:
    """The file's settings by name. Raises InvalidSettings for what is no mapping, or names something not `known`."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InvalidSettings(f"config {str(path)!r}: {reason}; check --config") from error
    # What looks like a date and is none, such as 2026-02-30, is a ValueError.
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InvalidSettings(f"config {str(path)!r} is no YAML: {' '.join(str(error).split())}") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise InvalidSettings(f"config {str(path)!r}: holds {type(content).__name__}, not 'name: value' lines")
    if unknown := [name for name in content if name not in known]:
        told = "; ".join(_unknown(str(name), known) for name in unknown)
        raise InvalidSettings(f"config {str(path)!r}: {told}")
    return content


def _unknown(name: str, known: Set[str]) -> str:
    near = get_close_matches(name, sorted(known), 1)
    hint = f"did you mean {near[0]!r}?" if near else "`plumbline-edge config schema` lists what there is"
    return f"there is no setting {name!r}; {hint}"
