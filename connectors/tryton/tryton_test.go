package tryton

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/connector/connectortest"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// sideOf is a double as the other side.
func sideOf(d *double) *side {
	return &side{
		url: d.url, steps: []string{"quote", "confirm", "process"},
		put:   func(_ testing.TB, n, revision int, stamp time.Time) string { return d.put(n, revision, stamp) },
		spoil: func(_ testing.TB, id string) { d.spoil(id) },
		forget: func(testing.TB) {
			d.mu.Lock()
			defer d.mu.Unlock()
			clear(d.sessions)
		},
		asks: func(testing.TB) {
			d.warns = func(method string) string {
				if method == "model.sale.sale.quote" {
					return "sale_quotation_stock_1"
				}
				return ""
			}
		},
	}
}

func TestConformance(t *testing.T) {
	connectortest.Run(t, func(t *testing.T) *connectortest.Subject {
		d := newDouble(t)
		s := subject(sideOf(d), settingsOf(t, config(d.url, "", "")))
		s.Still = func(sys connector.System, at time.Time) {
			setClock(sys, func() time.Time { return at })
			d.now = func() time.Time { return at }
		}
		s.Refusals = []connectortest.Refusal{{Name: "in the body of a 200", Text: "the period is closed", Arrange: func(testing.TB) {
			d.refuse = func(w http.ResponseWriter, method string) bool {
				is := strings.HasSuffix(method, ".create") || strings.HasSuffix(method, ".write") || strings.HasSuffix(method, ".delete")
				if is {
					reply(w, map[string]any{"id": 1, "error": []any{"UserError", []any{"the period is closed", "", nil}}})
				}
				return is
			}
		}}}
		s.Faults, s.Probes = faults(d), probes(d)
		return s
	})
}

func TestTrade(t *testing.T) {
	testTrade(t, func(t *testing.T) *side {
		d := newDouble(t)
		d.now, d.last = func() time.Time { return time.Now().Add(-time.Hour) }, time.Time{} // polls go by stamps that are over
		return sideOf(d)
	})
}

func says(d *double, only string, answer func(w http.ResponseWriter)) func(testing.TB, *connector.Settings) {
	return func(testing.TB, *connector.Settings) {
		d.refuse = func(w http.ResponseWriter, method string) bool {
			is := strings.HasSuffix(method, only)
			if is {
				answer(w)
			}
			return is
		}
	}
}

