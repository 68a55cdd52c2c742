package xmldoc

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

func TestParse(t *testing.T) {
	deep := strings.Repeat("<a>", maxDepth+1) + strings.Repeat("</a>", maxDepth+1)
	for name, c := range map[string]struct{ in, want string }{
		"a text":                          {`<a>1 &amp; 2 &lt; &#x263A;</a>`, `"1 & 2 < ☺"`},
		"a byte order mark":               {"\xef\xbb\xbf<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<a>x</a>\n", `"x"`},
		"children, attributes, text":      {`<a n="1"> t <b>2</b><c/></a>`, `{"@n":"1","#text":" t ","b":"2","c":""}`},
		"a list":                          {`<a><b>1</b><c>x</c><b>2</b></a>`, `{"b":["1","2"],"c":"x"}`},
		"nothing is null, absent or \"\"": {`<a xmlns:i="` + NSInstance + `"><b i:nil="true"/><c i:nil="1">x</c><d></d></a>`, `{"b":null,"c":null,"d":""}`},
		"blanks between elements":         {"<a>\n  <b> x </b>\n</a>", `{"b":" x "}`},
		"CDATA and comments":              {`<a><![CDATA[<b>]]><!-- no -->c</a>`, `"<b>c"`},
		"a prefix by any name":            {`<x:a xmlns:x="urn:1"><y:b xmlns:y="urn:1">1</y:b></x:a>`, `{"b":"1"}`},
		"one name in two namespaces":      {`<a xmlns:p="urn:p" xmlns:q="urn:q"><p:b>1</p:b><q:b>2</q:b><c>3</c></a>`, `{"{urn:p}b":"1","{urn:q}b":"2","c":"3"}`},
		"one attribute in two":            {`<a xmlns:p="urn:p" n="1" p:n="2" p:m="3"/>`, `{"@{}n":"1","@{urn:p}n":"2","@m":"3"}`},
		"a prefix of the nearest":         {`<a xmlns:p="urn:1"><b xmlns:p="urn:2"><p:c/><c/></b><p:c/><c/></a>`, `{"b":{"{urn:2}c":"","{}c":""},"{urn:1}c":"","{}c":""}`},
		"a name in three namespaces":      {`<a xmlns:p="urn:p" xmlns:q="urn:q"><b/><p:b/><b/><q:b/></a>`, `{"{}b":["",""],"{urn:p}b":"","{urn:q}b":""}`},
		"xml:lang is no data":             {`<a xml:lang="en">x</a>`, `"x"`},
		"a prefix of further out":         {`<a xmlns:p="urn:1"><b xmlns:p="urn:2"><p:c/></b><p:d/></a>`, `{"b":{"c":""},"d":""}`},
		"types of XML Schema are no data": {`<a xmlns:i="` + NSInstance + `" i:type="x">1</a>`, `"1"`},
		"a document type":                 {`<!DOCTYPE a [<!ENTITY e "x">]><a>&e;</a>`, "a document type declaration is not allowed"},
		"an entity of its own":            {`<a>&e;</a>`, "invalid character entity &e;"},
		"another encoding":                {`<?xml version="1.0" encoding="ISO-8859-1"?><a/>`, "its encoding is not UTF-8"},
		"bytes that are no UTF-8":         {"<a>\xff</a>", "invalid UTF-8"},
		"two roots":                       {`<a/><b/>`, "more than one root element"},
		"text behind the root":            {`<a/>x`, "text stands outside"},
		"an end of another":               {`<a><b></a></b>`, "<b> is ended by </a>"},
		"an end by another prefix":        {`<p:a xmlns:p="urn:1" xmlns:q="urn:1"></q:a>`, "is ended by"},
		"an end of nothing":               {`</a>`, "ends nothing"},
		"no end":                          {`<a><b/>`, "it ends within <a>"},
		"nothing":                         {` `, "it is empty"},
		"a prefix that is not declared":   {`<p:a/>`, "the prefix p of a is not declared"},
		"a prefix out of its scope":       {`<a><b xmlns:p="urn:1"/><p:c/></a>`, "the prefix p of c is not declared"},
		"a prefix for nothing":            {`<a xmlns:p=""/>`, "stands for no namespace"},
		"the prefix xml for others":       {`<a xmlns:xml="urn:1"/>`, "cannot stand for"},
		"another prefix for xml's":        {`<a xmlns:p="http://www.w3.org/XML/1998/namespace"/>`, "cannot stand for"},
		"the prefix xmlns":                {`<a xmlns:xmlns="urn:1"/>`, "cannot stand for"},
		"a prefix for xmlns's":            {`<a xmlns:p="http://www.w3.org/2000/xmlns/"/>`, "cannot stand for"},
		"an attribute twice":              {`<a xmlns:p="urn:1" xmlns:q="urn:1" p:n="1" q:n="2"/>`, "has the attribute n twice"},
		"a declaration twice":             {`<a xmlns:p="urn:1" xmlns:p="urn:2"/>`, "declared twice"},
		"a declaration behind":            {`<a/><?xml version="1.0"?>`, "behind the beginning"},
		"a namespace as long as it may":   {`<a xmlns="` + strings.Repeat("n", maxNamespace) + `"/>`, `""`},
		"a namespace without an end":      {`<a xmlns="` + strings.Repeat("n", maxNamespace+1) + `"/>`, "more than 256 bytes"},
		"too deep":                        {deep, "more than 60 in one another"},
		"too many":                        {"<a>" + strings.Repeat("<b/>", maxElements) + "</a>", "more than 100000 elements"},
	} {
		t.Run(name, func(t *testing.T) {
			e, err := Parse([]byte(c.in))
			if err != nil {
				if !strings.Contains(err.Error(), c.want) {
					t.Errorf("got %v, want %s", err, c.want)
				}
				return
			}
			if got := string(e.AppendJSON(nil, "", nil)); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestShape(t *testing.T) {
	shape := &Shape{Lists: map[string]bool{"line": true}, Types: map[string]string{"line.qty": Decimal, "line.no": Integer, "paid": Boolean, "line.@pos": Integer, "net.amount": Decimal}}
	for in, want := range map[string]string{
		`<o><line pos="1"><qty>+007.50</qty><no>0012</no></line><paid>1</paid></o>`:        `{"line":[{"@pos":1,"qty":7.50,"no":12}],"paid":true}`,
		`<o><line><qty>7.</qty><no>` + strings.Repeat("1", maxDigits) + `</no></line></o>`: `{"line":[{"qty":7,"no":` + strings.Repeat("1", maxDigits) + `}]}`,
		`<o><line><qty>-.5</qty><no>-0</no></line><paid> false </paid></o>`:                `{"line":[{"qty":-0.5,"no":-0}],"paid":false}`,
		`<o><net.amount>1.50</net.amount><net><amount>2.50</amount></net></o>`:             `{"net.amount":1.50,"net":{"amount":2.50}}`,
		`<o><line><qty>99999999999999999999.10</qty></line><line/></o>`:                    `{"line":[{"qty":99999999999999999999.10},""]}`,
	} {
		e, err := Parse([]byte(in))
		if err != nil {
			t.Fatal(err)
		}
		got := e.AppendJSON(nil, "", shape)
		if string(got) != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if path, _ := shape.Wrong(root(t, got)); path != "" {
			t.Errorf("%s: %s is said to be wrong", got, path)
		}
	}
	for in, want := range map[string]string{
		`<o><line><qty>1,5</qty></line></o>`: "line.qty", `<o><line><qty>1e5</qty></line></o>`: "line.qty", `<o><line><no>1.5</no></line></o>`: "line.no", `<o><paid>yes</paid></o>`: "paid",
		`<o><line><qty/></line></o>`: "line.qty", `<o><line><no>` + strings.Repeat("1", maxDigits+1) + `</no></line></o>`: "line.no", `<o><line><qty>INF</qty></line></o>`: "line.qty", `<o><line><qty><x/></qty></line></o>`: "line.qty",
		`<o><net.amount>1,5</net.amount></o>`: "net.amount", `<o><net.amount>1</net.amount><net><amount>1,5</amount></net></o>`: "net.amount",
	} {
		e, err := Parse([]byte(in))
		if err != nil {
			t.Fatal(err)
		}
		if path, _ := shape.Wrong(root(t, e.AppendJSON(nil, "", shape))); path != want {
			t.Errorf("%s: wrong is %q, want %q", in, path, want)
		}
	}
}

// TestNames: two elements that documents call alike are one list.
func TestNames(t *testing.T) {
	e, err := Parse([]byte(`<o><b>1</b><x/><c>2</c></o>`))
	if err != nil {
		t.Fatal(err)
	}
	if got := string(e.AppendJSON(nil, "", &Shape{Names: map[string]string{"b": "c"}})); got != `{"c":["1","2"],"x":""}` {
		t.Error(got)
	}
}

// TestMemory: what is kept of a body is no more than what is reserved for it, where it is all elements, and where it is all attributes.
func TestMemory(t *testing.T) {
	attributes := strings.Builder{}
	for i := range 50_000 {
		fmt.Fprintf(&attributes, ` a%d=""`, i)
	}
	for name, body := range map[string]string{"elements": "<a>" + strings.Repeat("<b/>", 50_000) + "</a>", "attributes": "<a" + attributes.String() + "/>"} {
		heap := func() int64 {
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			return int64(m.HeapAlloc)
		}
		before := heap()
		e, err := Parse([]byte(body))
		took := heap() - before
		if err != nil {
			t.Fatal(err)
		}
		if most := Memory([]byte(body)) + int64(len(body)); took > most {
			t.Errorf("%s: %d bytes are kept, and %d were reserved", name, took, most)
		}
		runtime.KeepAlive(e)
	}
}

// TestWork: what a body costs is in proportion to its bytes, also where many elements stand under many prefixes.
func TestWork(t *testing.T) {
	declare := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, ` xmlns:p%d="u"`, i)
		}
		return b.String()
	}
	const n = 500
	one := testing.AllocsPerRun(1, func() { parseOrFail(t, "<a"+declare(n)+">"+strings.Repeat(`<b xmlns:q="u"/>`, n)+"</a>") })
	ten := testing.AllocsPerRun(1, func() {
		parseOrFail(t, "<a"+declare(10*n)+">"+strings.Repeat(`<b xmlns:q="u"/>`, 10*n)+"</a>")
	})
	if ten > 20*one {
		t.Errorf("ten times as much takes %.0f allocations for %.0f", ten, one)
	}
}

func parseOrFail(t *testing.T, body string) {
	if _, err := Parse([]byte(body)); err != nil {
		t.Error(err)
	}
}

func root(t testing.TB, doc []byte) jsondoc.Value {
	t.Helper()
	d, err := jsondoc.Parse(doc, jsondoc.Limits{})
	if err != nil {
		t.Fatalf("%v: %s", err, doc)
	}
	return d.Root()
}

// document draws what an element can be read as: texts, null, objects with attributes, lists of two and more.
func document(rt *rapid.T, depth int) string {
	text := func(label string) string {
		return string(jsondoc.AppendString(nil, rapid.StringOf(rapid.RuneFrom([]rune("aZ09 <>&'\"ä☺😀\t\n\r.-:#"))).Draw(rt, label)))
	}
	if depth == 0 || rapid.Bool().Draw(rt, "leaf") {
		if rapid.IntRange(0, 4).Draw(rt, "null") == 0 {
			return "null"
		}
		return text("text")
	}
	var members []string
	for _, a := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"@a", "@b"}), 0, 2, rapid.ID).Draw(rt, "attributes") {
		members = append(members, `"`+a+`":`+text("attribute"))
	}
	for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"c", "d-e", "f.g", "ä"}), 1, 3, rapid.ID).Draw(rt, "children") {
		if n := rapid.IntRange(0, 3).Draw(rt, "list"); n > 1 {
			var list []string
			for range n {
				list = append(list, document(rt, depth-1))
			}
			members = append(members, fmt.Sprintf("%q:[%s]", name, strings.Join(list, ",")))
			continue
		}
		members = append(members, fmt.Sprintf("%q:%s", name, document(rt, depth-1)))
	}
	return "{" + strings.Join(members, ",") + "}"
}

