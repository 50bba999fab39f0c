"""The metrics are what the README says they are."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from plumbline_edge.journal import FailedBundle, Journal, write_journal
from plumbline_edge.metrics import LATENCY_BUCKETS_SECONDS, EdgeMetrics
from plumbline_edge.update_metrics import UpdateMetrics

README = Path(__file__).parents[2] / "edge" / "README.md"


def listed_in_readme() -> dict[str, set[str]]:
    """Metric name -> labels, from the table."""
    rows = re.findall(r"^\| `(plumbline_edge_\w+)` \| ([^|]*)\|", README.read_text(encoding="utf-8"), re.MULTILINE)
    return {name: set(re.findall(r"`(\w+)`", labels)) for name, labels in rows}


def test_readme_lists_every_metric_with_its_labels_and_no_other(tmp_path: Path) -> None:
    metrics = EdgeMetrics()
    write_journal(tmp_path, Journal().with_outcome("ok").with_outcome("digest_mismatch"))
    metrics.registry.register(UpdateMetrics(tmp_path))
    metrics.observe_stage("draw", 0.01)
    metrics.reps.labels(exercise="squat")
    metrics.faults.labels(exercise="squat", fault="too_shallow")
    metrics.bundle.info({"name": "n", "version": "v", "precision": "p", "manifest_sha256": "s"})
    exposed: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(metrics.exposition().decode()):
        if not family.name.startswith("plumbline_edge_") or family.name.endswith("_created"):
            continue
        suffix = {"counter": "_total"}.get(family.type, "")
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        exposed[family.name.removesuffix("_total") + suffix] = labels
    assert exposed == listed_in_readme()


def update_metrics(tmp_path: Path, pose: Journal | None, judge: Journal | None) -> CollectorRegistry:
    """The metrics of a device with these two journals."""
    for name, journal in (("pose", pose), ("judge", judge)):
        if journal is not None:
            (tmp_path / name).mkdir(exist_ok=True)
            write_journal(tmp_path / name, journal)
    collected = CollectorRegistry()
    collected.register(UpdateMetrics(tmp_path / "pose", tmp_path / "judge"))
    return collected


def succeeded_at(collected: CollectorRegistry) -> float | None:
    return collected.get_sample_value("plumbline_edge_update_success_timestamp_seconds")


def test_updates_of_the_pose_model_and_of_the_judge_are_added_up(tmp_path: Path) -> None:
    failed = FailedBundle(manifest_sha256="s", version="1.0.0", reason="golden_mismatch", message="differs")
    pose = Journal().with_outcome("ok").with_outcome("registry_unavailable").with_failed(failed)
    judge = Journal().with_outcome("registry_unavailable").with_outcome("golden_mismatch").with_failed(failed)
    collected = update_metrics(tmp_path, pose, judge)
    failures = {
        reason: collected.get_sample_value("plumbline_edge_update_failures_total", {"reason": reason})
        for reason in ("registry_unavailable", "golden_mismatch")
    }
    assert failures == {"registry_unavailable": 2, "golden_mismatch": 1}
    assert collected.get_sample_value("plumbline_edge_updates_total") == 4
    assert collected.get_sample_value("plumbline_edge_failed_bundles") == 2


def test_the_last_success_is_that_of_the_bundle_that_waits_longest_for_one(tmp_path: Path) -> None:
    now = datetime.now(timezone.utc)
    before = now - timedelta(days=8)
    well = Journal(first_attempt_at=before, last_attempt_at=now, last_success_at=now)
    failing = Journal(first_attempt_at=before, last_attempt_at=now, last_success_at=before)
    never = Journal(first_attempt_at=before, last_attempt_at=now)
    no_longer_followed = Journal(first_attempt_at=before, last_attempt_at=before, last_success_at=before)
    assert succeeded_at(update_metrics(tmp_path, None, None)) is None
    assert succeeded_at(update_metrics(tmp_path, well, None)) == now.timestamp()
    assert succeeded_at(update_metrics(tmp_path, failing, well)) == before.timestamp()
    assert succeeded_at(update_metrics(tmp_path, well, failing)) == before.timestamp()
    assert succeeded_at(update_metrics(tmp_path, well, never)) == before.timestamp()
    assert succeeded_at(update_metrics(tmp_path, well, no_longer_followed)) == now.timestamp()
    assert succeeded_at(update_metrics(tmp_path, no_longer_followed, no_longer_followed)) == before.timestamp()


def test_a_journal_that_cannot_be_read_is_left_out_with_one_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    warnings = list[str]()
    monkeypatch.setattr("plumbline_edge.update_metrics.warn", warnings.append)
    (tmp_path / "judge" / "updates.json").mkdir(parents=True)
    collected = update_metrics(tmp_path, Journal().with_outcome("ok"), None)
    for _ in range(3):
        assert collected.get_sample_value("plumbline_edge_updates_total") == 1
    (warning,) = warnings
    assert warning.startswith(f"the updates' journal in '{tmp_path}/judge' cannot be read: ")


def test_the_first_attempt_is_remembered() -> None:
    first = Journal().with_outcome("registry_unavailable")
    assert first.first_attempt_at == first.last_attempt_at
    assert first.with_outcome("ok").first_attempt_at == first.first_attempt_at


def test_buckets_reach_from_2_ms_to_4_s() -> None:
    assert LATENCY_BUCKETS_SECONDS[0] == 0.002
    assert LATENCY_BUCKETS_SECONDS[-1] == 4.0
    assert list(LATENCY_BUCKETS_SECONDS) == sorted(set(LATENCY_BUCKETS_SECONDS))


def test_nobody_is_seen_or_followed_once_no_picture_comes() -> None:
    metrics, pictures_come = EdgeMetrics(), [True]
    metrics.read_gauges_from(lambda now: 12.5, lambda: 0.0, lambda: pictures_come[0])
    metrics.tracking.observe(False, True, np.ones((17, 3), np.float32), seen=True)
    told = list[tuple[float | None, float | None]]()
    for comes in (True, False, True):
        pictures_come[0] = comes
        names = ("plumbline_edge_person_visible", "plumbline_edge_tracking")
        told.append((metrics.registry.get_sample_value(names[0]), metrics.registry.get_sample_value(names[1])))
    assert told == [(1, 1), (0, 0), (1, 1)]


def test_gauges_are_read_at_the_scrape() -> None:
    metrics = EdgeMetrics()
    metrics.read_gauges_from(lambda now: 12.5, lambda: 0.0, lambda: True)
    assert metrics.registry.get_sample_value("plumbline_edge_source_up") == 1
    assert metrics.registry.get_sample_value("plumbline_edge_fps") == 12.5
    age = metrics.registry.get_sample_value("plumbline_edge_last_frame_age_seconds")
    assert age is not None
    assert age > 0
