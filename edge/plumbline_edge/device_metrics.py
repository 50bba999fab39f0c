"""How the device does: heat, throttling, and what the service makes of it."""

from __future__ import annotations

import math

from prometheus_client import CollectorRegistry, Gauge

from plumbline_edge.climate import FLAG_BITS, Climate


class DeviceMetrics:
    """Metrics of the device."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._temperature = Gauge(
            "plumbline_edge_temperature_celsius", "The processor's temperature; NaN without a sensor", registry=registry
        )
        self._flags = Gauge(
            "plumbline_edge_throttled",
            "1 while the firmware says so of now",
            ["flag"],
            registry=registry,
        )
        self._duty = Gauge(
            "plumbline_edge_inference_duty", "Share of the time that inference may take, 1 when cool", registry=registry
        )
        self.threads = Gauge("plumbline_edge_inference_threads", "Threads that inference runs on", registry=registry)
        self.climate = Climate()
        """The latest reading."""
        self.show(self.climate, 1.0)

    def show(self, climate: Climate, duty: float) -> None:
        """Take in a reading, and the share of the time that inference may take because of it."""
        self.climate = climate
        temperature = climate.temperature_celsius
        self._temperature.set(math.nan if temperature is None else temperature)
        for flag in FLAG_BITS:
            self._flags.labels(flag=flag).set(flag in climate.flags)
        self._duty.set(duty)
