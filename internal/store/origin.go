package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/waybill-hub/waybill/internal/state"
)

// The table origin tells one life of the database from another. It is no step of the schema: a copy made by an older version is asked before it is
// brought up.
const originTable = "CREATE TABLE IF NOT EXISTS origin (name TEXT PRIMARY KEY, value TEXT NOT NULL)"

// Rows of it.
const (
	originBirth    = "birth"    // of the file, or of the tables: see birth
	originCopy     = "copy"     // a copyMark: who finds it runs on a copy
	originLife     = "life"     // a lifeMark
	originOpen     = "open"     // "1" while a hub works on a SQLite file
	originRestored = "restored" // a state.Restoration
)

// copyMark stands in a copy.
type copyMark struct {
	ID   string    `json:"id"`
	AsOf time.Time `json:"as_of"`
}

// lifeMark rises: Opened with every start, Beat while the hub runs. At is the time then.
type lifeMark struct {
	Opened int64     `json:"opened"`
	Beat   int64     `json:"beat"`
	At     time.Time `json:"at"`
}

func (m lifeMark) text() string {
	b, err := json.Marshal(m)
	if err != nil {
		panic(err) // numbers and a time always marshal
	}
	return string(b)
}

func (m lifeMark) less(o lifeMark) bool {
	return m.Opened < o.Opened || m.Opened == o.Opened && m.Beat < o.Beat
}

// querier is what a connection and a transaction have in common.
type querier interface {
	QueryContext(ctx context.Context, q string, args ...any) (*sql.Rows, error)
	ExecContext(ctx context.Context, q string, args ...any) (sql.Result, error)
}

// readOrigin reads the whole table.
func readOrigin(ctx context.Context, c querier) (map[string]string, error) {
	rows, err := c.QueryContext(ctx, "SELECT name, value FROM origin")
	out := map[string]string{}
	err = eachRow(rows, err, func(r *sql.Rows) error {
		var name, value string
		err := r.Scan(&name, &value)
		out[name] = value
		return err
	})
	return out, err
}

func writeOrigin(ctx context.Context, c querier, d dialect, name, value string) error {
	q := "INSERT INTO origin (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
	if value == "" {
		_, err := c.ExecContext(ctx, d.bind("DELETE FROM origin WHERE name = ?"), name)
		return err
	}
	_, err := c.ExecContext(ctx, d.bind(q), name, value)
	return err
}

// notice finds out, before anything else is done with the store, whether it is an older state of itself, and records that. It is one transaction, so
// that of hubs which share a database one notices.
func (s *Store) notice(ctx context.Context, c *sql.Conn) (err error) {
	birth, err := s.birth(ctx, c)
	if err != nil {
		return err
	}
	if _, err := c.ExecContext(ctx, s.begin()); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_, _ = c.ExecContext(context.WithoutCancel(ctx), "ROLLBACK") // the failure itself is what counts
		}
	}()
	if s.d == postgres {
		if _, err := c.ExecContext(ctx, "SELECT pg_advisory_xact_lock("+strconv.FormatInt(migrationLock, 10)+")"); err != nil {
			return fmt.Errorf("wait for another hub's start: %w", err)
		}
	}
	if _, err := c.ExecContext(ctx, originTable); err != nil {
		return err
	}
	was, err := readOrigin(ctx, c)
	if err != nil {
		return err
	}
	r, life, err := s.judge(was, birth)
	if err != nil {
		return err
	}
	if r != nil {
		if r.AsOf.IsZero() {
			if r.AsOf, err = newest(ctx, c); err != nil {
				return err
			}
		}
		if err := s.recordRestored(ctx, c, was, r); err != nil {
			return err
		}
	}
	s.lastAlive = life.At
	life.Opened, life.Beat, life.At = life.Opened+1, 0, s.cfg.Clock.Now().UTC()
	for _, w := range [][2]string{{originBirth, birth.over(was[originBirth])}, {originCopy, ""}, {originLife, life.text()}, {originOpen, "1"}} {
		if err := writeOrigin(ctx, c, s.d, w[0], w[1]); err != nil {
			return err
		}
	}
	if _, err := c.ExecContext(ctx, "COMMIT"); err != nil {
		return err
	}
	s.life = life
	return s.settleFolder(ctx, c)
}

