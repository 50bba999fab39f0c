"""What a conversion would do, in words, without doing it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from plumbline_conversion.plan import Plan
from plumbline_conversion.steps import Files, Step, steps


def explain(plan: Plan, work_dir: Path) -> str:
    """The steps in order: why, from which files to which, with which options."""
    todo = steps(plan, Files(work_dir))
    width = len(str(len(todo)))
    head = f"{plan.onnx_path} -> {', '.join(str(plan.out_dir / precision) for precision in plan.precisions)}\n"
    head += f"finished steps are kept in {work_dir} and not done again while what they read stays the same\n"
    return head + "\n".join(_of_step(number, width, step) for number, step in enumerate(todo, start=1))


def _of_step(number: int, width: int, step: Step) -> str:
    indent = " " * (width + 2)
    lines = [
        f"{number:>{width}}. {step.name}: {step.why}",
        f"{indent}from {_named(step.reads)} to {_named(step.writes)}",
    ]
    options = [f"{name}={value}" for name, value in step.options.items() if value is not None]
    return "\n".join(lines + ([f"{indent}with {', '.join(options)}"] if options else []))


def _named(paths: Sequence[Path] | Iterable[Path]) -> str:
    return ", ".join(path.name for path in paths)
