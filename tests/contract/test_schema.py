"""The JSON schemas in the repository are those of the models."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from plumbline_contract.schema import exercise_schema, form_manifest_schema, manifest_schema

FOLDER = Path(__file__).parents[2] / "contract" / "schema"


SCHEMAS = {"manifest": manifest_schema, "form-manifest": form_manifest_schema, "exercise": exercise_schema}


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_schema_file_is_in_step(name: str) -> None:
    written = (FOLDER / f"{name}.schema.json").read_text(encoding="utf-8")
    assert json.loads(written) == json.loads(SCHEMAS[name]()), "run: python -m plumbline_contract.schema FOLDER"


def test_the_command_writes_every_schema(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "plumbline_contract.schema", str(tmp_path)], check=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(path.name for path in FOLDER.iterdir())
    for path in tmp_path.iterdir():
        assert json.loads(path.read_text(encoding="utf-8"))["type"] == "object"
