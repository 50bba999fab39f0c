"""The mini HRNet becomes one piece without a Transpose, and what cannot be translated is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.conversion.graphs import GraphBuilder, mini_hrnet, run_onnx

from plumbline_conversion.errors import UnsupportedOperator
from plumbline_conversion.graph import read_graph
from plumbline_conversion.litert import TFLiteModel
from plumbline_conversion.tensorflow_backend.lite import lower
from plumbline_conversion.tensorflow_backend.translate import TranslatedModel, save


def test_mini_hrnet_is_one_partition_and_the_same_function(tmp_path: Path) -> None:
    model = mini_hrnet()
    save(TranslatedModel(read_graph(model)), tmp_path / "saved_model")
    lower(tmp_path / "saved_model", tmp_path / "model.tflite")
    lite = TFLiteModel(tmp_path / "model.tflite")
    facts = lite.graph_facts()
    assert (facts.transposes, facts.partitions) == (0, 1)
    assert set(facts.operators) == {"ADD", "CONCATENATION", "CONV_2D", "PAD", "RESHAPE"}
    images = np.random.default_rng(0).normal(size=(1, 3, 64, 48)).astype(np.float32)
    expected_HWK = run_onnx(model, images)[0].transpose(1, 2, 0)
    actual_HWK = lite.run(np.ascontiguousarray(images.transpose(0, 2, 3, 1)))
    np.testing.assert_allclose(actual_HWK, expected_HWK, atol=1e-5)


def test_unknown_operators_are_all_named_with_what_to_do() -> None:
    build = GraphBuilder((1, 3, 8, 6))
    build.node("Relu", "image")
    odd = build.node("Mish", build.node("Erf", "image"))
    with pytest.raises(UnsupportedOperator) as caught:
        TranslatedModel(read_graph(build.model(odd)))
    assert [op_type for op_type, _ in caught.value.unknown] == ["Erf", "Mish"]
    message = str(caught.value)
    assert "Erf (node '/module.stage.1/Erf')" in message
    assert "operators.py" in message
    assert "Conv, ConvTranspose" in message


def test_operator_of_another_domain_is_named_with_it() -> None:
    build = GraphBuilder((1, 3, 8, 6))
    model = build.model(build.node("Relu", "image", domain="com.example"))
    with pytest.raises(UnsupportedOperator, match=r"com\.example\.Relu"):
        TranslatedModel(read_graph(model))
