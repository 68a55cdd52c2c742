package rest

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
)

// A 201 or 204 that names the place of the new object gives its id, and the id leads to the object by the object's own path.
func TestPlaceOfANewObject(t *testing.T) {
	const key = "get: {path: \"%s\"}\nupdate: {path: \"%s\"}\ndelete: {path: \"%s\"}"
	at := func(path string) string { return strings.ReplaceAll(key, "%s", path) }
	cases := []struct {
		name, object, header, value string
		id                          string
		path                        string // of the next call, unescaped; empty: the default
	}{
		{"plain", "path: customers", "Location", "/api/customers/17", "17", "/customers/17"},
		{"a slash at the end, and a query", "path: customers", "Location", "https://crm.example/api/customers/17/?v=2#x", "17", "/customers/17"},
		{"escapes", "path: customers", "Location", "/api/customers/a%2Fb%20%231%3F", "a/b #1?", "/customers/a/b #1?"},
		{"a plain id with brackets", "path: customers", "Location", "/api/customers/foo(1)", "foo(1)", "/customers/foo(1)"},
		{"an apostrophe and an open bracket", "path: customers", "Location", "/api/customers/O'Brien(x", "O'Brien(x", "/customers/O'Brien(x"},
		{"a per cent sign that escapes nothing", "path: customers", "Location", "/api/customers/100%", "100%", "/customers/100%"},
		{"OData, a number", at("Customers({id})"), "Location", "https://erp.example/odata/v4/s/Customers(17)", "17", "/Customers(17)"},
		{"OData, a text", at("A_Product('{id}')"), "Location", "http://erp.example/API/A_Product('AB%20C%27%27D')", "AB C'D", "/A_Product('AB C''D')"},
		{"OData, everything in a text", at("A_Product('{id}')"), "Location", "A_Product('a%2Fb%23c%3Fd%25e')", "a/b#c?d%e", "/A_Product('a/b#c?d%e')"},
		{"OData, a slash that is not escaped", at("A_Product('{id}')"), "Location", "/API/A_Product('a/b')", "a/b", "/A_Product('a/b')"},
		{"SAP CAP, an apostrophe that is not doubled", at("A_Customer('{id}')"), "Location", "A_Customer('O'B2')", "O'B2", "/A_Customer('O''B2')"},
		{"SAP CAP, and a slash that is not escaped", at("A_Customer('{id}')"), "Location", "A_Customer('O'B/1%20%252')", "O'B/1 %2", "/A_Customer('O''B/1 %2')"},
		{"SAP CAP, two apostrophes", at("A_Customer('{id}')"), "Location", "https://h/odata/v4/A_Customer('a'b/c'd')", "a'b/c'd", "/A_Customer('a''b/c''d')"},
		{"OData, a GUID of V2", at("Sets(guid'{id}')"), "Location", "/v2/Sets(guid'0050568d-393c-1ed4-9d97-e65f0f3fcc23')", "0050568d-393c-1ed4-9d97-e65f0f3fcc23", "/Sets(guid'0050568d-393c-1ed4-9d97-e65f0f3fcc23')"},
		{"OData, a draft", at("Orders(ID={id},IsActiveEntity=true)"), "Location", "Orders(ID=68f3,IsActiveEntity=true)", "68f3", "/Orders(ID=68f3,IsActiveEntity=true)"},
		{"OData, a draft, kept whole", at("Orders({id})"), "Location", "Orders(ID=68f3,IsActiveEntity=true)", "ID=68f3,IsActiveEntity=true", "/Orders(ID=68f3,IsActiveEntity=true)"},
		{"OData, two parts with their brackets", at("A_Stock{id}"), "Location", "/API/A_Stock(Product='A%2C%20B',Plant='O%27%27Neil')", "(Product='A, B',Plant='O''Neil')", "/A_Stock(Product='A, B',Plant='O''Neil')"},
		{"OData, a named key", at("Books('{id}')"), "Location", "/s/Books(ID='x%27%27y')", "x'y", "/Books('x''y')"},
		{"OData, a key as a segment", "path: Books", "Location", "/odata/Books(17L)", "17", "/Books/17"},
		{"OData, a GUID for a segment", "path: Books", "Location", "/odata/Books(guid'68f3-a')", "68f3-a", "/Books/68f3-a"},
		{"OData, two parts for a segment", "path: Books", "Location", "/odata/Books(A='1',B=2)", "(A='1',B=2)", "/Books/(A='1',B=2)"},
		{"Dynamics", at("accounts({id})"), "OData-EntityId", "https://org.example/api/data/v9.2/accounts(00000000-0000-0000-0000-000000000001)", "00000000-0000-0000-0000-000000000001", "/accounts(00000000-0000-0000-0000-000000000001)"},
		{"a part of the object", "path: orders\nget: {path: \"orders/{id}/full\"}", "Location", "/api/orders/9/full", "9", "/orders/9/full"},
		{"the object, whose reading is a part", "path: orders\nget: {path: \"orders/{id}/full\"}", "Location", "/api/orders/9", "9", "/orders/9/full"},
		{"a header of its own", "path: orders\ncreate: {answer-header: X-Created}", "X-Created", "4711", "4711", "/orders/4711"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			var asked string
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == "POST" {
					w.Header().Set(tc.header, tc.value)
					w.WriteHeader(204)
					return
				}
				asked, _ = url.PathUnescape(r.RequestURI)
				io.WriteString(w, `{}`)
			}))
			defer srv.Close()
			sys, err := Kind{}.Open(t.Context(), settingsOf(t, "connector: rest\nurl: "+srv.URL+"\nobjects:\n  item:\n    "+strings.ReplaceAll(tc.object, "\n", "\n    ")+"\n"))
			if err != nil {
				t.Fatal(err)
			}
			defer sys.Close()
			r, err := create(t, sys.(*system))
			if err != nil || r.Local != tc.id {
				t.Fatalf("%q %v, want %q", r.Local, err, tc.id)
			}
			if _, err := sys.(connector.Finder).Find(t.Context(), connector.Lookup{Object: "item", Local: r.Local}); err != nil {
				t.Fatal(err)
			}
			if asked != tc.path {
				t.Errorf("the next call asks for %s, want %s", asked, tc.path)
			}
		})
	}
}

