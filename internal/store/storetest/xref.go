package storetest

import (
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/store"
)

func (b *bench) resolve(s *store.Store, local, external string, want state.Resolution) string {
	b.t.Helper()
	hub, how, err := s.Resolve(b.ctx(), "customer", "crm", local, external, "event")
	b.no(err)
	if how != want || (hub == "") != (want == state.Pending) {
		b.t.Fatalf("%s: %s as %q, want %s", local, how, hub, want)
	}
	return hub
}

// testStanding: an object is known by its hub id, and what was stopped before it had one by its key.
func testStanding(t *testing.T, b *bench) {
	p := b.part(0)
	hub, other := b.resolve(b.Store, "1", "", state.Minted), b.resolve(b.Store, "2", "", state.Minted)
	queued := func(id int64, hub, key string) state.Result {
		return rest(id, state.Parked, key, func(q *state.Queued) { q.Event.ID, q.Event.Key, q.Event.Hub = fmt.Sprint("q", id), key, hub })
	}
	fate := func(offset int64, hub, key string) state.Result {
		return state.Result{Offset: offset, Outcome: state.Delivered, Journal: &state.Journal{Time: b.clock.Now(), Entity: "customer", Key: key, Hub: hub, EventID: fmt.Sprint("e", offset), Outcome: state.Delivered}}
	}
	one := fate(0, hub, "A")
	one.Ref = &state.Ref{Entity: "customer", Hub: hub, System: "erp", Local: "77", Deleted: true}
	p.commit(one, fate(1, other, "B"), fate(2, "", "A"), fate(3, hub, "C"), queued(4, hub, "A"), queued(5, "", "a"), queued(6, other, "B"), queued(7, "", "B"))
	for name, c := range map[string]struct {
		hub  string
		keys []string
		want string
	}{
		"by hub id":      {hub, nil, "[crm/1 erp/77] queued [q4] fates [e3 e0]"},
		"and by key":     {hub, []string{"A", "A", ""}, "[crm/1 erp/77] queued [q4] fates [e3 e2 e0]"},
		"by keys alone":  {"", []string{"a", "B"}, "[] queued [q5 q6 q7] fates [e1]"},
		"nobody knows":   {"x", []string{"y"}, "[] queued [] fates []"},
		"about nothing":  {"", nil, "[] queued [] fates []"},
		"another object": {other, []string{"B"}, "[crm/2] queued [q6 q7] fates [e1]"},
	} {
		s, err := b.Standing(b.ctx(), "customer", c.hub, c.keys...)
		b.no(err)
		refs, ids, fates := []string{}, []string{}, []string{}
		for _, r := range s.Refs {
			refs = append(refs, r.System+"/"+r.Local)
		}
		for _, q := range s.Queued {
			ids = append(ids, q.Event.ID)
		}
		for _, j := range s.Journal {
			fates = append(fates, j.EventID)
		}
		if got := fmt.Sprintf("%v queued %v fates %v", refs, ids, fates); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func testResolve(t *testing.T, b *bench) {
	hub := b.resolve(b.Store, "1", "", state.Minted)
	if want := state.MintHub("customer", "crm", "1"); hub != want {
		t.Errorf("hub id %s, want %s", hub, want)
	}
	if again := b.resolve(b.other(), "1", "", state.Found); again != hub {
		t.Errorf("found %s, want %s", again, hub)
	}
	b.resolve(b.Store, "2", "an id that nobody knows", state.Minted)
	other, how, err := b.Resolve(b.ctx(), "customer", "erp", "77", state.ExternalID("customer", hub), "event")
	if err != nil || other != hub || how != state.Matched {
		t.Errorf("matched: %s, %s, %v", other, how, err)
	}
	b.reopen()
	tr, err := b.Trace(b.ctx(), hub)
	b.no(err)
	if len(tr.Objects) != 1 {
		t.Fatalf("objects: %+v", tr.Objects)
	}
	o := tr.Objects[0]
	if len(o.Refs) != 2 || o.Refs[0].Local != "1" || o.Refs[1].Local != "77" || o.External != state.ExternalID("customer", hub) || !o.Created.Equal(b.clock.Now()) {
		t.Errorf("object: %+v", o)
	}
	if tr, err := b.Trace(b.ctx(), "nobody"); err != nil || len(tr.Objects) != 0 {
		t.Errorf("no object: %+v, %v", tr.Objects, err)
	}
	if _, _, err := b.Resolve(b.ctx(), "customer", "crm", "", "", "event"); err == nil {
		t.Error("an empty id was resolved")
	}
	if _, _, n, err := b.StatusSnapshot(b.ctx()); n != 0 || err != nil {
		t.Errorf("duplicates: %d, %v", n, err)
	}
	hubs := []*store.Store{b.Store, b.other()}
	ids := make([]string, 16)
	var wg sync.WaitGroup
	for i := range ids {
		wg.Go(func() {
			id, _, err := hubs[i%2].Resolve(b.ctx(), "customer", "crm", "same", "", "event")
			if err != nil {
				t.Error(err)
			}
			ids[i] = id
		})
	}
	wg.Wait()
	for _, id := range ids {
		if id != ids[0] {
			t.Errorf("one object, two hub ids: %s, %s", id, ids[0])
		}
	}
}

// testResolveAll: each object of several is resolved as it would be alone, and a new one that is named twice is one.
func testResolveAll(t *testing.T, b *bench) {
	p := b.part(0)
	known := b.resolve(b.Store, "1", "", state.Minted)
	elsewhere, _, err := b.Resolve(b.ctx(), "customer", "erp", "77", "", "event")
	b.no(err)
	in := state.Intent{Flow: p.Flow, Entity: "customer", Hub: "h1", System: "crm", EventID: "e1", Create: true, External: "x", Opened: b.clock.Now()}
	b.no(b.OpenIntent(b.ctx(), in))
	all := []state.Met{{Local: "1", EventID: "e2"}, {Local: "2", EventID: "e3"}, {Local: "3", External: state.NoExternal, EventID: "e4"}, {Local: "4", External: state.ExternalID("customer", elsewhere), EventID: "e5"},
		{Local: "3", External: state.NoExternal, EventID: "e6"}}
	if err := b.ResolveAll(b.ctx(), "customer", "crm", append(all, state.Met{EventID: "e7"})); err == nil {
		t.Error("an empty id was resolved")
	}
	b.no(b.ResolveAll(b.ctx(), "customer", "crm", all))
	b.reopen()
	if hub := b.resolve(b.Store, "1", "", state.Found); hub != known {
		t.Errorf("the known one is %s, and was %s", hub, known)
	}
	b.resolve(b.Store, "2", "", state.Pending) // it may be what the hub is creating
	if hub := b.resolve(b.Store, "3", "", state.Found); hub != state.MintHub("customer", "crm", "3") {
		t.Errorf("the new one is %s", hub)
	}
	if hub := b.resolve(b.Store, "4", "", state.Found); hub != elsewhere {
		t.Errorf("the one with an external id is %s, not %s", hub, elsewhere)
	}
}

func testResolvePending(t *testing.T, b *bench) {
	p := b.part(0)
	in := state.Intent{Flow: p.Flow, Entity: "customer", Hub: "h1", System: "crm", EventID: "e1", Create: true, External: "x", Opened: b.clock.Now()}
	update := in
	update.Hub, update.Create = "h2", false
	b.no(b.OpenIntent(b.ctx(), update))
	b.resolve(b.Store, "1", "", state.Minted) // an update creates nothing
	for range 2 {
		b.no(b.OpenIntent(b.ctx(), in))
	}
	b.reopen()
	b.resolve(b.Store, "1", "", state.Found)
	b.resolve(b.Store, "2", "", state.Pending)
	b.resolve(b.Store, "3", state.NoExternal, state.Minted) // shows that the hub did not make it
	if hub, how, err := b.Resolve(b.ctx(), "customer", "wms", "2", "", "event"); err != nil || how != state.Minted {
		t.Errorf("another system: %s, %s, %v", hub, how, err)
	}
	open, err := b.OpenIntents(b.ctx(), p.Flow, 10)
	b.no(err)
	if len(open) != 2 {
		t.Errorf("intents: %+v", open)
	}
	wrong := in
	wrong.EventID = "e2"
	p.commit(state.Result{Offset: 0, Outcome: state.Delivered, Close: []state.Intent{wrong}})
	b.resolve(b.Store, "2", "", state.Pending) // another event's intent is not closed by this one
	p.commit(state.Result{Offset: 1, Outcome: state.Delivered, Close: []state.Intent{in}, Ref: &state.Ref{Entity: "customer", Hub: "h1", System: "crm", Local: "2"}})
	if hub := b.resolve(b.Store, "2", "", state.Found); hub != "h1" {
		t.Errorf("the hub's own creation became %s", hub)
	}
	b.resolve(b.Store, "4", "", state.Minted)
}

func testReferences(t *testing.T, b *bench) {
	p := b.part(0)
	ref := state.Ref{Entity: "order", Hub: "h", System: "erp", Local: "10", ETag: "e1", Updated: b.clock.Now(),
		Known: &state.Known{Flow: "in", Fields: map[string]uint64{"status": 1 << 63, "名": 7}, Received: "3", EventID: "ev"}}
	p.commit(state.Result{Offset: 0, Outcome: state.Delivered, Ref: &ref})
	want := ref
	check := func(step string) {
		t.Helper()
		got, err := b.Target(b.ctx(), "order", "h", "erp", "crm")
		b.no(err)
		if got.Ref == nil || !reflect.DeepEqual(*got.Ref, want) {
			t.Fatalf("%s: got %+v\nwant %+v", step, got.Ref, want)
		}
	}
	check("written")
	ref.Known, ref.ETag = nil, ""
	p.commit(state.Result{Offset: 1, Outcome: state.Delivered, Ref: &ref})
	want.ETag = ""
	check("a nil Known leaves the stored one")
	ref.Local, ref.Known = "", &state.Known{Fields: map[string]uint64{}, EventID: "ev2"}
	p.commit(state.Result{Offset: 2, Outcome: state.Delivered, Ref: &ref})
	want.Known = ref.Known
	check("an empty Local leaves the stored one")
	first, second := ref, ref
	first.Known, second.Known, second.ETag = &state.Known{Fields: map[string]uint64{"a": 1}, Received: "9"}, nil, "e9"
	p.commit(state.Result{Offset: 3, Outcome: state.Delivered, Ref: &first}, state.Result{Offset: 4, Outcome: state.Delivered, Ref: &second})
	want.Known, want.ETag = first.Known, "e9"
	check("two in one commit")
	ref.Deleted, ref.Known = true, nil
	p.commit(state.Result{Offset: 5, Outcome: state.Delivered, Ref: &ref})
	want.Deleted, want.ETag = true, ""
	check("a tombstone")
	if _, ok, err := b.LocalID(b.ctx(), "order", "erp", "h"); ok || err != nil {
		t.Errorf("a deleted object has an id there: %v", err)
	}
	if hub, ok, err := b.HubID(b.ctx(), "order", "erp", "10"); !ok || hub != "h" || err != nil {
		t.Errorf("a deleted object lost its hub id: %q, %v", hub, err)
	}
	ref.Deleted, ref.Hub, ref.Local = false, "h2", "10" // the system gives the id to another object
	p.commit(state.Result{Offset: 6, Outcome: state.Delivered, Ref: &ref})
	if hub, ok, err := b.HubID(b.ctx(), "order", "erp", "10"); !ok || hub != "h2" || err != nil {
		t.Errorf("hub id: %q, %v", hub, err)
	}
	if _, ok, err := b.HubID(b.ctx(), "order", "erp", "nobody"); ok || err != nil {
		t.Errorf("nobody: %v", err)
	}
}

// testReadBesideAWrite: a state that was read, and a write of the hub, are decided upon beside each other. Whichever is stored last does not have the store forget
// the other.
func testReadBesideAWrite(t *testing.T, b *bench) {
	p := b.part(0)
	known := func() *state.Known {
		t.Helper()
		got, err := b.Target(b.ctx(), "order", "h", "erp", "crm")
		b.no(err)
		return got.Ref.Known
	}
	ref := func(k, before *state.Known) *state.Ref {
		return &state.Ref{Entity: "order", Hub: "h", System: "erp", Local: "10", Updated: b.clock.Now(), Known: k, Before: before, Judged: true}
	}
	offset := int64(-1)
	store := func(r *state.Ref) {
		t.Helper()
		offset++
		p.commit(state.Result{Offset: offset, Outcome: state.Delivered, Ref: r})
	}
	first := &state.Known{Flow: "in", Fields: map[string]uint64{"status": 1, "number": 1}, Received: "3", EventID: "e3"}
	store(ref(first, nil))
	before := known()
	written := &state.Known{Flow: "in", Fields: map[string]uint64{"status": 2, "number": 1}, Received: "3", EventID: "e3", Wrote: "5", Written: []string{"status"}, Hops: 1}
	store(ref(written, before))
	if got := known(); !reflect.DeepEqual(got, written) {
		t.Errorf("a write: %+v", got)
	}
	store(ref(&state.Known{Flow: "in", Fields: map[string]uint64{"status": 1, "number": 7}, Received: "4", EventID: "e4"}, before))
	want := &state.Known{Flow: "in", Fields: map[string]uint64{"number": 7}, Received: "4", EventID: "e4", Wrote: "5", Written: []string{"status"}, Hops: 1}
	if got := known(); !reflect.DeepEqual(got, want) {
		t.Errorf("a state from before the write, stored behind it: %+v, want %+v", got, want)
	}
	before = known()
	read := &state.Known{Flow: "in", Fields: map[string]uint64{"status": 3, "number": 7}, Received: "6", EventID: "e6", Wrote: "5", Written: []string{"status"}}
	store(ref(read, before))
	store(ref(&state.Known{Flow: "in", Fields: map[string]uint64{"status": 4, "number": 7}, Received: "4", EventID: "e4", Wrote: "7", Written: []string{"status"}, Hops: 1}, before))
	unsure := &state.Known{Flow: "in", Fields: map[string]uint64{"number": 7}, Received: "6", EventID: "e6", Wrote: "7", Written: []string{"status"}, Hops: 1}
	if got := known(); !reflect.DeepEqual(got, unsure) {
		t.Errorf("a write, stored behind a state that it knew nothing of: %+v, want %+v", got, unsure)
	}
	b.reopen()
	p = b.part(0)
	store(ref(&state.Known{Flow: "in", Fields: map[string]uint64{"status": 5, "number": 8}, Received: "4", EventID: "e4", Wrote: "8", Written: []string{"status", "number"}, Hops: 1}, before))
	unsure = &state.Known{Flow: "in", Fields: map[string]uint64{}, Received: "6", EventID: "e6", Wrote: "8", Written: []string{"status", "number"}, Hops: 1}
	if got := known(); !reflect.DeepEqual(got, unsure) {
		t.Errorf("another one, after a restart: %+v, want %+v", got, unsure)
	}
	// In one commit, in either order: both were decided upon the same state.
	for _, first := range []bool{true, false} {
		before = known()
		write := ref(&state.Known{Flow: "in", Fields: map[string]uint64{"status": 6, "number": 9}, Received: before.Received, EventID: before.EventID, Wrote: "9", Written: []string{"status"}, Hops: 1}, before)
		read := ref(&state.Known{Flow: "in", Fields: map[string]uint64{"status": 5, "number": 9}, Received: "8", EventID: fmt.Sprint("both", first), Wrote: before.Wrote, Written: before.Written}, before)
		results := []state.Result{{Offset: offset + 1, Outcome: state.Delivered, Ref: write}, {Offset: offset + 2, Outcome: state.Delivered, Source: read}}
		if !first {
			results[0].Ref, results[0].Source, results[1].Ref, results[1].Source = nil, read, write, nil
		}
		offset += 2
		p.commit(results...)
		want := &state.Known{Flow: "in", Fields: map[string]uint64{"number": 9}, Received: "8", EventID: read.Known.EventID, Wrote: "9", Written: []string{"status"}, Hops: 1}
		if got := known(); !reflect.DeepEqual(got, want) {
			t.Errorf("in one commit, the write first %t: %+v, want %+v", first, got, want)
		}
	}
	// What was decided upon what the same commit says is told by the last of it.
	before = known()
	one := &state.Known{Flow: "in", Fields: map[string]uint64{"status": 1, "number": 1}, Received: "10", EventID: "e10"}
	two := &state.Known{Flow: "in", Fields: map[string]uint64{"status": 2, "number": 1}, Received: "10", EventID: "e10", Wrote: "11", Written: []string{"status"}, Hops: 1}
	p.commit(state.Result{Offset: offset + 1, Outcome: state.Delivered, Source: ref(one, before)}, state.Result{Offset: offset + 2, Outcome: state.Delivered, Ref: ref(two, one)})
	if got := known(); !reflect.DeepEqual(got, two) {
		t.Errorf("one upon the other: %+v, want %+v", got, two)
	}
}

func testTarget(t *testing.T, b *bench) {
	p := b.part(0)
	got, err := b.Target(b.ctx(), "order", "h", "erp", "crm")
	b.no(err)
	if want := (state.Target{External: state.ExternalID("order", "h")}); !reflect.DeepEqual(got, want) {
		t.Errorf("nothing known: %+v", got)
	}
	in := state.Intent{Flow: p.Flow, Entity: "order", Hub: "h", System: "erp", EventID: "e1", Create: true, External: "x", Opened: b.clock.Now()}
	late := in
	late.EventID, late.Opened = "e2", b.clock.Now().Add(time.Second)
	b.no(b.OpenIntent(b.ctx(), late))
	b.no(b.OpenIntent(b.ctx(), in))
	ref := state.Ref{Entity: "order", Hub: "h", System: "erp", Local: "10", Updated: b.clock.Now()}
	crm := state.Applied{Entity: "order", Hub: "h", System: "erp", Origin: "crm", Version: "1", Hash: "a", EventID: "e0"}
	wms := crm
	wms.Origin, wms.Version = "wms", "9"
	in.Begun, late.Begun = in.Opened, late.Opened
	p.commit(state.Result{Offset: 0, Outcome: state.Delivered, Ref: &ref, Applied: &crm}, state.Result{Offset: 1, Outcome: state.Delivered, Applied: &wms})
	crm.Version = "2"
	p.commit(state.Result{Offset: 2, Outcome: state.Delivered, Applied: &crm})
	got, err = b.Target(b.ctx(), "order", "h", "erp", "crm")
	b.no(err)
	if !reflect.DeepEqual(got, state.Target{Ref: &ref, Applied: &crm, Intents: []state.Intent{late, in}, External: state.ExternalID("order", "h")}) {
		t.Errorf("target: %+v, %+v, %+v", got.Ref, got.Applied, got.Intents)
	}
	p.commit(state.Result{Offset: 3, Outcome: state.Delivered, Close: []state.Intent{late}}, state.Result{Offset: 4, Outcome: state.Delivered, Close: []state.Intent{in}})
	got, err = b.Target(b.ctx(), "order", "h", "erp", "nobody")
	if err != nil || len(got.Intents) != 0 || got.Applied != nil || got.Ref == nil {
		t.Errorf("target: %+v, %v", got, err)
	}
}

func testDuplicates(t *testing.T, b *bench) {
	p := b.part(0)
	offset := int64(0)
	write := func(hub, local string, deleted bool) {
		t.Helper()
		p.commit(state.Result{Offset: offset, Outcome: state.Delivered, Ref: &state.Ref{Entity: "order", Hub: hub, System: "erp", Local: local, Deleted: deleted}})
		offset++
		b.clock.Add(time.Second)
	}
	want := func(n int64, why string) {
		t.Helper()
		if _, _, got, err := b.StatusSnapshot(b.ctx()); got != n || err != nil {
			t.Fatalf("%s: %d duplicates, want %d (%v)", why, got, n, err)
		}
	}
	for i := range 5 {
		write(fmt.Sprint("h", i), fmt.Sprint(i), false)
		write(fmt.Sprint("h", i), fmt.Sprint(i), false)
	}
	want(0, "one id each")
	write("h0", "100", false)
	want(1, "a second id")
	write("h0", "101", false)
	write("h1", "102", false)
	want(3, "and more")
	write("h0", "0", true)
	want(2, "the first was deleted")
	write("h1", "102", true)
	want(1, "the second was deleted")
	write("h2", "2", true)
	write("h2", "103", false)
	want(1, "made again after a deletion")
	p.commit(state.Result{Offset: offset, Outcome: state.Delivered, Ref: &state.Ref{Entity: "order", Hub: "h4", System: "erp", Local: "105", Lost: "4"}})
	offset++
	want(1, "made again because it was lost")
	_, how, err := b.Resolve(b.ctx(), "order", "erp", "104", state.ExternalID("order", "h3"), "event")
	if err != nil || how != state.Matched {
		t.Fatal(how, err)
	}
	want(2, "found by its external id under another id")
	if local, _, err := b.LocalID(b.ctx(), "order", "erp", "h3"); local != "3" || err != nil {
		t.Errorf("a duplicate took over: %s, %v", local, err)
	}
}
