package sql

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/connector/connectortest"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// faults are failures that the databases themselves report.
func faults(p *place) []connectortest.Fault {
	write := func(action connector.Action, local, doc string) func(context.Context, connector.System, *connectortest.Subject) error {
		return func(ctx context.Context, sys connector.System, _ *connectortest.Subject) error {
			_, err := sys.(connector.Sink).Write(ctx, connector.Write{Object: "order", Action: action, Local: local, External: "e-1", Doc: []byte(doc)})
			return err
		}
	}
	create := func(doc string) func(context.Context, connector.System, *connectortest.Subject) error {
		return write(connector.Create, "", doc)
	}
	exec := func(query string) func(testing.TB, *connector.Settings) {
		return func(t testing.TB, _ *connector.Settings) { p.exec(t, query) }
	}
	out := []connectortest.Fault{
		{Name: "code taken", Want: fault.Conflict, Duplicate: true, Call: create(`{"code":"A"}`), Arrange: exec("INSERT INTO orders (code) VALUES ('A')")},
		{Name: "two lines with one number", Want: fault.Invalid, Call: create(`{"code":"A","lines":[{"line_no":1,"sku":"x"},{"line_no":1,"sku":"y"}]}`)},
		{Name: "update takes another's code", Want: fault.Invalid, Call: write(connector.Update, "1", `{"code":"B"}`),
			Arrange: exec("INSERT INTO orders (code) VALUES ('A'), ('B')")},
		{Name: "not null", Want: fault.Invalid, Call: create(`{"name":"x"}`)},
		{Name: "check", Want: fault.Invalid, Call: create(`{"code":"A","name":"forbidden"}`)},
		{Name: "unknown column", Want: fault.Invalid, Call: create(`{"code":"A","nmae":"x"}`)},
		{Name: "number for a text", Want: fault.Invalid, Call: create(`{"code":7}`)},
		{Name: "text for a number", Want: fault.Invalid, Call: create(`{"code":"A","price":"cheap"}`)},
		{Name: "fraction for a whole number", Want: fault.Invalid, Call: create(`{"code":"A","rev":1.5}`)},
		{Name: "time without a zone", Want: fault.Invalid, Call: create(`{"code":"A","placed_at":"2026-03-01T12:00:00"}`)},
		{Name: "no date", Want: fault.Invalid, Call: create(`{"code":"A","day":"2026-02-30"}`)},
		{Name: "no list", Want: fault.Invalid, Call: create(`{"code":"A","lines":{}}`)},
		{Name: "no JSON", Want: fault.Invalid, Call: create(`{"code":`)},
		{Name: "no table", Want: fault.Invalid, Arrange: exec("DROP TABLE notes")},
		{Name: "id of another type", Want: fault.NotFound, Call: write(connector.Update, "abc", `{"name":"x"}`)},
	}
	switch p.kind {
	case "postgres":
		return append(out, postgresFaults(p)...)
	case "mysql":
		return append(out, mysqlFaults(p)...)
	}
	return append(out, connectortest.Fault{Name: "no file", Want: fault.Unavailable, Arrange: func(t testing.TB, s *connector.Settings) {
		*s = settingsOf(t, "connector: sql\ndriver: sqlite\npath: "+t.TempDir()+"/none.db\n"+p.shop())
	}}, connectortest.Fault{Name: "no database", Want: fault.Unavailable, Arrange: func(t testing.TB, s *connector.Settings) {
		*s = settingsOf(t, "connector: sql\ndriver: sqlite\npath: sql_test.go\n"+p.shop())
	}})
}

// elsewhere changes the URL of a place.
func (p *place) elsewhere(change func(url string) string) func(testing.TB, *connector.Settings) {
	return func(t testing.TB, s *connector.Settings) {
		env := strings.TrimSuffix(strings.TrimPrefix(strings.Split(p.head, "url: ")[1], "${env:"), "}\n")
		t.(*testing.T).Setenv(env, change(os.Getenv(env)))
		*s = settingsOf(t, p.head+p.shop())
	}
}

func postgresFaults(p *place) []connectortest.Fault {
	elsewhere := p.elsewhere
	return []connectortest.Fault{
		{Name: "refused", Want: fault.Unavailable, Arrange: elsewhere(func(string) string { return "postgres://u:unused-pa55word@127.0.0.1:1/x" })},
		{Name: "link-local", Want: fault.Invalid, Arrange: elsewhere(func(string) string { return "postgres://u:unused-pa55word@169.254.169.254/x?connect_timeout=2" })},
		{Name: "no such database", Want: fault.Unavailable, Arrange: elsewhere(func(url string) string { return strings.Replace(url, "/postgres?", "/nowhere?", 1) })},
		{Name: "no such role", Want: fault.Auth, Arrange: elsewhere(func(url string) string { return strings.Replace(url, "postgres:unused", "stranger:unused", 1) })},
		{Name: "lost before the commit", Want: fault.Unavailable, Arrange: func(t testing.TB, _ *connector.Settings) {
			p.exec(t, `CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END $$`)
			p.exec(t, `CREATE TRIGGER die BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION die()`)
		}},
		{Name: "lost during the commit", Want: fault.UnknownOutcome, Arrange: func(t testing.TB, _ *connector.Settings) {
			p.exec(t, `CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END $$`)
			p.exec(t, `CREATE CONSTRAINT TRIGGER die AFTER INSERT ON orders DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION die()`)
		}},
		{Name: "refused by the commit", Want: fault.Invalid, Arrange: func(t testing.TB, _ *connector.Settings) {
			p.exec(t, `CREATE FUNCTION nay() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'nay' USING ERRCODE = '23514'; END $$`)
			p.exec(t, `CREATE CONSTRAINT TRIGGER nay AFTER INSERT ON orders DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION nay()`)
		}},
		raised("40001", fault.Unavailable, p), raised("40P01", fault.Unavailable, p), raised("55P03", fault.Unavailable, p), raised("53100", fault.Unavailable, p),
		raised("22001", fault.Invalid, p), raised("23503", fault.Invalid, p), raised("42501", fault.Invalid, p), raised("25006", fault.Unavailable, p),
		raised("P0001", fault.Invalid, p),
	}
}

