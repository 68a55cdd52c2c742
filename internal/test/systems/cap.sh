#!/usr/bin/env bash
# SAP's OData runtime (CAP for Node) for tests, with the model in cap/: V4 at /odata/v4/SERVICE, V2 at /odata/v2/SERVICE, data in memory. Needs npm.
#
#   cap.sh start   install if needed, start it, print its address
#   cap.sh stop    end it and delete its data
#
# It ends with 77 where the machine lacks what it needs, and says what.
#
# WAYBILL_CAP_PORT  default 4104
# XDG_CACHE_HOME    packages and data lie in $XDG_CACHE_HOME/waybill/cap (default ~/.cache/waybill/cap); SAP's licence allows tests, and nothing of it
#                   is part of this project
set -euo pipefail

port=${WAYBILL_CAP_PORT:-4104}
home=${XDG_CACHE_HOME:-$HOME/.cache}/waybill/cap
model=$(cd "$(dirname "$0")" && pwd)/cap
packages=$home/$(sha256sum "$model/package.json" | cut -c1-12)
data=$home/data-$port

fail() { # status, why
  echo "cap.sh: $2" >&2
  exit "$1"
}

install() {
  [ -e "$packages/.complete" ] && return
  command -v npm >/dev/null || fail 77 "npm is missing: install the packages nodejs and npm"
  rm -rf "$packages.part" && mkdir -p "$packages.part"
  cp "$model/package.json" "$packages.part/"
  (cd "$packages.part" && npm install --no-audit --no-fund --no-package-lock >npm.log 2>&1) || fail 77 "the packages cannot be had from the registry: $(tail -2 "$packages.part/npm.log" | tr '\n' ' ')"
  touch "$packages.part/.complete"
  rm -rf "$packages" && mv "$packages.part" "$packages"
}

# node is that of the packages: the runtime needs a newer one than many machines have.
node() {
  local n
  for n in "$packages"/node_modules/node/node_modules/.bin/node "$packages"/node_modules/node/bin/node; do
    if "$n" --version >/dev/null 2>&1; then echo "$n"; return; fi
  done
  command -v node >/dev/null || fail 77 "node is missing: install the package nodejs, 22 or newer"
  echo node
}

case ${1:-} in
start)
  [ -d "$data" ] && fail 1 "$data exists: stop first, or choose another WAYBILL_CAP_PORT"
  install
  mkdir -p "$data"
  cp -r "$model/." "$data/"
  ln -s "$packages/node_modules" "$data/node_modules"
  n=$(node)
  (cd "$data" && PORT=$port HOST=127.0.0.1 NO_TELEMETRY=true exec setsid "$n" node_modules/@sap/cds/bin/serve.js >out 2>&1 </dev/null) &
  echo $! >"$data/pid"
  until grep -q 'launched in' "$data/out" 2>/dev/null; do
    kill -0 "$(cat "$data/pid")" 2>/dev/null || fail 1 "it ended: $(tail -5 "$data/out" 2>/dev/null)"
    [ "$SECONDS" -lt 120 ] || fail 1 "it has not come up in two minutes: see $data/out"
    sleep 0.1
  done
  echo "http://127.0.0.1:$port"
  ;;
stop)
  [ -d "$data" ] || exit 0
  if [ -e "$data/pid" ]; then
    pid=$(cat "$data/pid")
    kill "$pid" 2>/dev/null || true
    for _ in $(seq 50); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
    kill -KILL "$pid" 2>/dev/null || true
  fi
  rm -rf "$data"
  ;;
*)
  sed -n '2,12s/^# \{0,1\}//p' "$0" >&2
  exit 2
  ;;
esac
