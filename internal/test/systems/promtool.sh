#!/usr/bin/env bash
# Prometheus' promtool, built by Go, for the rules and dashboards of deploy/. Needs Go and a module proxy at the first start, which takes minutes.
#
#   promtool.sh start   build if needed, print where it is
#   promtool.sh stop    nothing is running
#
# It ends with 77 where the machine lacks what it needs, and says what.
#
# XDG_CACHE_HOME  the program lies in $XDG_CACHE_HOME/waybill/promtool (default ~/.cache/waybill/promtool)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/npm.sh" # fail and usage

name=promtool
home=${XDG_CACHE_HOME:-$HOME/.cache}/waybill/$name
program=$home/$(sha256sum "$here/promtool/go.sum" | cut -c1-12)

case ${1:-} in
start)
  mkdir -p "$home"
  if [ ! -x "$program" ]; then
    (cd "$here/promtool" && "${GO:-go}" build -o "$program.$$" github.com/prometheus/prometheus/cmd/promtool) >"$home/build" 2>&1 || fail 77 "promtool cannot be built: $(tail -1 "$home/build")"
    mv "$program.$$" "$program"
  fi
  echo "$program"
  ;;
stop) ;;
*) usage ;;
esac
