package intake

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/inbox/inboxtest"
	"github.com/waybill-hub/waybill/internal/schedule"
	"github.com/waybill-hub/waybill/internal/state"
)

// drop is a folder of files in memory. A file's lines are documents; a line that begins with ! cannot be read, one with ? ends
// the file with an error.
type drop struct {
	mu     sync.Mutex
	files  []connector.File
	lines  map[string][]string
	done   []string
	failed map[string]string
	reads  []int // the row that each Read began at
	move   error // of the next Done
}

func newDrop() *drop { return &drop{lines: map[string][]string{}, failed: map[string]string{}} }

func (d *drop) put(name, id string, modified time.Time, lines ...string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.files = append(d.files, connector.File{Name: name, ID: id, Modified: modified})
	d.lines[id] = lines
}

func (d *drop) Probe(context.Context) error { return nil }
func (d *drop) Close() error                { return nil }

func (d *drop) Pending(context.Context, string) ([]connector.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.files), nil
}

func (d *drop) Read(_ context.Context, _ string, f connector.File, from int) iter.Seq2[connector.Row, error] {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reads = append(d.reads, from)
	lines := d.lines[f.ID]
	return func(yield func(connector.Row, error) bool) {
		for i := from; i < len(lines); i++ {
			row := connector.Row{Number: i + 1, Line: i + 2}
			var err error
			switch lines[i][0] {
			case '!':
				err = errors.New("quantity is not a number")
			case '?':
				yield(connector.Row{}, fault.New(fault.Invalid, "the file ends within a quoted field"))
				return
			case '~':
				yield(connector.Row{}, fault.New(fault.Unavailable, "the share is gone"))
				return
			default:
				row.Doc = []byte(lines[i])
			}
			if !yield(row, err) {
				return
			}
		}
	}
}

func (d *drop) Done(_ context.Context, _ string, f connector.File, failed error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.move; err != nil {
		d.move = nil
		return err
	}
	i := slices.IndexFunc(d.files, func(g connector.File) bool { return g.Name == f.Name && g.ID == f.ID })
	d.files = slices.Delete(d.files, i, i+1)
	if failed != nil {
		d.failed[f.Name] = failed.Error()
	} else {
		d.done = append(d.done, f.Name)
	}
	return nil
}

func (d *drop) empty() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.files) == 0
}

func watched(d *drop, chunk int) Source {
	return Source{Key: inboxtest.Field("k"), Files: &Files{Source: d, Object: "orders", When: schedule.Every(5 * time.Second), Chunk: chunk}}
}

func rowsOf(from, n int) []string {
	var out []string
	for i := from; i < from+n; i++ {
		out = append(out, `{"k":"`+strconv.Itoa(i)+`"}`)
	}
	return out
}

func TestFilesAreTaken(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		d := newDrop()
		lines := append(rowsOf(1, 4), "!")
		lines = append(lines, rowsOf(6, 3)...)
		d.put("orders.csv", "sha-1", noon, lines...)
		d.put("more.csv", "sha-2", noon, rowsOf(100, 1)...)
		b.start(watched(d, 3))
		b.Turn("the files", func() bool { return d.empty() && b.Topic.Count() == 9 && b.Unpublished() == 0 })
		if !slices.Equal(d.done, []string{"orders.csv", "more.csv"}) {
			t.Errorf("done %v", d.done)
		}
		no := b.Refused()
		if len(no) != 1 || no[0].Refused.Code != event.RefusedRow || no[0].Refused.Reason != "orders.csv: row 5, line 6: quantity is not a number" ||
			no[0].Refused.Headers["file-row"] != "5" {
			t.Errorf("refused %+v", no)
		}
		if e := b.Topic.Events()[0]; !e.Time.Equal(noon) || e.Key != "1" {
			t.Errorf("event %+v", e)
		}
		b.Await("the records of both files", func() bool {
			runs, err := b.Store.Runs(t.Context(), state.RunFilter{Kind: "files", Name: "orders", State: "ok"})
			return err == nil && len(runs) == 2
		})
		runs, err := b.Store.Runs(t.Context(), state.RunFilter{Kind: "files", Name: "orders"})
		if err != nil || len(runs) != 2 || !slices.ContainsFunc(runs, func(r state.Run) bool { return r.Detail == "orders.csv" && r.Count == 8 && r.State == "ok" }) {
			t.Errorf("runs %+v, %v", runs, err)
		}
	})
}