func faults(d *double) []connectortest.Fault {
	status := func(code int, kind fault.Kind) connectortest.Fault {
		return connectortest.Fault{Name: fmt.Sprintf("status %d", code), Want: kind, Arrange: says(d, ".create", func(w http.ResponseWriter) {
			w.WriteHeader(code)
			fmt.Fprint(w, "the word "+password+" was not liked")
		})}
	}
	told := func(name string, kind fault.Kind, duplicate bool, failure ...any) connectortest.Fault {
		return connectortest.Fault{Name: name, Want: kind, Duplicate: duplicate, Arrange: says(d, ".create", func(w http.ResponseWriter) {
			reply(w, map[string]any{"id": 1, "error": failure})
		})}
	}
	return []connectortest.Fault{
		status(400, fault.Invalid), status(401, fault.Auth), status(403, fault.Invalid), status(404, fault.Unavailable), status(409, fault.Conflict),
		status(429, fault.RateLimited), status(500, fault.UnknownOutcome), status(502, fault.UnknownOutcome), status(503, fault.Unavailable), status(504, fault.UnknownOutcome),
		status(202, fault.UnknownOutcome), // which is none of Tryton's answers
		told("refused in a 200", fault.Invalid, false, "UserError", []any{"no", "", nil}),
		told("must be unique", fault.Conflict, true, "UserError", []any{"The code on party must be unique.", "", nil}),
		told("changed meanwhile", fault.Conflict, false, "ConcurrencyException", []any{"Records have been modified in the meanwhile"}),
		told("a lock", fault.Unavailable, false, "could not serialize access due to concurrent update\n", ""),
		told("another lock", fault.Unavailable, false, `could not obtain lock on relation "stock_move"`, ""),
		told("a lost database", fault.UnknownOutcome, false, "server closed the connection unexpectedly", ""),
		told("a fault of the server's", fault.Invalid, false, "'NoneType' object has no attribute 'id'", ""),
		told("more than a password", fault.Auth, false, "LoginException", []any{"code", "Code sent", "char"}),
		told("a question without an end", fault.Invalid, false, "UserWarning", []any{"name,1", "Really?", ""}),
		{Name: "no JSON", Want: fault.UnknownOutcome, Arrange: says(d, ".create", func(w http.ResponseWriter) { fmt.Fprint(w, "<!DOCTYPE html><html><body>Log in") })},
		{Name: "neither result nor error", Want: fault.UnknownOutcome, Arrange: says(d, ".create", func(w http.ResponseWriter) { fmt.Fprint(w, `{"id":1}`) })},
		{Name: "fewer ids than objects", Want: fault.UnknownOutcome, Arrange: says(d, ".create", func(w http.ResponseWriter) { fmt.Fprint(w, `{"id":1,"result":[]}`) })},
		{Name: "connection refused", Want: fault.Unavailable, Arrange: func(t testing.TB, set *connector.Settings) {
			*set = settingsOf(t, config("http://127.0.0.1:1", "", ""))
		}},
		{Name: "a model that is not there", Want: fault.Unavailable, Arrange: func(testing.TB, *connector.Settings) { delete(d.models, "product.uom") }},
		{Name: "a field that is not there", Want: fault.Unavailable, Arrange: func(testing.TB, *connector.Settings) { delete(d.models["product.template"], "list_price") }},
		{Name: "a field that the document should not have", Want: fault.Invalid, Call: func(ctx context.Context, sys connector.System, _ *connectortest.Subject) error {
			_, err := sys.(connector.Sink).Write(ctx, connector.Write{Object: "product", Action: connector.Create, External: externalID(1), Doc: []byte(`{"name":"x","nmae":1}`)})
			return err
		}},
	}
}

// probes are states of a server.
func probes(d *double) []connectortest.Probe {
	status := func(code int, only string) func(testing.TB, *connector.Settings) {
		return says(d, only, func(w http.ResponseWriter) {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(code)
			fmt.Fprint(w, "closed for the night, "+password)
		})
	}
	elsewhere := func(url string) func(testing.TB, *connector.Settings) {
		return func(t testing.TB, set *connector.Settings) { *set = settingsOf(t, config(url, "", "")) }
	}
	return []connectortest.Probe{
		{Name: "well"},
		{Name: "503 to everything", Arrange: status(503, ""), Want: fault.Unavailable, Create: fault.Unavailable, Text: "closed for the night"},
		{Name: "500 to everything", Arrange: status(500, ""), Want: fault.Unavailable, Create: fault.Unavailable, Text: "closed"},
		{Name: "503 to a create alone", Arrange: status(503, ".create"), Create: fault.Unavailable},
		{Name: "429 to everything", Arrange: status(429, ""), Want: fault.RateLimited, Create: fault.RateLimited},
		{Name: "429 to a login", Arrange: status(429, "login"), Want: fault.RateLimited, Create: fault.RateLimited},
		{Name: "401 to everything", Arrange: status(401, ""), Want: fault.Auth, Create: fault.Auth, Text: "401"},
		{Name: "404 to everything", Arrange: status(404, ""), Want: fault.Unavailable, Create: fault.Unavailable, Text: "database"},
		{Name: "connection refused", Arrange: elsewhere("http://127.0.0.1:1"), Want: fault.Unavailable, Create: fault.Unavailable, Text: "refused"},
		{Name: "a certificate of a stranger", Want: fault.Unavailable, Create: fault.Unavailable, Text: "certificate", Arrange: func(t testing.TB, set *connector.Settings) {
			srv := httptest.NewUnstartedServer(d)
			srv.Config.ErrorLog = log.New(io.Discard, "", 0) // it does not like to be refused
			srv.StartTLS()
			t.Cleanup(srv.Close)
			*set = settingsOf(t, config(srv.URL, "", ""))
		}},
		{Name: "every slot at work", Arrange: func(t testing.TB, set *connector.Settings) {
			*set = settingsOf(t, config(d.url, "limit: {concurrency: 1}", ""))
		}, Busy: func(t testing.TB, sys connector.System) {
			began, free := make(chan struct{}), make(chan struct{})
			d.refuse = func(w http.ResponseWriter, method string) bool {
				if strings.HasSuffix(method, ".create") {
					close(began)
					d.mu.Unlock()
					<-free
					d.mu.Lock()
				}
				return strings.HasSuffix(method, ".create")
			}
			done := make(chan struct{})
			go func() {
				defer close(done)
				_, _ = sys.(connector.Sink).Write(t.Context(), connector.Write{Object: "product", Action: connector.Create, External: externalID(1), Doc: []byte(newDoc(1))})
			}()
			<-began
			t.Cleanup(func() { close(free); <-done })
		}},
	}
}

