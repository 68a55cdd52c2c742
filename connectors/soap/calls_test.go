package soap

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/connectors/rest"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// TestEnvelopes: what goes over the wire in each version.
func TestEnvelopes(t *testing.T) {
	for version, want := range map[string]struct{ action, media, space string }{
		"soap11": {`"urn:example:items:GetItem"`, "text/xml; charset=utf-8", ns11},
		"soap12": {"", `application/soap+xml; charset=utf-8; action="urn:example:items:GetItem"`, ns12},
	} {
		d := newDouble(t)
		d.outside(&xmlItem{ID: "a&b", Code: "C-1", Lock: "1"})
		sys := open(t, config(d.url, version)+"header: {it:Client: {\"@version\": \"1\", it:name: hub}}\n")
		found, err := sys.(connector.Finder).Find(t.Context(), connector.Lookup{Object: "item", Local: "a&b"})
		if err != nil || len(found) != 1 || found[0].Local != "a&b" {
			t.Fatalf("%s: %v %v", version, found, err)
		}
		if d.sent.action != want.action || d.sent.media != want.media {
			t.Errorf("%s: action %q, type %q", version, d.sent.action, d.sent.media)
		}
		for _, part := range []string{`<soap:Envelope xmlns:it="urn:example:items" xmlns:soap="` + want.space + `"`, `<soap:Header><it:Client version="1"><it:name>hub</it:name></it:Client><wsse:Security soap:mustUnderstand="1"`,
			`<soap:Body><it:GetItem><it:id>a&amp;b</it:id></it:GetItem></soap:Body>`} {
			if !strings.Contains(d.sent.body, part) {
				t.Errorf("%s: %s\nlacks %s", version, d.sent.body, part)
			}
		}
	}
}

