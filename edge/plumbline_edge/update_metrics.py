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
from plumbline_edge.logs import warn

FOLLOWED: Final = timedelta(days=1)
"""A bundle that no update tried for this long, while another's were, is followed no longer."""


class UpdateMetrics(Collector):
    """The journals of state folders, the pose model's and the judge's, as one device's metrics."""

    def __init__(self, *folders: Path) -> None:
        self._folders = folders
        self._unreadable: set[Path] = set()

    def collect(self) -> Iterator[Metric]:
        journals = [journal for folder in self._folders if (journal := self._read(folder)) is not None]
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

    def _read(self, folder: Path) -> Journal | None:
        """A journal; None, and a warning once, where it can't be read: all other metrics are still to be had."""
        try:
            journal = read_journal(folder)
        except OSError as error:
            if folder not in self._unreadable:
                warn(f"the updates' journal in {str(folder)!r} cannot be read: {error.strerror}; metrics leave it out")
            self._unreadable.add(folder)
            return None
        self._unreadable.discard(folder)
        return journal

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
