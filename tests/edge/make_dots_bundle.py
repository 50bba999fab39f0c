"""Makes data/dots-fp32 and data/dots-int8, bundles whose network finds coloured dots (see dots.py).

The network takes the distance of each pixel's colour from a keypoint's, as a 1x1 convolution over the colour and its
square, and averages it over a heatmap pixel: real LiteRT files of a few kilobytes without any training.
Needs tensorflow. Run: python -m tests.edge.make_dots_bundle
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from tests.edge.dots import COLOURS_RGB_K3, DOTS_FP32, DOTS_INT8, picture, squatting, standing

from plumbline_contract.box import Box
from plumbline_contract.manifest import (
    BUNDLE_FILES,
    BundleFile,
    Dataset,
    GoldenCheck,
    InputSpec,
    Lineage,
    Manifest,
    Metrics,
    OutputSpec,
    Parity,
    Precision,
    Quantisation,
)
from plumbline_contract.preprocess import extract_crop, input_lookup, to_tensor

HEIGHT, WIDTH, STRIDE = 128, 96, 4
COLOUR_RADIUS = 0.3
FLOAT_INPUT = InputSpec(height=HEIGHT, width=WIDTH)


def dots_network() -> Any:
    """The Keras model from a normalised crop (1, H, W, 3) to heatmaps (1, H/4, W/4, 17)."""
    mean, std = np.array(FLOAT_INPUT.mean), np.array(FLOAT_INPUT.std)
    colours_K3 = COLOURS_RGB_K3 / 255.0
    # 1 - |rgb - c|^2 / r^2 with rgb = std * x + mean, spelled out over x and x^2.
    scale = 1 / COLOUR_RADIUS**2
    linear_3K = scale * 2 * std[:, None] * (colours_K3.T - mean[:, None])
    square_3K = -scale * np.repeat(std[:, None] ** 2, len(colours_K3), axis=1)
    bias_K = 1 - scale * ((mean - colours_K3) ** 2).sum(axis=1)
    crop = tf.keras.Input((HEIGHT, WIDTH, 3), batch_size=1)
    features = tf.keras.layers.Concatenate()([crop, tf.keras.layers.Multiply()([crop, crop])])
    convolution = tf.keras.layers.Conv2D(len(colours_K3), 1, activation="relu")
    pooled = tf.keras.layers.AveragePooling2D(2 * STRIDE, STRIDE, padding="same")(convolution(features))
    kernel = np.concatenate([linear_3K, square_3K])[None, None]
    convolution.set_weights([kernel.astype(np.float32), bias_K.astype(np.float32)])
    return tf.keras.Model(crop, pooled * 3.0)


def golden_crops() -> npt.NDArray[np.uint8]:
    """Two persons of dots as crops (2, H, W, 3) RGB."""
    persons = (standing(240, 30, 300), squatting(230, 40, 280, 0.8))
    box = Box(240, 180, 270, 360)
    return np.stack([extract_crop(picture(person), box, HEIGHT, WIDTH)[0] for person in persons])


def convert(network: Any, precision: Precision) -> bytes:
    """The network as a TFLite file."""
    converter = tf.lite.TFLiteConverter.from_keras_model(network)
    if precision == "int8":

        def samples() -> Iterator[list[npt.NDArray[np.float32]]]:
            for crop in golden_crops():
                yield [to_tensor(crop[None], FLOAT_INPUT)]
            yield [np.broadcast_to(input_lookup(FLOAT_INPUT)[255], (1, HEIGHT, WIDTH, 3)).astype(np.float32)]

        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = samples
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
    return bytes(converter.convert())


def make(folder: Path, precision: Precision) -> None:
    """Write one bundle."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    network = dots_network()
    (folder / "model.tflite").write_bytes(convert(network, precision))
    interpreter = Interpreter(str(folder / "model.tflite"))
    interpreter.allocate_tensors()
    sides = (interpreter.get_input_details()[0], interpreter.get_output_details()[0])
    quantisations = [
        None if precision == "fp32" else Quantisation(scale=side["quantization"][0], zero_point=side["quantization"][1])
        for side in sides
    ]
    dtype: Literal["float32", "int8"] = "float32" if precision == "fp32" else "int8"
    crops = golden_crops()
    heatmaps = np.concatenate([network(to_tensor(crop[None], FLOAT_INPUT)).numpy() for crop in crops])
    np.savez_compressed(folder / "golden.npz", crops_rgb=crops, heatmaps=heatmaps.astype(np.float32))
    (folder / "model-card.md").write_text("# Dots\n\nFinds coloured dots; for tests only.\n", encoding="utf-8")
    manifest = Manifest(
        name="dots",
        version="1.0.0",
        precision=precision,
        input=InputSpec(height=HEIGHT, width=WIDTH, dtype=dtype, quantisation=quantisations[0]),
        output=OutputSpec(
            height=HEIGHT // STRIDE, width=WIDTH // STRIDE, stride=STRIDE, dtype=dtype, quantisation=quantisations[1]
        ),
        lineage=Lineage(
            git_commit="unknown",
            recipe="tests/edge/make_dots_bundle.py",
            datasets=(Dataset(id="none", sha256="0" * 64, images=0, terms="none"),),
            checkpoint_sha256="0" * 64,
            created_at=datetime(2025, 1, 1, tzinfo=timezone.utc),
            tools={"tensorflow": tf.__version__},
        ),
        metrics=Metrics(parity=(parity("torch", "onnx", precision), parity("onnx", "tflite", precision))),
        golden=GoldenCheck(heatmap_max_abs=1e-4 if precision == "fp32" else 0.25, keypoint_max_px=1.0),
        files={name: bundle_file(folder / name) for name in BUNDLE_FILES},
    )
    (folder / "manifest.json").write_text(manifest.to_json(), encoding="utf-8")


def parity(reference: Any, candidate: Any, precision: Precision) -> Parity:
    """A record that only makes the bundle publishable: this network was never in another form."""
    return Parity(
        reference=reference,
        candidate=candidate,
        precision=precision,
        samples=1,
        heatmap_max_abs=0,
        heatmap_mean_abs=0,
        keypoint_p99_px=0,
        keypoint_max_px=0,
        keypoints_compared=17,
        min_score=0.3,
    )


def bundle_file(path: Path) -> BundleFile:
    """Digest and size of a file."""
    content = path.read_bytes()
    return BundleFile(sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content))


if __name__ == "__main__":
    make(DOTS_FP32, "fp32")
    make(DOTS_INT8, "int8")
