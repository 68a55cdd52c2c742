package odata

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestMetadata reads documents as services write them: V2 with roles, V4 with aliases, base types, enumerations and type definitions.
func TestMetadata(t *testing.T) {
	m := metadataOf(t, "v4.xml")
	order := m.types["sap.orders.SalesOrder"]
	if m.version != 4 || order == nil || !slices.Equal(order.key, []string{"ID"}) {
		t.Fatalf("version %d, %v", m.version, slices.Sorted(maps.Keys(m.types)))
	}
	for name, want := range map[string]property{
		"ID":       {typ: "Edm.Guid", kind: guidType, length: -1, precision: -1, scale: -1},
		"Created":  {typ: "Edm.DateTimeOffset", kind: instantType, nullable: true, length: -1, precision: 7, scale: -1}, // of the base type
		"Status":   {typ: "sap.orders.Status", kind: enumType, nullable: true, length: -1, precision: -1, scale: -1},
		"Amount":   {typ: "Edm.Decimal", kind: decimalType, nullable: true, length: -1, precision: 16, scale: 0},
		"Free":     {typ: "Edm.Decimal", kind: decimalType, nullable: true, length: -1, precision: -1, scale: -1},
		"Currency": {typ: "sap.orders.Code", kind: stringType, nullable: true, length: -1, precision: -1, scale: -1},
		"Tags":     {typ: "Edm.String", kind: stringType, collection: true, nullable: true, length: 20, precision: -1, scale: -1},
		"Ship":     {typ: "sap.orders.Place", kind: complexType, nullable: true, length: -1, precision: -1, scale: -1},
		"Count":    {typ: "Edm.Int16", kind: integerType, nullable: true, length: -1, precision: -1, scale: -1, floor: -32768, ceiling: 32767},
		"Picture":  {typ: "Edm.Stream", kind: streamType, nullable: true, length: -1, precision: -1, scale: -1},
		"Foreign":  {typ: "some.where.Else", kind: anyType, nullable: true, length: -1, precision: -1, scale: -1},
	} {
		want.name = name
		if want.floor == 0 {
			want.floor, want.ceiling = bounds("")
		}
		if got := order.property(name); got == nil || *got != want {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
	nav := order.navigation("Items")
	if nav == nil || !nav.many || nav.target != "sap.orders.Item" || nav.refers["Order"] != "ID" || m.sets["Orders"].target["Items"] != "Items" {
		t.Errorf("Items: %+v, %v", nav, m.sets["Orders"].target)
	}
	if c := order.navigation("Notes"); c == nil || !c.contained {
		t.Errorf("Notes: %+v", c)
	}

	m = metadataOf(t, "v2.xml")
	order = m.types["API_SALES_ORDER_SRV.A_SalesOrderType"]
	nav = order.navigation("to_Item")
	if m.version != 2 || nav == nil || !nav.many || nav.target != "API_SALES_ORDER_SRV.A_SalesOrderItemType" || nav.refers["SalesOrder"] != "SalesOrder" {
		t.Fatalf("V2: %+v", nav)
	}
	if got := m.sets["A_SalesOrder"].target["to_Item"]; got != "A_SalesOrderItem" {
		t.Errorf("the items' set is %q", got)
	}
	for name, kind := range map[string]edmType{"SalesOrderDate": dateType, "CreationDate": clockType, "LastChangeDateTime": instantType, "CreationTime": timeType, "Net": decimalType} {
		if p := order.property(name); p == nil || p.kind != kind {
			t.Errorf("%s: %+v, want kind %d", name, p, kind)
		}
	}
}

func metadataOf(t testing.TB, file string) *metadata {
	t.Helper()
	b, err := os.ReadFile("testdata/metadata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	m, err := parseMetadata(b)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestMetadataProblems: what is no metadata says so, with its place.
func TestMetadataProblems(t *testing.T) {
	const v4 = `<edmx:Edmx Version="4.0" xmlns:edmx="e"><edmx:DataServices><Schema Namespace="n">`
	const end = `</Schema></edmx:DataServices></edmx:Edmx>`
	for _, c := range []struct{ doc, want string }{
		{"", "1:1: the document ends too early"},
		{"<html><body>Log in</body></html>", "begins with html"},
		{`{"value":[]}`, "the document ends too early"},
		{`<!DOCTYPE x [<!ENTITY a "b">]><edmx:Edmx/>`, "document type"},
		{`<Edmx Version="3.0"/>`, `the version "3.0"`},
		{`<Edmx Version="1.0" xmlns:m="m"><DataServices m:DataServiceVersion="3.0"/></Edmx>`, "OData 3.0"},
		{`<Edmx Version="4.0"/>`, "0 DataServices"},
		{`<Edmx Version="4.0"><DataServices/><DataServices/></Edmx>`, "2 DataServices"},
		{v4 + `<EntityType Name="A">`, "unexpected EOF"},
		{v4 + `<EntityType>` + end, "syntax"},
		{v4 + `<EntityType Name="A"><Property Type="Edm.String"/></EntityType>` + end, "Property has no Name"},
		{v4 + `<EntityType Name="A"><Property Name="b"/></EntityType>` + end, "Property has no Type"},
		{v4 + `<EntityType Name="A"><Property Name="b" Type="Edm.String" MaxLength="ten"/></EntityType>` + end, `MaxLength of b is "ten"`},
		{v4 + `<EntityType Name="A"><Property Name="b" Type="Edm.String"/><Property Name="b" Type="Edm.String"/></EntityType>` + end, "twice"},
		{v4 + `<EntityType Name="A"/><EntityType Name="A"/>` + end, "n.A stands here twice"},
		{v4 + `<EntityType Name="A" BaseType="n.B"/><EntityType Name="B" BaseType="n.A"/>` + end, "is its own base"},
		{v4 + `<EntityType Name="A"><Property Name="b" Type="Edm.String"/></EntityType><EntityType Name="B" BaseType="n.A"><Property Name="b" Type="Edm.String"/></EntityType>` + end, "its base has too"},
		{v4 + `<EntityType Name="A"><Key><PropertyRef Name="x"/></Key></EntityType>` + end, "names x"},
		{v4 + `<EntityContainer Name="c"><EntitySet Name="S" EntityType="n.X"/></EntityContainer>` + end, "n.X, which the document does not declare"},
		{v4 + `<EntityContainer Name="c"><EntitySet Name="S" EntityType="n.X"/><EntitySet Name="S" EntityType="n.X"/></EntityContainer>` + end, "S stands here twice"},
		{strings.Repeat(" ", maxMetadata+1), "longer than 32 MiB"},
	} {
		m, err := parseMetadata([]byte(c.doc))
		if c.want == "syntax" && err != nil {
			continue
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.120s: %v, %v; want %q", c.doc, m, err, c.want)
		}
	}
}

// TestWhatTellsLinesApart: parts of a line's key that repeat the object's key tell nothing, whether $metadata says so or their names do.
func TestWhatTellsLinesApart(t *testing.T) {
	const doc = `<Edmx Version="4.0"><DataServices><Schema Namespace="n">
		<EntityType Name="Order"><Key><PropertyRef Name="Order"/></Key><Property Name="Order" Type="Edm.String"/><NavigationProperty Name="Items" Type="Collection(n.Item)"/></EntityType>
		<EntityType Name="Item"><Key><PropertyRef Name="Order"/><PropertyRef Name="Pos"/></Key><Property Name="Order" Type="Edm.String"/><Property Name="Pos" Type="Edm.Int32"/></EntityType>
		<EntityContainer Name="c"><EntitySet Name="Orders" EntityType="n.Order"/></EntityContainer></Schema></DataServices></Edmx>`
	m, err := parseMetadata([]byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	b := bindObject(&object{Set: "Orders", Items: map[string]*items{"Items": {}}}, newService(""), m)
	if len(b.lacking) > 0 || len(b.items) != 1 || len(b.items[0].own) != 1 || b.items[0].own[0].name != "Pos" {
		t.Errorf("by their names: %+v, %v", b.items, b.lacking)
	}
	b = bindObject(&object{Set: "Orders", Items: map[string]*items{"Items": {}}}, newService(""), metadataOf(t, "v4.xml"))
	if len(b.items) != 1 || len(b.items[0].own) != 1 || b.items[0].own[0].name != "Pos" || b.items[0].set != "Items" {
		t.Errorf("by the way back: %+v, %v", b.items, b.lacking)
	}
	b = bindObject(&object{Set: "A_SalesOrder", Items: map[string]*items{"to_Item": {}}}, newService(""), metadataOf(t, "v2.xml"))
	if len(b.items) != 1 || len(b.items[0].own) != 1 || b.items[0].own[0].name != "SalesOrderItem" || b.items[0].set != "A_SalesOrderItem" {
		t.Errorf("by the roles of V2: %+v, %v", b.items, b.lacking)
	}
}

func FuzzMetadata(f *testing.F) {
	for _, file := range []string{"v2.xml", "v4.xml"} {
		b, err := os.ReadFile("testdata/metadata/" + file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(b))
	}
	f.Fuzz(func(t *testing.T, doc string) {
		m, err := parseMetadata([]byte(doc))
		if err != nil {
			return
		}
		for _, set := range m.sets { // what is read holds together
			typ := m.types[set.typ]
			if typ == nil {
				t.Fatalf("the set %s has no type", set.name)
			}
			for _, p := range typ.props {
				if p.kind == complexType && m.types[p.typ] == nil {
					t.Fatalf("%s.%s is of a type that is not there", typ.name, p.name)
				}
				if typ.property(p.name) == nil {
					t.Fatalf("%s.%s is not found", typ.name, p.name)
				}
			}
			b := bindObject(&object{Set: set.name, name: "x", Items: map[string]*items{}}, newService(""), m)
			if len(b.lacking) == 0 && len(b.keys) == 0 {
				t.Fatalf("%s has no key, and nobody says so", set.name)
			}
		}
	})
}
