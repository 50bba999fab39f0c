#!/bin/bash
# usage: pack-release.sh WHEELS LOCKS [WHEELHOUSE]: packs our wheels with their SHA256SUMS, the edge's locks and the wheelhouse's wheels, which may be
# for several Pythons and machines, into WHEELS/release.tar.
set -euo pipefail
wheels=$1 locks=$2 wheelhouse=${3:-}
cd "$wheels"
shopt -s nullglob
found=("$locks"/edge-py*.txt)
[ ${#found[@]} -gt 0 ] || { echo "error: $locks holds no edge-py*.txt: make the locks or point edge_app_locks_dir to them" >&2; exit 2; }
if [ -n "$wheelhouse" ]; then
  dependencies=("$wheelhouse"/*.whl)
  [ ${#dependencies[@]} -gt 0 ] || { echo "error: the wheelhouse $wheelhouse holds no wheels; see infra/README.md for how to fill it" >&2; exit 2; }
  found+=("${dependencies[@]}")
fi
for file in SHA256SUMS plumbline_*.whl; do found+=("$PWD/$file"); done
# Each under its bare name, with nothing of this machine's users in it.
tar --create --file=release.tar.part --owner=0 --group=0 --numeric-owner --mode=644 --absolute-names --transform='s,.*/,,' "${found[@]}"
mv -f release.tar.part release.tar