// TestSession: many calls log in once, and again when the session is gone; at the end it is ended.
func TestSession(t *testing.T) {
	d := newDouble(t)
	sys, err := Kind{}.Open(t.Context(), settingsOf(t, config(d.url, "", "")))
	if err != nil {
		t.Fatal(err)
	}
	h := &hub{t, sys.(*system)}
	for n := range 3 {
		h.create("customer", externalID(n), `{"name":"x"}`)
	}
	if d.logins != 1 {
		t.Errorf("%d logins", d.logins)
	}
	clear(d.sessions)
	h.create("customer", externalID(4), `{"name":"x"}`)
	if d.logins != 2 {
		t.Errorf("%d logins after the session was gone", d.logins)
	}
	if err := sys.Close(); err != nil {
		t.Fatal(err)
	}
	if d.logouts != 1 || len(d.sessions) != 0 {
		t.Errorf("%d logouts, and %d sessions are left", d.logouts, len(d.sessions))
	}
}

// TestReferencesMove: a code that another record has got leads to that one, a minute later.
func TestReferencesMove(t *testing.T) {
	d := newDouble(t)
	h := open(t, settingsOf(t, config(d.url, "", "")))
	clock := lifecycle.NewManual(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	h.sys.clock = clock
	unitOf := func(id string) int64 {
		d.mu.Lock()
		defer d.mu.Unlock()
		return idOf(d.rows["product.template"][idOf(id)]["default_uom"])
	}
	first := unitOf(h.create("product", externalID(1), newDoc(1)))
	d.mu.Lock()
	d.rows["product.uom"][first]["symbol"] = "old"
	second := d.insert("product.uom", row{"symbol": "u"})
	d.mu.Unlock()
	clock.Advance(2 * time.Minute)
	if got := unitOf(h.create("product", externalID(2), newDoc(2))); got != second {
		t.Errorf("u is %d, and %d was taken", second, got)
	}
	if _, err := h.write(connector.Write{Object: "product", Action: connector.Create, External: externalID(3), Doc: []byte(`{"id":7,"name":"x"}`)}); fault.KindOf(err) != fault.Invalid {
		t.Errorf("an id is written: %v", err)
	}
}

// TestStuck: a step that the server does not make, and says nothing of, is no success.
func TestStuck(t *testing.T) {
	d := newDouble(t)
	d.stuck["confirm"] = true
	h := open(t, settingsOf(t, config(d.url, "", "")))
	h.create("customer", externalID(1), `{"name":"x"}`)
	w := connector.Write{Object: "order", Action: connector.Create, External: externalID(7), Doc: []byte(`{"party":"` + externalID(1) + `"}`)}
	_, err := h.write(w)
	if fault.KindOf(err) != fault.UnknownOutcome || !strings.Contains(err.Error(), `stays in "quotation"`) {
		t.Fatalf("create: %v", err)
	}
	w.Action, w.Local, w.Finish = connector.Update, h.find(connector.Lookup{Object: "order", External: externalID(7)})[0].Local, true
	if _, err := h.write(w); fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), `stays in "quotation"`) {
		t.Errorf("what is left: %v", err)
	}
}

