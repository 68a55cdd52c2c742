# What the scripts here share, most of whose systems are servers of npm's: sourced, with name and port set before setup is called, or data where that is not.

fail() { # status, why
  echo "$name.sh: $2" >&2
  exit "$1"
}

setup() {
  home=${XDG_CACHE_HOME:-$HOME/.cache}/waybill/$name
  files=$(cd "$(dirname "$0")" && pwd)/$name
  packages=$home/$(sha256sum "$files/package.json" | cut -c1-12)
  data=$home/data-$port
}

# install has the packages once for all runs.
install() {
  [ -e "$packages/.complete" ] && return
  command -v npm >/dev/null || fail 77 "npm is missing: install the packages nodejs and npm"
  rm -rf "$packages.part" && mkdir -p "$packages.part"
  cp "$files/package.json" "$packages.part/"
  (cd "$packages.part" && npm install --no-audit --no-fund --no-package-lock >npm.log 2>&1) || fail 77 "the packages cannot be had from the registry: $(tail -2 "$packages.part/npm.log" | tr '\n' ' ')"
  touch "$packages.part/.complete"
  rm -rf "$packages" && mv "$packages.part" "$packages"
}

# machine_node wants the machine's own Node.
machine_node() {
  command -v node >/dev/null || fail 77 "node is missing: install the package nodejs, 20 or newer"
  [ "$(node -p 'process.versions.node.split(".")[0]')" -ge 20 ] || fail 77 "node is $(node --version): 20 or newer is needed"
}

# begin makes the data folder with everything that the server needs.
begin() {
  [ -d "$data" ] && fail 1 "$data exists: stop first, or choose another port"
  install
  mkdir -p "$data"
  cp -r "$files/." "$data/"
  ln -s "$packages/node_modules" "$data/node_modules"
}

# await waits for a line of the server that was just started.
await() {
  echo $! >"$data/pid"
  until grep -q "$1" "$data/out" 2>/dev/null; do
    kill -0 "$(cat "$data/pid")" 2>/dev/null || fail 1 "it ended: $(tail -5 "$data/out" 2>/dev/null)"
    [ "$SECONDS" -lt 300 ] || fail 1 "it has not come up in five minutes: see $data/out"
    sleep 0.1
  done
}

# finish ends it and deletes its data.
finish() {
  [ -d "$data" ] || exit 0
  if [ -e "$data/pid" ]; then
    pid=$(cat "$data/pid")
    kill "$pid" 2>/dev/null || true
    for _ in $(seq 50); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
    kill -KILL "$pid" 2>/dev/null || true
  fi
  rm -rf "$data"
}

usage() {
  sed -n '2,/^set /s/^# \{0,1\}//p' "$0" >&2
  exit 2
}
