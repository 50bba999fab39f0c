"""Curves of a run as a picture."""

from __future__ import annotations

import io
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from plumbline_training.checkpoint import write_atomically


def curves(lines: Sequence[dict[str, Any]], path: Path) -> None:
    """Loss, and AP with PCK, against the epoch; a dotted line where the input size changes."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    FigureCanvasAgg(figure)
    loss_axes, ap_axes = figure.subplots(1, 2)
    epochs = [line["epoch"] for line in lines]
    loss_axes.plot(epochs, [line["loss"] for line in lines], color="tab:red")
    loss_axes.set(title="training loss", xlabel="epoch", yscale="log")
    for key, colour in (("ap", "tab:blue"), ("ap50", "tab:cyan"), ("pck", "tab:green")):
        ap_axes.plot(epochs, [line.get(key, float("nan")) for line in lines], label=key.upper(), color=colour)
    ap_axes.set(title="validation, ground-truth boxes", xlabel="epoch", ylim=(0, 1))
    ap_axes.legend(loc="upper left")
    for before, after in itertools.pairwise(lines):
        if before["height"] != after["height"]:
            for axes in (loss_axes, ap_axes):
                axes.axvline(after["epoch"] - 0.5, color="grey", linestyle=":")
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=110)
    write_atomically(picture.getvalue(), path)
