"""What passes into a gated channel, over real HTTP, and the paired bootstrap on evaluations whose truth is known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import numpy as np
import pytest
from tests.registry.conftest import TOKEN

from plumbline_contract.evaluation import OKS_THRESHOLDS, EvaluationRecord
from plumbline_contract.manifest import AveragePrecision, Manifest, parse_manifest
from plumbline_registry.client import RegistryClient
from plumbline_registry.gates.bootstrap import paired_difference
from plumbline_registry.gates.rules import RULES, Limits, Measured, parity
from plumbline_registry.tokens import create_token
from plumbline_registry.trust.operator import rotate
from plumbline_registry.trust.signer import sign_once

if TYPE_CHECKING:
    from tests.registry.conftest import Bundle, Server

MakeBundle = Callable[..., "Bundle"]
LIMITS = Limits(ap_drop=0.02, parity_px=2.0, parity_ap=0.02, latency_growth=0.25)
SHIPPED = Path(__file__).parents[2] / "models" / "hrnet-edge-s"
CHANNEL = "/v1/bundles/test-net/channels/stable"


def evaluation(right: float, *, seed: int = 0, pictures: int = 200, dataset: str = "made") -> EvaluationRecord:
    """Two persons a picture, each found with this chance; a seed is a set of pictures, hard ones and easy ones."""
    ease = np.random.default_rng(seed).random(2 * pictures)
    matched = np.repeat((ease < right)[:, None], len(OKS_THRESHOLDS), axis=1)
    return EvaluationRecord(
        dataset=dataset,
        pictures=np.arange(pictures),
        persons=np.full(pictures, 2, np.int32),
        picture=np.repeat(np.arange(pictures, dtype=np.int32), 2),
        score=np.random.default_rng(seed + 1).random(2 * pictures).astype(np.float32),
        matched=matched,
        ignored=np.zeros_like(matched),
    )


def test_the_same_model_differs_by_nothing() -> None:
    assert paired_difference(evaluation(0.6), evaluation(0.6)) == (0.0, 0.0)


def test_pairing_sees_what_two_intervals_would_not() -> None:
    """A net that finds two in a hundred fewer: far less than either AP's own interval, and still seen."""
    found = paired_difference(evaluation(0.68), evaluation(0.70), draws=400)
    assert -0.04 < found.measured < -0.005
    assert found.measured - 0.02 < found.at_least < found.measured
    alone = [evaluation(0.70, seed=seed).matched[:, 0].mean() for seed in range(0, 40, 2)]
    assert np.std(alone) > 0.02


def test_interval_holds_the_truth_as_often_as_it_says() -> None:
    """50 sets of pictures: the one-sided 95% bound is below the true difference in nearly all."""
    truth = paired_difference(evaluation(0.55, pictures=20_000), evaluation(0.60, pictures=20_000), draws=1).measured
    below = 0
    for seed in range(0, 100, 2):
        worse, better = (evaluation(right, seed=seed, pictures=150) for right in (0.55, 0.60))
        below += paired_difference(worse, better, draws=200).at_least <= truth
    assert below >= 43


def promote(server: Server, client: httpx.Client, *bundles: Bundle) -> None:
    for bundle in bundles:
        client.put(bundle.path, content=bundle.tar()).raise_for_status()
    server.operator().promote("stable", bundles[0])


def test_clearly_worse_on_the_same_pictures_is_refused(
    make_bundle: MakeBundle, server: Server, client: httpx.Client
) -> None:
    current = make_bundle("1.0.0", evaluation=evaluation(0.7))
    worse, better = make_bundle("1.1.0", evaluation=evaluation(0.5)), make_bundle("1.2.0", evaluation=evaluation(0.72))
    promote(server, client, current, worse, better)
    refused = server.operator().refused("stable", worse)
    assert "ap: -0." in refused
    assert "95%, paired bootstrap over 200 pictures); allowed is -0.0200" in refused
    server.operator().promote("stable", better, "better")
    history = client.get(f"{CHANNEL}/history").json()["history"]
    assert history[0]["gates"].startswith("ap: +0.0")
    assert "lineage: commit 0123456789ab, 1 dataset(s)" in history[0]["gates"]
    # Back to the version that the channel gave before, worse as it may be.
    server.operator().promote("stable", current, "back")
    assert client.get(f"{CHANNEL}/history").json()["history"][0]["gates"].startswith("given by this channel before")


