#!/usr/bin/env bash
# A SOAP service for tests, made of soap/items.wsdl by the npm package soap. Needs npm and Node 20 or newer.
#
#   soap.sh start   install if needed, start it, print its address
#   soap.sh stop    end it and delete its files
#
# It ends with 77 where the machine lacks what it needs, and says what.
#
# WAYBILL_SOAP_PORT  default 4106
# XDG_CACHE_HOME     packages and data lie in $XDG_CACHE_HOME/waybill/soap (default ~/.cache/waybill/soap)
set -euo pipefail
. "$(dirname "$0")/npm.sh"

name=soap
port=${WAYBILL_SOAP_PORT:-4106}
setup

case ${1:-} in
start)
  machine_node
  begin
  (cd "$data" && PORT=$port exec setsid node server.js >out 2>&1 </dev/null) &
  await 'ready for tests'
  echo "http://127.0.0.1:$port/items"
  ;;
stop) finish ;;
*) usage ;;
esac
