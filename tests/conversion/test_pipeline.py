"""From an ONNX file to sealed bundles on a real, if tiny, HRNet; and nothing is left behind by what fails."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from tests.conversion.graphs import GraphBuilder, export_record, save_mini_hrnet
from tests.conversion.pictures import write_pictures, write_video

from plumbline_contract.decode import DECODERS
from plumbline_contract.errors import PlumblineError
from plumbline_contract.manifest import BUNDLE_FILES, MANIFEST_FILE, Manifest, parse_manifest, require_publishable
from plumbline_conversion import cli, cli_seal
from plumbline_conversion.errors import (
    InvalidPlan,
    OutputExists,
    ParityLost,
    UnreadableImages,
)
from plumbline_conversion.litert import TFLiteModel
from plumbline_conversion.pipeline import Draft, convert
from plumbline_conversion.plan import DEFAULT_LIMITS, PRECISIONS, ImageSource, ParityLimit, Plan
from plumbline_conversion.profile import machine_description
from plumbline_conversion.seal import seal


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with model.onnx, images/ and clip.mp4."""
    folder = tmp_path_factory.mktemp("inputs")
    save_mini_hrnet(folder / "model.onnx")
    write_pictures(folder / "images", 60)
    write_video(folder / "clip.mp4", 12)
    return folder


def plan_for(inputs: Path, out: Path, **changes: object) -> Plan:
    fields = {
        "onnx_path": inputs / "model.onnx",
        "out_dir": out,
        "version": "0.1.0",
        "calibration": ImageSource(inputs / "images"),
        "golden": ImageSource(inputs / "clip.mp4"),
        "golden_samples": 3,
    }
    return Plan(**{**fields, **changes})  # type: ignore[arg-type]  # the fields have several types


@pytest.fixture(scope="module")
def drafts(inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Draft]:
    """Draft bundles in all precisions; read only."""
    out = tmp_path_factory.mktemp("out") / "bundles"
    lines: list[str] = []
    made = convert(plan_for(inputs, out), lines.append)
    assert lines[0].startswith("[1/28] check the ONNX file: ")
    assert lines[-1].startswith("[28/28] write the report: ")
    assert {path.name for path in out.iterdir()} == {*PRECISIONS, ".steps", "report.json", "report.html"}
    assert [path.name for path in out.parent.iterdir()] == ["bundles"]
    return {draft.manifest.precision: draft for draft in made}


def test_all_precisions_are_drafted(drafts: dict[str, Draft]) -> None:
    assert tuple(drafts) == PRECISIONS
    for draft in drafts.values():
        names = {path.name for path in draft.bundle_dir.iterdir()}
        assert names == {*BUNDLE_FILES, MANIFEST_FILE}
        assert draft.manifest.files == {}


@pytest.mark.parametrize("precision", PRECISIONS)
def test_graph_has_no_transpose_and_is_one_partition(drafts: dict[str, Draft], precision: str) -> None:
    profile = drafts[precision].profile
    assert profile.operators["CONV_2D"] == 11
    assert "TRANSPOSE" not in profile.operators
    assert "RESIZE_NEAREST_NEIGHBOR" not in profile.operators
    assert profile.partitions == 1


@pytest.mark.parametrize(
    ("precision", "max_abs", "max_px"),
    [("fp32", 1e-5, 0.01), ("fp16", 5e-3, 0.1), ("dynamic", 0.05, 1), ("int8", 0.1, 1)],
)
def test_parity_is_proven_on_keypoints(drafts: dict[str, Draft], precision: str, max_abs: float, max_px: float) -> None:
    proofs = drafts[precision].manifest.metrics.parity
    parity = proofs[-1]
    assert (proofs[0].candidate, parity.candidate, parity.precision) == ("onnx", "tflite", precision)
    # Every bundle carries the proof of the translation beside that of its own precision.
    assert [proof.precision for proof in proofs[1:]] == list(dict.fromkeys(["fp32", precision]))
    assert parity.samples == 12
    assert parity.keypoints_compared > 150
    assert parity.heatmap_max_abs <= max_abs
    assert parity.keypoint_max_px <= max_px