def test_bundle_must_carry_what_the_current_one_carries(
    make_bundle: MakeBundle, server: Server, client: httpx.Client
) -> None:
    current = make_bundle("1.0.0", evaluation=evaluation(0.7))
    bare, elsewhere = make_bundle("1.1.0", ap=0.9), make_bundle("1.2.0", evaluation=evaluation(0.9, seed=8, pictures=9))
    promote(server, client, current, bare, elsewhere)
    assert "carries evaluation.npz and this does not" in server.operator().refused("stable", bare)
    assert "not the same pictures" in server.operator().refused("stable", elsewhere)


def test_only_an_administrator_waives_gates_and_it_is_remembered(
    make_bundle: MakeBundle, server: Server, client: httpx.Client
) -> None:
    current, worse = make_bundle("1.0.0"), make_bundle("1.1.0", ap=0.1)
    promote(server, client, current, worse)
    assert "ap: -0.4000 against test-net 1.0.0, as stated by both" in server.operator().refused("stable", worse)
    token = create_token(server.settings.tokens_file, "releaser", ("promote",))
    assert "forbidden" in server.operator().refused("stable", worse, token=token, waive=True)
    server.operator().promote("stable", worse, "a demonstration", waive=True)
    assert client.get(f"{CHANNEL}/history").json()["history"][0]["gates"] == "waived by publisher"


def test_channel_without_gates_takes_anything(make_bundle: MakeBundle, server: Server, client: httpx.Client) -> None:
    first, worse = make_bundle("1.0.0"), make_bundle("1.1.0", ap=0.1)
    promote(server, client, first, worse)
    server.operator().promote("dev", worse)
    assert client.get("/v1/bundles/test-net/channels/dev").json()["version"] == "1.1.0"


def lacking(manifest: Manifest, **changes: object) -> Measured:
    """The bundle with parts of its lineage or metrics replaced."""
    metrics, lineage = manifest.metrics.model_dump(), manifest.lineage.model_dump()
    for name, value in changes.items():
        (metrics if name in metrics else lineage)[name] = value
    content = {**manifest.model_dump(), "metrics": metrics, "lineage": lineage}
    return Measured(Manifest.model_validate(content), None)


@pytest.mark.parametrize(
    ("changes", "gate", "says"),
    [
        ({"average_precision": ()}, "ap", "has no AP of its .tflite"),
        ({"latency": ()}, "latency", "none is recorded"),
        ({"git_commit": "unknown"}, "lineage", "lacks the commit"),
        ({"checkpoint_sha256": "0" * 64}, "lineage", "lacks the checkpoint's digest"),
        ({"parity": ()}, "parity", "not recorded for fp32"),
        ({"latency": ({"p50_seconds": 0.0126, "threads": 1, "machine": "a test"},)}, "latency", "25% more"),
        ({"latency": ({"p50_seconds": 9.0, "threads": 1, "machine": "another"},)}, "", ""),
    ],
)
def test_each_gate_alone(changes: dict[str, object], gate: str, says: str, make_bundle: MakeBundle) -> None:
    current = Measured(make_bundle().manifest, None)
    verdicts = [rule(lacking(current.manifest, **changes), current, LIMITS) for rule in RULES.values()]
    refused = [verdict for verdict in verdicts if not verdict.passed]
    assert [verdict.gate for verdict in refused] == ([gate] if gate else [])
    assert all(says in verdict.says for verdict in refused)


def with_aps(manifest: Manifest, **aps: float) -> Measured:
    """The bundle with these figures by data set."""
    (item,) = manifest.metrics.average_precision
    stated = tuple(item.model_copy(update={"dataset": name, "ap": value}).model_dump() for name, value in aps.items())
    return lacking(manifest, average_precision=stated)


