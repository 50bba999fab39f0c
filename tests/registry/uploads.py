"""Uploads for fuzzing: whole bundles, and bundles that were damaged in every way that hypothesis can think of."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
from tests.registry.conftest import make_manifest, tar_of

from plumbline_contract.manifest import BUNDLE_FILES


def bundle_tar(version: str, seed: int) -> bytes:
    """A bundle that may be published at its own address."""
    files = {file: np.random.default_rng(seed).bytes(300) for file in BUNDLE_FILES}
    manifest = make_manifest("test-net", version, files).to_json().encode()
    return tar_of([("manifest.json", manifest), *files.items()])


@st.composite
def uploads(draw: st.DrawFn) -> bytes:
    """A tar: as it should be, cut, with bytes changed, with bytes put in, or of strange members."""
    whole = bundle_tar(draw(st.sampled_from(("1.0.0", "2.0.0"))), draw(st.integers(0, 2)))
    match draw(st.sampled_from(("whole", "cut", "changed", "inserted", "members"))):
        case "cut":
            return whole[: draw(st.integers(0, len(whole)))]
        case "changed":
            damaged = bytearray(whole)
            for place in draw(st.lists(st.integers(0, len(whole) - 1), min_size=1, max_size=6)):
                damaged[place] = draw(st.integers(0, 255))
            return bytes(damaged)
        case "inserted":
            place = draw(st.integers(0, len(whole)))
            return whole[:place] + draw(st.binary(max_size=600)) + whole[place:]
        case "members":
            names = st.sampled_from(("manifest.json", *BUNDLE_FILES, "evaluation.npz", "../x", "", "a" * 90))
            return tar_of(draw(st.lists(st.tuples(names, st.binary(max_size=300)), max_size=6)))
    return whole
