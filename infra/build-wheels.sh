#!/bin/bash
# usage: build-wheels.sh OUT [PART ...]: builds wheels from the folders of these parts (contract and edge) into OUT, and writes OUT/SHA256SUMS.
# Built from a copy of the sources, so that a stale build/ folder never leaks into a wheel, with fixed times and by what build-constraints.txt
# names, so that the same sources give the same digests. Prints "changed" or "unchanged". Nothing in OUT is touched when a build fails.
set -euo pipefail
[ $# -ge 1 ] || { sed -n 2,4p "$0" | cut -c3- >&2; exit 2; }
out=$1
shift
[ $# -gt 0 ] || set -- contract edge
root=$(cd "$(dirname "$0")/.." && pwd)
python=${PYTHON:-python3}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# The same sources, built before and still whole, are not built again.
files=$(cd "$root" && find "$@" -type f ! -path '*/__pycache__/*' ! -path '*.egg-info/*' ! -path '*/build/*' -print0 | LC_ALL=C sort -z | xargs -0 sha256sum)
sources=$({ "$python" --version && cat "$root/infra/build-constraints.txt" && echo "$files"; } | sha256sum)
if [ "$(cat "$out/.sources" 2>/dev/null)" = "$sources" ] && (cd "$out" && sha256sum --check --quiet --strict SHA256SUMS) 2>/dev/null; then
  echo unchanged
  exit 0
fi

export SOURCE_DATE_EPOCH=315532800 # 1980-01-01, the earliest that a zip can hold
umask 022
# pip splits these at spaces, which the checkout's path may have; from 25.3 on it reads the second for what builds.
cp "$root/infra/build-constraints.txt" "$scratch/"
export PIP_CONSTRAINT="$scratch/build-constraints.txt" PIP_BUILD_CONSTRAINT="$scratch/build-constraints.txt"
for part in "$@"; do
  mkdir -p "$scratch/src"
  tar -C "$root" --exclude=__pycache__ --exclude='*.egg-info' --exclude=build -cf - "$part" | tar -C "$scratch/src" -xf -
  "$python" -m pip wheel --quiet --no-deps --wheel-dir "$scratch/wheels" "$scratch/src/$part" 2>"$scratch/log" ||
    { echo "error: the wheel of $part could not be built:" >&2; tail -n 20 "$scratch/log" >&2; exit 1; }
done
(cd "$scratch/wheels" && sha256sum -- *.whl >SHA256SUMS)

mkdir -p "$out"
if cmp -s "$scratch/wheels/SHA256SUMS" "$out/SHA256SUMS" && (cd "$out" && sha256sum --check --quiet --strict SHA256SUMS) 2>/dev/null; then
  echo unchanged
else
  rm -f "$out"/plumbline_*.whl
  mv -f "$scratch"/wheels/*.whl "$scratch/wheels/SHA256SUMS" "$out/"
  echo changed
fi
echo "$sources" >"$out/.sources"