// Whatever the id: what pathOf writes, idAt reads.
func TestIDsComeBackFromTheirPath(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		template := rapid.SampledFrom([]string{"items/{id}", "items/{id}/", "Items('{id}')", "Items(Key='{id}',Active=true)", "Items(guid'{id}')", "v2/items/{id}/all"}).Draw(t, "template")
		id := rapid.StringMatching(`[a-zA-Z0-9'"#?/%()=,;+& .äß{}\\-]{1,12}`).Filter(func(s string) bool { return s != "." && s != ".." }).Draw(t, "id")
		path, err := pathOf(template, id)
		if err != nil {
			t.Fatal(err)
		}
		o := &object{Get: getSettings{Path: template}}
		for _, address := range []string{path, "/base/" + path, "https://erp.example/base/" + path + "?x=1"} {
			if got := o.idAt(address); got != id {
				t.Fatalf("%q at %s came back as %q", id, address, got)
			}
		}
	})
}

// A key in brackets is read and written as it stands.
func TestWholeKeysComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		part := rapid.StringMatching(`[a-z0-9#?/% äß]{1,6}(''[a-z]{1,3})?`)
		id := "(A='" + part.Draw(t, "a") + "',B='" + part.Draw(t, "b") + "')"
		path, err := pathOf("Items{id}", id)
		if err != nil {
			t.Fatal(err)
		}
		o := &object{Get: getSettings{Path: "Items{id}"}}
		if got := o.idAt("/base/" + path); got != id {
			t.Fatalf("%q at %s came back as %q", id, path, got)
		}
	})
}

