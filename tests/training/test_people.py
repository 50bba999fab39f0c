"""A bottom-up net: what is drawn is decoded, it learns, it is measured without boxes, and it exports."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from plumbline_contract.manifest import InputSpec
from plumbline_training import engine, recipes
from plumbline_training.bottom_up import BottomUp, people_predictor
from plumbline_training.centre_net import CHANNELS, MAPS, CentreNet, CentreNetConfig
from plumbline_training.cli_evaluate import evaluate_main
from plumbline_training.cli_export import export_main
from plumbline_training.config import RunConfig, Stage
from plumbline_training.crops import ImageStore, check_readable
from plumbline_training.datasets import load_dataset, load_dataset_list
from plumbline_training.distillation import KeypointTeacher
from plumbline_training.errors import InvalidDataset, InvalidSettings, UnsupportedModel
from plumbline_training.evaluate import ground_truth
from plumbline_training.export import export, load_model, trace
from plumbline_training.hrnet import HRNET_EDGE_S, HRNetConfig
from plumbline_training.models import load_people_predictor, load_predictor
from plumbline_training.peers import MoveNet
from plumbline_training.people import decode_people, evaluate_people
from plumbline_training.scenes import MAX_PEOPLE, Scene

MakeDataset = Callable[[Path, int], Path]


def tiny(epochs: int = 2) -> RunConfig:
    config = recipes.centre_net()
    trunk = HRNetConfig(8, 1, 8, (1, 1, 1), 1, (8, 8, 16, 16))
    schedule = dataclasses.replace(config.schedule, batch_size=8, warmup_steps=0, ema_decay=0.0, learning_rate=5e-3)
    stages = (Stage(64, 64, epochs, 1.0),)
    return dataclasses.replace(config, model=CentreNetConfig(trunk), stages=stages, schedule=schedule, workers=0)


def two_people() -> Scene:
    generator = np.random.default_rng(1)
    people = np.zeros((1, MAX_PEOPLE, 17, 3), np.float32)
    centres = np.zeros((1, MAX_PEOPLE, 3), np.float32)
    for number, x in enumerate((34.0, 94.0)):
        people[0, number, :, :2] = generator.uniform((x - 18, 14), (x + 18, 114), (17, 2))
        people[0, number, :, 2] = 1
        centres[0, number] = (x, 64, 34)
    picture = torch.zeros(1, 128, 128, 3, dtype=torch.uint8)
    return Scene(picture, torch.from_numpy(people), torch.from_numpy(centres), torch.zeros(1))


def test_the_loss_is_least_for_outputs_that_decode_to_the_people() -> None:
    scene, stage = two_people(), Stage(128, 128, 1, 1.0)
    task = BottomUp(tiny())
    outputs = torch.zeros(1, CHANNELS, 32, 32)
    outputs[:, :MAPS] = -8.0
    for person in range(2):
        x, y, _ = ((scene.centres_P3[0, person] + 0.5) / 4 - 0.5).round().int().tolist()
        points = (scene.people_PK3[0, person, :, :2] + 0.5) / 4 - 0.5
        outputs[0, 0, y, x] = 8.0
        outputs[0, MAPS:, y, x] = (points - torch.tensor([x, y])).flatten()
        for keypoint, (column, row) in enumerate(points.round().int().tolist()):
            outputs[0, 1 + keypoint, row, column] = 8.0
    best = float(task.loss(outputs, scene, stage))
    assert best < 0.2
    assert float(task.loss(outputs.roll(3, dims=3), scene, stage)) > best + 5
    probabilities = torch.cat([torch.sigmoid(outputs[:, :MAPS]), outputs[:, MAPS:]], dim=1)
    found = decode_people(probabilities[0].numpy())
    assert len(found) == 2
    for person_K3 in found:
        points = (person_K3[:, :2] + 0.5) * 4 - 0.5
        errors = [np.abs(points - scene.people_PK3[0, person, :, :2].numpy()).max() for person in range(2)]
        assert min(errors) < 2.5


def test_a_scene_holds_everybody_where_they_are(make_dataset: MakeDataset, tmp_path: Path) -> None:
    dataset = load_dataset(load_dataset_list(make_dataset(tmp_path / "data", 4)).train[0])
    plain = dataclasses.replace(
        tiny().augmentation, rotation_probability=0.0, scale=0.0, shift=0.0, nobody_probability=0.0
    )
    for flip in (0.0, 1.0):
        config = dataclasses.replace(tiny(), augmentation=dataclasses.replace(plain, flip_probability=flip))
        scene = BottomUp(config).samples([dataset], ImageStore([dataset], quiet=True), 0)[2]
        shoulder = scene.people_PK3[0, 6 if flip else 5]
        x, y, _ = (dataset.persons[2].keypoints_K3[5] + 0.5) * 64 / 96 - 0.5
        assert shoulder.tolist() == pytest.approx([63 - x if flip else x, y, 1], abs=0.01)
        assert float(scene.centres_P3[1:].abs().max()) == 0
    one, other = (BottomUp(tiny()).samples([dataset], ImageStore([dataset], quiet=True), 0)[1] for _ in range(2))
    assert torch.equal(one.picture_HW3, other.picture_HW3)
    assert torch.equal(one.people_PK3, other.people_PK3)


def test_it_learns_is_measured_without_boxes_and_exports(
    make_dataset: MakeDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = load_dataset(load_dataset_list(make_dataset(tmp_path / "data", 24)).train[0])
    best = engine.train(tiny(4), [dataset], dataset, tmp_path / "run", quiet=True)
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    first, last = (float(line.split('"loss": ')[1].split(",")[0]) for line in (lines[0], lines[-1]))
    assert last < 0.9 * first
    predictor = load_people_predictor(best)
    assert predictor is not None
    assert evaluate_people(dataset, predictor, quiet=True).boxes == "none"
    figures, results = tmp_path / "ap.json", tmp_path / "found.json"
    command = [*map(str, ["plumbline-evaluate", "--data", tmp_path / "data" / "data.yaml", best])]
    monkeypatch.setattr(sys, "argv", [*command, "--json", str(figures), "--results", str(results)])
    evaluate_main()
    monkeypatch.setattr(sys, "argv", [*command, "--flip"])
    with pytest.raises(SystemExit, match="2"):
        evaluate_main()
    truth = ground_truth(dataset)
    people = json.loads(results.read_text())
    again = COCOeval(truth, truth.loadRes(people) if people else COCO(), "keypoints")
    again.evaluate()
    again.accumulate()
    again.summarize()
    (measured,) = json.loads(figures.read_text())[str(best)]["evaluations"]
    assert measured["ap"] == pytest.approx(again.stats[0])
    with pytest.raises(UnsupportedModel, match="finds people without boxes"):
        load_predictor(best)
    with pytest.raises(UnsupportedModel, match="finds people in whole pictures"):
        export(best, tmp_path / "model.onnx", dataset)
    monkeypatch.setattr(sys, "argv", ["plumbline-export", *command[1:], "--out", str(tmp_path / "model.onnx")])
    with pytest.raises(SystemExit, match="2"):
        export_main()
    net, config, _ = load_model(best)
    model = trace(net, InputSpec(height=64, width=64, layout="NCHW"))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    picture = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        expected = net(picture).numpy()
    np.testing.assert_allclose(session.run(None, {"image": picture.numpy()})[0], expected, atol=1e-4)
    assert people_predictor(net, config.final_stage).height == 64


def test_what_it_cannot_learn_from_or_measure_on_is_said_before_the_work(
    make_dataset: MakeDataset, tmp_path: Path
) -> None:
    data = make_dataset(tmp_path / "data", 8)
    dataset = load_dataset(load_dataset_list(data).train[0])
    teacher = KeypointTeacher(MoveNet.__new__(MoveNet))
    with pytest.raises(InvalidSettings, match="--teacher"):
        engine.train(tiny(), [dataset], dataset, tmp_path / "run", quiet=True, teacher=teacher)
    annotations = tmp_path / "data" / "person_keypoints.json"
    content = json.loads(annotations.read_bytes())
    content["images"].append({**content["images"][0], "id": 99, "file_name": "nobody.jpg"})
    annotations.write_text(json.dumps(content))
    validation = load_dataset(load_dataset_list(data).validation)
    check_readable(validation, quiet=True)
    with pytest.raises(InvalidDataset, match=r"nobody\.jpg.*must not be left out"):
        engine.train(tiny(), [dataset], validation, tmp_path / "run", quiet=True)
    assert not (tmp_path / "run").exists()


def test_training_starts_from_maps_that_say_nobody() -> None:
    net = CentreNet(CentreNetConfig(HRNET_EDGE_S)).train()
    outputs = net(torch.rand(2, 3, 64, 64)).detach()
    assert outputs.shape == (2, CHANNELS, 16, 16)
    assert float(torch.sigmoid(outputs[:, :MAPS]).max()) < 0.02
    assert float(outputs[:, MAPS:].abs().max()) < 0.1
