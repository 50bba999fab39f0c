"""ONNX -> SavedModel by onnx-tf 1.10: the program that conversion starts in the environment of requirements.txt.

Usage: python translate.py MODEL.onnx SAVED_MODEL_DIR [--mean R G B --std R G B]

The SavedModel has the signature of our own translator: image (1, H, W, 3) float32 -> heatmaps (1, h, w, K). Inside, the
graph is NCHW as onnx-tf makes it, with the transposes that this takes.
"""

from __future__ import annotations

import argparse
import re

import onnx
import tensorflow as tf
from onnx_tf.backend import prepare


def with_plain_names(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with names that TensorFlow takes: no dots or slashes, no `module.` that a data-parallel net leaves."""
    known: dict[str, str] = {"": ""}

    def plain(name: str) -> str:
        if name not in known:
            bare = re.sub(r"[^A-Za-z0-9]", "_", re.sub(r"(^|[./])module\.", r"\1", name)).strip("_") or "tensor"
            known[name] = f"{bare}_{len(known)}"
        return known[name]

    for value in [*model.graph.input, *model.graph.output, *model.graph.value_info, *model.graph.initializer]:
        value.name = plain(value.name)
    for number, node in enumerate(model.graph.node):
        node.input[:] = [plain(name) for name in node.input]
        node.output[:] = [plain(name) for name in node.output]
        node.name = f"{node.op_type}_{number}"
    return model


class Classic(tf.Module):
    """onnx-tf's graph between an NHWC input and an NHWC output."""

    def __init__(self, model: onnx.ModelProto, mean: list[float] | None, std: list[float] | None) -> None:
        super().__init__()
        self.inner = prepare(model).tf_module
        self.source, self.target = model.graph.input[0].name, model.graph.output[0].name
        self.mean, self.std = mean, std
        shape = [dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim]
        signature = tf.TensorSpec((1, shape[2], shape[3], shape[1]), tf.float32, name="image")
        self.heatmaps = tf.function(self._run).get_concrete_function(signature)

    def _run(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
        if self.mean is not None:
            image = (image - tf.constant(self.mean)) / tf.constant(self.std)
        found = self.inner(**{self.source: tf.transpose(image, (0, 3, 1, 2))})
        return {"heatmaps": tf.transpose(found[self.target], (0, 2, 3, 1))}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("onnx")
    parser.add_argument("saved_model")
    parser.add_argument("--mean", type=float, nargs=3)
    parser.add_argument("--std", type=float, nargs=3)
    arguments = parser.parse_args()
    model = with_plain_names(onnx.load(arguments.onnx))
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    module = Classic(model, arguments.mean, arguments.std)
    tf.saved_model.save(module, arguments.saved_model, signatures=module.heatmaps)


if __name__ == "__main__":
    main()
