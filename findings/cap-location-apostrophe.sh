#!/bin/bash
# SAP CAP answers a create with a Location that leads nowhere when the key holds an apostrophe.
#
# Seen with @sap/cds 10.1.1 on 2026-11-29: the key O'B2 gives "Location: Books('O'B2')", and a GET of that address is 404; a slash in the key is
# not escaped either ("Books('A/1')"). OData 4.01 (URL Conventions, 5.1.1.6.1) doubles the apostrophe inside the literal, and CAP itself answers
# 200 to Books('O''B2'). A client that follows Location as it stands, or reads the key by undoubling, has no object.
set -euo pipefail
dir=$(mktemp -d)
pid=
trap '[ -n "$pid" ] && kill "$pid" 2>/dev/null; rm -rf "$dir"' EXIT
cd "$dir"
cat > package.json <<'JSON'
{ "name": "cap-location", "version": "1.0.0", "private": true,
  "dependencies": { "@cap-js/sqlite": "3.1.1", "@sap/cds": "10.1.1", "express": "5.3.0", "node": "24" },
  "cds": { "requires": { "auth": { "kind": "dummy" }, "db": { "kind": "sqlite", "credentials": { "url": ":memory:" } } } } }
JSON
mkdir srv
echo "service S @(path: 's') { entity Books { key ID : String(20); title : String; } }" > srv/s.cds
npm install --no-audit --no-fund --silent > /dev/null 2>&1
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
PORT=$port node_modules/node/bin/node node_modules/.bin/cds-serve > server.log 2>&1 &
pid=$!
base=http://127.0.0.1:$port/odata/v4/s
for _ in $(seq 1 200); do curl -s -o /dev/null "$base/" && break; sleep 0.1; done

location() {
  curl -s -o /dev/null -D - -H 'content-type: application/json' -X POST "$base/Books" -d "{\"ID\":\"$1\"}" | tr -d '\r' | sed -n 's/^[Ll]ocation: //p'
}
status() { curl -s -o /dev/null -w '%{http_code}' "$base/$1"; }

plain=$(location "AB")
quote=$(location "O'B2")
slash=$(location "A/1")
echo "@sap/cds $(node_modules/node/bin/node -p 'require("@sap/cds/package.json").version')"
echo "AB    Location: $plain -> $(status "$plain")"
echo "O'B2  Location: $quote -> $(status "$quote"); doubled: $(status "Books('O''B2')")"
echo "A/1   Location: $slash"
[ "$plain" = "Books('AB')" ] && [ "$(status "$plain")" = 200 ] || exit 1
[ "$quote" = "Books('O'B2')" ] && [ "$(status "$quote")" != 200 ] && [ "$(status "Books('O''B2')")" = 200 ] || exit 1
[ "$slash" = "Books('A/1')" ] || exit 1
echo "the address that a create answers with is not the object's"
