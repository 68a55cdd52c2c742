#!/usr/bin/env bash
# Tryton 6.0 on PostgreSQL for tests: a company with accounts, products and the user "hub", by JSON-RPC at http://127.0.0.1:PORT/erp/. Needs Python 3.9 to 3.11
# with venv, and the programs of PostgreSQL 13 or newer.
#
#   tryton.sh start        install and fill a database if needed, start it, print its address
#   tryton.sh sql [NAME]   run the SQL of standard input in the database NAME (default erp): what other programs do to it
#   tryton.sh clone NAME   make a new database as it was filled, which is served at once at /NAME/
#   tryton.sh ids          print the ids of what it was filled with, as JSON
#   tryton.sh stop         end it and delete its data
#
# It ends with 77 where the machine lacks what it needs, and says what.
#
# WAYBILL_TRYTON_PORT      of the server, default 31800; the database listens one above
# WAYBILL_TRYTON_PASSWORD  of the user "hub"; what was filled with another one is filled anew
# WAYBILL_TRYTON_PYTHON    the interpreter, default the first of python3.11, python3.10, python3.9 and python3 that does
# XDG_CACHE_HOME           packages, the filled database and data lie in $XDG_CACHE_HOME/waybill/tryton (default ~/.cache/waybill/tryton); Tryton's licence is
#                          GPL-3.0-or-later, and nothing of it is part of this project
set -euo pipefail

port=${WAYBILL_TRYTON_PORT:-31800}
dbport=$((port + 1))
export WAYBILL_TRYTON_PASSWORD=${WAYBILL_TRYTON_PASSWORD:-quiet-Harbour-7159}
home=${XDG_CACHE_HOME:-$HOME/.cache}/waybill/tryton
here=$(cd "$(dirname "$0")" && pwd)/tryton
packages=$home/$(sha256sum "$here/requirements.txt" | cut -c1-12)
filled=$home/filled-$({ cat "$here/requirements.txt" "$here/seed.py"; echo "$WAYBILL_TRYTON_PASSWORD"; date +%Y; } | sha256sum | cut -c1-12)
data=$home/data-$port
lang=C.UTF-8

fail() { # status, why
  echo "tryton.sh: $2" >&2
  exit "$1"
}

# as_owner runs a program of PostgreSQL, which refuses to run as root.
as_owner() {
  if [ "$(id -u)" = 0 ]; then runuser -u postgres -- "$@"; else "$@"; fi
}

find_postgres() {
  local p
  for p in $(ls -d /usr/lib/postgresql/*/bin /usr/pgsql-*/bin /usr/local/pgsql/bin 2>/dev/null | sort -V -r) "$(dirname "$(command -v postgres || echo /none/x)")"; do
    if [ -x "$p/initdb" ] && [ -x "$p/psql" ]; then pg=$p; return; fi
  done
  fail 77 "PostgreSQL's programs are missing: install the package postgresql"
}

find_python() {
  local p
  for p in ${WAYBILL_TRYTON_PYTHON:-python3.11 python3.10 python3.9 python3}; do
    if "$p" -c 'import sys, venv, ensurepip; sys.exit(not (3, 9) <= sys.version_info < (3, 12))' >/dev/null 2>&1; then python=$p; return; fi
  done
  fail 77 "Python 3.9, 3.10 or 3.11 with its module venv is missing: install the packages python3.11 and python3.11-venv"
}

install() {
  [ -e "$packages/.complete" ] && return
  find_python
  rm -rf "$packages" && mkdir -p "$packages"
  "$python" -m venv "$packages/venv"
  "$packages/venv/bin/pip" install --disable-pip-version-check -q -r "$here/requirements.txt" >"$packages/pip.log" 2>&1 ||
    fail 77 "the packages cannot be had from the registry: $(tail -2 "$packages/pip.log" | tr '\n' ' ')"
  touch "$packages/.complete"
}

conninfo() { echo "host=127.0.0.1 port=$dbport user=tryton dbname=$1"; }

configure() { # file
  cat >"$1" <<CONF
[web]
listen = 127.0.0.1:$port
[database]
uri = postgresql://tryton@127.0.0.1:$dbport/
path = $data/files
[session]
max_attempt = 1000
[queue]
worker = False
CONF
}

