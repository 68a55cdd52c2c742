package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

// postgresTimeout bounds one transaction of the writer: behind it the server is taken to be gone.
const postgresTimeout = 30 * time.Second

func (s *Store) openPostgres(ctx context.Context) error {
	s.d = postgres
	cfg, err := pgx.ParseConfig(s.cfg.Postgres)
	if err != nil {
		return fmt.Errorf("store: read the PostgreSQL URL: %w", err)
	}
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = 10 * time.Second
	}
	for name, value := range map[string]string{
		"application_name": "waybill", "lock_timeout": "15s", "idle_in_transaction_session_timeout": "60s",
		// A server may have been set otherwise; a promise needs the disk, and the statements count on this isolation.
		"synchronous_commit": "on", "default_transaction_isolation": "read committed",
	} {
		if _, set := cfg.RuntimeParams[name]; !set || name == "synchronous_commit" || name == "default_transaction_isolation" {
			cfg.RuntimeParams[name] = value
		}
	}
	s.write, s.read = stdlib.OpenDB(*cfg), stdlib.OpenDB(*cfg)
	s.write.SetMaxOpenConns(1)
	s.read.SetMaxOpenConns(8)
	s.read.SetMaxIdleConns(4)
	s.read.SetConnMaxIdleTime(5 * time.Minute)
	if err := s.write.PingContext(ctx); err != nil {
		return fmt.Errorf("store: connect to PostgreSQL: %w", err)
	}
	return nil
}

// postgresCode is the SQLSTATE of a PostgreSQL failure.
func postgresCode(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}
