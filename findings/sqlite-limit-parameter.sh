#!/bin/bash
# A prepared statement that ends in LIMIT ? is parsed and planned again at every run, where its parameters are cleared in between.
#
# Seen with SQLite 3.54.1 (github.com/ncruces/go-sqlite3 v0.37.0) on 2026-11-29: of 1,000 runs of one prepared statement, 1,000 parse it anew (the
# library counts them itself: SQLITE_STMTSTATUS_REPREPARE). SQLite 3.46.1 (v0.18.4) parses it once. The newer one looks at the value that is bound to the
# limit while it plans, and every plan that looked at a value is given up when that parameter is cleared: drivers that clear parameters after each run
# (modernc.org/sqlite does, behind database/sql) prepare for nothing, and a small question costs several times as much. A limit that is an expression
# (+?, CAST(? AS INTEGER)) is not looked at, and a number in the text needs no look.
set -euo pipefail
dir=$(mktemp -d)
trap 'chmod -R u+w "$dir"; rm -rf "$dir"' EXIT
cd "$dir"
cat >main.go <<'GO'
package main

import (
	"fmt"

	"github.com/ncruces/go-sqlite3"
	_ "github.com/ncruces/go-sqlite3/embed"
)

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	db, err := sqlite3.Open(":memory:")
	must(err)
	must(db.Exec("CREATE TABLE task (queue TEXT, due INTEGER); CREATE INDEX due ON task (queue, due)"))
	for _, limit := range []string{"5", "?2", "+?2", "CAST(?2 AS INTEGER)"} {
		s, _, err := db.Prepare("SELECT due FROM task WHERE queue = ?1 ORDER BY due LIMIT " + limit)
		must(err)
		for n := range 1000 {
			must(s.BindText(1, fmt.Sprint("q", n%7)))
			if s.BindCount() > 1 {
				must(s.BindInt(2, 5))
			}
			for s.Step() {
			}
			must(s.Reset())
			must(s.ClearBindings())
		}
		fmt.Printf("LIMIT %s: %d\n", limit, s.Status(sqlite3.STMTSTATUS_REPREPARE, false))
	}
}
GO
again() {
  rm -f go.mod go.sum
  go mod init limit >/dev/null 2>&1
  go get "github.com/ncruces/go-sqlite3@$1" "github.com/ncruces/go-sqlite3/embed@$1" >/dev/null 2>&1
  go mod tidy >/dev/null 2>&1
  go run . 2>/dev/null
}
old=$(again v0.18.4)
new=$(again v0.37.0)
printf 'parsed again in 1,000 runs\nSQLite 3.46.1:\n%s\nSQLite 3.54.1:\n%s\n' "$old" "$new"
[ "$old" = "LIMIT 5: 0
LIMIT ?2: 0
LIMIT +?2: 0
LIMIT CAST(?2 AS INTEGER): 0" ] || exit 1
[ "$new" = "LIMIT 5: 0
LIMIT ?2: 1000
LIMIT +?2: 0
LIMIT CAST(?2 AS INTEGER): 0" ] || exit 1
echo "a bound limit makes a newer SQLite parse a prepared statement at every run"
