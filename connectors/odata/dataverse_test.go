package odata

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
)

// csdl has the form in which Dataverse describes itself: a base type without properties, an alias, look-ups whose property and navigation have two names, and
// one property that two navigations repeat.
const csdl = `<?xml version="1.0" encoding="utf-8"?>
<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:DataServices>
<Schema Namespace="Microsoft.Dynamics.CRM" Alias="mscrm" xmlns="http://docs.oasis-open.org/odata/ns/edm">
<EntityType Name="crmbaseentity" Abstract="true"/>
<EntityType Name="product" BaseType="mscrm.crmbaseentity"><Key><PropertyRef Name="productid"/></Key>
 <Property Name="productid" Type="Edm.Guid"/><Property Name="productnumber" Type="Edm.String" Unicode="false"/><Property Name="_defaultuomid_value" Type="Edm.Guid"/><Property Name="_open_value" Type="Edm.Guid"/>
 <NavigationProperty Name="defaultuomid" Type="mscrm.uom" Nullable="false"><ReferentialConstraint Property="_defaultuomid_value" ReferencedProperty="uomid"/></NavigationProperty>
 <NavigationProperty Name="open" Type="mscrm.uom"/><NavigationProperty Name="homeless" Type="mscrm.uom"><ReferentialConstraint Property="_open_value" ReferencedProperty="uomid"/></NavigationProperty>
 <NavigationProperty Name="lines" Type="Collection(mscrm.line)"/></EntityType>
<EntityType Name="uom" BaseType="mscrm.crmbaseentity"><Key><PropertyRef Name="uomid"/></Key><Property Name="uomid" Type="Edm.Guid"/></EntityType>
<EntityType Name="line" BaseType="mscrm.crmbaseentity"><Key><PropertyRef Name="lineid"/></Key><Property Name="lineid" Type="Edm.Guid"/><Property Name="quantity" Type="Edm.Decimal" Scale="Variable"/>
 <NavigationProperty Name="productid" Type="mscrm.product"/></EntityType>
<EntityContainer Name="System">
 <EntitySet Name="products" EntityType="Microsoft.Dynamics.CRM.product"><NavigationPropertyBinding Path="defaultuomid" Target="uoms"/><NavigationPropertyBinding Path="open" Target="uoms"/></EntitySet>
 <EntitySet Name="uoms" EntityType="Microsoft.Dynamics.CRM.uom"/><EntitySet Name="lines" EntityType="Microsoft.Dynamics.CRM.line"/>
</EntityContainer></Schema></edmx:DataServices></edmx:Edmx>`

const (
	one = "7f3e0000-0000-0000-0000-000000000001"
	two = "7f3e0000-0000-0000-0000-000000000002"
)

// crm is a service of that form, which answers by a script: to the method, the address and the preference, or else to the method and the address. It gives
// what it was asked, with bodies.
func crm(t *testing.T, object string, answers map[string]string) (*trader, *[]string) {
	asked := &[]string{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		at, _ := strings.CutPrefix(r.URL.RequestURI(), "/api/data/v9.2/")
		if at == "$metadata" {
			fmt.Fprint(w, csdl)
			return
		}
		body, _ := io.ReadAll(r.Body)
		*asked = append(*asked, strings.TrimSpace(r.Method+" "+at+" "+r.Header.Get("Prefer")+string(body)))
		answer, ok := answers[r.Method+" "+at]
		if status, text, is := strings.Cut(answer, "!"); ok && is {
			w.WriteHeader(map[string]int{"204": 204, "400": 400}[status])
			fmt.Fprint(w, text)
			return
		}
		if !ok {
			w.WriteHeader(404)
			return
		}
		fmt.Fprint(w, strings.ReplaceAll(answer, "HOST", "https://acme.api.crm.example.com/api/data/v9.2/"))
	}))
	t.Cleanup(srv.Close)
	return openTrader(t, settingsOf(t, "connector: odata\nurl: "+srv.URL+"/api/data/v9.2\nerrors: {kinds: {\"0x80044352\": not-found}}\nobjects:\n  product: {set: products, numbers: number, "+object+"}\n")), asked
}

