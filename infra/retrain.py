"""`make retrain`: what CI does on a merge, and anybody can by hand.

data as locked -> train -> export -> convert -> AP of the bundle -> seal -> publish -> dev -> gates -> canary

Every step goes on where an earlier run stopped. A bundle that the registry's gates refuse stays in dev, the command
ends with exit code 3 and the summary says why. The token comes from PLUMBLINE_REGISTRY_TOKEN, the keys of dev and
canary from --keys; nothing is published without --registry. With --judge it is the judge of form that takes this way.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from infra.dataset_lock import require

ROOT: Final = Path(__file__).parent.parent
REFUSED: Final = 3
"""Exit code when the gates refused the bundle."""


def run(name: str, *arguments: object) -> str:
    """One of our programs, what it says shown and given back. Raises SystemExit when it fails."""
    done = attempt(name, *arguments)
    if done.returncode != 0:
        sys.exit(f"error: {name} ended with {done.returncode}; what it said is above")
    return done.stdout


def attempt(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """The same without raising."""
    print(f"$ {name} {' '.join(map(str, arguments))}", flush=True)
    command = [str(Path(sys.executable).parent / name), *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    print(done.stdout[-4000:], flush=True)
    return done


def make_bundle(arguments: argparse.Namespace) -> Path:
    """Train, export, convert, measure, seal; the sealed bundle's folder."""
    out: Path = arguments.out
    data = ["--data", arguments.data, *(["--data-root", arguments.data_root] if arguments.data_root else [])]
    stages = ["--stages", arguments.stages] if arguments.stages else []
    start = ["--init", arguments.init] if arguments.init else []
    run("plumbline-train", "--recipe", arguments.recipe, *data, *stages, *start, "--out", out / "run")
    run("plumbline-export", *data, out / "run" / "best.pt", "--out", out / "model.onnx", "--half", out / "half.pt")
    bundle: Path = out / "bundles" / arguments.precision
    if not (bundle / "manifest.json").exists():
        convert = ["--precision", "fp32", arguments.precision, "--golden", arguments.golden, *arguments.options]
        run("plumbline-convert", out / "model.onnx", "--version", arguments.version, "--out", out / "bundles", *convert)
    if not json.loads((bundle / "manifest.json").read_bytes())["files"]:
        run("plumbline-evaluate", *data, bundle, "--into-manifest")
        run("plumbline-seal", bundle)
    return bundle


def make_judge(arguments: argparse.Namespace) -> Path:
    """The same of the judge of form, whose figures training writes."""
    out: Path = arguments.out
    recorded = ["--recorded", arguments.recorded, "--cross-validate"] if arguments.recorded else []
    run("plumbline-train-form", "--out", out / "run", *recorded, "--quiet", *arguments.options)
    export = ["--performed", out / "run" / "performed", "--out", out / "form.onnx", "--half", out / "half.pt"]
    run("plumbline-export-form", out / "run" / "form.pt", *export)
    bundle: Path = out / "bundles" / arguments.precision
    if not (bundle / "manifest.json").exists():
        convert = ["--version", arguments.version, "--precision", arguments.precision, "--out", out / "bundles"]
        run("plumbline-convert-form", out / "form.onnx", *convert)
    run("plumbline-seal", bundle)
    return bundle


def release(arguments: argparse.Namespace, bundle: Path, manifest: dict[str, Any]) -> str | None:
    """Publish and promote to dev, then to canary; why the gates refused, None if they did not."""
    server = ["--url", arguments.registry]
    what = [manifest["name"], manifest["version"]]
    promote = ["--reason", arguments.reason, "--keys", arguments.keys, *server]
    run("plumbline-registry", "publish", bundle, *server)
    run("plumbline-registry", "promote", *what, "dev", *promote)
    done = attempt("plumbline-registry", "promote", *what, "canary", *promote)
    return None if done.returncode == 0 else done.stdout.strip().splitlines()[-1]


def summary(manifest: dict[str, Any], outcome: str) -> str:
    """A page in Markdown for the commit."""
    metrics = manifest["metrics"]
    rows = [
        f"| AP, {item['stage']} {item.get('precision', '')} | {item['ap']:.3f} |"
        for item in metrics.get("average_precision", ())
    ]
    rows += [f"| {item['name']}, {item['dataset']} | {item['value']:.3f} |" for item in metrics.get("scores", ())]
    head = f"## {manifest['name']} {manifest['version']} {manifest['precision']}\n\n{outcome}\n\n"
    return head + "| measure | value |\n| --- | --- |\n" + "\n".join(rows) + "\n"


def parse() -> argparse.Namespace:
    """The command line; what follows -- goes to plumbline-convert, or with --judge to plumbline-train-form."""
    parser = argparse.ArgumentParser(prog="make retrain", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("--data", type=Path, default=ROOT / "training/datasets/real-and-rendered.yaml", help="list")
    parser.add_argument("--data-root", type=Path, help="what the list's paths are relative to")
    parser.add_argument("--recipe", default="edge_s")
    parser.add_argument("--stages", help="instead of the recipe's, see plumbline-train --help")
    parser.add_argument("--init", type=Path, help="weights to start from")
    parser.add_argument("--precision", default="int8")
    parser.add_argument("--golden", type=Path, default=ROOT / "samples/squats.mp4", help="pictures for golden.npz")
    parser.add_argument("--judge", action="store_true", help="the judge of form instead of the pose model")
    parser.add_argument("--recorded", type=Path, metavar="NPZ", help="with --judge: sequences called right or wrong")
    parser.add_argument("--version", required=True, help="of the bundle, such as 0.2.17")
    parser.add_argument("--out", type=Path, required=True, help="folder that keeps the run; resumed when it is there")
    parser.add_argument("--registry", metavar="URL", help="publish there")
    parser.add_argument("--keys", type=Path, help="folder with the keys of dev and canary")
    parser.add_argument("--reason", default="retrained", help="stands in the channels' history")
    parser.add_argument("options", nargs="*", metavar="-- OPTION", help="further options of convert, or of train-form")
    arguments = parser.parse_args()
    if arguments.registry and not arguments.keys:
        parser.error("--registry needs --keys, the folder with the keys of dev and canary")
    return arguments


def main() -> None:
    """Command line."""
    arguments = parse()
    if arguments.judge:
        bundle = make_judge(arguments)
    else:
        require(arguments.data, arguments.data_root or arguments.data.parent)
        bundle = make_bundle(arguments)
    manifest = json.loads((bundle / "manifest.json").read_bytes())
    refused, outcome = None, "Not published."
    if arguments.registry:
        refused = release(arguments, bundle, manifest)
        outcome = "Published, in dev and canary." if refused is None else f"**Stopped by the gates, in dev.** {refused}"
    text = summary(manifest, outcome)
    (arguments.out / "summary.md").write_text(text, encoding="utf-8")
    print(text)
    sys.exit(0 if refused is None else REFUSED)


if __name__ == "__main__":
    main()
