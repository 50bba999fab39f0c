"""What is shipped works: the default bundle is whole and counts the sample clip's squats."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from plumbline_contract.manifest import parse_manifest, require_publishable

ROOT = Path(__file__).parents[2]
BUNDLE = ROOT / "models" / "hrnet-edge-s"
CLIP = ROOT / "samples" / "squats.mp4"


def edge(*arguments: object) -> str:
    command = [str(Path(sys.executable).parent / "plumbline-edge"), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_bundle_is_sealed_and_computes_here_what_conversion_saw() -> None:
    require_publishable(parse_manifest((BUNDLE / "manifest.json").read_bytes()))
    assert "verified: hrnet-edge-s" in edge("verify", BUNDLE)


def test_the_bundle_lost_nothing_on_its_way_from_torch() -> None:
    metrics = parse_manifest((BUNDLE / "manifest.json").read_bytes()).metrics
    for parity in metrics.parity:
        if parity.precision == "fp32":
            assert parity.heatmap_max_abs < 1e-3
            assert parity.keypoint_max_px < 0.5
            assert parity.keypoints_compared > 100
    assert {(parity.candidate, parity.precision) for parity in metrics.parity} >= {("onnx", "fp32"), ("tflite", "fp32")}
    ap = {item.stage: item.ap for item in metrics.average_precision}
    assert ap["tflite"] == pytest.approx(ap["torch"], abs=0.02)


def test_the_model_card_names_the_data_and_its_terms() -> None:
    card = (BUNDLE / "model-card.md").read_text()
    for dataset in parse_manifest((BUNDLE / "manifest.json").read_bytes()).lineage.datasets:
        assert dataset.id in card
        assert dataset.terms in card


def test_the_sample_clips_squats_are_counted_and_the_shallow_one_is_named(tmp_path: Path) -> None:
    truth = json.loads((ROOT / "samples" / "squats.json").read_text())
    full = truth["repetitions"]
    assert [item["too_shallow"] for item in full].count(True) == 1
    printed = edge("run", "--source", CLIP, "--bundle", BUNDLE, "--once", "--output", tmp_path / "annotated.mp4")
    summary = re.search(r"^summary reps=(\d+) faults=(\S+) frames=(\d+)", printed, re.MULTILINE)
    assert summary, printed
    assert int(summary[1]) == len(full) - 1
    assert "too_shallow:1" in summary[2].split(",")
    assert int(summary[3]) == truth["frame_count"]
    assert int(cv2.VideoCapture(str(tmp_path / "annotated.mp4")).get(cv2.CAP_PROP_FRAME_COUNT)) == truth["frame_count"]


def test_the_weights_stay_small() -> None:
    assert sum(file.stat().st_size for file in (ROOT / "models").rglob("*") if file.is_file()) < 20e6