// TestBind: what a document names by its key is written as a link, and what it names by nothing is taken away.
func TestBind(t *testing.T) {
	s, asked := crm(t, "bind: [defaultuomid]", map[string]string{
		"POST products":               `{"productid":"` + one + `"}`,
		"PATCH products(" + one + ")": "204!",
	})
	s.create("product", "", `{"productnumber":"00123","_defaultuomid_value":"`+two+`"}`)
	s.update("product", one, `{"_defaultuomid_value":null}`)
	s.update("product", one, `{"productnumber":"1"}`)
	want := []string{
		`POST products {"productnumber":"00123","defaultuomid@odata.bind":"/uoms(` + two + `)"}`,
		`PATCH products(` + one + `) {"defaultuomid@odata.bind":null}`,
		`PATCH products(` + one + `) {"productnumber":"1"}`,
	}
	if got := strings.Join(*asked, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("asked\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
	s.refused(fault.Invalid, "product", one, `{"_defaultuomid_value":"no guid"}`, "_defaultuomid_value")
}

func TestLinksThatCannotBe(t *testing.T) {
	for name, want := range map[string]string{
		"defaultuom": `bind: products has no navigation property "defaultuom"; did you mean "defaultuomid"?`,
		"lines":      "bind: lines of products does not lead to one object",
		"open":       "bind: $metadata does not say which property of products repeats the key of open",
		"homeless":   "bind: $metadata does not say which set homeless of products leads to",
	} {
		s, _ := crm(t, "bind: ["+name+"]", nil)
		if _, err := s.sys.Find(t.Context(), connector.Lookup{Object: "product", Local: one}); fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %q", name, err, want)
		}
	}
}

// TestListsBehindLinks: where the service's links count, they are followed for lists inside objects too, with all that was asked for: one that leads behind
// what is there, and one that shows the whole list once more.
func TestListsBehindLinks(t *testing.T) {
	line := func(id, number string) string {
		return `{"lineid":"` + id + `","quantity":1.50,"productid":{"productnumber":"` + number + `"}}`
	}
	for name, of := range map[string]struct{ link, answer, more string }{
		"behind":  {"HOSTproducts(" + one + ")/lines?$skiptoken=2", line(two, "B"), ""},
		"again":   {"HOSTproducts(" + one + ")/lines?x", line(one, "A") + "," + line(two, "B"), ""},
		"by one":  {"HOSTproducts(" + one + ")/lines?x", line(one, "A"), `,"@odata.nextLink":"HOSTproducts(` + one + `)/lines?$skiptoken=2"`},
		"nothing": {"HOSTproducts(" + one + ")/lines?x", line(one, "A") + "," + line(two, "B"), `,"@odata.nextLink":"HOSTproducts(` + one + `)/lines?empty"`},
		"circle":  {"HOSTproducts(" + one + ")/lines?x", line(two, "B"), `,"@odata.nextLink":"HOSTproducts(` + one + `)/lines?x"`},
	} {
		s, asked := crm(t, `paging: links, size: 7, expand: ["lines($expand=productid($select=productnumber))"]`, map[string]string{
			"GET products(" + one + ")?$expand=lines($expand=productid($select=productnumber))": `{"productid":"` + one + `","lines":[` + line(one, "A") + `],"lines@odata.nextLink":"` + of.link + `"}`,
			"GET products(" + one + ")/lines?x":                                                 `{"value":[` + of.answer + `]` + of.more + `}`,
			"GET products(" + one + ")/lines?$skiptoken=2":                                      `{"value":[` + line(two, "B") + `]}`,
			"GET products(" + one + ")/lines?empty":                                             `{"value":[]}`,
		})
		found, err := s.sys.Find(t.Context(), connector.Lookup{Object: "product", Local: one})
		if name == "circle" {
			if fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "leads in a circle") {
				t.Errorf("a circle: %v", err)
			}
			continue
		}
		if err != nil || len(found) != 1 {
			t.Fatalf("%s: %v, %q", name, err, *asked)
		}
		if want := `{"productid":"` + one + `","lines":[` + line(one, "A") + `,` + line(two, "B") + `]}`; string(found[0].Doc) != want {
			t.Errorf("%s: %s, want %s", name, found[0].Doc, want)
		}
		if last := (*asked)[len(*asked)-1]; !strings.HasSuffix(last, " odata.maxpagesize=7") {
			t.Errorf("%s: asked %s", name, last)
		}
	}
}

