#!/bin/bash
# A real Docker engine on a machine without systemd, and a base image where no image registry can be reached.
#   docker.sh start       start dockerd unless one answers already
#   docker.sh base        make the stand-ins for the images that the project starts from (about 2 minutes; cached)
#   docker.sh stop        stop the dockerd that `start` started
set -euo pipefail
. "$(dirname "$0")/lib.sh"
BASE=python:3.11-slim-bookworm

start() {
  need dockerd=docker.io iptables=iptables
  ! docker version >/dev/null 2>&1 || { echo "a Docker engine is up already"; return 0; }
  nohup dockerd --pidfile "$LAB/dockerd.pid" >"$LAB/dockerd.log" 2>&1 </dev/null &
  for _ in $(seq 60); do ! docker version >/dev/null 2>&1 || return 0; sleep 0.5; done
  tail -n 20 "$LAB/dockerd.log" >&2
  die "dockerd did not come up in 30 s"
}

stop() {
  [ -e "$LAB/dockerd.pid" ] || return 0
  local pid
  pid=$(cat "$LAB/dockerd.pid")
  kill -TERM "$pid" 2>/dev/null || true
  for _ in $(seq 100); do kill -0 "$pid" 2>/dev/null || return 0; sleep 0.2; done
  die "dockerd ($pid) does not stop"
}

# Debian's own Python under the tag that the Dockerfiles start from. This machine's certificates and pip settings go into the base alone.
build_base_tar() {
  local root=$LAB/base-root url
  [ ! -e "$LAB/base.tar" ] || return 0
  need debootstrap=debootstrap
  url=$(mirror)
  rm -rf "$root"
  debootstrap --variant=minbase --include=ca-certificates,python3,python3-pip,python3-venv,netbase,tzdata bookworm "$root" "$url" \
    >"$LAB/debootstrap-base.log" 2>&1 || { tail -n 20 "$LAB/debootstrap-base.log" >&2; die "debootstrap failed"; }
  rm -f "$root/usr/lib/python3.11/EXTERNALLY-MANAGED"
  local name
  for name in python python3 python3.11; do ln -s /usr/bin/python3.11 "$root/usr/local/bin/$name"; done
  for name in pip pip3; do ln -s /usr/bin/pip3 "$root/usr/local/bin/$name"; done
  cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
  [ ! -e /etc/pip.conf ] || cp /etc/pip.conf "$root/etc/pip.conf"
  install -m 755 /dev/stdin "$root/usr/sbin/policy-rc.d" <<<$'#!/bin/sh\nexit 101'
  printf 'deb %s bookworm main\ndeb %s bookworm-updates main\n' "$url" "$url" >"$root/etc/apt/sources.list"
  rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/* "$root"/usr/share/{doc,man,locale}/*
  tar -C "$root" -cf "$LAB/base.tar.part" . && mv "$LAB/base.tar.part" "$LAB/base.tar"
  rm -rf "$root"
}

base() {
  start
  docker image inspect "$BASE" >/dev/null 2>&1 || {
    build_base_tar
    docker import --change 'CMD ["python3"]' --change 'ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin' \
      --change 'ENV LANG=C.UTF-8' "$LAB/base.tar" "$BASE" >/dev/null
  }
}

case ${1:-} in
  start) start ;;
  base) base ;;
  stop) stop ;;
  *) sed -n '2,5p' "$0" | cut -c3- >&2; exit 2 ;;
esac
