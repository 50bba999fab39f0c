#!/bin/sh
# usage: plumbline-registry-backup STATE BACKUPS KEEP PYTHON: copies the registry's state to BACKUPS/plumbline-registry-<time>.tar
# and keeps the newest KEEP. A copy appears whole or not at all.
set -eu
umask 077
[ $# = 4 ] || { sed -n 2,3p "$0" | cut -c3- >&2; exit 2; }
state=$1 backups=$2 keep=$3 python=$4
part=$backups/plumbline-registry.tar.part
trap 'rm -f "$state/backup.sqlite3" "$part"' EXIT
trap 'exit 1' INT TERM
# What a run that was killed left.
rm -f "$state/backup.sqlite3" "$backups"/plumbline-registry*.tar.part
# The database first: every blob that it names is on the disk before its row is.
"$python" -c 'import sqlite3, sys; sqlite3.connect(sys.argv[1]).backup(sqlite3.connect(sys.argv[2]))' \
  "$state/registry.sqlite3" "$state/backup.sqlite3"
set -- backup.sqlite3 blobs
# There from the first token on.
[ ! -e "$state/tokens.json" ] || set -- "$@" tokens.json
# 1: something changed or went while it was read. Named blobs never change, and those that go are named no more.
tar -C "$state" --exclude=blobs/incoming --transform='s/^backup.sqlite3$/registry.sqlite3/' -cf "$part" "$@" || [ $? = 1 ]
sync "$part"
mv "$part" "$backups/plumbline-registry-$(date +%Y%m%dT%H%M%S).tar"
# The names hold the time.
find "$backups" -maxdepth 1 -name 'plumbline-registry-*.tar' | sort -r | tail -n "+$((keep + 1))" | xargs -r rm -f
