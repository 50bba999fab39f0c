"""Whether somebody is followed, and how sure the network is of what it sees."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from plumbline_contract.decode import Keypoints

CONFIDENCE_BUCKETS: Final = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


class TrackingMetrics:
    """Metrics of the tracked person."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.person_visible = Gauge(
            "plumbline_edge_person_visible", "1 while a person is seen, else 0", registry=registry
        )
        self.tracking = Gauge(
            "plumbline_edge_tracking", "1 while a person is followed, 0 while one is searched for", registry=registry
        )
        self._seen = self._followed = False
        self.say_while(lambda: True)
        self.lost = Counter(
            "plumbline_edge_tracking_lost_total", "Times that a followed person was lost", registry=registry
        )
        self.confidence = Histogram(
            "plumbline_edge_keypoint_confidence",
            "Mean score of the keypoints of each seen person",
            buckets=CONFIDENCE_BUCKETS,
            registry=registry,
        )

    def say_while(self, pictures_come: Callable[[], bool]) -> None:
        """At a scrape, nobody is seen or followed once no picture comes any more, whatever the last one showed."""
        self.person_visible.set_function(lambda: float(self._seen and pictures_come()))
        self.tracking.set_function(lambda: float(self._followed and pictures_come()))

    def observe(self, before: bool, after: bool, keypoints_K3: Keypoints, *, seen: bool) -> None:
        """Note one frame: whether a person was followed before and after it, and the keypoints (K, 3) seen in it."""
        self._seen, self._followed = seen, after
        if before and not after:
            self.lost.inc()
        if seen:
            self.confidence.observe(float(keypoints_K3[:, 2].mean()))
