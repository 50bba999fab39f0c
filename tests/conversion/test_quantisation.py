"""Bytes go in as they are, ranges leave out what is rare, weights shrink as said, a layer costs what it costs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.conversion.graphs import GraphBuilder, export_record, run_onnx, save_mini_hrnet

from plumbline_conversion.graph import read_graph
from plumbline_conversion.litert import TFLiteModel
from plumbline_conversion.op_profile import LayerCost
from plumbline_conversion.precisions import to_float
from plumbline_conversion.ranges import _least_squares, _percentile, _squared_error
from plumbline_conversion.roofline import CORTEX_A72, estimate
from plumbline_conversion.steps import lower, translate
from plumbline_conversion.tensorflow_backend.translate import TranslatedModel, save
from plumbline_conversion.tflite_file import layers, live_bytes


def test_bytes_in_give_what_normalised_numbers_give(tmp_path: Path) -> None:
    onnx_path = save_mini_hrnet(tmp_path / "model.onnx")
    record = export_record()
    (tmp_path / "record.json").write_text(record.model_dump_json())
    translate(onnx_path, tmp_path / "record.json", tmp_path / "saved", form="uint8")
    lower(tmp_path / "saved", tmp_path / "base.tflite")
    to_float(tmp_path / "base.tflite", tmp_path / "bytes.tflite", precision="fp32", form="uint8")
    model = TFLiteModel(tmp_path / "bytes.tflite")
    assert model.input.dtype == "uint8"
    assert model.input.quantisation is not None
    assert model.input.quantisation.scale == pytest.approx(1 / 255)
    assert (model.graph_facts().partitions, model.graph_facts().transposes) == (1, 0)
    crop_HW3 = np.random.default_rng(0).integers(0, 256, (64, 48, 3), dtype=np.uint8)
    normalised = ((crop_HW3 / 255 - record.input.mean) / record.input.std).astype(np.float32)
    import onnx

    expected_HWK = run_onnx(onnx.load(onnx_path), normalised.transpose(2, 0, 1)[None])[0].transpose(1, 2, 0)
    np.testing.assert_allclose(model.run(crop_HW3[None]), expected_HWK, atol=1e-5)


def test_a_range_leaves_out_what_is_rare() -> None:
    sample = np.random.default_rng(0).normal(size=100_000).astype(np.float32)
    sample[:3] = 100
    ends = np.array([sample.min(), 100.0])
    assert _percentile(ends, sample)[1] < 5
    low, high = _least_squares(ends, sample)
    assert high < 100
    assert _squared_error(np.array([low, high]), sample) < _squared_error(ends, sample)
    assert _least_squares(np.array([-1.0, 1.0]), np.linspace(-1, 1, 1000, dtype=np.float32)) == (-1, 1)


@pytest.mark.parametrize(("precision", "share", "tolerance"), [("fp16", 0.55, 2e-3), ("dynamic", 0.35, 0.05)])
def test_weights_shrink_and_the_function_stays(precision: str, share: float, tolerance: float, tmp_path: Path) -> None:
    build = GraphBuilder((1, 3, 16, 16))
    features = build.node("Relu", build.node("Conv", "image", build.weight(64, 3, 3, 3), pads=[1, 1, 1, 1]))
    grouped = build.node("Conv", features, build.weight(64, 1, 5, 5), group=64, pads=[2, 2, 2, 2])
    model = build.model(build.node("Conv", grouped, build.weight(17, 64, 3, 3), build.weight(17)))
    save(TranslatedModel(read_graph(model)), tmp_path / "saved")
    lower(tmp_path / "saved", tmp_path / "base.tflite")
    small = tmp_path / "small.tflite"
    to_float(tmp_path / "base.tflite", small, precision=precision, form="normalised")  # type: ignore[arg-type]
    image = np.random.default_rng(1).normal(size=(1, 3, 16, 16)).astype(np.float32)
    expected_HWK = run_onnx(model, image)[0].transpose(1, 2, 0)
    actual_HWK = TFLiteModel(small).run(np.ascontiguousarray(image.transpose(0, 2, 3, 1)))
    assert 0 < np.abs(actual_HWK - expected_HWK).max() <= tolerance * np.ptp(expected_HWK)
    assert small.stat().st_size < share * (tmp_path / "base.tflite").stat().st_size + 4000


def test_a_layer_costs_what_its_shape_says(tmp_path: Path) -> None:
    build = GraphBuilder((1, 3, 16, 16))
    first = build.node("Conv", "image", build.weight(8, 3, 3, 3), pads=[1, 1, 1, 1], strides=[2, 2])
    second = build.node("Conv", first, build.weight(8, 1, 3, 3), group=8, pads=[1, 1, 1, 1])
    last = build.node("ConvTranspose", second, build.weight(8, 17, 4, 4), strides=[2, 2], pads=[1, 1, 1, 1])
    save(TranslatedModel(read_graph(build.model(last))), tmp_path / "saved")
    lower(tmp_path / "saved", tmp_path / "base.tflite")
    found = {layer.operator: layer for layer in layers(tmp_path / "base.tflite") if layer.macs}
    assert found["CONV_2D"].macs == 8 * 8 * 8 * 27
    assert found["DEPTHWISE_CONV_2D"].macs == 8 * 8 * 8 * 9
    assert found["TRANSPOSE_CONV"].macs == 8 * 8 * 8 * 17 * 16
    assert found["CONV_2D"].label.startswith("module.stage.0/Conv")
    # The last layer's output and its input are needed at once.
    assert live_bytes(tmp_path / "base.tflite") >= 4 * (16 * 16 * 17 + 8 * 8 * 8)


def test_the_roof_is_the_slower_of_arithmetic_and_memory() -> None:
    def cost(macs: int, weight_bytes: int, integer: bool = False) -> LayerCost:
        fields = {"layer": "a", "operator": "CONV_2D", "activation_bytes": 0, "seconds": 0.0}
        return LayerCost.model_validate({**fields, "macs": macs, "weight_bytes": weight_bytes, "integer": integer})

    assert estimate([cost(6_000_000, 0)], 1).seconds == pytest.approx(1e-3)
    assert estimate([cost(6_000_000, 0)], 4).seconds == pytest.approx(2.5e-4)
    assert estimate([cost(8_000_000, 0, integer=True)], 1).seconds == pytest.approx(1e-3)
    bound = estimate([cost(0, 4_000_000)], 4)
    assert bound.seconds == pytest.approx(1e-3)
    assert bound.memory_bound_share == 1.0
    assert "Cortex-A72" in CORTEX_A72.name
