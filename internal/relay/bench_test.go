package relay

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/inbox/inboxtest"
	"github.com/waybill-hub/waybill/internal/lease"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/state"
)

type sink struct{ n int64 }

func (s *sink) Send(_ context.Context, records []event.Record) []event.Sent {
	out := make([]event.Sent, len(records))
	for i := range out {
		s.n++
		out[i].Offset = s.n
	}
	return out
}

// BenchmarkRelay carries an inbox to a broker that takes no time.
func BenchmarkRelay(b *testing.B) {
	s := inboxtest.BenchStore(b)
	rows := make([]state.Inbound, b.N)
	for i := range rows {
		id := fmt.Sprint("d", i)
		rows[i] = state.Inbound{Flow: "orders", ID: id, DeliveryID: id, Body: fmt.Appendf(nil, inboxtest.BenchOrder, i), Received: time.Now()}
	}
	for len(rows) > 0 {
		n := min(len(rows), 1000)
		if _, _, err := s.Accept(b.Context(), rows[:n], nil, nil); err != nil {
			b.Fatal(err)
		}
		rows = rows[n:]
	}
	taken, _, err := s.AcquireLease(b.Context(), "relay/orders", "bench", time.Hour)
	if err != nil {
		b.Fatal(err)
	}
	held := lease.Hold(taken, time.Now().Add(time.Hour))
	r := New(Config{Source: Source{Flow: "orders", Topic: "in.orders", System: "crm", Entity: "order", Key: inboxtest.Field("id"), Lists: true}, Store: s, Publisher: &sink{},
		Clock: lifecycle.Real(), Log: inboxtest.Log(), Observer: &seen{}})
	b.ReportAllocs()
	b.ResetTimer()
	for {
		n, err := r.step(b.Context(), held)
		if err != nil {
			b.Fatal(err)
		}
		if n == 0 {
			return
		}
	}
}
