#!/usr/bin/env bash
# Other people's readers and writers of Parquet, of PyPI, for tests: installs them if needed, and prints where. Needs python3 with venv.
#
#   parquet.sh install
#
# It ends with 77 where the machine lacks what it needs, and says what.
#
# XDG_CACHE_HOME    packages lie in $XDG_CACHE_HOME/waybill/parquet (default ~/.cache/waybill/parquet)
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)/parquet
home=${XDG_CACHE_HOME:-$HOME/.cache}/waybill/parquet/$(sha256sum <"$here/requirements.txt" | cut -c1-12)

fail() { # status, why
  echo "parquet.sh: $2" >&2
  exit "$1"
}

[ "${1:-}" = install ] || { sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 2; }
if [ ! -e "$home/.complete" ]; then
  command -v python3 >/dev/null || fail 77 "python3 is missing: install the package python3-venv"
  part=$home.part.$$
  rm -rf "$part" && mkdir -p "$part"
  trap 'rm -rf "$part"' EXIT
  { python3 -m venv "$part/python" && "$part/python/bin/python" -m pip install -q --disable-pip-version-check -r "$here/requirements.txt"; } >"$part/pip.log" 2>&1 ||
    fail 77 "the packages cannot be had from PyPI: $(tail -1 "$part/pip.log")"
  touch "$part/.complete"
  rm -rf "$home" && mv "$part" "$home" # the environment is called by its python, which knows where it is
fi
echo "$home"