// TestUnreadableRecords: one record that the server itself cannot read hides no other.
func TestUnreadableRecords(t *testing.T) {
	d := newDouble(t)
	bad := d.put(1, 1, time.Now())
	good := d.put(2, 1, time.Now())
	d.refuse = func(w http.ResponseWriter, method string) bool { return false }
	inner := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		rec := httptest.NewRecorder()
		d.ServeHTTP(rec, r)
		if strings.Contains(string(body), "search_read") && strings.Contains(rec.Body.String(), `"Outside 1"`) {
			reply(w, map[string]any{"id": 1, "error": []any{"division by zero", ""}})
			return
		}
		w.WriteHeader(rec.Code)
		_, _ = w.Write(rec.Body.Bytes())
	})
	srv := httptest.NewServer(inner)
	t.Cleanup(srv.Close)
	h := open(t, settingsOf(t, config(srv.URL, "", "")))
	got := map[string]bool{}
	for r, err := range h.sys.List(t.Context(), "product", time.Time{}) {
		if err != nil {
			t.Fatal(err)
		}
		got[r.Local] = r.Err != nil
		if r.Err != nil && !strings.Contains(r.Err.Error(), "division by zero") {
			t.Errorf("%s: %v", r.Local, r.Err)
		}
	}
	if unreadable, listed := got[bad]; !listed || !unreadable {
		t.Errorf("%s: listed %v, unreadable %v", bad, listed, unreadable)
	}
	if unreadable, listed := got[good]; !listed || unreadable {
		t.Errorf("%s: listed %v, unreadable %v", good, listed, unreadable)
	}
}

func TestProblems(t *testing.T) {
	t.Setenv("TRYTON_PASSWORD", password)
	base := "connector: tryton\nurl: http://erp.example.com:8000\ndatabase: erp\nuser: hub\npassword: ${env:TRYTON_PASSWORD}\n"
	for name, c := range map[string]struct{ yaml, want string }{
		"good":                 {"objects: {a: {model: party.party, fields: [name]}}", ""},
		"url":                  {"url2: x\nobjects: {a: {model: party.party, fields: [name]}}", "waybill.yaml:6:1"},
		"model":                {"objects: {a: {model: party, fields: [name]}}", "waybill.yaml:6:22"},
		"no fields":            {"objects: {a: {model: party.party}}", `"fields" is missing`},
		"a field twice":        {"objects: {a: {model: party.party, fields: [name, name]}}", "stands here twice"},
		"refer":                {"objects: {a: {model: party.party, fields: [name], refer: {lang: code}}}", "none of fields"},
		"external in fields":   {"objects: {a: {model: party.party, fields: [name, code], external: code}}", "stands among fields"},
		"update without key":   {"objects: {a: {model: party.party, fields: [name], items: {addresses: {fields: [street], on-update: keep}}}}", "without key"},
		"key":                  {"objects: {a: {model: party.party, fields: [name], items: {addresses: {fields: [street], key: [steet]}}}}", "did you mean"},
		"filter":               {"objects: {a: {model: party.party, fields: [name], filter: {a: b}}}", "expected a"},
		"steps, no external":   {"objects: {a: {model: sale.sale, fields: [state], steps: {path: [{state: draft}, {state: quotation, by: quote}]}}}", "set external"},
		"steps, no field":      {"objects: {a: {model: sale.sale, fields: [party], external: reference, steps: {path: [{state: draft}, {state: quotation, by: quote}]}}}", "none of fields"},
		"steps, reach":         {"objects: {a: {model: sale.sale, fields: [state], external: reference, steps: {reach: x, path: [{state: draft}, {state: quotation, by: quote}]}}}", "no state of the path"},
		"steps, twice":         {"objects: {a: {model: sale.sale, fields: [state], external: reference, steps: {path: [{state: draft}, {state: draft, by: quote}]}}}", "stands here twice"},
		"steps, first":         {"objects: {a: {model: sale.sale, fields: [state], external: reference, steps: {path: [{state: draft, by: x}, {state: b, by: quote}]}}}", "nothing leads"},
		"steps, aside":         {"objects: {a: {model: sale.sale, fields: [state], external: reference, steps: {aside: {draft: x}, path: [{state: draft}, {state: b, by: quote}]}}}", "stands on the path"},
		"bulk":                 {"bulk: 0\nobjects: {a: {model: party.party, fields: [name]}}", "at least 1"},
		"an object of nothing": {"objects: {a: }", "there is no value"},
	} {
		t.Run(name, func(t *testing.T) {
			set := settingsOf(t, base+c.yaml)
			var p strictyaml.Problems
			Kind{}.Check(set, &p)
			Kind{}.Spec().Lint(set.Node, &p)
			got := fmt.Sprint(p.Err())
			if c.want == "" && p.Err() != nil || !strings.Contains(got, c.want) {
				t.Errorf("%s\nwants %q", got, c.want)
			}
		})
	}
}