// judge holds what the store says of itself against what it is. Without a sign it gives nil.
func (s *Store) judge(was map[string]string, birth birthmark) (*state.Restoration, lifeMark, error) {
	var life lifeMark
	if text := was[originLife]; text != "" {
		if err := json.Unmarshal([]byte(text), &life); err != nil {
			return nil, life, fmt.Errorf("origin: %w: %w", errTorn, err)
		}
	}
	r := &state.Restoration{Since: s.cfg.Clock.Now().UTC(), Phase: state.RestoredReading, Who: "hub", AsOf: life.At}
	if text := was[originCopy]; text != "" {
		var m copyMark
		if err := json.Unmarshal([]byte(text), &m); err != nil {
			return nil, life, fmt.Errorf("origin: %w: %w", errTorn, err)
		}
		r.Signs, r.CopyID, r.AsOf = append(r.Signs, state.SignCopy), m.ID, m.AsOf
		r.Why = "the store is a copy that `waybill backup` has written"
	}
	if life.less(s.seen) {
		r.Signs, r.Stopped = append(r.Signs, state.SignFolder), s.seen.At
		r.Why = because(r.Why, "the folder of the store has seen a later state of it, so an older one was written over it")
	}
	if birth.differs(was[originBirth]) {
		sign, why := state.SignFile, "the store is another file than the hub wrote last: a copy was put in its place, or it was moved"
		if s.d == postgres {
			sign, why = state.SignDatabase, "the tables of the store are others than the hub wrote last, or the server's history has forked: a dump was read in, or the server has gone back, or over to another"
		}
		if was[originOpen] != "" && s.d == sqlite && was[originCopy] == "" {
			why += "; it was copied while a hub was at work on it, or after that was killed"
		}
		r.Signs, r.Why = append(r.Signs, sign), because(r.Why, why)
	}
	if len(r.Signs) == 0 {
		return nil, life, nil
	}
	life.Opened = max(life.Opened, s.seen.Opened)
	return r, life, nil
}

func because(a, b string) string {
	if a == "" {
		return b
	}
	return a + "; " + b
}

// newest is when the store was written to last, as far as its rows tell.
func newest(ctx context.Context, c querier) (at time.Time, err error) {
	for _, q := range []string{"SELECT received FROM inbox ORDER BY seq DESC LIMIT 1", "SELECT time FROM journal ORDER BY id DESC LIMIT 1", "SELECT time FROM audit ORDER BY id DESC LIMIT 1"} {
		rows, err := c.QueryContext(ctx, q)
		err = eachRow(rows, err, func(r *sql.Rows) error {
			var n int64
			err := r.Scan(&n)
			if t := unstamp(n); t.After(at) {
				at = t
			}
			return err
		})
		if err != nil {
			return at, err
		}
	}
	return at, nil
}

// recordRestored stores that the store has gone back. What an earlier restoration had not settled goes on in this one.
func (s *Store) recordRestored(ctx context.Context, c querier, was map[string]string, r *state.Restoration) error {
	if text := was[originRestored]; text != "" {
		var before state.Restoration
		if err := json.Unmarshal([]byte(text), &before); err != nil {
			return fmt.Errorf("origin: %w: %w", errTorn, err)
		}
		r.Queue = before.Queue
		if before.Settling() && !before.AsOf.IsZero() && before.AsOf.Before(r.AsOf) {
			r.AsOf = before.AsOf
		}
	}
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return writeOrigin(ctx, c, s.d, originRestored, string(text))
}

// LastAlive is when a hub last noted that it works on the store, before it was opened; zero where none has.
func (s *Store) LastAlive() time.Time { return s.lastAlive }

