package storetest

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/store"
)

// A replay at a rate knows where it is: each step is one commit with its place, under the lease, until it is through or a person stops it.
func testPaces(t *testing.T, b *bench) {
	p := b.part(0)
	var results []state.Result
	for i := range int64(7) {
		results = append(results, stopped(i, fmt.Sprint("SO-", i), "9 is too much"))
	}
	p.commit(results...)
	causes, err := b.Causes(b.ctx(), state.QueueFilter{})
	b.no(err)
	all := state.Bulk{Mark: state.MarkReplay, Filter: state.QueueFilter{Cause: causes[0].Cause}, About: "cause=x", Who: "ann", Note: "mended"}
	begun, err := b.BeginPace(b.ctx(), state.Pace{Bulk: all, Rate: "2/s"})
	b.no(err)
	if begun.Matched != 7 || begun.State != state.PaceRunning || begun.Bulk.From.Act == 0 {
		t.Fatalf("%+v", begun)
	}
	if got := b.audit(); got != "ann bulk replay messages where cause=x (0 messages: mended)" {
		t.Errorf("audit: %s", got)
	}
	one := func() state.Pace {
		t.Helper()
		open, err := b.Paces(b.ctx(), true)
		if err != nil || len(open) != 1 {
			t.Fatalf("%+v %v", open, err)
		}
		open[0].Bulk.Most = 2
		return open[0]
	}
	lease := b.lease(store.PaceLease, "hub-1")
	p.commit(stopped(100, "late", "8 is too much")) // it came later, and is not among them
	for n, want := range []int64{2, 4} {
		at := one()
		if at.Bulk.Filter.Cause != all.Filter.Cause || at.Bulk.About != "cause=x" || at.Bulk.Who != "ann" || at.Bulk.Note != "mended" || at.Rate != "2/s" || at.Marked != int64(2*n) || at.Matched != 7 || !at.Began.Equal(begun.Began) {
			t.Errorf("%+v of %+v, %s", at, all.Filter, begun.Began)
		}
		step, err := b.PaceStep(b.ctx(), lease, at.Bulk)
		if err != nil || step.Marked != 2 || step.Done || step.Total != want {
			t.Errorf("%+v %v", step, err)
		}
	}
	if q := p.queue("SO-3")[0]; q.Mark != state.MarkReplay || q.MarkedBy != "ann" || p.queue("SO-4")[0].Mark != "" {
		t.Errorf("%+v", q)
	}
	old := one()
	if _, err := b.PaceStep(b.ctx(), b.lease("sweep/orders", "hub-1"), old.Bulk); !errors.Is(err, state.ErrFenced) {
		t.Errorf("under another lease: %v", err)
	}
	stale := lease
	stale.Token--
	if _, err := b.PaceStep(b.ctx(), stale, old.Bulk); !errors.Is(err, state.ErrFenced) {
		t.Errorf("under a lease that has gone: %v", err)
	}
	if now := one(); now.Marked != 4 || now.Bulk.From.At != old.Bulk.From.At {
		t.Errorf("a step that was refused has marked: %+v", now)
	}
	for last := false; !last; {
		at := one()
		step, err := b.PaceStep(b.ctx(), lease, at.Bulk)
		b.no(err)
		last = step.Done
	}
	if open, err := b.Paces(b.ctx(), true); err != nil || len(open) != 0 {
		t.Errorf("%+v %v", open, err)
	}
	if all, err := b.Paces(b.ctx(), false); err != nil || len(all) != 1 || all[0].State != state.PaceDone || all[0].Marked != 7 || all[0].Ended.IsZero() || p.queue("late")[0].Mark != "" {
		t.Errorf("%+v %v", all, err)
	}

	all.Filter.Cause = ""
	second, err := b.BeginPace(b.ctx(), state.Pace{Bulk: all, Rate: "1/h"})
	b.no(err)
	at := one()
	b.no(b.StopPace(b.ctx(), second.Bulk.From.Act, "bob"))
	if _, err := b.PaceStep(b.ctx(), lease, at.Bulk); !errors.Is(err, state.ErrNotFound) {
		t.Errorf("a stopped one goes on: %v", err)
	}
	if err := b.StopPace(b.ctx(), second.Bulk.From.Act, "bob"); !errors.Is(err, state.ErrNotFound) {
		t.Errorf("stopped twice: %v", err)
	}
	if p.queue("late")[0].Mark != "" {
		t.Error("a stopped replay has marked")
	}
	list, err := b.Paces(b.ctx(), false)
	if err != nil || len(list) != 2 || list[0].State != state.PaceStopped || list[0].EndedBy != "bob" {
		t.Errorf("%+v %v", list, err)
	}
	if got := b.audit(); !strings.Contains(got, "bob stop replay bulk ") || !strings.Contains(got, "(7 messages: mended)") {
		t.Errorf("audit: %s", got)
	}
	all.Behind = true
	if _, err := b.BeginPace(b.ctx(), state.Pace{Bulk: all, Rate: "1/h"}); err == nil {
		t.Error("what queues behind is replayed at a rate")
	}
}
