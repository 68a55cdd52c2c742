package rest

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// TestPairs: a document goes as the list of its fields, in their order, digit by digit; what is no single value is refused before anything is sent.
func TestPairs(t *testing.T) {
	for name, c := range map[string]struct{ pairs, doc, want, err string }{
		"names and values":       {`{}`, `{"b":"x","a":1.50,"c":null,"d":true}`, `[{"name":"b","value":"x"},{"name":"a","value":1.50},{"name":"c","value":null},{"name":"d","value":true}]`, ""},
		"texts alone":            {`{name: Name, value: Value, texts: true}`, `{"a":1.50,"d":true,"c":null}`, `[{"Name":"a","Value":"1.50"},{"Name":"d","Value":"true"},{"Name":"c","Value":null}]`, ""},
		"null by a member":       {`{null: IsNull, with: {Modified: true, Kind: "1"}}`, `{"a":"","c":null}`, `[{"name":"a","value":"","IsNull":false,"Modified":true,"Kind":"1"},{"name":"c","value":null,"IsNull":true,"Modified":true,"Kind":"1"}]`, ""},
		"signs in names":         {`{}`, `{"a\"b":"\u00e9\n"}`, `[{"name":"a\"b","value":"\u00e9\n"}]`, ""},
		"nothing":                {`{}`, `{}`, `[]`, ""},
		"a list among them":      {`{}`, `{"a":[1]}`, "", "the field a is a list or an object"},
		"an object among them":   {`{}`, `{"a":{}}`, "", "the field a is a list or an object"},
		"a list as the whole":    {`{}`, `[1]`, "", "only an object has fields"},
		"what is no JSON at all": {`{}`, `{`, "", "no JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			var p strictyaml.Problems
			ps := &pairsSettings{}
			connector.Settings{Node: strictyaml.Parse("p.yaml", []byte(c.pairs), &p)[0]}.Decode(ps, &p)
			if err := p.Err(); err != nil {
				t.Fatal(err)
			}
			got, err := ps.list([]byte(c.doc))
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Errorf("got %s, %v; want %s", got, err, c.err)
				}
				return
			}
			if err != nil || string(got) != c.want {
				t.Errorf("got  %s %v\nwant %s", got, err, c.want)
			}
		})
	}
}

const rowService = `connector: rest
url: %s
success: {path: Success, in: [true]}
errors: {message: Message, code: Code, kinds: {E7: rate-limited, "423": rate-limited}, texts: [{text: "Locked BY", kind: unavailable}, {text: stale row, kind: conflict}, {text: is there already, kind: duplicate}, {text: who are you, kind: auth}]}
objects:
  part:
    id: No
    external-id: Ref
    etag: placed
    etag-field: _row
    get: {path: load, parameters: {filter: "No = N'{id}'"}, item: Items.0}
    list: {path: load, items: Items}
    create: {path: change, body: {Changes: [{Action: 1}]}, wrap: Changes.0.Fields, pairs: {texts: true}, sent-id: No, answer: partial}
    update: {path: change, body: {Changes: [{Action: 2, Row: "{etag}", Fields: [{name: No, value: "{id}"}]}]}, wrap: Changes.0.Fields, pairs: {texts: true}, answer: partial}
    delete: {path: change, body: {Changes: [{Action: 4, Row: "{etag}", Fields: [{name: No, value: "{id}"}]}]}}
`

