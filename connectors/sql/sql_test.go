package sql

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/connector/connectortest"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/mariatest"
	"github.com/waybill-hub/waybill/internal/store/pgtest"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

func TestMain(m *testing.M) {
	code := mariatest.Main(func() int { return pgtest.Main(m) })
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// place is an empty database of a test, seen without the hub.
type place struct {
	db      *sql.DB
	kind    string
	head    string // the first lines of the settings
	objects string // the shop's, where they are others than orders
}

// shop are the shop's objects.
func (p *place) shop() string { return cmp.Or(p.objects, orders) }

func (p *place) exec(t testing.TB, query string, args ...any) {
	t.Helper()
	if _, err := p.db.Exec(query, args...); err != nil {
		t.Fatalf("%v: %s", err, query)
	}
}

func (p *place) text(t testing.TB, query string, args ...any) string {
	t.Helper()
	var out sql.NullString
	if err := p.db.QueryRow(query, args...).Scan(&out); err != nil {
		t.Fatalf("%v: %s", err, query)
	}
	return out.String
}

// asText shows a column as a text.
func (p *place) asText(column string) string {
	if p.kind == "mysql" {
		return "CAST(" + column + " AS char)"
	}
	return "CAST(" + column + " AS text)"
}

func newSQLite(t testing.TB) *place {
	t.Helper()
	path := filepath.Join(t.TempDir(), "shop & co.db")
	db, err := sql.Open("sqlite", "file:"+strings.ReplaceAll(path, " ", "%20")+"?_pragma=busy_timeout(5000)&_txlock=immediate")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	p := &place{db: db, kind: "sqlite", head: "connector: sql\ndriver: sqlite\npath: " + path + "\n"}
	p.exec(t, "PRAGMA journal_mode=WAL")
	return p
}

var urls atomic.Int64

func newPostgres(t testing.TB) *place {
	t.Helper()
	url := pgtest.URL(t)
	db, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	name := fmt.Sprintf("SQL_TEST_URL_%d", urls.Add(1))
	os.Setenv(name, strings.Replace(url, "postgres@", "postgres:unused-pa55word@", 1))
	t.Cleanup(func() { os.Unsetenv(name) })
	return &place{db: db, kind: "postgres", head: "connector: sql\ndriver: postgres\nurl: ${env:" + name + "}\n"}
}

func newMySQL(t testing.TB) *place {
	t.Helper()
	url := mariatest.URL(t)
	name := fmt.Sprintf("SQL_TEST_URL_%d", urls.Add(1))
	os.Setenv(name, url)
	t.Cleanup(func() { os.Unsetenv(name) })
	return &place{db: mariatest.Open(t, url), kind: "mysql", head: "connector: sql\ndriver: mysql\nurl: ${env:" + name + "}\n"}
}

var places = map[string]func(testing.TB) *place{"sqlite": newSQLite, "postgres": newPostgres, "mysql": newMySQL}

// both runs a test on every kind of database.
func both(t *testing.T, test func(t *testing.T, p *place)) {
	for name, make := range places {
		t.Run(name, func(t *testing.T) { test(t, make(t)) })
	}
}

// but is both without the one kind that has no such thing: a test of it there would show nothing.
func but(t *testing.T, kind string, test func(t *testing.T, p *place)) {
	for name, make := range places {
		if name != kind {
			t.Run(name, func(t *testing.T) { test(t, make(t)) })
		}
	}
}

func settingsOf(t testing.TB, yaml string) connector.Settings {
	t.Helper()
	var p strictyaml.Problems
	docs := strictyaml.Parse("waybill.yaml", []byte(yaml), &p)
	if err := p.Err(); err != nil {
		t.Fatal(err)
	}
	return connector.Settings{Name: "erp", Node: docs[0]}
}

func open(t testing.TB, p *place, objects string) *database {
	t.Helper()
	sys, err := Kind{}.Open(t.Context(), settingsOf(t, p.head+objects))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sys.Close() })
	return sys.(*database)
}

