"""Versions that should never reach a fleet: two bundles and two programs, each bad in a way of its own."""

from __future__ import annotations

import base64
import hashlib
import shutil
import zipfile
from pathlib import Path

import numpy as np
from tests.infra.fleet.fleet import BUNDLE, copy_of_bundle, reseal
from tests.infra.machine import CACHE

from plumbline_contract.manifest import parse_manifest
from plumbline_contract.preprocess import to_tensor

CRASHES = """
def _crash_once_ready() -> None:
    import os
    import time
    import urllib.request

    while True:
        time.sleep(0.5)
        try:
            urllib.request.urlopen("http://127.0.0.1:8080/readyz").close()
        except OSError:
            continue
        time.sleep(1)
        os._exit(1)


threading.Thread(target=_crash_once_ready, daemon=True).start()
"""
"""Appended to service.py: frames flow and /readyz says 200, and then the process ends, again and again: sooner than the
fleet's gate, which here watches for two seconds, could call it well."""

NEVER_READY = """
def run_live(settings: EdgeSettings, stop: threading.Event) -> Session:
    stop.wait()
    raise SystemExit(0)
"""
"""Appended to service.py: starts, and nothing ever comes."""


def bad_program(good_wheels: Path, out: Path, appended: str) -> Path:
    """The wheels of ours, with this at the end of the edge's service.py."""
    out.mkdir()
    for wheel in good_wheels.glob("plumbline_*.whl"):
        if wheel.name.startswith("plumbline_edge-"):
            _rewrite(wheel, out / wheel.name, "plumbline_edge/service.py", appended)
        else:
            shutil.copy(wheel, out)
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}" for path in sorted(out.glob("*.whl"))]
    (out / "SHA256SUMS").write_text("\n".join(lines) + "\n")
    return out


def _rewrite(wheel: Path, out: Path, member: str, appended: str) -> None:
    with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target:
        content = source.read(member) + appended.encode()
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        for name in source.namelist():
            if name == member:
                target.writestr(name, content)
            elif name.endswith(".dist-info/RECORD"):
                lines = [
                    f"{member},sha256={digest},{len(content)}" if line.startswith(f"{member},") else line
                    for line in source.read(name).decode().splitlines()
                ]
                target.writestr(name, "\n".join(lines) + "\n")
            else:
                target.writestr(name, source.read(name))


def wrong_keypoints(out: Path, version: str) -> Path:
    """A model that finds other keypoints than conversion saw: in the golden samples left and right are exchanged."""
    copy_of_bundle(out, version)
    with np.load(BUNDLE / "golden.npz") as golden:
        crops, heatmaps = golden["crops_rgb"], golden["heatmaps"]
    np.savez_compressed(out / "golden.npz", crops_rgb=crops, heatmaps=np.ascontiguousarray(heatmaps[..., ::-1]))
    reseal(out, parse_manifest((out / "manifest.json").read_bytes()))
    return out


def ten_times_slower(out: Path, version: str) -> Path:
    """A float model of the same shape with far more to compute; its golden samples are its own, so they agree."""
    copy_of_bundle(out, version)
    manifest = parse_manifest((out / "manifest.json").read_bytes())
    source = manifest.input.model_copy(update={"dtype": "float32", "quantisation": None})
    target = manifest.output.model_copy(update={"dtype": "float32", "quantisation": None})
    (out / "model.tflite").write_bytes(_heavy_model(source.height, source.width, len(target.keypoints)))
    with np.load(BUNDLE / "golden.npz") as golden:
        crops = golden["crops_rgb"]
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(out / "model.tflite"))
    interpreter.allocate_tensors()
    heatmaps = []
    for crop in crops:
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], to_tensor(crop[None], source))
        interpreter.invoke()
        heatmaps.append(interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0])
    np.savez_compressed(out / "golden.npz", crops_rgb=crops, heatmaps=np.stack(heatmaps).astype(np.float32))
    # It claims the shipped model's figures, or the registry's own gates would stop it.
    claimed = tuple(item.model_copy(update={"precision": "fp32"}) for item in manifest.metrics.average_precision)
    metrics = manifest.metrics.model_copy(update={"average_precision": claimed})
    changes = {"input": source, "output": target, "precision": "fp32", "metrics": metrics}
    reseal(out, manifest.model_copy(update=changes))
    return out


def _heavy_model(height: int, width: int, keypoints: int) -> bytes:
    """About 18 GMAC in convolutions of 128 channels at half resolution, then heatmaps at a quarter; made once."""
    cached = CACHE / f"heavy-{height}x{width}-{keypoints}.tflite"
    if cached.exists():
        return cached.read_bytes()
    import tensorflow as tf

    tf.keras.utils.set_random_seed(0)
    crop = tf.keras.Input((height, width, 3), batch_size=1)
    layer = tf.keras.layers.Conv2D(128, 3, 2, padding="same", activation="relu")(crop)
    for _ in range(16):
        layer = tf.keras.layers.Conv2D(128, 3, padding="same", activation="relu")(layer)
    heatmaps = tf.keras.layers.Conv2D(keypoints, 3, 2, padding="same", activation="sigmoid")(layer)
    model = bytes(tf.lite.TFLiteConverter.from_keras_model(tf.keras.Model(crop, heatmaps)).convert())
    cached.with_suffix(".part").write_bytes(model)
    cached.with_suffix(".part").rename(cached)
    return model
