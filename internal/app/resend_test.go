package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/api"
	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/intake"
	"github.com/waybill-hub/waybill/internal/state"
)

// TestResendOfAHub: an object that was missed comes by itself when a person asks for it, once per wish, and who asked stands in the trace and the
// audit; what cannot be sent is refused with what to do.
func TestResendOfAHub(t *testing.T) {
	t.Parallel()
	g := newTarget(t)
	p := newProject(t, g.URL)
	db := till(t, p, "", "version: source.at")
	execSQL(t, db, "INSERT INTO sale VALUES (1, 'A', 1, '2026-03-01T10:00:00.000Z'), (2, 'B', 1, '2026-03-01T12:00:00.000Z')")
	hub := p.start(io.Discard)
	await(t, "what is there", func() bool { return len(g.newest(t)) == 2 })
	execSQL(t, db, "INSERT INTO sale VALUES (3, 'C', 1, '2026-03-01T11:00:00.000Z'), (4, NULL, 1, '2026-03-01T11:00:00.000Z')") // committed late
	hub.intake.ReadNow("sales")
	before := rest(t, hub)

	// A dry run shows what would be sent, and changes nothing.
	dry, err := hub.Resend(t.Context(), api.ResendRequest{Entity: "order", Key: "C", DryRun: true}, "ann")
	if err != nil {
		t.Fatal(err)
	}
	if dry.State != "dry-run" || dry.Flow != "sales" || dry.System != "till" || dry.To != "canonical.order" || dry.Key != "C" || dry.Local != "3" || dry.Event != "" ||
		dry.Rehearsal.Outcome != "delivered" || !strings.Contains(string(dry.Document), `"no":"C"`) || len(dry.Mapped) == 0 || !strings.Contains(dry.Version, "2026-03-01T11:00:00") {
		t.Errorf("dry run %+v %s %s", dry, dry.Document, dry.Mapped)
	}
	if st := rest(t, hub); st.Totals.Accepted != before.Totals.Accepted || len(g.newest(t)) != 2 {
		t.Errorf("a dry run was accepted: %+v", st.Totals)
	}

	wish := api.ResendRequest{Entity: "order", Key: "C", ID: "case-7", Note: "it was missed"}
	done, err := hub.Resend(t.Context(), wish, "ann")
	if err != nil || done.State != "accepted" || done.Event != "submitted/person/case-7" {
		t.Fatalf("%+v %v", done, err)
	}
	await(t, "what was missed", func() bool { return g.newest(t)["C"].Seq == 1 })
	writes := g.writes
	if done, err = hub.Resend(t.Context(), wish, "bob"); err != nil || done.State != "duplicate" {
		t.Errorf("the same wish: %+v %v", done, err)
	}
	execSQL(t, db, "UPDATE sale SET seq = 2, at = '2026-03-01T11:00:01.000Z' WHERE no = 'C'")
	if _, err = hub.Resend(t.Context(), wish, "bob"); !errors.Is(err, api.ErrOtherWish) {
		t.Errorf("the same wish for another document: %v", err)
	}
	st := rest(t, hub)
	if g.writes != writes || st.Totals.Unaccounted != 0 || st.Totals.Accepted != before.Totals.Accepted+2 { // one event of two flows
		t.Errorf("%d writes, totals %+v after %+v", g.writes-writes, st.Totals, before.Totals)
	}
	tr, err := hub.Trace(t.Context(), "C")
	if err != nil || len(tr.Objects) != 1 || len(tr.Acts) != 1 || tr.Acts[0].Action != "resend" || tr.Acts[0].Who != "ann" || tr.Acts[0].Note != "it was missed" || tr.Acts[0].EventID != "submitted/person/case-7" {
		t.Fatalf("objects %+v, acts %+v, %v", tr.Objects, tr.Acts, err)
	}
	audits, err := hub.Audits(t.Context(), state.AuditFilter{Limit: 1})
	if err != nil || len(audits) != 1 || audits[0].Action != "resend" || audits[0].Who != "ann" || audits[0].Object != "flow/sales" ||
		audits[0].Detail != "order C, as submitted/person/case-7: it was missed" {
		t.Errorf("audit %+v %v", audits, err)
	}
	// What is in the target already is written again: that is what is doubted.
	writes = g.writes
	execSQL(t, db, "UPDATE sale SET seq = 1, at = '2026-03-01T11:00:00.000Z' WHERE no = 'C'")
	if done, err = hub.Resend(t.Context(), api.ResendRequest{Entity: "order", Key: "C"}, "ann"); err != nil || done.State != "accepted" {
		t.Errorf("%+v %v", done, err)
	}
	await(t, "the same once more", func() bool { return g.writes == writes+1 })
	execSQL(t, db, "UPDATE sale SET seq = 2, at = '2026-03-01T11:00:01.000Z' WHERE no = 'C'")
	// By the id that it has there, or anywhere, and under a wish of its own each time.
	for i, key := range []string{"3", "C", tr.Objects[0].Hub} {
		if done, err = hub.Resend(t.Context(), api.ResendRequest{Entity: "order", Key: key, System: "till"}, "ann"); err != nil || done.Local != "3" || done.Key != "C" || done.State != "accepted" {
			t.Errorf("%d, by %s: %+v %v", i, key, done, err)
		}
	}
	await(t, "the newest state", func() bool { return g.newest(t)["C"].Seq == 2 })
	rest(t, hub)

	execSQL(t, db, "INSERT INTO sale VALUES (11, 'no=''E''', 1, '2026-03-01T10:00:00.000Z')")
	if done, err = hub.Resend(t.Context(), api.ResendRequest{Entity: "order", Key: "no='E'"}, "ann"); err != nil || !strings.Contains(done.Text, "`waybill trace \"no='E'\"` tells") {
		t.Errorf("%+v %v", done, err)
	}
	await(t, "a key with apostrophes", func() bool { return g.newest(t)["no='E'"].Seq == 1 })
	rest(t, hub)
	execSQL(t, db, "DELETE FROM sale WHERE no = 'B'")
	execSQL(t, db, "INSERT INTO sale VALUES (7, '8', 1, '2026-03-01T10:00:00.000Z'), (8, '7', 1, '2026-03-01T10:00:00.000Z'), (9, 'D', 1, '2026-03-01T10:00:00.000Z'), (10, 'D', 1, '2026-03-01T10:00:00.000Z')")
	// The business key comes before an id of the same form.
	if dry, err := hub.Resend(t.Context(), api.ResendRequest{Entity: "order", Key: "7", DryRun: true}, "ann"); err != nil || dry.Local != "8" {
		t.Errorf("by a key that is an id as well: %+v %v", dry, err)
	}
	for _, refused := range []struct {
		q    api.ResendRequest
		says string
	}{
		{api.ResendRequest{Entity: "ordr", Key: "A"}, `the hub's files know no flow of the entity "ordr" (did you mean "order"?)`},
		{api.ResendRequest{Entity: "order", Key: "A", Flow: "sale"}, `the hub's files know no flow "sale"`},
		{api.ResendRequest{Entity: "order", Key: "A", System: "tills"}, `the hub's files know no system "tills"`},
		{api.ResendRequest{Entity: "order", Key: "A", Flow: "orders"}, "flow orders: shop calls it (webhook) and cannot be asked for one object"},
		{api.ResendRequest{Entity: "order", Key: "A", Flow: "orders-to-erp"}, "it reads the topic canonical.order: send it by a flow that fills it: orders, sales"},
		{api.ResendRequest{Entity: "order", Key: "A", System: "erp"}, "no flow reads order from a system like that"},
		{api.ResendRequest{Entity: "order", Key: "Z"}, "till holds no order Z, and the hub has not seen one: give the id that it has there"},
		{api.ResendRequest{Entity: "order", Key: "B"}, "till holds no order B any more"},
		{api.ResendRequest{Entity: "order", Key: "D"}, "till holds 2 objects that D may name: 10, 9: give the id of one"},
		{api.ResendRequest{Entity: "order", Key: "4"}, "is none that flow sales takes"},
	} {
		_, err := hub.Resend(t.Context(), refused.q, "ann")
		var invalid *api.Invalid
		if !errors.As(err, &invalid) || !strings.Contains(invalid.Detail, refused.says) {
			t.Errorf("%+v: %v, want %q", refused.q, err, refused.says)
		}
	}
	if st := rest(t, hub); st.Totals.Unaccounted != 0 || st.Totals.Parked != 0 {
		t.Errorf("%+v", st.Totals)
	}

	// Whoever has asked is told where the object waits.
	for _, flow := range []string{"sales", "orders-to-erp"} {
		if err := hub.Pause(t.Context(), flow, "bob"); err != nil {
			t.Fatal(err)
		}
		for _, q := range []api.ResendRequest{{Entity: "order", Key: "C", DryRun: true}, {Entity: "order", Key: "C"}} {
			if got, err := hub.Resend(t.Context(), q, "ann"); err != nil || !strings.Contains(got.Text, "it waits where a flow stands still: "+flow+" (paused)") {
				t.Errorf("%s is paused: %+v %v", flow, got, err)
			}
		}
		if err := hub.Resume(t.Context(), flow, "bob"); err != nil {
			t.Fatal(err)
		}
		if got, err := hub.Resend(t.Context(), api.ResendRequest{Entity: "order", Key: "C", DryRun: true}, "ann"); err != nil || strings.Contains(got.Text, "stands still") {
			t.Errorf("%s goes on: %+v %v", flow, got, err)
		}
	}
	rest(t, hub)
}

