#!/usr/bin/env bash
# The parsers of sqlfluff, another's reading of T-SQL and of Oracle's SQL, for tests: prints the Python that has them. Needs python3 with venv.
#
# It ends with 77 where the machine lacks what it needs, and says what. The packages lie in $XDG_CACHE_HOME/waybill/sqlfluff (default ~/.cache/waybill/sqlfluff).
set -euo pipefail

version=4.5.0
home=${XDG_CACHE_HOME:-$HOME/.cache}/waybill/sqlfluff-$version

fail() { echo "sqlfluff.sh: $1" >&2; exit 77; }

if [ ! -e "$home/.complete" ]; then
  command -v python3 >/dev/null || fail "python3 is missing"
  rm -rf "$home" && mkdir -p "$home"
  python3 -m venv "$home" >/dev/null 2>&1 || fail "python3 has no venv: install the package python3-venv"
  "$home/bin/pip" install -q "sqlfluff==$version" >"$home/pip.log" 2>&1 || fail "sqlfluff cannot be had from the registry: $(tail -1 "$home/pip.log")"
  touch "$home/.complete"
fi
echo "$home/bin/python"
