#!/bin/bash
# A stand-in Raspberry Pi: Debian with a real systemd, SSH and sudo, in a network namespace of its own. It has no way out of the lab's network;
# an archive in its own file system gives apt what a role may install.
#   pi.sh rootfs [arm64]        build the root filesystem once (about two minutes, arm64 ten; cached)
#   pi.sh up NAME IP [arm64]    boot one, for instance pi01 10.79.0.11; the host is 10.79.0.1
#   pi.sh ssh NAME ...          run a command on it as user pi, who may sudo
#   pi.sh cut|join NAME         take its network away, and give it back
#   pi.sh down NAME             stop it and forget its disk
#   pi.sh down-all              stop all and remove the network
set -euo pipefail
# shellcheck source=/dev/null
. "$(dirname "$0")/lib.sh"
RECIPE=2 # counts what build_rootfs makes: older root filesystems are not used any more
KEY=$LAB/id_ed25519
BRIDGE=plumb0
HOST_IP=10.79.0.1
TALK=(FORWARD -i "$BRIDGE" -o "$BRIDGE" -j ACCEPT)
PACKAGES=systemd,systemd-sysv,systemd-timesyncd,dbus,openssh-server,python3,python3-venv,python3-apt,sudo,iproute2,curl,netbase,ca-certificates
ARCHIVE=(prometheus-node-exporter unattended-upgrades nftables)
SERVER=(prometheus prometheus-alertmanager) # on no Pi; monitoring is tested on the host's own processor alone

rootfs_of() { echo "$LAB/pi-rootfs-$RECIPE-$1"; }