def test_int8_manifest_says_what_the_file_has(drafts: dict[str, Draft]) -> None:
    draft = drafts["int8"]
    model = TFLiteModel(draft.bundle_dir / "model.tflite")
    for facts, spec in ((model.input, draft.manifest.input), (model.output, draft.manifest.output)):
        assert spec.dtype == "int8"
        assert spec.quantisation is not None
        assert facts.quantisation == spec.quantisation
        assert spec.layout == "NHWC"
    assert drafts["fp32"].manifest.input.quantisation is None


@pytest.mark.parametrize("precision", PRECISIONS)
def test_golden_heatmaps_peak_at_the_spot(drafts: dict[str, Draft], precision: str) -> None:
    with np.load(drafts[precision].bundle_dir / "golden.npz") as golden:
        crops_rgb, heatmaps_NHWK = golden["crops_rgb"], golden["heatmaps"]
    assert (crops_rgb.shape, crops_rgb.dtype) == ((3, 64, 48, 3), np.uint8)
    assert (heatmaps_NHWK.shape, heatmaps_NHWK.dtype) == ((3, 16, 12, 17), np.float32)
    keypoints_NK3 = DECODERS["dark"](np.moveaxis(heatmaps_NHWK, -1, 1))
    for crop, keypoints_K3 in zip(crops_rgb, keypoints_NK3, strict=True):
        row, column = np.unravel_index(crop.sum(axis=-1).argmax(), crop.shape[:2])
        assert np.abs(keypoints_K3[:, 0] - column / 4).max() < 1.5
        assert np.abs(keypoints_K3[:, 1] - row / 4).max() < 1.5


def test_latency_names_the_machine(drafts: dict[str, Draft]) -> None:
    latencies = drafts["fp32"].manifest.metrics.latency
    assert [latency.threads for latency in latencies] == [1, 2, 4]
    for latency in latencies:
        assert latency.machine == machine_description()
        assert latency.p95_seconds is not None
        assert 0 < latency.p50_seconds <= latency.p95_seconds


def test_tools_are_added_to_the_lineage(drafts: dict[str, Draft]) -> None:
    tools = drafts["fp32"].manifest.lineage.tools
    assert {"torch", "onnx", "ai-edge-litert", "plumbline-conversion"} <= set(tools)


def test_sealing_fixes_digests_and_changes_nothing_the_second_time(drafts: dict[str, Draft], tmp_path: Path) -> None:
    bundle = Path(shutil.copytree(drafts["int8"].bundle_dir, tmp_path / "bundle"))
    sealed = seal(bundle)
    require_publishable(sealed)
    for name, file in sealed.files.items():
        content = (bundle / name).read_bytes()
        assert (file.sha256, file.size_bytes) == (hashlib.sha256(content).hexdigest(), len(content))
    first = (bundle / MANIFEST_FILE).stat()
    assert parse_manifest((bundle / MANIFEST_FILE).read_bytes()) == sealed
    assert seal(bundle) == sealed
    assert (bundle / MANIFEST_FILE).stat() == first
    assert {path.name for path in bundle.iterdir()} == {*BUNDLE_FILES, MANIFEST_FILE}


def test_sealing_brings_ap_into_the_model_card(drafts: dict[str, Draft], tmp_path: Path) -> None:
    bundle = Path(shutil.copytree(drafts["fp32"].bundle_dir, tmp_path / "bundle"))
    assert "AP: not measured." in (bundle / "model-card.md").read_text()
    result = {"stage": "tflite", "precision": "fp32", "dataset": "spots", "images": 9, "persons": 9}
    rewrite(
        bundle, lambda manifest: manifest["metrics"].update(average_precision=[{**result, "ap": 0.5, "ap50": 0.75}])
    )
    sealed = seal(bundle)
    card = (bundle / "model-card.md").read_bytes()
    assert b"| tflite fp32 | spots | 9 | 9 | 0.500 | - | 0.750 |" in card
    assert sealed.files["model-card.md"].sha256 == hashlib.sha256(card).hexdigest()


def rewrite(bundle: Path, change: object) -> None:
    manifest = json.loads((bundle / MANIFEST_FILE).read_text())
    assert callable(change)
    change(manifest)
    (bundle / MANIFEST_FILE).write_text(Manifest.model_validate(manifest).to_json())


def drop_parity(bundle: Path) -> None:
    rewrite(bundle, lambda manifest: manifest["metrics"].update(parity=[]))


