package store

import (
	"context"
	"database/sql"
	"errors"
	"math"
	"path/filepath"
	"reflect"
	"slices"
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
		in := state.Known{Fields: rapid.MapOf(rapid.String(), rapid.Uint64()).Draw(t, "fields"), Wrote: rapid.String().Draw(t, "wrote")}
		if names := rapid.SliceOf(rapid.String()).Draw(t, "written"); len(names) > 0 {
			in.Written = names
		}
		var out state.Known
		err := decodeKnown(encodeKnown(&in), &out)
		if err != nil || !reflect.DeepEqual(in, out) {
			t.Fatalf("%v, %v, want %v", out, err, in)
		}
	})
}

func FuzzDecodeFields(f *testing.F) {
	f.Add(encodeKnown(&state.Known{Fields: map[string]uint64{"a": 1, "bc": math.MaxUint64}, Wrote: "7", Written: []string{"a"}}))
	f.Add([]byte{1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		var got state.Known
		err := decodeKnown(b, &got)
		if err != nil && !errors.Is(err, errTorn) {
			t.Fatal(err)
		}
		if err == nil && got.Fields == nil {
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
	s := openHere(t)
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
	acts, err := s.Audits(t.Context(), state.AuditFilter{Limit: 100})
	if err != nil || len(acts) != 9 {
		t.Errorf("%d acts, want 9 (%v)", len(acts), err)
	}
	if st := s.Stats(); st.Retried != 10 {
		t.Errorf("stats: %+v", st)
	}
}

// Numbers that a rolled-back transaction took are not given out again behind the counter's back.
func TestNumbersAfterRollback(t *testing.T) {
	cfg := Config{SQLite: filepath.Join(t.TempDir(), "waybill.db")}
	seen := map[int64]bool{}
	for range 2 {
		s, err := Open(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		boom := errors.New("boom")
		err = s.do(t.Context(), "fails", func(x *tx) error {
			_, err := x.ids("audit", 3)
			return errors.Join(err, boom)
		})
		if !errors.Is(err, boom) {
			t.Fatal(err)
		}
		for range 3 {
			ids, err := ask(t.Context(), s, "ids", func(x *tx) ([]int64, error) { return x.ids("audit", 700) })
			if err != nil {
				t.Fatal(err)
			}
			for _, id := range ids {
				if seen[id] {
					t.Fatalf("%d was given twice", id)
				}
				seen[id] = true
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// A killed process shows no difference, a power cut would: promises need these settings.
func TestWriterIsDurable(t *testing.T) {
	s := openHere(t)
	want := map[string]string{"journal_mode": "wal", "synchronous": "2", "busy_timeout": "10000"}
	for name, value := range want {
		got, err := ask(t.Context(), s, name, func(x *tx) (got string, err error) {
			err = x.each(func(r *sql.Rows) error { return r.Scan(&got) }, "PRAGMA "+name)
			return got, err
		})
		if err != nil || got != value {
			t.Errorf("%s is %q, want %q (%v)", name, got, value, err)
		}
	}
	if _, err := s.read.ExecContext(t.Context(), "DELETE FROM audit"); err == nil {
		t.Error("a reader can write")
	}
}

// The statements of the writer and of the hot path must use indexes: a full scan would show only in production.
func TestPlansUseIndexes(t *testing.T) {
	s := openHere(t)
	statements := append(work(t, s), hubIDQuery, localIDQuery, targetQuery)
	statements = append(statements, fateTexts()...)
	if got, err := s.Listed(t.Context(), state.QueueFilter{Limit: 10}, 3); err != nil || len(got) == 0 || got[0].Behind == 0 {
		t.Fatalf("what waits is not listed: %+v %v", got, err)
	}
	for q := range s.kept.list { // readings outside the writer
		if strings.Contains(q, "queue") {
			statements = append(statements, q)
		}
	}
	for _, f := range foldings {
		x := s.d.fold(f.col)
		statements = append(statements, "SELECT "+f.col+", "+x+" FROM "+f.table+" WHERE "+x+" >= ? AND "+x+" < ?"+f.where+" ORDER BY "+x+" LIMIT 1")
	}
	if len(statements) < 30 {
		t.Fatalf("only %d statements ran", len(statements))
	}
	for _, q := range statements {
		if strings.Contains(q, "ORDER BY id LIMIT CAST(? AS INTEGER))") || strings.HasPrefix(q, "SELECT id, size FROM documents") || strings.Contains(q, "DELETE FROM timely") || strings.Contains(q, "FROM search_objects ORDER BY newest LIMIT CAST(? AS INTEGER))") { // a few hundred rows a flow // pruning reads the oldest rows only
			continue
		}
		args := make([]any, strings.Count(q, "?"))
		for i := range args {
			args[i] = "x"
		}
		rows, err := s.read.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+q, args...)
		if err != nil {
			t.Fatalf("%s: %v", q, err)
		}
		err = eachRow(rows, nil, func(r *sql.Rows) error {
			var id, parent, unused int
			var detail string
			err := r.Scan(&id, &parent, &unused, &detail)
			table, scans := strings.CutPrefix(detail, "SCAN ")
			if given := table == "v" || table == "x" || table == "k" || strings.HasPrefix(table, "(subquery") || table == "q" || strings.Contains(table, "CONSTANT ROW") || strings.HasSuffix(table, "VALUES CLAUSE"); scans && !given {
				t.Errorf("%s\n%s", detail, q)
			}
			if strings.Contains(q, "journal_index") && strings.Contains(detail, "TEMP B-TREE FOR") {
				t.Errorf("%s: everything that a name has is put in order\n%s", detail, q)
			}
			if strings.Contains(detail, "(entity=?)") {
				t.Errorf("%s: every object of an entity is looked at\n%s", detail, q)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// work does something of everything and gives the writer's statements.
func work(t *testing.T, s *Store) (statements []string) {
	t.Helper()
	ctx := t.Context()
	p, err := s.OpenPartition(ctx, "f", "t", 0, event.Log{Cluster: "c", TopicID: "t", First: 0, Last: 100})
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ok(err)
	in := state.Intent{Entity: "e", Hub: "h", System: "s", EventID: "i", Create: true}
	ok(s.OpenIntent(ctx, in))
	commit := func(results ...state.Result) {
		t.Helper()
		ok(s.Commit(ctx, &state.Commit{Flow: "f", Topic: "t", Epoch: p.Epoch, Results: results}))
	}
	waits := func(offset int64, m state.Missing) state.Result {
		return state.Result{Offset: offset, Outcome: state.Waiting, Queue: &state.Queued{Lane: "l", Blocking: true, Missing: &m}}
	}
	commit(waits(0, state.Missing{Entity: "e", System: "s", Hub: "h"}), waits(1, state.Missing{Entity: "e", System: "s", Intents: true}))
	ref := func(local string) *state.Ref { return &state.Ref{Entity: "e", Hub: "h", System: "s", Local: local} }
	commit(state.Result{Offset: 2, Outcome: state.Delivered, Ref: ref("1"), Close: []state.Intent{in}, Applied: &state.Applied{}, Journal: &state.Journal{}})
	commit(state.Result{Offset: 3, Outcome: state.Delivered, Ref: ref("2")})
	commit(state.Result{Drained: 1, Outcome: state.Parked}, state.Result{Drained: 1, Outcome: state.Delivered})
	ok(s.NoteLogs(ctx, []state.TopicLog{{Topic: "to", Cluster: "c", TopicID: "t", Ends: []int64{1}}}))
	commit(state.Result{Offset: 7, Outcome: state.Delivered, Sent: &event.Record{Topic: "to"}})
	s.KeepDocuments(Keep{Age: time.Hour, Size: 1})
	commit(state.Result{Offset: 8, Outcome: state.Delivered, Journal: &state.Journal{Documents: &state.Documents{Source: []byte("{}")}}})
	_, err = s.PruneSent(ctx, nil, func(context.Context) error { return nil })
	ok(err)
	for _, local := range []string{"1", "9"} {
		_, _, err = s.Resolve(ctx, "e", "s", local, "x", "i")
		ok(err)
	}
	l, _, err := s.AcquireLease(ctx, "l", "me", time.Minute)
	ok(err)
	_, seqs, err := s.Accept(ctx, []state.Inbound{{Flow: "f", DeliveryID: "1"}, {Flow: "f", DeliveryID: "2"}}, &state.Cursor{Flow: "f"}, &l)
	ok(err)
	ok(s.MarkPublished(ctx, l, []state.Published{{Seq: seqs[0]}, {Seq: seqs[1]}}, []state.Inbound{{Flow: "f", ID: "1.0~1", Event: &event.Event{ID: "1.0"}}}))
	_, err = s.Inbound(ctx, seqs[0])
	ok(err)
	_, err = s.Refused(ctx, "f", "1", 0)
	ok(err)
	commit(waits(4, state.Missing{Entity: "e", System: "s", Hub: "other"}), state.Result{Offset: 5, Outcome: state.Parked, Queue: &state.Queued{Lane: "l2", Blocking: true, Kind: "k"}},
		state.Result{Offset: 6, Outcome: state.Parked, Queue: &state.Queued{Lane: "l2", Blocking: true, Follower: true}})
	resting, err := s.Queue(ctx, "f", "l2", 10)
	ok(err)
	for _, q := range resting { // the head, and what is behind it
		ok(s.Edit(ctx, state.Edit{ID: q.ID, Data: []byte("{}"), Who: "ann", Note: "typo"}))
	}
	ok(s.Mark(ctx, state.Wish{ID: resting[0].ID, Mark: state.MarkReplay, Who: "ann", Note: ""}))
	if err := s.Mark(ctx, state.Wish{ID: resting[1].ID, Mark: state.MarkReplay, Who: "ann", Note: ""}); !errors.Is(err, state.ErrBusy) {
		t.Fatal(err)
	}
	commit(state.Result{Drained: resting[0].ID, Outcome: state.Discarded})
	_, err = s.Bulk(ctx, state.Bulk{Mark: state.MarkDiscard, Filter: state.QueueFilter{Flow: "f", Cause: "x"}, Most: 10})
	ok(err)
	_, err = s.Bulk(ctx, state.Bulk{Mark: state.MarkReplay, Filter: state.QueueFilter{Flow: "f"}, Most: 10})
	ok(err)
	_, err = s.Prune(ctx, time.Now())
	ok(err)
	ok(s.do(ctx, "statements", func(x *tx) error {
		for q := range x.w.stmts {
			statements = append(statements, q)
		}
		return nil
	}))
	return statements
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

func sqlConn(t *testing.T, path string) (*sql.Conn, error) {
	db, err := sql.Open("sqlite", fileURI(path))
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { _ = db.Close() })
	return db.Conn(t.Context())
}

// TestOldBulksGo: a bulk is kept as long as the audit, and no longer.
func TestOldBulksGo(t *testing.T) {
	s, err := Open(t.Context(), Config{SQLite: t.TempDir() + "/w.db", KeepJournal: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	now := time.Now()
	err = s.do(t.Context(), "two bulks", func(t *tx) error {
		_, err := t.exec("INSERT INTO bulks (id, time, who, action, about, n) VALUES (1, ?, 'ann', 'bulk replay', 'x', 3), (2, ?, 'bob', 'bulk replay', 'x', 3)",
			stamp(now.Add(-2*time.Hour)), stamp(now))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Prune(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	left, err := numbersOf(t.Context(), s.read, s.d, "SELECT who, id FROM bulks")
	if err != nil || len(left) != 1 || left["bob"] != 2 {
		t.Errorf("left %v, %v", left, err)
	}
}

// openHere opens a store of the test's own.
func openHere(t *testing.T) *Store {
	t.Helper()
	s, err := Open(t.Context(), Config{SQLite: filepath.Join(t.TempDir(), "waybill.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// TestPlacesRoundTrip: places lie in runs, and those that were written before there were any are read as well.
func TestPlacesRoundTrip(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var in []state.PublishedAt
		next := map[int]int64{}
		index := rapid.IntRange(-1, 2).Draw(rt, "first")
		for range rapid.IntRange(0, 30).Draw(rt, "n") {
			part := rapid.IntRange(0, 2).Draw(rt, "part")
			next[part] += int64(rapid.SampledFrom([]int{1, 1, 1, 1, 5}).Draw(rt, "step"))
			in = append(in, state.PublishedAt{Topic: "in.a", Partition: part, Offset: next[part], Life: int64(rapid.SampledFrom([]int{0, 0, 0, 1}).Draw(rt, "life")), Index: index})
			index += rapid.IntRange(1, 3).Draw(rt, "by")
		}
		text, err := encodePlaces(in)
		if err != nil {
			rt.Fatal(err)
		}
		out, err := decodePlaces(text)
		if err != nil || !slices.Equal(in, out) {
			rt.Fatalf("%v became %v by way of %s, %v", in, out, text, err)
		}
	})
	text, err := encodePlaces([]state.PublishedAt{{Topic: "t", Offset: 4}, {Topic: "t", Offset: 5, Index: 1}, {Topic: "t", Offset: 6, Index: 2}})
	if want := `[{"t":"t","p":0,"o":4,"x":[1,1]}]`; err != nil || text != want {
		t.Errorf("a run is written as %s, %v", text, err)
	}
	old, err := decodePlaces(`[{"t":"t","p":1,"o":4},{"t":"t","p":1,"o":5,"l":2,"i":7}]`)
	if want := []state.PublishedAt{{Topic: "t", Partition: 1, Offset: 4}, {Topic: "t", Partition: 1, Offset: 5, Life: 2, Index: 7}}; err != nil || !slices.Equal(old, want) {
		t.Errorf("%v, %v", old, err)
	}
}

// TestTornBundle: a bundle that is damaged anywhere in its frame is told, and never read as something else beyond its end.
func TestTornBundle(t *testing.T) {
	b := newBundle([]state.Bundled{{ID: "1", Headers: map[string]string{"a": "b"}, Body: []byte("{}")}, {ID: "2", Body: []byte("x")}})
	if out, err := decodeBundle(b.n, b.body); err != nil || len(out) != 2 || string(out[1].Body) != "x" || len(b.ids) != 16 {
		t.Fatalf("%+v, %v", out, err)
	}
	for n := range b.body {
		if _, err := decodeBundle(b.n, b.body[:n]); !errors.Is(err, errTorn) {
			t.Errorf("%d of %d bytes: %v", n, len(b.body), err)
		}
	}
	for _, bad := range [][]byte{append(slices.Clone(b.body), 0), append([]byte{9}, b.body[1:]...), {bundleForm, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}} {
		if _, err := decodeBundle(b.n, bad); !errors.Is(err, errTorn) {
			t.Errorf("% x: %v", bad, err)
		}
	}
}
