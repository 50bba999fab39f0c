"""What names the data of a run changes with all that shapes its samples, and with nothing else."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from plumbline_training.datasets import load_dataset, load_dataset_list
from plumbline_training.lineage import data_digest

MakeDataset = Callable[[Path, int], Path]


def test_the_datas_digest_knows_every_setting_that_shapes_samples(make_dataset: MakeDataset, tmp_path: Path) -> None:
    dataset = load_dataset(load_dataset_list(make_dataset(tmp_path / "data", 2)).train[0])

    def digest(**changes: object) -> str:
        return data_digest([replace(dataset, entry=dataset.entry.model_copy(update=changes))], dataset)

    changes: list[dict[str, object]] = [{}, {"repeat": 2}, {"keypoints": ("nose",)}]
    changes += [{"background": True}, {"unlabelled": True}]
    assert len({digest(**change) for change in changes}) == len(changes)
    assert digest(terms="others", id="other") == digest()
    of_earlier_runs = json.dumps([[(dataset.sha256, 1)], dataset.sha256]).encode()
    assert digest() == hashlib.sha256(of_earlier_runs).hexdigest()
    with_keypoints = json.dumps([[(dataset.sha256, 1, ("nose",))], dataset.sha256]).encode()
    assert digest(keypoints=("nose",)) == hashlib.sha256(with_keypoints).hexdigest()
