package cli

import (
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
)

// readOnly answers GET and the login; anything else is a write, and fails the test.
func readOnly(t *testing.T, answers map[string]string) (url string, calls *atomic.Int64) {
	t.Helper()
	calls = new(atomic.Int64)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		switch {
		case r.Method == http.MethodPost && r.URL.Path == "/token":
			_, _ = w.Write([]byte(`{"access_token":"tok-hunter2","expires_in":3600}`)) // a test's answer
			return
		case r.Method != http.MethodGet:
			t.Errorf("%s %s: check --connect wrote", r.Method, r.URL)
		case r.Header.Get("Authorization") != "Bearer tok-hunter2":
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		body, ok := answers[r.URL.Path]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
		}
		_, _ = w.Write([]byte(body)) // a test's answer
	}))
	t.Cleanup(srv.Close)
	return srv.URL, calls
}

const connectConf = listens + `systems:
  crm:
    connector: rest
    url: "${env:CRM_URL}"
    timeout: 2s
    auth: {client-credentials: {token-url: "${env:CRM_URL}/token", id: me, secret: "${env:CRM_SECRET}"}}
    objects: {order: {list: {items: records}}, customer: {list: {items: records}}}
  erp:
    connector: sql
    driver: sqlite
    path: ../erp.db
    objects: {order: {table: orders, external-id: ref, columns: {id: integer, ref: text, no: text, name: text}}}
  drop:
    connector: file
    path: ../drop
    objects: {order: {}}
  shop: {connector: webhook}
`

const connectFlows = `flow: in
entity: order
from: {system: crm, poll: {every: 1m, overlap: 1m}}
accept: crm
key: source.no
map: m
to: {topic: orders}
---
flow: out
entity: order
from: {topic: orders}
map: n
to: {system: erp}
---
flow: back
entity: customer
from: {topic: orders}
map: n
to: {system: crm}
`

func connectProject(t *testing.T, crm string) {
	t.Chdir(t.TempDir())
	t.Setenv("CRM_URL", crm)
	t.Setenv("CRM_SECRET", "hunter2hunter2")
	write(t, "configs/waybill.yaml", connectConf)
	write(t, "flows/f.yaml", connectFlows)
	write(t, "schemas/crm.json", `{"type":"object","required":["id","no"],"properties":{"id":{"type":"string"},"no":{"type":"string"},"name":{"type":"string"}}}`)
	write(t, "schemas/hub.json", `{"type":"object","properties":{"no":{"type":"string","maxLength":40},"name":{"type":"string"}}}`)
	write(t, "mappings/m.yaml", "mapping: m\nfrom: crm\nto: hub\nset:\n  no: source.no\n  name?: source.name\n---\nmapping: n\nfrom: hub\nto: hub\nset:\n  no: source.no\n  name?: source.name\n")
	write(t, "drop/a.csv", "no,name\n1,x\n")
	database(t, "CREATE TABLE orders (id INTEGER PRIMARY KEY, ref TEXT, no VARCHAR(20), name TEXT); INSERT INTO orders (no) VALUES ('1')")
}

func database(t *testing.T, text string) {
	t.Helper()
	db, err := sql.Open("sqlite", "erp.db")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), text); err != nil {
		t.Fatal(err)
	}
}

func sum(t *testing.T, name string) [32]byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return sha256.Sum256(data)
}

