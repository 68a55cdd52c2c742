package store

import (
	"errors"
	"math"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/state"
)

// A position is a set of offsets; a map is the model.
func TestPositionIsASet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := event.Position{Next: rapid.Int64Range(0, 5).Draw(t, "next")}
		set := map[int64]bool{}
		for o := range p.Next {
			set[o] = true
		}
		for range rapid.IntRange(0, 60).Draw(t, "steps") {
			o := rapid.Int64Range(0, 40).Draw(t, "offset")
			if rapid.IntRange(0, 4).Draw(t, "range") == 0 {
				to := o + rapid.Int64Range(0, 6).Draw(t, "length")
				pass(&p, event.Range{From: o, To: to})
				for ; o < to; o++ {
					set[o] = true
				}
			} else if news := finish(&p, o); news == set[o] {
				t.Fatalf("offset %d: new=%v", o, news)
			} else {
				set[o] = true
			}
			last := p.Next
			for _, r := range p.Done {
				if r.From <= last || r.To <= r.From {
					t.Fatalf("ranges are not apart: %+v", p)
				}
				last = r.To
			}
		}
		for o := range int64(50) {
			if finished(&p, o) != set[o] {
				t.Fatalf("offset %d: %v, want %v (%+v)", o, !set[o], set[o], p)
			}
		}
		back, err := decodeRanges(p.Next, encodeRanges(p.Next, p.Done))
		if err != nil || len(back) != len(p.Done) || len(back) > 0 && !reflect.DeepEqual(back, p.Done) {
			t.Fatalf("%v, %v, want %v", back, err, p.Done)
		}
	})
}

func TestFieldsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.MapOf(rapid.String(), rapid.Uint64()).Draw(t, "fields")
		out, err := decodeFields(encodeFields(in))
		if err != nil || !reflect.DeepEqual(in, out) {
			t.Fatalf("%v, %v, want %v", out, err, in)
		}
	})
}

func FuzzDecodeFields(f *testing.F) {
	f.Add(encodeFields(map[string]uint64{"a": 1, "bc": math.MaxUint64}))
	f.Add([]byte{1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := decodeFields(b)
		if err != nil && !errors.Is(err, errTorn) {
			t.Fatal(err)
		}
		if err == nil && got == nil {
			t.Fatal("no fields and no error")
		}
	})
}