// TestListsThatMove: of a list that changes between the pages nothing stands twice in the object, and nothing is left out; where that cannot be told, it is read another time.
func TestListsThatMove(t *testing.T) {
	line := func(id string) string { return `{"lineid":"` + id + `"}` }
	const three = "7f3e0000-0000-0000-0000-000000000003"
	for name, of := range map[string]struct{ first, then, want string }{
		"another one before them":     {line(three) + "," + line(one) + "," + line(two), "", line(three) + "," + line(one) + "," + line(two)},
		"in another order":            {line(three), line(two) + "," + line(one), line(three) + "," + line(two) + "," + line(one)},
		"one that is gone":            {line(two), "", ""},
		"one that slipped":            {line(two) + "," + line(three), "", ""},
		"one that comes twice":        {line(three), line(three), ""},
		"behind those that are there": {line(three), "", line(one) + "," + line(two) + "," + line(three)},
	} {
		s, _ := crm(t, `paging: links, expand: [lines]`, map[string]string{
			"GET products(" + one + ")?$expand=lines":      `{"productid":"` + one + `","lines":[` + line(one) + "," + line(two) + `],"lines@odata.nextLink":"HOSTproducts(` + one + `)/lines?x"}`,
			"GET products(" + one + ")/lines?x":            `{"value":[` + of.first + `],"@odata.nextLink":"HOSTproducts(` + one + `)/lines?$skiptoken=2"}`,
			"GET products(" + one + ")/lines?$skiptoken=2": `{"value":[` + of.then + `]}`,
		})
		found, err := s.sys.Find(t.Context(), connector.Lookup{Object: "product", Local: one})
		switch {
		case of.want == "" && (fault.KindOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "lines moved while it was read")):
			t.Errorf("%s: %v", name, err)
		case of.want != "" && (err != nil || len(found) != 1 || string(found[0].Doc) != `{"productid":"`+one+`","lines":[`+of.want+`]}`):
			t.Errorf("%s: %v, %v", name, found, err)
		}
	}
}

// TestDeltaOfDataverse: it writes the key of what is deleted without its set, its pages are as long as they are asked for, and a place that it has forgotten is a
// code of its own.
func TestDeltaOfDataverse(t *testing.T) {
	s, asked := crm(t, "changes: delta, select: [productnumber], size: 5", map[string]string{
		"GET products?$select=productnumber,productid": `{"value":[{"productid":"` + one + `","productnumber":"A"}],"@odata.deltaLink":"HOSTproducts?$select=productnumber,productid&$deltatoken=1"}`,
		"GET products?$select=productnumber,productid&$deltatoken=1": `{"value":[{"@odata.context":"HOST$metadata#products/$deletedEntity","id":"` + two + `","reason":"deleted"}],
			"@odata.deltaLink":"HOSTproducts?$select=productnumber,productid&$deltatoken=2"}`,
		"GET products?$select=productnumber,productid&$deltatoken=2": `400!{"error":{"code":"0x80044352","message":"Version stamp associated with the client has expired. Please perform a full sync."}}`,
	})
	p := s.pollOf("product", "")
	if len(p.Records) != 1 || p.Records[0].Local != one || p.More {
		t.Fatalf("first: %+v", p)
	}
	if p = s.pollOf("product", p.Cursor); len(p.Records) != 1 || p.Records[0].Local != two || !p.Records[0].Deleted {
		t.Fatalf("then: %+v", p)
	}
	if p = s.pollOf("product", p.Cursor); len(p.Records) != 0 || !p.More {
		t.Fatalf("a place that is forgotten: %+v", p)
	}
	if p = s.pollOf("product", p.Cursor); len(p.Records) != 1 || p.Records[0].Local != one {
		t.Errorf("after that: %+v", p)
	}
	if !strings.HasSuffix((*asked)[0], " odata.maxpagesize=5,odata.track-changes") || !strings.HasSuffix((*asked)[1], " odata.maxpagesize=5") {
		t.Errorf("asked %q", *asked)
	}
}
