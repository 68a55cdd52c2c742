package intake

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/inbox"
	"github.com/waybill-hub/waybill/internal/inbox/inboxtest"
	"github.com/waybill-hub/waybill/internal/schedule"
	"github.com/waybill-hub/waybill/internal/state"
)

// changesOf are changes of a log, from one number to before another, each of one of three objects.
func changesOf(from, to int) (out []connector.Record) {
	for i := from; i < to; i++ {
		key := fmt.Sprint("k", i%3)
		out = append(out, connector.Record{Local: key, Change: fmt.Sprint("log/", i), Version: fmt.Sprintf("~1.%03d", i), Doc: fmt.Appendf(nil, `{"k":"%s","n":%d}`, key, i)})
	}
	return out
}

func pages(steps ...step) (*script, Source) {
	s := &script{steps: steps}
	return s, Source{Key: inboxtest.Field("k"), Poll: &Poll{Poller: s, Object: "item", When: schedule.Every(time.Second)}}
}

// numbers are those of the changes that were published, in order.
func numbers(b *bench) (out []string) {
	for _, e := range b.Topic.Events() {
		name, _, _ := strings.Cut(e.ID, "#")
		out = append(out, strings.TrimPrefix(name, "log/"))
	}
	return out
}

// TestChangesTogether: changes of a page lie in few rows, and come out as if each had one; what cannot be read stands alone, in its place.
func TestChangesTogether(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		records := changesOf(0, mostBundled+40)
		records[20].Err, records[20].Doc = errors.New("no date"), nil
		records[24].Version = ""
		var rows, events atomic.Int32
		b.between = func(s Store) Store {
			return &accepting{Store: s, before: func(in []state.Inbound) error {
				for i := range in {
					rows.Add(1)
					events.Add(int32(max(1, len(in[i].Bundle))))
				}
				return nil
			}}
		}
		_, src := pages(step{page: connector.Page{Records: records, Cursor: "c1"}})
		b.start(src)
		b.Turn("all", func() bool { return b.Topic.Count() == len(records) && b.Unpublished() == 0 })
		b.stop()
		want := make([]string, len(records))
		for i := range want {
			want[i] = fmt.Sprint(i)
		}
		if got := numbers(b); !slices.Equal(got, want) {
			t.Errorf("published: %v", got)
		}
		// 20 together, two alone with three between them that are too few, and the rest in two.
		if rows.Load() != 1+5+2 || events.Load() != int32(len(records)) {
			t.Errorf("%d rows for %d events", rows.Load(), events.Load())
		}
		if no := b.Refused(); len(no) != 1 || !strings.Contains(no[0].Refused.Reason, "no date") {
			t.Errorf("refused: %+v", no)
		}
		ids := map[string]bool{}
		for _, e := range b.Topic.Events() {
			ids[e.ID+e.Trace] = true
		}
		if len(ids) != len(records) {
			t.Errorf("%d ids and traces for %d changes", len(ids), len(records))
		}
	})
}

// accepting is a store that is asked before and after it takes rows.
type accepting struct {
	Store
	before func([]state.Inbound) error
	after  func() error
}

func (a *accepting) Accept(ctx context.Context, rows []state.Inbound, cur *state.Cursor, l *state.Lease) ([]state.Accepted, []int64, error) {
	if a.before != nil {
		if err := a.before(rows); err != nil {
			return nil, nil, err
		}
	}
	fates, seqs, err := a.Store.Accept(ctx, rows, cur, l)
	if err == nil && a.after != nil {
		if err := a.after(); err != nil {
			return nil, nil, err
		}
	}
	return fates, seqs, err
}

// ledgerOf is a log of changes, of which a poll gives some from the cursor on; the places of pages differ each time.
type ledgerOf struct {
	all   []connector.Record
	polls atomic.Int32
}

func (l *ledgerOf) Probe(context.Context) error { return nil }
func (l *ledgerOf) Close() error                { return nil }

func (l *ledgerOf) Poll(_ context.Context, r connector.PollRequest) (connector.Page, error) {
	from := 0
	if r.Cursor != "" {
		if _, err := fmt.Sscan(r.Cursor, &from); err != nil {
			return connector.Page{}, err
		}
	}
	n := l.polls.Add(1)
	to := min(len(l.all), from+5+int(n*37%90))
	return connector.Page{Records: l.all[from:to], Cursor: fmt.Sprint(to), More: to < len(l.all)}, nil
}

