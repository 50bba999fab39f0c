"""Finished steps are not done again while what they read stands; lineage, report and --explain say so."""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path

import pytest
from tests.conversion.graphs import save_mini_hrnet
from tests.conversion.pictures import write_pictures

import plumbline_contract
from plumbline_contract.manifest import parse_manifest
from plumbline_conversion import cli
from plumbline_conversion.errors import OutputExists, ParityLost
from plumbline_conversion.pipeline import convert
from plumbline_conversion.plan import DEFAULT_LIMITS, ImageSource, ParityLimit, Plan
from plumbline_conversion.records import key_of, tools


def plan_for(folder: Path, **changes: object) -> Plan:
    source = ImageSource(folder / "images")
    fields = {
        "onnx_path": folder / "model.onnx",
        "out_dir": folder / "out",
        "version": "0.1.0",
        "calibration": source,
        "golden": source,
        "precisions": ("int8",),
        "overwrite": True,
    }
    return Plan(**{**fields, **changes})  # type: ignore[arg-type]  # the fields have several types


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Holds model.onnx and images/."""
    save_mini_hrnet(tmp_path / "model.onnx")
    write_pictures(tmp_path / "images", 60)
    return tmp_path


def done_again(plan: Plan) -> list[str]:
    """Names of the steps that were run."""
    lines: list[str] = []
    convert(plan, lines.append)
    return [line.partition("] ")[2].rpartition(": ")[0] for line in lines if not line.endswith(": as before")]


def test_only_what_changed_is_done_again(folder: Path) -> None:
    assert len(done_again(plan_for(folder))) == 15
    bundle = folder / "out" / "int8" / "manifest.json"
    first = bundle.read_bytes()
    assert done_again(plan_for(folder)) == []
    assert bundle.read_bytes() == first
    again = done_again(plan_for(folder, ranging="minmax"))
    assert "int8: choose ranges and float layers" in again
    assert "lower to TFLite" not in again
    assert "int8: find the ranges" not in again
    save_mini_hrnet(folder / "model.onnx", name="other-net")
    again = done_again(plan_for(folder, ranging="minmax"))
    assert {"check the ONNX file", "translate to an NHWC SavedModel", "int8: draft the bundle"} <= set(again)
    assert parse_manifest(bundle.read_bytes()).name == "other-net"


def test_a_file_that_was_changed_is_made_again(folder: Path) -> None:
    done_again(plan_for(folder))
    (folder / "out" / ".steps" / "base.tflite").write_bytes(b"spoilt")
    assert done_again(plan_for(folder)) == ["lower to TFLite"]
    (folder / "images" / "000.png").unlink()
    assert "cut out calibration crops" in done_again(plan_for(folder))


def test_a_stopped_conversion_goes_on_where_it_stopped(folder: Path) -> None:
    strict = {**DEFAULT_LIMITS, "int8": ParityLimit(heatmap_share=1e-9, keypoint_p99_px=None)}
    with pytest.raises(ParityLost):
        convert(plan_for(folder, limits=strict), lambda _: None)
    assert not (folder / "out" / "int8").exists()
    assert done_again(plan_for(folder))[0] == "int8: prove parity with ONNX"


def test_finished_steps_may_lie_on_another_disk(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rename = Path.rename

    def on_one_disk(path: Path, target: Path) -> Path:
        if (folder / "work" in path.parents) != (folder / "work" in target.parents):
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), str(path))
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", on_one_disk)
    plan = plan_for(folder, work_dir=folder / "work", precisions=("dynamic",))
    for _ in range(2):
        (draft,) = convert(plan, lambda _: None)
        assert draft.bundle_dir == folder / "out" / "dynamic"
        assert {path.name for path in (folder / "out").iterdir()} == {"dynamic", "report.json", "report.html"}


def test_the_lineage_names_every_step(folder: Path) -> None:
    (draft,) = convert(plan_for(folder), lambda _: None)
    steps = draft.manifest.lineage.steps
    assert steps[0].name == "check the ONNX file"
    assert steps[-1].name == "write the report"
    translated, lowered = (
        next(step for step in steps if step.name.startswith(name)) for name in ("translate", "lower")
    )
    assert translated.outputs["saved_model"] == lowered.inputs["saved_model"]
    for step in steps:
        assert step.outputs
        assert step.peak_memory_bytes > 1e7
        assert {"onnx", "ai-edge-litert", "python"} <= set(step.tools)


def test_two_at_once_in_one_folder(folder: Path) -> None:
    def second(_: str) -> None:
        with pytest.raises(OutputExists, match="another conversion"):
            convert(plan_for(folder), lambda _: None)

    convert(plan_for(folder), second)


def test_explaining_does_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = str(folder / "images")
    command = [str(folder / "model.onnx"), "--recipe", "edge", "--explain", "--out", str(folder / "out")]
    assert cli.main([*command, "--calibration", images, "--golden", images]) == 0
    text = capsys.readouterr().out
    assert " 1. check the ONNX file: opset, export record" in text
    assert "precision=fp16, form=uint8" in text
    assert "int8: choose ranges and float layers" in text
    assert not (folder / "out").exists()


def test_recipe_edge_is_one_word(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "samples").mkdir()
    (folder / "samples" / "squats.mp4").symlink_to(Path(__file__).parents[2] / "samples" / "squats.mp4")
    monkeypatch.chdir(folder)
    assert cli.main(["model.onnx", "--recipe", "edge", "--limit-oks", "int8=0", "--limit-p99-px", "fp16=9"]) == 0
    assert {path.name for path in (folder / "bundles").iterdir()} == {
        "fp16",
        "int8",
        ".steps",
        "report.json",
        "report.html",
    }
    manifest = parse_manifest((folder / "bundles" / "int8" / "manifest.json").read_bytes())
    assert manifest.input.dtype == "uint8"
    (folder / "samples" / "squats.mp4").unlink()
    assert cli.main(["model.onnx", "--recipe", "edge"]) == 2
    assert "--calibration names no pictures" in capsys.readouterr().err


def test_the_report_holds_what_was_measured(folder: Path) -> None:
    convert(plan_for(folder, precisions=("fp16", "int8"), scan_layers=True, float_layers=1), lambda _: None)
    report = json.loads((folder / "out" / "report.json").read_text())
    assert [item["precision"] for item in report["precisions"]] == ["fp16", "int8"]
    scanned = report["choice"]["sensitivities"]
    assert len(scanned) == 11
    assert report["choice"]["kept_float"] == [scanned[0]["tensor"]]
    losses = report["choice"]["losses"]
    assert set(losses) == {"minmax", "mse"} | ({"percentile"} if losses["mse"] < losses["minmax"] else set())
    for item in report["precisions"]:
        assert item["profile"]["macs"] > 1e5
        assert item["profile"]["live_bytes"] > 1e4
        assert [bound["threads"] for bound in item["estimates"]] == [1, 3]
    # The layer in float stands between a DEQUANTIZE and a QUANTIZE.
    assert report["precisions"][1]["profile"]["operators"]["DEQUANTIZE"] >= 1
    page = (folder / "out" / "report.html").read_text()
    assert page.count("<svg") == 4
    assert "an estimate, not a measurement" in page
    assert "http" not in page.replace("http://www.w3.org", "")


def test_another_decoder_of_the_contract_makes_everything_anew(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    package = tmp_path / "plumbline_contract"
    shutil.copytree(Path(plumbline_contract.__file__).parent, package)
    keys = []
    for edit in ("", "", "SIGMA = 2.0\n"):
        with (package / "decode.py").open("a") as file:
            file.write(edit)
        monkeypatch.setattr(plumbline_contract, "__file__", str(package / "__init__.py"))
        tools.cache_clear()
        keys.append(key_of("cut out crops", {}, {}))
    tools.cache_clear()
    assert keys[0] == keys[1] != keys[2]