// TestConnect opens the systems, compares what they show, and writes nothing.
func TestConnect(t *testing.T) {
	const fine = `{"records":[{"id":"1","no":"A","name":"x"}]}`
	for _, c := range []struct {
		name, order, customer, sql string
		code                       int
		says                       []string
	}{
		{name: "fits", order: fine, customer: fine, says: []string{
			"crm (rest): ok; objects: 2, records read: 2, in ", "drop (file): ok; objects: 1, records read: 1", "erp (sql): ok; objects: 1, records read: 1", "shop (webhook): not asked: it only pushes",
			"flow out: no may have 40 characters by hub, and order of erp takes 20 (varchar(20))"}},
		{name: "no record", order: `{"records":[]}`, customer: fine, says: []string{"configs/waybill.yaml:9:22: note: object order of crm: there is no record to compare"}},
		{name: "another type", order: `{"records":[{"id":"1","no":7}]}`, customer: fine, code: 1, says: []string{"flows/f.yaml:1:1: flow in: the record that was read from order of crm is not what it accepts:", "no", "crm (rest): problems: 1"}},
		{name: "another name", order: `{"records":[{"id":"1","no":"A","nane":"x"}]}`, customer: fine, says: []string{`note: flow in: the mapping m reads "name", and the record that was read from order of crm has no such field (did you mean nane?)`}},
		{name: "a target's other type", order: fine, customer: `{"records":[{"id":"1","no":7,"name":"x"}]}`, says: []string{"note: flow back: no is written as string, and customer of crm shows number"}},
		{name: "a column that is not there", order: fine, customer: fine, sql: "ALTER TABLE orders RENAME COLUMN name TO title", code: 1, says: []string{`configs/waybill.yaml:14:22: object order of erp: the settings name "name", and the system has no such field (known: `}},
		{name: "a column of another type", order: fine, customer: fine, sql: "DROP TABLE orders; CREATE TABLE orders (id TEXT, ref TEXT, no TEXT, name TEXT)", says: []string{"note: object order of erp: id: the database says text, and the settings say integer"}},
		{name: "a table that is not there", order: fine, customer: fine, sql: "DROP TABLE orders", code: 1, says: []string{"configs/waybill.yaml:14:22: object order of system erp: ", "no such table"}},
		{name: "a path that is not there", customer: fine, code: 1, says: []string{"configs/waybill.yaml:9:22: object order of system crm: ", "(look at the paths in the settings)"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			answers := map[string]string{"/": "{}", "/order": c.order, "/customer": c.customer}
			if c.order == "" {
				delete(answers, "/order")
			}
			url, calls := readOnly(t, answers)
			connectProject(t, url)
			if c.sql != "" {
				database(t, c.sql)
			}
			db, csv := sum(t, "erp.db"), sum(t, "drop/a.csv")
			code, out, errs := command(t, "check", "--connect")
			if code != c.code {
				t.Errorf("exits with %d", code)
			}
			for _, s := range c.says {
				if !strings.Contains(out, s) {
					t.Errorf("does not say %q", s)
				}
			}
			if strings.Contains(out+errs, "hunter2") {
				t.Error("a secret is shown")
			}
			if db != sum(t, "erp.db") || csv != sum(t, "drop/a.csv") {
				t.Error("something was written")
			}
			if _, err := os.Stat("drop/done"); err == nil {
				t.Error("the file's folder was made")
			}
			if calls.Load() == 0 {
				t.Error("nobody was asked")
			}
			if t.Failed() {
				t.Log(out + errs)
			}
		})
	}
}

// TestConnectFailures: a system that is away, one that refuses the credentials, one that does not answer in time, and one whose settings are not set.
func TestConnectFailures(t *testing.T) {
	release := make(chan struct{})
	hang := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer hang.Close()
	defer close(release) // first
	refuse := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }))
	defer refuse.Close()
	for _, c := range []struct{ name, url, says string }{
		{"away", "http://127.0.0.1:9", "(is it running, is its address right, and is it in reach?)"},
		{"refuses", refuse.URL, "(look at the credentials, and at what they may read)"},
		{"does not answer", hang.URL, "no answer within 1s (is its address right, and is it in reach? --connect-timeout gives it longer)"},
		{"not set", "", "system crm: it cannot be asked: not set here: env:CRM_URL"},
	} {
		t.Run(c.name, func(t *testing.T) {
			connectProject(t, c.url)
			if c.url == "" {
				if err := os.Unsetenv("CRM_URL"); err != nil {
					t.Fatal(err)
				}
			}
			code, out, errs := command(t, "check", "--connect", "--connect-timeout", "1s", "--format", "json")
			var list []struct{ Level, Message, Hint, File string }
			if err := json.Unmarshal([]byte(out), &list); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			found := false
			for _, p := range list {
				found = found || p.Level == "problem" && strings.Contains(p.Message+" ("+p.Hint+")", c.says) && p.File == "configs/waybill.yaml"
			}
			if code != 1 || !found || strings.Contains(out+errs, "hunter2") || !strings.Contains(errs, "erp (sql): ok") {
				t.Errorf("%d\n%s%s\nwant %s", code, out, errs, c.says)
			}
		})
	}
}

