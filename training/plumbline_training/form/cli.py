"""plumbline-train-form and plumbline-export-form: performances, training, cross-validation, figures, ONNX."""

from __future__ import annotations

import argparse
import hashlib
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from plumbline_training.checkpoint import save_atomically
from plumbline_training.cli import run_command
from plumbline_training.errors import InvalidDataset
from plumbline_training.form import evaluate, export
from plumbline_training.form.errors import ErrorBank, load_error_tracks
from plumbline_training.form.net import net_of
from plumbline_training.form.recorded import Recorded, folds, load_recorded, require_folds
from plumbline_training.form.rendered import Performed, Troupe, load_performed, save_performed
from plumbline_training.form.samples import rendered_batch
from plumbline_training.form.train import FORM_FILE, FormConfig, load_form, train_form
from plumbline_training.lineage import git_commit, merged_datasets, tool_versions

TRAIN_SEED, VALIDATION_SEED, TEST_SEED = 11, 12, 13
"""Nobody of one seed appears in another."""
CHUNK: Final = 55
FOLDS: Final = 6


def performed_in(folder: Path, seed: int, count: int, quiet: bool) -> list[Performed]:
    """The first `count` performances of a seed, those made here before among them."""
    folder.mkdir(parents=True, exist_ok=True)
    performed: list[Performed] = []
    troupe: Troupe | None = None
    for path, numbers in _chunks(folder, seed, count):
        if not path.is_file():
            troupe = troupe or Troupe()
            save_performed([troupe.perform(seed, number) for number in numbers], path)
            if not quiet:
                print(f"performed {path.name}", flush=True)
        performed += load_performed(path)
    return performed


def _chunks(folder: Path, seed: int, count: int) -> list[tuple[Path, range]]:
    """The files of a seed's performances, and the numbers that each holds."""
    parts = [range(first, min(first + CHUNK, count)) for first in range(0, count, CHUNK)]
    return [(folder / f"{seed}-{part.start:05d}-{len(part)}.npz", part) for part in parts]


@dataclass(frozen=True)
class Data:
    """All that a judge learns from, and how the manifest names it."""

    performed: list[Performed]
    recorded: list[Recorded]
    learnt: ErrorBank | None
    """Errors to learn with."""
    measured: ErrorBank | None
    """Errors of other clips, to measure with."""
    initial: dict[str, torch.Tensor] | None
    datasets: list[dict[str, Any]]
    """With those behind the initial weights."""
    digest: str

    def part(self, *names: str) -> str:
        """The digest of this data and of what else decides what a run learns from."""
        return hashlib.sha256("\n".join((self.digest, *names)).encode()).hexdigest()


def read_data(arguments: argparse.Namespace) -> Data:
    """Everything that the command names. Raises InvalidDataset or InvalidCheckpoint."""
    folder, count = arguments.out / "performed", arguments.performances
    performed = performed_in(folder, TRAIN_SEED, count, arguments.quiet)
    chunks = hashlib.sha256()
    for path, _ in _chunks(folder, TRAIN_SEED, count):
        chunks.update(path.read_bytes())
    datasets = [_dataset(f"rendered-form-{TRAIN_SEED}", chunks.hexdigest(), count, "made by us")]
    recorded, learnt, initial = list[Recorded](), None, None
    if arguments.recorded is not None:
        recorded = load_recorded(arguments.recorded)
        datasets.append(_dataset(arguments.recorded.stem, _sha256(arguments.recorded), len(recorded), "the user's"))
    if arguments.errors is not None:
        tracks = load_error_tracks(arguments.errors)
        learnt = ErrorBank(tracks)
        datasets.append(_dataset("rendered-pose-errors", _sha256(arguments.errors), len(tracks), "made by us"))
    digest = [each["sha256"] for each in datasets]
    if arguments.init is not None:
        net, state = load_form(arguments.init)
        initial, digest = net.state_dict(), [*digest, _sha256(arguments.init)]
        datasets = merged_datasets({"datasets": datasets, "initial": state})
    measured = ErrorBank(load_error_tracks(arguments.test_errors)) if arguments.test_errors is not None else None
    return Data(performed, recorded, learnt, measured, initial, datasets, " ".join(digest))


