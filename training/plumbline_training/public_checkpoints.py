"""Weights that others released, under our names, with a report of what matched.

Known layouts: the HRNet authors' (ours too), mmpose's 0.x and 1.x, timm's, EfficientNet-Lite's for the trunk of
`trunk_hrnet`, and any of them behind the prefixes of wrappers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from plumbline_training.errors import InvalidCheckpoint

PREFIXES = ("module.", "_orig_mod.", "model.", "net.")
"""What DistributedDataParallel, torch.compile and trainers put before every key."""
RENAMED: dict[str, tuple[tuple[str, str], ...]] = {
    "mmpose": (
        ("backbone.", ""),
        ("keypoint_head.final_layer.", "final_layer."),
        ("head.final_layer.", "final_layer."),
    ),
}
"""Beginnings of names, by layout, and what they are called here."""
TIMM_PARTS = ("incre_modules.", "downsamp_modules.", "classifier.")
EFFICIENTNET_STEM = "_conv_stem.weight"
OPTIONAL = "num_batches_tracked"
"""Old files lack these counters, and nothing depends on them."""
SHOWN = 3


@dataclass(frozen=True)
class MatchReport:
    """What of a file fits a net."""

    layout: str
    matched: int
    missing: tuple[str, ...]
    """Names of the net that the file lacks."""
    unexpected: tuple[str, ...]
    """Names of the file that the net lacks."""
    reshaped: tuple[str, ...]
    """Names of both whose shapes differ, with both shapes."""
    share: float
    """Of the net's numbers, those that the file gives."""

    @property
    def complete(self) -> bool:
        """Whether file and net are the same net."""
        return not (self.missing or self.unexpected or self.reshaped)

    def __str__(self) -> str:
        parts = [f"{self.layout} layout: {self.matched} tensors match, {self.share:.1%} of the net's numbers"]
        for label in ("missing", "unexpected", "reshaped"):
            names: Sequence[str] = getattr(self, label)
            if names:
                more = ", …" if len(names) > SHOWN else ""
                parts.append(f"{len(names)} {label} ({', '.join(names[:SHOWN])}{more})")
        return "; ".join(parts)


def layout_of(names: Sequence[str]) -> str:
    """Whose names these are."""
    if any(name.startswith("backbone.") for name in names):
        return "mmpose"
    if any(name.startswith(TIMM_PARTS) for name in names):
        return "timm"
    if EFFICIENTNET_STEM in names:
        return "efficientnet"
    return "official"


def unwrapped(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same weights without the prefixes that wrappers add to every key, in whatever order."""
    while prefix := next((item for item in PREFIXES if weights and all(key.startswith(item) for key in weights)), None):
        weights = {key[len(prefix) :]: value for key, value in weights.items()}
    return weights


def match(weights: dict[str, Tensor], net: nn.Module, partial: bool = False) -> tuple[dict[str, Tensor], MatchReport]:
    """The weights under the net's names, whole enough to load strictly, and what matched.

    A name that is missing, left over or of another shape raises InvalidCheckpoint; with `partial` the net keeps its own
    tensors there, and only a file of which nothing fits raises.
    """
    weights = unwrapped(weights)
    layout = layout_of(list(weights))
    weights = {_renamed(key, layout): value for key, value in weights.items()}
    wanted = net.state_dict()
    same = {key for key in weights.keys() & wanted.keys() if weights[key].shape == wanted[key].shape}
    shapes = {key: (tuple(weights[key].shape), tuple(wanted[key].shape)) for key in weights.keys() & wanted.keys()}
    report = MatchReport(
        layout=layout,
        matched=len(same),
        missing=tuple(sorted(key for key in wanted.keys() - weights.keys() if not key.endswith(OPTIONAL))),
        unexpected=tuple(sorted(weights.keys() - wanted.keys())),
        reshaped=tuple(f"{key} {shapes[key][0]} for {shapes[key][1]}" for key in sorted(shapes.keys() - same)),
        share=sum(wanted[key].numel() for key in same) / sum(value.numel() for value in wanted.values()),
    )
    if not same or not (partial or report.complete):
        advice = "another architecture's" if not same else "--init-partial takes what matches"
        raise InvalidCheckpoint(f"{report}; {advice}")
    return {key: weights[key] if key in same else wanted[key] for key in wanted}, report


def _renamed(key: str, layout: str) -> str:
    if layout == "efficientnet":
        return "trunk." + re.sub(r"(^|\.)_", r"\1", key)
    for beginning, ours in RENAMED.get(layout, ()):
        if key.startswith(beginning):
            return ours + key[len(beginning) :]
    return key
