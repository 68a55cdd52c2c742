package app

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/waybill-hub/waybill/connectors"
	"github.com/waybill-hub/waybill/internal/api"
	"github.com/waybill-hub/waybill/internal/bus/embedded"
	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/porttest"
	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/store/pgtest"
)

func TestMain(m *testing.M) {
	code := pgtest.Main(m)
	http.DefaultClient.CloseIdleConnections()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, "something still runs after the last hub has stopped:", err)
		code = 1
	}
	os.Exit(code)
}

// door forwards connections to a server behind it, once it is opened.
type door struct {
	t      *testing.T
	at, to string
	wg     sync.WaitGroup
}

func newDoor(t *testing.T, to string) *door {
	at, err := porttest.Addr()
	if err != nil {
		t.Fatal(err)
	}
	return &door{t: t, at: at, to: to}
}

func (d *door) open() {
	l, err := net.Listen("tcp", d.at)
	if err != nil {
		d.t.Error(err)
		return
	}
	d.t.Cleanup(func() { _ = l.Close(); d.wg.Wait() })
	d.wg.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", d.to)
			if err != nil {
				d.t.Error(err)
				_ = in.Close()
				continue
			}
			for _, way := range [][2]net.Conn{{in, out}, {out, in}} {
				d.wg.Go(func() {
					_, _ = io.Copy(way[0], way[1])
					_ = way[0].Close()
				})
			}
		}
	})
}

// watched is a log that does something when it first says a word.
type watched struct {
	mu   sync.Mutex
	text bytes.Buffer
	word string
	then func()
}

func (w *watched) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.then != nil && bytes.Contains(p, []byte(w.word)) {
		w.then()
		w.then = nil
	}
	return w.text.Write(p)
}

// TestStartsBeforeWhatItStandsOn: a hub that is started before its broker or its database says so, and waits for them.
func TestStartsBeforeWhatItStandsOn(t *testing.T) {
	for name, arrange := range map[string]func(t *testing.T, p *project) *door{
		"the broker": func(t *testing.T, p *project) *door {
			b, err := embedded.Start(t.Context(), embedded.Config{Dir: t.TempDir(), Partitions: 2})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = b.Close() })
			d := newDoor(t, b.Addr())
			p.edit("configs/waybill.yaml", `embedded: {dir: "`+p.dir+`/data/broker"}`, `kafka: {brokers: ["`+d.at+`"], replication: 1}`)
			return d
		},
		"the database": func(t *testing.T, p *project) *door {
			u, err := url.Parse(pgtest.URL(t))
			if err != nil {
				t.Fatal(err)
			}
			d := newDoor(t, u.Host)
			u.Host = d.at
			t.Setenv("WAYBILL_TEST_STORE", u.String())
			p.edit("configs/waybill.yaml", `sqlite: {path: "`+p.dir+`/data/waybill.db"}`, `postgres: {url: "${env:WAYBILL_TEST_STORE}"}`)
			return d
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := newTarget(t)
			p := newProject(t, g.URL)
			d := arrange(t, p)
			log := &watched{word: "not there yet", then: d.open}
			hub := p.start(log)
			if status, err := push(t.Context(), hub, "shop/orders", "d-1", document{No: "A", Seq: 1}); err != nil || status != 202 {
				t.Errorf("a webhook after that: %d %v", status, err)
			}
			log.mu.Lock()
			defer log.mu.Unlock()
			if log.then != nil {
				t.Error("it did not wait")
			}
		})
	}
}

