"""Heat and throttling slow inference down; the sensors' files are read as the kernel writes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from plumbline_edge.climate import THROTTLED, Climate, read_climate
from plumbline_edge.metrics import EdgeMetrics
from plumbline_edge.pace import HELD_BACK_DUTY, HOT_CELSIUS, LEAST_DUTY, WARM_CELSIUS, Pace, allowed_duty


def test_sensors_are_read(tmp_path: Path) -> None:
    for zone, text in enumerate(("48312\n", "51200\n", "garbage\n")):
        folder = tmp_path / f"class/thermal/thermal_zone{zone}"
        folder.mkdir(parents=True)
        (folder / "temp").write_text(text)
    flags = tmp_path / THROTTLED
    flags.parent.mkdir(parents=True)
    flags.write_text("50005\n")
    assert read_climate(tmp_path) == Climate(51.2, frozenset({"under_voltage", "throttled"}))
    assert read_climate(tmp_path / "nothing") == Climate(None, frozenset())


@pytest.mark.parametrize(
    ("climate", "duty"),
    [
        (Climate(), 1.0),
        (Climate(WARM_CELSIUS), 1.0),
        (Climate((WARM_CELSIUS + HOT_CELSIUS) / 2), (1 + LEAST_DUTY) / 2),
        (Climate(HOT_CELSIUS + 20), LEAST_DUTY),
        (Climate(50.0, frozenset({"throttled"})), HELD_BACK_DUTY),
        (Climate(50.0, frozenset({"under_voltage"})), 1.0),
        (Climate(90.0, frozenset({"throttled"})), LEAST_DUTY),
    ],
)
def test_duty_falls_with_heat(climate: Climate, duty: float) -> None:
    assert allowed_duty(climate) == pytest.approx(duty)


def test_interval_follows_what_a_frame_costs_and_the_duty() -> None:
    pace = Pace(0)
    assert pace.interval_seconds(0.1) == 0.0
    pace.adapt(Climate(HOT_CELSIUS))
    assert pace.interval_seconds(0.1) == pytest.approx(0.2)
    for _ in range(100):
        interval = pace.interval_seconds(0.05)
    assert interval == pytest.approx(0.1, rel=0.01)


def test_interval_keeps_to_the_most_inferences_a_second() -> None:
    assert Pace(2.0).interval_seconds(0.01) == 0.5


def test_metrics_tell_of_heat_and_flags() -> None:
    metrics = EdgeMetrics()
    metrics.device.show(Climate(81.5, frozenset({"throttled"})), 0.6)
    value = metrics.registry.get_sample_value
    assert value("plumbline_edge_temperature_celsius") == 81.5
    assert value("plumbline_edge_throttled", {"flag": "throttled"}) == 1
    assert value("plumbline_edge_throttled", {"flag": "under_voltage"}) == 0
    assert value("plumbline_edge_inference_duty") == 0.6