func FuzzDecodeRanges(f *testing.F) {
	f.Add(encodeRanges(3, []event.Range{{From: 5, To: 9}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := decodeRanges(0, b); err != nil && !errors.Is(err, errTorn) {
			t.Fatal(err)
		}
	})
}

func TestStamps(t *testing.T) {
	for _, c := range []time.Time{{}, time.Unix(0, 1), time.Date(2026, 1, 1, 0, 0, 0, 7, time.FixedZone("", 3600))} {
		if got := unstamp(stamp(c)); !got.Equal(c) {
			t.Errorf("%v became %v", c, got)
		}
	}
	for _, year := range []int{-5, 1, 9999, 300_000} {
		if n := stamp(time.Date(year, 1, 2, 0, 0, 0, 0, time.UTC)); (n < 0) != (year < 1970) {
			t.Errorf("year %d became %d", year, n)
		}
	}
}

func TestBind(t *testing.T) {
	if got := postgres.bind("a = ? AND b IN (?,?)"); got != "a = $1 AND b IN ($2,$3)" {
		t.Error(got)
	}
	if got := sqlite.bind("a = ?"); got != "a = ?" {
		t.Error(got)
	}
}

// A member that fails in an unexpected way fails alone, after the merged transaction was rolled back.
func TestUnexpectedFailureIsItsMembersAlone(t *testing.T) {
	s, err := Open(t.Context(), Config{SQLite: filepath.Join(t.TempDir(), "waybill.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	// One member holds the writer until the others wait, so that they are merged.
	hold, held := make(chan struct{}), make(chan struct{})
	results := make(chan error, 12)
	go func() {
		results <- s.do(t.Context(), "hold", func(*tx) error {
			close(held)
			<-hold
			return nil
		})
	}()
	<-held
	for i := range 10 {
		m := &member{ctx: t.Context(), op: "member", kind: aFunc, rows: 1, done: make(chan struct{})}
		m.run = func(x *tx) error {
			if err := x.audit("ann", "act", "", ""); err != nil {
				return err
			}
			if i == 4 {
				_, err := x.exec("INSERT INTO audit (id) VALUES (?)", 1) // breaks a rule of the table
				return err
			}
			return nil
		}
		s.members <- m
		go func() {
			<-m.done
			if err := s.wrap(m.op, m.err); (err != nil) != (i == 4) {
				t.Errorf("member %d: %v", i, err)
			}
			results <- nil
		}()
	}
	close(hold)
	for range 11 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	acts, err := s.Audits(t.Context(), 100)
	if err != nil || len(acts) != 9 {
		t.Errorf("%d acts, want 9 (%v)", len(acts), err)
	}
	if st := s.Stats(); st.Retried != 10 {
		t.Errorf("stats: %+v", st)
	}
}

// The statements of the hot path must use indexes: a full scan would show only in production.
func TestPlansUseIndexes(t *testing.T) {
	s, err := Open(t.Context(), Config{SQLite: filepath.Join(t.TempDir(), "waybill.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	lanes := sqlite.in("flow, lane, topic, part", 4, 2)
	for name, q := range map[string]string{
		"heads":     "SELECT " + linkCols + " FROM queue WHERE id IN (SELECT MIN(id) FROM queue WHERE blocking = 1 AND " + lanes + " GROUP BY flow, lane, topic, part)",
		"partition": "SELECT 1 FROM partitions WHERE " + sqlite.in("flow, topic, part", 3, 4),
		"hub id":    hubIDQuery, "local id": localIDQuery, "target": targetQuery,
		"waiters":     "UPDATE queue SET mark = 'ready' WHERE state = 'waiting' AND mark = '' AND m_entity <> '' AND " + sqlite.in("m_entity, m_system, m_hub", 3, 2),
		"awaited":     "SELECT 1 FROM queue WHERE m_entity = ? AND m_system = ? AND m_entity <> '' AND mark = '' LIMIT 1",
		"unpublished": "SELECT seq FROM inbox WHERE flow = ? AND places IS NULL ORDER BY seq LIMIT ?",
		"replay":      "SELECT 1 FROM replay WHERE " + sqlite.in("flow, delivery_id", 2, 4),
		"inbox":       "SELECT 1 FROM inbox WHERE " + sqlite.in("flow, id", 2, 4),
		"intents":     "SELECT 1 FROM intents WHERE system = ? AND entity = ? AND is_create = 1 LIMIT 1",
		"extra":       "SELECT COUNT(*) FROM target_objects WHERE extra = 1",
		"lanes":       "SELECT lane, state FROM queue WHERE flow = ? AND topic = ? AND part = ? AND follower = 0 AND blocking = 1",
		"place":       "UPDATE inbox SET places = column2 FROM (VALUES (CAST(? AS BIGINT), ?), (CAST(? AS BIGINT), ?)) AS v WHERE seq = column1 AND places IS NULL",
	} {
		args := make([]any, strings.Count(q, "?"))
		for i := range args {
			args[i] = "x"
		}
		rows, err := s.read.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+q, args...)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for rows.Next() {
			var id, parent, unused int
			var detail string
			if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
				t.Fatal(err)
			}
			table, isScan := strings.CutPrefix(detail, "SCAN ")
			if isScan && !strings.HasPrefix(table, "v") && !strings.HasPrefix(table, "x") && !strings.Contains(table, "CONSTANT ROW") &&
				!strings.Contains(table, "VALUES") && !strings.Contains(table, "target_objects_extra") {
				t.Errorf("%s: %s", name, detail)
			}
		}
		if err := rows.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// Every member's given rows are untouched by a transaction that was rolled back.
func TestAppendingLeavesItsInputAlone(t *testing.T) {
	q := state.Queued{Flow: "f", Lane: "l", State: state.Parked, Blocking: true, Kind: "k"}
	a, err := newAppending(&q)
	if err != nil {
		t.Fatal(err)
	}
	a.q = a.given
	x := &tx{}
	x.join(map[laneKey]*link{a.key(): {state: state.Held}}, a)
	if a.q.State != state.Held || !a.q.Follower || a.given.State != state.Parked || a.given.Follower {
		t.Errorf("%+v from %+v", a.q, a.given)
	}
}
