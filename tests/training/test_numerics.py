"""Steps are computed in the numbers that the processor multiplies itself."""

from __future__ import annotations

import pytest
import torch

from plumbline_training.numerics import BFLOAT16, FLOAT32, fast_numerics

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ({"avx2": True, "avx512_bf16": False, "amx_bf16": False}, FLOAT32),
        ({"avx512_bf16": True, "amx_bf16": False}, BFLOAT16),
        ({"avx512_bf16": False, "amx_bf16": True}, BFLOAT16),
        ({"bf16": True}, BFLOAT16),
        ({}, FLOAT32),
    ],
)
def test_bfloat16_where_the_processor_has_it(
    monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, bool], expected: object
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert fast_numerics(CPU) == expected


def test_an_older_torch_computes_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert fast_numerics(CPU) == FLOAT32
    assert str(FLOAT32) == "float32, channels first"