def _dataset(name: str, sha256: str, images: int, terms: str) -> dict[str, Any]:
    return {"id": name, "sha256": sha256, "images": images, "terms": terms}


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def cross_validated(
    base: dict[str, torch.Tensor], config: FormConfig, data: Data, out: Path, quiet: bool
) -> npt.NDArray[np.bool_]:
    """Train once for each fold from the rendered judge; of each sequence, whether it was called wrong when held out.

    How sure the judge must be is set by the other sequences of the exercise, those that it was trained on.
    """
    recorded = data.recorded
    told = np.zeros(len(recorded), bool)
    exercises, wrong = (np.array([getattr(each, name) for each in recorded]) for name in ("exercise", "wrong"))
    for number, (train, test) in enumerate(folds(recorded, FOLDS)):
        kept = [recorded[each] for each in train]
        own_config = replace(config, data=data.part(config.data, *(each.name for each in kept)))
        weights = train_form(own_config, data.performed, kept, out / f"fold-{number}", base, quiet, bank=data.learnt)
        logits = evaluate.sequence_logits(net_of(weights).eval(), recorded)
        for exercise in set(exercises[test]):
            own, asked = (np.array([n for n in which if exercises[n] == exercise]) for which in (train, test))
            told[asked] = logits[asked] > evaluate.wrong_threshold(logits[own], wrong[own])
    return told


