package embedded_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/bus"
	"github.com/waybill-hub/waybill/internal/bus/embedded"
	"github.com/waybill-hub/waybill/internal/bus/embedded/brokertest"
	"github.com/waybill-hub/waybill/internal/event"
)

// copyLogs copies what Files lists, as a backup does.
func copyLogs(t *testing.T, e *embedded.Broker, to string) []embedded.LogFile {
	t.Helper()
	release, err := e.Keep(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	files, err := e.Files()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		path := filepath.Join(to, filepath.FromSlash(f.Name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		in, err := os.Open(f.Path)
		if err != nil {
			t.Fatal(err)
		}
		var r io.Reader = in
		if f.Size >= 0 {
			r = io.LimitReader(in, f.Size)
		}
		b, err := io.ReadAll(r)
		if err := errors.Join(err, in.Close(), os.WriteFile(path, b, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// A copy of a broker at work starts, with everything that was acknowledged before the copy began, and is the same cluster with the same topics.
func TestACopyOfABrokerAtWork(t *testing.T) {
	e := brokertest.Start(t)
	c := dial(t, e.Addr())
	topic(t, c, "orders", 2)
	topic(t, c, "empty", 1)
	p := publisher(t, c, bus.PublisherConfig{})
	for i := range 50 {
		send(t, p, event.Record{Topic: "orders", Key: key(i), Value: []byte("before")})
	}
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			p.Send(t.Context(), []event.Record{{Topic: "orders", Key: key(i), Value: make([]byte, 3000)}})
		}
	})
	before := describe(t, c, "orders").Partitions
	dir := t.TempDir()
	files := copyLogs(t, e, dir)
	stop()
	wg.Wait()
	if last := files[len(files)-1].Name; last != embedded.TopicsFile {
		t.Errorf("the list of topics is not copied last, but %s", last)
	}
	if slices.ContainsFunc(files, func(f embedded.LogFile) bool { return f.Name == embedded.LockFile || filepath.Ext(f.Name) == ".tmp" }) {
		t.Errorf("copied: %+v", files)
	}
	id, err := embedded.CheckLogs(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	first, err := c.ID(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, topicID, err := c.Identity(t.Context(), "orders")
	if err != nil {
		t.Fatal(err)
	}
	restarted(t, dir, func(_ *embedded.Broker, c *bus.Cluster) {
		cluster, again, err := c.Identity(t.Context(), "orders")
		if err != nil || cluster != id || cluster != first || again != topicID {
			t.Errorf("the copy is %s with %s, and was %s with %s: %v", cluster, again, first, topicID, err)
		}
		for n, part := range describe(t, c, "orders").Partitions {
			if part.Last < before[n].Last || part.First != before[n].First {
				t.Errorf("partition %d holds %v, and held %v before the copy", n, part, before[n])
			}
		}
		send(t, publisher(t, c, bus.PublisherConfig{}), event.Record{Topic: "orders", Key: key(1), Value: []byte("after")})
	})
}

// While somebody copies, nothing is removed that the copy's positions may still need.
func TestNothingIsRemovedUnderACopy(t *testing.T) {
	e := brokertest.Start(t, func(cfg *embedded.Config) { cfg.RetentionBytes = 1 })
	c := dial(t, e.Addr())
	topic(t, c, "orders", 1)
	p := publisher(t, c, bus.PublisherConfig{})
	for i := range 10 {
		send(t, p, event.Record{Topic: "orders", Key: key(i), Value: []byte("x")})
	}
	release, err := e.Keep(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := e.RemoveOld(ctx, time.Now().Add(1000*time.Hour)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("removed under a copy: %v", err)
	}
	if got := describe(t, c, "orders").Partitions[0]; got.First != 0 {
		t.Errorf("%v is left", got)
	}
	release()
	if err := e.RemoveOld(t.Context(), time.Now().Add(1000*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if got := describe(t, c, "orders").Partitions[0]; got.First == 0 {
		t.Errorf("nothing was removed afterwards: %v", got)
	}
}
