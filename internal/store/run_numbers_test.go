package store

import (
	"path/filepath"
	"testing"

	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/store/pgtest"
)

// TestRunNumbersOfBefore: numbers count on behind those that a version before has given out of blocks, and of its sequence.
func TestRunNumbersOfBefore(t *testing.T) {
	for name, config := range map[string]func() Config{
		"sqlite":   func() Config { return Config{SQLite: filepath.Join(t.TempDir(), "w.db")} },
		"postgres": func() Config { return Config{Postgres: pgtest.URL(t)} },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := config()
			row := func(id, name string) string {
				return "INSERT INTO comparisons (" + comparisonCols + ", keep_until) VALUES (" + id + ", 'rule', '" + name + "', '', '', '', '{}', 'agreed', 1, 1, 1, 1, 1, '', '', '{}', '{}', 0, 0, 0)"
			}
			before(t, cfg, 14, row("3", "a"), row("1026", "b"))
			s, err := Open(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			}()
			for _, want := range []int64{1027, 1028} {
				run, fresh, err := s.WantComparison(t.Context(), state.Comparison{Kind: state.RunRule, Name: string(rune('c' + want))})
				if err != nil || !fresh || run.ID != want {
					t.Errorf("%d %v %v, want %d", run.ID, fresh, err, want)
				}
			}
		})
	}
}