def train_main() -> None:
    """Entry point of plumbline-train-form."""
    parser = argparse.ArgumentParser(
        prog="plumbline-train-form",
        description="Train the judge of form on rendered performances, and on recorded sequences where they are given. "
        "Run it again with the same --out to go on where it stopped.",
        epilog="examples:\n"
        "  plumbline-train-form --out runs/form\n"
        "  plumbline-train-form --out runs/form --recorded form.npz --cross-validate\n"
        "  plumbline-train-form --out runs/longer --init runs/form/form.pt --seed 1\n"
        "  plumbline-train-form --out runs/form --errors errors.npz --test-errors others.npz\n"
        "  plumbline-train-form --out runs/measured --init runs/form/form.pt --rounds 0 --test-errors others.npz\n"
        "  plumbline-train-form --out /tmp/form --performances 55 --rounds 2",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for performances, checkpoints and figures")
    parser.add_argument("--performances", type=int, default=2200, help="to learn from (default 2200)")
    parser.add_argument("--tests", type=int, default=550, help="to measure on, other people (default 550)")
    parser.add_argument(
        "--rounds", type=int, default=FormConfig.rounds, help=f"0 only measures (default {FormConfig.rounds})"
    )
    parser.add_argument("--init", type=Path, metavar="FORM.pt", help="begin with the weights of another run's judge")
    parser.add_argument("--seed", type=int, default=0, help="of what a round looks at (default 0)")
    parser.add_argument(
        "--errors",
        type=Path,
        metavar="NPZ",
        help="the pose model's errors in pictures, of python -m infra.find_keypoints",
    )
    parser.add_argument("--test-errors", type=Path, metavar="NPZ", help="errors in other clips, to measure with")
    parser.add_argument("--bfloat16", action="store_true", help="half the time on a processor with AMX")
    parser.add_argument("--tuning-rounds", type=int, default=40, help="on recorded sequences too (default 40)")
    parser.add_argument("--recorded", type=Path, metavar="NPZ", help="sequences called right or wrong")
    parser.add_argument("--cross-validate", action="store_true", help="measure on recorded sequences that are held out")
    parser.add_argument("--threads", type=int, default=0, help="of the processor (default: all)")
    parser.add_argument("--quiet", action="store_true", help="no progress bars")
    arguments = parser.parse_args()
    run_command(lambda: _train(arguments), "stopped; the same command goes on from the last finished round")


def _train(arguments: argparse.Namespace) -> None:
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    out, quiet = arguments.out, arguments.quiet
    data = read_data(arguments)
    recorded = data.recorded
    if arguments.cross_validate:
        require_folds(recorded, FOLDS)
    validation = performed_in(out / "performed", VALIDATION_SEED, arguments.tests, quiet)
    config = FormConfig(arguments.rounds, seed=arguments.seed, bfloat16=arguments.bfloat16, data=data.part("rendered"))
    weights = train_form(config, data.performed, [], out / "rendered", data.initial, quiet, bank=data.learnt)
    # Longer or shorter training on performances is another beginning.
    tuned = data.part("tuned", str(arguments.rounds))
    tuning = replace(config, rounds=arguments.tuning_rounds, performances=110, learning_rate=5e-4, data=tuned)
    figures, scores = list[str](), list[dict[str, Any]]()
    if recorded and arguments.cross_validate:
        told = cross_validated(weights, tuning, data, out, quiet)
        for name, numbers in evaluate.sources(recorded).items():
            wrong = np.array([recorded[each].wrong for each in numbers])
            figures.append(evaluate.sequence_row(name, told[numbers], wrong))
            value = evaluate.macro_f1(told[numbers], wrong)
            scores.append(_score("wrong macro F1, cross-validated", name, len(numbers), value))
    if recorded:
        weights = train_form(tuning, data.performed, recorded, out / "tuned", weights, quiet, bank=data.learnt)
    net, banks = net_of(weights).eval(), dict.fromkeys((None, data.measured))
    asked = [evaluate.ask(net, validation, VALIDATION_SEED, bank=bank) for bank in banks]
    thresholds = evaluate.best_thresholds(evaluate.Moments.joined(asked))
    tests = performed_in(out / "performed", TEST_SEED, arguments.tests, quiet)
    summary, rows = evaluate.rendered_rows(net, tests, thresholds, data.measured)
    scores += [_score(name, f"rendered-form-{TEST_SEED}", n, value) for name, (value, n) in summary.items()]
    figures += rows
    state = {"net": weights, "thresholds": thresholds.tolist(), "scores": scores}
    state |= {"config": asdict(config), "datasets": data.datasets}
    save_atomically({**state, "git_commit": git_commit(), "tools": tool_versions()}, out / FORM_FILE)
    (out / "figures.md").write_text("\n".join(figures) + "\n", encoding="utf-8")
    print("\n".join(figures))
    print(f"judge: {out / FORM_FILE}")


def _score(name: str, dataset: str, samples: int, value: float) -> dict[str, Any]:
    return {"name": name, "dataset": dataset, "samples": samples, "value": value}


def export_main() -> None:
    """Entry point of plumbline-export-form."""
    parser = argparse.ArgumentParser(
        prog="plumbline-export-form",
        description="Export a judge of form to ONNX, with the windows by which conversion proves what it makes.",
        epilog="example:\n  plumbline-export-form runs/form/form.pt --performed runs/form/performed "
        "--out build/form.onnx",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("checkpoint", type=Path, help=f"{FORM_FILE} of a run")
    parser.add_argument("--performed", type=Path, required=True, metavar="DIR", help="performances of a run")
    parser.add_argument("--out", type=Path, required=True, metavar="MODEL.onnx", help="file to write")
    parser.add_argument("--half", type=Path, metavar="FILE.pt", help="also keep float16 weights")
    arguments = parser.parse_args()

    def main() -> None:
        paths = sorted(arguments.performed.glob(f"{TEST_SEED}-*.npz"))
        if not paths:
            raise InvalidDataset(f"{str(arguments.performed)!r} holds no performances; name the folder of a run")
        performed = load_performed(paths[0])
        rng = np.random.default_rng(TEST_SEED)
        record = export.export_form(arguments.checkpoint, arguments.out, rendered_batch(performed, rng).windows_NWC)
        if arguments.half is not None:
            export.export_half_form(arguments.checkpoint, arguments.half)
        parity = record.metrics.parity[0]
        print(f"{arguments.out}: {record.name}, parity torch -> ONNX {parity.probability_max_abs:.1e} on probabilities")

    run_command(main)
