"""The conversion as a literal list of steps, each a function from files to files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from plumbline_contract.manifest import Precision
from plumbline_conversion.crops import select_calibration, select_golden
from plumbline_conversion.draft import write_draft
from plumbline_conversion.golden import write_golden
from plumbline_conversion.onnx_file import check_onnx
from plumbline_conversion.parity import measure_parity
from plumbline_conversion.plan import Plan
from plumbline_conversion.profile import write_profile
from plumbline_conversion.reference import write_reference


@dataclass(frozen=True)
class Step:
    """`function(*reads, *writes, **options)`: reads files, writes files, and gives nothing back."""

    name: str
    function: Callable[..., None]
    reads: tuple[Path, ...]
    writes: tuple[Path, ...]
    options: Mapping[str, object] = field(default_factory=dict)

    def run(self) -> None:
        """Do it."""
        self.function(*self.reads, *self.writes, **self.options)


@dataclass(frozen=True)
class Files:
    """Where the intermediate files of one conversion lie."""

    root: Path

    @property
    def record(self) -> Path:
        """The export record."""
        return self.root / "record.json"

    @property
    def calibration(self) -> Path:
        """Crops that set int8 ranges."""
        return self.root / "calibration.npz"

    @property
    def held_out(self) -> Path:
        """Crops that prove parity."""
        return self.root / "held_out.npz"

    @property
    def golden_crops(self) -> Path:
        """Crops that travel."""
        return self.root / "golden_crops.npz"

    @property
    def reference(self) -> Path:
        """Heatmaps of the ONNX model on the held-out crops."""
        return self.root / "reference.npy"

    @property
    def saved_model(self) -> Path:
        """The NHWC SavedModel."""
        return self.root / "saved_model"

    def of(self, precision: Precision, name: str) -> Path:
        """A file of one precision."""
        return self.root / f"{precision}-{name}"

    def bundle(self, precision: Precision) -> Path:
        """The draft bundle of one precision."""
        return self.root / "bundles" / precision


def translate(onnx_path: Path, saved_model_dir: Path) -> None:
    """Step: ONNX -> NHWC SavedModel. TensorFlow takes seconds to import, so that happens here and not before."""
    from plumbline_conversion.tensorflow_backend.translate import translate as run

    run(onnx_path, saved_model_dir)


def to_tflite(
    saved_model_dir: Path, record_path: Path, crops_path: Path, tflite_path: Path, *, precision: Precision
) -> None:
    """Step: SavedModel -> TFLite file of one precision."""
    from plumbline_conversion.tensorflow_backend.lite import to_tflite as run

    run(saved_model_dir, record_path, crops_path, tflite_path, precision=precision)


def steps(plan: Plan, files: Files) -> list[Step]:
    """All steps of the plan, in order."""
    return [
        Step("check the ONNX file", check_onnx, (plan.onnx_path,), (files.record,)),
        Step(
            "cut out calibration crops",
            select_calibration,
            (plan.calibration.path, files.record),
            (files.calibration, files.held_out),
            {
                "images_dir": plan.calibration.images_dir,
                "calibration_samples": plan.calibration_samples,
                "parity_samples": plan.parity_samples,
            },
        ),
        Step(
            "cut out golden crops",
            select_golden,
            (plan.golden.path, files.record),
            (files.golden_crops,),
            {"images_dir": plan.golden.images_dir, "samples": plan.golden_samples},
        ),
        Step("translate to an NHWC SavedModel", translate, (plan.onnx_path,), (files.saved_model,)),
        Step(
            "run the ONNX reference",
            write_reference,
            (plan.onnx_path, files.record, files.held_out),
            (files.reference,),
        ),
        # Always, whatever is asked for: it proves that the translation lost nothing, apart from any quantisation.
        *proof_steps(plan, files, "fp32"),
        *(step for precision in plan.precisions for step in precision_steps(plan, files, precision)),
    ]


def proof_steps(plan: Plan, files: Files, precision: Precision) -> list[Step]:
    """The steps that make one TFLite file and prove what it computes."""
    tflite = files.of(precision, "model.tflite")
    return [
        Step(
            f"{precision}: convert to TFLite",
            to_tflite,
            (files.saved_model, files.record, files.calibration),
            (tflite,),
            {"precision": precision},
        ),
        Step(
            f"{precision}: prove parity with ONNX",
            measure_parity,
            (tflite, files.record, files.held_out, files.reference),
            (files.of(precision, "parity.json"),),
            {"precision": precision, "limit": plan.limits[precision]},
        ),
    ]


def precision_steps(plan: Plan, files: Files, precision: Precision) -> list[Step]:
    """The steps that make one bundle."""
    tflite, parity, profile, golden = (
        files.of(precision, name) for name in ("model.tflite", "parity.json", "profile.json", "golden.npz")
    )
    return [
        *(proof_steps(plan, files, precision) if precision != "fp32" else ()),
        Step(f"{precision}: measure", write_profile, (tflite, files.record, files.held_out), (profile,)),
        Step(f"{precision}: write golden.npz", write_golden, (tflite, files.record, files.golden_crops), (golden,)),
        Step(
            f"{precision}: draft the bundle",
            write_draft,
            (files.record, tflite, files.of("fp32", "parity.json"), parity, profile, golden),
            (files.bundle(precision),),
            {"version": plan.version, "precision": precision, "model_card_path": plan.model_card},
        ),
    ]
