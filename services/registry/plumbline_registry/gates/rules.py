"""The four gates: each looks at the candidate, and at what the channel gives now, and says why it lets pass or not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from plumbline_contract.evaluation import EvaluationRecord
from plumbline_contract.manifest import AveragePrecision, FormManifest, Manifest
from plumbline_registry.gates.bootstrap import paired_difference

Gate = Literal["ap", "score", "parity", "latency", "lineage"]
_NO_DIGEST: Final = "0" * 64
_EXPORT_PX: Final = 0.5
"""torch -> ONNX moves nothing; measured are thousandths of a heatmap pixel."""

_FORM_PROBABILITY: Final = 0.1
_FORM_OFFSET: Final = 0.05
"""Torso lengths; the shipped judge's move by 0.006, and go up to 0.3."""


@dataclass(frozen=True)
class Limits:
    """How much worse than the current bundle a candidate may be."""

    ap_drop: float
    parity_px: float
    parity_ap: float
    latency_growth: float


@dataclass(frozen=True)
class Measured:
    """A bundle and its evaluation picture by picture, where it carries one."""

    manifest: Manifest
    evaluation: EvaluationRecord | None

    @property
    def name(self) -> str:
        return f"{self.manifest.name} {self.manifest.version}"

    def aps(self) -> tuple[AveragePrecision, ...]:
        """AP of the file that travels, on each dataset that it was measured on."""
        travels = ("tflite", self.manifest.precision)
        return tuple(
            item for item in self.manifest.metrics.average_precision if (item.stage, item.precision) == travels
        )


@dataclass(frozen=True)
class MeasuredForm:
    """A judge of form."""

    manifest: FormManifest

    @property
    def name(self) -> str:
        return f"{self.manifest.name} {self.manifest.version}"


@dataclass(frozen=True)
class Verdict:
    """What one gate says."""

    gate: Gate
    passed: bool
    says: str

    def __str__(self) -> str:
        # A manifest's names may hold NUL, PostgreSQL's text may not.
        return f"{self.gate}: {self.says}".replace("\0", "")


Rule = Callable[[Measured, Measured | None, Limits], Verdict]
FormRule = Callable[[MeasuredForm, MeasuredForm | None, Limits], Verdict]


def ap(candidate: Measured, current: Measured | None, limits: Limits) -> Verdict:
    """AP not below the current bundle's by more than `ap_drop`, proven on the same pictures where both carry them."""
    stated = candidate.aps()
    if not stated:
        return Verdict("ap", False, "the manifest has no AP of its .tflite; run plumbline-evaluate --into-manifest")
    if current is None:
        return Verdict("ap", True, f"{stated[0].ap:.4f} on {stated[0].dataset}, the first here")
    if current.evaluation is None:
        return _stated_ap(candidate, current, limits)
    if candidate.evaluation is None:
        return Verdict("ap", False, f"{current.name} carries evaluation.npz and this does not; evaluate it, seal again")
    if not candidate.evaluation.same_truth(current.evaluation):
        where = f"{candidate.evaluation.dataset!r}, {current.name} on {current.evaluation.dataset!r}"
        return Verdict("ap", False, f"measured on {where}: not the same pictures; evaluate on the same")
    measured, at_least = paired_difference(candidate.evaluation, current.evaluation)
    return Verdict(
        "ap",
        at_least >= -limits.ap_drop,
        f"{measured:+.4f} against {current.name}, at least {at_least:+.4f} (95%, paired bootstrap over"
        f" {len(candidate.evaluation.pictures)} pictures); allowed is {-limits.ap_drop:+.4f}",
    )


def _stated_ap(candidate: Measured, current: Measured, limits: Limits) -> Verdict:
    """The current bundle is older than evaluation.npz: only the two figures can be compared."""
    before = {(item.dataset, item.images): item.ap for item in current.aps()}
    if not before:
        return Verdict("ap", True, f"{current.name} states none to compare with")
    after = {(item.dataset, item.images): item.ap for item in candidate.aps()}
    if not (both := before.keys() & after.keys()):
        names = ", ".join(repr(dataset) for dataset, _ in before)
        return Verdict("ap", False, f"not measured on {names} as {current.name} was; evaluate on the same")
    change = min(after[each] - before[each] for each in both)
    return Verdict("ap", change >= -limits.ap_drop, f"{change:+.4f} against {current.name}, as stated by both")


def parity(candidate: Measured, _current: Measured | None, limits: Limits) -> Verdict:
    """torch, ONNX and .tflite find the same keypoints, or at least as many right ones."""
    precision = candidate.manifest.precision
    found = {
        (item.reference, item.candidate): item
        for item in candidate.manifest.metrics.parity
        if item.candidate != "tflite" or item.precision == precision
    }
    export, conversion = found.get(("torch", "onnx")), found.get(("onnx", "tflite"))
    if export is None or conversion is None:
        return Verdict("parity", False, f"not recorded for {precision}; run the conversion again")
    if export.keypoint_p99_px > _EXPORT_PX:
        return Verdict(
            "parity", False, f"torch -> ONNX moves keypoints by {export.keypoint_p99_px:.3g} px; export again"
        )
    if not conversion.keypoints_compared:
        # The manifest then says 0 px, which is no proof.
        return _parity_by_ap(candidate, "conversion was compared on no keypoint", limits)
    p99 = f"{conversion.keypoint_p99_px:.3g} px at the 99th percentile"
    if conversion.keypoint_p99_px <= limits.parity_px:
        return Verdict("parity", True, p99)
    return _parity_by_ap(candidate, f"conversion moves keypoints by {p99} (allowed {limits.parity_px:g})", limits)


