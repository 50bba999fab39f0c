"""plumbline-train-form and plumbline-export-form: performances, training, cross-validation, figures, ONNX."""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from plumbline_training.checkpoint import save_atomically
from plumbline_training.cli import run_command
from plumbline_training.errors import InvalidDataset
from plumbline_training.form import evaluate, export
from plumbline_training.form.errors import ErrorBank, load_error_tracks, parted
from plumbline_training.form.net import FormNet
from plumbline_training.form.recorded import Recorded, folds, load_recorded
from plumbline_training.form.rendered import Performed, Troupe, load_performed, save_performed
from plumbline_training.form.samples import rendered_batch
from plumbline_training.form.train import FORM_FILE, FormConfig, load_form, train_form
from plumbline_training.lineage import git_commit, tool_versions

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


def lineage(folder: Path, seed: int, count: int, recorded: Path | None, sequences: int) -> list[dict[str, Any]]:
    """The data behind a judge, as the manifest names it."""
    digest = hashlib.sha256()
    for path, _ in _chunks(folder, seed, count):
        digest.update(path.read_bytes())
    datasets = [{"id": f"rendered-form-{seed}", "sha256": digest.hexdigest(), "images": count, "terms": "made by us"}]
    if recorded is not None:
        sha256 = hashlib.sha256(recorded.read_bytes()).hexdigest()
        datasets.append({"id": recorded.stem, "sha256": sha256, "images": sequences, "terms": "the user's"})
    return datasets


def cross_validated(
    base: dict[str, torch.Tensor],
    config: FormConfig,
    performed: Sequence[Performed],
    recorded: Sequence[Recorded],
    out: Path,
    quiet: bool,
    bank: ErrorBank | None,
) -> npt.NDArray[np.bool_]:
    """Train once for each fold from the rendered judge; of each sequence, whether it was called wrong when held out.

    How sure the judge must be is set by the other sequences of the exercise, those that it was trained on.
    """
    told = np.zeros(len(recorded), bool)
    exercises, wrong = (np.array([getattr(each, name) for each in recorded]) for name in ("exercise", "wrong"))
    for number, (train, test) in enumerate(folds(recorded, FOLDS)):
        kept = [recorded[each] for each in train]
        weights = train_form(config, performed, kept, out / f"fold-{number}", base, quiet, bank=bank)
        net = FormNet()
        net.load_state_dict(weights)
        logits = evaluate.sequence_logits(net.eval(), recorded)
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
        "  plumbline-train-form --out runs/form --errors errors.npz\n"
        "  plumbline-train-form --out /tmp/form --performances 55 --rounds 2",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for performances, checkpoints and figures")
    parser.add_argument("--performances", type=int, default=2200, help="to learn from (default 2200)")
    parser.add_argument("--tests", type=int, default=550, help="to measure on, other people (default 550)")
    parser.add_argument("--rounds", type=int, default=FormConfig.rounds, help=f"default {FormConfig.rounds}")
    parser.add_argument("--init", type=Path, metavar="FORM.pt", help="begin with the weights of another run's judge")
    parser.add_argument("--seed", type=int, default=0, help="of what a round looks at (default 0)")
    parser.add_argument(
        "--errors",
        type=Path,
        metavar="NPZ",
        help="the pose model's errors in pictures, of python -m infra.find_keypoints",
    )
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
    recorded = load_recorded(arguments.recorded) if arguments.recorded else []
    folder = out / "performed"
    performed = performed_in(folder, TRAIN_SEED, arguments.performances, quiet)
    validation = performed_in(folder, VALIDATION_SEED, arguments.tests, quiet)
    learnt, measured, digest = _banks(arguments.errors)
    config = FormConfig(arguments.rounds, seed=arguments.seed, errors=digest, bfloat16=arguments.bfloat16)
    initial = load_form(arguments.init)[0].state_dict() if arguments.init else None
    weights = train_form(config, performed, [], out / "rendered", initial, quiet, bank=learnt)
    tuning = FormConfig(arguments.tuning_rounds, performances=110, passes=1, learning_rate=5e-4, errors=digest)
    tuning = replace(tuning, bfloat16=arguments.bfloat16)
    figures, scores = list[str](), list[dict[str, Any]]()
    if recorded and arguments.cross_validate:
        told = cross_validated(weights, tuning, performed, recorded, out, quiet, learnt)
        for name, numbers in evaluate.sources(recorded).items():
            wrong = np.array([recorded[each].wrong for each in numbers])
            figures.append(evaluate.sequence_row(name, told[numbers], wrong))
            value = evaluate.macro_f1(told[numbers], wrong)
            scores.append(_score("wrong macro F1, cross-validated", name, len(numbers), value))
    if recorded:
        weights = train_form(tuning, performed, recorded, out / "tuned", weights, quiet, bank=learnt)
    net = FormNet()
    net.load_state_dict(weights)
    asked = [
        evaluate.ask(net.eval(), validation, VALIDATION_SEED, bank=bank) for bank in dict.fromkeys((None, measured))
    ]
    thresholds = evaluate.best_thresholds(evaluate.Moments.joined(asked))
    tests = performed_in(folder, TEST_SEED, arguments.tests, quiet)
    summary, rows = evaluate.rendered_rows(net, tests, thresholds, measured)
    scores += [_score(name, f"rendered-form-{TEST_SEED}", n, value) for name, (value, n) in summary.items()]
    figures += rows
    state = {"net": weights, "thresholds": thresholds.tolist(), "scores": scores}
    data = lineage(folder, TRAIN_SEED, arguments.performances, arguments.recorded, len(recorded))
    save_atomically({**state, "datasets": data, "git_commit": git_commit(), "tools": tool_versions()}, out / FORM_FILE)
    (out / "figures.md").write_text("\n".join(figures) + "\n", encoding="utf-8")
    print("\n".join(figures))
    print(f"judge: {out / FORM_FILE}")


def _banks(path: Path | None) -> tuple[ErrorBank | None, ErrorBank | None, str]:
    """Errors to learn with and others to measure with, and the file's digest. Raises InvalidDataset."""
    if path is None:
        return None, None, ""
    learnt, measured = parted(load_error_tracks(path))
    return ErrorBank(learnt), ErrorBank(measured), hashlib.sha256(path.read_bytes()).hexdigest()


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
