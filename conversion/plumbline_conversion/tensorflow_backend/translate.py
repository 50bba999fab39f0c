"""Walks an ONNX graph into a TensorFlow function in NHWC, so that TFLite needs no Transpose anywhere."""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf

from plumbline_conversion.errors import UnsupportedOperator
from plumbline_conversion.graph import Graph, Node, read_graph
from plumbline_conversion.onnx_file import load_onnx
from plumbline_conversion.tensorflow_backend.layout import Operand, Tensor, image
from plumbline_conversion.tensorflow_backend.operators import OPERATORS


class TranslatedModel(tf.Module):  # type: ignore[misc]
    """The graph as a callable: image (1, H, W, 3) float32 -> heatmaps (1, h, w, K).

    Raises UnsupportedOperator that names every operator without a handler, UnsupportedUse when one is used in a way
    that its handler does not cover.
    """

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        unknown = [(node.op_type, node.name) for node in graph.nodes if node.op_type not in OPERATORS]
        if unknown:
            raise UnsupportedOperator(unknown, sorted(OPERATORS))
        batch, channels, height, width = graph.input_shape
        signature = tf.TensorSpec((batch, height, width, channels), tf.float32, name="image")
        self.heatmaps = tf.function(lambda image: _evaluate(graph, image), autograph=False).get_concrete_function(
            signature
        )


def _evaluate(graph: Graph, images_NHWC: Tensor) -> dict[str, Tensor]:
    values: dict[str, Operand] = {**graph.constants, graph.input_name: images_NHWC, "": None}
    for node in graph.nodes:
        values[node.outputs[0]] = _apply(node, [values[name] for name in node.inputs])
    last = graph.nodes[-1]
    return {"heatmaps": image(last, values[graph.output_name])}


def _apply(node: Node, operands: list[Operand]) -> Tensor:
    try:
        return OPERATORS[node.op_type](node, operands)
    except (LookupError, TypeError, ValueError, tf.errors.InvalidArgumentError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise node.unsupported(f"TensorFlow refuses it ({reason})") from error


def translate(onnx_path: Path, saved_model_dir: Path) -> None:
    """Step: the ONNX model as an NHWC SavedModel with the signature image -> heatmaps."""
    module = TranslatedModel(read_graph(load_onnx(onnx_path)))
    tf.saved_model.save(module, str(saved_model_dir), signatures=module.heatmaps)
