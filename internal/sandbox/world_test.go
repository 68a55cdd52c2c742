package sandbox

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// receiver is a stand-in for the hub's webhook listener.
type receiver struct {
	*httptest.Server
	mu   sync.Mutex
	got  []received
	more chan struct{}
	// answer, where set, decides the status of the n-th call, from 0.
	answer func(n int) int
}

type received struct {
	path, id, stamp, signature string
	body                       []byte
	at                         time.Time
}

func newReceiver(t *testing.T, answer func(n int) int) *receiver {
	r := &receiver{answer: answer, more: make(chan struct{}, 1)}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, _ := io.ReadAll(q.Body)
		r.mu.Lock()
		n := len(r.got)
		r.got = append(r.got, received{q.URL.Path, q.Header.Get("webhook-id"), q.Header.Get("webhook-timestamp"), q.Header.Get("webhook-signature"), body, time.Now()})
		r.mu.Unlock()
		if r.answer != nil {
			w.WriteHeader(r.answer(n))
		} else {
			w.WriteHeader(http.StatusAccepted)
		}
		select {
		case r.more <- struct{}{}:
		default:
		}
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) all() []received {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]received{}, r.got...)
}

// until waits for ok to hold; it is asked whenever something arrives.
func (r *receiver) until(t *testing.T, ok func(got []received) bool) []received {
	t.Helper()
	deadline := time.After(60 * time.Second)
	for {
		if got := r.all(); ok(got) {
			return got
		}
		select {
		case <-r.more:
		case <-deadline:
			t.Fatalf("gave up waiting; %d webhooks came", len(r.all()))
		}
	}
}

// quiet is a world in which nothing happens by itself and nothing was there before.
func quiet(t *testing.T, o Options) *World {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	if o.Rate == 0 {
		o.Rate = -1
	}
	for _, p := range []*int{&o.Items, &o.ERPCustomers, &o.Accounts} {
		if *p == 0 {
			*p = -1
		}
	}
	w, err := StartAll(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// business does n actions in the CRM, n in the ERP and n in the WMS.
func (w *World) business(n int) {
	for _, p := range w.parts() {
		p.traffic.mu.Lock()
		for range n {
			p.traffic.step(context.Background())
		}
		p.traffic.mu.Unlock()
	}
}

// settle waits until nothing is pending, but for what is named.
func (w *World) settle(t *testing.T, but ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if p, err := w.Settled(ctx, 0, but...); err != nil {
		t.Fatalf("still pending: %v", p)
	}
}

func TestWorldIsBusy(t *testing.T) {
	hooks := newReceiver(t, nil)
	w := quiet(t, Options{Rate: 300, HookURL: hooks.URL, Items: 50, ERPCustomers: 20, Accounts: 20, Pace: .05, Hold: true})
	hooks.until(t, func(got []received) bool { return len(got) == 20 }) // the accounts that were there before
	if s, err := w.Snapshot(); err != nil || s.Count(CRM, Order)+s.Count(CRM, Quote) > 0 || s.Count(ERP, Customer) != 20 {
		t.Errorf("business before Resume: %d orders, %v", s.Count(CRM, Order), err)
	}
	w.Resume()
	hooks.until(t, func(got []received) bool { return len(got) > 150 })
	w.Quiesce()
	w.settle(t, "wms.files") // nobody takes them here
	w.Freeze()
	s, err := w.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		system, entity string
		min            int
	}{{CRM, Customer, 21}, {CRM, Order, 10}, {CRM, Quote, 5}, {ERP, Customer, 21}, {ERP, Product, 50}, {WMS, Inventory, 100}} {
		if n := s.Count(c.system, c.entity); n < c.min {
			t.Errorf("%s has %d of %s, want at least %d", c.system, n, c.entity, c.min)
		}
	}
	again, err := ReadSnapshot(context.Background(), w.o.Dir, "")
	if err != nil {
		t.Fatal(err)
	}
	a, _ := json.Marshal(s)
	b, _ := json.Marshal(again)
	if string(a) != string(b) {
		t.Error("the picture from disk differs from the live one")
	}
}
