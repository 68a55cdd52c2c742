package bus

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if runChild() {
		return
	}
	// The official reconnect test leaves the collector of its published messages behind.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/ThreeDotsLabs/watermill/pubsub/tests.TestReconnect.func2"))
}

// quiet is a log that shows nothing but, with -v, errors.
func quiet(t testing.TB) *slog.Logger {
	if testing.Verbose() {
		return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	}
	return slog.New(slog.DiscardHandler)
}

// broker starts an embedded broker that ends with the test.
func broker(t testing.TB, change ...func(*EmbeddedConfig)) *Embedded {
	t.Helper()
	cfg := EmbeddedConfig{Dir: t.TempDir(), Log: quiet(t)}
	for _, f := range change {
		f(&cfg)
	}
	e, err := StartEmbedded(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

// dial connects to addresses; the connection ends with the test.
func dial(t testing.TB, addr string, change ...func(*Config)) *Cluster {
	t.Helper()
	cfg := Config{Brokers: []string{addr}, Log: quiet(t)}
	for _, f := range change {
		f(&cfg)
	}
	c, err := Dial(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func topic(t testing.TB, c *Cluster, name string, partitions int) string {
	t.Helper()
	if err := c.EnsureTopics(t.Context(), []Topic{{Name: name, Partitions: partitions}}); err != nil {
		t.Fatal(err)
	}
	return name
}

// within gives a context for what must not take long.
func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func key(i int) []byte { return fmt.Appendf(nil, "key-%04d", i) }
