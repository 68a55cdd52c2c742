package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/waybill-hub/waybill/internal/state"
)

// journalWorld is a store whose journal is looked into, and whose process dies now and then.
type journalWorld struct {
	t     *rapid.T
	dir   string
	path  string
	n     int // of files, and of rows
	now   time.Time
	store *Store
	// before is a snapshot that was taken some steps ago.
	before *sql.Tx
}

func (w *journalWorld) Now() time.Time { return w.now }

func (w *journalWorld) ok(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *journalWorld) open() {
	s, err := Open(context.Background(), Config{SQLite: w.path, Clock: w, KeepJournal: time.Hour})
	w.ok(err)
	s.index.gather, s.index.least = 12, 5
	w.store = s
}

func (w *journalWorld) close() {
	w.forget()
	w.ok(w.store.Close())
}

func (w *journalWorld) forget() {
	if w.before != nil {
		w.ok(w.before.Rollback())
		w.before = nil
	}
}

var (
	journalKeys = []string{"SO-1", "so-1", "SO-2", "SO-10", "SO-9", "ÄRGER", "ärger", "x", "", "4711"}
	journalHubs = []string{"h1", "h2", "h3", "SO-1", ""}
)

func (w *journalWorld) rows(n int) []*state.Journal {
	rows := make([]*state.Journal, n)
	for i := range rows {
		w.n++
		rows[i] = &state.Journal{Flow: rapid.SampledFrom([]string{"f", "g"}).Draw(w.t, "flow"), EventID: fmt.Sprint("e", w.n/3), Entity: "order", Key: rapid.SampledFrom(journalKeys).Draw(w.t, "key"),
			Hub: rapid.SampledFrom(journalHubs).Draw(w.t, "hub"), Outcome: state.Delivered}
	}
	return rows
}

func (w *journalWorld) write(rows []*state.Journal, end error) {
	err := w.store.do(context.Background(), "rows", func(t *tx) error {
		return errors.Join(t.saveJournal(rows, nil), end)
	})
	if !errors.Is(err, end) {
		w.t.Fatal(err)
	}
}

// fails writes rows while the last piece of a batch cannot be written.
func (w *journalWorld) fails(rows []*state.Journal) {
	run := func(q string) {
		w.ok(w.store.do(context.Background(), "the trigger", func(t *tx) error { _, err := t.exec(q); return err }))
	}
	run("CREATE TRIGGER full BEFORE UPDATE ON journal_indexed BEGIN SELECT RAISE(ABORT, 'the disk is full'); END")
	was, _ := w.store.index.view()
	err := w.store.do(context.Background(), "rows", func(t *tx) error { return t.saveJournal(rows, nil) })
	if now, _ := w.store.index.view(); err != nil && len(now) != len(was) {
		w.t.Fatalf("%d rows are remembered that are nowhere", len(now)-len(was))
	}
	run("DROP TRIGGER full")
}

// looks is what is looked for. It is drawn before a state of the database is taken: rapid ends a run where it likes.
type looks struct {
	most, keys int
	ofFlow     bool
	event      string
}

func (w *journalWorld) looks() looks {
	return looks{rapid.IntRange(1, 30).Draw(w.t, "most"), rapid.IntRange(1, 5).Draw(w.t, "keys"), rapid.Bool().Draw(w.t, "of a flow"), fmt.Sprint("e", rapid.IntRange(0, w.n/3+1).Draw(w.t, "event"))}
}

