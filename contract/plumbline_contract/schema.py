"""Writes the JSON schemas generated from the contract's models: `python -m plumbline_contract.schema FOLDER`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from plumbline_contract.manifest import Manifest


def manifest_schema() -> str:
    """The JSON schema of manifest.json as text."""
    return json.dumps(Manifest.model_json_schema(), indent=2) + "\n"


def main() -> None:
    """Write every schema into the folder named on the command line."""
    (Path(sys.argv[1]) / "manifest.schema.json").write_text(manifest_schema(), encoding="utf-8")


if __name__ == "__main__":
    main()
