"""An evaluation as one self-contained page: a table, plots, and the crops that went worst."""

from __future__ import annotations

import base64
import html
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from plumbline_contract.preprocess import extract_crop
from plumbline_contract.skeleton import KEYPOINT_NAMES
from plumbline_training.crops import read_image
from plumbline_training.datasets import Dataset
from plumbline_training.drawing import draw_skeleton
from plumbline_training.evaluate import Detail, Evaluation

WORST = 20
CROP_HEIGHT, CROP_WIDTH = 320, 240
LABEL_BGR = (80, 200, 80)
STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; color: #1b1b1b; }
table { border-collapse: collapse; } th, td { padding: .3rem .8rem; border-bottom: 1px solid #bbb; text-align: right; }
th { overflow-wrap: anywhere; }
th:first-child, td:first-child { text-align: left; } img { max-width: 100%; height: auto; }
ol.worst { display: flex; flex-wrap: wrap; gap: 1rem; padding: 0; list-style: none; } figure { margin: 0; }
figcaption { font-size: .85rem; }
"""


@dataclass(frozen=True)
class Measured:
    """One model's figures, and what it found in each labelled box."""

    name: str
    path: Path
    evaluations: Sequence[Evaluation]
    detail: Detail
    keypoints: Sequence[npt.NDArray[np.float32]]


def page(dataset: Dataset, models: Sequence[Measured]) -> str:
    """The page as HTML."""
    title = f"Keypoints on {dataset.entry.id}"
    parts = [
        f"<h1>{html.escape(title)}</h1>",
        f"<p>{dataset.images} pictures, {len(dataset.persons)} persons. AP, AP50, AP75, AP of medium and large persons "
        "and AR by pycocotools; the interval is a 95% bootstrap over pictures; PCK within 0.2 torso lengths.</p>",
        _summary(models),
        "<h2>Keypoint by keypoint</h2>",
        _picture(_bars(models), "Mean OKS of each keypoint, a bar a model; the table has the numbers"),
        _keypoint_table(models),
        "<h2>Visible and hidden keypoints</h2>",
        _visibility(models),
    ]
    histories = {model.name: history for model in models if (history := _history(model.path))}
    if histories:
        parts += [
            "<h2>AP per epoch</h2>",
            _picture(_curves(histories), "AP after each epoch, a line a run"),
        ]
    for model in models:
        parts.append(f"<h2>Worst {WORST} crops of {html.escape(model.name)}</h2>")
        parts.append("<p>Found: blue is the person's left, orange the right. Labelled: green.</p>")
        parts.append(_worst(dataset, model))
    body = "\n".join(parts)
    head = f'<meta charset="utf-8"><title>{html.escape(title)}</title><style>{STYLE}</style>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>\n{body}\n</body></html>\n'


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    cells = "".join(f'<th scope="col">{html.escape(cell)}</th>' for cell in header)
    lines = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{cells}</tr></thead><tbody>{lines}</tbody></table>"


def number(value: float | None) -> str:
    """Three digits, or a dash where there is nothing to say."""
    return "–" if value is None or not np.isfinite(value) or value < 0 else f"{value:.3f}"


def _summary(models: Sequence[Measured]) -> str:
    rows = []
    for model in models:
        for item in model.evaluations:
            low, high = item.ap_interval or (None, None)
            figures = (item.ap50, item.ap75, item.ap_medium, item.ap_large, item.ar, item.pck)
            rows.append(
                [model.name, item.boxes, number(item.ap), f"{number(low)} to {number(high)}", *map(number, figures)]
            )
    return _table(["model", "boxes", "AP", "interval", "AP50", "AP75", "APm", "APl", "AR", "PCK"], rows)


def _keypoint_table(models: Sequence[Measured]) -> str:
    rows = [
        [name.replace("_", " "), *(number(model.detail.oks_K[keypoint]) for model in models)]
        for keypoint, name in enumerate(KEYPOINT_NAMES)
    ]
    return _table(["keypoint", *(model.name for model in models)], rows)


def _visibility(models: Sequence[Measured]) -> str:
    rows = [
        [model.name, label, str(share.keypoints), number(share.oks), number(share.pck)]
        for model in models
        for label, share in (("visible", model.detail.visible), ("hidden", model.detail.occluded))
    ]
    return _table(["model", "keypoints", "count", "mean OKS", "PCK"], rows)


def _history(path: Path) -> list[dict[str, Any]]:
    """The epochs of the run that a checkpoint belongs to."""
    metrics = path.parent / "metrics.jsonl"
    if path.suffix != ".pt" or not metrics.is_file():
        return []
    return [json.loads(line) for line in metrics.read_text(encoding="utf-8").splitlines()]


def _figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _bars(models: Sequence[Measured]) -> Figure:
    figure = _figure(11, 4.5)
    axes = figure.subplots()
    places = np.arange(len(KEYPOINT_NAMES))
    share = 0.8 / len(models)
    for index, model in enumerate(models):
        axes.bar(places + (index + 0.5) * share - 0.4, model.detail.oks_K, share, label=model.name)
    axes.set(ylim=(0, 1), ylabel="mean OKS")
    axes.set_xticks(places, [name.replace("_", "\n") for name in KEYPOINT_NAMES], fontsize=8)
    axes.legend(fontsize=8)
    return figure


def _curves(histories: dict[str, list[dict[str, Any]]]) -> Figure:
    figure = _figure(8, 4)
    axes = figure.subplots()
    for name, lines in histories.items():
        axes.plot([line["epoch"] for line in lines], [line["ap"] for line in lines], marker=".", label=name)
    axes.set(xlabel="epoch", ylabel="AP", ylim=(0, None))
    axes.legend(fontsize=8)
    return figure


def _picture(figure: Figure, alternative: str) -> str:
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=110)
    return _embedded(stream.getvalue(), "png", alternative)


def _embedded(data: bytes, kind: str, alternative: str) -> str:
    encoded = base64.b64encode(data).decode()
    return f'<img src="data:image/{kind};base64,{encoded}" alt="{html.escape(alternative)}">'


def _worst(dataset: Dataset, model: Measured) -> str:
    order = np.argsort(model.detail.oks_N, kind="stable")[:WORST]
    figures = []
    for place in order:
        person, similarity = dataset.persons[place], model.detail.oks_N[place]
        image = read_image(person)
        assert image is not None, "it was measured on"
        draw_skeleton(image, person.keypoints_K3, 0.0, LABEL_BGR)
        draw_skeleton(image, model.keypoints[place], -1.0)
        crop_HW3, _ = extract_crop(image, person.box.padded(1.4), CROP_HEIGHT, CROP_WIDTH)
        data = cv2.imencode(".jpg", np.ascontiguousarray(crop_HW3[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, 80])[
            1
        ].tobytes()
        caption = f"{person.image.name}: OKS {similarity:.3f}"
        picture = _embedded(data, "jpeg", f"Found and labelled skeletons in {caption}")
        figures.append(f"<li><figure>{picture}<figcaption>{html.escape(caption)}</figcaption></figure></li>")
    return f'<ol class="worst">{"".join(figures)}</ol>'
