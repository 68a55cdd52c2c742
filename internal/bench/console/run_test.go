package console_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/bench/benchtest"
	"github.com/waybill-hub/waybill/internal/bench/console"
	"github.com/waybill-hub/waybill/internal/store/pgtest"
)

// TestMain makes the test binary the program where the benchmark starts it as one.
func TestMain(m *testing.M) { benchtest.Main(func() int { return pgtest.Main(m) }) }

// TestConsole fills a small store of either kind and asks everything once; nothing here is about time. What the filler writes is what the store reads.
func TestConsole(t *testing.T) {
	for name, database := range map[string]func(*testing.T) string{"sqlite": func(*testing.T) string { return "" }, "postgres": func(t *testing.T) string { return pgtest.URL(t) }} {
		t.Run(name, func(t *testing.T) {
			var out, log bytes.Buffer
			o := console.Options{Rows: 20_000, Parked: 2000, Rounds: 1, Events: 2, Postgres: database(t), Dir: t.TempDir(), Out: &out, Log: &log}
			r, err := console.Run(t.Context(), o)
			if err != nil {
				t.Fatalf("%v\n%s\n%s", err, out.String(), log.String())
			}
			if !strings.HasPrefix(r.String(), "console: rows=20000 page_p95_ms=") || r.Page <= 0 || r.Search <= 0 || r.Event <= 0 {
				t.Errorf("got %s", &r)
			}
			console.Whole(t, &o)
		})
	}
}