def drop_golden(bundle: Path) -> None:
    (bundle / "golden.npz").unlink()


def truncate_golden(bundle: Path) -> None:
    (bundle / "golden.npz").write_bytes((bundle / "golden.npz").read_bytes()[:200])


def change_golden(bundle: Path) -> None:
    with np.load(bundle / "golden.npz") as arrays:
        np.savez(bundle / "golden.npz", crops_rgb=arrays["crops_rgb"], heatmaps=arrays["heatmaps"][:, ::-1])


def change_scale(bundle: Path) -> None:
    rewrite(bundle, lambda manifest: manifest["output"]["quantisation"].update(scale=0.5))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (drop_parity, "lacks parity torch -> onnx, parity onnx -> tflite"),
        (drop_golden, r"no golden\.npz"),
        (truncate_golden, r"no valid golden\.npz"),
        (change_golden, "no longer gives"),
        (change_scale, "the manifest says"),
    ],
)
def test_spoilt_bundle_is_not_sealed(
    drafts: dict[str, Draft],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    spoil: object,
    message: str,
) -> None:
    bundle = Path(shutil.copytree(drafts["int8"].bundle_dir, tmp_path / "bundle"))
    assert callable(spoil)
    spoil(bundle)
    before = {path.name: path.read_bytes() for path in bundle.iterdir()}
    with pytest.raises(PlumblineError, match=message):
        seal(bundle)
    assert {path.name: path.read_bytes() for path in bundle.iterdir()} == before
    assert cli_seal.main([str(bundle)]) == 2
    assert capsys.readouterr().err.startswith("error: ")


def test_parity_loss_stops_everything(inputs: Path, tmp_path: Path) -> None:
    limits = {**DEFAULT_LIMITS, "int8": ParityLimit(heatmap_share=1e-9, keypoint_p99_px=2)}
    with pytest.raises(ParityLost, match="int8: heatmap max abs"):
        convert(plan_for(inputs, tmp_path / "out", precisions=("fp32", "int8"), limits=limits), lambda _: None)
    assert [path.name for path in (tmp_path / "out").iterdir()] == [".steps"]


def test_model_card_of_a_person_keeps_the_measured_part(inputs: Path, tmp_path: Path) -> None:
    card = tmp_path / "card.md"
    card.write_text("# Ours\n\nBy hand.\n", encoding="utf-8")
    (draft,) = convert(plan_for(inputs, tmp_path / "out", precisions=("fp32",), model_card=card), lambda _: None)
    text = (draft.bundle_dir / "model-card.md").read_text(encoding="utf-8")
    assert text.startswith("# Ours\n\nBy hand.\n\n<!-- plumbline:measured")
    assert "| dots | 60 | made by the tests |" in text


def test_bundles_are_replaced_only_on_demand(inputs: Path, tmp_path: Path) -> None:
    (tmp_path / "out" / "fp32").mkdir(parents=True)
    (tmp_path / "out" / "fp32" / MANIFEST_FILE).write_text("old")
    (tmp_path / "out" / "notes.txt").write_text("kept")
    with pytest.raises(OutputExists, match="--overwrite"):
        convert(plan_for(inputs, tmp_path / "out", precisions=("fp32",)), lambda _: None)
    (draft,) = convert(plan_for(inputs, tmp_path / "out", precisions=("fp32",), overwrite=True), lambda _: None)
    assert parse_manifest((draft.bundle_dir / MANIFEST_FILE).read_bytes()) == draft.manifest
    assert (tmp_path / "out" / "notes.txt").read_text() == "kept"
    (draft.bundle_dir / "mine.txt").write_text("mine")
    with pytest.raises(OutputExists, match="more than a bundle"):
        convert(plan_for(inputs, tmp_path / "out", precisions=("fp32",), overwrite=True), lambda _: None)


def test_too_few_calibration_images(inputs: Path, tmp_path: Path) -> None:
    few = write_pictures(tmp_path / "few", 6)
    with pytest.raises(UnreadableImages, match="4 crops are left"):
        convert(plan_for(inputs, tmp_path / "out", calibration=ImageSource(few)), lambda _: None)
    assert [path.name for path in (tmp_path / "out").iterdir()] == [".steps"]


