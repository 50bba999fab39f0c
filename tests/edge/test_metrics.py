"""The metrics are what the README says they are."""

from __future__ import annotations

import re
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from plumbline_edge.journal import Journal, write_journal
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


def test_buckets_reach_from_2_ms_to_4_s() -> None:
    assert LATENCY_BUCKETS_SECONDS[0] == 0.002
    assert LATENCY_BUCKETS_SECONDS[-1] == 4.0
    assert list(LATENCY_BUCKETS_SECONDS) == sorted(set(LATENCY_BUCKETS_SECONDS))


def test_gauges_are_read_at_the_scrape() -> None:
    metrics = EdgeMetrics()
    metrics.read_gauges_from(lambda now: 12.5, lambda: 0.0, lambda: True)
    assert metrics.registry.get_sample_value("plumbline_edge_source_up") == 1
    assert metrics.registry.get_sample_value("plumbline_edge_fps") == 12.5
    age = metrics.registry.get_sample_value("plumbline_edge_last_frame_age_seconds")
    assert age is not None
    assert age > 0
