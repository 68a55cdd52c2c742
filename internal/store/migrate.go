package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/failpoint"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrationLock is the advisory lock under which PostgreSQL is migrated by one hub at a time.
const migrationLock = 0x57617962696c6c01

// migration is one numbered step of the schema. A released step is never edited: the next one is added.
type migration struct {
	version int
	name    string
	text    string
}

func allMigrations() ([]migration, error) {
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	out := make([]migration, 0, len(names))
	for i, n := range names {
		text, err := migrations.ReadFile(n)
		if err != nil {
			return nil, err
		}
		base := strings.TrimSuffix(strings.TrimPrefix(n, "migrations/"), ".sql")
		number, name, _ := strings.Cut(base, "_")
		v, err := strconv.Atoi(number)
		if err != nil || v != i+1 {
			return nil, fmt.Errorf("migration %s: its number must be %d", n, i+1)
		}
		out = append(out, migration{v, name, string(text)})
	}
	return out, nil
}

// migrate brings the schema up to what this program knows, with at most one hub at it: each step of an upgrade in a transaction of its own.
func migrate(ctx context.Context, c *sql.Conn, d dialect, begin string, now time.Time) error {
	steps, err := allMigrations()
	if err != nil {
		return err
	}
	for {
		done, err := migrateOne(ctx, c, d, begin, steps, now)
		if err != nil || done {
			return err
		}
	}
}

// migrateOne does the next step. A database that has none yet gets all of them in one transaction, which takes a third of the time.
func migrateOne(ctx context.Context, c *sql.Conn, d dialect, begin string, steps []migration, now time.Time) (done bool, err error) {
	if _, err := c.ExecContext(ctx, begin); err != nil {
		return false, err
	}
	defer func() {
		if err != nil {
			// The step's own failure is what counts; the database has often rolled back by itself.
			_, _ = c.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
		}
	}()
	if d == postgres {
		if _, err := c.ExecContext(ctx, "SELECT pg_advisory_xact_lock("+strconv.FormatInt(migrationLock, 10)+")"); err != nil {
			return false, fmt.Errorf("wait for another hub's migration: %w", err)
		}
	}
	if _, err := c.ExecContext(ctx, "CREATE TABLE IF NOT EXISTS schema_version (version BIGINT PRIMARY KEY, name TEXT NOT NULL, applied BIGINT NOT NULL)"); err != nil {
		return false, err
	}
	var at sql.NullInt64
	if err := c.QueryRowContext(ctx, "SELECT MAX(version) FROM schema_version").Scan(&at); err != nil {
		return false, err
	}
	switch have := int(at.Int64); {
	case have > len(steps):
		return false, fmt.Errorf("the store was written by a newer waybill (schema %d, this program knows %d): start that version, or restore a backup from before the upgrade", have, len(steps))
	case have == len(steps):
		_, err := c.ExecContext(ctx, "COMMIT")
		return true, err
	default:
		next := steps[have : have+1]
		if have == 0 {
			next = steps
		}
		for _, m := range next {
			if err := execScript(ctx, c, d.ddl(m.text)); err != nil {
				return false, fmt.Errorf("migration %04d_%s: %w", m.version, m.name, err)
			}
			if _, err := c.ExecContext(ctx, d.bind("INSERT INTO schema_version (version, name, applied) VALUES (?, ?, ?)"), m.version, m.name, now.UnixNano()); err != nil {
				return false, err
			}
		}
		if _, err := c.ExecContext(ctx, "COMMIT"); err != nil {
			return false, err
		}
		failpoint.Hit(failpoint.MigrationDone)
		return false, nil
	}
}

// execScript runs statements that end with a semicolon at the end of a line.
func execScript(ctx context.Context, c *sql.Conn, text string) error {
	for _, s := range strings.Split(text, ";\n") {
		if s = strings.TrimSpace(s); s == "" {
			continue
		}
		if _, err := c.ExecContext(ctx, s); err != nil {
			return fmt.Errorf("%s…: %w", s[:min(len(s), 60)], err)
		}
		if err := failpoint.Fail(failpoint.MigrationStatement); err != nil {
			return err
		}
	}
	return nil
}

var errEmptyPath = errors.New("store: neither a SQLite path nor a PostgreSQL URL is given")