func raised(code string, want fault.Kind, p *place) connectortest.Fault {
	return connectortest.Fault{Name: "SQLSTATE " + code, Want: want, Arrange: func(t testing.TB, _ *connector.Settings) {
		p.exec(t, fmt.Sprintf(`CREATE FUNCTION boom() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'boom' USING ERRCODE = '%s'; END $$`, code))
		p.exec(t, `CREATE TRIGGER boom BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION boom()`)
	}}
}

// TestMissingFileIsNamed: who looks for a database that is not there is told where it was looked for.
func TestMissingFileIsNamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none.db")
	sys, err := Kind{}.Open(t.Context(), settingsOf(t, "connector: sql\ndriver: sqlite\npath: "+path+"\n"+orders))
	if err != nil {
		t.Fatal(err)
	}
	defer sys.Close()
	if err := sys.Probe(t.Context()); err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "is it there") {
		t.Errorf("probe: %v", err)
	}
}

// TestUnsetReferenceIsOneProblem: a key whose variable is not set is there.
func TestUnsetReferenceIsOneProblem(t *testing.T) {
	for path, want := range map[string]string{"${env:WAYBILL_TEST_NOT_SET}": "WAYBILL_TEST_NOT_SET is not set", `""`: `"path" is missing`} {
		var p strictyaml.Problems
		nodes := strictyaml.Parse("systems.yaml", []byte("connector: sql\ndriver: sqlite\npath: "+path+"\n"+orders), &p)
		Kind{}.Check(connector.Settings{Name: "erp", Node: nodes[0]}, &p)
		if p.Len() != 1 || !strings.Contains(p.Err().Error(), want) {
			t.Errorf("path: %s: %v, want %q alone", path, p.Err(), want)
		}
	}
}

// probes are states of a database.
func probes(p *place) []connectortest.Probe {
	exec := func(query string) func(testing.TB, *connector.Settings) {
		return func(t testing.TB, _ *connector.Settings) { p.exec(t, query) }
	}
	out := []connectortest.Probe{
		{Name: "well"},
		{Name: "an object's table is gone", Arrange: exec("DROP TABLE notes")},
		{Name: "every connection at work", Busy: func(t testing.TB, sys connector.System) {
			db := sys.(*database).sql
			for range db.Stats().MaxOpenConnections {
				c, err := db.Conn(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = c.Close() })
			}
		}},
	}
	elsewhere := p.elsewhere
	switch p.kind {
	case "mysql":
		return append(out, mysqlProbes(p)...)
	case "postgres":
		return append(out,
			connectortest.Probe{Name: "connection refused", Want: fault.Unavailable, Create: fault.Unavailable, Text: "refused", Arrange: elsewhere(func(string) string { return "postgres://u:unused-pa55word@127.0.0.1:1/x" })},
			connectortest.Probe{Name: "a name that nobody knows", Want: fault.Unavailable, Create: fault.Unavailable, Text: "db.invalid", Arrange: elsewhere(func(string) string { return "postgres://u:unused-pa55word@db.invalid/x" })},
			connectortest.Probe{Name: "no such database", Want: fault.Unavailable, Create: fault.Unavailable, Text: "nowhere", Arrange: elsewhere(func(url string) string { return strings.Replace(url, "/postgres?", "/nowhere?", 1) })},
			connectortest.Probe{Name: "no such role", Want: fault.Auth, Create: fault.Auth, Text: "stranger", Arrange: elsewhere(func(url string) string { return strings.Replace(url, "postgres:unused", "stranger:unused", 1) })},
		)
	}
	return append(out, connectortest.Probe{Name: "the file is gone", Want: fault.Unavailable, Create: fault.Unavailable, Text: "none.db", Arrange: func(t testing.TB, s *connector.Settings) {
		*s = settingsOf(t, "connector: sql\ndriver: sqlite\npath: "+t.TempDir()+"/none.db\n"+p.shop())
	}}, connectortest.Probe{Name: "no database in the file", Want: fault.Unavailable, Create: fault.Unavailable, Text: "not a database", Arrange: func(t testing.TB, s *connector.Settings) {
		*s = settingsOf(t, "connector: sql\ndriver: sqlite\npath: sql_test.go\n"+p.shop())
	}})
}