build_rootfs() {
  local arch=$1 root url
  root=$(rootfs_of "$arch")
  [ ! -e "$root/.complete" ] || return 0
  need debootstrap=debootstrap ssh-keygen=openssh-client
  url=$(mirror) || exit
  [ "$arch" = amd64 ] || emulate
  echo "building the stand-in Pi's root filesystem for $arch (once, minutes)" >&2
  rm -rf "$root"
  [ -e "$KEY" ] || ssh-keygen -q -t ed25519 -N '' -C plumbline-lab -f "$KEY"
  debootstrap --arch="$arch" --include="$PACKAGES" bookworm "$root" "$url" >"$LAB/debootstrap-$arch.log" 2>&1 ||
    { tail -n 20 "$LAB/debootstrap-$arch.log" >&2; die "debootstrap failed"; }
  chroot "$root" useradd --create-home --shell /bin/bash pi
  install -m 440 /dev/stdin "$root/etc/sudoers.d/pi" <<<'pi ALL=(ALL) NOPASSWD:ALL'
  install -d -m 700 "$root/home/pi/.ssh"
  install -m 600 "$KEY.pub" "$root/home/pi/.ssh/authorized_keys"
  chroot "$root" chown -R pi:pi /home/pi/.ssh
  : >"$root/etc/machine-id"
  # The namespace's address is set from outside, there is no console, and nothing may wake up in the middle of a test.
  local unit
  for unit in systemd-networkd.service getty.target console-getty.service apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer; do
    ln -sf /dev/null "$root/etc/systemd/system/$unit"
  done
  # As on a Pi's boot partition.
  install -D -m 755 /dev/stdin "$root/boot/firmware/config.txt" <<<$'[all]\nkernel=vmlinuz\ninitramfs initrd.img followkernel'
  [ "$arch" = amd64 ] || adapt_to_emulation "$root"
  build_archive "$arch" "$root" "$url"
  rm -rf "$root"/var/cache/apt/archives/*.deb
  touch "$root/.complete"
}

# The packages that roles install, and what they need, as an archive of one folder.
build_archive() {
  local arch=$1 root=$2 url=$3 apt=$LAB/pi-apt-$1 deb wanted=("${ARCHIVE[@]}")
  [ "$arch" != amd64 ] || wanted+=("${SERVER[@]}")
  rm -rf "$apt"
  mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$root/srv/archive"
  echo "deb $url bookworm main" >"$apt/sources.list"
  local options=(-qq -y --no-install-recommends -o APT::Sandbox::User=root -o "APT::Architecture=$arch" -o "APT::Architectures::=$arch"
    -o "Dir::Etc::sourcelist=$apt/sources.list" -o Dir::Etc::sourceparts=/dev/null -o "Dir::State::lists=$apt/lists"
    -o "Dir::State::status=$root/var/lib/dpkg/status" -o "Dir::Cache=$apt/cache")
  # The host's own hooks may clean the downloaded packages away.
  options+=(-o APT::Update::Post-Invoke= -o DPkg::Post-Invoke= -o APT::Keep-Downloaded-Packages=true)
  apt-get "${options[@]}" update
  apt-get "${options[@]}" --download-only install "${wanted[@]}" >/dev/null
  for deb in "$apt"/cache/archives/*.deb; do
    cp "$deb" "$root/srv/archive/"
    dpkg-deb -f "$deb"
    printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n\n' "$(basename "$deb")" "$(stat -c %s "$deb")" "$(sha256sum "$deb" | cut -d' ' -f1)"
  done >"$root/srv/archive/Packages"
  echo 'deb [trusted=yes] file:/srv/archive ./' >"$root/etc/apt/sources.list"
  rm -rf "$apt"
}

# The kernel hands aarch64 programs to qemu: opened once (F), so that it works in other roots; with the caller's rights (C), so that sudo works.
emulate() {
  need qemu-aarch64-static=qemu-user-static
  local misc=/proc/sys/fs/binfmt_misc
  mountpoint -q "$misc" || mount -t binfmt_misc binfmt_misc "$misc"
  [ ! -e "$misc/plumbline-aarch64" ] || return 0
  printf '%s' ':plumbline-aarch64:M::\x7f\x45\x4c\x46\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00:\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:/usr/libexec/qemu-binfmt/aarch64-binfmt-P:PFC' >"$misc/register"
}

adapt_to_emulation() {
  local root=$1 unit
  # qemu-user 7.2 answers EINVAL to what LoadCredential= needs.
  for unit in systemd-sysusers systemd-tmpfiles-setup systemd-tmpfiles-setup-dev systemd-sysctl; do
    install -D -m 644 /dev/stdin "$root/etc/systemd/system/$unit.service.d/emulated.conf" <<<$'[Service]\nLoadCredential=\nSetCredential='
  done
  # The processor of a Pi 4, for every service.
  install -D -m 644 /dev/stdin "$root/etc/systemd/system.conf.d/emulated.conf" <<<$'[Manager]\nDefaultEnvironment=QEMU_CPU=cortex-a72'
}

give_processor() {
  local root=$1
  cpuinfo >"$LAB/cpuinfo.pi4"
  # nspawn looks for it in the Pi's own root, at the path that it has here.
  install -D -m 644 "$LAB/cpuinfo.pi4" "$root$LAB/cpuinfo.pi4"
  # Whoever comes by SSH, and whom sudo lets through, has the Pi's processor too.
  echo QEMU_CPU=cortex-a72 >>"$root/etc/environment"
  echo 'Defaults env_keep += "QEMU_CPU"' >"$root/etc/sudoers.d/emulated"
  # A unit with ProtectProc= has a /proc of its own, and in it this machine's processor.
  install -m 644 "$LAB/cpuinfo.pi4" "$root/etc/cpuinfo.pi4"
  install -D -m 644 /dev/stdin "$root/etc/systemd/system/plumbline-edge.service.d/emulated.conf" <<<$'[Service]\nBindReadOnlyPaths=/etc/cpuinfo.pi4:/proc/cpuinfo'
}

up() {
  local name=$1 ip=$2 arch=${3:-amd64} pi=$LAB/pis/$1 root patience=150 emulation=()
  need systemd-nspawn=systemd-container ip=iproute2 ssh=openssh-client
  build_rootfs "$arch"
  root=$(rootfs_of "$arch")
  [ "$arch" = amd64 ] || { emulate; patience=600; emulation=("--bind-ro=$LAB/cpuinfo.pi4:/proc/cpuinfo" --setenv=QEMU_CPU=cortex-a72); }
  [ ! -e "$pi" ] || die "$name is there already; run: $0 down $name"
  ip link show "$BRIDGE" >/dev/null 2>&1 || { ip link add "$BRIDGE" type bridge; ip addr add "$HOST_IP/24" dev "$BRIDGE"; ip link set "$BRIDGE" up; }
  # A Docker engine has the kernel drop what bridges forward, from one Pi to another too.
  ! command -v iptables >/dev/null || iptables -C "${TALK[@]}" 2>/dev/null || iptables -I "${TALK[@]}"
  mkdir -p "$pi"/{upper,work,root}
  mount -t overlay overlay -o "lowerdir=$root,upperdir=$pi/upper,workdir=$pi/work" "$pi/root"
  [ "$arch" = amd64 ] || give_processor "$pi/root"
  echo "$name" >"$pi/root/etc/hostname"
  printf '127.0.0.1 localhost\n127.0.1.1 %s\n' "$name" >"$pi/root/etc/hosts"
  ip netns add "$name"
  ip link add "v$name" type veth peer name host0 netns "$name"
  ip link set "v$name" master "$BRIDGE" up
  ip -n "$name" link set lo up
  ip -n "$name" addr add "$ip/24" dev host0
  ip -n "$name" link set host0 up
  echo "$ip" >"$pi/ip"
  # nspawn ends with 133 when the guest reboots: boot it again, as a Pi would.
  # shellcheck disable=SC2016
  nohup bash -c 'while :; do "$@"; [ $? = 133 ] || break; done' _ \
    systemd-nspawn --quiet --register=no --keep-unit --capability=CAP_NET_ADMIN --boot --machine="$name" --directory="$pi/root" --network-namespace-path="/run/netns/$name" \
    --resolv-conf=off --timezone=off --console=pipe ${emulation[@]+"${emulation[@]}"} >"$pi/console.log" 2>&1 </dev/null &
  echo $! >"$pi/pid"
  for _ in $(seq "$patience"); do
    # A connection alone is not enough: until the boot is over, sshd answers and then refuses users.
    ! on "$name" true 2>/dev/null || return 0
    sleep 0.2
  done
  tail -n 20 "$pi/console.log" >&2
  down "$name"
  die "$name did not answer SSH at $ip in $((patience / 5)) s"
}

on() {
  local name=$1
  shift
  ssh -i "$KEY" -o UserKnownHostsFile=/dev/null -o StrictHostKeyChecking=no -o LogLevel=ERROR -o BatchMode=yes -o ConnectTimeout=2 -o ServerAliveInterval=5 \
    "pi@$(cat "$LAB/pis/$name/ip")" "$@"
}

down() {
  local name=$1 pi=$LAB/pis/$1 loop guest init
  [ -e "$pi" ] || return 0
  loop=$(cat "$pi/pid" 2>/dev/null || true)
  if [ -n "$loop" ] && kill -0 "$loop" 2>/dev/null; then
    guest=$(pgrep -P "$loop" || true)
    init=$([ -z "$guest" ] || pgrep -P "$guest" || true)
    [ -z "$guest" ] || kill -TERM "$guest" 2>/dev/null || true
    for _ in $(seq 100); do kill -0 "$loop" 2>/dev/null || break; sleep 0.1; done
    # An emulated Pi does not stop when it is told to, and its init outlives the nspawn that began it.
    # shellcheck disable=SC2086 # the guest's number and its init's, or nothing
    kill -KILL $guest $init "$loop" 2>/dev/null || true
  fi
  umount "$pi/root" 2>/dev/null || umount -l "$pi/root" 2>/dev/null || true
  ip link del "v$name" 2>/dev/null || true
  ip netns del "$name" 2>/dev/null || true
  rm -rf "$pi"
}

down_all() {
  local pi
  for pi in "$LAB"/pis/*/; do [ ! -e "$pi" ] || down "$(basename "$pi")" & done
  wait
  iptables -D "${TALK[@]}" 2>/dev/null || true
  ip link del "$BRIDGE" 2>/dev/null || true
}

case ${1:-},$# in
  rootfs,1 | rootfs,2) build_rootfs "${2:-amd64}" && rootfs_of "${2:-amd64}" ;;
  up,3 | up,4) up "${@:2}" ;;
  cut,2) ip link set "v$2" down ;;
  join,2) ip link set "v$2" up ;;
  down,2) down "$2" ;;
  down-all,1) down_all ;;
  ssh,1 | ssh,2) die "ssh what?" ;;
  ssh,*) on "${@:2}" ;;
  *) sed -n '2,9p' "$0" | cut -c3- >&2; exit 2 ;;
esac
