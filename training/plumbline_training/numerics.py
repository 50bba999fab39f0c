"""Which numbers a training step multiplies, and how they lie in memory: what the hardware is fast at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Numerics:
    """How a device computes a step; figures of machines that differ in it differ in their last digits."""

    dtype: torch.dtype
    """Of convolutions; weights stay float32."""
    memory_format: torch.memory_format

    def __str__(self) -> str:
        layout = "channels last" if self.memory_format == torch.channels_last else "channels first"
        return f"{str(self.dtype).removeprefix('torch.')}, {layout}"


BFLOAT16 = Numerics(torch.bfloat16, torch.channels_last)
"""Three to five times faster than the other on processors with AMX; what GPUs with tensor cores want."""
FLOAT32 = Numerics(torch.float32, torch.contiguous_format)
"""Where bfloat16 is emulated. Channels last would cost: HRNet-edge-s at 128x96 took 15 times longer on an AMD EPYC with
AVX2 alone (5.9 against 88 images/s, torch 2.13)."""


def fast_numerics(device: torch.device) -> Numerics:
    """BFLOAT16 where the device multiplies it itself, else FLOAT32."""
    if device.type == "cuda":
        return BFLOAT16 if torch.cuda.is_bf16_supported(including_emulation=False) else FLOAT32
    # Absent from older versions of torch, which then compute in float32: slower than they could, never wrong.
    capabilities: Callable[[], Mapping[str, object]] = getattr(torch.cpu, "get_capabilities", dict)
    known = capabilities()
    return BFLOAT16 if any(known.get(name) for name in ("amx_bf16", "avx512_bf16", "bf16")) else FLOAT32
