"""Every form of a model is read for what it is, and computes in the picture's pixels."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from plumbline_contract.box import Box
from plumbline_contract.decode import Alignment, Heatmaps
from plumbline_contract.errors import InvalidManifest
from plumbline_contract.manifest import ONNX_METADATA_KEY, InputSpec
from plumbline_contract.preprocess import Image, to_tensor
from plumbline_contract.skeleton import MIRROR
from plumbline_training.errors import UnsupportedModel
from plumbline_training.models import load_predictor
from plumbline_training.peers import MoveNet
from plumbline_training.predictors import HeatmapPredictor, tflite_predictor
from plumbline_training.tasks import normalise

DOTS = Path(__file__).parent.parent / "edge" / "data" / "dots-fp32"


def test_a_bundle_gives_its_golden_heatmaps_and_keypoints_in_image_pixels() -> None:
    predictor = tflite_predictor(DOTS)
    with np.load(DOTS / "golden.npz") as golden:
        crops_NHW3, heatmaps_NHWK = golden["crops_rgb"], golden["heatmaps"]
    np.testing.assert_allclose(predictor.model(crops_NHW3), np.moveaxis(heatmaps_NHWK, -1, 1), atol=1e-4)
    height, width = crops_NHW3.shape[1:3]
    picture_bgr = np.ascontiguousarray(crops_NHW3[0, :, :, ::-1])
    whole = Box.whole_image(height, width).padded(1 / predictor.box_padding)
    row, column = np.unravel_index(heatmaps_NHWK[0, :, :, 0].argmax(), heatmaps_NHWK.shape[1:3])
    found = predictor(picture_bgr, [whole])[0, 0]
    np.testing.assert_allclose(found[:2], [column * 4 + 1.5, row * 4 + 1.5], atol=3.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"input": {"height": 160}}, r"its input is float32 \(1, 128, 96, 3\), the manifest says float32 \(1, 160"),
        (
            {"output": {"dtype": "int8", "quantisation": {"scale": 0.1, "zero_point": 0}}},
            "its output is float32 .* the manifest says int8",
        ),
    ],
)
def test_a_bundle_whose_tensors_are_others_than_its_manifests_is_refused(
    tmp_path: Path, change: dict[str, dict[str, object]], message: str
) -> None:
    bundle = shutil.copytree(DOTS, tmp_path / "bundle")
    manifest = json.loads((bundle / "manifest.json").read_text())
    for part, values in change.items():
        manifest[part] |= values
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(UnsupportedModel, match=message):
        load_predictor(bundle)


def test_what_is_no_model_is_named(tmp_path: Path) -> None:
    (tmp_path / "movenet.tflite").write_text("not found")
    (tmp_path / "model.onnx").write_text("not found")
    (tmp_path / "other.tflite").write_text("")
    (tmp_path / "notes.txt").write_text("")
    for name, message in (
        ("movenet.tflite", "no TFLite model"),
        ("model.onnx", "no ONNX model"),
        ("other.tflite", "no TFLite model"),
        ("notes.txt", "neither a checkpoint"),
        (".", "is no bundle"),
        ("gone", "does not exist"),
    ):
        with pytest.raises(UnsupportedModel, match=message):
            load_predictor(tmp_path / name)
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(InvalidManifest):
        load_predictor(tmp_path)


def test_a_model_that_is_no_movenet_is_refused(tmp_path: Path) -> None:
    shutil.copy(DOTS / "model.tflite", tmp_path / "movenet.tflite")
    with pytest.raises(UnsupportedModel, match="neither MoveNet nor BlazePose"):
        load_predictor(tmp_path / "movenet.tflite")
    with pytest.raises(UnsupportedModel, match="no single-pose MoveNet"):
        MoveNet(tmp_path / "movenet.tflite")


def test_the_model_file_of_a_bundle_stands_for_the_bundle() -> None:
    assert load_predictor(DOTS / "model.tflite", flip=True).flip  # type: ignore[attr-defined]
    assert load_predictor(DOTS).precision == load_predictor(DOTS / "model.tflite").precision


@pytest.mark.parametrize(("alignment", "worst_px"), [("centre", 0.01), ("corner", 0.51)])
def test_flipping_costs_no_more_than_the_alignment_does(alignment: Alignment, worst_px: float) -> None:
    """A net that is right in both pictures: its average must be, too, within what mirrored corners differ by."""

    def right(crops_NHW3: Image) -> Heatmaps:
        rows, columns = np.nonzero(crops_NHW3[0, :, :, 0] == 255)
        pixel_2, half = np.array([columns[0], rows[0]]), 0.5 if alignment == "centre" else 0.0
        point_2 = (pixel_2 + half) / 4.0 - half
        y, x = np.mgrid[:16, :16]
        heatmap = np.exp(-((x - point_2[0]) ** 2 + (y - point_2[1]) ** 2) / 8).astype(np.float32)
        return np.broadcast_to(heatmap, (1, 17, 16, 16)).copy()

    picture = np.zeros((64, 64, 3), np.uint8)
    picture[30, 21] = 255
    box = Box.whole_image(64, 64)
    predictor = HeatmapPredictor(right, 64, 64, 4.0, 1.0, "dark", "torch", "fp32", True, alignment)
    found = predictor(picture, [box])[0, 0]
    assert abs(found[0] - 21) <= worst_px
    if alignment == "corner":
        wrong = dataclasses.replace(predictor, alignment="centre")(picture, [box])[0, 0]
        assert abs(wrong[0] - 1.5 - 21) > 1.4


@pytest.mark.parametrize(("record", "message"), [(None, "has no"), ("{}", "record is invalid"), ("{", "is invalid")])
def test_an_onnx_file_without_a_good_record_is_refused(tmp_path: Path, record: str | None, message: str) -> None:
    tensors = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("image", "heatmaps")]
    graph = helper.make_graph([helper.make_node("Identity", ["image"], ["heatmaps"])], "g", tensors[:1], tensors[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    if record is not None:
        model.metadata_props.add(key=ONNX_METADATA_KEY, value=record)
    onnx.save(model, str(tmp_path / "model.onnx"))
    with pytest.raises(UnsupportedModel, match=message):
        load_predictor(tmp_path / "model.onnx")


def bright_spots(crops_NHW3: Image) -> Heatmaps:
    """Red shows one keypoint, green its mirror image's: heatmaps at full size."""
    heatmaps_NKHW = np.zeros((len(crops_NHW3), 17, *crops_NHW3.shape[1:3]), np.float32)
    heatmaps_NKHW[:, 5], heatmaps_NKHW[:, 6] = crops_NHW3[..., 0] / 255, crops_NHW3[..., 1] / 255
    return heatmaps_NKHW