// check compares what is found in a state of the database with a walk through its journal.
func (w *journalWorld) check(db queryer, l looks) {
	ctx := context.Background()
	all, err := journalOf(ctx, db, sqlite, "SELECT "+journalCols+" FROM journal ORDER BY id DESC")
	w.ok(err)
	f, err := w.store.fatesIn(ctx, db)
	w.ok(err)
	most := l.most
	also, flow := where{}, ""
	if l.ofFlow {
		flow = "g"
		also.add("flow = ?", flow)
	}
	compare := func(by by, name string, fits func(*state.Journal) bool) {
		w.t.Helper()
		var want []int64
		for i := range all {
			if j := &all[i]; len(want) < most && fits(j) && (flow == "" || j.Flow == flow) {
				want = append(want, j.ID)
			}
		}
		got, err := f.ids(by, name, most, also)
		if err != nil || !slices.Equal(got, want) {
			w.t.Fatalf("by %d, %q: rows %v, %v, want %v", by, name, got, err, want)
		}
		rows, err := f.rows(got, most)
		if w.ok(err); len(rows) != len(want) {
			w.t.Fatalf("%d rows of %v", len(rows), want)
		}
	}
	for _, key := range journalKeys[:8] {
		compare(byKey, key, func(j *state.Journal) bool { return j.Key == key && key != "" })
		compare(byFold, folded(key), func(j *state.Journal) bool { return folded(j.Key) == folded(key) })
	}
	for _, hub := range []string{"h1", "SO-1", "none"} {
		compare(byHub, hub, func(j *state.Journal) bool { return j.Hub == hub })
	}
	compare(byEvent, l.event, func(j *state.Journal) bool { return j.EventID == l.event })
	for _, prefix := range []string{"so-", "so-1", "ä", "z"} {
		folds, want, got := map[string]bool{}, map[string]string{}, map[string]string{}
		for i := range all {
			if fold := folded(all[i].Key); strings.HasPrefix(fold, prefix) {
				folds[fold] = true
			}
		}
		first := slices.Sorted(maps.Keys(folds))
		first = first[:min(len(first), l.keys)]
		for i := range all {
			if fold := folded(all[i].Key); slices.Contains(first, fold) {
				want[fold+"\x00"+all[i].Key] = all[i].Key
			}
		}
		if w.ok(f.begin(prefix, l.keys, got)); !maps.Equal(got, want) {
			w.t.Fatalf("keys that begin with %q: %v, want %v", prefix, got, want)
		}
	}
}

