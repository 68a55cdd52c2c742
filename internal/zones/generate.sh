#!/usr/bin/env bash
# Writes zones.zip from the IANA time zone data (public domain) as the package tzdata of PyPI carries it, and beside it nothing: the file's comment is
# the version. Needs Python 3 with pip. Usage: internal/zones/generate.sh [VERSION OF THE PACKAGE], for example 2026.6, which is the data's 2026f.
set -euo pipefail
cd "$(dirname "$0")"
version=${1:-2026.6}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m pip download -q --no-deps -d "$work" "tzdata==$version"
python3 - "$work"/tzdata-*.whl zones.zip <<'PY'
import re, sys, zipfile

wheel = zipfile.ZipFile(sys.argv[1])
root = "tzdata/zoneinfo/"
iana = re.search(r'IANA_VERSION = "(\w+)"', wheel.read("tzdata/__init__.py").decode()).group(1)
zones = {n[len(root):]: wheel.read(n) for n in wheel.namelist() if n.startswith(root) and wheel.read(n)[:4] == b"TZif"}
out = zipfile.ZipFile(sys.argv[2], "w", zipfile.ZIP_DEFLATED, compresslevel=9)
out.comment = iana.encode()
for name in sorted(zones):
    info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))  # the same data give the same bytes
    info.compress_type = zipfile.ZIP_DEFLATED
    out.writestr(info, zones[name])
out.close()
print(f"{len(zones)} zones of {iana}")
PY
