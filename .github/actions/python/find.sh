#!/usr/bin/env bash
# Puts the Pythons of $VERSIONS first on the path of the steps that follow. Hosted runners carry them in their tool cache.
set -euo pipefail
for version in $VERSIONS; do
  cached=$(printf '%s\n' "${RUNNER_TOOL_CACHE:-/opt/hostedtoolcache}/Python/$version".*/x64/bin | sort -V | tail -n 1)
  if [ -d "$cached" ]; then
    echo "$cached" >>"$GITHUB_PATH"
  elif ! command -v "python$version" >/dev/null; then
    echo "::error::python$version is neither in the tool cache nor on the PATH" && exit 1
  fi
  echo "python$version: $(PATH="$cached:$PATH" command -v "python$version")"
done
