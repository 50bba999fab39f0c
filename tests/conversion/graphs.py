"""Small ONNX graphs, built node by node, and the export record that training would write into them."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime

from plumbline_contract.manifest import (
    ONNX_METADATA_KEY,
    Dataset,
    ExportRecord,
    InputSpec,
    Lineage,
    Metrics,
    OutputSpec,
    Parity,
)

HEIGHT, WIDTH = 64, 48


class GraphBuilder:
    """Collects nodes and weights; names carry dots and a data-parallel prefix, as exported ones may."""

    def __init__(self, input_shape: tuple[int | str, ...] = (1, 3, HEIGHT, WIDTH), opset: int = 17) -> None:
        self.input_shape = input_shape
        self.opset = opset
        self.random = np.random.default_rng(0)
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def constant(self, values: npt.ArrayLike, dtype: npt.DTypeLike = np.float32) -> str:
        """A weight with these values."""
        name = f"module.layer.{len(self.weights)}.weight"
        self.weights.append(onnx.numpy_helper.from_array(np.asarray(values, dtype=dtype), name))
        return name

    def weight(self, *shape: int) -> str:
        """A weight of small random values."""
        return self.constant(self.random.normal(0, 0.3, shape))

    def node(self, op_type: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """Append a node; returns the name of its output."""
        output = f"/module.stage.{len(self.nodes)}/{op_type}_output_0"
        name = f"/module.stage.{len(self.nodes)}/{op_type}"
        self.nodes.append(onnx.helper.make_node(op_type, inputs, [output], name=name, domain=domain, **attributes))
        return output

    def model(self, output: str, record: ExportRecord | None = None) -> onnx.ModelProto:
        """The model whose output `heatmaps` is the tensor named `output`."""
        nodes = [*self.nodes, onnx.helper.make_node("Identity", [output], ["heatmaps"], name="last")]
        image = onnx.helper.make_tensor_value_info("image", onnx.TensorProto.FLOAT, self.input_shape)
        heatmaps = onnx.helper.make_tensor_value_info("heatmaps", onnx.TensorProto.FLOAT, None)
        graph = onnx.helper.make_graph(nodes, "net", [image], [heatmaps], self.weights)
        domains = {node.domain for node in nodes} - {""}
        opsets = [onnx.helper.make_opsetid("", self.opset), *(onnx.helper.make_opsetid(name, 1) for name in domains)]
        model = onnx.shape_inference.infer_shapes(onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8))
        if record is not None:
            model.metadata_props.add(key=ONNX_METADATA_KEY, value=record.model_dump_json())
        return model


def run_onnx(model: onnx.ModelProto, images_NCHW: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """What onnxruntime makes of the images."""
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"image": images_NCHW})[0])


def run_onnx_file(path: Path, images_NCHW: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The same, of a file."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"image": images_NCHW})[0])


def export_record(**changes: Any) -> ExportRecord:
    """A record for a net that takes HEIGHT x WIDTH."""
    parity = Parity(
        reference="torch",
        candidate="onnx",
        precision="fp32",
        samples=8,
        heatmap_max_abs=1e-6,
        heatmap_mean_abs=1e-7,
        keypoint_p99_px=0,
        keypoint_max_px=0,
        keypoints_compared=100,
        min_score=0.3,
    )
    lineage = Lineage(
        git_commit="unknown",
        recipe="mini",
        datasets=(Dataset(id="dots", sha256="0" * 64, images=60, terms="made by the tests"),),
        checkpoint_sha256="1" * 64,
        created_at=datetime(2026, 1, 2, 3, 4, tzinfo=timezone.utc),
        tools={"torch": "2.13.0"},
    )
    fields = {
        "name": "mini-hrnet",
        "input": InputSpec(height=HEIGHT, width=WIDTH, layout="NCHW", box_padding=1.0),
        "output": OutputSpec(height=HEIGHT // 4, width=WIDTH // 4, layout="NCHW", decode="dark"),
        "lineage": lineage,
        "metrics": Metrics(parity=(parity,)),
    }
    return ExportRecord.model_validate({**fields, **changes})


def mini_hrnet(record: ExportRecord | None = None) -> onnx.ModelProto:
    """Three branches with fusion in all directions, whose heatmaps all peak at the brightest spot of the picture.

    Channel 0 carries brightness from the stem to the end; the others are random features that add a little noise.
    """
    build = GraphBuilder()
    stem = _conv(build, _conv(build, "image", 3, 8, stride=2), 8, 8, stride=2)
    high = _block(build, stem, 8)
    middle = _conv(build, high, 8, 16, stride=2)
    low = _conv(build, middle, 16, 32, stride=2)
    from_middle = _upsampled(build, _conv(build, middle, 16, 8, kernel=1, relu=False), 2)
    from_low = _upsampled(build, _conv(build, low, 32, 8, kernel=1, relu=False), 4)
    fused = build.node("Relu", build.node("Add", build.node("Add", high, from_middle), from_low))
    downwards = _conv(build, fused, 8, 16, stride=2, relu=False)
    again = build.node("Relu", build.node("Add", middle, downwards))
    last = build.node("Add", fused, _upsampled(build, _conv(build, again, 16, 8, kernel=1, relu=False), 2))
    head = build.random.normal(0, 0.002, (17, 8, 1, 1))
    head[:, 0] = 0.065
    heatmaps = build.node("Conv", last, build.constant(head), kernel_shape=[1, 1])
    return build.model(heatmaps, record)


def _conv(
    build: GraphBuilder, source: str, inputs: int, outputs: int, kernel: int = 3, stride: int = 1, relu: bool = True
) -> str:
    weight = build.random.normal(0, 0.5 / np.sqrt(inputs * kernel * kernel), (outputs, inputs, kernel, kernel))
    weight[0] = 0
    weight[0, : 3 if source == "image" else 1] = 1 / kernel**2
    names = [source, build.constant(weight), build.constant(build.random.normal(0, 0.01, outputs))]
    pad = kernel // 2
    convolved = build.node("Conv", *names, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[pad] * 4)
    return build.node("Relu", convolved) if relu else convolved


def _block(build: GraphBuilder, source: str, width: int) -> str:
    inner = _conv(build, _conv(build, source, width, width), width, width, relu=False)
    return build.node("Relu", build.node("Add", source, inner))


def _upsampled(build: GraphBuilder, source: str, factor: int) -> str:
    scales = build.constant([1, 1, factor, factor])
    modes = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    return build.node("Resize", source, "", scales, **modes)


def save_mini_hrnet(path: Path, **changes: Any) -> Path:
    """Write the mini HRNet with its record."""
    onnx.save(mini_hrnet(export_record(**changes)), path)
    return path
