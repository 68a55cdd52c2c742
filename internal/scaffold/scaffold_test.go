package scaffold

import (
	"encoding/json"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/schema"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

func TestParseSample(t *testing.T) {
	for _, c := range []struct {
		name, text string
		docs       int
		first, err string
	}{
		{"a.json", `{"no":"1"}`, 1, `{"no":"1"}`, ""},
		{"a.json", "\xef\xbb\xbf[{\"no\":1.50},{\"no\":2}]", 2, `{"no":1.50}`, ""},
		{"a.jsonl", "{\"no\":1}\n\n{\"no\":2}\r\n", 2, `{"no":1}`, ""},
		{"a.csv", "no;name\n007;x\n", 1, `{"no":"007","name":"x"}`, ""},
		{"a.tsv", "no\tname\n007\tx, y\n", 1, `{"no":"007","name":"x, y"}`, ""},
		{"-", "no,name\n1,x\n", 1, `{"no":"1","name":"x"}`, ""},
		{"a.json", " ", 0, "", "the sample is empty"},
		{"a.json", "[]", 0, "", "holds no document"},
		{"a.json", "[1]", 0, "", "document 1 is no object"},
		{"a.json", `{"no":`, 0, "", "neither JSON nor JSON line by line"},
		{"a.csv", "no,no\n1,2\n", 0, "", "no"},
		{"a.json", strings.Repeat(" ", MaxSample+1), 0, "", "more than 4 MiB"},
	} {
		docs, err := ParseSample(c.name, []byte(c.text))
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s %.40q: %v, want %q", c.name, c.text, err, c.err)
			}
			continue
		}
		if err != nil || len(docs) != c.docs || string(docs[0].Root().Raw()) != c.first {
			t.Errorf("%s %q: %v %v", c.name, c.text, docs, err)
		}
	}
}

// TestInfer: texts stay texts, amounts are numbers, and only what every document has is required.
func TestInfer(t *testing.T) {
	docs, err := ParseSample("a.json", []byte(`[{"no":"00123","qty":2,"total":10.00,"on":"2026-11-01","at":"2026-11-01T10:00:00Z","mail":"a@b.example","uid":"1297f71c-1905-53e0-bbb7-e253a25632a9","tags":["x"],"note":null,"paid":true},
		{"no":"A","qty":3,"total":7,"on":"2026-11-02","at":"2026-11-01T10:00:00+02:00","mail":"c@d.example","uid":"1297f71c-1905-53e0-bbb7-e253a25632a9","note":"n","paid":false,"lines":[{"sku":"1"},{"sku":"2","gift":true}]}]`))
	if err != nil {
		t.Fatal(err)
	}
	text, err := Schema(Infer(docs), "An order", docs)
	if err != nil {
		t.Fatal(err)
	}
	var got any
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	flat, _ := json.Marshal(got)
	const want = `{"$schema":"http://json-schema.org/draft-07/schema#","properties":{"at":{"format":"date-time","type":"string"},"lines":{"items":{"properties":{"gift":{"type":"boolean"},"sku":{"type":"string"}},"required":["sku"],"type":"object"},"type":"array"},` +
		`"mail":{"format":"email","type":"string"},"no":{"type":"string"},"note":{"type":["string","null"]},"on":{"format":"date","type":"string"},"paid":{"type":"boolean"},"qty":{"type":"integer"},"tags":{"items":{"type":"string"},"type":"array"},` +
		`"total":{"type":"number"},"uid":{"format":"uuid","type":"string"}},"required":["no","qty","total","on","at","mail","uid","note","paid"],"title":"An order","type":"object"}`
	if string(flat) != want {
		t.Errorf("got  %s\nwant %s", flat, want)
	}
}

func value(t *rapid.T, depth int) any {
	most := 6
	if depth == 0 {
		most = 4
	}
	switch rapid.IntRange(0, most).Draw(t, "kind") {
	case 0:
		return nil
	case 1:
		return rapid.Bool().Draw(t, "bool")
	case 2:
		return rapid.OneOf(rapid.SampledFrom([]string{"2026-02-30", "2026-11-01", "00123", "a@b", "a@b.example", "2026-11-01T24:00:00Z", "2026-12-31T23:59:60Z", ""}), rapid.String()).Draw(t, "text")
	case 3:
		return rapid.IntRange(-1e9, 1e9).Draw(t, "whole")
	case 4:
		return json.Number(rapid.SampledFrom([]string{"1.50", "10.00", "-0.1", "1e3", "0.0000001"}).Draw(t, "number"))
	case 5:
		list := []any{}
		for range rapid.IntRange(0, 3).Draw(t, "length") {
			list = append(list, value(t, depth-1))
		}
		return list
	}
	return document(t, depth-1)
}

func document(t *rapid.T, depth int) map[string]any {
	out := map[string]any{}
	for range rapid.IntRange(0, 4).Draw(t, "fields") {
		out[rapid.SampledFrom([]string{"no", "Order Number", "a.b", "q\"", "$ref", "items", "é", "type"}).Draw(t, "name")] = value(t, depth)
	}
	return out
}

// TestInferredSchemaTakesItsSamples: whatever the documents are, the schema compiles and takes them.
func TestInferredSchemaTakesItsSamples(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var all []map[string]any
		for range rapid.IntRange(1, 4).Draw(t, "documents") {
			all = append(all, document(t, 3))
		}
		raw, err := json.Marshal(all)
		if err != nil {
			t.Fatal(err)
		}
		docs, err := ParseSample("a.json", raw)
		if err != nil {
			t.Skip(err) // texts that the hub does not carry
		}
		takes(t, docs)
	})
}

type failer interface{ Fatalf(string, ...any) }

func takes(t failer, docs []*jsondoc.Doc) {
	text, err := Schema(Infer(docs), "A sample", docs)
	if err != nil {
		t.Fatalf("%s", err)
	}
	var p strictyaml.Problems
	s := schema.Compile([]schema.File{{Name: "s", Path: "s.json", Data: text}}, &p).Get("s")
	if p.Len() > 0 || s == nil {
		t.Fatalf("%v\n%s", p.List(), text)
	}
	for _, d := range docs {
		if err := s.Validate(d); err != nil {
			t.Fatalf("%s\n%s\n%s", err, text, d.Root().Raw())
		}
	}
}

// FuzzSample: no bytes make the reader of samples fail but by an error, and what it reads has a schema that takes it.
func FuzzSample(f *testing.F) {
	for _, s := range []string{`{"a":1}`, `[{"a":[{"b":null}]}]`, "a;b\n1;2\n", "{}\n{}", "\"\n", "a,a\n", "[", "a\tb\n\"x"} {
		f.Add("a.json", []byte(s))
		f.Add("a.csv", []byte(s))
	}
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		if docs, err := ParseSample(name, data); err == nil {
			takes(t, docs)
		}
	})
}

// TestNormal: names that say the same are one.
func TestNormal(t *testing.T) {
	for name, want := range map[string]string{"OrderNumber": "order_number", "order-number": "order_number", "Order Number": "order_number", "ORDER_NO": "order_no", "": "", "größe": "größe"} {
		if got := Normal(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}
