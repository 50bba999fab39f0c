"""Every metric of the edge, for Prometheus; edge/README.md lists the same ones."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector
from prometheus_client.exposition import generate_latest

from plumbline_contract.manifest import Manifest
from plumbline_edge.coach.agreement import DISAGREEMENTS
from plumbline_edge.device_metrics import DeviceMetrics
from plumbline_edge.tracking_metrics import TrackingMetrics

Stage = Literal["capture", "preprocess", "inference", "decode", "judge", "coach", "draw", "encode"]

LATENCY_BUCKETS_SECONDS: Final = (
    0.002, 0.004, 0.006, 0.008, 0.012, 0.016, 0.024, 0.032, 0.048, 0.064, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.0, 4.0,
)  # fmt: skip
"""From 2 ms, a fast stage, to 4 s, a hung one; closest around 10 to 100 ms, where real time is won or lost."""


class EdgeMetrics:
    """The metrics of one running service, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.frames = Counter(
            "plumbline_edge_frames_total", "Frames that went through inference", registry=self.registry
        )
        self.frames_dropped = Counter(
            "plumbline_edge_frames_dropped_total",
            "Frames replaced by a newer one before inference",
            registry=self.registry,
        )
        self.fps = Gauge(
            "plumbline_edge_fps", "Frames through inference a second, over the last seconds", registry=self.registry
        )
        self.stage_latency = Histogram(
            "plumbline_edge_stage_latency_seconds",
            "Time a frame spends in a stage; capture includes waiting for the camera",
            ["stage"],
            buckets=LATENCY_BUCKETS_SECONDS,
            registry=self.registry,
        )
        self.latency = Histogram(
            "plumbline_edge_latency_seconds",
            "Time from a frame's capture to its keypoints and coaching",
            buckets=LATENCY_BUCKETS_SECONDS,
            registry=self.registry,
        )
        self.reps = Counter("plumbline_edge_reps_total", "Repetitions counted", ["exercise"], registry=self.registry)
        self.faults = Counter(
            "plumbline_edge_faults_total", "Attempts, or occasions, in which a fault was found", ["exercise", "fault"],
            registry=self.registry,
        )  # fmt: skip
        self.judge_disagreements = Counter(
            "plumbline_edge_judge_disagreements_total",
            "Occasions in which the judge silenced a rule or spoke where none did", ["kind"],
            registry=self.registry,
        )  # fmt: skip
        for kind in DISAGREEMENTS:
            self.judge_disagreements.labels(kind=kind)
        self.tracking = TrackingMetrics(self.registry)
        self.device = DeviceMetrics(self.registry)
        self.source_up = Gauge(
            "plumbline_edge_source_up", "1 while the camera or stream gives pictures, else 0", registry=self.registry
        )
        self.source_reconnects = Counter(
            "plumbline_edge_source_reconnects_total",
            "Times a camera or stream was opened again",
            registry=self.registry,
        )
        self.viewers = Gauge("plumbline_edge_viewers", "Live pictures being served", registry=self.registry)
        self.last_frame_age = Gauge(
            "plumbline_edge_last_frame_age_seconds", "Time since the last frame went through inference",
            registry=self.registry,
        )  # fmt: skip
        self.bundle = Info("plumbline_edge_bundle", "The bundle that is running", registry=self.registry)

    def describe_bundle(self, manifest: Manifest, manifest_sha256: str) -> None:
        """Show which bundle is running."""
        self.bundle.info(
            {
                "name": manifest.name,
                "version": manifest.version,
                "precision": manifest.precision,
                "manifest_sha256": manifest_sha256,
            }
        )

    def observe_stage(self, stage: Stage, seconds: float) -> None:
        """Note how long one frame spent in a stage."""
        self.stage_latency.labels(stage=stage).observe(seconds)

    def read_gauges_from(
        self, fps: Callable[[float], float], last_frame_at: Callable[[], float], source_up: Callable[[], bool]
    ) -> None:
        """Compute these at the moment of a scrape, so that they tell of a standstill too."""
        self.source_up.set_function(lambda: float(source_up()))
        self.tracking.say_while(source_up)
        self.fps.set_function(lambda: fps(time.monotonic()))
        self.last_frame_age.set_function(lambda: time.monotonic() - last_frame_at())

    def exposition(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self.registry)
