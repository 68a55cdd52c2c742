package brokertest

import (
	"log/slog"
	"os"
	"testing"

	"github.com/waybill-hub/waybill/internal/bus/embedded"
)

// Quiet is a log that shows nothing but, with -v, errors.
func Quiet(t testing.TB) *slog.Logger {
	if testing.Verbose() {
		return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	}
	return slog.New(slog.DiscardHandler)
}

// Start starts an embedded broker that ends with the test.
func Start(t testing.TB, change ...func(*embedded.Config)) *embedded.Broker {
	t.Helper()
	cfg := embedded.Config{Dir: t.TempDir(), Log: Quiet(t)}
	for _, f := range change {
		f(&cfg)
	}
	b, err := embedded.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}
