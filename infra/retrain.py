"""`make retrain`: what CI does on a merge, and anybody can by hand.

data as locked -> train -> export -> convert -> AP of the bundle -> seal -> publish -> dev -> gates -> canary

Every step goes on where an earlier run stopped. A bundle that the registry's gates refuse stays in dev, the command
ends with exit code 3 and the summary says why. The token comes from PLUMBLINE_REGISTRY_TOKEN, the keys of dev and
canary from --keys; nothing is published without --registry. With --judge it is the judge of form that takes this way.
With --containers all that is Python runs in the images of docker-compose.yml and --registry is the address that they
know it by.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml
from infra.dataset_lock import require

from plumbline_training.shards import shards_of

ROOT: Final = Path(__file__).parent.parent
SAMPLE_CLIP: Final = ROOT / "samples/squats.mp4"
SERVICES: Final = {
    "plumbline-train": "train",
    "plumbline-export": "train",
    "plumbline-evaluate": "train",
    "plumbline-train-form": "train",
    "plumbline-export-form": "train",
    "plumbline-convert": "convert",
    "plumbline-convert-form": "convert",
    "plumbline-seal": "convert",
    "plumbline-registry": "operator",
}
"""Program -> service of docker-compose.yml that holds it."""
REFUSED: Final = 3
"""Exit code when the gates refused the bundle."""
GATE_REFUSED: Final = "(gate_refused)"
"""The registry's error code, as plumbline-registry prints it."""


@dataclass(frozen=True)
class Programs:
    """Our programs: those beside this Python, or each in the container of docker-compose.yml that holds it."""

    containers: bool
    environment: Mapping[str, str] = field(default_factory=dict)

    def run(self, name: str, *arguments: object) -> str:
        """One of them, what it says shown and given back. Raises SystemExit when it fails."""
        return said_by(name, self.attempt(name, *arguments))

    def attempt(self, name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        """The same without raising."""
        print(f"$ {name} {' '.join(map(str, arguments))}", flush=True)
        command = [*self._start(name), *map(str, arguments)]
        environment = {**os.environ, **self.environment}
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, cwd=ROOT, env=environment
        )
        print(done.stdout[-4000:], flush=True)
        return done

    def _start(self, name: str) -> list[str]:
        if not self.containers:
            return [str(Path(sys.executable).parent / name)]
        user = f"{os.getuid()}:{os.getgid()}"
        # Relative paths, such as the converter's own default, are the checkout's.
        run = ["docker", "compose", "run", "--rm", "--no-TTY", "--user", user, "--workdir", str(ROOT)]
        return [*run, "--entrypoint", name, SERVICES[name]]


def said_by(name: str, done: subprocess.CompletedProcess[str]) -> str:
    """What the program printed. Raises SystemExit when it failed."""
    if done.returncode != 0:
        sys.exit(f"error: {name} ended with {done.returncode}; what it said is above")
    return done.stdout


def programs(arguments: argparse.Namespace) -> Programs:
    """As asked for; containers see the run's folder, the data and the keys under the paths that they have here.

    Raises SystemExit for a path that containers would not see.
    """
    folders = {"RUNS_DIR": arguments.out.parent, "DATA_DIR": arguments.data_root or arguments.data.parent}
    folders |= {"KEYS_DIR": arguments.keys} if arguments.keys else {}
    if arguments.containers:
        _require_seen(arguments, [ROOT, folders["RUNS_DIR"], folders["DATA_DIR"]])
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False).stdout
    known = {"PWD": str(ROOT), "PLUMBLINE_COMMIT": commit.strip()}
    return Programs(arguments.containers, known | {name: str(path.absolute()) for name, path in folders.items()})


def _require_seen(arguments: argparse.Namespace, folders: list[Path]) -> None:
    """Raises SystemExit for a file that is named and lies in none of the folders."""
    names = ("recorded",) if arguments.judge else ("data", "init", "golden")
    given = {f"--{name}": path for name in names if (path := getattr(arguments, name)) is not None}
    # Of what follows --, what is there; programs in containers start in the checkout.
    values = [word.rpartition("=")[2] for word in arguments.options]
    given |= {value: ROOT / value for value in values if os.sep in value and (ROOT / value).exists()}
    # By name and by where links lead: a link inside that leads outside is broken there.
    seen = [Path(os.path.normpath(folder.absolute())) for folder in folders]
    real = [folder.resolve() for folder in seen]
    for name, path in given.items():
        named = Path(os.path.normpath(path.absolute()))
        if not (any(map(named.is_relative_to, seen)) and any(map(path.resolve().is_relative_to, real))):
            listed = ", ".join(map(str, seen))
            sys.exit(f"error: {name}: {path} is in none of the folders that containers see: {listed}; copy it into one")


