# shellcheck shell=bash
# Shared by the lab's scripts: where things are kept, and which Debian archive they come from.
LAB=${PLUMBLINE_LAB:-${XDG_CACHE_HOME:-$HOME/.cache}/plumbline/lab}
mkdir -p "$LAB"

die() { echo "error: $*" >&2; exit 2; }

# need PROGRAM=PACKAGE ...: says everything that is missing at once, with the command that installs it.
need() {
  local pair missing=()
  for pair in "$@"; do command -v "${pair%%=*}" >/dev/null || missing+=("${pair#*=}"); done
  [ ${#missing[@]} = 0 ] || die "missing: ${missing[*]}; run: apt-get install -y ${missing[*]}"
  [ "$(id -u)" = 0 ] || die "the lab makes namespaces, mounts and root filesystems; run it as root"
}

# The Debian archive that this machine's own apt uses, or $DEBIAN_MIRROR. In a command substitution `die` ends no more than that:
# url=$(mirror) || exit
mirror() {
  local found list=/etc/apt/sources.list parts=/etc/apt/sources.list.d/
  eval "$(apt-config shell list Dir::Etc::sourcelist/f parts Dir::Etc::sourceparts/d 2>/dev/null)"
  found=$(cat "$list" "$parts"/*.list "$parts"/*.sources 2>/dev/null | grep -v '^#' | grep -oE 'https?://[^ ]+/debian/?( |$)' | head -n 1 | tr -d ' ') || true
  [ -n "${DEBIAN_MIRROR:-$found}" ] || die "apt's sources name no Debian archive; set DEBIAN_MIRROR to the URL of one"
  echo "${DEBIAN_MIRROR:-$found}"
}

# The runtime asks here what the processor can do; the emulating machine's own answer crashes it.
cpuinfo() {
  local core
  for core in 0 1 2 3; do
    printf 'processor\t: %s\nBogoMIPS\t: 108.00\nFeatures\t: fp asimd evtstrm crc32 cpuid\n' "$core"
    printf 'CPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x0\nCPU part\t: 0xd08\nCPU revision\t: 3\n\n'
  done
  printf 'Hardware\t: BCM2835\nModel\t\t: Raspberry Pi 4 Model B\n'
}
