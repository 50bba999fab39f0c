"""How this device's updates went, read from the updater's journal when scraped: the updater lives for seconds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from plumbline_edge.journal import read_journal


class UpdateMetrics(Collector):
    """The journal of a state folder as metrics."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def collect(self) -> Iterator[Metric]:
        journal = read_journal(self._folder)
        attempts = CounterMetricFamily("plumbline_edge_updates_total", "Times an update was attempted")
        attempts.add_metric([], journal.attempts)
        failures = CounterMetricFamily(
            "plumbline_edge_update_failures_total", "Updates that were refused or failed", labels=["reason"]
        )
        for reason, count in sorted(journal.failures.items()):
            failures.add_metric([reason], count)
        success = GaugeMetricFamily("plumbline_edge_update_success_timestamp_seconds", "When an update last went well")
        if journal.last_success_at is not None:
            success.add_metric([], journal.last_success_at.timestamp())
        bad = GaugeMetricFamily("plumbline_edge_failed_bundles", "Bundles that failed on this device and are not tried")
        bad.add_metric([], len(journal.failed))
        yield from (attempts, failures, success, bad)

    def describe(self) -> Iterator[Metric]:
        """Nothing: registering must not read the disk."""
        return iter(())
