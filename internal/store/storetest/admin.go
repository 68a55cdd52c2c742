package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/store"
)

func testLeases(t *testing.T, b *bench) {
	two := b.other()
	l, ok, err := b.AcquireLease(b.ctx(), "x", "one", time.Hour)
	if err != nil || !ok || l.Token != 1 || l.Holder != "one" {
		t.Fatalf("lease: %+v, %v, %v", l, ok, err)
	}
	held, ok, err := two.AcquireLease(b.ctx(), "x", "two", time.Hour)
	if err != nil || ok || held.Holder != "one" || held.Token != 1 {
		t.Errorf("a held lease was given: %+v, %v, %v", held, ok, err)
	}
	again, ok, err := b.AcquireLease(b.ctx(), "x", "one", time.Hour)
	if err != nil || !ok || again.Token != 2 {
		t.Errorf("the holder again: %+v, %v, %v", again, ok, err)
	}
	if _, err := b.RenewLease(b.ctx(), l, time.Hour); !errors.Is(err, state.ErrFenced) {
		t.Errorf("renewal under an old token: %v", err)
	}
	again, err = b.RenewLease(b.ctx(), again, -time.Second) // expired from now on
	b.no(err)
	again, err = b.RenewLease(b.ctx(), again, -time.Second) // but nobody else has it
	b.no(err)
	l2, ok, err := two.AcquireLease(b.ctx(), "x", "two", time.Hour)
	if err != nil || !ok || l2.Token != 3 {
		t.Fatalf("an expired lease: %+v, %v, %v", l2, ok, err)
	}
	if _, err := b.RenewLease(b.ctx(), again, time.Hour); !errors.Is(err, state.ErrFenced) {
		t.Errorf("renewal of a lost lease: %v", err)
	}
	b.no(b.ReleaseLease(b.ctx(), again)) // no longer its to release
	if _, ok, err := b.AcquireLease(b.ctx(), "x", "one", time.Hour); ok || err != nil {
		t.Errorf("a lost holder released the lease of another: %v", err)
	}
	b.no(two.ReleaseLease(b.ctx(), l2))
	l, ok, err = b.AcquireLease(b.ctx(), "x", "one", time.Hour)
	if err != nil || !ok || l.Token != 4 {
		t.Errorf("a released lease: %+v, %v, %v", l, ok, err)
	}
	b.reopen()
	switch held, ok, err := b.AcquireLease(b.ctx(), "x", "two", time.Hour); {
	case err != nil:
		t.Fatal(err)
	case b.shared && (ok || held.Token != 4):
		t.Errorf("a lease did not outlive a restart: %+v", held)
	case !b.shared && (!ok || held.Token != 5):
		t.Errorf("a dead process keeps its lease: %+v", held)
	}
}

// A lease whose end is far ahead was given before the clock was set back: whoever asks for it shortens it.
func testLeaseOfAnotherTime(t *testing.T, b *bench) {
	two := b.other()
	l, ok, err := b.AcquireLease(b.ctx(), "x", "one", time.Hour)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	for range 2 {
		held, ok, err := two.AcquireLease(b.ctx(), "x", "two", 10*time.Second)
		if err != nil || ok || held.Holder != "one" || held.Token != l.Token {
			t.Fatalf("a held lease was given: %+v, %v, %v", held, ok, err)
		}
		if left := l.Expires.Sub(held.Expires); left < 57*time.Minute {
			t.Errorf("it ends %v earlier", left)
		}
	}
	if _, err := b.RenewLease(b.ctx(), l, time.Hour); err != nil {
		t.Errorf("its holder is alive: %v", err)
	}
}

