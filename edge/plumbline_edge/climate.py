"""How warm the processor is, and whether the firmware holds it back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

Flag = Literal["under_voltage", "frequency_capped", "throttled", "soft_temperature_limit"]
FLAG_BITS: Final[dict[Flag, int]] = {
    "under_voltage": 0,
    "frequency_capped": 1,
    "throttled": 2,
    "soft_temperature_limit": 3,
}
"""Bits of the Raspberry Pi firmware's get_throttled that speak of now; those from 16 up speak of since boot."""
THROTTLED: Final = "devices/platform/soc/soc:firmware/get_throttled"
SYS: Final = Path("/sys")


@dataclass(frozen=True)
class Climate:
    """One reading; `temperature_celsius` is None and `flags` empty on a machine that has no such sensor."""

    temperature_celsius: float | None = None
    flags: frozenset[Flag] = frozenset()


def read_climate(sys: Path = SYS) -> Climate:
    """The hottest thermal zone and the firmware's flags."""
    zones = [_number(zone, 10) for zone in sorted((sys / "class/thermal").glob("thermal_zone*/temp"))]
    degrees = [value / 1000 for value in zones if value is not None]
    bits = _number(sys / THROTTLED, 16) or 0
    flags = frozenset(flag for flag, bit in FLAG_BITS.items() if bits >> bit & 1)
    return Climate(max(degrees) if degrees else None, flags)


def _number(path: Path, base: int) -> int | None:
    try:
        return int(path.read_text(encoding="ascii").strip(), base)
    except (OSError, ValueError):
        return None
