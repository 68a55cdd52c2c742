package relay

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/inbox/inboxtest"
	"github.com/waybill-hub/waybill/internal/lease"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/state"
)

// frozen is the store and publisher of a relay that was frozen for longer than its lease between reading and publishing.
type frozen struct {
	Store
	thaw      func()
	published int
}

func (f *frozen) Unpublished(context.Context, string, int, int) ([]state.Inbound, error) {
	f.thaw()
	return []state.Inbound{{Flow: "x", Seq: 1, ID: "a", Headers: map[string]string{}, Body: []byte(`{"no":"1"}`)}}, nil
}

func (f *frozen) Send(_ context.Context, records []event.Record) []event.Sent {
	f.published += len(records)
	return make([]event.Sent, len(records))
}

func TestNothingIsPublishedUnderALeaseThatMayHaveRunOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		held := lease.Hold(state.Lease{Name: "relay/x", Token: 1}, time.Now().Add(15*time.Second))
		f := &frozen{thaw: func() { time.Sleep(16 * time.Second) }}
		r := New(Config{Source: Source{Flow: "x", Topic: "in.x", System: "s"}, Store: f, Publisher: f, Clock: lifecycle.Real(), Log: inboxtest.Log(), Observer: &seen{}})
		if _, err := r.step(t.Context(), held); !errors.Is(err, state.ErrFenced) || f.published != 0 {
			t.Errorf("published %d, %v", f.published, err)
		}
	})
}