@pytest.mark.parametrize(
    ("before", "after", "passed", "says"),
    [
        ({"gym": 0.7, "home": 0.5}, {"home": 0.5}, True, "+0.0000"),
        ({"gym": 0.7, "home": 0.5}, {"home": 0.4, "gym": 0.9}, False, "-0.1000"),
        ({"gym": 0.7, "home": 0.5}, {"park": 0.9}, False, "not measured on 'gym', 'home' as"),
    ],
)
def test_what_both_state_is_compared_each_with_its_own(
    before: dict[str, float], after: dict[str, float], passed: bool, says: str, make_bundle: MakeBundle
) -> None:
    manifest = make_bundle().manifest
    verdict = RULES["ap"](with_aps(manifest, **after), with_aps(manifest, **before), LIMITS)
    assert (verdict.passed, says in verdict.says) == (passed, True), verdict.says


def test_shipped_bundle_passes() -> None:
    """Or `make demo` would end here."""
    shipped = Measured(parse_manifest((SHIPPED / "manifest.json").read_bytes()), None)
    for current in (None, shipped):
        verdicts = [rule(shipped, current, LIMITS) for rule in RULES.values()]
        assert [verdict for verdict in verdicts if not verdict.passed] == []


def test_keypoints_that_move_far_and_cost_no_ap(make_bundle: MakeBundle) -> None:
    manifest = make_bundle().manifest
    moved = [item.model_copy(update={"keypoint_p99_px": 9.0}) for item in manifest.metrics.parity[1:]]
    both = (manifest.metrics.parity[0].model_dump(), *(item.model_dump() for item in moved))
    (small,) = manifest.metrics.average_precision
    for ap, passes in ((0.51, True), (0.55, False)):
        torch: AveragePrecision = small.model_copy(update={"stage": "torch", "ap": ap})
        stated = (small.model_dump(), torch.model_dump())
        verdict = parity(lacking(manifest, parity=both, average_precision=stated), None, LIMITS)
        assert (verdict.passed, "9 px" in verdict.says) == (passes, True)
    assert not parity(lacking(manifest, parity=both), None, LIMITS).passed


@pytest.mark.parametrize(
    ("torch_ap", "passes", "says"),
    [
        (0.51, True, "; it changes AP by -0.0100"),
        (0.55, False, "; it changes AP by -0.0500"),
        (None, False, ", and AP before and after is not recorded on one dataset; run plumbline-evaluate"),
    ],
)
def test_no_compared_keypoint_is_no_proof(
    torch_ap: float | None, passes: bool, says: str, make_bundle: MakeBundle
) -> None:
    """Conversion writes 0 px where no keypoint was sure enough to be compared."""
    manifest = make_bundle().manifest
    export, converted = (item.model_dump() for item in manifest.metrics.parity)
    converted |= {"keypoint_p99_px": 0.0, "keypoint_max_px": 0.0, "keypoints_compared": 0}
    stated = [item.model_dump() for item in manifest.metrics.average_precision]
    if torch_ap is not None:
        stated.append({**stated[0], "stage": "torch", "ap": torch_ap})
    bundle = lacking(manifest, parity=(export, converted), average_precision=tuple(stated))
    verdict = parity(bundle, None, LIMITS)
    assert verdict.passed == passes
    assert verdict.says.startswith(f"conversion was compared on no keypoint{says}")


def test_a_channel_that_was_cleared_is_compared_with_what_it_gave_last(
    make_bundle: MakeBundle, server: Server, client: httpx.Client
) -> None:
    """Devices still run it."""
    current, worse = make_bundle("1.0.0", evaluation=evaluation(0.7)), make_bundle("1.1.0", evaluation=evaluation(0.4))
    promote(server, client, current)
    operator = server.operator()
    with RegistryClient(server.url, TOKEN) as registry:
        rotate(registry, operator.keys, "stable", clear=True)
        sign_once(registry, operator.keys)
    client.put(worse.path, content=worse.tar()).raise_for_status()
    assert "ap: -0." in operator.refused("stable", worse)
    operator.promote("stable", current)