// Whatever is written, taken back and pruned, and wherever the process ends: the index finds what a walk through the journal finds, also for who looks at an older state.
func TestJournalIndexFindsAll(t *testing.T) {
	root := t.TempDir()
	worlds := 0
	rapid.Check(t, func(rt *rapid.T) {
		worlds++
		w := &journalWorld{t: rt, dir: filepath.Join(root, fmt.Sprint(worlds)), now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
		w.path = filepath.Join(w.dir, "0", "waybill.db")
		w.open()
		defer func() { w.close() }()
		for range rapid.IntRange(1, 40).Draw(rt, "steps") {
			switch rapid.SampledFrom([]string{"rows", "rows", "rows", "taken back", "index fails", "skipped", "prune", "reopen", "kill", "snapshot"}).Draw(rt, "step") {
			case "rows":
				w.write(w.rows(rapid.IntRange(1, 9).Draw(rt, "n")), nil)
			case "taken back":
				w.write(w.rows(rapid.IntRange(1, 9).Draw(rt, "n")), errors.New("the disk is full"))
			case "index fails":
				w.fails(w.rows(rapid.IntRange(1, 9).Draw(rt, "n")))
			case "skipped": // numbers, so that there are several parts of the index
				parts := int64(rapid.SampledFrom([]int{1, 2, 9, 70}).Draw(rt, "parts"))
				w.ok(w.store.do(context.Background(), "numbers", func(t *tx) error {
					clear(t.w.ids)
					_, err := t.exec("UPDATE counters SET value = value + ? WHERE name = 'journal'", parts*segmentRows)
					return err
				}))
			case "prune":
				w.now = w.now.Add(time.Duration(rapid.IntRange(0, 90).Draw(rt, "minutes")) * time.Minute)
				_, err := w.store.Prune(context.Background(), w.now)
				w.ok(err)
				var left bool
				w.ok(w.store.read.QueryRow("SELECT COALESCE((SELECT MIN(seg) FROM journal_index) < (SELECT MIN(id) FROM journal) / ?, FALSE)", segmentRows).Scan(&left))
				if left {
					rt.Fatal("the index has parts that lie before the journal")
				}
			case "reopen":
				w.close()
				w.open()
			case "kill": // what lies on the disk is all that is left
				w.n++
				next := filepath.Join(w.dir, fmt.Sprint(w.n), "waybill.db")
				w.ok(os.MkdirAll(filepath.Dir(next), 0o700))
				for _, suffix := range []string{"", "-wal"} {
					w.ok(copyFile(w.path+suffix, next+suffix))
				}
				w.close()
				w.path = next
				w.open()
			case "snapshot":
				w.forget()
				tx, err := w.store.read.BeginTx(context.Background(), nil)
				w.ok(err)
				var n int
				w.ok(tx.QueryRow("SELECT COUNT(*) FROM journal").Scan(&n))
				w.before = tx
			}
			l := w.looks()
			w.ok(w.store.snapshot(context.Background(), func(db queryer) error { w.check(db, l); return nil }))
			if w.before != nil {
				w.check(w.before, l)
			}
		}
	})
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }() // it was only read
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// Two ids that share a number are told apart by the rows.
func TestJournalIndexOfOneNumber(t *testing.T) {
	s := openHere(t)
	err := s.do(t.Context(), "rows", func(x *tx) error {
		if err := x.saveJournal([]*state.Journal{{Flow: "f", Hub: "a"}, {Flow: "f", Hub: "b"}}, nil); err != nil {
			return err
		}
		x.named[1].hub = x.named[0].hub
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, indexed := range []bool{false, true} {
		if indexed {
			s.index.gather = 2
			err := s.do(t.Context(), "a row", func(x *tx) error { return x.saveJournal([]*state.Journal{{Flow: "f", Hub: "c"}}, nil) })
			if rows, _ := s.index.view(); err != nil || len(rows) != 1 {
				t.Fatal(rows, err)
			}
		}
		got, err := s.Journal(t.Context(), state.JournalFilter{Hub: "a"})
		if err != nil || len(got) != 1 || got[0].Hub != "a" {
			t.Errorf("indexed: %v: %+v, %v", indexed, got, err)
		}
	}
}

// What memory gathers is bounded, and so is what a transaction writes of it: a batch is through before the next one is full.
func TestJournalIndexIsBounded(t *testing.T) {
	s := openHere(t)
	s.GatherFew()
	for i := range 200 {
		j := &state.Journal{Flow: "f", Key: fmt.Sprint("k", i*7919%200), Hub: fmt.Sprint("h", i), EventID: fmt.Sprint("e", i)}
		if err := s.do(t.Context(), "rows", func(x *tx) error { return x.saveJournal([]*state.Journal{j}, nil) }); err != nil {
			t.Fatal(err)
		}
		if rows, _ := s.index.view(); len(rows) > 2*s.index.gather {
			t.Fatalf("%d rows are not in the index", len(rows))
		}
	}
	for range 3 * s.index.gather { // rows that nobody can ask for
		if err := s.do(t.Context(), "rows", func(x *tx) error { return x.saveJournal([]*state.Journal{{Flow: "f"}}, nil) }); err != nil {
			t.Fatal(err)
		}
	}
	if rows, _ := s.index.view(); len(rows) > 2*s.index.gather {
		t.Fatalf("%d rows are not in the index", len(rows))
	}
	var n, upto int64
	if err := s.read.QueryRowContext(t.Context(), "SELECT COUNT(*), (SELECT upto FROM journal_indexed) FROM journal_index WHERE fate <= (SELECT upto FROM journal_indexed)").Scan(&n, &upto); err != nil {
		t.Fatal(err)
	}
	if upto < 220 || n != 3*200 {
		t.Errorf("%d entries, of the rows up to %d", n, upto)
	}
}

// turns is a clock that a look at turns by a minute.
type turns struct{ n atomic.Int64 }

func (c *turns) elapsed() time.Duration { return time.Duration(c.n.Add(1)) * time.Minute }

// told calls f for every line of a log.
type told struct {
	slog.Handler
	f func(string)
}

func (l told) Handle(_ context.Context, r slog.Record) error { l.f(r.Message); return nil }
func (l told) Enabled(context.Context, slog.Level) bool      { return true }

// A journal that an older version has written is indexed when the store is opened, with a word, and an open that is ended in between is gone on with.
func TestOldJournalIsIndexed(t *testing.T) {
	cfg := Config{SQLite: filepath.Join(t.TempDir(), "w.db"), Elapsed: (&turns{}).elapsed}
	const n = 2*stepRows + mostGathered
	before(t, cfg, 24, fmt.Sprintf(`WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < %d)
		INSERT INTO journal (id, time, flow, event_id, entity, ekey, hub, outcome, reason, system, local, external, version, attempts, took, fold)
		SELECT n, 1, 'f', 'e' || n, 'order', 'SO-' || (n %% 1000), 'h' || (n %% 500), 'delivered', '', '', '', '', '', 1, 1, 'so-' || (n %% 1000) FROM c`, n))
	ctx, cancel := context.WithCancel(t.Context())
	lines := 0
	cfg.Log = slog.New(told{slog.DiscardHandler, func(m string) {
		if strings.Contains(m, "being indexed") {
			if lines++; lines == 2 {
				cancel()
			}
		}
	}})
	if _, err := Open(ctx, cfg); !errors.Is(err, context.Canceled) || lines != 2 {
		t.Fatalf("opened with %d lines: %v", lines, err)
	}
	s, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if lines != 3 {
		t.Errorf("%d lines: the first step was not kept", lines)
	}
	if rows, low := s.index.view(); low != 2*stepRows || len(rows) != mostGathered {
		t.Errorf("%d rows behind %d", len(rows), low)
	}
	for f, want := range map[state.JournalFilter]int{{Key: "SO-17", Limit: 10_000}: n/1000 + 1, {Hub: "h17", Limit: 10_000}: n/500 + 1, {Key: "SO-17", Before: 1000}: 1} {
		if got, err := s.Journal(t.Context(), f); err != nil || len(got) != want {
			t.Errorf("%+v: %d rows, want %d, %v", f, len(got), want, err)
		}
	}
	if got, err := s.Begin(t.Context(), "SO-99", 20); err != nil || len(got) != 11 {
		t.Errorf("%q, %v", got, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// Whoever was told that a row is stored finds it, while others write and pieces of the index move from memory into the file.
func TestJournalIndexWhileOthersWrite(t *testing.T) {
	s := openHere(t)
	s.index.gather, s.index.least = 7, 3
	var all sync.WaitGroup
	for w := range 6 {
		all.Go(func() {
			for i := range 60 {
				j := &state.Journal{Flow: "f", Key: fmt.Sprint("k", i%5), Hub: fmt.Sprintf("h%d-%d", w, i), EventID: fmt.Sprintf("e%d-%d", w, i), Outcome: state.Parked, Attempts: 1}
				if err := s.do(t.Context(), "rows", func(x *tx) error { return x.saveJournal([]*state.Journal{j}, nil) }); err != nil {
					t.Error(err)
					return
				}
				for _, n := range []int{i, i / 2} {
					if tr, err := s.Trace(t.Context(), fmt.Sprintf("h%d-%d", w, n)); err != nil || len(tr.Journal) != 1 {
						t.Errorf("%d rows of h%d-%d: %v", len(tr.Journal), w, n, err)
					}
					if known, err := s.Refused(t.Context(), "f", fmt.Sprintf("e%d-%d", w, n), 0); err != nil || !known {
						t.Errorf("e%d-%d is known: %v, %v", w, n, known, err)
					}
				}
			}
		})
	}
	all.Wait()
}
