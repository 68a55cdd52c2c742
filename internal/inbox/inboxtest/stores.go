// Package inboxtest is the bench of those who fill and empty the inbox: the real stores, a clock that the test turns, and a topic.
package inboxtest

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/waybill-hub/waybill/internal/store"
	"github.com/waybill-hub/waybill/internal/store/pgtest"
)

// Stores are those that a suite runs on.
var Stores = map[string]func(t *testing.T, clock store.Clock) (open func() *store.Store){
	"sqlite": func(t *testing.T, clock store.Clock) func() *store.Store {
		return opener(t, store.Config{SQLite: filepath.Join(t.TempDir(), "waybill.db"), Clock: clock})
	},
	"postgres": func(t *testing.T, clock store.Clock) func() *store.Store {
		return opener(t, store.Config{Postgres: pgtest.URL(t), Clock: clock})
	},
}

// opener opens the same data again after Close.
func opener(t *testing.T, c store.Config) func() *store.Store {
	return func() *store.Store {
		s, err := store.Open(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
}

// BenchOrder is an order as benchmarks send it; %d is its number.
const BenchOrder = `{"id":"SO-%d","customer":"C-17","lines":[{"sku":"A","quantity":"2","price":"10.50"},{"sku":"B","quantity":"1","price":"3.25"}],"note":"deliver to the back door"}`

// BenchStore is an SQLite store for a benchmark.
func BenchStore(b *testing.B) *store.Store {
	b.Helper()
	s, err := store.Open(b.Context(), store.Config{SQLite: filepath.Join(b.TempDir(), "waybill.db")})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	return s
}

// OnStores runs a test on every store.
func OnStores(t *testing.T, test func(t *testing.T, b *Bench)) {
	for name, factory := range Stores {
		t.Run(name, func(t *testing.T) { onStore(t, factory, test) })
	}
}

// OnSQLite runs a test to which no difference between stores matters.
func OnSQLite(t *testing.T, test func(t *testing.T, b *Bench)) { onStore(t, Stores["sqlite"], test) }

// Main is the TestMain of a package with stores and goroutines: none of them is left behind.
func Main(m *testing.M) {
	code := pgtest.Main(m)
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// Log is silent, or standard error under WAYBILL_TEST_LOG=1.
func Log() *slog.Logger {
	if os.Getenv("WAYBILL_TEST_LOG") == "1" {
		return slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	return slog.New(slog.DiscardHandler)
}
