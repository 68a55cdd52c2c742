#!/bin/bash
# A bill of materials made by cyclonedx-gomod names another licence than the module has, with full confidence: golang.org/x/text, sys and sync are
# BSD-3-Clause, and the bill says BSD-Source-Code.
#
# Seen with cyclonedx-gomod 1.10.0 (app -licenses) and golang.org/x/text v0.43.0 on 2026-11-29. The LICENSE file of these modules has the three clauses of
# BSD-3-Clause and nothing of the attribution that BSD-Source-Code asks for. The same tool says BSD-3-Clause of github.com/google/uuid v1.6.0, whose
# text differs in the name of its author alone. BSD-Source-Code is not approved by the OSI, so a check that lets the usual licences pass refuses
# every program that is built of Go's own modules, and one that lists what must be named in a product names the wrong text.
set -euo pipefail
dir=$(mktemp -d)
trap 'chmod -R u+w "$dir"; rm -rf "$dir"' EXIT
cd "$dir"
export GOFLAGS=-mod=mod GOPATH="$dir/go"
mkdir app
cd app
cat >go.mod <<'MOD'
module example.com/app
go 1.25
require (
	github.com/google/uuid v1.6.0
	golang.org/x/text v0.43.0
)
MOD
cat >main.go <<'GO'
package main

import (
	"fmt"

	"github.com/google/uuid"
	"golang.org/x/text/language"
)

func main() { fmt.Println(uuid.NewString(), language.German) }
GO
go mod tidy >/dev/null 2>&1
git init -q . # the tool wants the version of what it looks at
git add -A
git -c user.name=nobody -c user.email=nobody@example.com commit -qm first
go run github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0 app -json -licenses -noserial -output ../sbom.json . 2>/dev/null
said=$(python3 - <<'PYTHON'
import json
for c in json.load(open("../sbom.json"))["components"]:
    print(c["name"], c["version"], *(l["license"]["id"] for l in c["evidence"]["licenses"]))
PYTHON
)
echo "$said"
echo "the licence of golang.org/x/text:"
text=$(cat "$GOPATH/pkg/mod/golang.org/x/text@v0.43.0/LICENSE")
echo "$text" | sed -n '1,20p'
grep -q 'Neither the name of' <<<"$text" # the third clause of BSD-3-Clause
! grep -qi 'acknowledg' <<<"$text"       # what BSD-Source-Code asks for
grep -qx 'github.com/google/uuid v1.6.0 BSD-3-Clause' <<<"$said"
grep -qx 'golang.org/x/text v0.43.0 BSD-Source-Code' <<<"$said"
echo "as stated"
