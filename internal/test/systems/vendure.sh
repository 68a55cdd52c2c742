#!/usr/bin/env bash
# Vendure, a shop with a GraphQL API, for tests, as vendure/server.js sets it up. Needs npm, Node 20 or newer, and a PostgreSQL.
#
#   vendure.sh start   install if needed, start it, print its address and the API key of its administrator
#   vendure.sh stop    end it and delete its files
#
# It ends with 77 where the machine lacks what it needs, and says what.
#
# WAYBILL_VENDURE_POSTGRES  URL of an empty database, or of a schema with ?search_path=
# WAYBILL_VENDURE_PORT      default 4105
# XDG_CACHE_HOME            packages and data lie in $XDG_CACHE_HOME/waybill/vendure (default ~/.cache/waybill/vendure); where data-PORT/hook.json there names a
#                           url and a secret, orders that are placed are posted to it; Vendure is under the GPL, and nothing of it is part of this project
set -euo pipefail
. "$(dirname "$0")/npm.sh"

name=vendure
port=${WAYBILL_VENDURE_PORT:-4105}
setup

case ${1:-} in
start)
  : "${WAYBILL_VENDURE_POSTGRES:?names no database}"
  machine_node
  begin
  (cd "$data" && PORT=$port VENDURE_DISABLE_TELEMETRY=true exec setsid node server.js >out 2>&1 </dev/null) &
  await 'ready for tests'
  echo "http://127.0.0.1:$port $(cat "$data/key")"
  ;;
stop) finish ;;
*) usage ;;
esac
