"""Walks an ONNX graph into a TensorFlow function in NHWC, so that TFLite needs no Transpose anywhere."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import tensorflow as tf

from plumbline_contract.manifest import InputSpec
from plumbline_conversion.errors import UnsupportedOperator
from plumbline_conversion.graph import Graph, Node, read_graph
from plumbline_conversion.onnx_file import load_onnx, load_record
from plumbline_conversion.plan import InputForm
from plumbline_conversion.tensorflow_backend.layout import Operand, Tensor, image
from plumbline_conversion.tensorflow_backend.operators import OPERATORS


class TranslatedModel(tf.Module):  # type: ignore[misc]
    """The graph as a callable: image (1, H, W, 3) float32 -> heatmaps (1, h, w, K).

    With `normalise`, the image holds pixels in [0, 1], and their mean and std are one scale and shift in the graph.
    Raises UnsupportedOperator that names every operator without a handler, UnsupportedUse when one is used in a way
    that its handler does not cover.
    """

    def __init__(self, graph: Graph, normalise: InputSpec | None = None) -> None:
        super().__init__()
        unknown = [(node.op_type, node.name) for node in graph.nodes if node.op_type not in OPERATORS]
        if unknown:
            raise UnsupportedOperator(unknown, sorted(OPERATORS))
        batch, channels, height, width = graph.input_shape
        signature = tf.TensorSpec((batch, height, width, channels), tf.float32, name="image")
        self.heatmaps = tf.function(
            lambda image: _evaluate(graph, image, normalise), autograph=False
        ).get_concrete_function(signature)


def _evaluate(graph: Graph, images_NHWC: Tensor, normalise: InputSpec | None) -> dict[str, Tensor]:
    if normalise is not None:
        scale_3 = 1 / np.array(normalise.std)
        images_NHWC = images_NHWC * scale_3.astype(np.float32) - (np.array(normalise.mean) * scale_3).astype(np.float32)
    values: dict[str, Operand] = {**graph.constants, graph.input_name: images_NHWC, "": None}
    for node in graph.nodes:
        values[node.outputs[0]] = _apply(node, [values[name] for name in node.inputs])
    last = graph.nodes[-1]
    return {"heatmaps": image(last, values[graph.output_name])}


def _apply(node: Node, operands: list[Operand]) -> Tensor:
    try:
        with tf.name_scope(_scope(node)):
            return OPERATORS[node.op_type](node, operands)
    except (LookupError, TypeError, ValueError, tf.errors.InvalidArgumentError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise node.unsupported(f"TensorFlow refuses it ({reason})") from error


def _scope(node: Node) -> str:
    """The node's name as TensorFlow takes it, so that TFLite's tensors still say which layer they are of."""
    return re.sub(r"[^A-Za-z0-9._/-]", "_", node.name).strip("/_.-") or node.op_type


def translate(onnx_path: Path, record_path: Path, saved_model_dir: Path, *, form: InputForm) -> None:
    """Step: the ONNX model as an NHWC SavedModel with the signature image -> heatmaps."""
    spec = load_record(record_path).input if form == "uint8" else None
    save(TranslatedModel(read_graph(load_onnx(onnx_path)), spec), saved_model_dir)


def save(module: TranslatedModel, saved_model_dir: Path) -> None:
    """Write the SavedModel."""
    tf.saved_model.save(module, str(saved_model_dir), signatures=module.heatmaps)
