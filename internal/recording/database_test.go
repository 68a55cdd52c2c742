package recording_test

import (
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/connectors"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/manifest"
	"github.com/waybill-hub/waybill/internal/recording"
)

const databaseVendor = `manifest: shelf
title: Shelf
connector: sql
system:
  driver: oracle
  objects:
    item: {table: S.ITEMS, id: ID, generated: true, columns: {ID: integer, NAME: text, PRICE: decimal}}
example: {url: "${env:SHELF_URL}"}
proof: {on: stand-in, what: a test}
claims: [{of: auth, says: none, source: "seen: here"}]
`

// What is asked is not known yet: requests take the answers in their order.
const databaseScript = `recording: items
manifest: shelf
on: stand-in
made: in a test
steps:
  - name: made
    create: {object: item, doc: '{"NAME":"Hammer","PRICE":12.5}'}
    exchanges:
      - {ask: GET /, answer: '{"columns": ["n", "k", "s", "u", "l", "p"], "rows": [["ID", "number", 0, 0, 22, 10], ["NAME", "varchar2", -1, 1, 40, 0], ["PRICE", "number", 2, 1, 22, 10]]}'}
      - {ask: GET /, answer: '{"columns": ["n", "u", "c"], "rows": []}'}
      - {ask: GET /, answer: '{"out": ["7"]}'}
      - {ask: GET /, answer: '{"columns": ["id", "version", "ID", "NAME", "PRICE"], "rows": [["7", null, "7", "Hammer", "12.5"]]}'}
      - {ask: GET /}
  - name: changed
    update: {object: item, local: "@made", doc: '{"NAME":"Mallet"}'}
    exchanges:
      - {ask: GET /, answer: '{"affected": 1}'}
      - {ask: GET /, answer: '{"columns": ["id", "version", "ID", "NAME", "PRICE"], "rows": [["7", null, "7", "Mallet", "12.5"]]}'}
      - {ask: GET /}
  - name: refused
    delete: {object: item, local: "@made"}
    exchanges:
      - {ask: GET /, answer: '{"error": "ORA-02292: integrity constraint (S.LINES_FK) violated - child record found"}'}
`

// TestDatabase: what a connector asks of a database is recorded and played as what it asks of a service is, and what is asked, answered or ended otherwise is told.
func TestDatabase(t *testing.T) {
	kinds, err := connector.NewRegistry(connectors.All()...)
	if err != nil {
		t.Fatal(err)
	}
	w := recording.World{Kinds: kinds.Map(), Manifests: manifest.New(manifest.File{Name: "shelf.yaml", Data: []byte(databaseVendor)})}
	r := read(t, "items.yaml", []byte(databaseScript))
	if troubles, err := w.Replay(t.Context(), r, true); err != nil || len(troubles) > 0 {
		t.Fatal(troubles, err)
	}
	whole := string(r.Write()[0].Data)
	for _, part := range []string{
		`ask: "SQL INSERT INTO \"S\".\"ITEMS\" (\"NAME\", \"PRICE\") VALUES (:1, TO_NUMBER(:2`, `["Hammer","12.5",null]`, `ask: "SQL COMMIT"`, `local: "7"`, `kind: "invalid"`, `code: "ORA-02292"`,
	} {
		if !strings.Contains(whole, part) {
			t.Errorf("the recording lacks %s:\n%s", part, whole)
		}
	}
	for name, c := range map[string]struct{ from, to, want string }{
		"as recorded":         {"", "", ""},
		"another statement":   {`SQL INSERT INTO \"S\".\"ITEMS\"`, `SQL INSERT INTO \"S\".\"THINGS\"`, "the address is INSERT INTO"},
		"another parameter":   {`["Hammer","12.5",null]`, `["Hammer","12.6",null]`, "the body is"},
		"a commit that fails": {"ask: \"SQL COMMIT\"\n", "ask: \"SQL COMMIT\"\n        answer: '{\"error\": \"ORA-03113: end-of-file on communication channel\"}'\n", "unknown-outcome"},
		"no commit":           {`ask: "SQL COMMIT"`, `ask: "SQL COMMIT WORK"`, "asks SQL COMMIT, which was not recorded"},
		"another id":          {`{"out":["7"]}`, `{"out":["8"]}`, "the body is [8]"},
		"nothing changed":     {`{"affected":1}`, `{"affected":0}`, "changed: the outcome"},
		"no number":           {`{"affected":1}`, `{"affected":"one"}`, `affected: "one" is no number`},
		"no JSON":             {`{"affected":1}`, `one row`, "the recorded answer is no JSON"},
		"a row too short":     {`"Mallet","12.5"]`, `"Mallet"]`, "a row has 4 values, and there are 5 columns"},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(whole, c.from, c.to, 1)
			if c.from != "" && text == whole {
				t.Fatalf("nothing was changed:\n%s", whole)
			}
			troubles, err := w.Replay(t.Context(), read(t, "items.yaml", []byte(text)), false)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(troubles, "\n"); c.want == "" && got != "" || !strings.Contains(got, c.want) {
				t.Errorf("told:\n%s\nwant %s", got, c.want)
			}
		})
	}
	// Written anew, an answer that was broken by hand does not become a failure that is wanted.
	broken := strings.Replace(whole, `"Mallet","12.5"]`, `"Mallet"]`, 1)
	if troubles, err := w.Replay(t.Context(), read(t, "items.yaml", []byte(broken)), true); err != nil || len(troubles) != 1 || !strings.Contains(troubles[0], "changed: it fails now, as ") {
		t.Errorf("%v %v", troubles, err)
	}
}
