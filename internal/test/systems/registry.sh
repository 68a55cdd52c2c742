#!/usr/bin/env bash
# A schema registry for tests: Apicurio Registry, whose API is Confluent's at /apis/ccompat/v7, with its schemas in memory. From Maven Central; needs Java 17 and Maven.
#
#   registry.sh start   install if needed, start it, print its address
#   registry.sh stop    end it and delete its data
#
# It ends with 77 where the machine lacks what it needs, and says what.
#
# WAYBILL_REGISTRY_PORT  default 4106
# XDG_CACHE_HOME         packages and data lie in $XDG_CACHE_HOME/waybill/registry (default ~/.cache/waybill/registry)
set -euo pipefail
. "$(dirname "$0")/npm.sh"

name=registry
port=${WAYBILL_REGISTRY_PORT:-4106}
version=3.0.9 # the newest that Java 17 runs
home=${XDG_CACHE_HOME:-$HOME/.cache}/waybill/registry
packages=$home/$version
data=$home/data-$port

install() {
  [ -e "$packages/.complete" ] && return
  command -v java >/dev/null || fail 77 "java is missing: install the package openjdk-17-jre-headless"
  command -v mvn >/dev/null || fail 77 "mvn is missing: install the package maven"
  rm -rf "$packages.part" && mkdir -p "$packages.part"
  (cd "$packages.part" && mvn -q -B dependency:copy -Dartifact="io.apicurio:apicurio-registry-app:$version:tar.gz:all" -DoutputDirectory=. >mvn.log 2>&1 && tar xzf ./*.tar.gz && rm ./*.tar.gz) ||
    fail 77 "it cannot be had from Maven Central: $(tail -2 "$packages.part/mvn.log" | tr '\n' ' ')"
  touch "$packages.part/.complete"
  rm -rf "$packages" && mv "$packages.part" "$packages"
}

case ${1:-} in
start)
  [ -d "$data" ] && fail 1 "$data exists: stop first, or choose another port"
  install
  mkdir -p "$data"
  (cd "$data" && QUARKUS_HTTP_HOST=127.0.0.1 QUARKUS_HTTP_PORT=$port exec setsid java -Xmx384m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -jar "$packages/apicurio-registry-app-$version-runner.jar" >out 2>&1 </dev/null) &
  echo $! >"$data/pid"
  until curl -sf -o /dev/null "http://127.0.0.1:$port/apis/ccompat/v7/subjects"; do
    kill -0 "$(cat "$data/pid")" 2>/dev/null || fail 1 "it ended: $(tail -5 "$data/out")"
    [ "$SECONDS" -lt 300 ] || fail 1 "it has not come up in five minutes: see $data/out"
    sleep 0.2
  done
  echo "http://127.0.0.1:$port"
  ;;
stop) finish ;;
*) usage ;;
esac