// What has kept an object from being read is said of whom it is true.
func TestResendSaysWhoFailed(t *testing.T) {
	t.Parallel()
	f := &config.Flow{From: config.From{System: "till"}}
	h := &Hub{}
	late, cancel := context.WithCancelCause(t.Context())
	cancel(errNoAnswer)
	away := fmt.Errorf("%w: %w", intake.ErrNotBegun, errors.New("database is locked"))
	for _, c := range []struct {
		ctx  context.Context
		err  error
		want string
	}{
		{t.Context(), away, "till was not asked: the hub's store does not answer: database is locked"},
		{late, away, "till was not asked: the hub's store does not answer: database is locked"},
		{t.Context(), errors.New("503"), "till was asked: 503"},
		{late, context.Canceled, "till was asked: the source did not answer in time"},
	} {
		if err := h.askFailed(c.ctx, f, c.err); err.Error() != c.want {
			t.Errorf("%q, want %q", err, c.want)
		}
	}
}

// TestSubmitToAFlowFromATopic: a repair reaches the one flow that it is for, through its topic, and nothing is unaccounted with any reader of it.
func TestSubmitToAFlowFromATopic(t *testing.T) {
	t.Parallel()
	g := newTarget(t)
	p := newProject(t, g.URL)
	db := till(t, p, "", "version: source.at")
	execSQL(t, db, "INSERT INTO sale VALUES (1, 'A', 1, '2026-03-01T10:00:00.000Z')")
	hub := p.start(io.Discard)
	await(t, "what is there", func() bool { return len(g.newest(t)) == 1 })
	before := rest(t, hub)
	tr, err := hub.Trace(t.Context(), "A")
	if err != nil || len(tr.Objects) != 1 {
		t.Fatalf("%+v %v", tr.Objects, err)
	}
	repair := func(id, version string, seq int) error {
		ev := event.Event{ID: id, Source: "till", Origin: "till", Key: "A", Hub: tr.Objects[0].Hub, Version: version, Data: fmt.Appendf(nil, `{"no":"A","seq":%d,"id":1,"at":null,"by":"till"}`, seq)}
		_, err := hub.intake.Submit(t.Context(), "orders-to-erp", []event.Event{ev}, event.Submission{Trigger: event.Repair, Who: "till-erp", Why: "seq differs"})
		return err
	}
	if err := errors.Join(repair("r1", "2026-03-01T10:00:01Z", 5), repair("r1", "2026-03-01T10:00:01Z", 5), repair("r0", "2026-02-01T10:00:00Z", 4)); err != nil {
		t.Fatal(err)
	}
	await(t, "the repair", func() bool { return g.newest(t)["A"].Seq == 5 })
	st := rest(t, hub)
	if st.Totals.Unaccounted != 0 || st.Totals.Duplicates != 0 || st.Totals.Parked != 0 || len(g.newest(t)) != 1 || g.newest(t)["A"].Seq != 5 {
		t.Errorf("%+v, %v, before %+v", st.Totals, g.newest(t), before.Totals)
	}
	tr, err = hub.Trace(t.Context(), "A")
	if err != nil {
		t.Fatal(err)
	}
	var fates []string
	for _, j := range tr.Journal {
		if j.Flow == "orders-to-erp" && strings.HasPrefix(j.EventID, "submitted/") {
			fates = append(fates, fmt.Sprint(j.EventID, " ", j.Outcome, " ", j.Reason))
		}
	}
	slices.Sort(fates)
	// What is older than what was applied is left out, and says so: a repair overwrites nothing newer.
	if want := []string{"submitted/repair/r0 skipped stale", "submitted/repair/r1 delivered "}; !slices.Equal(fates, want) {
		t.Errorf("fates %v, want %v", fates, want)
	}
	var acts []string
	for _, a := range tr.Acts {
		acts = append(acts, a.Action+" "+state.Why(a.Who, a.Note)+" "+a.EventID)
	}
	if want := []string{"repair till-erp: seq differs submitted/repair/r1", "repair till-erp: seq differs submitted/repair/r0"}; !slices.Equal(acts, want) {
		t.Errorf("acts %v, want %v", acts, want)
	}
}

// TestShellWord: what a sentence tells people to type is one word for a shell.
func TestShellWord(t *testing.T) {
	for in, want := range map[string]string{
		"ORD-1":                        "ORD-1",
		"a@b/1":                        "a@b/1",
		"客户1":                          "客户1",
		"":                             `""`,
		"a b":                          `"a b"`,
		"*":                            `"*"`,
		"$HOME":                        "'$HOME'",
		`it's $`:                       `'it'\''s $'`,
		"company='10',order_no='4711'": `"company='10',order_no='4711'"`,
	} {
		if got := shellWord(in); got != want {
			t.Errorf("%q is %s, want %s", in, got, want)
		}
		if out, err := exec.CommandContext(t.Context(), "sh", "-c", "printf %s "+want).Output(); err != nil || string(out) != in {
			t.Errorf("%s is %q for a shell, want %q (%v)", want, out, in, err)
		}
	}
	flow := &config.Flow{Name: "sales", Entity: "order"}
	if got := leftOut(&state.BackfillProgress{Unread: 1, FirstUnread: "no='E'"}, flow); !strings.Contains(got, "`waybill resend order \"no='E'\" --flow sales`") {
		t.Error(got)
	}
}
