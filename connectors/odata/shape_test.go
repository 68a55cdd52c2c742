package odata

import (
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

func TestDocuments(t *testing.T) {
	v2, v4 := metadataOf(t, "v2.xml"), metadataOf(t, "v4.xml")
	for _, c := range []struct {
		version    int
		wire, want string // "!" and what is wrong
	}{
		{2, `{"__metadata":{"uri":"x"},"SalesOrder":"1","Net":"12.500","Big":"9007199254740993","Rate":"1.5E+02","Count":7,"Open":true,"to_Item":{"__deferred":{"uri":"y"}}}`,
			`{"SalesOrder":"1","Net":12.500,"Big":9007199254740993,"Rate":1.5E+02,"Count":7,"Open":true}`},
		{2, `{"SalesOrderDate":"/Date(1795910400000)/","CreationDate":"/Date(1795910400000)/","LastChangeDateTime":"/Date(1795946400123+0120)/","CreationTime":"PT10H30M00S"}`,
			`{"SalesOrderDate":"2026-11-29","CreationDate":"2026-11-29T00:00:00Z","LastChangeDateTime":"2026-11-29T10:00:00.123Z","CreationTime":"10:30:00"}`},
		{2, `{"SalesOrderDate":"/Date(253402214400000)/"}`, `{"SalesOrderDate":"9999-12-31"}`}, // for ever
		{2, `{"SalesOrderDate":"/Date(-62135596800000)/"}`, `{"SalesOrderDate":"0001-01-01"}`},
		{2, `{"SalesOrderDate":null,"Net":null,"to_Item":{"results":[{"SalesOrder":"1","SalesOrderItem":"10","__metadata":{}}]}}`,
			`{"SalesOrderDate":null,"Net":null,"to_Item":[{"SalesOrder":"1","SalesOrderItem":"10"}]}`},
		{2, `{"Unknown":{"results":[{"__metadata":{},"a":{"__deferred":{}},"b":1}]}}`, `{"Unknown":[{"b":1}]}`},
		{2, `{"SalesOrderDate":"/Date(253402300800000)/"}`, "!SalesOrderDate: /Date(253402300800000)/ is after the year 9999"},
		{2, `{"SalesOrderDate":"/Date(1)"}`, "!SalesOrderDate: /Date(1)"},
		{2, `{"Net":"12,50"}`, `!Net: "12,50" is no number`},
		{2, `{"Rate":"INF"}`, "!Rate"},
		{2, `{"CreationTime":"PT25H"}`, "!CreationTime"},
		{2, `{"to_Item":{"results":[{"SalesOrder":"1"}],"__next":"http://x/y"}}`, "!to_Item: the list is cut"},
		{4, `{"@odata.context":"c","@odata.etag":"e","ID":"x","Amount":"12.50","Free":1.000,"Big":"17","Rate":1e3,"Name@odata.type":"#String","Items@odata.context":"i","Items":[{"@odata.etag":"e","Pos":1,"Quantity":"1.500"}]}`,
			`{"ID":"x","Amount":12.50,"Free":1.000,"Big":17,"Rate":1e3,"Items":[{"Pos":1,"Quantity":1.500}]}`},
		{4, `{"Created":"2026-11-29T10:00:00.1234567+02:00","Day":"2026-11-29","At":"10:30:00.5","Took":"PT1H","Status":"Open","Tags":["a","b"],"Ship":{"@odata.type":"t","City":"Köln","Since":"2026-01-01"},"Ships":[{"City":"Bonn"}],"Foreign":{"x":[1]}}`,
			`{"Created":"2026-11-29T10:00:00.1234567+02:00","Day":"2026-11-29","At":"10:30:00.5","Took":"PT1H","Status":"Open","Tags":["a","b"],"Ship":{"City":"Köln","Since":"2026-01-01"},"Ships":[{"City":"Bonn"}],"Foreign":{"x":[1]}}`},
		{4, `{"Picture":"x","Picture@odata.mediaReadLink":"y","Amount":"007.5","Items":null}`, `{"Amount":7.5,"Items":null}`},
		{4, `{"Day":"2026-02-30"}`, "!Day: 2026-02-30 names a day that does not exist"},
		{4, `{"Created":"2026-11-29T10:00:00"}`, "!Created: 2026-11-29T10:00:00 names no zone"},
		{4, `{"Ships":[{"City":"Bonn"},{"Since":"x"}]}`, "!Ships.1.Since"},
		{4, `{"Tags":"a"}`, "!Tags"},
		{4, `{"Ship":"a"}`, "!Ship"},
		{4, `{"Amount":true}`, "!Amount"},
		{4, `{"Amount":"` + strings.Repeat("1", 130) + `"}`, "!Amount: has more than 128 digits"},
		{4, `{"Items":[{"Pos":1}],"Items@odata.nextLink":"x"}`, "!Items: the list is cut"},
	} {
		m, typ := v2, v2.types["API_SALES_ORDER_SRV.A_SalesOrderType"]
		if c.version == 4 {
			m, typ = v4, v4.types["sap.orders.SalesOrder"]
		}
		got, err := m.document(nil, parsed(t, c.wire), typ, nil)
		if why, bad := strings.CutPrefix(c.want, "!"); bad {
			if err == nil || !strings.Contains(err.Error(), why) {
				t.Errorf("V%d %s: %s, %v; want the error %q", c.version, c.wire, got, err, why)
			}
		} else if string(got) != c.want || err != nil {
			t.Errorf("V%d %s:\ngot  %s, %v\nwant %s", c.version, c.wire, got, err, c.want)
		}
	}
}

func TestBodies(t *testing.T) {
	v2, v4 := metadataOf(t, "v2.xml"), metadataOf(t, "v4.xml")
	for _, c := range []struct {
		version   int
		doc, want string // "!" and what is wrong
	}{
		{2, `{"Net":12.5,"Big":17,"Rate":1.5,"Count":7.0,"SalesOrderDate":"2026-11-29","CreationDate":"2026-11-29T01:00:00","LastChangeDateTime":"2026-11-29T10:00:00.123+02:00","CreationTime":"10:30:00","Open":false}`,
			`{"Net":"12.5","Big":"17","Rate":"1.5","Count":7,"SalesOrderDate":"/Date(1795910400000)/","CreationDate":"/Date(1795914000000)/","LastChangeDateTime":"/Date(1795939200123+0000)/","CreationTime":"PT10H30M00S","Open":false}`},
		{2, `{"to_Item":[{"SalesOrderItem":"10"}],"Net":null}`, `{"to_Item":[{"SalesOrderItem":"10"}],"Net":null}`},
		{2, `{"LastChangeDateTime":"2026-11-29T10:00:00.1234Z"}`, "!finer than the milliseconds"},
		{2, `{"SalesOrder":"12345678901"}`, "!SalesOrder: has 11 characters, and the service takes 10"},
		{2, `{"SalesOder":"1"}`, `!did you mean "SalesOrder"?`},
		{2, `{"SalesOrder":1}`, "!is no text"},
		{4, `{"Amount":12,"Free":1.50,"Big":9007199254740993,"Rate":1.5,"Count":-5}`, `{"Amount":"12","Free":"1.50","Big":"9007199254740993","Rate":1.5,"Count":-5}`},
		{4, `{"Tags":["a"],"Ship":{"City":"Köln"},"Ships":[{"Since":"2026-01-01"}],"Items":[{"Pos":1,"Quantity":"1.5"}],"Status":"Open","Took":"PT1H","At":"10:30","Raw":"AQ=="}`,
			`{"Tags":["a"],"Ship":{"City":"Köln"},"Ships":[{"Since":"2026-01-01"}],"Items":[{"Pos":1,"Quantity":"1.5"}],"Status":"Open","Took":"PT1H","At":"10:30","Raw":"AQ=="}`},
		{4, `{"Amount":12.5}`, "!Amount: 12.5 has 1 places, and the service takes 0"},
		{4, `{"Amount":12345678901234567}`, "!digits before the point"},
		{4, `{"Items":[{"Pos":1},{"Pos":2,"Quantity":1.2345}]}`, "!Items.1.Quantity: 1.2345 has 4 places"},
		{4, `{"Count":1.5}`, "!Count: 1.5 is no Int16"}, // SAP CAP 10 takes both of these, and a day that does not exist
		{4, `{"Count":40000}`, "!Count: 40000 is no Int16"},
		{4, `{"Day":"2026-02-30"}`, "!does not exist"},
		{4, `{"Created":"2026-02-01T10:00:00"}`, "!names no zone"},
		{4, `{"Open":"true"}`, "!neither true nor false"},
		{4, `{"At":"10"}`, "!time of day"},
		{4, `{"ID":"x"}`, "!no GUID"},
		{4, `{"Tags":"a"}`, "!is no list"},
		{4, `{"Ship":[]}`, "!is no object"},
		{4, `{"Items":7}`, "!is no object"},
		{4, `[]`, "!is no object"},
	} {
		m, typ := v2, v2.types["API_SALES_ORDER_SRV.A_SalesOrderType"]
		if c.version == 4 {
			m, typ = v4, v4.types["sap.orders.SalesOrder"]
		}
		got, err := writer{m: m, asText: true}.object(nil, parsed(t, c.doc), typ, nil)
		if why, bad := strings.CutPrefix(c.want, "!"); bad {
			if err == nil || !strings.Contains(err.Error(), why) {
				t.Errorf("V%d %s: %s, %v; want the error %q", c.version, c.doc, got, err, why)
			}
		} else if string(got) != c.want || err != nil {
			t.Errorf("V%d %s:\ngot  %s, %v\nwant %s", c.version, c.doc, got, err, c.want)
		}
	}
	got, err := writer{m: v4}.object(nil, parsed(t, `{"Amount":12,"Big":17}`), v4.types["sap.orders.SalesOrder"], nil)
	if want := `{"Amount":12,"Big":17}`; string(got) != want || err != nil {
		t.Errorf("as numbers: %s, %v; want %s", got, err, want)
	}
}

// TestRoundTrip: what was written in the wire's form is read as the document that it was.
func TestRoundTrip(t *testing.T) {
	const doc = `{"SalesOrder":"it's","SalesOrderDate":"2026-12-24","LastChangeDateTime":"2026-11-29T10:00:00.123Z","CreationTime":"10:30:00","Net":12.50,"Big":9007199254740993,"Count":7,"Open":true,"to_Item":[{"SalesOrderItem":"10"}]}`
	m := metadataOf(t, "v2.xml")
	typ := m.types["API_SALES_ORDER_SRV.A_SalesOrderType"]
	wire, err := writer{m: m, asText: true}.object(nil, parsed(t, doc), typ, nil)
	if err != nil {
		t.Fatal(err)
	}
	back, err := m.document(nil, parsed(t, string(wire)), typ, nil)
	if err != nil || jsondoc.Hash(parsed(t, string(back))) != jsondoc.Hash(parsed(t, doc)) {
		t.Errorf("%s, %v; want %s", back, err, doc)
	}
}
