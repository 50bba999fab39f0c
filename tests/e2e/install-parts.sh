#!/usr/bin/env bash
# Installs every deployable part alone, in an environment of its own, and starts its programs. The edge is installed for
# each Python from 3.10 on that is there, the other parts for the first from 3.11 on.
set -euo pipefail
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

pythons() { # the interpreters that start, oldest first
  local version candidate
  for version in 3.10 3.11 3.12 3.13; do
    for candidate in "python$version" "$HOME"/.pyenv/versions/"$version".*/bin/python; do
      if "$candidate" -c '' 2>/dev/null; then
        echo "$version $candidate"
        break
      fi
    done
  done
}

install_alone() { # part, folder, python version, python, forbidden modules, programs
  local part=$1 folder=$2 version=$3 python=$4 forbidden=$5 started=$SECONDS program module
  shift 5
  local env=$work/$part-$version lock=requirements/$part-py${version/./}.txt
  "$python" -m venv "$env"
  "$env/bin/python" -m pip --disable-pip-version-check --quiet install -c "$lock" ./contract "./$folder"
  for module in $forbidden; do
    if "$env/bin/python" -c "import $module" 2>/dev/null; then
      echo "FAILED: $part on Python $version installs $module" >&2
      return 1
    fi
  done
  for program in "$@"; do
    "$env/bin/$program" --help >/dev/null
  done
  echo "$part on Python $version: $(du -sm "$env" | cut -f1) MB, $* start, none of [$forbidden] ($((SECONDS - started)) s)"
}

found=$(pythons)
[ -n "$found" ] || { echo "FAILED: no Python from 3.10 to 3.13 found" >&2; exit 1; }
while read -r version python; do
  install_alone edge edge "$version" "$python" "torch tensorflow" plumbline-edge
done <<<"$found"
read -r version python < <(grep -v '^3\.10 ' <<<"$found")
install_alone registry services/registry "$version" "$python" "torch tensorflow ai_edge_litert" plumbline-registry
install_alone conversion conversion "$version" "$python" "torch" plumbline-convert plumbline-seal
install_alone training training "$version" "$python" "tensorflow" plumbline-train plumbline-evaluate plumbline-export
echo "every part installs alone"
