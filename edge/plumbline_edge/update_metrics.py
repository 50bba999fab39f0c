"""How this device's updates went, read from the updater's journals when scraped: the updater lives for seconds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from plumbline_edge.journal import Journal, read_journal

FOLLOWED: Final = timedelta(days=1)
"""A bundle that no update tried for this long, while another's were, is followed no longer."""


class UpdateMetrics(Collector):
    """The journals of state folders, the pose model's and the judge's, as one device's metrics."""

    def __init__(self, *folders: Path) -> None:
        self._folders = folders

    def collect(self) -> Iterator[Metric]:
        journals = [read_journal(folder) for folder in self._folders]
        attempts = CounterMetricFamily("plumbline_edge_updates_total", "Times an update was attempted")
        attempts.add_metric([], sum(journal.attempts for journal in journals))
        failures = CounterMetricFamily(
            "plumbline_edge_update_failures_total", "Updates that were refused or failed", labels=["reason"]
        )
        counts: Counter[str] = Counter()
        for journal in journals:
            counts.update(journal.failures)
        for reason, count in sorted(counts.items()):
            failures.add_metric([reason], count)
        success = GaugeMetricFamily("plumbline_edge_update_success_timestamp_seconds", "When updates last went well")
        if (succeeded_at := _all_well_at(journals)) is not None:
            success.add_metric([], succeeded_at.timestamp())
        bad = GaugeMetricFamily("plumbline_edge_failed_bundles", "Bundles that failed on this device and are not tried")
        bad.add_metric([], sum(len(journal.failed) for journal in journals))
        yield from (attempts, failures, success, bad)

    def describe(self) -> Iterator[Metric]:
        """Nothing: registering must not read the disk."""
        return iter(())


def _all_well_at(journals: Sequence[Journal]) -> datetime | None:
    """Since when a bundle that is followed has not gone well: the last success, or the first attempt before any."""
    newest = max((journal.last_attempt_at for journal in journals if journal.last_attempt_at), default=None)
    since = [
        journal.last_success_at or journal.first_attempt_at
        for journal in journals
        if newest and journal.last_attempt_at and newest - journal.last_attempt_at <= FOLLOWED
    ]
    return min((moment for moment in since if moment), default=None)
