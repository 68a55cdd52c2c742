package app

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/connectors"
	"github.com/waybill-hub/waybill/internal/bus"
	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/porttest"
	"github.com/waybill-hub/waybill/internal/store/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

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
			b, err := bus.StartEmbedded(t.Context(), bus.EmbeddedConfig{Dir: t.TempDir(), Partitions: 2})
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