// TestChangesOnce: whatever is lost of the store's answers, or of the hub before and after a commit, each change is taken once, in its order: the cursor says what was taken.
func TestChangesOnce(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		l := &ledgerOf{all: changesOf(0, 900)}
		src := func() Source {
			return Source{Key: inboxtest.Field("k"), Poll: &Poll{Poller: l, Object: "item", When: schedule.Every(time.Second)}}
		}
		var calls atomic.Int32
		b.between = func(s Store) Store {
			return &accepting{Store: s,
				before: func([]state.Inbound) error {
					if calls.Add(1)%4 == 0 {
						return errors.New("the disk is full")
					}
					return nil
				},
				after: func() error {
					if calls.Load()%3 == 0 {
						return errors.New("the answer is lost")
					}
					return nil
				}}
		}
		for _, upTo := range []int{200, 500, 900} {
			b.start(src())
			b.Turn("some of them", func() bool { return b.Topic.Count() >= upTo })
			b.crash()
		}
		b.start(src())
		b.Turn("all", func() bool {
			cur, err := b.Store.Cursor(t.Context(), "orders") // before the inbox is asked: what it takes meanwhile would be missed
			return err == nil && cur.Value == fmt.Sprint(len(l.all)) && b.Unpublished() == 0
		})
		b.stop()
		first := map[string]bool{}
		var got []string
		for _, n := range numbers(b) { // what was published and not noted comes again
			if !first[n] {
				first[n], got = true, append(got, n)
			}
		}
		for i := range l.all {
			if i >= len(got) || got[i] != fmt.Sprint(i) {
				t.Fatalf("change %d of %d: %v", i, len(l.all), got[max(0, i-3):min(len(got), i+3)])
			}
		}
		n := b.Topic.Count()
		b.start(src())
		polls := l.polls.Load()
		b.Turn("nothing more", func() bool { return l.polls.Load() > polls+2 })
		b.stop()
		if b.Topic.Count() != n || len(got) != len(l.all) {
			t.Errorf("%d changes, and %d more records", len(got), b.Topic.Count()-n)
		}
	})
}

// TestBundleBounds: at the bound is together, just past it is not.
func TestBundleBounds(t *testing.T) {
	shape := func(sizes ...int) string {
		var all []candidate
		for i, size := range sizes {
			all = append(all, candidate{named: true, row: state.Inbound{ID: fmt.Sprint(i), Headers: map[string]string{inbox.HeaderVersion: "~1.7"}, Body: make([]byte, size)}})
		}
		var out []string
		n := 0
		for _, row := range together(all) {
			if row.Bundle == nil {
				row.Bundle = []state.Bundled{{ID: row.ID}}
				out = append(out, "alone")
			} else {
				out = append(out, fmt.Sprint(len(row.Bundle)))
			}
			for _, one := range row.Bundle {
				if one.ID != fmt.Sprint(n) {
					t.Errorf("change %s is the %d-th", one.ID, n)
				}
				n++
			}
		}
		return strings.Join(out, " ")
	}
	many := func(n, size int) []int { return slices.Repeat([]int{size}, n) }
	for _, c := range []struct {
		sizes []int
		want  string
	}{
		{many(fewest, 10), "8"}, {many(fewest-1, 10), strings.TrimSpace(strings.Repeat("alone ", fewest-1))},
		{many(mostBundled, 1), "512"}, {many(mostBundled+fewest, 1), "512 8"}, {many(mostBundled+1, 1), "512 alone"},
		{many(16, mostBundledBytes/8), "8 8"}, {append(many(7, mostBundledBytes/8), append(many(1, mostBundledBytes/8+1), many(7, 1)...)...), strings.TrimSpace(strings.Repeat("alone ", 7)) + " 8"},
		{append(many(1, mostBundledBytes*3), many(fewest, 1)...), "alone 8"},
	} {
		if got := shape(c.sizes...); got != c.want {
			t.Errorf("%d changes: %s, want %s", len(c.sizes), got, c.want)
		}
	}
}