@pytest.mark.parametrize(
    "changes", [{"version": "1.0"}, {"precisions": ()}, {"golden_samples": 0}, {"model_card": Path("/no/such/card.md")}]
)
def test_plan_that_cannot_work(inputs: Path, tmp_path: Path, changes: dict[str, object]) -> None:
    with pytest.raises(InvalidPlan):
        convert(plan_for(inputs, tmp_path / "out", **changes), lambda _: None)


def command(inputs: Path, out: Path, model: Path | None = None) -> list[str]:
    images = str(inputs / "images")
    options = ["--out", str(out), "--version", "0.1.0", "--calibration", images, "--golden", images]
    return [str(model or inputs / "model.onnx"), *options, "--precision", "int8"]


def test_command_line_converts_and_seals(inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(command(inputs, tmp_path / "out")) == 0
    output = capsys.readouterr()
    assert "1 XNNPACK partition(s), 0 Transpose" in output.out
    assert "[14/15] int8: draft the bundle" in output.err
    assert cli_seal.main([str(tmp_path / "out" / "int8")]) == 0
    assert "sealed mini-hrnet 0.1.0 (int8)" in capsys.readouterr().out


def test_users_errors_are_one_line(inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build = GraphBuilder()
    path = tmp_path / "odd.onnx"
    odd = build.node("Erf", build.node("Conv", "image", build.weight(17, 3, 4, 4), strides=[4, 4]))
    onnx.save(build.model(odd, export_record()), path)
    for model, message in ((path, "no translation for Erf"), (tmp_path / "none.onnx", "no such file")):
        assert cli.main(command(inputs, tmp_path / "out", model)) == 2
        last = capsys.readouterr().err.splitlines()[-1]
        assert last.startswith("error: ")
        assert message in last
    assert {entry.name for entry in tmp_path.iterdir()} == {"odd.onnx", "out"}
    assert [entry.name for entry in (tmp_path / "out").iterdir()] == [".steps"]
    assert cli.main(command(inputs, path / "out")) == 2
    assert capsys.readouterr().err.startswith(f"error: {path}")


def test_a_folder_of_the_users_own_is_no_work_folder_and_stays(
    inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    work, missing = tmp_path / "work", tmp_path / "typo.onnx"
    work.mkdir()
    (work / "thesis.txt").write_text("mine")
    for model in (missing, inputs / "model.onnx"):
        assert cli.main([*command(inputs, tmp_path / "out", model), "--work", str(work)]) == 2
        assert "holds files of no conversion; name a new or an empty folder with --work" in capsys.readouterr().err
        assert [path.read_text() for path in work.iterdir()] == ["mine"]
    (work / "thesis.txt").unlink()
    # An empty one is taken, and is empty again when nothing was finished.
    assert cli.main([*command(inputs, tmp_path / "out", missing), "--work", str(work)]) == 2
    assert "no such file" in capsys.readouterr().err
    assert list(work.iterdir()) == []


def test_a_work_folder_made_for_nothing_goes_away_and_an_earlier_one_stays(inputs: Path, tmp_path: Path) -> None:
    missing = plan_for(inputs, tmp_path / "out", onnx_path=tmp_path / "typo.onnx", work_dir=tmp_path / "deep/work")
    with pytest.raises(PlumblineError, match="no such file"):
        convert(missing, lambda _: None)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "deep/work/finished").mkdir(parents=True)
    (tmp_path / "deep/work/base.tflite").write_text("half")
    for _ in range(2):
        with pytest.raises(PlumblineError, match="no such file"):
            convert(missing, lambda _: None)
    assert {path.name for path in (tmp_path / "deep/work").iterdir()} == {"finished", "base.tflite", ".lock"}


@pytest.mark.parametrize("limit", ["int8", "int4=2", "int8=far"])
def test_limit_that_is_none(limit: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        cli.main(["model.onnx", "--limit-p99-px", limit])
    assert limit in capsys.readouterr().err


def test_limits_of_the_command_line_reach_the_plan() -> None:
    options = cli.parser().parse_args([*command(Path("in"), Path("out")), "--limit-p99-px", "int8=3.5"])
    plan = cli.plan_from(options)
    assert plan.limits["int8"].keypoint_p99_px == 3.5
    assert plan.limits["fp32"] == DEFAULT_LIMITS["fp32"]
    assert plan.precisions == ("int8",)
