package search

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var plan = &Plan{Settings: "one", Entities: map[string]bool{"order": true, "customer": true, "product": true, "quote": true},
	Flows: map[string]Flow{"out": {Fields: []string{"number", "customer.name", "lines.sku"}}, "in": {Fields: []string{"number"}, Mapped: true}}}

const (
	order   = "11111111-1111-5111-8111-111111111111"
	partner = "22222222-2222-5222-8222-222222222222"
)

func TestIndexed(t *testing.T) {
	source := `{"id":"` + order + `","number":4711,"customer":{"id":"c","number":"C-1","name":"Łódź GmbH","parent":{"id":"` + partner + `"}},"bill_to":{"id":"` + partner + `"},"quote_number":"Q-1","product_id":"p",
		"order":"SO-0","lines":[{"sku":"A-1","product":{"number":"P-1"}},{"sku":"B-2","product":{"number":"P-2"}},{"sku":null},{"sku":["C"]}],"note":"` + partner + `x"}`
	terms := func(x state.Indexed) (out []string) {
		for _, t := range x.Terms {
			out = append(out, t.Field+"="+t.Text)
		}
		return out
	}
	refs := func(x state.Indexed) (out []string) {
		for _, r := range x.References {
			out = append(out, strings.Join([]string{r.Field, r.Entity, r.ID, r.Number}, "|"))
		}
		return out
	}
	for _, c := range []struct {
		name        string
		j           state.Journal
		terms, refs []string
	}{
		{"all of it", state.Journal{Flow: "out", Key: "SO-1", Documents: &state.Documents{Source: []byte(source), Mapped: []byte(`{"number":"no"}`)}},
			[]string{"key=so-1", "key=1", "number=4711", "customer.name=lodz gmbh", "customer.name=gmbh", "lines.sku=a-1", "lines.sku=1", "lines.sku=b-2", "lines.sku=2", "lines.sku=c"},
			[]string{"bill_to.id||" + partner + "|", "customer|customer|c|C-1", "customer.parent.id||" + partner + "|", "id||" + order + "|", "lines.product|product||P-1", "lines.product|product||P-2", "order|order|SO-0|SO-0",
				"product_id|product|p|", "quote_number|quote||Q-1"}},
		{"the mapped one", state.Journal{Flow: "in", Key: "k", Documents: &state.Documents{Source: []byte(source), Mapped: []byte(`{"number":"N 7"}`)}}, []string{"key=k", "number=n 7", "number=7"}, nil},
		{"none was made", state.Journal{Flow: "in", Key: "k", Documents: &state.Documents{Source: []byte(source)}}, []string{"key=k"}, nil},
		{"what is masked", state.Journal{Flow: "out", Key: "k", Documents: &state.Documents{Source: []byte(`{"number":"***","customer":{"id":"***","name":"***"},"bill_to":"***"}`)}}, []string{"key=k"}, nil},
		{"a flow that has gone", state.Journal{Flow: "gone", Key: "k", Documents: &state.Documents{Source: []byte(source)}}, []string{"key=k"}, nil},
		{"no document", state.Journal{Flow: "out", Key: "k"}, []string{"key=k"}, nil},
		{"what is no JSON", state.Journal{Flow: "out", Key: "k", Documents: &state.Documents{Source: []byte("no,JSON")}}, []string{"key=k"}, nil},
		{"a text", state.Journal{Flow: "out", Documents: &state.Documents{Source: []byte(`"9000000 bytes, which is more than a trace keeps"`)}}, nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := indexed(plan, &c.j)
			if got := terms(x); !reflect.DeepEqual(got, c.terms) {
				t.Errorf("terms\n%q, want\n%q", got, c.terms)
			}
			if got := refs(x); !reflect.DeepEqual(got, c.refs) {
				t.Errorf("references\n%q, want\n%q", got, c.refs)
			}
		})
	}
	many := `{"bought":[`
	for i := range 500 {
		many += fmt.Sprintf(`{"product_id":"p0"},{"product_id":"p%d"},`, i)
	}
	many = strings.TrimSuffix(many, ",") + `],"lines":[` + strings.TrimSuffix(strings.Repeat(`{"sku":"A"},`, 500), ",") + `]}`
	x := indexed(plan, &state.Journal{Flow: "out", Documents: &state.Documents{Source: []byte(many), Hidden: []state.Term{{Field: "mail", Text: "a hash of a field that is searched no more"}}}})
	different := map[string]bool{}
	for _, r := range x.References {
		different[r.ID] = true
	}
	if len(x.Terms) != mostValues || len(x.References) != mostReferences || len(different) != mostReferences {
		t.Errorf("%d terms, %d references", len(x.Terms), len(x.References))
	}
}