// TestNothingToSend: a document that holds nothing of what a request is made of is refused, and nothing is sent.
func TestNothingToSend(t *testing.T) {
	for _, kind := range []string{"soap11", "none"} {
		d := newDialect(&settings{Envelope: kind})
		d.ops["item create"] = &bound{operation: &operation{template: &template{children: []*template{{name: "a", text: &text{parts: []part{{place: true, path: "code"}}}}}}}}
		c := &rest.Call{Object: "item", Action: rest.ActCreate}
		c.Body = []byte(`{"other":1}`)
		if err := d.Put(c); !errors.Is(err, errNoRequest) {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

// TestSecretsOfTemplates: what a template takes from outside of the file is a secret, also when a service sends it back.
func TestSecretsOfTemplates(t *testing.T) {
	d := newDouble(t)
	d.refuse = func(w http.ResponseWriter, _ *http.Request, body string) bool {
		_, session, _ := strings.Cut(body, "<it:session>")
		w.WriteHeader(500)
		fmt.Fprint(w, faultOf(ns11, "Client", "no session "+session[:len("a-session-of-tests")], ""))
		return true
	}
	t.Setenv("ITEMS_SESSION", "a-session-of-tests")
	sys := open(t, config(d.url, "soap11")+"header: {it:Session: {it:session: \"${env:ITEMS_SESSION}\"}}\n")
	_, err := sys.(connector.Finder).Find(t.Context(), connector.Lookup{Object: "item", Local: "7"})
	if err == nil || strings.Contains(err.Error(), "a-session-of-tests") || !strings.Contains(err.Error(), "no session") {
		t.Errorf("got %v", err)
	}
}

// TestFaults: what becomes of a fault, by its codes, its detail, its text and the table of the settings.
func TestFaults(t *testing.T) {
	subcode := envelope(ns12, `<e:Fault><e:Code><e:Value>e:Sender</e:Value><e:Subcode><e:Value xmlns:w="urn:w">w:FailedAuthentication</e:Value></e:Subcode></e:Code><e:Reason><e:Text xml:lang="en">who?</e:Text></e:Reason></e:Fault>`)
	mixed := envelope(ns11, `<e:Fault><e:Code><e:Value>e:Client</e:Value></e:Code><e:Reason><e:Text>mixed up</e:Text></e:Reason></e:Fault>`)
	for name, c := range map[string]struct {
		status int
		body   string
		read   bool
		kind   fault.Kind
		field  string
		text   string
	}{
		"the sender's":            {500, faultOf(ns11, "Client", "bad <code>x</code>", ""), false, fault.Invalid, "", "bad"},
		"the receiver's":          {500, faultOf(ns11, "Server", "boom", ""), false, fault.UnknownOutcome, "", "boom"},
		"the receiver's, reading": {500, faultOf(ns11, "Server", "boom", ""), true, fault.Unavailable, "", "boom"},
		"a part of a code":        {500, faultOf(ns11, "Client.Quota", "too long", ""), false, fault.Invalid, "", "too long"},
		"a row by text":           {500, faultOf(ns11, "Server", "The Object Is Locked by ANN", ""), false, fault.Unavailable, "", "Locked"},
		"a row by code":           {500, faultOf(ns11, "Server.Busy", "later", ""), false, fault.RateLimited, "", "later"},
		"a code of the detail":    {500, faultOf(ns11, "Client", "twice", "<ItemFault><code>EXISTS</code></ItemFault>"), false, fault.Conflict, "", "twice"},
		"a field of the detail":   {500, faultOf(ns11, "Client", "no", "<ItemFault><code>MISSING</code><field>code</field></ItemFault>"), false, fault.Invalid, "code", "no"},
		"a subcode":               {400, subcode, false, fault.Auth, "", "who?"},
		"1.2's form in 1.1":       {500, mixed, false, fault.Invalid, "", "mixed up"},
		"under 401":               {401, faultOf(ns11, "Client", "who?", ""), false, fault.Auth, "", "who?"},
		"no body, under 500":      {500, "", false, fault.UnknownOutcome, "", "500"},
		"in parts":                {200, "--x", false, fault.UnknownOutcome, "", "several parts"},
		"a page, reading":         {200, "<html>log in</html>", true, fault.Unavailable, "", "log in"},
		"two namespaces of one":   {200, `<E:Envelope xmlns:E="urn:other"/>`, false, fault.UnknownOutcome, "", "no SOAP envelope"},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDouble(t)
			d.refuse = func(w http.ResponseWriter, _ *http.Request, _ string) bool {
				if name == "in parts" {
					w.Header().Set("Content-Type", "multipart/related; boundary=x")
				}
				w.WriteHeader(c.status)
				fmt.Fprint(w, c.body)
				return true
			}
			sys := open(t, config(d.url, "soap11")+"faults: [{code: Server, text: is locked, kind: unavailable}, {code: Server.Busy, kind: rate-limited}]\n")
			_, err := sys.(connector.Sink).Write(t.Context(), connector.Write{Object: "item", Action: connector.Create, Doc: []byte(newDoc(1))})
			if c.read {
				_, err = sys.(connector.Finder).Find(t.Context(), connector.Lookup{Object: "item", Local: "7"})
			}
			f, _ := fault.As(err)
			if f == nil || f.Kind != c.kind || f.Field != c.field || !strings.Contains(f.Error(), c.text) || strings.Contains(f.Error(), password) {
				t.Errorf("got %v (%+v)", err, f)
			}
		})
	}
}

// TestIDocTarget: an order goes out as an IDoc over HTTP, as SAP's port would take it. No SAP was at hand: the other side is a stand-in, which shows what was sent.
func TestIDocTarget(t *testing.T) {
	var sent, media string
	status := 200
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		sent, media = string(b), r.Header.Get("Content-Type")
		if user, pass, _ := r.BasicAuth(); user != "HUB" || pass != password {
			w.WriteHeader(401)
			return
		}
		w.WriteHeader(status)
		fmt.Fprint(w, "<html>received</html>")
	}))
	defer srv.Close()
	sys := open(t, `connector: soap
url: `+srv.URL+`/sap/bc/idoc_xml
envelope: none
auth: {basic: {user: HUB, password: "${env:ITEMS_PASSWORD}"}}
objects:
  order:
    id: number
    create:
      request:
        ORDERS05:
          IDOC:
            "@BEGIN": "1"
            EDI_DC40: {"@SEGMENT": "1", DOCNUM: "{number}", IDOCTYP: ORDERS05, MESTYP: ORDERS, SNDPRN: WAYBILL}
            E1EDK01: {"@SEGMENT": "1", BELNR: "{number}", CURCY: "{currency}"}
            E1EDP01: {$each: lines, "@SEGMENT": "1", POSEX: "{no}", MENGE: "{quantity}", E1EDP19: {"@SEGMENT": "1", QUALF: "002", IDTNR: "{sku}"}}
      answer: none
      sent-id: number
`)
	write := func() (connector.Result, error) {
		return sys.(connector.Sink).Write(t.Context(), connector.Write{Object: "order", Action: connector.Create,
			Doc: []byte(`{"number":"0000004711","currency":"EUR","lines":[{"no":"10","quantity":2.500,"sku":"A&B"},{"no":"20","quantity":1}]}`)})
	}
	r, err := write()
	if err != nil || r.Local != "0000004711" || media != "text/xml; charset=utf-8" {
		t.Fatalf("%+v %v %s", r, err, media)
	}
	const want = `<ORDERS05 xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><IDOC BEGIN="1"><EDI_DC40 SEGMENT="1"><DOCNUM>0000004711</DOCNUM><IDOCTYP>ORDERS05</IDOCTYP><MESTYP>ORDERS</MESTYP><SNDPRN>WAYBILL</SNDPRN></EDI_DC40>` +
		`<E1EDK01 SEGMENT="1"><BELNR>0000004711</BELNR><CURCY>EUR</CURCY></E1EDK01><E1EDP01 SEGMENT="1"><POSEX>10</POSEX><MENGE>2.500</MENGE><E1EDP19 SEGMENT="1"><QUALF>002</QUALF><IDTNR>A&amp;B</IDTNR></E1EDP19></E1EDP01>` +
		`<E1EDP01 SEGMENT="1"><POSEX>20</POSEX><MENGE>1</MENGE></E1EDP01></IDOC></ORDERS05>`
	if _, body, _ := strings.Cut(sent, "?>\n"); body != want {
		t.Errorf("sent %s\nwant %s", body, want)
	}
	for code, kind := range map[int]fault.Kind{500: fault.UnknownOutcome, 503: fault.Unavailable, 400: fault.Invalid} {
		status = code
		if _, err := write(); fault.KindOf(err) != kind {
			t.Errorf("%d: %v", code, err)
		}
	}
	if _, err := sys.(connector.Finder).Find(t.Context(), connector.Lookup{Object: "order", Natural: map[string]string{"number": "1"}}); !errors.Is(err, connector.ErrNoLookup) || !strings.Contains(err.Error(), "set find.request") {
		t.Errorf("a look-up that there is not: %v", err)
	}
}

