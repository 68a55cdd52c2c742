#!/usr/bin/env bash
# Holds the API of two running hubs, one without tokens and one with, against its description: internal/api/openapi.json. Schemathesis asks every
# route for what the description allows and for what it does not (wrong types, methods, content types, letters of any script), and looks at
# every answer, but that of the event stream, which has no end to wait for. Version and seed are pinned. Exits 0 when nothing deviates, 77 when the tool cannot be had, else 1.
#
# `make schemathesis` is the whole run, of two to three minutes. QUICK=1, for `make test`, takes about half a minute: without chains of requests,
# with fewer examples, and without the check that a wrong token is refused at each route, because a hub has wrong tokens wait (TestEveryRouteAsksForAToken asks each).
set -uo pipefail
cd "$(dirname "$0")/../.."
here=$PWD/internal/test
seed=${SEED:-20261129}
if [ -n "${QUICK:-}" ]; then
  examples=${EXAMPLES:-1}; phases=${PHASES:-examples,coverage,fuzzing}; without=(--exclude-checks ignored_auth)
else
  examples=${EXAMPLES:-10}; phases=${PHASES:-examples,coverage,fuzzing,stateful}; without=()
fi
work=$(mktemp -d)
pids=()
finish() {
  for p in ${pids[@]+"${pids[@]}"}; do kill -TERM "$p" 2>/dev/null; done
  for p in ${pids[@]+"${pids[@]}"}; do wait "$p" 2>/dev/null; done
  rm -rf "$work"
}
trap finish EXIT

version=$(sed -n 's/^schemathesis==//p' "$here/schemathesis.txt")
tool=${SCHEMATHESIS:-}
if [ -z "$tool" ]; then
  cache=${XDG_CACHE_HOME:-$HOME/.cache}/waybill/schemathesis-$version
  tool=$cache/bin/schemathesis
  if ! "$tool" --version >/dev/null 2>&1; then
    python3 -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))' 2>/dev/null || { echo "it needs python3 (3.10 or newer) with venv" >&2; exit 77; }
    rm -rf "$cache"
    { python3 -m venv "$cache" && "$cache/bin/pip" install -q --disable-pip-version-check -r "$here/schemathesis.txt"; } >"$work/pip.log" 2>&1 ||
      { echo "schemathesis $version cannot be installed: $(tail -1 "$work/pip.log")" >&2; rm -rf "$cache"; exit 77; }
  fi
fi
"${GO:-go}" build -o "$work/waybill" ./cmd/waybill || exit 1

# free prints a port that nobody listens on now.
free() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
up() { # url
  for _ in $(seq 150); do "$work/waybill" health --url "$1" >/dev/null 2>&1 && return 0; sleep 0.2; done
  echo "the hub at $1 does not come up" >&2; return 1
}
hold() { # what, url, header
  echo "== a hub $1"
  "$tool" --config-file "$here/schemathesis.toml" run "$2/openapi.json" --url "$2" ${3:+-H "$3"} --phases "$phases" --seed "$seed" --max-examples "$examples" ${without[@]+"${without[@]}"} \
    --exclude-path /api/v1/events --continue-on-failure --request-timeout 60 --workers 1 --no-color >"$work/$1.log" 2>&1
  local code=$?
  if [ $code = 0 ]; then tail -4 "$work/$1.log"; else sed -n '/= FAILURES =/,$p;/= ERRORS =/,$p' "$work/$1.log" | head -200; tail -30 "$work/$1.log"; fi
  return $code
}

code=0
# Without tokens: the demo, whose flows poll and push.
port=$(free)
(cd "$work" && exec ./waybill demo --rate 1 --listen "127.0.0.1:$port" --data "$work/demo") >"$work/demo.log" 2>&1 &
pids+=($!)
up "http://127.0.0.1:$port" || { tail "$work/demo.log"; exit 1; }
hold without-tokens "http://127.0.0.1:$port" || code=1
kill -KILL "${pids[0]}"; wait "${pids[0]}" 2>/dev/null; pids=() # flows that were paused by what was asked would have it wait

# With tokens: deliveries that do not fit their schema wait for a person.
api=$(free); hooks=$(free)
mkdir -p "$work/hub/configs" "$work/hub/flows" "$work/hub/schemas/shop"
cat >"$work/hub/configs/waybill.yaml" <<Y
http: {listen: "127.0.0.1:$api", tokens: [{name: ann, value: "\${env:TOKEN}"}]}
hooks: {listen: "127.0.0.1:$hooks"}
backup: {dir: backups}
systems: {shop: {connector: webhook}}
Y
cat >"$work/hub/flows/orders.yaml" <<Y
flow: shop-orders
entity: order
from: {system: shop, webhook: {path: shop/orders, verify: {scheme: bearer, secret: "\${env:SENDER}"}}}
accept: shop/order.v1
key: source.number
to: {topic: canonical.order}
Y
echo '{"$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "required": ["number", "total"], "properties": {"number": {"type": "string"}, "total": {"type": "number"}}}' \
  >"$work/hub/schemas/shop/order.v1.json"
TOKEN=$(python3 -c 'import secrets; print(secrets.token_hex(16))'); SENDER=$(python3 -c 'import secrets; print(secrets.token_hex(16))')
export TOKEN SENDER
(cd "$work/hub" && exec ../waybill run -c configs/waybill.yaml) >"$work/hub.log" 2>&1 &
pids+=($!)
up "http://127.0.0.1:$api" || { tail "$work/hub.log"; exit 1; }
for i in 1 2 3 4 5 6; do
  python3 - "$hooks" "$i" <<'P' || code=1
import json, os, sys, urllib.request
number = ["SO-1001", "Ä-1", "Ä-2"][int(sys.argv[2]) % 3] # the first is the example of the description
body = json.dumps({"number": number, "note": "☃"}).encode()
urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{sys.argv[1]}/hooks/shop/orders", body, {"Authorization": "Bearer " + os.environ["SENDER"], "Content-Type": "application/json"}))
P
done
hold with-tokens "http://127.0.0.1:$api" "Authorization: Bearer $TOKEN" || code=1
"$work/waybill" health --url "http://127.0.0.1:$api" >/dev/null || { echo "the hub has not survived"; tail -20 "$work/hub.log"; code=1; }
[ -f "$work/hub/backups/2026-11-29/manifest.json" ] || { echo "the copy that the description's example asks for is not there"; code=1; }
if grep -q "$TOKEN" "$work/hub.log"; then echo "the log shows the token"; code=1; fi
if grep -n 'panic' "$work/hub.log" "$work/demo.log"; then code=1; fi
[ $code = 0 ] && echo "schemathesis $version, seed $seed: nothing deviates"
exit $code
