package relay

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/waybill-hub/waybill/internal/inbox/inboxtest"
	"github.com/waybill-hub/waybill/internal/state"
)

func listOf(n int, element string) string {
	return "[" + strings.Repeat(element+",", n-1) + element + "]"
}

// TestLongListInSlices: a list that is longer than a slice goes out slice by slice, each noted; a relay that dies in between goes on with
// the slice that it had not noted, in the list's order and before what came later. So does a list beyond what the door takes today.
func TestLongListInSlices(t *testing.T) {
	const n = 2*maxSlice + 100
	onStores(t, func(t *testing.T, b *bench) {
		b.Accept(inboxtest.Inbound("d1", listOf(n, `{"id":"a"}`)), inboxtest.Inbound("d2", `{"id":"a"}`))
		var marks atomic.Int32
		b.between = func(s Store) Store { return &mortal{Store: s, marks: &marks, dies: 2} }
		b.start(Source{Lists: true, Key: inboxtest.Field("id")})
		b.Turn("two slices", func() bool { return marks.Load() == 2 })
		b.crash()
		if ids := b.Topic.IDs(); len(ids) != 2*maxSlice || ids[maxSlice] != fmt.Sprintf("d1.%d", maxSlice) {
			t.Fatalf("%d events were published before the end", len(ids))
		}
		b.between = nil
		var done []state.Published
		b.between = func(s Store) Store {
			return &meddler{Store: s, marked: func(d []state.Published) { done = append(done, d...) }}
		}
		b.start(Source{Lists: true, Key: inboxtest.Field("id")})
		b.Turn("all", func() bool { return b.Unpublished() == 0 })
		b.stop()
		got := b.Topic.IDs()[2*maxSlice:]
		// The second slice was not noted: it comes again, under the same ids. The first does not.
		if len(got) != n-maxSlice+1 || got[0] != fmt.Sprintf("d1.%d", maxSlice) || got[n-maxSlice-1] != fmt.Sprintf("d1.%d", n-1) || got[n-maxSlice] != "d2" {
			t.Errorf("%d events after the start, from %s", len(got), got[0])
		}
		for _, p := range done {
			if len(p.Positions) > maxSlice {
				t.Errorf("a commit of %d events", len(p.Positions))
			}
		}
		tr, err := b.Store.Trace(t.Context(), "d1")
		if err != nil || len(tr.Inbox) != 1 {
			t.Fatalf("%+v, %v", tr, err)
		}
		at := tr.Inbox[0].Positions
		if !tr.Inbox[0].Published || len(at) != n || !slices.IsSortedFunc(at, func(a, b state.PublishedAt) int { return a.Index - b.Index }) {
			t.Errorf("the row knows %d places, want %d", len(at), n)
		}
	})
}

// TestLongListInAnotherLog: what was published into a log that the topic has no more counts no more.
func TestLongListInAnotherLog(t *testing.T) {
	const n = maxSlice + 100
	onStores(t, func(t *testing.T, b *bench) {
		b.Accept(inboxtest.Inbound("d1", listOf(n, `{"id":"a"}`)))
		var marks atomic.Int32
		b.between = func(s Store) Store { return &mortal{Store: s, marks: &marks, dies: 2} }
		b.start(Source{Lists: true, Key: inboxtest.Field("id")})
		b.Turn("the second slice", func() bool { return marks.Load() == 2 })
		b.crash()
		b.between, b.logs = nil, laterLog{}
		before := b.Topic.Count()
		b.start(Source{Lists: true, Key: inboxtest.Field("id")})
		b.Turn("all", func() bool { return b.Unpublished() == 0 })
		if got := b.Topic.Count() - before; got != n {
			t.Errorf("%d events were published into the new log, want all %d", got, n)
		}
	})
}

// laterLog is a topic in its fourth life.
type laterLog struct{ anyLog }

func (laterLog) Life(string) int64 { return 4 }

// mortal is a store that never hears of the mark dies, or of any later one.
type mortal struct {
	Store
	marks *atomic.Int32
	dies  int32
}

func (m *mortal) MarkPublished(ctx context.Context, l state.Lease, done []state.Published, rest []state.Inbound) error {
	if m.marks.Add(1) < m.dies {
		return m.Store.MarkPublished(ctx, l, done, rest)
	}
	<-ctx.Done()
	return ctx.Err()
}
