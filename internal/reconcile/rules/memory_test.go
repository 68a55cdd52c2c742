package rules

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

const remembers = `rule: class-and-terms
entity: customer
over: {system: erp}
remember: [class, terms]
expect: not exists(previous) or previous.class == source.class or previous.terms != source.terms
say: >-
  "class " + previous.class + " became " + source.class + ", and the terms did not change"
settle: 0s
`

// TestRemembered: a change that must not be alone is told until the other has followed.
func TestRemembered(t *testing.T) {
	b := newBench(t, load(t, remembers))
	run := func(doc string, want ...string) {
		t.Helper()
		b.erp.set("customer", "1", doc)
		b.run()
		b.want(want...)
	}
	b.erp.set("customer", "0", `{"class":"A","terms":"N30","name":"x"}`)
	b.erp.set("customer", "2", `{"class":"A","terms":"N30","name":"y"}`)
	told := "violation violated 1: class A became C, and the terms did not change"
	run(`{"class":"A","terms":"N30"}`)
	run(`{"class":"A","terms":"N30"}`)
	run(`{"class":"C","terms":"N30"}`, told)
	run(`{"class":"C","terms":"N30"}`, told)
	run(`{"class":"A","terms":"N30"}`)
	run(`{"class":"C","terms":"N30"}`, told)
	run(`{"class":"C","terms":"N0"}`)
	run(`{"class":"C","terms":"N0"}`)
	run(`{"class":"B","terms":"N0"}`, "violation violated 1: class C became B, and the terms did not change")
	if got := b.store.remembered["class-and-terms"]["1"]; got != `{"class":"C","terms":"N0"}` {
		t.Errorf("remembered %s", got)
	}
	before := b.store.writes
	b.run()
	if b.store.writes != before {
		t.Errorf("%d writes although nothing was new", b.store.writes-before)
	}
	b.clock.now = b.clock.now.Add(16 * 24 * time.Hour)
	b.run()
	if b.store.writes != before+2 {
		t.Errorf("%d writes, want those of two objects that would be forgotten soon", b.store.writes-before)
	}
	b.erp.set("customer", "2", `{"class":"A","terms":"`+strings.Repeat("x", mostRemembered)+`"}`)
	b.run()
	if got := b.lines(); len(got) != 2 || !strings.Contains(got[1], "not-compared 2: what is remembered of it (class, terms) has") {
		t.Errorf("found %q", got)
	}
}

// TestManyRemembered goes through more pages of memory than one.
func TestManyRemembered(t *testing.T) {
	b := newBench(t, load(t, remembers))
	const n = 2*memoryPage + 10
	for i := range n {
		b.erp.set("customer", fmt.Sprint(i), `{"class":"A","terms":"N30"}`)
	}
	b.run()
	if len(b.store.remembered["class-and-terms"]) != n {
		t.Fatalf("%d remembered", len(b.store.remembered["class-and-terms"]))
	}
	for i := 0; i < n; i += 7 {
		b.erp.objects["customer"][i].Doc = []byte(`{"class":"B","terms":"N30"}`)
	}
	if sum, _ := b.run(); sum.Different != (n+6)/7 {
		t.Errorf("%d violations, want %d", sum.Different, (n+6)/7)
	}
}