func FuzzIDAt(f *testing.F) {
	for _, seed := range []string{"/a/b(1)", "x('a/b')?q", "https://h", "((((", "%", "a('%27%27')", "//h/p#f"} {
		f.Add(seed)
	}
	o := &object{Get: getSettings{Path: "Items('{id}')"}, Update: updateSettings{writeSettings: writeSettings{Path: "Items/{id}"}}}
	f.Fuzz(func(t *testing.T, address string) {
		id := o.idAt(address)
		if len(id) > len(address)+2 {
			t.Errorf("%q gives %q", address, id)
		}
	})
}

// The address in a body is one, too; an id that merely holds a slash is an id.
func TestAddressInTheBody(t *testing.T) {
	for body, want := range map[string]string{
		`{"@odata.id":"https://org.example/api/accounts(68f3)"}`: "68f3", `{"@odata.id":"accounts(68f3)"}`: "68f3",
	} {
		sys := told(t, 200, nil, body, "probe: health", "get: {path: \"accounts({id})\"}\nupdate: {path: \"accounts({id})\"}\ncreate: {answer-id: '@odata.id'}")
		if r, err := create(t, sys); err != nil || r.Local != want {
			t.Errorf("%s: %q %v", body, r.Local, err)
		}
	}
	sys := told(t, 200, nil, `{"id":"https://schema.example/things/7"}`, "probe: health", "path: items")
	if r, err := create(t, sys); err != nil || r.Local != "https://schema.example/things/7" {
		t.Errorf("%q %v", r.Local, err)
	}
}

// Values that stand in quotes are written as such a literal holds them; null, "" and absent stay three things.
func TestLiteralsAndNulls(t *testing.T) {
	s := newShop(t, "none")
	sys := open(t, s, "list: {items: items}\nfind: {external: {$filter: \"ref eq '{external}'\"}, natural: {domain: '[[\"code\",\"=\",\"{code}\"]]'}}")
	for _, l := range []connector.Lookup{{External: "O'Brien"}, {Natural: map[string]string{"code": `5" \ x`}}} {
		l.Object = "item"
		if _, err := sys.Find(t.Context(), l); err != nil {
			t.Fatal(err)
		}
	}
	asked := s.asked()
	first, _ := url.QueryUnescape(asked[0])
	second, _ := url.QueryUnescape(asked[1])
	if !strings.HasSuffix(first, `$filter=ref eq 'O''Brien'`) || !strings.HasSuffix(second, `domain=[["code","=","5\" \\ x"]]`) {
		t.Errorf("%s\n%s", first, second)
	}
	for _, style := range []string{"patch", "put"} {
		s := newShop(t, "none")
		s.put = style == "put"
		sys := open(t, s, common+"update: {style: "+style+", omit: [updatedAt, lock]}")
		r, err := sys.Write(t.Context(), connector.Write{Object: "item", Action: connector.Create, External: "e", Doc: []byte(`{"code":"A","a":"x","b":null,"c":""}`)})
		if err != nil {
			t.Fatal(err)
		}
		if r, err = sys.Write(t.Context(), connector.Write{Object: "item", Action: connector.Update, Local: r.Local, Doc: []byte(`{"a":null,"b":"","d":null}`)}); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{`"a":null`, `"b":""`, `"c":""`, `"d":null`} {
			if !strings.Contains(string(r.Doc), want) {
				t.Errorf("%s: %s is not in %s", style, want, r.Doc)
			}
		}
		if strings.Contains(string(r.Doc), `"e":`) {
			t.Errorf("%s: what nobody sent is there: %s", style, r.Doc)
		}
	}
	if _, err := sys.Write(t.Context(), connector.Write{Object: "item", Action: connector.Update, Local: ".."}); fault.KindOf(err) != fault.Invalid {
		t.Errorf("%v", err)
	}
}
