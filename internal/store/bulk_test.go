package store

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/store/pgtest"
)

func bulkStores(t *testing.T, run func(t *testing.T, cfg Config)) {
	for name, config := range map[string]func(*testing.T) Config{
		"sqlite":   func(t *testing.T) Config { return Config{SQLite: filepath.Join(t.TempDir(), "w.db")} },
		"postgres": func(t *testing.T) Config { return Config{Postgres: pgtest.URL(t)} },
	} {
		t.Run(name, func(t *testing.T) { run(t, config(t)) })
	}
}

// parkedRow is a parked message as a statement.
func parkedRow(id int) string {
	return fmt.Sprintf(`INSERT INTO queue (id, flow, topic, part, lane, state, blocking, follower, kind, reason, code, m_entity, m_system, m_hub, m_local, m_intents, event_id, ekey, hub, event,
		data, attempts, since, not_before, mark, marked_by, mark_note, edits, edited_by, edit_note)
		VALUES (%d, 'a', 'in.a', 0, 'K%[1]d', 'parked', 1, 0, 'invalid', 'no', '', '', '', '', '', 0, 'e%[1]d', 'K%[1]d', '', '{}', '{}', 1, 5, 0, '', '', '', 0, '', '')`, id)
}

// Of how many messages a bulk has marked, the store has a row: what the audit says of it is for people.
func TestBulkCountsByItsOwnRow(t *testing.T) {
	bulkStores(t, func(t *testing.T, cfg Config) {
		rows := []string{parkedRow(1), parkedRow(2), parkedRow(3), parkedRow(4), parkedRow(5)}
		before(t, cfg, len(must(allMigrations())), rows...)
		s, err := Open(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		all := state.Bulk{Mark: state.MarkReplay, About: "all", Who: "ann", Most: 2}
		for _, want := range []int64{2, 4, 5} {
			step, err := s.Bulk(t.Context(), all)
			if err != nil || step.Total != want {
				t.Fatalf("marked %d in all, %v; want %d", step.Total, err, want)
			}
			all.From = step.Next
			for _, text := range []string{"in all, of 77 messages: so many", "99 messages"} {
				err := s.do(t.Context(), "test", func(x *tx) error { _, err := x.exec("UPDATE audit SET detail = ?", text); return err })
				if err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}

// A bulk that the version before has begun goes on, and counts on.
func TestBulkOfTheVersionBefore(t *testing.T) {
	bulkStores(t, func(t *testing.T, cfg Config) {
		act := func(id, message, bulk int) string {
			return fmt.Sprintf(`INSERT INTO acts (id, time, flow, message, event_id, ekey, hub, action, who, note, bulk) VALUES (%d, 5, 'a', %d, '', '', '', 'discard', 'ann', '', %d)`, id, message, bulk)
		}
		before(t, cfg, 9, parkedRow(1), parkedRow(2),
			`INSERT INTO audit (id, time, who, action, object, detail) VALUES (7, 5, 'ann', 'bulk discard', 'messages where all', '3 messages: enough'), (8, 5, 'bob', 'discard', 'message/1', '')`,
			act(1001, 21, 7), act(1002, 22, 7), act(1003, 23, 7), act(1004, 1, 0))
		s, err := Open(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		step, err := s.Bulk(t.Context(), state.Bulk{Mark: state.MarkDiscard, About: "all", Who: "ann", Note: "enough", Most: 10, From: state.BulkPlace{Act: 7, Top: 2, At: 3}})
		if err != nil || step.Marked != 2 || step.Total != 5 || !step.Done {
			t.Errorf("%+v, %v", step, err)
		}
	})
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
