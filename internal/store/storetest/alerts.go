package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/store"
)

func testAlerts(t *testing.T, b *bench) {
	l, ok, err := b.AcquireLease(b.ctx(), store.AlertLease, "hub-1", time.Minute)
	if err != nil || !ok {
		t.Fatalf("%v %v", ok, err)
	}
	want := func(want ...state.Alert) {
		t.Helper()
		got, err := b.Alerts(b.ctx())
		b.no(err)
		if len(got) != len(want) {
			t.Fatalf("%+v, want %+v", got, want)
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("%+v, want %+v", got[i], want[i])
			}
		}
	}
	want()
	now := b.clock.Now().UTC().Truncate(time.Microsecond)
	one := state.Alert{Receiver: "ops", Key: "late/orders", What: "late", Subject: "orders", Text: "20m old", Since: now}
	two := state.Alert{Receiver: "ops", Key: "down/erp", What: "down", Subject: "erp", Text: "refused", Since: now.Add(-time.Hour), Told: now}
	three := state.Alert{Receiver: "duty", Key: "late/orders", What: "late", Subject: "orders", Text: "20m old", Since: now, Told: now, Gone: now}
	b.no(b.KeepAlerts(b.ctx(), l, []state.Alert{one, two, three}, nil))
	want(three, two, one)
	one.Told, one.Text = now.Add(time.Minute), "30m old"
	b.no(b.KeepAlerts(b.ctx(), l, []state.Alert{one}, []state.Alert{three, {Receiver: "nobody", Key: "x"}}))
	want(two, one)
	b.no(b.KeepAlerts(b.ctx(), l, nil, []state.Alert{two}))
	want(one)
	b.no(b.KeepAlerts(b.ctx(), l, nil, nil))

	other, ok, err := b.AcquireLease(b.ctx(), "sweep/orders", "hub-1", time.Minute)
	if err != nil || !ok {
		t.Fatalf("%v %v", ok, err)
	}
	if err := b.KeepAlerts(b.ctx(), other, []state.Alert{two}, nil); !errors.Is(err, state.ErrFenced) {
		t.Errorf("under another lease: %v", err)
	}
	b.no(b.ReleaseLease(b.ctx(), l))
	if err := b.KeepAlerts(b.ctx(), l, []state.Alert{two}, nil); !errors.Is(err, state.ErrFenced) {
		t.Errorf("under a lease that was given back: %v", err)
	}
	want(one)
}