// TestValues: what a document holds is what Tryton has kept, and what Tryton cannot keep is refused.
func TestValues(t *testing.T) {
	for _, c := range []struct{ typ, doc, tryton string }{
		{"char", `"00123"`, `"00123"`}, {"char", `123`, ""}, {"text", `"Zeile 1\n2"`, `"Zeile 1\n2"`}, {"selection", `"draft"`, `"draft"`}, {"boolean", `true`, `true`}, {"boolean", `"true"`, ""},
		{"integer", `12`, `12`}, {"integer", `12.0`, `12`}, {"integer", `12.5`, ""}, {"integer", `"12"`, ""},
		{"numeric", `12.50`, `{"__class__":"Decimal","decimal":"12.50"}`}, {"numeric", `"0.30"`, `{"__class__":"Decimal","decimal":"0.30"}`}, {"numeric", `"1e"`, ""}, {"numeric", `1e3`, `{"__class__":"Decimal","decimal":"1000"}`},
		{"numeric", `12345678901234567890.123456789`, `{"__class__":"Decimal","decimal":"12345678901234567890.123456789"}`},
		{"float", `3`, `3`}, {"float", `0.1`, `0.1`}, {"float", `1234567890.1234567891`, ""}, {"float", `"2.50"`, `2.50`},
		{"date", `"2026-12-24"`, `{"__class__":"date","year":2026,"month":12,"day":24}`}, {"date", `"2026-02-30"`, ""}, {"date", `"2026-12-24T10:00:00Z"`, ""},
		{"datetime", `"2026-12-24T10:00:00+02:00"`, `{"__class__":"datetime","year":2026,"month":12,"day":24,"hour":8,"minute":0,"second":0,"microsecond":0}`}, {"datetime", `"2026-12-24T10:00:00"`, ""},
		{"timestamp", `"2026-12-24T10:00:00.123456Z"`, `{"__class__":"datetime","year":2026,"month":12,"day":24,"hour":10,"minute":0,"second":0,"microsecond":123456}`}, {"timestamp", `"2026-12-24T10:00:00.1234567Z"`, ""},
		{"time", `"10:30"`, `{"__class__":"time","hour":10,"minute":30,"second":0,"microsecond":0}`}, {"time", `"25:00"`, ""}, {"timedelta", `3600`, `{"__class__":"timedelta","seconds":3600}`},
		{"binary", `"AAEC"`, `{"__class__":"bytes","base64":"AAEC"}`}, {"binary", `"%"`, ""}, {"many2one", `7`, `7`}, {"many2one", `"7"`, `7`}, {"many2one", `"07"`, ""}, {"many2one", `0`, ""}, {"many2one", `"A"`, ""},
		{"char", `null`, `null`}, {"numeric", `null`, `null`}, {"reference", `"sale.sale,7"`, `"sale.sale,7"`}, {"dict", `{"a":1}`, `{"a":1}`},
	} {
		got, err := take(&field{name: "f", typ: c.typ}, parsed(t, c.doc))
		switch {
		case c.tryton == "" && err == nil:
			t.Errorf("%s takes %s as %s", c.typ, c.doc, got)
		case c.tryton != "" && (err != nil || got != c.tryton):
			t.Errorf("%s takes %s as %s (%v), want %s", c.typ, c.doc, got, err, c.tryton)
		}
	}
	for _, c := range []struct{ typ, tryton, doc string }{
		{"numeric", `{"__class__":"Decimal","decimal":"19.9000"}`, `19.9000`}, {"numeric", `{"__class__":"Decimal","decimal":"NaN"}`, ""}, {"numeric", `{"__class__":"Decimal","decimal":"1E+2"}`, `100`},
		{"date", `{"__class__":"date","year":2026,"month":2,"day":3}`, `"2026-02-03"`}, {"date", `{"__class__":"date","year":2026,"month":2,"day":30}`, ""}, {"date", `{"__class__":"date","year":0,"month":2,"day":3}`, ""},
		{"timestamp", `{"__class__":"datetime","year":2026,"month":2,"day":3,"hour":4,"minute":5,"second":6,"microsecond":7}`, `"2026-02-03T04:05:06.000007Z"`},
		{"time", `{"__class__":"time","hour":4,"minute":5,"second":6,"microsecond":0}`, `"04:05:06"`}, {"timedelta", `{"__class__":"timedelta","seconds":90.5}`, `90.5`},
		{"binary", `{"__class__":"bytes","base64":"AAEC\n"}`, `"AAEC"`}, {"char", `{"__class__":"new","x":1}`, ""}, {"many2one", `7`, `7`}, {"many2many", `[1,2]`, `[1,2]`}, {"many2many", `7`, ""}, {"char", `[1]`, ""},
		{"dict", `{"a":{"__class__":"Decimal","decimal":"1.0"},"b":"c"}`, `{"a":1.0,"b":"c"}`}, {"float", `3.0`, `3.0`}, {"char", `null`, `null`}, {"numeric", `0.` + strings.Repeat("1", 200), ""},
	} {
		doc, err := jsondoc.Parse([]byte(c.tryton), jsondoc.Limits{Bytes: 4000})
		if err != nil {
			continue // what is no document is none of show's
		}
		got, err := show(nil, &field{name: "f", typ: c.typ}, doc.Root())
		switch {
		case c.doc == "" && err == nil:
			t.Errorf("%s shows %s as %s", c.typ, c.tryton, got)
		case c.doc != "" && (err != nil || string(got) != c.doc):
			t.Errorf("%s shows %s as %s (%v), want %s", c.typ, c.tryton, got, err, c.doc)
		}
	}
}

