#!/bin/bash
# SAP CAP writes over an object that is there although the request says If-None-Match: *.
#
# Seen with @sap/cds 10.1.1 on 2026-11-30: PATCH of Books('A'), which is there, with "If-None-Match: *" answers 200, and the title is the new one. OData (4.01,
# Protocol 8.2.5) has the request fail with 412 where the resource exists, and CAP does so where the entity has an ETag (@odata.etag): there it answers 412.
# So "create, and never overwrite" by PATCH cannot be left to the header: a client has to look first.
set -euo pipefail
dir=$(mktemp -d)
pid=
trap '[ -n "$pid" ] && kill "$pid" 2>/dev/null; rm -rf "$dir"' EXIT
cd "$dir"
cat > package.json <<'JSON'
{ "name": "cap-if-none-match", "version": "1.0.0", "private": true,
  "dependencies": { "@cap-js/sqlite": "3.1.1", "@sap/cds": "10.1.1", "express": "5.3.0", "node": "24" },
  "cds": { "requires": { "auth": { "kind": "dummy" }, "db": { "kind": "sqlite", "credentials": { "url": ":memory:" } } } } }
JSON
mkdir srv
echo 'service S @(path: '"'"'s'"'"') { entity Books { key ID : String(20); title : String; } entity Stamped { key ID : String(20); title : String; @odata.etag modified : Timestamp @cds.on.update : $now @cds.on.insert : $now; } }' > srv/s.cds
npm install --no-audit --no-fund --silent > /dev/null 2>&1
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
PORT=$port node_modules/node/bin/node node_modules/.bin/cds-serve > server.log 2>&1 &
pid=$!
base=http://127.0.0.1:$port/odata/v4/s
for _ in $(seq 1 200); do curl -s -o /dev/null "$base/" && break; sleep 0.1; done

write() { # set, title, headers…
  local set=$1 title=$2; shift 2
  curl -s -o /dev/null -w '%{http_code}' -X PATCH -H 'content-type: application/json' "$@" "$base/$set('A')" -d "{\"title\":\"$title\"}"
}
title() { curl -s "$base/$1('A')" | sed -n 's/.*"title":"\([^"]*\)".*/\1/p'; }

for set in Books Stamped; do curl -s -o /dev/null -X POST -H 'content-type: application/json' "$base/$set" -d '{"ID":"A","title":"first"}'; done
plain=$(write Books second -H 'If-None-Match: *') stamped=$(write Stamped second -H 'If-None-Match: *')
echo "@sap/cds $(node_modules/node/bin/node -p 'require("@sap/cds/package.json").version')"
echo "without an ETag: $plain, and the title is $(title Books); with one: $stamped, and the title is $(title Stamped)"
[ "$plain" = 200 ] && [ "$(title Books)" = second ] && [ "$stamped" = 412 ] && [ "$(title Stamped)" = first ] || exit 1
echo "the object was written over"
