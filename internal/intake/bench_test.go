package intake

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/inbox"
	"github.com/waybill-hub/waybill/internal/lease"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/store"
)

const benchOrder = `{"id":"SO-%d","customer":"C-17","lines":[{"sku":"A","quantity":"2","price":"10.50"},{"sku":"B","quantity":"1","price":"3.25"}],"note":"deliver to the back door"}`

func benchStore(b *testing.B) *store.Store {
	b.Helper()
	s, err := store.Open(b.Context(), store.Config{SQLite: filepath.Join(b.TempDir(), "waybill.db")})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	return s
}

// BenchmarkHook is one signed delivery, from the parsed request to the answer, with as many senders as keep the store busy.
func BenchmarkHook(b *testing.B) {
	h, err := NewHooks(HooksConfig{Inbox: benchStore(b), Clock: lifecycle.Real()}, []Source{{Flow: "orders", Webhook: standardHook(), Key: field("id")}})
	if err != nil {
		b.Fatal(err)
	}
	b.SetParallelism(64)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			body := fmt.Sprintf(benchOrder, 1)
			r := httptest.NewRequest(http.MethodPost, "/hooks/crm/orders", strings.NewReader(body))
			r.Header = standardHeaders(stdKey, inbox.MintID(), time.Now(), body)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != http.StatusAccepted {
				b.Errorf("answer %d", w.Code)
			}
		}
	})
}

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
	s := benchStore(b)
	rows := make([]state.Inbound, b.N)
	for i := range rows {
		id := fmt.Sprint("d", i)
		rows[i] = state.Inbound{Flow: "orders", ID: id, DeliveryID: id, Body: fmt.Appendf(nil, benchOrder, i), Received: time.Now()}
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
	r := &relay{src: Source{Flow: "orders", Topic: "in.orders", System: "crm", Entity: "order", Key: field("id"), Webhook: &Webhook{}}, box: s, pub: &sink{}, logs: anyLog{},
		clock: lifecycle.Real(), log: testLog(), obs: NoObserver{}}
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
