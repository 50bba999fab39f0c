#!/bin/bash
# An aarch64 Python with the edge's pinned wheels, emulated by qemu-user: what a Pi computes, on any machine. No chroot, no binfmt.
#   arm64.sh python       build it once (cached) and print the command that runs it
set -euo pipefail
# shellcheck source=/dev/null
. "$(dirname "$0")/lib.sh"
LOCK=$(dirname "$0")/../../requirements/edge-py311.txt

pinned() { grep -E "^$1==" "$LOCK" | sed 's/ *;.*//'; }

build() {
  local root=$1 wheel deb url
  need debootstrap=debootstrap qemu-aarch64-static=qemu-user-static
  url=$(mirror) || exit
  echo "building the arm64 Python (once, about a minute)" >&2
  rm -rf "$root"
  # --foreign fetches the packages and runs none of their scripts; unpacking them is enough for Python to start.
  debootstrap --foreign --variant=minbase --arch=arm64 --include=python3 bookworm "$root" "$url" >"$LAB/arm64.log" 2>&1 ||
    { tail -n 20 "$LAB/arm64.log" >&2; die "debootstrap failed"; }
  for deb in "$root"/var/cache/apt/archives/*.deb; do dpkg-deb -x "$deb" "$root"; done
  rm -rf "$root/var/cache/apt/archives" "$root/proc"
  mkdir -p "$root/proc" "$root/wheels"
  cpuinfo >"$root/proc/cpuinfo"
  python3 -m pip download --quiet --no-deps --only-binary=:all: --dest "$root/wheels" --python-version 3.11 --implementation cp --abi cp311 \
    --platform manylinux_2_28_aarch64 --platform manylinux_2_27_aarch64 --platform manylinux_2_17_aarch64 --platform manylinux2014_aarch64 \
    "$(pinned ai-edge-litert)" "$(pinned numpy)" >&2
  for wheel in "$root"/wheels/*.whl; do python3 -m zipfile -e "$wheel" "$root/site"; done
  touch "$root/.complete"
}

python() {
  local root
  root=$LAB/arm64-$(cat "$LOCK" "$0" | sha256sum | cut -c1-12)
  [ -e "$root/.complete" ] || build "$root"
  echo "qemu-aarch64-static -cpu cortex-a72 -L $root -E PYTHONPATH=$root/site $root/usr/bin/python3.11"
}

case ${1:-} in
  python) python ;;
  *) sed -n '2,3p' "$0" | cut -c3- >&2; exit 2 ;;
esac
