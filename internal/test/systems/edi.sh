#!/usr/bin/env bash
# Other people's parsers of X12 and EDIFACT, of npm and PyPI, for tests: installs them if needed, and prints where. Needs npm and node, and python3 with venv.
#
#   edi.sh install
#
# It ends with 77 where the machine lacks what it needs, and says what.
#
# XDG_CACHE_HOME    packages lie in $XDG_CACHE_HOME/waybill/edi (default ~/.cache/waybill/edi)
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)/edi
home=${XDG_CACHE_HOME:-$HOME/.cache}/waybill/edi/$(cat "$here/package.json" "$here/requirements.txt" | sha256sum | cut -c1-12)

fail() { # status, why
  echo "edi.sh: $2" >&2
  exit "$1"
}

[ "${1:-}" = install ] || { sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 2; }
if [ ! -e "$home/.complete" ]; then
  for tool in npm node python3; do
    command -v "$tool" >/dev/null || fail 77 "$tool is missing: install the packages nodejs, npm and python3-venv"
  done
  part=$home.part.$$
  rm -rf "$part" && mkdir -p "$part"
  trap 'rm -rf "$part"' EXIT
  cp "$here/package.json" "$part/"
  (cd "$part" && npm install --no-audit --no-fund --no-package-lock >npm.log 2>&1) || fail 77 "the packages cannot be had from npm: $(tail -2 "$part/npm.log" | tr '\n' ' ')"
  { python3 -m venv "$part/python" && "$part/python/bin/python" -m pip install -q --disable-pip-version-check -r "$here/requirements.txt"; } >"$part/pip.log" 2>&1 ||
    fail 77 "the packages cannot be had from PyPI: $(tail -1 "$part/pip.log")"
  touch "$part/.complete"
  rm -rf "$home" && mv "$part" "$home" # the environment is called by its python, which knows where it is
fi
echo "$home"
