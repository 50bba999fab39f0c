"""LiteRT on real, tiny models: float and int8, and what does not fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.edge.dots import DOTS_FP32, DOTS_INT8, picture, standing

from plumbline_contract.box import Box
from plumbline_contract.decode import decode
from plumbline_contract.preprocess import extract_crop, to_tensor
from plumbline_edge.bundle import open_bundle
from plumbline_edge.errors import BundleUnusable
from plumbline_edge.runtime import LiteRTModel


@pytest.mark.parametrize("folder", [DOTS_FP32, DOTS_INT8], ids=["fp32", "int8"])
def test_finds_the_dots_in_a_crop(folder: Path) -> None:
    bundle = open_bundle(folder)
    spec, output = bundle.manifest.input, bundle.manifest.output
    person_K3 = standing(240, 30, 300)
    crop, matrix = extract_crop(picture(person_K3), Box(240, 180, 270, 360), spec.height, spec.width)
    heatmaps_KHW = bundle.load_model(threads=1).infer(to_tensor(crop[None], spec))
    assert heatmaps_KHW.shape == (17, output.height, output.width)
    assert heatmaps_KHW.dtype == np.float32
    found_K3 = decode(heatmaps_KHW, output.decode, output.stride, matrix)
    # A heatmap pixel is 11 image pixels here.
    assert np.linalg.norm(found_K3[:, :2] - person_K3[:, :2], axis=1).max() < 4.0


def test_file_that_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "model.tflite").write_bytes(b"no model" * 100)
    with pytest.raises(BundleUnusable, match="no model that LiteRT can run"):
        LiteRTModel(tmp_path / "model.tflite", open_bundle(DOTS_FP32).manifest, threads=1)


def test_model_that_its_manifest_does_not_describe() -> None:
    manifest = open_bundle(DOTS_FP32).manifest
    wrong = manifest.model_copy(update={"input": manifest.input.model_copy(update={"height": 256})})
    with pytest.raises(BundleUnusable, match=r"input is .*\(1, 128, 96, 3\).*manifest says .*\(1, 256, 96, 3\)"):
        LiteRTModel(DOTS_FP32 / "model.tflite", wrong, threads=1)
    with pytest.raises(BundleUnusable, match=r"float32.*int8"):
        LiteRTModel(DOTS_FP32 / "model.tflite", open_bundle(DOTS_INT8).manifest, threads=1)