// TestKeptMetadata: what a system says of its fields is kept in the project, check compares with it where it makes no connection, and asks it anew when told to.
func TestKeptMetadata(t *testing.T) {
	const fine = `{"records":[{"id":"1","no":"A","name":"x"}]}`
	url, calls := readOnly(t, map[string]string{"/": "{}", "/order": fine, "/customer": fine})
	connectProject(t, url)
	const tooLong = "flow out: no may have 40 characters by hub, and order of erp takes 20 (varchar(20))"
	run := func(code int, args []string, says ...string) string {
		t.Helper()
		got, out, errs := command(t, append([]string{"check"}, args...)...)
		if got != code {
			t.Errorf("check %v exits with %d: %s%s", args, got, out, errs)
		}
		for _, s := range says {
			if !strings.Contains(out+errs, s) {
				t.Errorf("check %v does not say %q:\n%s%s", args, s, out, errs)
			}
		}
		return out
	}
	run(2, []string{"--keep"}, "needs --connect")
	if out := run(0, nil); strings.Contains(out, "takes 20") {
		t.Errorf("known without a connection: %s", out)
	}
	run(0, []string{"--connect", "--keep"}, tooLong, "erp (sql): ok; objects: 1, records read: 1, in ", "kept in configs/metadata/erp.yaml")
	if _, err := os.Stat("configs/metadata/crm.yaml"); err == nil {
		t.Error("a file of a system that says nothing of its fields")
	}
	kept := sum(t, "configs/metadata/erp.yaml")
	data, err := os.ReadFile("configs/metadata/erp.yaml")
	if err != nil || !strings.Contains(string(data), `"no": {type: "varchar(20)", length: 20}`) || strings.Contains(string(data), "hunter") {
		t.Errorf("%v: %s", err, data)
	}
	run(0, []string{"--connect", "--keep"}, "kept in")
	if sum(t, "configs/metadata/erp.yaml") != kept {
		t.Error("written anew though nothing has changed")
	}
	asked := calls.Load()
	if err := os.Rename("erp.db", "gone.db"); err != nil {
		t.Fatal(err)
	}
	run(0, nil, tooLong)
	write(t, "configs/waybill.yaml", strings.Replace(connectConf, "no: text, name: text}", "no: text, name: text, town: text}", 1))
	run(0, nil, tooLong, `note: object order of erp: the settings name "town", which the system did not have at `, "waybill check --connect --keep writes it anew")
	if calls.Load() != asked {
		t.Error("check made a connection")
	}
	if err := os.Rename("gone.db", "erp.db"); err != nil {
		t.Fatal(err)
	}
	database(t, "DROP TABLE orders; CREATE TABLE orders (id INTEGER PRIMARY KEY, ref TEXT, no VARCHAR(60), town TEXT, name BLOB)")
	run(0, []string{"--connect"}, "no is varchar(60), and was varchar(20)", "town is new (text)", "name is blob, and was text", "object order of erp has changed since 20")
	if sum(t, "configs/metadata/erp.yaml") != kept {
		t.Error("written without --keep")
	}
	if out := run(0, []string{"--connect", "--keep"}); strings.Contains(out, "has changed since") {
		t.Errorf("told though it was kept: %s", out)
	}
	if out := run(0, nil); strings.Contains(out, "takes") || strings.Contains(out, "town") {
		t.Errorf("of the table that was: %s", out)
	}
	database(t, "ALTER TABLE orders DROP COLUMN town") // the settings name it still
	run(1, []string{"--connect", "--keep"}, `the settings name "town", and the system has no such field`, "erp (sql): problems: 1, after ", "kept in")
	run(0, nil, `note: object order of erp: the settings name "town", which the system did not have at `)
	database(t, "ALTER TABLE orders ADD COLUMN town TEXT")
	for _, c := range [][2]string{
		{"metadata: crm\nat: x\n", `configs/metadata/erp.yaml:1:11: it is of the system "crm", and the file's name says erp`},
		{"metadata: erp\n", `"at" is missing`},
		{"metadata: erp\nat: x\n---\nmetadata: erp\nat: x\n", "one document is wanted, and there are 2"},
		{"metadata: erp\nat: x\nobjects: {order: {fields: {no: {type: text, length: long}}}}\n", "configs/metadata/erp.yaml:3:"},
	} {
		write(t, "configs/metadata/erp.yaml", c[0])
		run(1, nil, c[1])
		run(1, []string{"--connect"}, c[1])
	}
	run(0, []string{"--connect", "--keep"}, "kept in") // what is broken is written anew, and is no problem any more
	run(0, []string{"--connect"})
	mine := sum(t, "configs/metadata/erp.yaml")
	write(t, "configs/other.yaml", strings.Replace(connectConf, "no: text, name: text}", "no: text, name: text, nowhere: text}", 1)) // of another database, by the same name
	if out := run(0, []string{"configs/waybill.yaml"}); strings.Contains(out, "other.yaml") {
		t.Error(out)
	}
	run(1, []string{"--connect", "--keep", "configs/other.yaml"}, "system erp: what it says of its fields is not kept: configs/metadata/erp.yaml is of the system of this name in waybill.yaml")
	if out := run(0, []string{"configs/other.yaml"}); strings.Contains(out, "nowhere") {
		t.Errorf("compared with another one's: %s", out)
	}
	if sum(t, "configs/metadata/erp.yaml") != mine {
		t.Error("another configuration's is written over")
	}
	if err := os.Remove("configs/other.yaml"); err != nil {
		t.Fatal(err)
	}
	for _, content := range []string{"metadata: crm\nat: x\nobjects: {order: {fields: {no: {type: text}}}}\n", "metadata: crm\n"} {
		write(t, "configs/metadata/crm.yaml", content)
		run(0, []string{"--connect", "--keep"}, "it says nothing of its fields, and configs/metadata/crm.yaml is removed")
		if _, err := os.Stat("configs/metadata/crm.yaml"); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("a file of a system that says nothing of its fields any more: %v", err)
		}
	}
	if err := errors.Join(os.Remove("configs/metadata/erp.yaml"), os.Mkdir("configs/metadata/erp.yaml", 0o755)); err != nil {
		t.Fatal(err)
	}
	run(1, []string{"--connect", "--keep"}, "metadata of erp: it is a directory", "what it says of its fields cannot be kept")
	if left, err := os.ReadDir("configs/metadata"); err != nil || len(left) != 1 {
		t.Errorf("%v, %v is left behind", err, left)
	}
}