// TestRoundTrip: a document that is written as XML is read back as it was.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		want := document(rt, 4)
		xml, err := AppendElement(nil, "p", "root", root(t, []byte(want)))
		if err != nil {
			rt.Fatalf("%s: %v", want, err)
		}
		whole := strings.Replace(string(xml), "<p:root", `<p:root xmlns:p="urn:p" xmlns:xsi="`+NSInstance+`"`, 1)
		e, err := Parse([]byte(whole))
		if err != nil {
			rt.Fatalf("%s: %v", whole, err)
		}
		if got := string(e.AppendJSON(nil, "", nil)); got != want {
			rt.Fatalf("%s\nis read as %s\nand was     %s", whole, got, want)
		}
	})
}

func TestWriteProblems(t *testing.T) {
	for doc, want := range map[string]string{
		`{"a b":1}`: "no name of an element", `{"":1}`: "no name", `{"a:b":1}`: "no name", `{"1a":1}`: "no name", `{"a":[[1]]}`: "a list in a list", `{"@a":{}}`: "an attribute holds one text",
		`"\u0001"`: "no sign that XML can hold", `"\ufffe"`: "no sign that XML can hold", `{"@a":null}`: "an attribute holds one text",
	} {
		if _, err := AppendElement(nil, "", "r", root(t, []byte(doc))); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", doc, err, want)
		}
	}
	if got, err := AppendText(nil, "a\xffb"); err == nil {
		t.Errorf("bytes that are no UTF-8 were written as %q", got)
	}
}

// FuzzParse: whatever is accepted is within the bounds, gives JSON, and is the same when that is written and read again.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{`<a n="1"> t <b>2</b><c/></a>`, `<x:a xmlns:x="urn:1"><y:b xmlns:y="urn:1">1</y:b></x:a>`, `<a><![CDATA[<b>]]></a>`, `<!DOCTYPE a><a/>`, "<a>\r\n</a>", `<a><b>1</b><b>2</b></a>`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		e, err := Parse(body)
		if err != nil {
			return
		}
		first := e.AppendJSON(nil, "", nil)
		xml, err := AppendElement(nil, "", "r", root(t, first))
		if err != nil {
			return // two namespaces: those names are no names of elements
		}
		again, err := Parse([]byte(strings.Replace(string(xml), "<r", `<r xmlns:xsi="`+NSInstance+`"`, 1)))
		if err != nil {
			t.Fatalf("%s: %v", xml, err)
		}
		if second := again.AppendJSON(nil, "", nil); string(second) != string(first) {
			t.Fatalf("%s\nis read again as %s", first, second)
		}
	})
}
