package strictyaml

import (
	"slices"
	"strings"
	"testing"
)

// TestMerge: keys are laid over each other at every depth, lists and texts as a whole, and every value keeps the place of the file that holds it.
func TestMerge(t *testing.T) {
	var p Problems
	base := Parse("base.yaml", []byte("url: x\nlist: {items: a, paging: {style: page, size: 10}}\nnames: [a, b]\n"), &p)[0]
	over := Parse("over.yaml", []byte("list: {paging: {size: 20}}\nnames: [c]\nmore: y\n"), &p)[0]
	m := Merge(base, over)
	for path, want := range map[string]string{"url": "x base.yaml:1:6", "more": "y over.yaml:3:7", "list.items": "a base.yaml:2:15", "list.paging.style": "page base.yaml:2:34", "list.paging.size": "20 over.yaml:1:23"} {
		n := m
		for _, key := range strings.Split(path, ".") {
			n = n.Get(key)
		}
		if got := n.Text() + " " + n.Pos().String(); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
	if items := m.Get("names").Items(); len(items) != 1 || items[0].Text() != "c" {
		t.Errorf("a list is taken as a whole: %v", items)
	}
	if at := m.Get("nothing").Pos().String(); at != "over.yaml:1:1" {
		t.Errorf("what is missing is missing at %s", at)
	}
	if base.Get("list").Get("paging").Get("size").Text() != "10" || over.Has("url") {
		t.Error("a part was changed")
	}
	rest, found := m.Without("list", "paging", "size")
	if _, again := rest.Without("list", "paging", "size"); !found || again || rest.Get("list").Get("paging").Get("style").Text() != "page" || !m.Get("list").Get("paging").Has("size") {
		t.Error("Without takes one value, and leaves the mapping that it was given")
	}
	if err := p.Err(); err != nil {
		t.Fatal(err)
	}
}

type filler struct{ fixed }

func (filler) Setting(name string) (string, bool) {
	v, ok := map[string]string{"shop": "the shop", "no": "5"}[name]
	return v, ok
}

func (filler) Referred(name string) bool { return name == "no" }

// TestFilledOfSettings: a setting that a system writes itself is no secret, one that it fills in from a reference is, also inside a longer text.
func TestFilledOfSettings(t *testing.T) {
	var p Problems
	n := ParseWith("f.yaml", []byte("a: open ${setting:shop}\nb: the ${setting:no} and ${env:PW}\n"), filler{testResolver}, &p)[0]
	var got []string
	for _, s := range n.Filled() {
		got = append(got, s.Reveal())
	}
	if want := []string{"5", "s3cret", "the 5 and s3cret"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestSettings: ${setting:…} is filled in where the file is one that is filled in, and a problem with what to do elsewhere.
func TestSettings(t *testing.T) {
	read := func(text string, r Resolver) (string, string) {
		var p Problems
		var s string
		ParseWith("f.yaml", []byte(text), r, &p)[0].Get("a").Decode(&s, &p)
		if err := p.Err(); err != nil {
			return s, err.Error()
		}
		return s, ""
	}
	if got, problem := read("a: https://${setting:shop}/x", filler{testResolver}); got != "https://the shop/x" || problem != "" {
		t.Errorf("%q %s", got, problem)
	}
	for text, want := range map[string]string{"- ${setting:no}\n- 'a ${setting:no}'\n- \"${setting:no}\"\n": `[5,"a 5","5"]`, "a: ${setting:shop}": `{"a":"the shop"}`} {
		var p Problems
		if got, ok := ParseWith("f.yaml", []byte(text), filler{testResolver}, &p)[0].AppendJSON(nil, &p); string(got) != want || !ok {
			t.Errorf("%s is %s, want %s: %v", text, got, want, p.Err())
		}
	}
	if _, problem := read("a: ${setting:shap}", filler{testResolver}); problem != `f.yaml:1:4: the manifest has no setting "shap" (list it under settings)` {
		t.Error(problem)
	}
	if _, problem := read("a: ${setting:shop}", testResolver); problem != "f.yaml:1:4: ${setting:…} is for manifests alone (write ${env:NAME} or ${file:PATH}; $${ stands for the characters ${)" {
		t.Error(problem)
	}
}