// TestStartGivesUp: a hub that waits for what is not there says what it asked and what to look at, and what a person must correct is not waited for.
func TestStartGivesUp(t *testing.T) {
	t.Parallel()
	d := newDoor(t, "")
	p := newProject(t, "http://127.0.0.1:1")
	p.edit("configs/waybill.yaml", `embedded: {dir: "`+p.dir+`/data/broker"}`, `kafka: {brokers: ["`+d.at+`"], replication: 1}`)
	kinds, err := connector.NewRegistry(connectors.All()...)
	if err != nil {
		t.Fatal(err)
	}
	clock := lifecycle.NewManual(time.Now())
	var log watched
	logger := slog.New(slog.NewTextHandler(&log, nil))
	plan, problems := config.Load(config.RootPaths(p.dir), config.Options{Kinds: kinds.Map(), Log: logger})
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	hub, err := New(Options{Plan: plan, Kinds: kinds, Log: logger, Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		done <- hub.patiently(t.Context(), func() error { return errors.New("a mistake in the configuration") })
	}()
	if err := <-done; err == nil || strings.Contains(err.Error(), "tried for") {
		t.Errorf("waited for a mistake: %v", err)
	}
	go func() { done <- hub.openBroker(t.Context()) }()
	for {
		select {
		case err := <-done:
			for _, word := range []string{d.at, "connection refused", "tried for 1m0s", "is its address in the configuration right"} {
				if err == nil || !strings.Contains(err.Error(), word) {
					t.Errorf("%v does not say %q", err, word)
				}
			}
			return
		default:
			if at, ok := clock.Next(); ok {
				clock.Set(at)
			}
			runtime.Gosched()
		}
	}
}

// TestStatusWithoutBroker: the status answers while the broker does not, says so, and counts with what was seen last.
func TestStatusWithoutBroker(t *testing.T) {
	t.Parallel()
	b, err := embedded.Start(t.Context(), embedded.Config{Dir: t.TempDir(), Partitions: 2})
	if err != nil {
		t.Fatal(err)
	}
	ended := sync.OnceFunc(func() { _ = b.Close() })
	t.Cleanup(ended)
	g := newTarget(t)
	p := newProject(t, g.URL)
	p.edit("configs/waybill.yaml", `embedded: {dir: "`+p.dir+`/data/broker"}`, `kafka: {brokers: ["`+b.Addr()+`"], replication: 1}`)
	hub := p.start(io.Discard)
	for n := range 3 {
		if status, err := push(t.Context(), hub, "shop/orders", fmt.Sprint("d-", n), document{No: fmt.Sprint("A", n), Seq: 1}); err != nil || status != 202 {
			t.Fatalf("a webhook: %d %v", status, err)
		}
	}
	var before *api.Status
	await(t, "everything to be delivered", func() bool {
		st, err := hub.Status(t.Context())
		before = st
		return err == nil && st.Totals.Delivered == 6 && st.AtRest()
	})
	if before.Broker.State != api.BrokerUp || before.Failing() {
		t.Errorf("before: %+v", before.Broker)
	}
	ended()
	if status, err := push(t.Context(), hub, "shop/orders", "d-later", document{No: "A9", Seq: 1}); err != nil || status != 202 {
		t.Errorf("a webhook without the broker: %d %v", status, err)
	}
	if err := hub.Ready(t.Context()); err != nil {
		t.Errorf("it takes webhooks, and is not ready: %v", err)
	}
	st, err := hub.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if st.Broker.State != api.BrokerDown || !strings.Contains(st.Broker.Why, "the broker does not answer") || !st.Failing() {
		t.Errorf("the broker is %+v", st.Broker)
	}
	if now := st.Totals; now.Delivered != 6 || now.Accepted != before.Totals.Accepted+1 || now.InFlight != 1 || now.Unaccounted != 0 {
		t.Errorf("the totals are %+v, before %+v", now, before.Totals)
	}
}

// TestMetricsAreFresh: who scrapes sees what the flows have now, without anybody asking for the status.
func TestMetricsAreFresh(t *testing.T) {
	t.Parallel()
	g := newTarget(t)
	p := newProject(t, g.URL)
	p.edit("flows/orders.yaml", "accept: order.v1", "accept: order.v1\njournal: all")
	hub := p.start(io.Discard)
	scrape := func() string {
		r, err := http.Get("http://" + hub.Addr() + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		text, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	if text := scrape(); !strings.Contains(text, `waybill_flow_messages{flow="orders",where="parked"} 0`) {
		t.Errorf("at the start:\n%s", text)
	}
	for _, line := range []string{`waybill_flow_state{flow="orders",state="running"} 1`, `waybill_flow_state{flow="orders",state="failing"} 0`, `waybill_system_state{state="up",system="erp"} 1`,
		`waybill_hub_state{state="running"} 1`, `waybill_broker_state{state="down"} 0`} {
		if text := scrape(); !strings.Contains(text, line) {
			t.Errorf("%s is not in\n%s", line, text)
		}
	}
	if status, err := push(t.Context(), hub, "shop/orders", "d-1", document{Seq: 1}); err != nil || status != 202 { // it has no number
		t.Fatalf("a webhook: %d %v", status, err)
	}
	await(t, "the message to show as parked", func() bool {
		text := scrape()
		return strings.Contains(text, `waybill_flow_messages{flow="orders",where="parked"} 1`) && strings.Contains(text, `waybill_flow_state{flow="orders",state="attention"} 1`)
	})
	q, err := hub.store.Parked(t.Context(), state.QueueFilter{Flow: "orders"})
	if err != nil || len(q) != 1 {
		t.Fatalf("parked: %+v, %v", q, err)
	}
	if err := hub.store.Mark(t.Context(), state.Wish{ID: q[0].ID, Mark: state.MarkDiscard, Who: "ann", Note: "a test"}); err != nil {
		t.Fatal(err)
	}
	await(t, "it to be gone", func() bool {
		return strings.Contains(scrape(), `waybill_flow_messages{flow="orders",where="parked"} 0`)
	})
}
