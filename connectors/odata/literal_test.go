package odata

import (
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestLiterals(t *testing.T) {
	v2, v4 := metadataOf(t, "v2.xml").types["API_SALES_ORDER_SRV.A_SalesOrderType"], metadataOf(t, "v4.xml").types["sap.orders.SalesOrder"]
	for _, c := range []struct {
		version        int
		property, text string
		want           string // "!" and what is wrong
	}{
		{2, "SalesOrder", "it's", "'it''s'"},
		{2, "SalesOrderDate", "2026-11-29", "datetime'2026-11-29T00:00:00'"},
		{2, "SalesOrderDate", "2026-02-30", "!does not exist"},
		{2, "SalesOrderDate", "2026-11-29T10:00:00Z", "!time of day"},
		{2, "CreationDate", "2026-11-29T10:00:00.5+02:00", "datetime'2026-11-29T08:00:00.5'"},
		{2, "LastChangeDateTime", "2026-11-29T10:00:00+02:00", "datetimeoffset'2026-11-29T08:00:00Z'"},
		{2, "LastChangeDateTime", "2026-11-29T10:00:00", "!no zone"},
		{2, "CreationTime", "10:30:00", "time'PT10H30M00S'"},
		{2, "CreationTime", "25:00:00", "!time of day"},
		{2, "Net", "12.50", "12.50M"},
		{2, "Net", "1e3' or '1' eq '1", "!no decimal"},
		{2, "Rate", "1.5e3", "1.5e3d"},
		{2, "Rate", "INF", "!no number"},
		{2, "Count", "17", "17"},
		{2, "Count", "3000000000", "!no Int32"},
		{2, "Big", "17", "17L"},
		{2, "Big", "1 or 1 eq 1", "!whole"},
		{2, "Uid", "005056AB-1EE9-1EDB-96C2-3A2B4C5D6E7F", "guid'005056AB-1EE9-1EDB-96C2-3A2B4C5D6E7F'"},
		{2, "Uid", "x", "!no GUID"},
		{2, "Open", "true", "true"},
		{2, "Open", "yes", "!neither"},
		{2, "Raw", "AQ==", "binary'AQ=='"},
		{2, "Raw", "'", "!base64"},
		{4, "ID", "005056ab-1ee9-1edb-96c2-3a2b4c5d6e7f", "005056ab-1ee9-1edb-96c2-3a2b4c5d6e7f"},
		{4, "Created", "2026-11-29T10:00:00.1234567+02:00", "2026-11-29T08:00:00.1234567Z"},
		{4, "Day", "2026-11-29", "2026-11-29"},
		{4, "At", "10:30:00", "10:30:00"},
		{4, "Took", "PT1H", "duration'PT1H'"},
		{4, "Took", "1 h", "!duration"},
		{4, "Amount", "12.50", "12.50"},
		{4, "Amount", "1e9999", "!no decimal"},
		{4, "Big", "-17", "-17"},
		{4, "Status", "Open", "sap.orders.Status'Open'"},
		{4, "Currency", "€", "'€'"},
		{4, "Foreign", "x", "!no literals"},
	} {
		typ, m := v2, &metadata{version: 2}
		if c.version == 4 {
			typ, m = v4, &metadata{version: 4}
		}
		got, err := m.literal(typ.property(c.property), c.text)
		if why, bad := strings.CutPrefix(c.want, "!"); bad {
			if err == nil || !strings.Contains(err.Error(), why) {
				t.Errorf("V%d %s %q: %s, %v; want the error %q", c.version, c.property, c.text, got, err, why)
			}
		} else if got != c.want || err != nil {
			t.Errorf("V%d %s %q: %s, %v; want %s", c.version, c.property, c.text, got, err, c.want)
		}
	}
}

// TestKeysComeBack: whatever a key's values are, its id and its address give the key again, and the address is one segment that says nothing else.
func TestKeysComeBack(t *testing.T) {
	one := []*property{{name: "Product", kind: stringType}}
	three := []*property{{name: "A", kind: stringType}, {name: "No", kind: int64Type}, {name: "B", kind: stringType}}
	rapid.Check(t, func(t *rapid.T) {
		m := &metadata{version: rapid.SampledFrom([]int{2, 4}).Draw(t, "version")}
		parts := rapid.SampledFrom([][]*property{one, three}).Draw(t, "parts")
		k := key{m: m, parts: parts}
		for _, p := range parts {
			if p.kind == int64Type {
				k.values = append(k.values, rapid.StringMatching(`[1-9][0-9]{0,17}`).Draw(t, p.name))
				continue
			}
			k.values = append(k.values, rapid.OneOf(rapid.StringMatching(`[ -~]{1,12}`), rapid.StringN(1, 12, -1)).Draw(t, p.name))
		}
		back, err := m.keyOf(parts, k.local())
		if err != nil || strings.Join(back.values, "\x00") != strings.Join(k.values, "\x00") {
			t.Fatalf("%q gives %q, %v", k.local(), back.values, err)
		}
		predicate, err := k.predicate()
		if err != nil {
			t.Fatal(err)
		}
		u, err := url.Parse("http://s4/sap/Products" + predicate)
		if err != nil || strings.Count(u.EscapedPath(), "/") != 2 || u.RawQuery != "" || u.Fragment != "" {
			t.Fatalf("%s: %v", predicate, err)
		}
		at, ok := m.keyAt(parts, u.String())
		if !ok {
			t.Fatalf("no key in %s", u)
		}
		for i := range k.values {
			// An apostrophe that stands alone is taken for itself in an address, so that pairs of them cannot be told where one stands alone.
			if !strings.Contains(k.values[i], "'") && at.values[i] != k.values[i] {
				t.Fatalf("%s gives %q, want %q", u, at.values, k.values)
			}
		}
	})
}

func TestAddresses(t *testing.T) {
	m := &metadata{version: 2}
	one := []*property{{name: "Id", kind: stringType}}
	two := []*property{{name: "Order", kind: stringType}, {name: "Item", kind: stringType}}
	for _, c := range []struct {
		parts   []*property
		address string
		want    string // values with | between them; "-": there is no key
	}{
		{one, "http://h/sap/A_SalesOrder('71000')", "71000"},
		{one, "A_SalesOrder('71000')", "71000"},
		{one, "A_SalesOrder(Id='71000')/", "71000"},
		{one, "A_Product('AB%20C''D')?x=y", "AB C'D"},
		{one, "A_Product('AB%20C'D')", "AB C'D"}, // not doubled
		{one, "A_Product('A/B(1)')", "A/B(1)"},
		{one, "A_Product(')%2F(')", ")/("},
		{one, "A_Product%28%27A)%2fB(1%27%29/", "A)/B(1"},
		{one, "http://h/o('d)%2Fx(')/A_Product('100%25')", "100%"},
		{two, "http://h:8000/o(d)/A_SalesOrder('1')/to_Item(Order='1',Item='30')", "1|30"},
		{two, "A_Item(Item='3,0',Order='1')", "1|3,0"},
		{two, "A_Item(Item='30')", "-"},
		{one, "A_SalesOrder", "-"},
		{one, "", "-"},
		{[]*property{{name: "Id", kind: guidType}}, "S(guid'005056AB-1EE9-1EDB-96C2-3A2B4C5D6E7F')", "005056AB-1EE9-1EDB-96C2-3A2B4C5D6E7F"},
		{[]*property{{name: "Id", kind: int64Type}}, "S(17L)", "17"},
		{[]*property{{name: "Id", kind: decimalType}}, "S(1.50M)", "1.50"},
		{[]*property{{name: "Id", kind: dateType}}, "S(datetime'2026-11-29T00:00:00')", "2026-11-29"},
		{[]*property{{name: "Id", kind: timeType}}, "S(time'PT1H2M')", "01:02:00"},
	} {
		k, ok := m.keyAt(c.parts, c.address)
		if got := strings.Join(k.values, "|"); ok != (c.want != "-") || ok && got != c.want {
			t.Errorf("%s: %q, %v; want %q", c.address, got, ok, c.want)
		}
	}
}

func TestAfter(t *testing.T) {
	m := &metadata{version: 4}
	s := func(name string) *property { return &property{name: name, kind: stringType} }
	k := key{m: m, parts: []*property{s("A"), s("B"), {name: "N", kind: integerType, floor: -9, ceiling: 99}}, values: []string{"x'y", "", "7"}}
	got, err := k.after()
	if want := "A gt 'x''y' or (A eq 'x''y' and (B gt '' or (B eq '' and (N gt 7))))"; err != nil || got != want {
		t.Errorf("%s, %v; want %s", got, err, want)
	}
}
