package sql

import (
	"testing"

	"github.com/waybill-hub/waybill/internal/connector"
)

// TestOrdering: what is said of an object's changes is what its database can keep to.
func TestOrdering(t *testing.T) {
	const objects = `
objects:
  stamped: {table: t, version: at, columns: {id: integer, at: timestamp}}
  millis: {table: t, version: at, columns: {id: integer, at: unix-ms}}
  counted: {table: t, version: n, columns: {id: integer, n: integer}}
  careful: {table: t, version: n, lookback: 500, columns: {id: integer, n: integer}}
`
	stamp, none := connector.Ordering{By: connector.ByStamp}, connector.Ordering{}
	number := func(back int) connector.Ordering {
		return connector.Ordering{By: connector.ByNumber, Back: back, Setting: "lookback"}
	}
	commit := connector.Ordering{By: connector.ByCommit}
	for driver, want := range map[string]map[string]connector.Ordering{
		"connector: sql\ndriver: sqlite\npath: x.db":                       {"stamped": stamp, "millis": stamp, "counted": commit, "careful": commit, "other": none},
		"connector: sql\ndriver: postgres\nurl: postgres://127.0.0.1:1/db": {"stamped": stamp, "millis": stamp, "counted": number(0), "careful": number(500), "other": none},
	} {
		s := settingsOf(t, driver+objects)
		for object, ordering := range want {
			if got := (Kind{}).Ordering(s, object); got != ordering {
				t.Errorf("%s: %s: %+v, want %+v", driver, object, got, ordering)
			}
		}
	}
}
