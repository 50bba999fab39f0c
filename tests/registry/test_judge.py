"""A judge of form in the registry: published, gated and compared like a pose model, by figures of its own."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from plumbline_contract.manifest import FormManifest, FormScore, FormSpec, parse_form_manifest
from plumbline_registry.gates.rules import FORM_RULES, Limits, MeasuredForm, form_parity

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.registry.conftest import Server

SHIPPED = Path(__file__).parents[2] / "models" / "form-judge"
LIMITS = Limits(ap_drop=0.02, parity_px=2.0, parity_ap=0.02, latency_growth=0.25)
SCORE = FormScore(name="exercise accuracy", dataset="made", samples=100, value=0.9)


def judge(version: str = "1.0.0", value: float = 0.9, **metrics: Any) -> FormManifest:
    """The shipped judge with another version and one figure."""
    shipped = parse_form_manifest((SHIPPED / "manifest.json").read_bytes())
    scores = (SCORE.model_copy(update={"value": value}),)
    changed = shipped.metrics.model_copy(update={"scores": scores, **metrics})
    return shipped.model_copy(update={"version": version, "metrics": changed})


def files_of(manifest: FormManifest) -> dict[str, bytes]:
    """As they are sent, the manifest first."""
    return {"manifest.json": manifest.to_json().encode()} | {
        name: (SHIPPED / name).read_bytes() for name in ("model.tflite", "golden.npz", "model-card.md")
    }


def published(client: httpx.Client, manifest: FormManifest) -> Any:
    """Bundle as the operator of the tests takes it, once the registry has it."""
    from tests.registry.conftest import Bundle, tar_of

    files = files_of(manifest)
    bundle = Bundle(SHIPPED, manifest, files)  # type: ignore[arg-type]  # of another kind
    answer = client.put(bundle.path, content=tar_of(list(files.items())))
    assert answer.status_code == 201, answer.text
    return bundle


def test_a_judge_is_published_and_promoted_through_its_own_gates(server: Server, client: httpx.Client) -> None:
    good, worse = published(client, judge()), published(client, judge("1.1.0", 0.8))
    server.operator().promote("stable", good)
    refused = server.operator().refused("stable", worse)
    assert "score: exercise accuracy on 'made' -0.1000 against form-judge 1.0.0" in refused
    table = client.get("/v1/bundles/form-judge/compare", params={"before": "1.0.0", "after": "1.1.0"}).json()
    change = {figure["field"]: figure["change"] for figure in table["metrics"]}
    assert change["exercise accuracy, made"] == pytest.approx(-0.1)


def stored_before_the_contract_changed(monkeypatch: pytest.MonkeyPatch, client: httpx.Client, **changes: Any) -> Any:
    """Published when the judge had a fault less than today."""
    old = judge(**changes)
    spec = old.spec.model_copy(update={"faults": old.spec.faults[:-1]})
    old = old.model_copy(update={"spec": spec, "thresholds": old.thresholds[:-1]})
    with monkeypatch.context() as before:
        before.setattr(FormSpec, "is_current", True)
        return published(client, old)


def test_a_judge_of_an_earlier_contract_stays_readable_and_is_replaced(
    server: Server, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = stored_before_the_contract_changed(monkeypatch, client), published(client, judge("1.1.0", 0.8))
    with monkeypatch.context() as before:
        before.setattr(FormSpec, "is_current", True)
        server.operator().promote("stable", old)
    assert client.get("/bundles/form-judge").status_code == 200
    table = client.get("/v1/bundles/form-judge/compare", params={"before": "1.0.0", "after": "1.1.0"}).json()
    assert "spec.faults" in [item["field"] for item in table["other"]]
    server.operator().promote("stable", new)
    history = client.get("/v1/bundles/form-judge/channels/stable/history").json()["history"]
    assert "form-judge 1.0.0 is of an earlier contract, nothing to compare with" in history[0]["gates"]


def test_a_judge_of_an_earlier_contract_is_not_promoted_and_not_published(
    server: Server, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = stored_before_the_contract_changed(monkeypatch, client)
    assert "made for other windows, exercises or faults" in server.operator().refused("stable", old)
    again = old.manifest.model_copy(update={"version": "1.0.1"})
    with pytest.raises(AssertionError, match=r"invalid_manifest.*made for other windows"):
        published(client, again)


def test_the_page_of_a_judge_shows_its_figures_and_who_runs_it(client: httpx.Client) -> None:
    for version in ("1.0.0", "1.1.0"):
        published(client, judge(version))
    report = {"name": "dots", "channel": "stable", "version": "1.1.0", "outcome": "ok"}
    client.put("/v1/devices/pi-01", json={**report, "judge_name": "form-judge", "judge_version": "1.0.0"})
    client.put("/v1/devices/pi-02", json=report)
    page = client.get("/bundles/form-judge", headers={"Accept": "text/html"})
    assert page.status_code == 200
    assert "exercise accuracy" in page.text
    assert '<th>Devices that run it</th><td class="number">0</td><td class="number">1</td>' in page.text


def test_a_judge_never_replaces_a_pose_model(
    make_bundle: Callable[..., Any], server: Server, client: httpx.Client
) -> None:
    pose = make_bundle("1.0.0", name="form-judge")
    assert client.put(pose.path, content=pose.tar()).status_code == 201
    server.operator().promote("stable", pose)
    assert "is a form model and replaces a pose model" in server.operator().refused(
        "stable", published(client, judge("1.1.0"))
    )


@pytest.mark.parametrize(
    ("changes", "gate"), [({"scores": ()}, "score"), ({"parity": ()}, "parity"), ({"latency": ()}, "latency"), ({}, "")]
)
def test_each_gate_alone(changes: dict[str, Any], gate: str) -> None:
    current = MeasuredForm(judge())
    verdicts = [rule(MeasuredForm(judge("1.1.0", **changes)), current, LIMITS) for rule in FORM_RULES.values()]
    assert [verdict.gate for verdict in verdicts if not verdict.passed] == ([gate] if gate else [])


def test_verdict_holds_no_nul() -> None:
    """A manifest's names may, and PostgreSQL's text may not."""
    before = MeasuredForm(judge(scores=(SCORE.model_copy(update={"name": "a\0b"}),)))
    verdict = FORM_RULES["score"](before, before, LIMITS)
    assert str(verdict).startswith("score: ab on 'made' +0.0000")


def test_parity_holds_corrections_too() -> None:
    moved = [item.model_copy(update={"offset_p99": 0.06}) for item in judge().metrics.parity]
    verdict = form_parity(MeasuredForm(judge(parity=moved)), None, LIMITS)
    assert not verdict.passed
    assert "offsets by 0.06 torso lengths" in verdict.says


def test_the_shipped_judge_passes() -> None:
    shipped = MeasuredForm(parse_form_manifest((SHIPPED / "manifest.json").read_bytes()))
    digest = hashlib.sha256((SHIPPED / "model.tflite").read_bytes()).hexdigest()
    assert shipped.manifest.files["model.tflite"].sha256 == digest
    assert [v for rule in FORM_RULES.values() if not (v := rule(shipped, None, LIMITS)).passed] == []
