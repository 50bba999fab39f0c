"""COCO keypoint documents of what was rendered."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from plumbline_contract.skeleton import KEYPOINT_NAMES, LIMBS


def document(parts: Iterable[dict[str, Any]], about: dict[str, Any]) -> dict[str, Any]:
    """The COCO keypoint document of all pictures' parts, numbered from 1; a part has a picture and its `persons`."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, part in enumerate(parts, start=1):
        images.append({"id": number, **{key: part[key] for key in ("file_name", "height", "width")}})
        for person in part["persons"]:
            labelled = sum(1 for flag in person["keypoints"][2::3] if flag > 0)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": 1,
                    "iscrowd": 0,
                    "num_keypoints": labelled,
                    **person,
                }
            )
    category = {
        "id": 1,
        "name": "person",
        "supercategory": "person",
        "keypoints": list(KEYPOINT_NAMES),
        "skeleton": [[first + 1, second + 1] for first, second in LIMBS],
    }
    return {
        "info": {"description": "Plumbline rendered gym", **about},
        "images": images,
        "annotations": annotations,
        "categories": [category],
    }
