#!/usr/bin/env bash
# The core of the OpenTelemetry Collector for tests, built of collector/ by Go: it takes OTLP over HTTP and hands everything on over OTLP. Needs Go and a
# module proxy at the first start.
#
#   collector.sh start   build if needed, start it, print its address
#   collector.sh stop    end it and delete its files
#
# It ends with 77 where the machine lacks what it needs, and says what.
#
# WAYBILL_COLLECTOR_PORT  default 4318
# WAYBILL_COLLECTOR_TO    where it hands spans on to, an address for OTLP over HTTP
# XDG_CACHE_HOME          program and data lie in $XDG_CACHE_HOME/waybill/collector (default ~/.cache/waybill/collector)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/npm.sh" # await, finish, fail and usage

name=collector
port=${WAYBILL_COLLECTOR_PORT:-4318}
home=${XDG_CACHE_HOME:-$HOME/.cache}/waybill/$name
data=$home/data-$port
program=$home/$(cat "$here/collector/go.sum" "$here/collector/main.go" | sha256sum | cut -c1-12)

case ${1:-} in
start)
  [ -d "$data" ] && fail 1 "$data exists: stop first, or choose another port"
  mkdir -p "$data"
  if [ ! -x "$program" ]; then
    (cd "$here/collector" && "${GO:-go}" build -o "$data/program" .) >"$data/build" 2>&1 || fail 77 "the collector cannot be built: $(tail -1 "$data/build")"
    mv "$data/program" "$program"
  fi
  cat >"$data/config.yaml" <<YAML
receivers: {otlp: {protocols: {http: {endpoint: "127.0.0.1:$port"}}}}
exporters: {otlphttp: {endpoint: "${WAYBILL_COLLECTOR_TO:?}", compression: none, sending_queue: {enabled: false}}}
service:
  telemetry: {metrics: {level: none}}
  pipelines: {traces: {receivers: [otlp], exporters: [otlphttp]}}
YAML
  setsid "$program" --config "file:$data/config.yaml" >"$data/out" 2>&1 </dev/null &
  await 'Everything is ready'
  echo "http://127.0.0.1:$port"
  ;;
stop) finish ;;
*) usage ;;
esac