func testJournal(t *testing.T, b *bench) {
	p := b.part(0)
	for i := range int64(4) {
		p.commit(state.Result{Offset: i, Outcome: state.Delivered, Journal: &state.Journal{Time: b.clock.Now(), Flow: p.Flow, EventID: fmt.Sprint("e", i), Entity: "order",
			Key: fmt.Sprint("SO-", i/2), Hub: fmt.Sprint("h", i/2), Outcome: []state.Outcome{state.Delivered, state.Parked}[i%2], Reason: "r", System: "erp", Local: "10",
			External: "x", Version: "3", Attempts: 2, Took: time.Second}})
		b.clock.Add(time.Minute)
	}
	p.commit(state.Result{Offset: 4, Outcome: state.Delivered, Journal: &state.Journal{Flow: "other", Key: "SO-0", Outcome: state.Delivered}})
	for name, c := range map[string]struct {
		f    state.JournalFilter
		want string
	}{
		"all": {state.JournalFilter{}, "e3 e2 e1 e0"}, "key": {state.JournalFilter{Key: "SO-0"}, "e1 e0"}, "hub": {state.JournalFilter{Hub: "h1"}, "e3 e2"},
		"flow": {state.JournalFilter{Flow: p.Flow}, "e3 e2 e1 e0"}, "outcome": {state.JournalFilter{Flow: p.Flow, Outcome: state.Parked}, "e3 e1"},
		"since": {state.JournalFilter{Flow: p.Flow, Since: b.clock.Now().Add(-time.Minute)}, "e3"}, "limit": {state.JournalFilter{Flow: p.Flow, Limit: 1}, "e3"},
	} {
		rows, err := b.Journal(b.ctx(), c.f)
		b.no(err)
		got := ""
		for _, j := range rows {
			if j.EventID != "" {
				got += " " + j.EventID
			}
		}
		if got != " "+c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
	every, err := b.Journal(b.ctx(), state.JournalFilter{Limit: 10_000})
	b.no(err)
	var found []int64
	for before, looks := int64(0), 0; before != 0 || looks == 0; looks++ { // in small steps, nothing is left out and nothing comes twice
		got, next, err := b.Newest(b.ctx(), state.JournalFilter{Flow: p.Flow, Before: before, Limit: 2}, 3)
		b.no(err)
		for i := range got {
			found = append(found, got[i].ID)
		}
		if before = next; looks > 10_000 {
			t.Fatal("it comes to no end")
		}
	}
	for i := range every {
		if every[i].Flow == p.Flow {
			if len(found) == 0 || found[0] != every[i].ID {
				t.Fatalf("looked on: %v, want %d next", found, every[i].ID)
			}
			found = found[1:]
		}
	}
	if len(found) > 0 {
		t.Errorf("looked on: %v besides", found)
	}
	rows, err := b.Journal(b.ctx(), state.JournalFilter{Flow: p.Flow, Limit: 2})
	b.no(err)
	rest, err := b.Journal(b.ctx(), state.JournalFilter{Flow: p.Flow, Before: rows[1].ID})
	b.no(err)
	if len(rest) != 2 || rest[1].Took != time.Second || rest[1].Attempts != 2 || rest[1].Local != "10" {
		t.Errorf("the next page: %+v", rest)
	}
}

func testTrace(t *testing.T, b *bench) {
	p := b.part(0)
	hub := b.resolve(b.Store, "001A", "", state.Minted)
	_, seqs := b.accept(inbound("crm-orders", "msg-1", "x"), inbound("crm-orders", "msg-2", "y"))
	l := b.lease("relay/crm-orders", "one")
	b.no(b.MarkPublished(b.ctx(), l, []state.Published{{Seq: seqs[0], Key: "SO-9", Positions: []state.PublishedAt{{Topic: "in.crm-orders", Offset: 3}}}}, nil))
	q := rest(1, state.Parked, hub, func(q *state.Queued) { q.Event.ID, q.Event.Key, q.Event.Hub = "msg-2#0", "SO-10", hub })
	p.commit(state.Result{Offset: 0, Outcome: state.Delivered, Ref: &state.Ref{Entity: "customer", Hub: hub, System: "erp", Local: "77"},
		Journal: &state.Journal{Time: b.clock.Now(), Key: "SO-9", Hub: hub, EventID: "msg-1#0", Outcome: state.Delivered}}, q)
	for key, want := range map[string]string{
		"SO-9": "1 objects, 1 journal, 1 queued, inbox [msg-2 msg-1]", "SO-10": "1 objects, 1 journal, 1 queued, inbox [msg-2 msg-1]",
		hub: "1 objects, 1 journal, 1 queued, inbox [msg-2 msg-1]", "001A": "1 objects, 1 journal, 1 queued, inbox [msg-2 msg-1]",
		"77": "1 objects, 1 journal, 1 queued, inbox [msg-2 msg-1]", state.ExternalID("customer", hub): "1 objects, 1 journal, 1 queued, inbox [msg-2 msg-1]",
		"msg-1#0": "1 objects, 1 journal, 1 queued, inbox [msg-2 msg-1]", "msg-1": "0 objects, 0 journal, 0 queued, inbox [msg-1]",
		"nobody": "0 objects, 0 journal, 0 queued, inbox []", "": "0 objects, 0 journal, 0 queued, inbox []",
	} {
		tr, err := b.Trace(b.ctx(), key)
		b.no(err)
		ids := []string{}
		for _, in := range tr.Inbox {
			ids = append(ids, in.ID)
		}
		got := fmt.Sprintf("%d objects, %d journal, %d queued, inbox %v", len(tr.Objects), len(tr.Journal), len(tr.Queued), ids)
		if got != want || tr.Key != key {
			t.Errorf("%q: %s, want %s", key, got, want)
		}
		if key == "SO-9" && (!tr.Inbox[1].Published || tr.Inbox[1].Positions[0].Offset != 3 || tr.Inbox[0].Published || len(tr.Objects[0].Refs) != 2) {
			t.Errorf("trace: %+v", tr)
		}
	}
}

func testRuns(t *testing.T, b *bench) {
	if _, err := b.LastRun(b.ctx(), "schedule", "nightly"); !errors.Is(err, state.ErrNotFound) {
		t.Errorf("it never ran: %v", err)
	}
	first, err := b.StartRun(b.ctx(), state.Run{Kind: "schedule", Name: "nightly"})
	b.no(err)
	b.clock.Add(time.Minute)
	b.no(b.EndRun(b.ctx(), state.Run{ID: first, State: "ok", Detail: "{}", Count: 7}))
	second, err := b.StartRun(b.ctx(), state.Run{Kind: "schedule", Name: "nightly", Started: b.clock.Now()})
	b.no(err)
	_, err = b.StartRun(b.ctx(), state.Run{Kind: "poll", Name: "nightly"})
	b.no(err)
	runs, err := b.Runs(b.ctx(), state.RunFilter{Kind: "schedule", Name: "nightly"})
	b.no(err)
	if len(runs) != 2 || runs[0].ID != second || runs[0].State != "running" || !runs[0].Finished.IsZero() || runs[1].Count != 7 ||
		runs[1].Finished.Sub(runs[1].Started) != time.Minute {
		t.Errorf("runs: %+v", runs)
	}
	if last, err := b.LastRun(b.ctx(), "schedule", "nightly"); err != nil || last.ID != second {
		t.Errorf("last run: %+v, %v", last, err)
	}
	if done, err := b.Runs(b.ctx(), state.RunFilter{State: "ok"}); err != nil || len(done) != 1 {
		t.Errorf("runs that went well: %+v, %v", done, err)
	}
	began := b.clock.Now()
	b.clock.Add(time.Minute)
	_, err = b.StartRun(b.ctx(), state.Run{Kind: "files", Name: "stock", Started: began, Finished: b.clock.Now(), State: "ok", Detail: "a.csv", Count: 3})
	b.no(err)
	if over, err := b.Runs(b.ctx(), state.RunFilter{Kind: "files"}); err != nil || len(over) != 1 || over[0].State != "ok" || over[0].Count != 3 ||
		over[0].Finished.Sub(over[0].Started) != time.Minute {
		t.Errorf("a run recorded at its end: %+v, %v", over, err)
	}
	if err := b.EndRun(b.ctx(), state.Run{ID: 999_999, State: "ok"}); !errors.Is(err, state.ErrNotFound) {
		t.Errorf("end of nothing: %v", err)
	}
}

func testPauses(t *testing.T, b *bench) {
	for range 2 {
		b.no(b.Pause(b.ctx(), "a", "ann"))
		b.clock.Add(time.Minute)
	}
	b.no(b.Pause(b.ctx(), "b", "hub"))
	b.no(b.Resume(b.ctx(), "b", "ann"))
	b.no(b.Resume(b.ctx(), "b", "ann"))
	b.reopen()
	got, err := b.PausedFlows(b.ctx())
	b.no(err)
	if len(got) != 1 || got[0].Flow != "a" || got[0].Who != "ann" || !got[0].Since.Equal(b.clock.Now().Add(-2*time.Minute)) {
		t.Errorf("paused: %+v", got)
	}
	acts, err := b.Audits(b.ctx(), state.AuditFilter{Limit: 10})
	b.no(err)
	if len(acts) != 4 { // pausing again is no act; a resume is: what stood still was maybe stopped by an alarm
		t.Errorf("audit: %+v", acts)
	}
}

// testResumes: how often flows were resumed is known whatever else people do, whoever asks.
func testResumes(t *testing.T, b *bench) {
	if n, err := b.Resumes(b.ctx()); err != nil || len(n) != 0 {
		t.Errorf("resumed at the beginning: %v, %v", n, err)
	}
	other := b.other()
	b.no(other.Resume(b.ctx(), "a", "ann"))
	b.no(other.Resume(b.ctx(), "a", "ann")) // by the same clock
	b.no(b.Pause(b.ctx(), "b", "ann"))
	b.no(b.Resume(b.ctx(), "b", "ann"))
	b.no(b.Pause(b.ctx(), "b", "ann"))
	for range 300 {
		b.no(b.WriteAudit(b.ctx(), state.Audit{Who: "bob", Action: "replay", Object: "message/7"}))
	}
	_, err := b.Prune(b.ctx(), b.clock.Now().Add(400*24*time.Hour))
	b.no(err)
	b.reopen()
	n, err := b.Resumes(b.ctx())
	b.no(err)
	if len(n) != 2 || n["a"] != 2 || n["b"] != 1 {
		t.Errorf("resumed: %v", n)
	}
}

func testAudits(t *testing.T, b *bench) {
	want := state.Audit{Time: b.clock.Now().Add(-time.Hour), Who: "ann", Action: "login", Object: "console", Detail: "from home", Before: "out", After: "in"}
	b.no(b.WriteAudit(b.ctx(), want))
	b.no(b.WriteAudit(b.ctx(), state.Audit{Who: "bob"}))
	got, err := b.Audits(b.ctx(), state.AuditFilter{Limit: 10})
	b.no(err)
	if len(got) != 2 {
		t.Fatalf("audit: %+v", got)
	}
	want.ID = got[1].ID
	if got[1] != want || !got[0].Time.Equal(b.clock.Now()) || got[0].ID <= got[1].ID {
		t.Errorf("audit: %+v", got)
	}
	if a, act, err := b.AuditByID(b.ctx(), want.ID); err != nil || a != want || act != nil {
		t.Errorf("one: %+v %+v %v", a, act, err)
	}
	if _, _, err := b.AuditByID(b.ctx(), got[0].ID+1000); !errors.Is(err, state.ErrNotFound) {
		t.Errorf("none: %v", err)
	}
	b.no(b.WriteAudit(b.ctx(), state.Audit{Who: "ann", After: strings.Repeat("ä", 20_000)}))
	long, err := b.Audits(b.ctx(), state.AuditFilter{Limit: 1})
	b.no(err)
	if n := len(long[0].After); n > 17<<10 || n < 15<<10 || !utf8.ValidString(long[0].After) || !strings.HasSuffix(long[0].After, "…") {
		t.Errorf("a long one is kept with %d bytes", n)
	}
}

// testAuditPages: pages of the audit hold each act once, whatever is chosen; while new ones come as well.
func testAuditPages(t *testing.T, b *bench) {
	for i := range 25 {
		b.no(b.WriteAudit(b.ctx(), state.Audit{Who: []string{"ann", "bob"}[i%2], Action: []string{"pause", "resume", "reload"}[i%3], Object: fmt.Sprint("flow/", i%5), Detail: fmt.Sprint(i)}))
	}
	for _, f := range []state.AuditFilter{{}, {Who: "ann"}, {Action: "reload"}, {Object: "flow/3"}, {Who: "bob", Action: "pause", Object: "flow/3"}} {
		whole, err := b.Audits(b.ctx(), f)
		b.no(err)
		var paged []state.Audit
		for f.Limit = 4; ; {
			page, err := b.Audits(b.ctx(), f)
			b.no(err)
			paged = append(paged, page...)
			if len(page) < f.Limit {
				break
			}
			f.Before = page[len(page)-1].ID
			b.no(b.WriteAudit(b.ctx(), state.Audit{Who: "eve", Action: "later"}))
		}
		want := 0
		for i := range 25 {
			a := state.Audit{Who: []string{"ann", "bob"}[i%2], Action: []string{"pause", "resume", "reload"}[i%3], Object: fmt.Sprint("flow/", i%5)}
			if (f.Who == "" || f.Who == a.Who) && (f.Action == "" || f.Action == a.Action) && (f.Object == "" || f.Object == a.Object) {
				want++
			}
		}
		if len(paged) != want || !slices.Equal(paged, whole[len(whole)-want:]) {
			t.Errorf("%+v: %d on pages, want %d of %d", f, len(paged), want, len(whole))
		}
	}
}

// testAuditOfChanges: the audit tells how it was and how it is; of an edit, with both documents, also of the second one of a message.
func testAuditOfChanges(t *testing.T, b *bench) {
	p := b.part(0)
	p.commit(rest(0, state.Parked, "a"))
	row := p.queue("a")[0]
	b.no(b.Edit(b.ctx(), state.Edit{ID: row.ID, Data: []byte(`{"n":1}`), Who: "ann", Note: "first"}))
	b.no(b.Edit(b.ctx(), state.Edit{ID: row.ID, Data: []byte(`{"n":2}`), Who: "bob", Note: "second", Replay: true}))
	b.no(b.Pause(b.ctx(), "f", "ann"))
	b.no(b.Resume(b.ctx(), "f", "bob"))
	b.no(b.Resume(b.ctx(), "f", "bob"))
	got, err := b.Audits(b.ctx(), state.AuditFilter{})
	b.no(err)
	text := ""
	for i := len(got) - 1; i >= 0; i-- {
		a, act, err := b.AuditByID(b.ctx(), got[i].ID)
		b.no(err)
		text += fmt.Sprintf("%s %s: %s → %s", a.Who, a.Action, a.Before, a.After)
		if act != nil {
			text += fmt.Sprintf("%s → %s", act.Before, act.After)
		}
		text += "\n"
	}
	want := "ann edit:  → " + string(row.Event.Data) + ` → {"n":1}` + "\nbob edit:  → " + `{"n":1} → {"n":2}` + "\nbob replay: parked → parked, marked for replay\nann pause: running → paused\n" +
		"bob resume: paused by ann since " + b.clock.Now().UTC().Format(time.RFC3339) + " → running\nbob resume: not paused → running\n"
	if text != want {
		t.Errorf("the audit tells\n%s, want\n%s", text, want)
	}
}

func testClosed(t *testing.T, b *bench) {
	p := b.part(0)
	b.no(b.Close())
	b.no(b.Close())
	if err := b.Commit(b.ctx(), p.of(delivered(0))); !errors.Is(err, store.ErrClosed) {
		t.Errorf("commit after close: %v", err)
	}
	b.Store = b.open()
	if got := b.totals(p.Flow); got.Finished != 0 {
		t.Errorf("totals: %+v", got)
	}
}

func testCanceled(t *testing.T, b *bench) {
	p := b.part(0)
	ctx, cancel := context.WithCancel(b.ctx())
	cancel()
	if err := b.Commit(ctx, p.of(delivered(0))); !errors.Is(err, context.Canceled) {
		t.Errorf("commit: %v", err)
	}
	if _, _, err := b.HubID(ctx, "a", "b", "c"); !errors.Is(err, context.Canceled) {
		t.Errorf("look-up: %v", err)
	}
	if _, _, _, err := b.StatusSnapshot(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("totals: %v", err)
	}
	if got := b.totals(p.Flow); got.Finished != 0 {
		t.Errorf("totals: %+v", got)
	}
}