func TestBrokenFileGoesToFailed(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		d := newDrop()
		d.put("cut.csv", "sha-1", noon, append(rowsOf(1, 4), "?", `{"k":"never"}`)...)
		d.put("next.csv", "sha-2", noon, rowsOf(9, 1)...)
		b.start(watched(d, 3))
		b.Turn("the files", func() bool { return d.empty() && b.Topic.Count() == 5 })
		if d.failed["cut.csv"] != "the file ends within a quoted field" || !slices.Equal(d.done, []string{"next.csv"}) {
			t.Errorf("done %v, failed %v", d.done, d.failed)
		}
	})
}

// TestFilesKeepTheirOrder: a file that cannot be read now holds the next, and is read on from where it was.
func TestFilesKeepTheirOrder(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		d := newDrop()
		d.put("a.csv", "sha-1", noon, append(rowsOf(1, 4), "~", `{"k":"5"}`)...)
		d.put("b.csv", "sha-2", noon, rowsOf(9, 1)...)
		in := b.start(watched(d, 3))
		b.Turn("the failure", func() bool { return in.States()["orders"].State == SourceFailing })
		d.mu.Lock()
		d.lines["sha-1"] = append(rowsOf(1, 4), `{"k":"5"}`)
		d.move = errors.New("permission denied") // and moving it fails once
		d.mu.Unlock()
		b.Turn("the files", func() bool { return d.empty() && b.Topic.Count() == 6 && b.Unpublished() == 0 })
		var keys []string
		for _, e := range b.Topic.Events() {
			keys = append(keys, e.Key)
		}
		if !slices.Equal(keys, []string{"1", "2", "3", "4", "5", "9"}) {
			t.Errorf("keys %v", keys)
		}
		if d.reads[1] != 4 {
			t.Errorf("the second read began at row %d, not 4", d.reads[1])
		}
	})
}

// TestSameContentAgain: a list that says what the one before last said is another delivery; the very same file is not.
func TestSameContentAgain(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		d := newDrop()
		b.start(watched(d, 0))
		for i, f := range []struct {
			name, id string
			at       time.Time
			events   int
		}{
			{"stock-1.csv", "sha-A", noon, 2},
			{"stock-2.csv", "sha-B", noon.Add(time.Hour), 4},
			{"stock-3.csv", "sha-A", noon.Add(2 * time.Hour), 6},
			{"stock-1.csv", "sha-A", noon, 6}, // put back by hand
		} {
			d.put(f.name, f.id, f.at, rowsOf(10*i, 2)...)
			if f.id == "sha-A" {
				d.mu.Lock()
				d.lines[f.id] = rowsOf(0, 2)
				d.mu.Unlock()
			}
			b.Turn(f.name, func() bool { return d.empty() && b.Unpublished() == 0 })
			if n := b.Topic.Count(); n != f.events {
				t.Errorf("after file %d: %d events, want %d", i+1, n, f.events)
			}
		}
	})
}

// dying is a store that fails for good after some commits of rows.
type dying struct {
	Store
	left int
}

var errDead = errors.New("killed")

func (s *dying) Accept(ctx context.Context, rows []state.Inbound, cur *state.Cursor, lease *state.Lease) ([]state.Accepted, []int64, error) {
	if s.left--; s.left < 0 {
		return nil, nil, errDead
	}
	return s.Store.Accept(ctx, rows, cur, lease)
}

// counted counts what a source asks of the store.
type counted struct {
	Store
	places, begun, ended atomic.Int64
}