// tables makes the shop's tables. Types are each database's own.
func (p *place) tables(t testing.TB) {
	t.Helper()
	types := map[string]string{"%ID": "INTEGER PRIMARY KEY AUTOINCREMENT", "%DEC": "TEXT", "%BOOL": "INTEGER", "%TIME": "TEXT",
		"%NOW": "(strftime('%Y-%m-%dT%H:%M:%fZ','now'))", "%INT": "INTEGER"}
	if p.kind == "postgres" {
		types = map[string]string{"%ID": "bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY", "%DEC": "numeric(24,4)", "%BOOL": "boolean", "%TIME": "timestamptz",
			"%NOW": "clock_timestamp()", "%INT": "integer"}
	}
	if p.kind == "mysql" {
		types = map[string]string{"%ID": "bigint AUTO_INCREMENT PRIMARY KEY", "%DEC": "decimal(24,4)", "%BOOL": "boolean", "%TIME": "datetime(6)",
			"%NOW": "CURRENT_TIMESTAMP(6)", "%INT": "bigint", "%KEY": "varchar(200)"}
	}
	if types["%KEY"] == "" {
		types["%KEY"] = "text"
	}
	text := `
CREATE TABLE orders (id %ID, external_id %KEY UNIQUE, code %KEY UNIQUE NOT NULL, name text, price %DEC, express %BOOL, day date, placed_at %TIME, rev %INT,
  payload text, deleted_at %TIME, updated_at %TIME DEFAULT %NOW, CHECK (name <> 'forbidden'));
CREATE INDEX orders_poll ON orders (updated_at, id);
CREATE TABLE order_lines (order_id %INT NOT NULL REFERENCES orders (id), line_no %INT NOT NULL, sku text NOT NULL, quantity %DEC, picked %INT DEFAULT 0,
  PRIMARY KEY (order_id, line_no));
CREATE TABLE notes (order_id %INT NOT NULL REFERENCES orders (id), seq %INT, body text)`
	for from, to := range types {
		text = strings.ReplaceAll(text, from, to)
	}
	for _, stmt := range strings.Split(text, ";") {
		p.exec(t, stmt)
	}
}

const orders = `
objects:
  order:
    table: orders
    generated: true
    external-id: external_id
    version: updated_at
    touch: true
    columns: {id: integer, external_id: text, code: text, name: text, price: decimal, express: boolean, day: date, placed_at: timestamp, rev: integer, updated_at: timestamp, deleted_at: timestamp, payload: json}
    children:
      lines: {table: order_lines, parent: order_id, key: line_no, on-update: merge, columns: {line_no: integer, sku: text, quantity: decimal}}
      notes: {table: notes, parent: order_id, order: seq, columns: {seq: integer, body: text}}
`

func newDoc(n int) string {
	return fmt.Sprintf(`{"code":"C-%d","name":"O'Brien \"%d\" Größe; --","price":1234567890123456.7800,"express":true,"day":"2026-02-28",
	"placed_at":"2026-03-01T12:00:00.123+08:00","rev":1,"payload":{"a":[1,2.50,null]},
	"lines":[{"line_no":2,"sku":"00123","quantity":1.5},{"line_no":1,"sku":"1E5","quantity":10}],"notes":[{"seq":1,"body":"first"}]}`, n, n)
}

// wantDoc is what newDoc looks like when it is read: times in UTC, lists in their order.
func wantDoc(n int) string {
	return strings.NewReplacer("2026-03-01T12:00:00.123+08:00", "2026-03-01T04:00:00.123Z",
		`[{"line_no":2,"sku":"00123","quantity":1.5},{"line_no":1,"sku":"1E5","quantity":10}]`, `[{"line_no":1,"sku":"1E5","quantity":10},{"line_no":2,"sku":"00123","quantity":1.5}]`).
		Replace(newDoc(n))
}

func TestConformance(t *testing.T) {
	variants := map[string]string{
		"plain":                  orders,
		"soft delete and upsert": strings.Replace(orders, "    touch: true\n", "    touch: true\n    deleted: deleted_at\n    upsert: true\n", 1),
	}
	for kind, make := range places {
		for name, objects := range variants {
			t.Run(kind+" "+name, func(t *testing.T) {
				connectortest.Run(t, func(t *testing.T) *connectortest.Subject {
					p := make(t)
					p.tables(t)
					return subject(t, p, objects)
				})
			})
		}
	}
	t.Run("mysql without RETURNING", func(t *testing.T) {
		connectortest.Run(t, func(t *testing.T) *connectortest.Subject {
			p := newMySQL(t)
			p.tables(t)
			s := subject(t, p, variants["soft delete and upsert"])
			s.Kind = withoutReturning{}
			return s
		})
	})
}

// withoutReturning does on MariaDB what is done on MySQL, which gives back no more of a new row than its AUTO_INCREMENT.
type withoutReturning struct{ Kind }

func (k withoutReturning) Open(ctx context.Context, s connector.Settings) (connector.System, error) {
	sys, err := k.Kind.Open(ctx, s)
	if err == nil {
		sys.(*database).dialect.(*mysql).noReturning = true
	}
	return sys, err
}

