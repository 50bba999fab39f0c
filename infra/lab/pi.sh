#!/bin/bash
# A stand-in Raspberry Pi: Debian with a real systemd, SSH and sudo, in a network namespace of its own. It has no way out of the lab's network.
#   pi.sh rootfs          build the root filesystem once (about a minute; cached)
#   pi.sh up NAME IP      boot one, for instance pi01 10.79.0.11; the host is 10.79.0.1
#   pi.sh ssh NAME ...    run a command on it as user pi, who may sudo
#   pi.sh down NAME       stop it and forget its disk
#   pi.sh down-all        stop all and remove the network
set -euo pipefail
# shellcheck source=/dev/null
. "$(dirname "$0")/lib.sh"
ROOTFS=$LAB/pi-rootfs
KEY=$LAB/id_ed25519
BRIDGE=plumb0
HOST_IP=10.79.0.1

build_rootfs() {
  [ ! -e "$ROOTFS/.complete" ] || return 0
  need debootstrap=debootstrap ssh-keygen=openssh-client
  echo "building the stand-in Pi's root filesystem (once, about a minute)" >&2
  rm -rf "$ROOTFS"
  [ -e "$KEY" ] || ssh-keygen -q -t ed25519 -N '' -C plumbline-lab -f "$KEY"
  debootstrap --include=systemd,systemd-sysv,dbus,openssh-server,python3,python3-venv,python3-apt,sudo,iproute2,curl,netbase,ca-certificates \
    bookworm "$ROOTFS" "$(mirror)" >"$LAB/debootstrap.log" 2>&1 || { tail -n 20 "$LAB/debootstrap.log" >&2; die "debootstrap failed"; }
  chroot "$ROOTFS" useradd --create-home --shell /bin/bash pi
  install -m 440 /dev/stdin "$ROOTFS/etc/sudoers.d/pi" <<<'pi ALL=(ALL) NOPASSWD:ALL'
  install -d -m 700 "$ROOTFS/home/pi/.ssh"
  install -m 600 "$KEY.pub" "$ROOTFS/home/pi/.ssh/authorized_keys"
  chroot "$ROOTFS" chown -R pi:pi /home/pi/.ssh
  : >"$ROOTFS/etc/machine-id"
  # The namespace's address is set from outside, there is no console, and nothing may wake up in the middle of a test.
  local unit
  for unit in systemd-networkd.service systemd-timesyncd.service getty.target console-getty.service apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer; do
    ln -sf /dev/null "$ROOTFS/etc/systemd/system/$unit"
  done
  rm -rf "$ROOTFS"/var/cache/apt/archives/*.deb
  touch "$ROOTFS/.complete"
}

up() {
  local name=$1 ip=$2 pi=$LAB/pis/$1
  need systemd-nspawn=systemd-container ip=iproute2 ssh=openssh-client
  build_rootfs
  [ ! -e "$pi" ] || die "$name is there already; run: $0 down $name"
  ip link show "$BRIDGE" >/dev/null 2>&1 || { ip link add "$BRIDGE" type bridge; ip addr add "$HOST_IP/24" dev "$BRIDGE"; ip link set "$BRIDGE" up; }
  mkdir -p "$pi"/{upper,work,root}
  mount -t overlay overlay -o "lowerdir=$ROOTFS,upperdir=$pi/upper,workdir=$pi/work" "$pi/root"
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
    systemd-nspawn --quiet --register=no --keep-unit --boot --machine="$name" --directory="$pi/root" --network-namespace-path="/run/netns/$name" \
    --resolv-conf=off --timezone=off --console=pipe >"$pi/console.log" 2>&1 </dev/null &
  echo $! >"$pi/pid"
  for _ in $(seq 150); do
    # A connection alone is not enough: until the boot is over, sshd answers and then refuses users.
    ! on "$name" true 2>/dev/null || return 0
    sleep 0.2
  done
  tail -n 20 "$pi/console.log" >&2
  down "$name"
  die "$name did not answer SSH at $ip in 30 s"
}

on() {
  local name=$1
  shift
  ssh -i "$KEY" -o UserKnownHostsFile=/dev/null -o StrictHostKeyChecking=no -o LogLevel=ERROR -o BatchMode=yes -o ConnectTimeout=2 \
    "pi@$(cat "$LAB/pis/$name/ip")" "$@"
}

down() {
  local name=$1 pi=$LAB/pis/$1 loop guest
  [ -e "$pi" ] || return 0
  loop=$(cat "$pi/pid" 2>/dev/null || true)
  if [ -n "$loop" ] && kill -0 "$loop" 2>/dev/null; then
    guest=$(pgrep -P "$loop" || true)
    [ -z "$guest" ] || kill -TERM "$guest" 2>/dev/null || true
    for _ in $(seq 100); do kill -0 "$loop" 2>/dev/null || break; sleep 0.1; done
    # shellcheck disable=SC2086 # the guest's number, or nothing
    kill -KILL $guest "$loop" 2>/dev/null || true
  fi
  umount "$pi/root" 2>/dev/null || umount -l "$pi/root" 2>/dev/null || true
  ip link del "v$name" 2>/dev/null || true
  ip netns del "$name" 2>/dev/null || true
  rm -rf "$pi"
}

down_all() {
  local pi
  for pi in "$LAB"/pis/*/; do [ ! -e "$pi" ] || down "$(basename "$pi")"; done
  ip link del "$BRIDGE" 2>/dev/null || true
}

case ${1:-},$# in
  rootfs,1) build_rootfs && echo "$ROOTFS" ;;
  up,3) up "$2" "$3" ;;
  down,2) down "$2" ;;
  down-all,1) down_all ;;
  ssh,1 | ssh,2) die "ssh what?" ;;
  ssh,*) on "${@:2}" ;;
  *) sed -n '2,7p' "$0" | cut -c3- >&2; exit 2 ;;
esac