func parsed(t testing.TB, text string) jsondoc.Value {
	t.Helper()
	doc, err := jsondoc.Parse([]byte(text), jsondoc.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return doc.Root()
}

// Whatever is taken is shown again as the same value.
func TestTakenIsShown(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		typ := rapid.SampledFrom([]string{"char", "numeric", "float", "date", "datetime", "integer", "boolean"}).Draw(t, "type")
		text := ""
		switch typ {
		case "char":
			text = string(jsondoc.AppendString(nil, rapid.String().Draw(t, "text")))
		case "numeric":
			text = rapid.StringMatching(`-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,8})?`).Draw(t, "number")
		case "float":
			text = rapid.StringMatching(`-?(0|[1-9][0-9]{0,6})(\.[0-9]{1,6})?`).Draw(t, "number")
		case "integer":
			text = fmt.Sprint(rapid.Int32().Draw(t, "integer"))
		case "boolean":
			text = fmt.Sprint(rapid.Bool().Draw(t, "boolean"))
		default:
			at := time.UnixMicro(rapid.Int64Range(-62135596800e6, 253402300799e6).Draw(t, "time")).UTC()
			layout := map[string]string{"date": time.DateOnly, "datetime": time.RFC3339Nano}[typ]
			b, _ := json.Marshal(at.Format(layout))
			text = string(b)
		}
		in, err := jsondoc.Parse([]byte(text), jsondoc.Limits{})
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		f := &field{name: "f", typ: typ}
		taken, err := take(f, in.Root())
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		there, err := jsondoc.Parse([]byte(taken), jsondoc.Limits{})
		if err != nil {
			t.Fatalf("%s is taken as %s, which is no JSON: %v", text, taken, err)
		}
		shown, err := show(nil, f, there.Root())
		if err != nil {
			t.Fatal(err)
		}
		out, err := jsondoc.Parse(shown, jsondoc.Limits{})
		if err != nil || !out.Root().Equal(in.Root()) {
			t.Fatalf("%s is taken as %s and shown as %s", text, taken, shown)
		}
	})
}

func FuzzShow(f *testing.F) {
	for _, s := range []string{`{"__class__":"Decimal","decimal":"1"}`, `{"__class__":"date","year":2026,"month":1,"day":1}`, `[1]`, `"a"`, `{"__class__":"time"}`, `{"__class__":"bytes","base64":"AA=="}`} {
		f.Add("char", s)
	}
	f.Fuzz(func(t *testing.T, typ, s string) {
		doc, err := jsondoc.Parse([]byte(s), jsondoc.Limits{})
		if err != nil {
			return
		}
		out, err := show(nil, &field{name: "f", typ: typ}, doc.Root())
		if err == nil {
			if _, err := jsondoc.Parse(out, jsondoc.Limits{}); err != nil {
				t.Errorf("%s of type %q becomes %s: %v", s, typ, out, err)
			}
		}
	})
}

