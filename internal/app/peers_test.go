package app

import (
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/waybill-hub/waybill/internal/state"
)

// TestResumeAtAnotherHubIsHeard: a resume that another hub has stored ends the alarm of this one, whatever else people do in the same
// second, and is heard once.
func TestResumeAtAnotherHubIsHeard(t *testing.T) {
	t.Parallel()
	hub := newProject(t, newTarget(t).URL).start(io.Discard)
	ctx := t.Context()
	if err := hub.knowResumes(ctx); err != nil {
		t.Fatal(err)
	}
	var orders *running
	for _, r := range hub.flows() {
		if r.Flow().Name == "orders" {
			orders = r
		}
	}
	hear := func(want ...string) {
		t.Helper()
		again, err := hub.followPauses(ctx)
		if err != nil || !slices.Equal(again, want) {
			t.Fatalf("heard of resumes of %v, %v; want %v", again, err, want)
		}
	}
	for range 2 { // the second at the same time as the first, by the hubs' clocks
		orders.RaiseAlarm("test", errors.New("it is broken"))
		hear()
		if err := hub.store.Resume(ctx, "orders", "ann"); err != nil { // as the other hub does
			t.Fatal(err)
		}
		for range 300 { // and what people do beside it
			if err := hub.store.WriteAudit(ctx, state.Audit{Who: "bob", Action: "replay", Object: "message/7"}); err != nil {
				t.Fatal(err)
			}
		}
		hear("orders")
		if orders.Alarmed() != nil {
			t.Fatal("the flow still stands still")
		}
		hear()
	}
	// Resumed here: that is no news, and ends no alarm that comes after it.
	orders.RaiseAlarm("test", errors.New("it is broken"))
	if alarmed, err := hub.turnFlow(ctx, "orders", "ann", false); err != nil || !alarmed {
		t.Fatalf("resumed here: %v %v", alarmed, err)
	}
	orders.RaiseAlarm("test", errors.New("it is broken again"))
	hear()
	if orders.Alarmed() == nil {
		t.Fatal("the hub has heard its own resume, and ended an alarm that came after it")
	}
	if _, err := hub.turnFlow(ctx, "orders", "ann", false); err != nil {
		t.Fatal(err)
	}
	// Paused and resumed elsewhere.
	if err := hub.store.Pause(ctx, "orders", "ann"); err != nil {
		t.Fatal(err)
	}
	if hear(); !orders.Paused() {
		t.Fatal("a pause was not heard")
	}
	if err := hub.store.Resume(ctx, "orders", "ann"); err != nil {
		t.Fatal(err)
	}
	if hear(); orders.Paused() {
		t.Fatal("a resume was not heard")
	}
}
