package store_test

import (
	"flag"
	"os"
	"testing"

	"github.com/waybill-hub/waybill/internal/store"
	"github.com/waybill-hub/waybill/internal/store/pgtest"
	"github.com/waybill-hub/waybill/internal/store/storetest"
)

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		childMain()
		return
	}
	// Every step of the model is a durable transaction; -rapid.checks asks for more.
	if err := flag.Set("rapid.checks", "25"); err != nil {
		panic(err)
	}
	os.Exit(pgtest.MainWithoutLeaks(m))
}

func TestSQLite(t *testing.T) { storetest.Run(t, storetest.SQLite) }

func postgresConfig(t testing.TB) (store.Config, bool) {
	return store.Config{Postgres: pgtest.URL(t)}, true
}

func TestPostgres(t *testing.T) { storetest.Run(t, postgresConfig) }
