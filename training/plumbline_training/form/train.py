"""Trains the judge of form: first on performances, then on performances and recorded sequences together.

A run is resumable: state.pt holds everything after each round. N windows.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from plumbline_contract.form import ANSWER, EXERCISES, FAULT_NAMES, OFFSET_UNIT
from plumbline_training.checkpoint import load_checkpoint, save_atomically
from plumbline_training.errors import InvalidCheckpoint, TrainingDiverged
from plumbline_training.form.errors import ErrorBank
from plumbline_training.form.net import FormNet, as_input, net_of
from plumbline_training.form.recorded import Recorded, varied_windows
from plumbline_training.form.rendered import Performed
from plumbline_training.form.samples import Batch, rendered_batch

EXERCISE_F: Final = torch.tensor([EXERCISES.index(exercise) for exercise, _ in FAULT_NAMES])
"""The exercise of each fault."""
LEAST_SEEN: Final = 0.05
"""Torso lengths in the picture that a fault must move a keypoint for its correction to be asked for."""
STATE_FILE: Final = "state.pt"
FORM_FILE: Final = "form.pt"


@dataclass(frozen=True)
class FormConfig:
    """A run. A round looks anew at `performances` performances and takes `passes` passes over the windows."""

    rounds: int = 120
    performances: int = 440
    passes: int = 1
    batch_size: int = 128
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    seed: int = 0
    recorded_sequences: int = 24
    """In each step, where there are recorded sequences."""
    recorded_windows: int = 4
    recorded_weight: float = 1.0
    bfloat16: bool = False
    """Half the time on a processor with AMX, more on any other."""
    data: str = ""
    """The digest of all that the run learns from, and of the weights that it begins with."""


def losses(logits_NL: torch.Tensor, batch: Batch) -> dict[str, torch.Tensor]:
    """The mean loss of each answer."""
    part = {name: logits_NL[:, where] for name, where in ANSWER.items()}
    binary = functional.binary_cross_entropy_with_logits
    wrong_N, known_N = torch.from_numpy(batch.wrong_N), torch.from_numpy(batch.correctable_N)
    own_NF = (torch.from_numpy(batch.exercise_N)[:, None] == EXERCISE_F[None]).float()
    faults_NF = binary(part["faults"], torch.from_numpy(batch.faults_NF), reduction="none")
    offsets_N = functional.smooth_l1_loss(
        part["offsets"], torch.from_numpy(batch.offsets_NK2).flatten(1), reduction="none", beta=0.3
    ).mean(dim=1)
    # Where a fault may be, what it would take to put it right is asked for, and not how likely it is.
    offsets_weight_N = known_N * (wrong_N + 0.02)
    left_N, moved_N = what_is_left(part["offsets"], batch)
    return {
        "exercise": functional.cross_entropy(part["exercise"], torch.from_numpy(batch.exercise_N)),
        "phase": 0.5 * functional.cross_entropy(part["phase"], torch.from_numpy(batch.phase_N)),
        "wrong": binary(part["wrong"][:, 0], wrong_N),
        "faults": (faults_NF * (0.7 * own_NF + 0.02)).sum(dim=1).mean(),
        "keypoints": 4 * binary(part["keypoints"], torch.from_numpy(batch.keypoints_NK)),
        "offsets": 2 * (offsets_N * offsets_weight_N).sum() / offsets_weight_N.sum().clamp(min=1.0),
        "left": 1.5 * (functional.huber_loss(left_N, torch.zeros_like(left_N), reduction="none") * moved_N).mean(),
    }


def what_is_left(offsets_NX: torch.Tensor, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """Of the fault after the offsets, in its mildest form (N,); and 1 (N,) where a fault is there to be seen.

    Each coordinate's own loss asks for what is likeliest there and so for too little; this one asks for all of it along
    the way that the fault moved the pose, which is how `evaluate.remaining` measures.
    """
    away_NX = torch.from_numpy(batch.fault_px_NK2).flatten(1)
    strength_N, length_N = torch.from_numpy(batch.strength_N), (away_NX**2).sum(dim=1)
    seen_N = ((strength_N > 0) & (away_NX.abs().max(dim=1).values > LEAST_SEEN)).float()
    share_N = ((away_NX + OFFSET_UNIT * offsets_NX) * away_NX).sum(dim=1) / length_N.clamp(min=LEAST_SEEN**2)
    return share_N * strength_N * seen_N, seen_N


def recorded_loss(net: nn.Module, chosen: Sequence[Recorded], count: int, rng: np.random.Generator) -> torch.Tensor:
    """Of whole sequences: their windows' mean logit says right or wrong, and every window names the exercise."""
    windows = np.concatenate([varied_windows(each, count, rng) for each in chosen])
    logits_NL = net(as_input(torch.from_numpy(windows))).flatten(1)
    wrong = logits_NL[:, ANSWER["wrong"]].reshape(len(chosen), count).mean(dim=1)
    labels = torch.tensor([float(each.wrong) for each in chosen])
    exercises = torch.tensor([each.exercise for each in chosen]).repeat_interleave(count)
    named = functional.cross_entropy(logits_NL[:, ANSWER["exercise"]], exercises)
    return functional.binary_cross_entropy_with_logits(wrong, labels) + 0.3 * named