func (s *counted) Accept(ctx context.Context, rows []state.Inbound, cur *state.Cursor, lease *state.Lease) ([]state.Accepted, []int64, error) {
	if cur != nil && cur.Value != "" {
		s.places.Add(1)
	}
	return s.Store.Accept(ctx, rows, cur, lease)
}

func (s *counted) StartRun(ctx context.Context, r state.Run) (int64, error) {
	s.begun.Add(1)
	return s.Store.StartRun(ctx, r)
}

func (s *counted) EndRun(ctx context.Context, r state.Run) error {
	s.ended.Add(1)
	return s.Store.EndRun(ctx, r)
}

// TestSmallFilesAreCheap: where a drop is full of small files, each is one commit and one record of its run; a long one shows while it is read.
func TestSmallFilesAreCheap(t *testing.T) {
	for name, c := range map[string]struct{ rows, places, begun, ended int64 }{
		"small": {rows: 2, places: 1, begun: 1},
		"none":  {rows: 0, places: 1, begun: 1},
		"long":  {rows: 7, places: 3, begun: 1, ended: 1},
		"exact": {rows: 6, places: 3, begun: 1, ended: 1},
	} {
		t.Run(name, func(t *testing.T) {
			onStores(t, func(t *testing.T, b *bench) {
				const files = 10
				d := newDrop()
				for i := range files {
					d.put(fmt.Sprintf("%02d.csv", i), fmt.Sprint("sha-", i), noon, rowsOf(100*i, int(c.rows))...)
				}
				var n *counted
				b.between = func(s Store) Store { n = &counted{Store: s}; return n }
				b.start(watched(d, 3))
				b.Turn("the files", func() bool { return d.empty() && b.Topic.Count() == int(files*c.rows) && b.Unpublished() == 0 })
				var runs []state.Run
				b.Await("the last record", func() (done bool) {
					var err error
					runs, err = b.Store.Runs(t.Context(), state.RunFilter{Kind: "files", State: "ok"})
					return err == nil && len(runs) == files
				})
				if runs[0].Finished.IsZero() || runs[0].Count != c.rows || n.begun.Load() != files*c.begun || n.ended.Load() != files*c.ended {
					t.Errorf("%d records begun, %d ended: %+v", n.begun.Load(), n.ended.Load(), runs[0])
				}
				if got := n.places.Load(); got != files*c.places {
					t.Errorf("%d commits of rows or places, want %d", got, files*c.places)
				}
			})
		})
	}
}

// TestDiesAtEveryCommit lets the hub die before each of its commits in turn: every row comes exactly once.
func TestDiesAtEveryCommit(t *testing.T) {
	for deathAt := range 7 {
		t.Run(fmt.Sprint("commit ", deathAt), func(t *testing.T) {
			onStores(t, func(t *testing.T, b *bench) {
				d := newDrop()
				d.put("a.csv", "sha-1", noon, append(rowsOf(1, 7), "!")...)
				b.between = func(s Store) Store { return &dying{s, deathAt} }
				in := b.start(watched(d, 3))
				b.Turn("death", func() bool { return strings.Contains(in.States()["orders"].Error, "killed") })
				b.crash()
				b.between = nil
				b.start(watched(d, 3))
				b.Turn("the file", func() bool { return d.empty() && b.Unpublished() == 0 })
				// What was published and not marked when the hub died comes again under the same ids.
				ids := b.Topic.IDs()
				slices.Sort(ids)
				if ids = slices.Compact(ids); len(ids) != 7 {
					t.Errorf("ids %v", ids)
				}
				no := b.Refused()
				for _, e := range no {
					if e.ID != no[0].ID {
						t.Errorf("%s was refused, and %s", no[0].ID, e.ID)
					}
				}
				if len(no) == 0 || len(d.done) != 1 {
					t.Errorf("refused %d, done %v", len(no), d.done)
				}
			})
		})
	}
}
