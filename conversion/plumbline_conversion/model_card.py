"""model-card.md: a description, written or generated, and a measured part that follows the manifest."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from plumbline_contract.manifest import AveragePrecision, Manifest

BEGIN: Final = "<!-- plumbline:measured (written by plumbline-convert and plumbline-seal, edits are lost) -->"
END: Final = "<!-- /plumbline:measured -->"


def model_card(manifest: Manifest, description: str | None = None) -> str:
    """The whole card; `description` replaces the generated one."""
    text = description if description is not None else _description(manifest)
    return f"{text.rstrip()}\n\n{_measured(manifest)}\n"


def refreshed(card: str, manifest: Manifest) -> str:
    """The card with its measured part written anew; a card without the markers stays as it is."""
    pattern = re.compile(re.escape(BEGIN) + ".*?" + re.escape(END), re.DOTALL)
    return pattern.sub(lambda _: _measured(manifest), card, count=1)


def _description(manifest: Manifest) -> str:
    source, target = manifest.input, manifest.output
    return f"""# {manifest.name} {manifest.version}

Finds the 17 COCO keypoints of one person in a crop of {source.width} x {source.height} pixels (width x height), as
heatmaps of {target.width} x {target.height}, read by `{target.decode}`. It expects a box around the person, grown by
{source.box_padding:g}.

## Use and limits

Made to follow one person who exercises, as part of Plumbline. It does not tell persons apart, is no medical device and
must not be used to identify anyone. Its accuracy is known for the data named below and for nothing else: light,
clothes, bodies, camera angles and exercises that are rare there may do worse. Measure before you rely on it."""


def _measured(manifest: Manifest) -> str:
    blocks = [
        BEGIN,
        "## Measured",
        f"Version {manifest.version}, precision {manifest.precision}.",
        _table(("AP of", "data", "images", "persons", "AP", "95% interval", "AP50"), _ap_rows(manifest))
        if manifest.metrics.average_precision
        else "AP: not measured.",
        _table(
            ("parity", "crops", "heatmap max abs", "keypoint p99 px", "max px", "keypoints"), _parity_rows(manifest)
        ),
        "Distances are in heatmap pixels, over keypoints that the reference scores at least the `min_score` of "
        "manifest.json; with 0 keypoints compared, the distances say nothing.",
        *(
            f"One inference takes {1000 * latency.p50_seconds:.1f} ms (median, {latency.threads} thread) on "
            f"{latency.machine}."
            for latency in manifest.metrics.latency
        ),
        "## Data and its terms",
        _table(("data set", "images", "terms"), ((d.id, str(d.images), d.terms) for d in manifest.lineage.datasets)),
        "The terms of the data may bind the use of these weights; read them before you pass the weights on.",
        "## Lineage",
        _lineage(manifest),
        END,
    ]
    return "\n\n".join(blocks)


def _ap_rows(manifest: Manifest) -> Iterable[tuple[str, ...]]:
    for result in manifest.metrics.average_precision:
        yield (
            f"{result.stage} {result.precision}",
            result.dataset,
            str(result.images),
            str(result.persons),
            f"{result.ap:.3f}",
            _interval(result),
            f"{result.ap50:.3f}",
        )


def _interval(result: AveragePrecision) -> str:
    return "-" if result.ap_interval is None else f"{result.ap_interval[0]:.3f} to {result.ap_interval[1]:.3f}"


def _parity_rows(manifest: Manifest) -> Iterable[tuple[str, ...]]:
    for parity in manifest.metrics.parity:
        yield (
            f"{parity.reference} to {parity.candidate} {parity.precision}",
            str(parity.samples),
            f"{parity.heatmap_max_abs:.2g}",
            f"{parity.keypoint_p99_px:.2f}",
            f"{parity.keypoint_max_px:.2f}",
            str(parity.keypoints_compared),
        )


def _lineage(manifest: Manifest) -> str:
    lineage = manifest.lineage
    tools = ", ".join(f"{tool} {version}" for tool, version in sorted(lineage.tools.items()))
    return (
        f"Recipe `{lineage.recipe}` at commit `{lineage.git_commit}`, checkpoint sha256 `{lineage.checkpoint_sha256}`, "
        f"made {lineage.created_at:%Y-%m-%d %H:%M %Z}.\n\nTools: {tools}."
    )


def _table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [header, ("---",) * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "/") for cell in line) + " |" for line in lines)
