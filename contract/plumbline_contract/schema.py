"""Writes the JSON schemas generated from the contract's models: `python -m plumbline_contract.schema FOLDER`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from pydantic import BaseModel

from plumbline_contract.exercise import Exercise
from plumbline_contract.manifest import FormManifest, Manifest


def manifest_schema() -> str:
    """The JSON schema of manifest.json as text."""
    return _schema(Manifest)


def form_manifest_schema() -> str:
    """The JSON schema of a judge's manifest.json as text."""
    return _schema(FormManifest)


def exercise_schema() -> str:
    """The JSON schema of an exercise definition as text."""
    return _schema(Exercise)


def _schema(model: type[BaseModel]) -> str:
    return json.dumps(model.model_json_schema(), indent=2) + "\n"


def main() -> None:
    """Write every schema into the folder named on the command line."""
    folder = Path(sys.argv[1])
    (folder / "manifest.schema.json").write_text(manifest_schema(), encoding="utf-8")
    (folder / "form-manifest.schema.json").write_text(form_manifest_schema(), encoding="utf-8")
    (folder / "exercise.schema.json").write_text(exercise_schema(), encoding="utf-8")


if __name__ == "__main__":
    main()
