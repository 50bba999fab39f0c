"""An estimate, by the roofline model, of what a graph costs at least on a Raspberry Pi 4 (Williams et al., CACM 2009).

Each operator takes as long as its arithmetic or its memory traffic, whichever is longer. Nothing is measured here:
`plumbline-edge bench BUNDLE` gives the true figure on a device.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from plumbline_conversion.op_profile import LayerCost


@dataclass(frozen=True)
class Machine:
    """What one core and the memory can do at best."""

    name: str
    clock_hz: float
    cores: int
    float_macs_per_cycle: float
    int8_macs_per_cycle: float
    memory_bytes_per_second: float
    """Shared by all cores."""
    cache_bytes: int
    """Last level. An operator whose activations fit in it reads them from there and only its weights from memory."""


CORTEX_A72: Final = Machine(
    name="Raspberry Pi 4 (Cortex-A72, 1.5 GHz)",
    clock_hz=1.5e9,
    cores=4,
    # One 128-bit FMLA a cycle of four floats. int8 without dot product: one SMLAL of eight products a cycle, and half
    # as many again go on pairwise sums (SADALP) of the 16-bit ones (Arm, Cortex-A72 Software Optimization Guide).
    float_macs_per_cycle=4,
    int8_macs_per_cycle=16 / 3,
    # STREAM gives 4 to 5 GB/s on the Pi 4's LPDDR4.
    memory_bytes_per_second=4e9,
    cache_bytes=1 << 20,
)


@dataclass(frozen=True)
class Estimate:
    """A lower bound of one inference."""

    machine: str
    threads: int
    seconds: float
    memory_bound_share: float
    """Share of the time in operators that wait for memory."""


def estimate(costs: Sequence[LayerCost], threads: int, machine: Machine = CORTEX_A72) -> Estimate:
    """The sum over all operators of the longer of arithmetic and traffic."""
    total = waiting = 0.0
    for cost in costs:
        compute, memory = _compute_seconds(cost, threads, machine), _memory_seconds(cost, machine)
        total += max(compute, memory)
        waiting += memory if memory > compute else 0.0
    return Estimate(machine.name, threads, total, waiting / total if total else 0.0)


def _compute_seconds(cost: LayerCost, threads: int, machine: Machine) -> float:
    macs = machine.int8_macs_per_cycle if cost.integer else machine.float_macs_per_cycle
    return cost.macs / (macs * machine.clock_hz * min(threads, machine.cores))


def _memory_seconds(cost: LayerCost, machine: Machine) -> float:
    kept = cost.activation_bytes <= machine.cache_bytes
    return (cost.weight_bytes + (0 if kept else cost.activation_bytes)) / machine.memory_bytes_per_second