func TestSettings(t *testing.T) {
	for name, c := range map[string]struct{ old, new, want string }{
		"no items":                {"items: ListItemsResponse.item", "", "where the answer holds the objects is not said"},
		"no item":                 {", item: GetItemResponse.item", "", "get: where the answer holds the object is not said"},
		"no id in a request":      {"{it:id: \"{$id}\"}}, item: GetItem", "{it:id: \"7\"}}, item: GetItem", "it does not say which object"},
		"a prefix of ours":        {"namespaces: {it:", "namespaces: {soap: urn:x, it:", "the prefix soap is the envelope's"},
		"a prefix of nobody":      {"request: {it:GetItem:", "request: {x:GetItem:", `the prefix "x" is not one of namespaces`},
		"a type that is none":     {"price: decimal", "price: money", `types: "money" is none of them`},
		"a list that is none":     {"lists: [tags.tag]", "lists: [tags..tag]", "is no path"},
		"links":                   {"style: page,", "style: link,", "style: link means nothing to a SOAP service"},
		"a kind that is none":     {"kinds: {EXISTS: duplicate", "kinds: {EXISTS: twice", "is no kind of failure"},
		"a row for all":           {"namespaces:", "faults: [{kind: invalid}]\nnamespaces:", "a row that every fault fits"},
		"an envelope of none":     {"envelope: soap11", "envelope: none", "there is no envelope that could hold it"},
		"an action with quotes":   {`action: "urn:example:items:GetItem"`, `action: 'a"b'`, "it cannot hold quotes"},
		"a request of no element": {"request: {it:DeleteItem: {it:id: \"{$id}\"}}", "request: x", "this is no element"},
		"a URL":                   {"url: http://items.example.com", "url: items", "url:"},
	} {
		t.Run(name, func(t *testing.T) {
			yaml := strings.Replace(config("http://items.example.com", "soap11"), c.old, c.new, 1)
			var p strictyaml.Problems
			Kind{}.Check(settingsOf(t, yaml), &p)
			if err := p.Err(); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
	s := settingsOf(t, config("http://items.example.com", "soap11"))
	if got := (Kind{}).Describe(s, "item"); got.External != "externalId" || !got.Searched || strings.Join(got.Stamps, " ") != "changed lock" {
		t.Errorf("described as %+v", got)
	}
	if got := (Kind{}).Ordering(s, "item"); got.By != connector.ByStamp {
		t.Errorf("ordered by %+v", got)
	}
}

// TestCursor: a service that gives a token for the next page is asked with it, and a list in which one object comes alone on a page is a list.
func TestCursor(t *testing.T) {
	d := newDouble(t)
	var asked []string
	d.refuse = func(w http.ResponseWriter, _ *http.Request, body string) bool {
		_, call, _ := strings.Cut(body, "<soap:Body>")
		call, _, _ = strings.Cut(call, "</soap:Body>")
		asked = append(asked, call)
		page := "<rows><row><no>0001</no><at>2026-03-01T12:00:00Z</at></row><row><no>0002</no><at>2026-03-01T12:00:01Z</at></row></rows><next>a&amp;b</next>"
		if strings.Contains(call, "a&amp;b") {
			page = "<rows><row><no>0003</no><at>2026-03-01T12:00:02Z</at></row></rows>"
		}
		fmt.Fprint(w, envelope(ns11, "<QueryResponse>"+page+"</QueryResponse>"))
		return true
	}
	sys := open(t, `connector: soap
url: `+d.url+`
namespaces: {q: urn:q}
objects:
  row:
    id: no
    version: at
    list:
      request: {q:Query: {q:since: "{$since}", q:token: "{$token}"}}
      items: QueryResponse.rows.row
      paging: {style: cursor, parameter: token, next: QueryResponse.next, stable: true}
      changed-since: {parameter: since}
`)
	poll := func(cursor string) (ids []string, next string) {
		t.Helper()
		for {
			p, err := sys.(connector.Poller).Poll(t.Context(), connector.PollRequest{Object: "row", Cursor: cursor})
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range p.Records {
				ids = append(ids, r.Local)
			}
			if cursor = p.Cursor; !p.More {
				return ids, cursor
			}
		}
	}
	ids, cursor := poll("")
	if got := strings.Join(ids, " "); got != "0001 0002 0003" {
		t.Errorf("polled %s", got)
	}
	if want := []string{"<q:Query></q:Query>", "<q:Query><q:token>a&amp;b</q:token></q:Query>"}; len(asked) != 2 || asked[0] != want[0] || asked[1] != want[1] {
		t.Errorf("asked %q, want %q", asked, want)
	}
	asked = nil
	if ids, _ := poll(cursor); len(ids) > 0 {
		t.Errorf("polled again: %v", ids)
	}
	if len(asked) == 0 || !strings.Contains(asked[0], "<q:since>2026-03-01T12:00:0") {
		t.Errorf("asked again %q", asked)
	}
}
