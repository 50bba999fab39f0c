"""One page to look at what was rendered: pictures with their keypoints drawn by the browser, clips, and a filter."""

from __future__ import annotations

import html
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from plumbline_contract.skeleton import KEYPOINT_NAMES, LIMBS
from plumbline_training.render import jobs
from plumbline_training.render.errors import InvalidRequest
from plumbline_training.render.pictures import ANNOTATIONS

PAGE: Final = "gallery.html"
LEFT, RIGHT, MIDDLE = "#0072b2", "#e69f00", "#f0f0f0"
"""Told apart by colour-blind people too (Okabe and Ito), as in drawing.py."""
STYLE: Final = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 1.5rem; color: #1b1b1b; background: #fafafa; }
form { position: sticky; top: 0; background: #fafafa; padding: .5rem 0; display: flex; gap: 1rem; z-index: 1; }
select { font: inherit; } ul { display: flex; flex-wrap: wrap; gap: .8rem; padding: 0; list-style: none; }
li { width: 15rem; } figure { margin: 0; position: relative; } img, video { width: 100%; display: block; }
svg { position: absolute; left: 0; top: 0; width: 100%; pointer-events: none; }
figcaption { font-size: .85rem; overflow-wrap: anywhere; } .plain svg { display: none; }
"""
SCRIPT: Final = """
const exercise = document.querySelector('#exercise'), bones = document.querySelector('#bones');
function choose() {
  let shown = 0;
  for (const item of document.querySelectorAll('li')) {
    item.hidden = exercise.value !== '' && item.dataset.exercise !== exercise.value;
    shown += !item.hidden;
  }
  document.querySelector('#shown').textContent = shown + ' shown';
}
exercise.addEventListener('change', choose);
bones.addEventListener('change', () => document.body.classList.toggle('plain', !bones.checked));
choose();
"""


def _colour(*keypoints: int) -> str:
    sides = {KEYPOINT_NAMES[keypoint].split("_")[0] for keypoint in keypoints}
    return LEFT if sides == {"left"} else RIGHT if sides == {"right"} else MIDDLE


def skeleton(keypoints: Sequence[float], size: float) -> str:
    """SVG of one person's keypoints (51 numbers x, y, v): hidden ones hollow, limbs with a hidden end dashed."""
    points = [keypoints[start : start + 3] for start in range(0, len(keypoints), 3)]
    parts = []
    for first, second in LIMBS:
        (ax, ay, av), (bx, by, bv) = points[first], points[second]
        if av and bv:
            dash = "" if av == bv == 2 else f' stroke-dasharray="{2 * size:.1f}"'
            colour = _colour(first, second)
            parts.append(
                f'<line x1="{ax}" y1="{ay}" x2="{bx}" y2="{by}" stroke="{colour}" stroke-width="{size:.1f}"{dash}/>'
            )
    for number, (x, y, flag) in enumerate(points):
        if flag:
            fill = _colour(number) if flag == 2 else "none"
            parts.append(f'<circle cx="{x}" cy="{y}" r="{1.6 * size:.1f}" fill="{fill}" stroke="{_colour(number)}"/>')
    return "".join(parts)


def picture_items(folder: Path, document: dict[str, Any], count: int) -> list[tuple[str, str]]:
    """(exercise, list item) of pictures evenly over the set."""
    people: dict[int, list[dict[str, Any]]] = {}
    for annotation in document["annotations"]:
        people.setdefault(annotation["image_id"], []).append(annotation)
    images = document["images"][:: max(1, len(document["images"]) // count)][:count]
    items = []
    for image in images:
        here = people.get(image["id"], [])
        exercise = next(
            (each.get("exercise", "person") for each in here if each.get("exercise") != "bystander"), "nobody"
        )
        drawn = "".join(skeleton(each["keypoints"], max(image["height"], image["width"]) / 160) for each in here)
        source = html.escape(f"images/{image['file_name']}")
        box = f'viewBox="0 0 {image["width"]} {image["height"]}"'
        hidden = sum(flag == 1 for each in here for flag in each["keypoints"][2::3])
        text = f"{exercise.replace('_', ' ')}; {len(here)} labelled, {hidden} keypoints hidden"
        figure = f'<img loading="lazy" src="{source}" alt="{html.escape(text)}"><svg {box}>{drawn}</svg>'
        items.append((exercise, f"<figure>{figure}<figcaption>{html.escape(text)}</figcaption></figure>"))
    return items


def clip_items(folder: Path) -> list[tuple[str, str]]:
    """(exercise, list item) of every clip below the folder that has a video."""
    items = []
    for path in sorted([*folder.glob("*.json"), *folder.glob("clips/*.json")]):
        if path.name == ANNOTATIONS:
            continue
        clip = json.loads(path.read_bytes())
        if "exercise" not in clip or not clip.get("video"):
            continue
        faults = Counter(f"{fault['name']} ({fault['severity']})" for fault in clip["faults"])
        said = ", ".join(f"{name} {count}x" for name, count in faults.items()) or "correct"
        text = (
            f"{clip['exercise'].replace('_', ' ')}, {clip['camera']['view']}: {len(clip['repetitions'])} reps; {said}"
        )
        source = html.escape(path.with_name(clip["video"]).relative_to(folder).as_posix())
        figure = f'<video controls preload="metadata" src="{source}"></video>'
        items.append((clip["exercise"], f"<figure>{figure}<figcaption>{html.escape(text)}</figcaption></figure>"))
    return items


def page(items: Iterable[tuple[str, str]], title: str) -> str:
    """The page as HTML."""
    listed = list(items)
    counts = Counter(exercise for exercise, _ in listed)
    options = "".join(
        f'<option value="{html.escape(name)}">{html.escape(name)} ({number})</option>'
        for name, number in sorted(counts.items())
    )
    rows = "\n".join(f'<li data-exercise="{html.escape(exercise)}">{item}</li>' for exercise, item in listed)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{STYLE}</style></head><body>\n<h1>{html.escape(title)}</h1>\n"
        '<form><label>Exercise <select id="exercise">'
        f'<option value="">all ({len(listed)})</option>{options}</select></label>'
        '<label><input type="checkbox" id="bones" checked> keypoints (blue left, orange right, hollow hidden)</label>'
        f'<output id="shown"></output></form>\n<ul>\n{rows}\n</ul>\n<script>{SCRIPT}</script></body></html>\n'
    )


def write_gallery(folder: Path, count: int) -> Path:
    """Writes the page into the folder. Raises InvalidRequest when there is nothing to show."""
    items: list[tuple[str, str]] = []
    annotations = folder / ANNOTATIONS
    if annotations.is_file():
        try:
            items += picture_items(folder, json.loads(annotations.read_bytes()), count)
        except (ValueError, KeyError) as error:
            raise InvalidRequest(
                f"{str(annotations)!r} is no COCO keypoint file ({error!r}); render it again"
            ) from error
    items += clip_items(folder)
    if not items:
        raise InvalidRequest(
            f"{str(folder)!r} holds neither {ANNOTATIONS} nor clips; make some with plumbline-render all"
        )
    path = folder / PAGE
    jobs.write_whole(path, page(items, f"Rendered gym: {folder.name}").encode())
    return path
