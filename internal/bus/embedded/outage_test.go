package embedded_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/bus"
	"github.com/waybill-hub/waybill/internal/bus/embedded"
	"github.com/waybill-hub/waybill/internal/bus/embedded/brokertest"
	"github.com/waybill-hub/waybill/internal/event"
)

// What the broker cannot bring to disk it does not acknowledge, and nobody reads it; once the disk takes it, the broker goes on from
// what is there, in the same process.
func TestWriteFailure(t *testing.T) {
	dir := t.TempDir()
	// Old records are looked for all the time: what does that meets a broker that stands still and begins again (the race detector watches).
	e := brokertest.Start(t, func(c *embedded.Config) { c.Dir, c.RetentionEvery = dir, 5*time.Millisecond })
	c := dial(t, e.Addr(), func(cfg *bus.Config) { cfg.Timeout = 2 * time.Second })
	topic(t, c, "orders", 1)
	topic(t, c, "stuck", 1)
	p := publisher(t, c, bus.PublisherConfig{RequestTimeout: time.Second, RetryFor: time.Second})
	send(t, p, record("orders", "k", "1"))

	// A file where the partition's directory has to be: the directory cannot be made.
	inTheWay := filepath.Join(dir, "partitions", "stuck-0")
	if err := os.RemoveAll(inTheWay); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(inTheWay, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if s := p.Send(t.Context(), []event.Record{record("stuck", "k", "lost?")})[0]; s.Err == nil {
		t.Fatal("a record that is not on disk was acknowledged")
	}
	if s := p.Send(t.Context(), []event.Record{record("orders", "k", "not now")})[0]; s.Err == nil {
		t.Error("the broker takes records while it cannot be trusted")
	}
	// The broker tries again by itself. What is written then comes after what was there. While it tries, its files are elsewhere for a moment.
	again := 0
	eventually(t, "the broker works again", func() bool {
		if st, err := os.Lstat(inTheWay); err == nil && st.Mode().IsRegular() {
			_ = os.Remove(inTheWay)
		}
		again++
		return p.Send(t.Context(), []event.Record{record("stuck", "k", fmt.Sprint("again ", again))})[0].Err == nil
	})
	send(t, p, record("orders", "k", "2"))
	ch := subscribe(t, c, "orders")
	var got []event.Record
	for len(got) == 0 || string(got[len(got)-1].Value) != "2" {
		got = append(got, next(t, ch)...)
	}
	if string(got[0].Value) != "1" {
		t.Errorf("read %s", values(got))
	}
	for _, r := range got {
		if string(r.Value) == "lost?" {
			t.Error("a record that was never on disk was read")
		}
	}
}

// A crash while the broker's files are out of the way leaves them where the next start finds them.
func TestCrashWhileDiscarding(t *testing.T) {
	dir := t.TempDir()
	e := brokertest.Start(t, func(c *embedded.Config) { c.Dir = dir })
	c := dial(t, e.Addr())
	topic(t, c, "orders", 1)
	send(t, publisher(t, c, bus.PublisherConfig{}), record("orders", "k", "1"))
	_ = c.Close()
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	aside := filepath.Join(dir, embedded.AsideDir)
	if err := os.Mkdir(aside, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := embedded.Move(dir, aside); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "partitions"), 0o755); err != nil { // what the closing broker has begun to write
		t.Fatal(err)
	}
	e = brokertest.Start(t, func(c *embedded.Config) { c.Dir = dir })
	if v := values(next(t, subscribe(t, dial(t, e.Addr()), "orders"))); v != "1" {
		t.Errorf("read %s", v)
	}
}

// TestTroubleOfABrokerThatCannotWrite: the embedded broker says itself why it stands still.
func TestTroubleOfABrokerThatCannotWrite(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	e := brokertest.Start(t, func(c *embedded.Config) { c.Dir = dir })
	c := dial(t, e.Addr(), func(cfg *bus.Config) { cfg.Timeout = 2 * time.Second })
	topic(t, c, "stuck", 1)
	topic(t, c, "other", 1)
	if e.Trouble() != nil {
		t.Fatalf("told before anything has happened: %+v", e.Trouble())
	}
	inTheWay := filepath.Join(dir, "partitions", "stuck-0")
	send(t, publisher(t, c, bus.PublisherConfig{}), record("other", "k", "1"))
	if err := os.WriteFile(inTheWay, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	p := publisher(t, c, bus.PublisherConfig{RequestTimeout: time.Second, RetryFor: time.Second})
	_ = p.Send(t.Context(), []event.Record{record("stuck", "k", "1")}) // fails, and is the reason
	eventually(t, "the broker says why", func() bool { told := e.Trouble(); return told != nil && strings.Contains(told.Why, dir) })
	if err := os.Remove(inTheWay); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is over", func() bool { return e.Trouble() == nil })
}