def make_bundle(arguments: argparse.Namespace, of: Programs) -> Path:
    """Train, export, convert, measure, seal; the sealed bundle's folder."""
    out: Path = arguments.out
    bundle: Path = out / "bundles" / arguments.precision
    # Refused before the training, not after it.
    sealed, calibrated = is_sealed(bundle, arguments.version), calibration(arguments)
    data = ["--data", arguments.data, *(["--data-root", arguments.data_root] if arguments.data_root else [])]
    stages = ["--stages", arguments.stages] if arguments.stages else []
    start = ["--init", arguments.init] if arguments.init else []
    shown = ["--textfile", out.parent / "textfile" / f"{arguments.version}.prom"]
    convert = ["--precision", *dict.fromkeys(("fp32", arguments.precision)), "--golden", arguments.golden]
    convert += ["--version", arguments.version, *calibrated, *arguments.options]
    convert = [out / "model.onnx", "--out", out / "bundles", "--overwrite", *convert]
    if not sealed:
        # The converter's own word on what it is asked, before days of training.
        of.run("plumbline-convert", *convert, "--explain")
    of.run("plumbline-train", "--recipe", arguments.recipe, *data, *stages, *start, "--out", out / "run", *shown)
    of.run("plumbline-export", *data, out / "run" / "best.pt", "--out", out / "model.onnx", "--half", out / "half.pt")
    if not sealed:
        # A draft may be of earlier weights; the converter knows which of its steps still stand.
        of.run("plumbline-convert", *convert)
        of.run("plumbline-evaluate", *data, bundle, "--into-manifest")
        of.run("plumbline-seal", bundle)
    return bundle


def is_sealed(bundle: Path, version: str) -> bool:
    """Whether the bundle is finished; a draft is not. Raises SystemExit for one of another version."""
    if not (bundle / "manifest.json").exists():
        return False
    manifest = json.loads((bundle / "manifest.json").read_bytes())
    if not manifest["files"]:
        return False
    if manifest["version"] != version:
        sys.exit(f"error: {bundle} is version {manifest['version']}, not {version}; name another --out")
    return True


