"""Manifests: a valid one, every contradiction, publishing, and the order of versions."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plumbline_contract.errors import DigestMismatch, InvalidManifest, PlumblineError, UnpublishableBundle
from plumbline_contract.manifest import (
    BUNDLE_FILES,
    FormRecord,
    Manifest,
    parse_any_manifest,
    parse_form_manifest,
    parse_manifest,
    require_publishable,
    version_key,
)
from plumbline_contract.skeleton import KEYPOINT_NAMES

DIGEST = "0123456789abcdef" * 4
JUDGE = Path(__file__).parents[2] / "models" / "form-judge" / "manifest.json"


def parity(reference: str, candidate: str) -> dict[str, Any]:
    return {
        "reference": reference,
        "candidate": candidate,
        "precision": "int8",
        "samples": 8,
        "heatmap_max_abs": 0.04,
        "heatmap_mean_abs": 0.001,
        "keypoint_p99_px": 0.4,
        "keypoint_max_px": 0.8,
        "keypoints_compared": 120,
        "min_score": 0.2,
    }


def valid() -> dict[str, Any]:
    return {
        "name": "hrnet-edge-s",
        "version": "1.4.0",
        "precision": "int8",
        "input": {
            "height": 256,
            "width": 192,
            "dtype": "int8",
            "quantisation": {"scale": 0.0186, "zero_point": -14},
        },
        "output": {
            "height": 64,
            "width": 48,
            "dtype": "int8",
            "quantisation": {"scale": 0.004, "zero_point": -120},
            "keypoints": list(KEYPOINT_NAMES),
        },
        "lineage": {
            "git_commit": "a" * 40,
            "recipe": "edge_s",
            "datasets": [{"id": "gym", "sha256": DIGEST, "images": 100, "terms": "Apache-2.0"}],
            "checkpoint_sha256": DIGEST,
            "created_at": "2025-06-01T12:00:00Z",
            "tools": {"torch": "2.0"},
        },
        "metrics": {"parity": [parity("torch", "onnx"), parity("onnx", "tflite")]},
        "golden": {"heatmap_max_abs": 0.1, "keypoint_max_px": 1.0},
        "files": {name: {"sha256": DIGEST, "size_bytes": 10} for name in BUNDLE_FILES},
    }


def changed(path: tuple[str | int, ...], value: object) -> str:
    data = copy.deepcopy(valid())
    inner: Any = data
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return json.dumps(data)


def test_a_valid_manifest_parses_and_its_text_is_canonical() -> None:
    manifest = parse_manifest(json.dumps(valid()))
    assert (manifest.name, manifest.version, manifest.input.box_padding) == ("hrnet-edge-s", "1.4.0", 1.25)
    shuffled = dict(reversed(valid().items()))
    assert parse_manifest(json.dumps(shuffled)).to_json() == manifest.to_json()
    assert parse_manifest(manifest.to_json().encode()) == manifest
    require_publishable(manifest)


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        (("name",), "Bad Name", "name"),
        (("name",), "../evil", "name"),
        (("name",), "x" * 65, "name"),
        (("version",), "1.4", "version"),
        (("version",), "01.4.0", "version"),
        (("version",), "1.4.0\n", "version"),
        (("version",), "1.4.0-rc..1", "version"),
        (("version",), "1.4.0-01", "version"),
        (("schema_version",), 2, "schema_version"),
        (("precision",), "int4", "precision"),
        (("colour",), "red", "colour"),
        (("input", "dtype"), "float32", "input"),
        (("input", "quantisation"), None, "input"),
        (("input", "quantisation", "scale"), 0, "input.quantisation.scale"),
        (("input", "height"), 8, "input.height"),
        (("input", "mean"), [0.5, 0.5], "input.mean.2"),
        (("input", "box_padding"), 0.5, "input.box_padding"),
        (("output", "quantisation"), None, "output"),
        (("output", "keypoints"), list(reversed(KEYPOINT_NAMES)), "output"),
        (("output", "keypoints"), list(KEYPOINT_NAMES[:-1]), "output"),
        (("output", "decode"), "guess", "output.decode"),
        (("output", "stride"), 0, "output.stride"),
        (("lineage", "git_commit"), "main", "lineage.git_commit"),
        (("lineage", "datasets"), [], "lineage.datasets"),
        (("lineage", "checkpoint_sha256"), DIGEST.upper(), "lineage.checkpoint_sha256"),
        (("lineage", "tools"), {}, "lineage.tools"),
        (("metrics", "parity", 0, "samples"), 0, "metrics.parity.0.samples"),
        (("golden", "heatmap_max_abs"), 0, "golden.heatmap_max_abs"),
        (("files", "model.tflite", "size_bytes"), 0, "files.model.tflite.size_bytes"),
        (("files", "../../etc/passwd"), {"sha256": DIGEST, "size_bytes": 1}, "manifest.json"),
    ],
)
def test_a_contradiction_is_refused_with_its_field(path: tuple[str | int, ...], value: object, field: str) -> None:
    with pytest.raises(InvalidManifest) as caught:
        parse_manifest(changed(path, value))
    assert str(caught.value).startswith(f"manifest.json: {field}: ")


@pytest.mark.parametrize("text", ["", "{", "[]", "null", b"\xff\xfe", '"manifest"'])
def test_what_is_no_manifest_at_all_is_refused(text: str | bytes) -> None:
    with pytest.raises(InvalidManifest, match=r"manifest\.json"):
        parse_manifest(text)


def test_a_manifest_cannot_be_changed() -> None:
    manifest = Manifest.model_validate(valid())
    with pytest.raises(ValueError, match="frozen"):
        manifest.version = "9.9.9"


@pytest.mark.parametrize("name", BUNDLE_FILES)
def test_without_a_digest_nothing_is_published(name: str) -> None:
    data = valid()
    del data["files"][name]
    with pytest.raises(UnpublishableBundle, match=f"the digest of {name}"):
        require_publishable(Manifest.model_validate(data))


def test_without_parity_nothing_is_published() -> None:
    data = valid()
    data["metrics"] = {"parity": [parity("onnx", "tflite")]}
    with pytest.raises(UnpublishableBundle, match="lacks parity torch -> onnx; run"):
        require_publishable(Manifest.model_validate(data))


def judge_of_another_contract() -> dict[str, Any]:
    """The shipped one without its last fault."""
    data: dict[str, Any] = json.loads(JUDGE.read_text(encoding="utf-8"))
    data["spec"]["faults"].pop()
    data["thresholds"].pop()
    return data


def test_a_judge_of_another_contract_is_read_and_neither_heard_nor_published() -> None:
    text = json.dumps(judge_of_another_contract())
    old = parse_any_manifest(text)
    with pytest.raises(InvalidManifest, match="other windows, exercises or faults than this contract's; train it"):
        parse_form_manifest(text)
    with pytest.raises(InvalidManifest, match="other windows, exercises or faults"):
        require_publishable(old)
    require_publishable(parse_form_manifest(JUDGE.read_bytes()))


def test_a_judges_record_of_another_contract_is_refused() -> None:
    data = judge_of_another_contract()
    record = {key: data[key] for key in ("name", "lineage", "metrics", "spec")}
    thresholds = json.loads(JUDGE.read_text(encoding="utf-8"))["thresholds"]
    with pytest.raises(ValueError, match="other windows, exercises or faults"):
        FormRecord.model_validate_json(json.dumps({**record, "thresholds": thresholds}))


def test_a_judge_has_a_threshold_for_each_fault_of_its_own() -> None:
    data = judge_of_another_contract()
    faults = len(data["thresholds"])
    data["thresholds"].append(0.5)
    with pytest.raises(InvalidManifest, match=f"{faults + 1} thresholds for {faults} faults"):
        parse_any_manifest(json.dumps(data))


def test_versions_sort_as_semver_says() -> None:
    ordered = [
        "0.9.9",
        "1.0.0-0",
        "1.0.0-2",
        "1.0.0-11",
        "1.0.0-alpha",
        "1.0.0-alpha.1",
        "1.0.0-alpha.beta",
        "1.0.0-beta",
        "1.0.0-beta.2",
        "1.0.0-beta.11",
        "1.0.0-rc.1",
        "1.0.0",
        "1.0.1",
        "1.2.0",
        "1.10.0",
        "2.0.0-rc.1",
        "2.0.0",
    ]
    rng = np.random.default_rng(0)
    for _ in range(20):
        shuffled = [ordered[index] for index in rng.permutation(len(ordered))]
        assert sorted(shuffled, key=version_key) == ordered


@pytest.mark.parametrize(
    "version", ["1", "1.2", "v1.2.3", "1.2.3.4", "", "1.2.3+b", "1.2.3\n", "1.2.3-", "1.2.3-a..b", "1.2.3-01", "1.٢.3"]
)
def test_what_is_no_version_has_no_key(version: str) -> None:
    with pytest.raises(ValueError, match="no semantic version"):
        version_key(version)


def test_every_error_is_a_plumbline_error_and_a_digest_mismatch_shows_both() -> None:
    error = DigestMismatch("model.tflite", "aa", "bb")
    assert isinstance(error, PlumblineError)
    assert "model.tflite: expected sha256 'aa', got 'bb'" in str(error)
