#!/usr/bin/env bash
# Trains on a GPU machine that has no network and takes a few files of bounded size at a time: pack here, carry the parts,
# train there as often as time allows, carry the weights back in small files. docs/gpu-machine.md walks through it.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: training/gpu-kit.sh pack LIST.yaml DATA_ROOT KIT [MAX_MB]     here: shards, wheels, parts to carry
                 (MAX_SIDE=384: smaller pictures; WHEELS=no; TARGET_PYTHON=3.12: what the machine runs)
       training/gpu-kit.sh take PART... KIT                          there: add a carried part to the kit
       training/gpu-kit.sh check KIT                                 there: whether every part has arrived whole
       training/gpu-kit.sh train KIT OUT MINUTES [plumbline-train options]   there: train or go on, then stop by itself
       training/gpu-kit.sh collect OUT FILES [MAX_MB]                there: weights (float16), figures, log in small files
                 (with the kit that OUT was trained from, named in OUT.kit; KIT=folder: with another)
       training/gpu-kit.sh join FILES OUT                            here: put them together again
TEXT
  exit 2
}

here=$(cd "$(dirname "$0")/.." && pwd)
python=${PYTHON:-python3}
wheels=(opencv-python-headless==4.10.0.84 onnx onnxruntime pycocotools matplotlib pydantic pydantic-core pyyaml tqdm
  annotated-types typing-inspection contourpy cycler fonttools kiwisolver packaging pillow pyparsing python-dateutil six
  flatbuffers protobuf ml-dtypes typing-extensions prometheus-client)

pack() { # LIST ROOT KIT [MB]
  local list=$1 root=$2 kit=$3 mb=${4:-50}
  "$python" -m plumbline_training.pack --data "$list" --data-root "$root" --out "$kit" --max-mb "$mb" \
    ${MAX_SIDE:+--max-side "$MAX_SIDE"}
  mkdir -p "$kit/wheels"
  [ "${WHEELS:-yes}" = no ] || "$python" -m pip --disable-pip-version-check download --quiet --no-deps --only-binary=:all: --dest "$kit/wheels" \
    --python-version "${TARGET_PYTHON:-3.12}" --implementation cp --platform manylinux_2_28_x86_64 \
    --platform manylinux_2_27_x86_64 --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 "${wheels[@]}"
  rm -rf "$kit/parts" "$kit/SHA256SUMS"
  sums=$(cd "$kit" && find . -type f -print0 | sort -z | xargs -0 sha256sum)
  echo "$sums" >"$kit/SHA256SUMS"
  "$python" - "$kit" "$mb" <<'PY'
import os, sys
from pathlib import Path

kit, limit = Path(sys.argv[1]), float(sys.argv[2]) * 1e6 + 2e6
parts, sizes = [], []
files = sorted((path for path in kit.rglob("*") if path.is_file() and "parts" not in path.parts), key=lambda p: -p.stat().st_size)
for path in files:
    size = path.stat().st_size
    place = next((i for i, used in enumerate(sizes) if used + size <= limit), None)
    if place is None:
        parts.append([]), sizes.append(0)
        place = len(parts) - 1
    parts[place].append(path), sizes.__setitem__(place, sizes[place] + size)
for number, (members, size) in enumerate(zip(parts, sizes)):
    for path in members:
        target = kit / "parts" / str(number) / path.relative_to(kit)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        os.link(path, target)
    print(f"part {number}: {kit / 'parts' / str(number)}, {size / 1e6:.0f} MB")
PY
}

take() { # PART... KIT
  local kit=${!#}
  mkdir -p "$kit"
  for part in "${@:1:$#-1}"; do cp -r "$part/." "$kit/"; done
}

check() { (cd "$1" && sha256sum --quiet --check SHA256SUMS) && echo "$1 is whole"; }

train() { # KIT OUT MINUTES options
  local kit=$1 out=$2 minutes=$3
  shift 3
  if [ ! -e "$kit/site/.ready" ]; then
    check "$kit"
    # What the machine brings (torch, numpy) stays; the kit's wheels come first for what it lacks or has otherwise.
    mkdir -p "$kit/site"
    if compgen -G "$kit/wheels/*.whl" >/dev/null; then
      "$python" -m pip install --quiet --no-index --no-deps --no-compile --upgrade --target "$kit/site" \
        "$kit"/wheels/*.whl
    fi
    touch "$kit/site/.ready"
  fi
  export PYTHONPATH="$here/contract:$here/training:$kit/site" PYTHONUNBUFFERED=1
  mkdir -p "$(dirname "$out")"
  (cd "$kit" && pwd) >"$out.kit"
  # SIGINT: the run ends where its last finished epoch is; the same command goes on from there.
  timeout --signal=INT --kill-after=30 "${minutes}m" "$python" -m plumbline_training --data "$kit/data.yaml" --out "$out" \
    "$@" 2>&1 | tr '\r' '\n' | tee -a "$out.log" || [ "${PIPESTATUS[0]}" = 124 ] || [ "${PIPESTATUS[0]}" = 130 ]
}

collect() { # OUT FILES [MB]
  local out=$1 files=$2 mb=${3:-15} kit=${KIT:-}
  [ -n "$kit" ] || kit=$(cat "$out.kit") || { echo "error: name the kit: KIT=folder training/gpu-kit.sh collect …" >&2; exit 2; }
  mkdir -p "$files"
  PYTHONPATH="$here/contract:$here/training:$kit/site" "$python" -m plumbline_training.half \
    "$out/best.pt" "$files/best-half.pt"
  # An earlier collection may have left more of them.
  rm -f "$files"/best-half.pt.part-*
  split --bytes "${mb}M" --numeric-suffixes "$files/best-half.pt" "$files/best-half.pt.part-"
  rm "$files/best-half.pt"
  cp "$out"/{metrics.jsonl,run.json,curves.png} "$files/"
  tail -n 2000 "$out.log" >"$files/train.log"
}

join() { # FILES OUT
  mkdir -p "$2"
  cat "$1"/best-half.pt.part-* >"$2/best.pt"
  cp "$1"/{metrics.jsonl,run.json,curves.png,train.log} "$2/"
}

command=${1:-}
case "$command:$#" in
  pack:4 | pack:5 | check:2 | collect:3 | collect:4 | join:3) "$command" "${@:2}" ;;
  take:[3-9]* | take:[1-9][0-9]* | train:[4-9]* | train:[1-9][0-9]*) "$command" "${@:2}" ;;
  *) usage ;;
esac