// Restoration is what is known of the last time that the store went back to an older state; nil where it never did.
func (s *Store) Restoration(ctx context.Context) (*state.Restoration, error) {
	var r *state.Restoration
	err := s.each(ctx, func(rows *sql.Rows) error {
		var text string
		if err := rows.Scan(&text); err != nil {
			return err
		}
		r = &state.Restoration{}
		if err := json.Unmarshal([]byte(text), r); err != nil {
			return fmt.Errorf("%w: %w", errTorn, err)
		}
		return nil
	}, "SELECT value FROM origin WHERE name = ?", originRestored)
	return r, s.wrap("restoration", err)
}

// ChangeRestoration lets change make another of the present restoration, which may be nil, and gives what is stored then; hubs that share a database
// do that one after the other. change is called again where the transaction has to be. Where it gives an audit, that is written with it.
func (s *Store) ChangeRestoration(ctx context.Context, change func(*state.Restoration) (*state.Restoration, *state.Audit)) (*state.Restoration, error) {
	return ask(ctx, s, "restoration", func(t *tx) (*state.Restoration, error) {
		var r *state.Restoration
		err := t.each(func(rows *sql.Rows) error {
			var text string
			if err := rows.Scan(&text); err != nil {
				return err
			}
			r = &state.Restoration{}
			return json.Unmarshal([]byte(text), r)
		}, "SELECT value FROM origin WHERE name = ?"+t.d.forUpdate(), originRestored)
		if err != nil {
			return nil, err
		}
		now, act := change(r)
		if now == nil {
			return nil, nil
		}
		text, err := json.Marshal(now)
		if err != nil {
			return nil, err
		}
		if act != nil {
			if err := t.writeAudit(act); err != nil {
				return nil, err
			}
		}
		_, err = t.exec("INSERT INTO origin (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value", originRestored, string(text))
		return now, err
	})
}

// LastRow is the number of the last row of the inbox and of the stored queues, as far as there are any.
func (s *Store) LastRow(ctx context.Context) (inbox, queue int64, err error) {
	err = s.snapshot(ctx, func(db queryer) error {
		for _, q := range []struct {
			text string
			into *int64
		}{{"SELECT MAX(seq) FROM inbox", &inbox}, {"SELECT MAX(id) FROM queue", &queue}} {
			err := eachOf(ctx, db, s.d, func(r *sql.Rows) error {
				var n sql.NullInt64
				err := r.Scan(&n)
				*q.into = n.Int64
				return err
			}, q.text)
			if err != nil {
				return err
			}
		}
		return nil
	})
	return inbox, queue, s.wrap("last rows", err)
}

// UnpublishedUpTo counts what the inbox has up to a number that is not on its topic: rows, and the events of bundles.
func (s *Store) UnpublishedUpTo(ctx context.Context, flow string, seq int64) (n int64, err error) {
	err = s.snapshot(ctx, func(db queryer) error {
		if err := eachOf(ctx, db, s.d, func(r *sql.Rows) error { return r.Scan(&n) }, "SELECT COUNT(*) FROM inbox WHERE flow = ? AND seq <= ? AND places IS NULL", flow, seq); err != nil {
			return err
		}
		more, err := bundledEvents(ctx, db, s.d, " AND i.flow = ? AND i.seq <= ?", flow, seq)
		n += more[flow]
		return err
	})
	return n, s.wrap("unpublished", err)
}

// Knows reports whether the object of a system is known, by its id there or by the external id that it carries.
func (s *Store) Knows(ctx context.Context, entity, system, local, external string) (bool, error) {
	_, ok, err := s.HubID(ctx, entity, system, local)
	if err != nil || ok {
		return ok, err
	}
	err = s.each(ctx, func(*sql.Rows) error { ok = true; return nil }, "SELECT 1 FROM objects WHERE external = ? AND entity = ? LIMIT 1", external, entity)
	return ok, s.wrap("known object", err)
}
