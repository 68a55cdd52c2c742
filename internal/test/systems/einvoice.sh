#!/usr/bin/env bash
# The official rules of e-invoices (EN 16931, Peppol BIS Billing) for tests, of Maven: installs them if needed, and prints the class path of the program Validate,
# which holds files against them. Needs a JDK of version 17 and Maven.
#
#   einvoice.sh install
#
# It ends with 77 where the machine lacks what it needs, and says what.
#
# XDG_CACHE_HOME    the jars lie in $XDG_CACHE_HOME/waybill/einvoice (default ~/.cache/waybill/einvoice)
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)/einvoice
home=${XDG_CACHE_HOME:-$HOME/.cache}/waybill/einvoice/$(cat "$here/pom.xml" "$here/Validate.java" | sha256sum | cut -c1-12)

fail() { # status, why
  echo "einvoice.sh: $2" >&2
  exit "$1"
}

[ "${1:-}" = install ] || { sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 2; }
if [ ! -e "$home/.complete" ]; then
  command -v javac >/dev/null || fail 77 "javac is missing: apt-get install openjdk-17-jdk-headless"
  command -v mvn >/dev/null || fail 77 "mvn is missing: apt-get install maven"
  part=$home.part.$$
  rm -rf "$part" && mkdir -p "$part"
  trap 'rm -rf "$part"' EXIT
  cp "$here/pom.xml" "$part/"
  (cd "$part" && mvn -q -B dependency:copy-dependencies -DoutputDirectory=lib >mvn.log 2>&1) || fail 77 "the rules cannot be had from Maven: $(tail -2 "$part/mvn.log" | tr '\n' ' ')"
  javac -cp "$part/lib/*" -d "$part/classes" "$here/Validate.java" >&2 || fail 1 "Validate.java does not compile"
  touch "$part/.complete"
  rm -rf "$home" && mv "$part" "$home"
fi
echo "$home/classes:$home/lib/*"