def calibration(arguments: argparse.Namespace) -> list[str | Path]:
    """What int8 is calibrated on, unless the options say: the labelled training set that the list repeats most.

    Raises SystemExit for the sample clip, whose one rendered person is like none that a camera sees.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--calibration", type=Path)
    given = parser.parse_known_args(arguments.options)[0].calibration
    if given is not None:
        if (ROOT / given).resolve() == SAMPLE_CLIP.resolve():
            sys.exit(f"error: --calibration {given}: shows one rendered person; leave it out, or name real pictures")
        return []
    listed = yaml.safe_load(arguments.data.read_text(encoding="utf-8"))["train"]
    labelled = [entry for entry in listed if not entry.get("unlabelled")]
    if not labelled:
        sys.exit(f"error: {arguments.data} labels no training set; name pictures with `-- --calibration`")
    entry = max(labelled, key=lambda each: int(each.get("repeat", 1)))
    root = arguments.data_root or arguments.data.parent
    images = root / entry["images"]
    if shards_of(images):
        sys.exit(f"error: {images} holds shards, which conversion does not read; name pictures with `-- --calibration`")
    return ["--calibration", root / entry["annotations"], "--calibration-images", images]


def make_judge(arguments: argparse.Namespace, of: Programs) -> Path:
    """The same of the judge of form, whose figures training writes."""
    out: Path = arguments.out
    bundle: Path = out / "bundles" / arguments.precision
    sealed = is_sealed(bundle, arguments.version)
    recorded = ["--recorded", arguments.recorded, "--cross-validate"] if arguments.recorded else []
    of.run("plumbline-train-form", "--out", out / "run", *recorded, "--quiet", *arguments.options)
    export = ["--performed", out / "run" / "performed", "--out", out / "form.onnx", "--half", out / "half.pt"]
    of.run("plumbline-export-form", out / "run" / "form.pt", *export)
    if not sealed:
        # A draft may be of earlier weights, and this converter replaces none.
        if (bundle / "manifest.json").exists():
            shutil.rmtree(bundle)
        convert = ["--version", arguments.version, "--precision", arguments.precision, "--out", out / "bundles"]
        of.run("plumbline-convert-form", out / "form.onnx", *convert)
        of.run("plumbline-seal", bundle)
    return bundle


def release(arguments: argparse.Namespace, of: Programs, bundle: Path, manifest: dict[str, Any]) -> str | None:
    """Publish and promote to dev, then to canary; why the gates refused, None if they did not. Raises SystemExit."""
    server = ["--url", arguments.registry]
    what = [manifest["name"], manifest["version"]]
    promote = ["--reason", arguments.reason, "--keys", arguments.keys, *server]
    of.run("plumbline-registry", "publish", bundle, *server)
    of.run("plumbline-registry", "promote", *what, "dev", *promote)
    done = of.attempt("plumbline-registry", "promote", *what, "canary", *promote)
    refused = [line for line in done.stdout.splitlines() if GATE_REFUSED in line]
    if done.returncode != 0 and refused:
        return refused[-1].strip()
    said_by("plumbline-registry", done)
    return None


def summary(manifest: dict[str, Any], epochs: list[dict[str, float]], outcome: str) -> str:
    """A page in Markdown for the commit, with curves that GitHub draws."""
    metrics = manifest["metrics"]
    rows = [
        f"| AP, {item['stage']} {item.get('precision', '')} | {item['ap']:.3f} |"
        for item in metrics.get("average_precision", ())
    ]
    rows += [f"| {item['name']}, {item['dataset']} | {item['value']:.3f} |" for item in metrics.get("scores", ())]
    head = f"## {manifest['name']} {manifest['version']} {manifest['precision']}\n\n{outcome}\n\n"
    drawn = (("AP after each epoch", "ap"), ("Loss of each epoch", "loss"))
    curves = [curve(title, epochs, name) for title, name in drawn if epochs and name in epochs[0]]
    return head + "\n".join(["| measure | value |", "| --- | --- |", *rows, "", *curves, ""])


def curve(title: str, epochs: list[dict[str, float]], name: str) -> str:
    """A figure over the epochs in Mermaid."""
    values = ", ".join(f"{epoch[name]:.4f}" for epoch in epochs)
    return f'```mermaid\nxychart-beta\n  title "{title}"\n  x-axis "epoch" 1 --> {len(epochs)}\n  line [{values}]\n```'


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
    parser.add_argument("--golden", type=Path, default=SAMPLE_CLIP, help="pictures for golden.npz")
    parser.add_argument("--judge", action="store_true", help="the judge of form instead of the pose model")
    parser.add_argument("--recorded", type=Path, metavar="NPZ", help="with --judge: sequences called right or wrong")
    parser.add_argument("--version", required=True, help="of the bundle, such as 0.5.17")
    parser.add_argument("--out", type=Path, required=True, help="folder that keeps the run; resumed when it is there")
    parser.add_argument("--registry", metavar="URL", help="publish there")
    parser.add_argument("--keys", type=Path, help="folder with the keys of dev and canary")
    parser.add_argument("--containers", action="store_true", help="each program in its container of docker-compose.yml")
    parser.add_argument("--reason", default="retrained", help="stands in the channels' history")
    parser.add_argument("options", nargs="*", metavar="-- OPTION", help="further options of convert, or of train-form")
    arguments = parser.parse_args()
    if arguments.registry and not arguments.keys:
        parser.error("--registry needs --keys, the folder with the keys of dev and canary")
    return arguments


def main() -> None:
    """Command line."""
    arguments = parse()
    of = programs(arguments)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    if arguments.judge:
        bundle = make_judge(arguments, of)
    else:
        require(arguments.data, arguments.data_root or arguments.data.parent)
        bundle = make_bundle(arguments, of)
    manifest = json.loads((bundle / "manifest.json").read_bytes())
    refused, outcome = None, "Not published."
    if arguments.registry:
        refused = release(arguments, of, bundle, manifest)
        outcome = "Published, in dev and canary." if refused is None else f"**Stopped by the gates, in dev.** {refused}"
    figures = arguments.out / "run/metrics.jsonl"
    lines = figures.read_text(encoding="utf-8").splitlines() if figures.exists() else []
    text = summary(manifest, [json.loads(line) for line in lines], outcome)
    (arguments.out / "summary.md").write_text(text, encoding="utf-8")
    print(text)
    if refused is not None and os.environ.get("GITHUB_ACTIONS"):
        print(f"::error title=Stopped by the gates::{refused}")
    sys.exit(0 if refused is None else REFUSED)


if __name__ == "__main__":
    main()
