package store_test

import (
	"bytes"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/state"
)

// wire carries bytes to a server. Once armed, it breaks with the server's answer to the next COMMIT.
type wire struct {
	addr   string
	armed  atomic.Bool
	broken atomic.Int32
}

func newWire(t *testing.T, server string) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{addr: l.Addr().String()}
	var wg sync.WaitGroup
	t.Cleanup(func() { _ = l.Close(); wg.Wait() })
	wg.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			behind, err := net.Dial("tcp", server)
			if err != nil {
				_ = client.Close()
				return
			}
			wg.Go(func() { w.carry(behind, client, true) })
			wg.Go(func() { w.carry(client, behind, false) })
		}
	})
	return w
}

// carry copies one direction; out is the way to the server.
func (w *wire) carry(to, from net.Conn, out bool) {
	defer func() { _, _ = to.Close(), from.Close() }()
	b := make([]byte, 64<<10)
	for {
		n, err := from.Read(b)
		if err != nil {
			return
		}
		switch {
		case !out && bytes.Contains(b[:n], []byte("COMMIT\x00")) && w.armed.CompareAndSwap(true, false): // the server says that it has committed
			w.broken.Add(1)
			return
		}
		if _, err := to.Write(b[:n]); err != nil {
			return
		}
	}
}

// The answer to a COMMIT is lost: it may be committed, and here it is. The call says that nobody knows, and repeating it
// changes nothing.
func TestCommitWhoseAnswerIsLost(t *testing.T) {
	cfg, _ := postgresConfig(t)
	u, err := url.Parse(cfg.Postgres)
	if err != nil {
		t.Fatal(err)
	}
	w := newWire(t, u.Host)
	u.Host = w.addr
	cfg.Postgres = u.String()
	s := openPostgres(t, cfg)
	p, err := s.OpenPartition(t.Context(), "f", "t", 0, event.Log{Cluster: "c", TopicID: "t", Last: 100})
	if err != nil {
		t.Fatal(err)
	}
	accept := func() ([]state.Accepted, error) {
		fates, _, err := s.Accept(t.Context(), []state.Inbound{{Flow: "f", ID: "1", DeliveryID: "1", Body: []byte("{}")}}, nil, nil)
		return fates, err
	}
	commit := func() error {
		return s.Commit(t.Context(), &state.Commit{Flow: "f", Topic: "t", Epoch: p.Epoch, Results: []state.Result{{Offset: 0, Outcome: state.Delivered}}})
	}
	w.armed.Store(true)
	if _, err := accept(); fault.KindOf(err) != fault.UnknownOutcome {
		t.Errorf("accept: %v", err)
	}
	if fates, err := accept(); err != nil || fates[0] != state.AcceptedDuplicate {
		t.Errorf("accept again: %v, %v", fates, err)
	}
	w.armed.Store(true)
	if err := commit(); fault.KindOf(err) != fault.UnknownOutcome {
		t.Errorf("commit: %v", err)
	}
	if err := commit(); err != nil {
		t.Errorf("commit again: %v", err)
	}
	if n := w.broken.Load(); n != 2 {
		t.Errorf("%d answers were lost, want 2", n)
	}
	all, _, _, err := s.StatusSnapshot(t.Context())
	if err != nil || len(all) != 1 || all[0].Delivered != 1 || all[0].Unpublished != 1 || all[0].Unaccounted() != 0 {
		t.Errorf("totals: %+v, %v", all, err)
	}
}
