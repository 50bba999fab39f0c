"""What the guide for authors shows is right, and says everything there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from plumbline_contract.measure import Measure
from plumbline_edge.coach.cli import main

GUIDE = (Path(__file__).parents[3] / "docs" / "adding-an-exercise.md").read_text(encoding="utf-8")


def test_the_worked_example_is_right(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    example = re.search(r"```yaml\n(.*?)```", GUIDE, re.DOTALL)
    assert example is not None
    (tmp_path / "heel_raise.yaml").write_text(example[1], encoding="utf-8")
    assert main(["check", str(tmp_path / "heel_raise.yaml")]) == 0
    assert "leaning (moderate, moving, seen from side)" in capsys.readouterr().out


def test_every_kind_of_measure_is_explained() -> None:
    schema = TypeAdapter(Measure).json_schema()
    kinds = {definition["properties"]["kind"]["const"] for definition in schema["$defs"].values()}
    assert {kind for kind in kinds if f"`{kind}`" not in GUIDE} == set()