def balanced(recorded: Sequence[Recorded], count: int, rng: np.random.Generator) -> list[Recorded]:
    """As many of each exercise, source and label as chance gives when these are drawn alike."""
    groups: dict[tuple[int, str, bool], list[Recorded]] = {}
    for each in recorded:
        groups.setdefault((each.exercise, each.source, each.wrong), []).append(each)
    names = list(groups)
    drawn = [groups[names[int(rng.integers(len(names)))]] for _ in range(count)]
    return [group[int(rng.integers(len(group)))] for group in drawn]


def train_form(
    config: FormConfig,
    performed: Sequence[Performed],
    recorded: Sequence[Recorded],
    out: Path,
    initial: dict[str, torch.Tensor] | None = None,
    quiet: bool = False,
    stop_after: int | None = None,
    bank: ErrorBank | None = None,
) -> dict[str, torch.Tensor]:
    """Train, going on from OUT/state.pt where it is; the weights. Raises InvalidCheckpoint or TrainingDiverged."""
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(config.seed)
    net = FormNet() if initial is None else net_of(initial)
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.AdamW(net.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    begun = _resume(out / STATE_FILE, config, net, optimiser)
    last = stop_after or config.rounds
    bar = tqdm(range(begun, last), desc="rounds", initial=begun, total=config.rounds, disable=quiet)
    # Another process makes the next round's windows while this one is learnt from.
    looks = DataLoader(Looks(config, performed, bank), None, sampler=range(begun, last), num_workers=1)
    for number, seen in zip(bar, looks, strict=True):
        rng = np.random.default_rng((config.seed, number))
        for group in optimiser.param_groups:
            group["lr"] = config.learning_rate * _rate(number / config.rounds)
        means = _round(config, net, optimiser, seen, recorded, rng)
        if not np.isfinite(sum(means.values())):
            raise TrainingDiverged(f"round {number}: the loss is no finite number; lower the learning rate")
        bar.set_postfix({name: f"{value:.3f}" for name, value in means.items()})
        with (out / "losses.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps({"round": number, **means}) + "\n")
        state = {"net": net.state_dict(), "optimiser": optimiser.state_dict(), "round": number + 1}
        save_atomically({**state, "config": asdict(config)}, out / STATE_FILE)
    return net.eval().state_dict()


def _rate(share: float) -> float:
    """Warm up, then fall as a cosine."""
    return min(1.0, share / 0.05 + 0.1) * 0.5 * (1 + float(np.cos(np.pi * share)))


def _resume(path: Path, config: FormConfig, net: FormNet, optimiser: torch.optim.Optimizer) -> int:
    if not path.is_file():
        return 0
    state = load_checkpoint(path)
    if state.get("config") != asdict(config):
        raise InvalidCheckpoint(f"{str(path)!r} is of another run; name another --out, or ask as then")
    net.load_state_dict(state["net"])
    optimiser.load_state_dict(state["optimiser"])
    begun: int = state["round"]
    return begun


class Looks(Dataset[Batch]):
    """What each round sees."""

    def __init__(self, config: FormConfig, performed: Sequence[Performed], bank: ErrorBank | None) -> None:
        self._config, self._performed, self._bank = config, performed, bank

    def __len__(self) -> int:
        return self._config.rounds

    def __getitem__(self, number: int) -> Batch:
        """Of round `number`."""
        rng = np.random.default_rng((self._config.seed, number, 1))
        count = min(self._config.performances, len(self._performed))
        chosen = rng.choice(len(self._performed), count, replace=False)
        return rendered_batch([self._performed[each] for each in chosen], rng, bank=self._bank)


def _round(
    config: FormConfig,
    net: FormNet,
    optimiser: torch.optim.Optimizer,
    seen: Batch,
    recorded: Sequence[Recorded],
    rng: np.random.Generator,
) -> dict[str, float]:
    sums: dict[str, float] = {}
    net.train()
    steps = 0
    for _ in range(config.passes):
        order = rng.permutation(len(seen.exercise_N))
        for start in range(0, len(order), config.batch_size):
            batch = seen.rows(order[start : start + config.batch_size])
            with torch.autocast("cpu", torch.bfloat16, enabled=config.bfloat16):
                logits_NL = net(as_input(torch.from_numpy(batch.windows_NWC))).flatten(1)
            parts = losses(logits_NL.float(), batch)
            if recorded:
                chosen = balanced(recorded, config.recorded_sequences, rng)
                loss = recorded_loss(net, chosen, config.recorded_windows, rng)
                parts["recorded"] = config.recorded_weight * loss
            optimiser.zero_grad()
            torch.stack(list(parts.values())).sum().backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(net.parameters(), 5.0)
            optimiser.step()
            steps += 1
            for name, value in parts.items():
                sums[name] = sums.get(name, 0.0) + float(value.detach())
    return {name: value / steps for name, value in sums.items()}


def load_form(path: Path) -> tuple[FormNet, dict[str, Any]]:
    """The net in evaluation mode and its checkpoint. Raises InvalidCheckpoint."""
    state = load_checkpoint(path)
    try:
        return net_of(state["net"]).eval(), state
    except (KeyError, RuntimeError, AttributeError, TypeError, IndexError) as error:
        raise InvalidCheckpoint(f"{str(path)!r} holds no judge of form; name a run's {FORM_FILE}") from error