// The worker catches up with what the journal holds, goes on behind what comes, and begins anew where the settings change; another one takes over behind it.
func TestWorker(t *testing.T) {
	clock := lifecycle.NewManual(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	s, err := store.Open(t.Context(), store.Config{SQLite: filepath.Join(t.TempDir(), "w.db"), Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	s.KeepDocuments(store.Keep{Age: time.Hour, Size: 1 << 20})
	p, err := s.OpenPartition(t.Context(), "out", "t", 0, event.Log{Cluster: "c", TopicID: "t", Last: 10_000})
	if err != nil {
		t.Fatal(err)
	}
	offset := int64(0)
	deliver := func(n int) {
		t.Helper()
		var rs []state.Result
		for range n {
			key := fmt.Sprint("SO-", offset)
			rs = append(rs, state.Result{Offset: offset, Outcome: state.Delivered, Journal: &state.Journal{Time: clock.Now(), Flow: "out", EventID: fmt.Sprint("e", offset), Entity: "order", Key: key, Outcome: state.Delivered,
				Documents: &state.Documents{Source: fmt.Appendf(nil, `{"number":"N%d","customer":{"name":"Customer %d"}}`, offset, offset)}}})
			offset++
		}
		if err := s.Commit(t.Context(), &state.Commit{Flow: p.Flow, Topic: p.Topic, Epoch: p.Epoch, Results: rs}); err != nil {
			t.Fatal(err)
		}
	}
	now := plan
	run := func() (stop func()) {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		w := &Worker{Store: s, Clock: clock, Log: slog.New(slog.DiscardHandler), Holder: "one", TTL: 15 * time.Second, Plan: func() *Plan { return now }}
		go func() { defer close(ended); w.Run(ctx) }()
		return func() { cancel(); <-ended }
	}
	// until turns the clock until a search finds so many.
	until := func(text string, want int) {
		t.Helper()
		for range 100_000 {
			page, err := s.Search(t.Context(), state.SearchQuery{Text: text, Limit: 100})
			if err != nil {
				t.Fatal(err)
			}
			if len(page.Objects) == want && page.Complete() {
				return
			}
			clock.Advance(100 * time.Millisecond)
		}
		t.Fatalf("%s is not found %d times", text, want)
	}
	deliver(batch)
	deliver(batch)
	deliver(3)
	stop := run()
	until("N402", 1)
	until("customer 1", 100) // the first page of more
	deliver(1)
	until("N403", 1)
	stop()
	deliver(1)
	stop = run()
	until("N404", 1)
	now = &Plan{Settings: "two", Entities: plan.Entities, Flows: map[string]Flow{"out": {Fields: []string{"number", "customer.name"}}, "in": {}}}
	for range 100_000 { // everything anew
		if at, err := s.IndexedTo(t.Context(), "two"); err != nil {
			t.Fatal(err)
		} else if at > 0 {
			break
		}
		clock.Advance(100 * time.Millisecond)
	}
	until("N404", 1)
	stop()
}

// What is masked is found by whoever knows it, whole or by a word of it, and stands nowhere in clear.
func TestHidden(t *testing.T) {
	h := Hider{Secret: []byte("a secret of the store")}
	p := &Plan{Flows: map[string]Flow{"out": {Fields: []string{"number", "customer.name", "contacts.mail", "contacts.by"}}, "in": {Fields: []string{"name"}, Mapped: true}, "none": {}}}
	source := []byte(`{"number":"C-1","customer":{"name":"Jörg Müller"},"contacts":[{"mail":"jm@example.org"},{"mail":"other@example.org","by":"Ann O'Brien-Smith, Dr."}]}`)
	kept := &state.Documents{Source: []byte(`{"number":"C-1","customer":{"name":"***"},"contacts":[{"mail":"***"},{"mail":"other@example.org"}]}`), Mapped: []byte(`{"name":"***"}`)}
	has := func(terms []state.Term, text string) (field string) {
		for _, term := range terms {
			if term.Text == h.Hash(text) {
				return term.Field
			}
		}
		return ""
	}
	terms := p.Hidden(h, "out", source, nil, kept)
	for text, field := range map[string]string{"jorg muller": "customer.name", "MÜLLER": "customer.name", "Jörg": "customer.name", "JM@example.org": "contacts.mail", "example": "contacts.mail",
		"mül": "", "c-1": "", "other@example.org": "", "other": "", "jm": "", "": "", "o'brien-smith": "contacts.by", "brien": "contacts.by", "smith": "contacts.by"} {
		if got := has(terms, text); got != field {
			t.Errorf("%q is found by %q, want %q", text, got, field)
		}
	}
	for name, found := range map[string]bool{"李娜": true, "김철": true, "李": false, "Li": false, "李a": false} {
		if got := h.Hash(name) != ""; got != found {
			t.Errorf("%s: %v", name, got)
		}
	}
	for _, term := range terms {
		for _, part := range []string{"org", "m\u00fcl", "mul", "jm", "C-1"} {
			if strings.Contains(strings.ToLower(term.Text), part) {
				t.Errorf("%q holds %q", term.Text, part)
			}
		}
	}
	if got := p.Hidden(h, "in", source, []byte(`{"name":"Jane Doe"}`), kept); has(got, "jane doe") != "name" {
		t.Errorf("after the mapping: %q", got)
	}
	for name, got := range map[string][]state.Term{"no fields": p.Hidden(h, "none", source, nil, kept), "no flow": p.Hidden(h, "gone", source, nil, kept), "no secret": p.Hidden(Hider{}, "out", source, nil, kept),
		"no document": p.Hidden(h, "out", []byte("no"), nil, kept), "nothing masked": p.Hidden(h, "out", source, nil, &state.Documents{Source: source})} {
		if len(got) != 0 {
			t.Errorf("%s: %q", name, got)
		}
	}
	if (Hider{Secret: []byte("another")}).Hash("Müller") == h.Hash("Müller") || !strings.HasPrefix(h.Hash("Müller"), hiddenMark) {
		t.Error("a hash says what it is of")
	}
	// In the index: found by the hash alone.
	kept.Hidden = terms
	x := indexed(p, &state.Journal{Flow: "out", Key: "C-1", Documents: kept})
	if has(x.Terms, "Müller") != "customer.name" {
		t.Errorf("%q", x.Terms)
	}
	for _, term := range x.Terms {
		if strings.Contains(term.Text, "muller") || strings.Contains(term.Text, "***") {
			t.Errorf("%q", term)
		}
	}
	long := `{"number":"` + strings.Repeat("word ", 300) + `"}`
	many := ""
	for i := range 300 {
		many += fmt.Sprint(" word", i)
	}
	if got := p.Hidden(h, "out", []byte(`{"number":"`+many+`"}`), nil, &state.Documents{Source: []byte(`{"number":"***"}`)}); len(got) != mostHidden {
		t.Errorf("%d hashes", len(got))
	}
	if got := p.Hidden(h, "out", []byte(long), nil, &state.Documents{Source: []byte(`{"number":"***"}`)}); len(got) != 2 {
		t.Errorf("of one word: %d", len(got))
	}
}

// BenchmarkHidden is what a delivery pays that has both marks and search fields, beside the masking itself.
func BenchmarkHidden(b *testing.B) {
	h := Hider{Secret: []byte("a secret of the store")}
	p := &Plan{Flows: map[string]Flow{"out": {Fields: []string{"number", "name", "mail"}}}}
	rest := `,"lines":[` + strings.TrimSuffix(strings.Repeat(`{"sku":"A-0001","quantity":1,"price":"12.50"},`, 20), ",") + `]}`
	source, kept := []byte(`{"number":"C-1","name":"Jörg Müller","mail":"jm@example.org"`+rest), &state.Documents{Source: []byte(`{"number":"C-1","name":"***","mail":"***"` + rest)}
	for b.Loop() {
		if len(p.Hidden(h, "out", source, nil, kept)) == 0 {
			b.Fatal("nothing")
		}
	}
}
