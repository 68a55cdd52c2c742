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

. "$(dirname "$0")/npm.sh"

name=cap
port=${WAYBILL_CAP_PORT:-4104}
setup

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
  begin
  n=$(node)
  (cd "$data" && PORT=$port HOST=127.0.0.1 NO_TELEMETRY=true exec setsid "$n" node_modules/@sap/cds/bin/serve.js >out 2>&1 </dev/null) &
  await 'launched in'
  echo "http://127.0.0.1:$port"
  ;;
stop) finish ;;
*) usage ;;
esac