// TestRowsByToken: a service takes changes as lists of fields, behind those that every change has, with the token of the row that was read; where the hub knows none, its place is empty. An id is put into quotes as such a literal
// holds it. What a refusal means is told by its text where no code says so, and an object that holds such a text is none.
func TestRowsByToken(t *testing.T) {
	answer, status, asked, sent := `{"Success":true}`, 200, "", ""
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		asked, sent = r.URL.RawQuery, string(b)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
	}))
	defer srv.Close()
	sys, err := Kind{}.Open(t.Context(), settingsOf(t, fmt.Sprintf(rowService, srv.URL)))
	if err != nil {
		t.Fatal(err)
	}
	defer sys.Close()
	answer = `{"Success":true,"Items":[{"No":"O'Neil","Name":"a stale row, Locked by hand","_row":"T=[1 \"x\"]"}]}`
	found, err := sys.(connector.Finder).Find(t.Context(), connector.Lookup{Object: "part", Local: "O'Neil"})
	if err != nil || len(found) != 1 || found[0].ETag != `T=[1 "x"]` || asked != "filter=No%20%3D%20N%27O%27%27Neil%27" {
		t.Fatalf("%v %v, asked %s", found, err, asked)
	}
	answer = `{"Success":true}`
	write := func(w connector.Write) (connector.Result, error) {
		w.Object = "part"
		return sys.(connector.Sink).Write(t.Context(), w)
	}
	for name, c := range map[string]struct {
		w    connector.Write
		want string
	}{
		"create":               {connector.Write{Action: connector.Create, External: "7f3e0000-0000-5000-8000-000000000001", Doc: []byte(`{"No":"7","Price":1.50}`)}, `{"Changes":[{"Action":1,"Fields":[{"name":"No","value":"7"},{"name":"Price","value":"1.50"},{"name":"Ref","value":"7f3e0000-0000-5000-8000-000000000001"}]}]}`},
		"update under a token": {connector.Write{Action: connector.Update, Local: "{etag}", ETag: `T=[1 "{id}"]`, Doc: []byte(`{"Name":"{id}"}`)}, `{"Changes":[{"Action":2,"Row":"T=[1 \"{id}\"]","Fields":[{"name":"No","value":"{etag}"},{"name":"Name","value":"{id}"}]}]}`},
		"update without one":   {connector.Write{Action: connector.Update, Local: "7", Doc: []byte(`{"Name":null}`)}, `{"Changes":[{"Action":2,"Row":"","Fields":[{"name":"No","value":"7"},{"name":"Name","value":null}]}]}`},
		"delete":               {connector.Write{Action: connector.Delete, Local: "7", ETag: "t"}, `{"Changes":[{"Action":4,"Row":"t","Fields":[{"name":"No","value":"7"}]}]}`},
	} {
		res, err := write(c.w)
		if err != nil || sent != c.want || c.w.Action == connector.Create && res.Local != "7" {
			t.Errorf("%s: %v %v\nsent %s\nwant %s", name, res, err, sent, c.want)
		}
	}
	sent = ""
	if _, err := write(connector.Write{Action: connector.Update, Local: "7", Doc: []byte(`{"Lines":[]}`)}); fault.KindOf(err) != fault.Invalid || sent != "" {
		t.Errorf("a list among the fields: %v, sent %s", err, sent)
	}
	for name, c := range map[string]struct {
		status int
		answer string
		kind   fault.Kind
		twice  bool
	}{
		"whatever the case":                  {200, `{"Success":false,"Message":"The row is LOCKED by sa."}`, fault.Unavailable, false},
		"the first row that fits":            {200, `{"Success":false,"Message":"stale row, locked by sa"}`, fault.Unavailable, false},
		"stale":                              {200, `{"Success":false,"Message":"Stale row"}`, fault.Conflict, false},
		"a duplicate":                        {200, `{"Success":false,"Message":"7 is there already"}`, fault.Conflict, true},
		"a code before a text":               {200, `{"Success":false,"Message":"stale row","Code":"E7"}`, fault.RateLimited, false},
		"a code without a meaning":           {200, `{"Success":false,"Message":"stale row","Code":"E8"}`, fault.Conflict, false},
		"no text that is known":              {200, `{"Success":false,"Message":"no"}`, fault.Invalid, false},
		"a text before a status":             {423, `{"Message":"stale row"}`, fault.Conflict, false},
		"a status that has a meaning":        {423, `{"Message":"no"}`, fault.RateLimited, false},
		"a text in a failure":                {500, `{"Message":"who are you?"}`, fault.Auth, false},
		"a code before a text, in a failure": {500, `{"Message":"stale row","Code":"E7"}`, fault.RateLimited, false},
		"the text of a success":              {200, `{"Success":true,"Message":"stale row"}`, 0, false},
	} {
		answer, status = c.answer, c.status
		_, err := write(connector.Write{Action: connector.Update, Local: "7", Doc: []byte(`{"Name":"x"}`)})
		f, _ := fault.As(err)
		if c.kind == 0 && err != nil || c.kind != 0 && (f == nil || f.Kind != c.kind || f.Duplicate != c.twice) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRowsByTokenSettings(t *testing.T) {
	refuses(t, fmt.Sprintf(rowService, "http://rows.example"), map[string]mistake{
		"a place without a token":               {"etag: placed", "etag: body", "which field holds the token is not said"},
		"a token without its field":             {"    etag-field: _row\n", "", "add etag-field"},
		"a kind that is none":                   {"kind: conflict", "kind: stale", "stale"},
		"members of one name":                   {"pairs: {texts: true}", "pairs: {with: {name: x}}", "two members of a pair have one name"},
		"a value in a name's place":             {"pairs: {texts: true}", "pairs: {null: value}", "two members of a pair have one name"},
		"members that are none":                 {"pairs: {texts: true}", "pairs: {with: [1]}", "this is no mapping"},
		"several at once":                       {"pairs: {texts: true}, sent-id", "pairs: {texts: true}, bulk: {path: b}, sent-id", "pairs means nothing with bulk"},
		"updates without a place for the token": {"Row: \"{etag}\", Fields: [{name: No, value: \"{id}\"}]}]}, wrap", "Fields: [{name: No, value: \"{id}\"}]}]}, wrap", "update.body has no place for it"},
		"deletes without a place for the token": {"Action: 4, Row: \"{etag}\"", "Action: 4", "delete.body has no place for it"},
	})
}
