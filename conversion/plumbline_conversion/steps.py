"""The conversion as a literal list of steps, each a function from files to files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from plumbline_contract.manifest import Precision
from plumbline_conversion.choice import write_int8
from plumbline_conversion.classic import translate_classic
from plumbline_conversion.crops import select_calibration, select_golden
from plumbline_conversion.draft import write_draft
from plumbline_conversion.golden import write_golden
from plumbline_conversion.onnx_file import check_onnx
from plumbline_conversion.parity import measure_parity
from plumbline_conversion.plan import InputForm, Plan
from plumbline_conversion.precisions import to_float
from plumbline_conversion.profile import write_profile
from plumbline_conversion.ranges import write_ranges
from plumbline_conversion.reference import write_reference
from plumbline_conversion.report import write_report


@dataclass(frozen=True)
class Step:
    """`function(*reads, *writes, **options)`: reads files, writes files, and gives nothing back."""

    name: str
    why: str
    """What a person is told of it."""
    function: Callable[..., None]
    reads: tuple[Path, ...]
    writes: tuple[Path, ...]
    options: Mapping[str, object] = field(default_factory=dict)
    watches: tuple[Path, ...] = ()
    """Files and folders that the result depends on beside what it reads, such as the pictures of a json."""
    precision: Precision | None = None
    """Whose bundle it is for; None for all."""

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
        """The SavedModel."""
        return self.root / "saved_model"

    @property
    def base(self) -> Path:
        """The float TFLite file that int8 is made of."""
        return self.root / "base.tflite"

    @property
    def ranges(self) -> Path:
        """Ranges of every activation."""
        return self.root / "ranges.npz"

    @property
    def choice(self) -> Path:
        """How int8 is made."""
        return self.root / "choice.json"

    @property
    def report(self) -> Path:
        """The report for programs."""
        return self.root / "report.json"

    @property
    def page(self) -> Path:
        """The report for people."""
        return self.root / "report.html"

    def of(self, precision: Precision, name: str) -> Path:
        """A file of one precision."""
        return self.root / f"{precision}-{name}"

    def bundle(self, precision: Precision) -> Path:
        """The draft bundle of one precision."""
        return self.root / "bundles" / precision


def translate(onnx_path: Path, record_path: Path, saved_model_dir: Path, *, form: InputForm) -> None:
    """Step: ONNX -> NHWC SavedModel. TensorFlow takes seconds to import, so that happens here and not before."""
    from plumbline_conversion.tensorflow_backend.translate import translate as run

    run(onnx_path, record_path, saved_model_dir, form=form)


def lower(saved_model_dir: Path, tflite_path: Path) -> None:
    """Step: SavedModel -> float TFLite file."""
    from plumbline_conversion.tensorflow_backend.lite import lower as run

    run(saved_model_dir, tflite_path)


def steps(plan: Plan, files: Files) -> list[Step]:
    """All steps of the plan, in order."""
    return [
        *opening_steps(plan, files),
        # Always, whatever is asked for: it proves that the translation lost nothing, apart from any quantisation.
        *proof_steps(plan, files, "fp32"),
        *(step for precision in plan.precisions for step in precision_steps(plan, files, precision)),
        report_step(plan, files),
    ]


def opening_steps(plan: Plan, files: Files) -> list[Step]:
    """The steps that all precisions share."""
    return [
        Step(
            "check the ONNX file",
            "opset, export record and shapes are what conversion can trust",
            check_onnx,
            (plan.onnx_path,),
            (files.record,),
        ),
        Step(
            "cut out calibration crops",
            "four pictures of five set int8 ranges, every fifth proves parity",
            select_calibration,
            (plan.calibration.path, files.record),
            (files.calibration, files.held_out),
            {
                "images_dir": plan.calibration.images_dir,
                "calibration_samples": plan.calibration_samples,
                "parity_samples": plan.parity_samples,
            },
            watches=plan.calibration.folders,
        ),
        Step(
            "cut out golden crops",
            "a device replays them before it trusts the model",
            select_golden,
            (plan.golden.path, files.record),
            (files.golden_crops,),
            {"images_dir": plan.golden.images_dir, "samples": plan.golden_samples},
            watches=plan.golden.folders,
        ),
        translation_step(plan, files),
        Step(
            "lower to TFLite",
            "the float file that every proof and int8 start from",
            lower,
            (files.saved_model,),
            (files.base,),
        ),
        Step(
            "run the ONNX reference",
            "what onnxruntime says of the held-out crops: the truth of every comparison",
            write_reference,
            (plan.onnx_path, files.record, files.held_out),
            (files.reference,),
        ),
    ]


def translation_step(plan: Plan, files: Files) -> Step:
    """ONNX -> SavedModel by the plan's translator."""
    reads, writes = (plan.onnx_path, files.record), (files.saved_model,)
    if plan.translator == "onnx-tf":
        why = "the classic translator in an environment of its own; its graph keeps NCHW inside and transposes"
        options: dict[str, object] = {"form": plan.form, "python": plan.onnx_tf_python}
        return Step("translate with onnx-tf", why, translate_classic, reads, writes, options)
    why = "weights are transposed once, here, so that the graph holds no Transpose"
    return Step("translate to an NHWC SavedModel", why, translate, reads, writes, {"form": plan.form})


