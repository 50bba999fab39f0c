"""A Prometheus, asked from outside."""

from __future__ import annotations

from typing import Any

import httpx


def query(prometheus: str, expression: str) -> dict[str, float]:
    """An instant query: instance -> value."""
    return {instance: value for (instance,), value in query_by(prometheus, expression, "instance").items()}


def query_by(prometheus: str, expression: str, *labels: str) -> dict[tuple[str, ...], float]:
    """An instant query: the values of these labels -> value."""
    answer = httpx.get(f"{prometheus}/api/v1/query", params={"query": expression}).raise_for_status().json()
    samples: list[dict[str, Any]] = answer["data"]["result"]
    return {
        tuple(str(sample["metric"].get(label, "")) for label in labels): float(sample["value"][1]) for sample in samples
    }