def _parity_by_ap(candidate: Measured, moved: str, limits: Limits) -> Verdict:
    """Keypoints that were wrong before may move far and cost nothing: AP tells. The verdict begins with `moved`."""
    changes = [
        small.ap - max(earlier)
        for small in candidate.aps()
        if (
            earlier := [
                item.ap
                for item in candidate.manifest.metrics.average_precision
                if item.stage in ("torch", "onnx") and item.dataset == small.dataset
            ]
        )
    ]
    if not changes:
        lacks = "AP before and after is not recorded on one dataset; run plumbline-evaluate with the data of the export"
        return Verdict("parity", False, f"{moved}, and {lacks}")
    change = min(changes)
    return Verdict("parity", change >= -limits.parity_ap, f"{moved}; it changes AP by {change:+.4f}")


def latency(candidate: Measured | MeasuredForm, current: Measured | MeasuredForm | None, limits: Limits) -> Verdict:
    """A latency is recorded, and not above the current bundle's on the same machine by more than the share allowed."""
    recorded = {(item.machine, item.threads): item.p50_seconds for item in candidate.manifest.metrics.latency}
    if not recorded:
        return Verdict("latency", False, "none is recorded; run the conversion again")
    before = () if current is None else current.manifest.metrics.latency
    for item in before:
        seconds = recorded.get((item.machine, item.threads))
        if seconds is not None and seconds > item.p50_seconds * (1 + limits.latency_growth):
            says = f"{seconds:.4f} s against {item.p50_seconds:.4f} s on {item.machine}, {item.threads} thread(s)"
            return Verdict("latency", False, f"{says}; allowed are {limits.latency_growth:.0%} more")
    compared = sum((item.machine, item.threads) in recorded for item in before)
    return Verdict("latency", True, f"{min(recorded.values()):.4f} s, compared on {compared} machine(s)")


def lineage(candidate: Measured | MeasuredForm, _current: Measured | MeasuredForm | None, _limits: Limits) -> Verdict:
    """Enough is known to make the bundle again."""
    known = candidate.manifest.lineage
    missing = [] if known.git_commit != "unknown" else ["the commit"]
    if known.checkpoint_sha256 == _NO_DIGEST:
        missing.append("the checkpoint's digest")
    missing += [f"pictures of dataset {item.id!r}" for item in known.datasets if not item.images]
    missing += [f"the digest of dataset {item.id!r}" for item in known.datasets if item.sha256 == _NO_DIGEST]
    if missing:
        return Verdict("lineage", False, f"lacks {', '.join(missing)}; train from a commit on data that is named")
    return Verdict("lineage", True, f"commit {known.git_commit[:12]}, {len(known.datasets)} dataset(s)")


def score(candidate: MeasuredForm, current: MeasuredForm | None, limits: Limits) -> Verdict:
    """No figure of a judge below the current judge's on the same data by more than `ap_drop`."""
    stated = {(item.name, item.dataset, item.samples): item.value for item in candidate.manifest.metrics.scores}
    if not stated:
        return Verdict("score", False, "the manifest has no scores; train with figures and convert again")
    if current is None:
        return Verdict("score", True, f"{len(stated)} figures, the first here")
    if current.manifest.spec != candidate.manifest.spec:
        says = f"{len(stated)} figures; {current.name} is of an earlier contract, nothing to compare with"
        return Verdict("score", True, says)
    before = {(item.name, item.dataset, item.samples): item.value for item in current.manifest.metrics.scores}
    if missing := sorted(set(before) - set(stated)):
        name, dataset, samples = missing[0]
        says = f"{name!r} on {samples} samples of {dataset!r} is not stated, as {current.name} does"
        return Verdict("score", False, says)
    changes = {name: stated[name] - value for name, value in before.items()}
    worst = min(changes, key=lambda name: changes[name], default=None)
    if worst is None:
        return Verdict("score", True, f"{current.name} states none to compare with")
    passed = changes[worst] >= -limits.ap_drop
    return Verdict("score", passed, f"{worst[0]} on {worst[1]!r} {changes[worst]:+.4f} against {current.name}")


def form_parity(candidate: MeasuredForm, _current: MeasuredForm | None, _limits: Limits) -> Verdict:
    """torch, ONNX and .tflite give the same probabilities and corrections, but for one in a hundred."""
    precision = candidate.manifest.precision
    found = [
        item for item in candidate.manifest.metrics.parity if item.candidate != "tflite" or item.precision == precision
    ]
    if len(found) < 2:
        return Verdict("parity", False, f"not recorded for {precision}; run the conversion again")
    changed, moved = max(item.probability_p99 for item in found), max(item.offset_p99 for item in found)
    says = (
        f"conversion moves probabilities by {changed:.3g} (allowed {_FORM_PROBABILITY:g}) and offsets by {moved:.3g}"
        f" torso lengths (allowed {_FORM_OFFSET:g}) at the 99th percentile"
    )
    return Verdict("parity", changed <= _FORM_PROBABILITY and moved <= _FORM_OFFSET, says)


RULES: Final[dict[Gate, Rule]] = {"ap": ap, "parity": parity, "latency": latency, "lineage": lineage}
FORM_RULES: Final[dict[Gate, FormRule]] = {
    "score": score, "parity": form_parity, "latency": latency, "lineage": lineage,
}  # fmt: skip
