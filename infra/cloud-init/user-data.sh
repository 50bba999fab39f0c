#!/bin/bash
# usage: user-data.sh NAME KEY.pub: prints the user-data of a Pi of this name, whose user ubuntu takes this SSH key.
set -euo pipefail
[ $# = 2 ] || { sed -n 2p "$0" | cut -c3- >&2; exit 2; }
name=$1
[[ $name =~ ^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$ ]] || { echo "error: '$name' is no host name; use small letters, digits and dashes" >&2; exit 2; }
[ -r "$2" ] || { echo "error: '$2' cannot be read; make a key with ssh-keygen -t ed25519" >&2; exit 2; }
key=$(cat "$2")
[[ $key =~ ^(ssh|ecdsa|sk-)[a-z0-9@.-]*\ [A-Za-z0-9+/=]+(\ [^\"\\]*)?$ ]] || { echo "error: '$2' is no public SSH key; give the file that ends with .pub" >&2; exit 2; }
# Else bash 5.2 puts what was found where the key has a &.
shopt -u patsub_replacement 2>/dev/null || true
template=$(cat "$(dirname "$0")/user-data")
template=${template//hostname: NAME/hostname: $name}
printf '%s\n' "${template//\"KEY\"/\"$key\"}"
