#!/bin/bash
# Two parsers of EDIFACT delete every blank of an interchange that has no release character.
#
# Seen with edifact 1.2.12 (npm) and pydifact 0.2.3 (PyPI) on 2026-11-30: the service string advice "UNA:+.  '" has a blank in the place of the release character, which says (ISO 9735) that there is none.
# Both take the blank for the release character and leave it out of the texts: "Ramp 3 is open" is read as "Ramp3isopen". Names, addresses and free texts are changed, and nothing says so.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
printf "UNA:+.  'UNB+UNOC:3+A:14+B:14+260115:1000+1'UNH+1+ORDERS:D:96A:UN'FTX+AAI+++Ramp 3 is open'UNT+3+1'UNZ+1+1'" > order.edi
echo '{"name": "edifact-no-release", "private": true, "dependencies": {"edifact": "1.2.12"}}' > package.json
npm install --no-audit --no-fund --silent > /dev/null 2>&1
python3 -m venv python && python/bin/pip install -q --disable-pip-version-check pydifact==0.2.3

node=$(node -p '
  const Reader = require("edifact/reader.js")
  new Reader().parse(require("fs").readFileSync("order.edi", "latin1")).find(s => s.name === "FTX").elements[3][0]')
python=$(python/bin/python -W ignore -c '
from pydifact.segmentcollection import Interchange
for message in Interchange.from_file("order.edi", encoding="iso8859-1").get_messages():
    print(next(s.elements[3] for s in message.segments if s.tag == "FTX"))')
echo "edifact $(node -p 'require("edifact/package.json").version'): $node"
echo "pydifact $(python/bin/python -c 'from importlib.metadata import version; print(version("pydifact"))'): $python"
[ "$node" = Ramp3isopen ] && [ "$python" = Ramp3isopen ] || exit 1
echo "the blanks are gone"
