"""Any model of a path as a predictor."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch

from plumbline_contract.manifest import MANIFEST_FILE
from plumbline_training.bottom_up import people_predictor
from plumbline_training.centre_net import CentreNetConfig
from plumbline_training.errors import UnsupportedModel
from plumbline_training.export import load_model
from plumbline_training.peers import BlazePose, MoveNet
from plumbline_training.people import PeoplePredictor
from plumbline_training.predictors import Predictor, TFLiteModel, onnx_predictor, tflite_predictor
from plumbline_training.tasks import stage_predictor


def load_people_predictor(path: Path) -> PeoplePredictor | None:
    """A bottom-up net's checkpoint; None for any other file. Raises InvalidCheckpoint for a damaged one."""
    if path.suffix != ".pt" or not path.is_file():
        return None
    net, config, _ = load_model(path)
    if not isinstance(config.model, CentreNetConfig):
        return None
    net.to("cuda" if torch.cuda.is_available() else "cpu")
    return people_predictor(net, config.final_stage)


def load_predictor(path: Path, flip: bool = False) -> Predictor:
    """By what the path holds: a run's checkpoint, an ONNX file, a bundle or its model.tflite, MoveNet or BlazePose.

    `flip` averages a heatmap model's maps with those of the mirrored crop. Raises UnsupportedModel or
    InvalidCheckpoint for anything else.
    """
    if not path.exists():
        raise UnsupportedModel(f"{str(path)!r} does not exist; name a checkpoint .pt, .onnx, bundle folder or .tflite")
    if path.suffix == ".tflite":
        return _from_tflite(path, flip)
    if path.suffix in (".pt", ".pth"):
        net, config, _ = load_model(path)
        if isinstance(config.model, CentreNetConfig):
            raise UnsupportedModel(f"{str(path)!r} finds people without boxes, and here is one in a box to find")
        net.to("cuda" if torch.cuda.is_available() else "cpu")
        return stage_predictor(net, config, config.final_stage, flip)
    if path.is_dir():
        predictor = tflite_predictor(path)
    elif path.suffix == ".onnx":
        predictor = onnx_predictor(path)
    else:
        raise UnsupportedModel(f"{str(path)!r} is neither a checkpoint .pt, an .onnx, a bundle folder nor a .tflite")
    return dataclasses.replace(predictor, flip=flip)


def _from_tflite(path: Path, flip: bool) -> Predictor:
    """A peer is known by its tensors; any other file must lie in its bundle."""
    model = TFLiteModel(path)
    if model.output_shape == MoveNet.OUTPUT_SHAPE:
        return MoveNet(path)
    if model.output_shape == BlazePose.OUTPUT_SHAPE:
        return BlazePose(path)
    if (path.parent / MANIFEST_FILE).is_file():
        return dataclasses.replace(tflite_predictor(path.parent), flip=flip)
    raise UnsupportedModel(
        f"{str(path)!r} gives {model.output_shape}: neither MoveNet nor BlazePose; for a model of ours name its bundle"
    )