func subject(t testing.TB, p *place, objects string) *connectortest.Subject {
	return &connectortest.Subject{
		Kind: Kind{}, Settings: settingsOf(t, p.head+objects), Object: "order", External: true, ETags: true, Folds: true,
		Secrets: []string{"unused-pa55word"},
		Clock: func(sys connector.System, now func() time.Time) {
			sys.(*database).clock = testClock{lifecycle.Real(), now}
		},
		Still: func(sys connector.System, at time.Time) { stop(sys.(*database), at) }, Rising: true,
		Refusals: p.refusals(),
		New:      wantDoc,
		Change: func(n int) string {
			return fmt.Sprintf(`{"name":"changed %d","price":%d.10,"lines":[{"line_no":1,"sku":"X","quantity":%d}]}`, n, n, n)
		},
		Natural: func(n int) map[string]string { return map[string]string{"code": fmt.Sprintf("C-%d", n)} },
		Put: func(t testing.TB, n, revision int, stamp time.Time) string {
			t.Helper()
			at := any(stamp)
			if p.kind == "sqlite" {
				at = stamp.UTC().Format("2006-01-02T15:04:05.000Z")
			}
			conflict := "ON CONFLICT (code) DO UPDATE SET rev = excluded.rev, updated_at = excluded.updated_at, payload = NULL"
			if p.kind == "mysql" {
				conflict = "ON DUPLICATE KEY UPDATE rev = VALUES(rev), updated_at = VALUES(updated_at), payload = NULL"
			}
			return p.text(t, p.numbered("INSERT INTO orders (code, rev, updated_at) VALUES (?, ?, ?) "+conflict+" RETURNING id"), fmt.Sprintf("C-%d", n), revision, at)
		},
		Bare: func(t testing.TB, n, revision int) string {
			t.Helper()
			return p.text(t, p.numbered(`INSERT INTO orders (code, rev, updated_at) VALUES (?, ?, NULL) RETURNING id`), fmt.Sprintf("C-%d", n), revision)
		},
		Spoil: func(t testing.TB, n int, stamp time.Time) string {
			t.Helper()
			at := any(stamp)
			if p.kind == "sqlite" {
				at = stamp.UTC().Format("2006-01-02T15:04:05.000Z")
			}
			return p.text(t, p.numbered(`INSERT INTO orders (code, rev, updated_at, payload) VALUES (?, 1, ?, '{"cut":') RETURNING id`), fmt.Sprintf("C-%d", n), at)
		},
		Revision: func(doc jsondoc.Value) int {
			d, _ := doc.Get("rev").Decimal()
			i, _ := d.Int64()
			return int(i)
		},
		Faults: faults(p), Probes: probes(p),
	}
}

// numbered writes ? as the database wants it.
func (p *place) numbered(query string) string {
	if p.kind == "postgres" {
		for n := 1; strings.Contains(query, "?"); n++ {
			query = strings.Replace(query, "?", fmt.Sprintf("$%d", n), 1)
		}
	}
	return query
}

// testClock tells a test's time.
type testClock struct {
	lifecycle.Clock
	now func() time.Time
}

func (c testClock) Now() time.Time { return c.now() }

// stopped is a database whose clock stands still.
type stopped struct {
	dialect
	at   time.Time
	kind string
}

func stop(db *database, at time.Time) { db.dialect = stopped{db.dialect, at, db.set.Driver} }

func (s stopped) now(typ string, zone *time.Location, _ time.Time) string {
	text, as := s.at.Format("2006-01-02T15:04:05.000Z"), "timestamptz"
	switch typ {
	case "unix":
		text, as = fmt.Sprint(s.at.Unix()), "bigint"
	case "unix-ms":
		text, as = fmt.Sprint(s.at.UnixMilli()), "bigint"
	case "local-timestamp":
		text, as = s.at.In(zone).Format("2006-01-02 15:04:05.000"), "timestamp"
	}
	switch {
	case s.kind == "postgres":
		return "'" + text + "'::" + as
	case as != "bigint" && s.kind == "mysql":
		return "CAST('" + s.era(s.at, text) + "' AS DATETIME(6))"
	case as == "bigint":
		return text
	}
	return "'" + text + "'"
}

// refusals: of the triggers of MariaDB none keeps a row as it is.
func (p *place) refusals() []connectortest.Refusal {
	if p.kind == "mysql" {
		return nil
	}
	return []connectortest.Refusal{{Name: "a trigger that keeps every row as it is", Arrange: p.swallow, Text: "0 rows"}}
}

// swallow makes a trigger that takes every change and keeps none, without an error.
func (p *place) swallow(t testing.TB) {
	for _, what := range []string{"INSERT", "UPDATE", "DELETE"} {
		if p.kind == "sqlite" {
			p.exec(t, "CREATE TRIGGER keep_"+what+" BEFORE "+what+" ON orders BEGIN SELECT RAISE(IGNORE); END")
		}
	}
	if p.kind == "postgres" {
		p.exec(t, "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'")
		p.exec(t, "CREATE TRIGGER keep BEFORE INSERT OR UPDATE OR DELETE ON orders FOR EACH ROW EXECUTE FUNCTION keep()")
	}
}