def test_flipping_averages_with_the_mirrored_crop_left_and_right_exchanged() -> None:
    def with_a_spot_of_its_own(crops_NHW3: Image) -> Heatmaps:
        heatmaps_NKHW = bright_spots(crops_NHW3)
        heatmaps_NKHW[:, 0, 3, 5] = 1.0
        return heatmaps_NKHW

    def as_seen_in_a_mirror(crops_NHW3: Image) -> Heatmaps:
        return with_a_spot_of_its_own(crops_NHW3[:, :, ::-1])[:, list(MIRROR), :, ::-1]

    picture = np.zeros((32, 32, 3), np.uint8)
    picture[10, 20, 1] = picture[12, 4, 2] = 255
    box = [Box.whole_image(32, 32)]
    plain = HeatmapPredictor(with_a_spot_of_its_own, 32, 32, 1.0, 1.0, "argmax", "torch", "fp32")
    once, mirrored = plain(picture, box)[0], dataclasses.replace(plain, model=as_seen_in_a_mirror)(picture, box)[0]
    both = dataclasses.replace(plain, flip=True)(picture, box)[0]
    assert once[0, 0] < 8 < mirrored[0, 0]
    assert both[0, 2] == pytest.approx((once[0, 2] + 0) / 2, abs=1e-6)
    assert np.abs(once[6, :2] - [20, 10]).max() <= 0.5
    # In the mirror the colours have changed sides, so each peak is halved and neither is lost.
    assert both[6, 2] == pytest.approx(once[6, 2] / 2, abs=1e-6)


def test_training_normalises_as_the_contract_does() -> None:
    crops_NHW3 = np.random.default_rng(0).integers(0, 256, (2, 64, 48, 3), dtype=np.uint8)
    expected = to_tensor(crops_NHW3, InputSpec(height=64, width=48, layout="NCHW"))
    found = normalise(torch.from_numpy(crops_NHW3))
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-5)
