package storetest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/state"
)

// bundle is a row of the inbox for the events ID.0, ID.1, …, one for each of the bodies.
func bundle(flow, id string, bodies ...string) state.Inbound {
	in := inbound(flow, id, "")
	in.Headers, in.Body, in.Digest = nil, nil, []byte("digest of "+id)
	for i, body := range bodies {
		in.Bundle = append(in.Bundle, state.Bundled{ID: fmt.Sprintf("%s.%d", id, i), Headers: map[string]string{":local": body, ":version": "~1.7"}, Body: []byte(body)})
	}
	return in
}

// testBundle: a row that stands for several events is accepted once, counts for all of them, comes back as it was, and is found by each of them for as long as one has no
// fate.
func testBundle(t *testing.T, b *bench) {
	odd := bundle("a", "b1", "x", "y", "", strings.Repeat("z", 300))
	odd.Bundle[1].Headers = map[string]string{}
	odd.Bundle[2].ID = "Zürich\t2"
	odd.ID, odd.DeliveryID = "bundle/b1", "bundle/b1"
	fates, seqs := b.accept(inbound("a", "before", "1"), odd, inbound("a", "after", "2"), bundle("other", "b9", "q", "r"))
	wantFates(t, fates, state.AcceptedNew, state.AcceptedNew, state.AcceptedNew, state.AcceptedNew)
	b.reopen()
	changed := bundle("a", "b1", "x")
	changed.ID, changed.DeliveryID = odd.ID, odd.ID
	fates, again := b.accept(changed)
	wantFates(t, fates, state.AcceptedDuplicate) // it is known by its digest
	if again[0] != seqs[1] {
		t.Errorf("accepted again as %d, and was %d", again[0], seqs[1])
	}
	if n := b.totals("a").Unpublished; n != 6 {
		t.Errorf("%d unpublished, want 6", n)
	}
	for most, want := range map[int]int{100: 6, 5: 5, 2: 2} {
		if n, err := b.CountUnpublished(b.ctx(), "a", most); err != nil || n != want {
			t.Errorf("%d of at most %d unpublished, %v", n, most, err)
		}
	}
	for seq, want := range map[int64]int64{seqs[0]: 1, seqs[1]: 5, seqs[2]: 6} {
		if n, err := b.UnpublishedUpTo(b.ctx(), "a", seq); err != nil || n != want {
			t.Errorf("%d unpublished up to %d, want %d, %v", n, seq, want, err)
		}
	}
	read := func(limit, maxBytes int) (out []string) {
		t.Helper()
		rows, err := b.Unpublished(b.ctx(), "a", limit, maxBytes)
		b.no(err)
		for _, r := range rows {
			if out = append(out, r.ID); r.Bundle != nil && (r.ID != odd.ID || len(r.Body) > 0 || fmt.Sprintf("%+v", r.Bundle) != fmt.Sprintf("%+v", odd.Bundle)) {
				t.Errorf("%+v, want %+v", r.Bundle, odd.Bundle)
			}
		}
		return out
	}
	for _, c := range []struct {
		limit, maxBytes int
		want            string
	}{{100, 0, "before bundle/b1 after"}, {5, 0, "before bundle/b1"}, {4, 0, "before"}, {100, 300, "before"}, {1, 1, "before"}} {
		if got := strings.Join(read(c.limit, c.maxBytes), " "); got != c.want {
			t.Errorf("up to %d events and %d bytes: %s, want %s", c.limit, c.maxBytes, got, c.want)
		}
	}
	since, err := b.AcceptedSince(b.ctx(), "a", seqs[0], "none/", 4)
	b.no(err)
	if len(since) != 4 || since[0].ID != "b1.0" || since[0].Headers[":local"] != "x" || since[3].ID != "b1.3" {
		t.Errorf("accepted since: %+v", since)
	}

	traced := func(key string) string {
		t.Helper()
		tr, err := b.Trace(b.ctx(), key)
		b.no(err)
		var got []string
		for _, in := range tr.Inbox {
			got = append(got, fmt.Sprintf("%s %s %v %v", in.ID, in.Body, in.Published, in.Positions))
		}
		return strings.Join(got, "; ")
	}
	if got := traced("b1.0"); got != "b1.0 x false []" {
		t.Errorf("by the name of an event: %s", got)
	}
	if got := traced("K-2"); got != "" {
		t.Errorf("by a key that nobody has read: %s", got)
	}
	l := b.lease("relay/a", "one")
	at := func(part int, offset int64, index int) state.PublishedAt {
		return state.PublishedAt{Topic: "in.a", Partition: part, Offset: offset, Index: index}
	}
	done := []state.Published{{Seq: seqs[1], Bundle: true, Keys: []string{"K-1", "k-2", "", "K-1"}, Positions: []state.PublishedAt{at(0, 7, 0), at(1, 3, 1), at(0, 8, 2), at(0, 9, 3)}}}
	b.no(b.MarkPublished(b.ctx(), l, done, nil))
	b.no(b.MarkPublished(b.ctx(), l, done, nil)) // its answer was lost
	if got := strings.Join(read(100, 0), " "); got != "before after" {
		t.Errorf("unpublished: %s", got)
	}
	if n := b.totals("a").Unpublished; n != 2 {
		t.Errorf("%d unpublished, want 2", n)
	}
	for key, want := range map[string]string{
		"K-1": "b1.3 " + strings.Repeat("z", 300) + " true [{in.a 0 9 0 3}]; b1.0 x true [{in.a 0 7 0 0}]", "k-2": "b1.1 y true [{in.a 1 3 0 1}]", "K-2": "", "b1.1": "b1.1 y true [{in.a 1 3 0 1}]",
	} {
		if got := traced(key); got != want {
			t.Errorf("%s: %s, want %s", key, got, want)
		}
	}
	for text, want := range map[string][]string{"k-": {"K-1", "k-2"}, "K-2": {"k-2"}, "k-3": nil} {
		page, err := b.Search(b.ctx(), state.SearchQuery{Text: text})
		b.no(err)
		var keys []string
		for _, o := range page.Objects {
			if keys = append(keys, o.Key); o.State() != "received" || o.Flow != "a" || !strings.HasPrefix(o.Event, "b1.") {
				t.Errorf("found: %+v", o)
			}
		}
		if slices.Sort(keys); !slices.Equal(keys, want) {
			t.Errorf("%s finds %v, want %v", text, keys, want)
		}
	}
	if tops, err := b.Tops(b.ctx()); err != nil || !slices.Equal(tops["in.a"], []int64{10, 4}) {
		t.Errorf("tops: %v, %v", tops, err)
	}

	// It goes when the last of its events has its fate.
	prune := func() {
		t.Helper()
		_, err := b.Prune(b.ctx(), b.clock.Now())
		b.no(err)
	}
	finish := func(number, from, to int) {
		t.Helper()
		p, err := b.OpenPartition(b.ctx(), "a", "in.a", number, event.Log{Cluster: "cluster", TopicID: "topic", Last: 100})
		b.no(err)
		c := &state.Commit{Flow: "a", Topic: "in.a", Partition: number, Epoch: p.Epoch}
		for o := from; o < to; o++ {
			c.Results = append(c.Results, state.Result{Offset: int64(o), Outcome: state.Delivered})
		}
		b.no(b.Commit(b.ctx(), c))
	}
	finish(0, 0, 10)
	if prune(); traced("k-2") == "" {
		t.Error("a bundle is pruned of which one event has no fate")
	}
	finish(1, 0, 4)
	if prune(); traced("k-2")+traced("b1.0") != "" {
		t.Error("a bundle is there still")
	}
	fates, _ = b.accept(odd)
	wantFates(t, fates, state.AcceptedDuplicate)
}
