#!/usr/bin/env bash
# Other people's readers of Kafka and of Avro, of PyPI, for tests: installs confluent-kafka and fastavro if needed, and prints the Python that has them. Needs python3 with venv.
#
# It ends with 77 where the machine lacks what it needs, and says what. The packages lie in $XDG_CACHE_HOME/waybill/avro (default ~/.cache/waybill/avro).
set -euo pipefail

wanted=$(dirname "$0")/avro/requirements.txt
home=${XDG_CACHE_HOME:-$HOME/.cache}/waybill/avro/$(sha256sum "$wanted" | cut -c1-12)

fail() { echo "avro.sh: $1" >&2; exit 77; }

if [ ! -e "$home/.complete" ]; then
  command -v python3 >/dev/null || fail "python3 is missing"
  rm -rf "$home" && mkdir -p "$home"
  python3 -m venv "$home" >/dev/null 2>&1 || fail "python3 has no venv: install the package python3-venv"
  "$home/bin/pip" install -q --disable-pip-version-check -r "$wanted" >"$home/pip.log" 2>&1 || fail "the packages cannot be had from PyPI: $(tail -1 "$home/pip.log")"
  touch "$home/.complete"
fi
echo "$home/bin/python"
