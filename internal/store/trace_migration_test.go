package store

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/waybill-hub/waybill/internal/store/pgtest"
)

// Keys that an older version has written are found whatever the case of their letters, beyond ASCII too.
func TestOldKeysAreFolded(t *testing.T) {
	for name, config := range map[string]func() Config{
		"sqlite":   func() Config { return Config{SQLite: filepath.Join(t.TempDir(), "w.db")} },
		"postgres": func() Config { return Config{Postgres: pgtest.URL(t)} },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := config()
			row := func(id, key string) string {
				return `INSERT INTO journal (id, time, flow, event_id, entity, ekey, hub, outcome, reason, system, local, external, version, attempts, took)
					VALUES (` + id + `, 1, 'f', 'e', 'order', '` + key + `', '', 'delivered', '', '', '', '', '', 1, 1)`
			}
			before(t, cfg, 7, row("1", "SO-1"), row("2", "ÄRGER-1"), row("3", "4711"), row("4", "ÄRGER-1"), row("5", "Straße 1"),
				`INSERT INTO refs (entity, hub, system, local, deleted, known_flow, received, known_event, etag, updated) VALUES ('order', 'h', 'erp', 'Órdem-7', 0, '', '', '', '', 1)`)
			for range 2 { // it is done once
				s, err := Open(t.Context(), cfg)
				if err != nil {
					t.Fatal(err)
				}
				for prefix, want := range map[string][]string{"so-": {"SO-1"}, "ärger": {"ÄRGER-1"}, "47": {"4711"}, "STRASSE": {"Straße 1"}, "órdem-7": {"Órdem-7"}, "zz": nil} {
					if got, err := s.Begin(t.Context(), prefix, 10); err != nil || !slices.Equal(got, want) {
						t.Errorf("%q: %q, %v, want %q", prefix, got, err, want)
					}
				}
				for key, n := range map[string]int{"SO-1": 1, "ÄRGER-1": 2, "Straße 1": 1} {
					if tr, err := s.Trace(t.Context(), key); err != nil || len(tr.Journal) != n {
						t.Errorf("%q: %d rows, %v, want %d", key, len(tr.Journal), err, n)
					}
				}
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}
