#!/bin/bash
# A real Docker engine on a machine without systemd, and a base image where no image registry can be reached.
#   docker.sh start       start dockerd unless one answers already
#   docker.sh images      get the images that the project starts from; where they cannot be pulled, make stand-ins under their tags (cached)
#   docker.sh compose ... docker compose, which is fetched where the engine comes without it
#   docker.sh stop        stop the dockerd that `start` started
set -euo pipefail
# shellcheck source=/dev/null
. "$(dirname "$0")/lib.sh"
BASE=python:3.11-slim-bookworm
PROMETHEUS=prom/prometheus:v2.53.2

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

have() { docker image inspect "$1" >/dev/null 2>&1 || timeout 120 docker pull --quiet "$1" >/dev/null 2>&1; }

images() {
  start
  have "$BASE" || {
    echo "$BASE cannot be pulled: making a stand-in of Debian's packages" >&2
    build_base_tar
    docker import --change 'CMD ["python3"]' --change 'ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin' \
      --change 'ENV LANG=C.UTF-8' "$LAB/base.tar" "$BASE" >/dev/null
  }
  # Debian's Prometheus, laid out as the project's own image is: user nobody, data in /prometheus.
  have "$PROMETHEUS" ||
    printf '%s\n' "FROM $BASE" \
      'RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends prometheus >/dev/null && install -d -o nobody -g nogroup /prometheus' \
      'USER nobody' 'VOLUME /prometheus' 'WORKDIR /prometheus' 'ENTRYPOINT ["prometheus"]' |
    docker build --quiet --tag "$PROMETHEUS" - >/dev/null
}

# Debian 13's package of the compose plugin is one static program: unpacked into the lab, nothing is installed.
compose() {
  local tools=$LAB/docker-config apt=$LAB/apt
  if ! docker compose version >/dev/null 2>&1; then
    if [ ! -x "$tools/cli-plugins/docker-compose" ]; then
      mkdir -p "$tools/cli-plugins" "$apt/lists/partial"
      echo "deb $(mirror) trixie main" >"$apt/sources.list"
      local options=(-qq -o APT::Sandbox::User=root -o "Dir::Etc::sourcelist=$apt/sources.list" -o Dir::Etc::sourceparts=/dev/null -o "Dir::State::lists=$apt/lists")
      apt-get "${options[@]}" update
      (cd "$apt" && apt-get "${options[@]}" download docker-compose)
      dpkg-deb --fsys-tarfile "$apt"/docker-compose_*.deb | tar -xO ./usr/libexec/docker/cli-plugins/docker-compose >"$tools/cli-plugins/.part"
      chmod 755 "$tools/cli-plugins/.part"
      mv "$tools/cli-plugins/.part" "$tools/cli-plugins/docker-compose"
    fi
    export DOCKER_CONFIG=$tools
  fi
  docker compose "$@"
}

case ${1:-} in
  start) start ;;
  images) images ;;
  compose) compose "${@:2}" ;;
  stop) stop ;;
  *) sed -n '2,6p' "$0" | cut -c3- >&2; exit 2 ;;
esac