// TestNext: what leads on from each state of a sale's.
func TestNext(t *testing.T) {
	st := &steps{Field: "state", Path: []step{{"draft", ""}, {"quotation", "quote"}, {"confirmed", "confirm"}, {"processing", "process"}, {"done", ""}}, Aside: map[string]string{"cancelled": "cancel"}}
	for _, c := range []struct {
		now, wanted string
		asked       bool
		by, err     string
	}{
		{"draft", "", false, "", ""}, {"draft", "draft", true, "", ""}, {"draft", "processing", true, "quote", ""}, {"quotation", "processing", true, "confirm", ""}, {"done", "processing", true, "", ""},
		{"processing", "done", true, "", "only Tryton itself"}, {"draft", "cancelled", true, "cancel", ""}, {"cancelled", "cancelled", true, "", ""}, {"cancelled", "processing", true, "", "no way leads"},
		{"cancelled", "processing", false, "", ""}, {"new in 6.2", "done", false, "", ""},
	} {
		by, err := st.next(c.now, c.wanted, c.asked)
		if by != c.by || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("from %s to %s: %q, %v", c.now, c.wanted, by, err)
		}
	}
}

// TestDescribe: what is known without the server.
func TestDescribe(t *testing.T) {
	set := settingsOf(t, config("http://erp.example.com", "", ""))
	o := Kind{}.Describe(set, "order")
	var names []string
	for _, f := range o.Fields {
		names = append(names, f.Name)
	}
	if got := strings.Join(names, " "); got != "description invoice_address lines party reference sale_date state" || o.External != "reference" || !o.Searched {
		t.Errorf("%s, %+v", got, o)
	}
	if by := (Kind{}).Ordering(set, "order").By; by != connector.ByStamp {
		t.Errorf("ordered by %s", by)
	}
	if got := (Kind{}).Describe(set, "no-such"); got.Fields != nil {
		t.Errorf("%+v", got)
	}
}

// TestSample: what the server says of the fields, and what the settings have that it does not.
func TestSample(t *testing.T) {
	d := newDouble(t)
	d.put(1, 1, time.Now())
	h := open(t, settingsOf(t, config(d.url, "", "")))
	s, err := h.sys.Sample(t.Context(), "product")
	if err != nil || s.Record == nil || len(s.Columns) == 0 || len(s.Lacking) != 0 {
		t.Errorf("%+v, %v", s, err)
	}
	delete(d.models["product.template"], "list_price")
	if s, err = h.sys.Sample(t.Context(), "product"); err != nil || len(s.Lacking) != 1 || !strings.Contains(s.Lacking[0], "list_price") {
		t.Errorf("%+v, %v", s.Lacking, err)
	}
}

// TestRewind: a time leads back, and what goes by contents has no place.
func TestRewind(t *testing.T) {
	d := newDouble(t)
	d.put(1, 1, time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	h := open(t, settingsOf(t, config(d.url, "", "")))
	p := &poller{hub: h, object: "product"}
	if got := p.changes(); len(got) != 1 {
		t.Fatal(got)
	}
	cursor, err := h.sys.RewindTo("product", p.cursor, "2026-03-01T00:00:00Z")
	if err != nil {
		t.Fatal(err)
	}
	if p.cursor = cursor; len(p.changes()) != 1 {
		t.Error("what was read is not read again")
	}
	for _, to := range []string{"17", "2026-03-01", "yesterday"} {
		if _, err := h.sys.RewindTo("product", p.cursor, to); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: %v", to, err)
		}
	}
	h = open(t, settingsOf(t, config(d.url, "", "changes: content")))
	if _, err := h.sys.RewindTo("product", "", "2026-03-01T00:00:00Z"); fault.KindOf(err) != fault.Invalid {
		t.Errorf("by contents: %v", err)
	}
}
