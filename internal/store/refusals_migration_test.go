package store

import (
	"context"
	"database/sql"
	"path/filepath"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/store/pgtest"
)

// before is a store as the version with n migrations leaves it, after statements.
func before(t *testing.T, cfg Config, n int, statements ...string) {
	t.Helper()
	s := &Store{cfg: cfg, d: sqlite}
	var err error
	if cfg.SQLite != "" {
		s.write, err = sql.Open("sqlite", sqliteDSN(cfg.SQLite, ""))
	} else {
		s.d = postgres
		s.write, err = sql.Open("pgx", cfg.Postgres)
	}
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ok(err)
	defer func() { ok(s.write.Close()) }()
	c, err := s.write.Conn(t.Context())
	ok(err)
	defer func() { ok(c.Close()) }()
	steps, err := allMigrations()
	ok(err)
	for done := false; !done; {
		done, err = migrateOne(t.Context(), c, s.d, "BEGIN", steps[:n], time.Now())
		ok(err)
	}
	for _, q := range statements {
		_, err := c.ExecContext(t.Context(), q)
		ok(err)
	}
}

// What a relay of the version before had parked without a place is parked as what flows refuse since, with all that people did to it, and the
// equation comes out as it did.
func TestUnplacedRowsBecomeRefusals(t *testing.T) {
	for name, config := range map[string]func() Config{
		"sqlite":   func() Config { return Config{SQLite: filepath.Join(t.TempDir(), "w.db")} },
		"postgres": func() Config { return Config{Postgres: pgtest.URL(t)} },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := config()
			row := func(id, flow, topic, part, lane, blocking, event, data, mark string) string {
				return `INSERT INTO queue (id, flow, topic, part, lane, state, blocking, follower, kind, reason, code, m_entity, m_system, m_hub, m_local, m_intents, event_id, ekey, hub, event,
					data, original, edited_by, edit_note, attempts, since, not_before, mark, marked_by, mark_note, edits)
					VALUES (` + id + `, '` + flow + `', '` + topic + `', ` + part + `, '` + lane + `', 'parked', ` + blocking + `, 0, 'mapping', 'the key is empty', 'key', '', '', '', '', 0, '` + lane + `', '', '',
					'` + event + `', '` + data + `', NULL, 'ann', 'typo', 2, 5, 0, '` + mark + `', '', '', 1)`
			}
			before(t, cfg, 5,
				row("11", "a", "in.a", "-1", "d1", "0", `{"id":"d1","version":"7"}`, `{"x":1}`, "replay"),
				row("12", "a", "in.a", "-1", "d2", "0", `{"id":"d2"}`, `{}`, ""),
				row("13", "b", "in.b", "-1", "d3", "0", `{}`, `{}`, ""),
				row("14", "a", "in.a", "1", "K", "1", `{"id":"d4","key":"K"}`, `{}`, ""),
				`INSERT INTO partitions (flow, topic, part, cluster, topic_id, first_off, epoch, next_off, finished, life) VALUES ('a', 'in.a', 0, 'c', 't', 0, 3, 9, 9, 2), ('a', 'in.a', 1, 'c', 't', 0, 3, 1, 1, 2)`,
				`INSERT INTO totals (flow, topic, part, outcome, reason, n, newest) VALUES ('a', 'in.a', -1, 'direct', '', 3, 1), ('a', 'in.a', -1, 'discarded', '', 1, 1),
					('a', 'in.a', 0, 'discarded', '', 2, 9), ('a', 'in.a', 0, 'delivered', '', 7, 1), ('b', 'in.b', -1, 'direct', '', 1, 1)`)
			s, err := Open(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = s.Close() })
			ok := func(err error) {
				t.Helper()
				if err != nil {
					t.Fatal(err)
				}
			}
			totals := func(flow string, finished, parked, discarded int64) {
				t.Helper()
				all, _, _, err := s.StatusSnapshot(t.Context())
				ok(err)
				for i := range all {
					if got := &all[i]; got.Flow == flow && (got.Finished != finished || got.Parked != parked || got.Discarded != discarded || got.Unaccounted() != 0) {
						t.Errorf("totals %+v: unaccounted %d", *got, got.Unaccounted())
					}
				}
			}
			totals("a", 13, 3, 3)
			totals("b", 1, 1, 0)
			q, err := s.ParkedByID(t.Context(), 11)
			ok(err)
			if q.Partition != 0 || q.Blocking || q.Mark != state.MarkReplay || q.Edits != 1 || q.EditedBy != "ann" || q.Attempts != 2 || string(q.Event.Data) != `{"x":1}` ||
				q.Event.ID != "d1" || q.Event.Version != "7" || q.Event.Refused == nil {
				t.Errorf("the row %+v", q)
			}
			if q, err := s.ParkedByID(t.Context(), 14); err != nil || q.Partition != 1 || !q.Blocking || q.Event.Refused != nil {
				t.Errorf("another row %+v, %v", q, err)
			}
			if q, err := s.ParkedByID(t.Context(), 13); err != nil || q.Event.Refused == nil {
				t.Errorf("a row of which nothing is known %+v, %v", q, err)
			}
			// The owner of the first partition works them; one that was never opened begins where its log does.
			due, err := s.Due(t.Context(), "a", "in.a", 0, time.Now(), 10)
			if err != nil || len(due) != 1 || due[0] != "d1" {
				t.Errorf("due %v, %v", due, err)
			}
			p, err := s.OpenPartition(t.Context(), "b", "in.b", 0, event.Log{Cluster: "c", TopicID: "t", First: 4, Last: 6})
			ok(err)
			if p.Position.Next != 4 {
				t.Errorf("position %+v", p)
			}
			handBack(t, s, p.Epoch)
			totals("b", 0, 0, 0)
		})
	}
}

// handBack resubmits message 13 of flow b.
func handBack(t *testing.T, s *Store, epoch int64) {
	t.Helper()
	err := s.Commit(context.Background(), &state.Commit{Flow: "b", Topic: "in.b", Epoch: epoch, Results: []state.Result{{Drained: 13,
		Resubmit: &state.Inbound{Flow: "b", ID: "d3~13", Event: &event.Event{ID: "d3", Refused: &event.Refusal{Reading: 1}}}}}})
	if err != nil {
		t.Fatal(err)
	}
	if rows, err := s.Unpublished(t.Context(), "b", 10, 0); err != nil || len(rows) != 1 {
		t.Errorf("inbox %+v, %v", rows, err)
	}
}
