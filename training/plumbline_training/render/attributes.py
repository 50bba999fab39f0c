"""For whom a model works: the same scenes with one thing about the person changed, and its error in each.

Scene, pose, camera and light are those of the same number, so that levels differ by what was changed alone; the
intervals are of scenes drawn anew (paired bootstrap).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from plumbline_contract.box import Box
from plumbline_training.models import load_predictor
from plumbline_training.predictors import Predictor
from plumbline_training.render.check import can_be_measured, torso_px
from plumbline_training.render.errors import InvalidRequest
from plumbline_training.render.look import SKIN_TONES, Garment, Look
from plumbline_training.render.person import VISIBLE, Studio
from plumbline_training.render.pictures import Labelled, Sources, render_sample

Change = Callable[[Look], Look]

NEAR: Final = 0.2
"""Of the torso's length: a keypoint so near counts as found (PCK@0.2)."""
RESAMPLES: Final = 2000
GREY: Final = (0.45, 0.45, 0.47)


def _skin(tone: int) -> Change:
    return lambda look: replace(look, skin=SKIN_TONES[tone])


def _shape(**numbers: float) -> Change:
    return lambda look: replace(look, phenotype=replace(look.phenotype, **numbers))


def _clothes(thickness: float, sleeve: float, leg_length: float, pattern: str = "plain", skirt: bool = False) -> Change:
    cloth = Garment(GREY, thickness, pattern, (0.9, 0.85, 0.2))
    worn = (0.8, 0.1) if skirt else None
    return lambda look: replace(
        look, shirt=cloth, trousers=cloth, sleeve=sleeve, leg_length=leg_length, skirt=worn, waist=0.08
    )


ATTRIBUTES: Final[Mapping[str, Mapping[str, Change]]] = {
    "skin": {"light": _skin(0), "medium": _skin(3), "dark": _skin(6)},
    "age": {"half-grown": _shape(age=0.52), "adult": _shape(age=0.68), "old": _shape(age=0.98)},
    "body": {"thin": _shape(weight=0.1), "average": _shape(weight=0.5), "heavy": _shape(weight=0.95)},
    "sex": {"male": _shape(gender=0.05), "female": _shape(gender=0.95)},
    "clothes": {
        "tight and short": _clothes(0.004, 0.02, 0.4),
        "loose and long": _clothes(0.02, 1.9, 1.95),
        "patterned": _clothes(0.008, 0.5, 1.9, "blotches"),
        "skirt": _clothes(0.008, 0.5, 0.4, skirt=True),
    },
}
"""Attribute -> level -> what becomes of a sampled look; the body model's shape, not what anyone calls themselves."""


@dataclass(frozen=True)
class Level:
    """One level: PCK@0.2 over scenes, and how far it lies from the mean of its attribute's levels."""

    attribute: str
    name: str
    scenes: int
    pck: float
    difference: float
    interval: tuple[float, float]

    def line(self, model: str) -> str:
        """A row of the table."""
        low, high = self.interval
        figures = f"{self.scenes:6d} {self.pck:6.3f} {self.difference:+7.3f} ({low:+.3f} to {high:+.3f})"
        return f"{model[-28:]:28} {self.attribute:8} {self.name:16} {figures}"


HEADER: Final = f"{'model':28} {'':8} {'':16} {'scenes':>6} {'PCK@.2':>6} {'from the mean (95%)':>26}"


def found_share(labelled: Labelled, found_K3: npt.NDArray[np.float32]) -> float:
    """The share of visible keypoints that were found; NaN for a person who shows too little to measure by."""
    truth_K3 = labelled.keypoints_K3
    if not can_be_measured(truth_K3):
        return float("nan")
    off_K = np.linalg.norm(found_K3[:, :2] - truth_K3[:, :2], axis=1)
    return float((off_K[truth_K3[:, 2] == VISIBLE] < NEAR * torso_px(truth_K3)).mean())


def compare_levels(attribute: str, shares_LS: Mapping[str, Sequence[float]]) -> list[Level]:
    """Each level beside the mean of all, over the scenes that can be measured in every level. Raises InvalidRequest."""
    table = np.array(list(shares_LS.values()))
    table = table[:, ~np.isnan(table).any(axis=0)]
    scenes = table.shape[1]
    if scenes < 2:
        raise InvalidRequest(f"{attribute}: {scenes} scenes can be measured; ask for more: --count")
    from_mean_LS = table - table.mean(axis=0)
    drawn = np.random.default_rng(0).integers(scenes, size=(RESAMPLES, scenes))
    levels = []
    for name, shares_S, off_S in zip(shares_LS, table, from_mean_LS, strict=True):
        low, high = np.quantile(off_S[drawn].mean(axis=1), (0.025, 0.975))
        levels.append(
            Level(attribute, name, scenes, float(shares_S.mean()), float(off_S.mean()), (float(low), float(high)))
        )
    return levels


def measure(models: Sequence[Predictor], sources: Sources, seed: int, count: int, quiet: bool) -> list[list[Level]]:
    """For each model its levels of every attribute, over `count` scenes; only the person in the middle counts."""
    studio = Studio()
    keys = [(attribute, name) for attribute, levels in ATTRIBUTES.items() for name in levels]
    shares: list[dict[tuple[str, str], list[float]]] = [{key: [] for key in keys} for _ in models]
    todo = [(number, *key) for number in range(count) for key in keys]
    for number, attribute, name in tqdm(todo, unit="picture", disable=quiet or None):
        sample = render_sample(studio, sources, seed, number, ATTRIBUTES[attribute][name])
        main = next(iter(sample.people), None)
        picture_bgr = cv2.cvtColor(sample.picture_rgb, cv2.COLOR_RGB2BGR)
        for of_model, predictor in zip(shares, models, strict=True):
            share = float("nan")
            if main is not None and main.exercise != "bystander":
                found_K3 = predictor(np.asarray(picture_bgr, np.uint8), [Box.from_xywh(main.bbox_xywh)])[0]
                share = found_share(main, found_K3)
            of_model[attribute, name].append(share)
    return [
        [
            level
            for attribute, levels in ATTRIBUTES.items()
            for level in compare_levels(attribute, {name: of_model[attribute, name] for name in levels})
        ]
        for of_model in shares
    ]


def table(paths: Sequence[Path], sources: Sources, seed: int, count: int, quiet: bool) -> str:
    """The table of all models. Raises PlumblineError."""
    measured = measure([load_predictor(path) for path in paths], sources, seed, count, quiet)
    lines = ["PCK@0.2 of visible keypoints: the same scenes, one thing about the person changed", HEADER]
    for path, levels in zip(paths, measured, strict=True):
        lines += [level.line("/".join(path.parts[-2:])) for level in levels]
    return "\n".join(lines)