def proof_steps(plan: Plan, files: Files, precision: Precision) -> list[Step]:
    """The steps that make one TFLite file and prove what it computes."""
    tflite = files.of(precision, "model.tflite")
    return [
        *(int8_steps(plan, files, tflite) if precision == "int8" else [float_step(plan, files, precision, tflite)]),
        Step(
            f"{precision}: prove parity with ONNX",
            "heatmaps, keypoints and OKS against the reference; beyond a limit the conversion stops",
            measure_parity,
            (tflite, files.record, files.held_out, files.reference),
            (files.of(precision, "parity.json"),),
            {"precision": precision, "limit": plan.limits[precision]},
            precision=precision,
        ),
    ]


def float_step(plan: Plan, files: Files, precision: Precision, tflite: Path) -> Step:
    """The step that makes a file whose arithmetic is float, or whose weights alone are int8."""
    return Step(
        f"{precision}: convert to TFLite",
        "weights stored as the precision says",
        to_float,
        (files.base,),
        (tflite,),
        {"precision": precision, "form": plan.form},
        precision=precision,
    )


def int8_steps(plan: Plan, files: Files, tflite: Path) -> list[Step]:
    """The steps that make the int8 file."""
    return [
        Step(
            "int8: find the ranges",
            "least and greatest, percentile and least-squares range of every activation on the calibration crops",
            write_ranges,
            (files.base, files.record, files.calibration),
            (files.ranges,),
            {"form": plan.form},
            precision="int8",
        ),
        Step(
            "int8: choose ranges and float layers",
            "the file that loses least on calibration crops, weights per channel; a scan tries each layer alone",
            write_int8,
            (files.base, files.ranges, files.record, files.calibration),
            (files.choice, tflite),
            {
                "form": plan.form,
                "ranging": plan.ranging,
                "scan": plan.scan_layers,
                "float_layers": plan.float_layers,
            },
            precision="int8",
        ),
    ]


def precision_steps(plan: Plan, files: Files, precision: Precision) -> list[Step]:
    """The steps that make one bundle."""
    tflite, parity, profile, golden = (
        files.of(precision, name) for name in ("model.tflite", "parity.json", "profile.json", "golden.npz")
    )
    return [
        *(proof_steps(plan, files, precision) if precision != "fp32" else ()),
        Step(
            f"{precision}: measure",
            "operators, XNNPACK partitions, latency at 1, 2 and 4 threads, each operator alone",
            write_profile,
            (tflite, files.record, files.held_out),
            (profile,),
            {"translator": plan.translator, "other_runtime": plan.other_runtime},
            precision=precision,
        ),
        Step(
            f"{precision}: write golden.npz",
            "this very file's heatmaps of the golden crops",
            write_golden,
            (tflite, files.record, files.golden_crops),
            (golden,),
            precision=precision,
        ),
        Step(
            f"{precision}: draft the bundle",
            "model, manifest, golden samples and model card in one folder; plumbline-seal fixes the digests",
            write_draft,
            (files.record, tflite, files.of("fp32", "parity.json"), parity, profile, golden),
            (files.bundle(precision),),
            {"version": plan.version, "precision": precision, "model_card_path": plan.model_card},
            watches=(plan.model_card,) if plan.model_card else (),
            precision=precision,
        ),
    ]


def report_step(plan: Plan, files: Files) -> Step:
    """The report of all precisions."""
    profiles = tuple(files.of(precision, "profile.json") for precision in plan.precisions)
    parities = tuple(files.of(precision, "parity.json") for precision in plan.precisions)
    choice = (files.choice,) if "int8" in plan.precisions else ()
    return Step(
        "write the report",
        "report.json for programs, report.html for people",
        write_report,
        (files.record, *choice, *profiles, *parities),
        (files.report, files.page),
        {"precisions": plan.precisions, "version": plan.version},
    )