pg_start() { as_owner "$pg/pg_ctl" -D "$data/pg" -l "$data/pg/log" -w -s -o "-p $dbport -k $data/pg" start >/dev/null; }
pg_stop() { as_owner "$pg/pg_ctl" -D "$data/pg" -m fast -w -s stop >/dev/null 2>&1 || true; }

own() { if [ "$(id -u)" = 0 ]; then chown -R postgres "$1"; fi; }

# reachable lets PostgreSQL's user through to the data, where that is another one.
reachable() {
  local d=$1
  [ "$(id -u)" = 0 ] || return 0
  while [ "$d" != / ]; do
    as_owner test -x "$d" || chmod o+x "$d"
    d=$(dirname "$d")
  done
}

fill() {
  [ -e "$filled/.complete" ] && return
  rm -rf "$filled" && mkdir -p "$filled" "$data/pg" && own "$data/pg"
  reachable "$data/pg"
  as_owner "$pg/initdb" -D "$data/pg" -A trust -U tryton -E UTF8 --locale=$lang >/dev/null
  cat >>"$data/pg/postgresql.conf" <<CONF
listen_addresses = '127.0.0.1'
fsync = off
synchronous_commit = off
full_page_writes = off
jit = off
CONF
  pg_start
  "$pg/createdb" -h 127.0.0.1 -p "$dbport" -U tryton -T template0 -E UTF8 seeded
  configure "$data/trytond.conf"
  (umask 077; head -c 18 /dev/urandom | base64 >"$data/admin")
  TRYTONPASSFILE=$data/admin "$packages/venv/bin/trytond-admin" -c "$data/trytond.conf" -d seeded --email admin@example.com \
    --activate-dependencies -u sale sale_stock_quantity account_invoice_stock </dev/null >"$data/admin.log" 2>&1 ||
    { pg_stop; fail 1 "the modules cannot be activated: $(tail -3 "$data/admin.log")"; }
  "$packages/venv/bin/python" -W ignore "$here/seed.py" seeded "$data/trytond.conf" >"$filled/ids.json" 2>"$data/seed.log" ||
    { pg_stop; fail 1 "the database cannot be filled: $(tail -3 "$data/seed.log")"; }
  pg_stop
  mv "$data/pg" "$filled/pg"
  touch "$filled/.complete"
}

case ${1:-} in
start)
  [ -d "$data" ] && fail 1 "$data exists: stop first, or choose another WAYBILL_TRYTON_PORT"
  find_postgres
  install
  mkdir -p "$data/files"
  fill
  cp -a "$filled/pg" "$data/pg"
  reachable "$data/pg"
  pg_start
  "$pg/createdb" -h 127.0.0.1 -p "$dbport" -U tryton -T seeded erp
  configure "$data/trytond.conf"
  (cd "$data" && exec setsid "$packages/venv/bin/trytond" -c "$data/trytond.conf" -d erp >out 2>&1 </dev/null) &
  echo $! >"$data/pid"
  began=$SECONDS
  until curl -sf -o /dev/null -H 'Content-Type: application/json' -d '{"id":0,"method":"common.server.version","params":[]}' "http://127.0.0.1:$port/"; do
    kill -0 "$(cat "$data/pid")" 2>/dev/null || fail 1 "it ended: $(tail -5 "$data/out" 2>/dev/null)"
    [ "$((SECONDS - began))" -lt 300 ] || fail 1 "it has not come up in five minutes: see $data/out"
    sleep 0.1
  done
  echo "http://127.0.0.1:$port"
  ;;
sql)
  find_postgres
  "$pg/psql" -q -A -t -v ON_ERROR_STOP=1 "$(conninfo "${2:-erp}")"
  ;;
clone)
  find_postgres
  "$pg/createdb" -h 127.0.0.1 -p "$dbport" -U tryton -T seeded "$2"
  ;;
ids)
  cat "$filled/ids.json"
  ;;
stop)
  [ -d "$data" ] || exit 0
  find_postgres
  if [ -e "$data/pid" ]; then
    pid=$(cat "$data/pid")
    kill "$pid" 2>/dev/null || true
    for _ in $(seq 50); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
    kill -KILL "$pid" 2>/dev/null || true
  fi
  pg_stop
  rm -rf "$data"
  ;;
*)
  sed -n '2,22s/^# \{0,1\}//p' "$0" >&2
  exit 2
  ;;
esac
