"""Every metric of the registry; README.md lists them, and a test compares."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from plumbline_contract.channel import CHANNELS
from plumbline_registry.catalogue import Catalogue
from plumbline_registry.errors import StorageFull, StorageUnavailable
from plumbline_registry.metadata_store import MetadataStore

_DURATION_BUCKETS_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """The metrics of one application, in a registry of its own."""

    def __init__(self, catalogue: Catalogue, metadata: MetadataStore) -> None:
        self.collectors = CollectorRegistry()
        self.publishes = Counter(
            "plumbline_registry_publishes",
            "Uploads of a bundle by outcome: created, unchanged, or the code of the error.",
            ["outcome"],
            registry=self.collectors,
        )
        self.received_bytes = Counter(
            "plumbline_registry_received_bytes", "Bytes of uploads received.", registry=self.collectors
        )
        self.sent_bytes = Counter(
            "plumbline_registry_sent_bytes", "Bytes of response bodies sent.", registry=self.collectors
        )
        self.request_duration = Histogram(
            "plumbline_registry_request_duration_seconds",
            "Time from the request's head to the response's last byte.",
            ["method", "route", "status"],
            buckets=_DURATION_BUCKETS_SECONDS,
            registry=self.collectors,
        )
        self.collectors.register(_CatalogueCollector(catalogue, metadata))
        ProcessCollector(registry=self.collectors)


class _CatalogueCollector(Collector):
    """Reads the database when scraped, so that several replicas say the same."""

    def __init__(self, catalogue: Catalogue, metadata: MetadataStore) -> None:
        self._catalogue, self._metadata = catalogue, metadata

    def collect(self) -> Iterator[GaugeMetricFamily]:
        up = GaugeMetricFamily("plumbline_registry_database_up", "1 if the database answered this scrape.")
        versions = GaugeMetricFamily("plumbline_registry_published_versions", "Versions published, of all bundles.")
        stored = GaugeMetricFamily("plumbline_registry_stored_bytes", "Bytes that versions name, each blob once.")
        bundles = GaugeMetricFamily(
            "plumbline_registry_channel_bundles", "Bundles that have this channel set.", labels=["channel"]
        )
        expiry = GaugeMetricFamily(
            "plumbline_registry_metadata_expiry_timestamp_seconds",
            "When the newest signed document of the role ends.",
            labels=["role"],
        )
        try:
            expiries = self._metadata.expiries()
            counts = self._catalogue.channel_counts()
            versions.add_metric([], self._catalogue.version_count())
            stored.add_metric([], self._catalogue.stored_bytes())
        except (StorageUnavailable, StorageFull):
            up.add_metric([], 0)
        else:
            up.add_metric([], 1)
            for channel in CHANNELS:
                bundles.add_metric([channel], counts.get(channel, 0))
            for role, ends_at in expiries.items():
                expiry.add_metric([role], ends_at.timestamp())
        yield from (up, versions, stored, bundles, expiry)

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Nothing: registering must not ask the database."""
        return iter(())
