package acceptance

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// people is a service with customers of its own. It keeps e-mail addresses in small letters and references in capitals, and searches both
// without regard to case; it counts the changes of each, and loses the answers to so many creates.
type people struct {
	mu     sync.Mutex
	rows   []map[string]any
	lose   int
	writes int
}

func (p *people) keep(row map[string]any, change map[string]any) {
	for k, v := range change {
		switch text, _ := v.(string); k {
		case "id", "rev":
			continue
		case "email":
			v = strings.ToLower(text)
		case "ref":
			v = strings.ToUpper(text)
		}
		row[k] = v
	}
	rev, _ := row["rev"].(int)
	row["rev"] = rev + 1
}

func (p *people) add(change map[string]any) map[string]any {
	row := map[string]any{"id": fmt.Sprint(100 + len(p.rows))}
	p.keep(row, change)
	p.rows = append(p.rows, row)
	return row
}

func (p *people) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	var change map[string]any
	_ = json.NewDecoder(r.Body).Decode(&change)
	id := strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, "/customers"), "/")
	found := slices.DeleteFunc(slices.Clone(p.rows), func(row map[string]any) bool {
		for name, values := range r.URL.Query() {
			if text, _ := row[name].(string); !strings.EqualFold(text, values[0]) {
				return true
			}
		}
		return id != "" && row["id"] != id
	})
	var answer any = found
	switch {
	case r.Method == http.MethodPost:
		p.writes++
		answer = p.add(change)
		if p.lose > 0 {
			p.lose--
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		w.WriteHeader(http.StatusCreated)
	case id != "" && len(found) == 0:
		w.WriteHeader(http.StatusNotFound)
	case id != "":
		if r.Method == http.MethodPatch {
			p.writes++
			p.keep(found[0], change)
		}
		answer = found[0]
	}
	_ = json.NewEncoder(w).Encode(answer)
}

func (p *people) text(field string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []string
	for _, row := range p.rows {
		out = append(out, fmt.Sprint(row[field]))
	}
	return strings.Join(out, ",")
}

func peopleOf(t *testing.T, rows ...map[string]any) (*people, string) {
	t.Helper()
	p := &people{}
	for _, row := range rows {
		p.add(row)
	}
	srv := httptest.NewServer(p)
	t.Cleanup(srv.Close)
	return p, srv.URL
}

const peopleObjects = `    objects: {customer: {path: customers, external-id: ref, version: rev, find: {external: {ref: "{external}"}, natural: {email: "{email}"}}}}
`

func metProject(t *testing.T, systems, flows string) *project {
	return newReadings(t, map[string]string{
		"configs/waybill.yaml":    strings.Replace(readingsFiles["configs/waybill.yaml"], "systems:\n", "systems:\n"+systems, 1),
		"mappings/readings.yaml":  "",
		"schemas/reading.v1.json": "",
		"flows/readings.yaml":     flows,
	})
}

// TestMetOnce: what the other side holds already is met once, and named where it cannot be told which one it is.
func TestMetOnce(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		there  []map[string]any
		lose   int
		by     string
		names  string // of the customers there, when all is done
		parked string
	}{
		{name: "a lost answer, and the id in capitals", lose: 1, by: "[email]", names: "Ann"},
		{name: "an e-mail address in small letters", there: []map[string]any{{"email": "ann@example.com", "name": "Ann (of old)"}}, by: "[{field: email, compare: fold}]", names: "Ann"},
		{name: "two of one address", there: []map[string]any{{"email": "ann@example.com", "name": "A"}, {"email": "ann@example.com", "name": "B"}}, by: "[{field: email, compare: fold}]",
			names: "A,B", parked: `crm holds 2 objects with email "Ann@Example.com": 100, 101`},
	} {
		t.Run(c.name, func(t *testing.T) {
			crm, url := peopleOf(t, c.there...)
			crm.lose = c.lose
			p := metProject(t, "  crm:\n    connector: rest\n    url: "+url+"\n"+peopleObjects, `flow: scanner-customers
entity: customer
from:
  system: scanner
  webhook:
    path: scanner/readings
    verify: {scheme: standard-webhooks, secret: "${env:SCANNER_SECRET}"}
key: source.no
to: {topic: canonical.customer}
---
flow: customers-to-crm
entity: customer
from: {topic: canonical.customer}
to: {system: crm, find-by: `+c.by+`}
`)
			h := p.run(t, map[string]string{"SCANNER_SECRET": hookSecret})
			if status, answer := (push{id: "1", body: []byte(`{"no":"C1","email":"Ann@Example.com","name":"Ann"}`)}).send(t, p); status != http.StatusAccepted {
				t.Fatalf("%d %s", status, answer)
			}
			h.await("a fate", time.Minute, func() bool {
				st := h.status()
				return st.Totals.Accepted == 2 && st.Totals.InFlight == 0
			})
			if got := crm.text("name"); got != c.names {
				t.Errorf("the CRM holds %s, want %s", got, c.names)
			}
			out, _, _ := waybill(t, p.dir, "parked", "list", "--url", "http://"+p.http)
			if c.parked == "" && !strings.Contains(out, "nothing is parked") || !strings.Contains(out, c.parked) {
				t.Errorf("parked:\n%s", out)
			}
		})
	}
}

// TestToAndFro: two polled flows in both directions, without a mapping between them, bring each change over once and come to rest.
func TestToAndFro(t *testing.T) {
	t.Parallel()
	crm, crmURL := peopleOf(t, map[string]any{"email": "ann@example.com", "name": "Ann"})
	erp, erpURL := peopleOf(t)
	flow := func(name, from, to string) string {
		return "flow: " + name + "\nentity: customer\nfrom: {system: " + from + ", poll: {every: 1s}}\nkey: source.email\nid: source.id\nversion: text(source.rev)\nto: {system: " + to + ", find-by: [email]}\n"
	}
	p := metProject(t, "  crm:\n    connector: rest\n    url: "+crmURL+"\n"+peopleObjects+"  erp:\n    connector: rest\n    url: "+erpURL+"\n"+peopleObjects,
		flow("there", "crm", "erp")+"---\n"+flow("back", "erp", "crm"))
	h := p.run(t, nil)
	rest := func(what, name string) {
		t.Helper()
		var last, same int64
		h.await(what, time.Minute, func() bool {
			st := h.status()
			if st.Totals.Accepted == last && st.Totals.InFlight == 0 && crm.text("name") == name && erp.text("name") == name {
				same++
			} else {
				same, last = 0, st.Totals.Accepted
			}
			return same > 15 // polls have come by and found nothing
		})
	}
	writes := func() int {
		crm.mu.Lock()
		defer crm.mu.Unlock()
		erp.mu.Lock()
		defer erp.mu.Unlock()
		return crm.writes + erp.writes
	}
	rest("the customer in both", "Ann")
	for i, side := range []*people{erp, crm, erp} {
		before, name := writes(), fmt.Sprint("Ann ", i)
		side.mu.Lock()
		side.keep(side.rows[0], map[string]any{"name": name})
		side.mu.Unlock()
		rest("a change in both", name)
		if n := writes() - before; n < 1 || n > 2 {
			t.Errorf("change %d took %d writes", i, n)
		}
	}
}
