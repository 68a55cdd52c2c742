package storetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/state"
)

// listed is what is kept of a side, as "id version turn bad document", gone through in pages.
func (b *bench) listed(name, side string) (out []string) {
	b.t.Helper()
	var ids []string
	for after := ""; ; {
		got, err := b.ListedObjects(b.ctx(), name, side, after, 2)
		b.no(err)
		for _, o := range got {
			out = append(out, fmt.Sprintf("%s %s %d %s %s", o.ID, o.Version, o.Turn, o.Bad, o.Doc))
			ids, after = append(ids, o.ID), o.ID
		}
		if len(got) < 2 {
			break
		}
	}
	alone, err := b.ListedIDs(b.ctx(), name, side, "", 10_000)
	b.no(err)
	if !slices.Equal(alone, ids) {
		b.t.Errorf("the ids alone are %q, and with documents %q", alone, ids)
	}
	return out
}

func (b *bench) wantListed(name, side string, want ...string) {
	b.t.Helper()
	if got := b.listed(name, side); strings.Join(got, ",") != strings.Join(want, ",") {
		b.t.Errorf("of %s/%s is kept %q, want %q", name, side, got, want)
	}
}

func testListings(t *testing.T, b *bench) {
	l := b.worker(state.RunReconciliation, "orders", "hub-1")
	now := b.clock.Now()
	open := func(want state.Listing) {
		t.Helper()
		got, err := b.OpenListing(b.ctx(), l, "orders", "left", want.Until)
		b.no(err)
		if got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
	open(state.Listing{})
	long := `{"text":"` + strings.Repeat("long ", 2000) + `"}`
	first := state.Listing{About: "crm/orders", Cursor: "c1", Turn: 1, Began: now, Until: now.Add(time.Hour)}
	b.no(b.KeepListed(b.ctx(), l, "orders", "left", first, []state.ListedObject{
		{ID: "1", Version: "v1", Turn: 1, Doc: []byte(`{"n":1}`)}, {ID: "2", Version: "v1", Turn: 1, Doc: []byte(long)}, {ID: "3", Turn: 1, Bad: "no JSON"}}, nil))
	b.no(b.KeepListed(b.ctx(), l, "orders", "right", state.Listing{About: "erp/orders"}, []state.ListedObject{{ID: "1", Doc: []byte("{}")}}, nil))
	b.wantListed("orders", "left", `1 v1 1  {"n":1}`, "2 v1 1  "+long, "3  1 no JSON ")
	first.Until = now.Add(2 * time.Hour)
	open(first)

	// Changes, in one piece with the cursor; one that was read and is gone is gone.
	second := state.Listing{About: "crm/orders", Cursor: "c2", Turn: 2, Whole: now, Until: now.Add(2 * time.Hour)}
	b.no(b.KeepListed(b.ctx(), l, "orders", "left", second, []state.ListedObject{{ID: "2", Version: "v2", Turn: 2, Doc: []byte(`{}`)}, {ID: "4", Version: "v2", Turn: 2, Doc: []byte(`{}`)}}, []string{"3", "9"}))
	b.wantListed("orders", "left", `1 v1 1  {"n":1}`, "2 v2 2  {}", "4 v2 2  {}")
	open(second)
	n, err := b.DropListed(b.ctx(), l, "orders", "left", 2)
	if err != nil || n != 1 {
		t.Errorf("dropped %d, %v", n, err)
	}
	b.wantListed("orders", "left", "2 v2 2  {}", "4 v2 2  {}")
	b.wantListed("orders", "right", "1  0  {}")

	// Neither another's lease nor one that is lost changes anything.
	other := b.worker(state.RunReconciliation, "other", "hub-1")
	if err := b.KeepListed(b.ctx(), other, "orders", "left", first, nil, []string{"2"}); !errors.Is(err, state.ErrFenced) {
		t.Errorf("under another's lease: %v", err)
	}
	b.no(b.ReleaseLease(b.ctx(), l))
	b.worker(state.RunReconciliation, "orders", "hub-2")
	if err := b.KeepListed(b.ctx(), l, "orders", "left", first, nil, []string{"2"}); !errors.Is(err, state.ErrFenced) {
		t.Errorf("under a lease that is lost: %v", err)
	}
	if _, err := b.OpenListing(b.ctx(), l, "orders", "left", now); !errors.Is(err, state.ErrFenced) {
		t.Errorf("under a lease that is lost: %v", err)
	}
	if _, err := b.DropListed(b.ctx(), l, "orders", "left", 9); !errors.Is(err, state.ErrFenced) {
		t.Errorf("under a lease that is lost: %v", err)
	}
	b.wantListed("orders", "left", "2 v2 2  {}", "4 v2 2  {}")
}

// testListingsOrder: ids come in the order of their bytes, whatever the database's language is.
func testListingsOrder(t *testing.T, b *bench) {
	l := b.worker(state.RunReconciliation, "r", "hub-1")
	ids := []string{"b", "a", "B", "A", "_", "10", "9", "é", "e", "a b", "a-b", "ab", "ü", "A\u0301"}
	var rows []state.ListedObject
	for _, id := range ids {
		rows = append(rows, state.ListedObject{ID: id, Doc: []byte("1")})
	}
	b.no(b.KeepListed(b.ctx(), l, "r", "left", state.Listing{}, rows, nil))
	slices.Sort(ids)
	want := make([]string, len(ids))
	for i, id := range ids {
		want[i] = id + "  0  1"
	}
	b.wantListed("r", "left", want...)
}

func testPruneListings(t *testing.T, b *bench) {
	l := b.worker(state.RunReconciliation, "r", "hub-1")
	now := b.clock.Now()
	var rows []state.ListedObject
	const n = 2500 // more than one transaction removes
	for i := range n {
		rows = append(rows, state.ListedObject{ID: fmt.Sprintf("%04d", i), Doc: []byte("1")})
	}
	b.no(b.KeepListed(b.ctx(), l, "r", "left", state.Listing{About: "x", Until: now.Add(time.Hour)}, rows, nil))
	b.no(b.KeepListed(b.ctx(), l, "r", "right", state.Listing{About: "y", Until: now.Add(3 * time.Hour)}, rows[:1], nil))
	for _, c := range []struct {
		at          time.Duration
		left, right int
	}{{0, n, 1}, {2 * time.Hour, 0, 1}, {4 * time.Hour, 0, 0}} {
		_, err := b.Prune(b.ctx(), now.Add(c.at))
		b.no(err)
		for side, want := range map[string]int{"left": c.left, "right": c.right} {
			ids, err := b.ListedIDs(b.ctx(), "r", side, "", 10_000)
			b.no(err)
			if len(ids) != want {
				t.Errorf("%s after %s: %d left, want %d", side, c.at, len(ids), want)
			}
		}
	}
}

// testListingOpened: what a run reads on is not pruned under it.
func testListingOpened(t *testing.T, b *bench) {
	l := b.worker(state.RunReconciliation, "r", "hub-1")
	now := b.clock.Now()
	b.no(b.KeepListed(b.ctx(), l, "r", "left", state.Listing{About: "x", Until: now.Add(time.Hour)}, []state.ListedObject{{ID: "1", Doc: []byte("1")}}, nil))
	got, err := b.OpenListing(b.ctx(), l, "r", "left", now.Add(3*time.Hour))
	b.no(err)
	_, err = b.Prune(b.ctx(), now.Add(2*time.Hour))
	b.no(err)
	b.wantListed("r", "left", "1  0  1")
	again, err := b.OpenListing(b.ctx(), l, "r", "left", now.Add(time.Hour))
	b.no(err)
	if got.About != "x" || again.About != "x" {
		t.Errorf("%+v, then %+v", got, again)
	}
	_, err = b.Prune(b.ctx(), now.Add(2*time.Hour))
	b.no(err)
	b.wantListed("r", "left")
	if got, err = b.OpenListing(b.ctx(), l, "r", "left", now); err != nil || got != (state.Listing{}) {
		t.Errorf("of what was pruned is left %+v, %v", got, err)
	}
}
