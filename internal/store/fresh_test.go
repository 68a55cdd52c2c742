package store

import (
	"context"
	"database/sql"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write fresh_sqlite.sql anew")

// A new store, made in one piece, is what all migrations make of an empty database: tables, indexes and triggers to the letter, and the rows in them.
func TestFreshIsWhatMigrationsMake(t *testing.T) {
	steps, err := allMigrations()
	if err != nil {
		t.Fatal(err)
	}
	made := func(name string, whole bool) (schema, rows []string) {
		db, err := sql.Open("sqlite", sqliteDSN(filepath.Join(t.TempDir(), name), ""))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = db.Close() }()
		c, err := db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		for done := false; !done; {
			if done, err = migrateOne(t.Context(), c, sqlite, "BEGIN", steps, whole, time.Unix(1, 0)); err != nil {
				t.Fatal(err)
			}
		}
		return dump(t, c)
	}
	schema, rows := made("steps.db", false)
	text := "-- Made by `go test ./internal/store -run TestFreshIsWhatMigrationsMake -update` of the migrations.\n" +
		strings.Join(schema, "") + strings.Join(slices.DeleteFunc(slices.Clone(rows), ofVersions), "")
	if *update {
		if err := os.WriteFile("fresh_sqlite.sql", []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		fresh = text
	}
	if text != fresh {
		t.Error("fresh_sqlite.sql is not what the migrations make: -update writes it")
	}
	oneSchema, oneRows := made("fresh.db", true)
	for _, of := range []struct {
		what        string
		steps, once []string
	}{{"schema", schema, oneSchema}, {"rows", rows, oneRows}} {
		for i := range max(len(of.steps), len(of.once)) {
			if a, b := at(of.steps, i), at(of.once, i); a != b {
				t.Errorf("%s: migrations make\n%s\nand in one piece it is\n%s", of.what, a, b)
				break
			}
		}
	}
}

func at(list []string, i int) string {
	if i < len(list) {
		return list[i]
	}
	return "(nothing)"
}

func ofVersions(row string) bool { return strings.HasPrefix(row, "INSERT INTO schema_version ") }

// dump is what makes the schema again, in the order in which it came, and the rows: statements that end with a semicolon and a line's end.
func dump(t *testing.T, c *sql.Conn) (schema, rows []string) {
	t.Helper()
	all := func(q string, width int) (out [][]string) {
		r, err := c.QueryContext(context.Background(), q)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = r.Close() }()
		for r.Next() {
			row, into := make([]string, width), make([]any, width)
			for i := range row {
				into[i] = &row[i]
			}
			if err := r.Scan(into...); err != nil {
				t.Fatal(err)
			}
			out = append(out, row)
		}
		if err := r.Err(); err != nil {
			t.Fatal(err)
		}
		return out
	}
	for _, o := range all("SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid", 3) {
		if o[1] != "schema_version" {
			schema = append(schema, o[2]+";\n")
		}
		if o[0] != "table" {
			continue
		}
		var columns, quoted []string
		for _, f := range all(fmt.Sprintf("SELECT name FROM pragma_table_info('%s')", o[1]), 1) {
			columns, quoted = append(columns, f[0]), append(quoted, "QUOTE("+f[0]+")")
		}
		for _, v := range all("SELECT "+strings.Join(quoted, " || ', ' || ")+" FROM "+o[1]+" ORDER BY 1", 1) {
			rows = append(rows, "INSERT INTO "+o[1]+" ("+strings.Join(columns, ", ")+") VALUES ("+v[0]+");\n")
		}
	}
	return schema, rows
}
