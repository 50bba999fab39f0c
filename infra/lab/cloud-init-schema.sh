#!/bin/bash
# Prints the folder of cloud-init's own JSON schemas, taken out of the package that this machine's apt would install (cached).
set -euo pipefail
# shellcheck source=/dev/null
. "$(dirname "$0")/lib.sh"
folder=$LAB/cloud-init-schemas
if [ ! -e "$folder/schema-cloud-config-v1.json" ]; then
  command -v apt-get >/dev/null || die "apt-get is missing: cloud-init's schema comes out of its package"
  apt=$LAB/cloud-init-apt
  rm -rf "$apt" "$folder"
  mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial"
  options=(-qq -o APT::Sandbox::User=root -o "Dir::State::lists=$apt/lists" -o "Dir::Cache=$apt/cache" -o APT::Update::Post-Invoke=)
  apt-get "${options[@]}" update >&2
  (cd "$apt" && apt-get "${options[@]}" download cloud-init >&2)
  dpkg-deb -x "$apt"/cloud-init_*.deb "$apt/root"
  cp -r "$apt/root/usr/lib/python3/dist-packages/cloudinit/config/schemas" "$folder"
  rm -rf "$apt"
fi
echo "$folder"
