package sandbox

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"
)

// The same calls meet the same fates, in whatever order they come; another seed brings others.
func TestFatesAreDeterministic(t *testing.T) {
	var calls []string
	for n := range 300 {
		for range 3 {
			calls = append(calls, fmt.Sprintf("POST /api/orders x-%d", n))
		}
	}
	run := func(seed int64, shuffle uint64) map[string]int {
		m := newImp(seed, CRM, Wicked())
		list := append([]string{}, calls...)
		rand.New(rand.NewPCG(shuffle, 0)).Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		out := map[string]int{}
		for _, c := range list {
			out[c+" "+string(m.fate(c, time.Time{}))]++
		}
		return out
	}
	one := run(1, 1)
	if !maps.Equal(one, run(1, 2)) {
		t.Error("the order of the calls matters")
	}
	if maps.Equal(one, run(2, 1)) {
		t.Error("the seed does not matter")
	}
	seen := map[string]bool{}
	for k := range one {
		seen[k[strings.LastIndexByte(k, ' ')+1:]] = true
	}
	for _, f := range []fate{fateFine, fateError500, fateError503, fateTooMany, fateDropApplied, fateErrorApplied, fateSlow} {
		if !seen[string(f)] {
			t.Errorf("fate %q never happened", f)
		}
	}
}

func TestRateLimit(t *testing.T) {
	m := newImp(1, CRM, Chaos{RateLimit: 2})
	at := time.Unix(0, 0)
	var got []fate
	for _, ms := range []int{0, 1, 2, 600, 601, 5000, 5001, 5002} {
		got = append(got, m.fate("x", at.Add(time.Duration(ms)*time.Millisecond)))
	}
	want := []fate{"", "", fateLimited, "", fateLimited, "", "", fateLimited}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestFatesOfCalls(t *testing.T) {
	for _, tc := range []struct {
		name    string
		chaos   Chaos
		status  int // 0: no answer
		applied bool
		logged  int
	}{
		{"500", Chaos{Error500: 1}, 500, false, 500},
		{"503", Chaos{Error503: 1, RetryAfter: 7}, 503, false, 503},
		{"429", Chaos{TooMany: 1}, 429, false, 429},
		{"reset", Chaos{DropApplied: 1}, 0, true, 0},
		{"500 applied", Chaos{ErrorApplied: 1}, 500, true, 500},
		{"hang", Chaos{Hang: 1, HangMS: 1}, 0, true, 0},
		{"slow", Chaos{Slow: 1, SlowMS: 1}, 201, true, 201},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := quiet(t, Options{NoHooks: true})
			if err := w.SetChaos(CRM, tc.chaos); err != nil {
				t.Fatal(err)
			}
			c := w.crmClient(t)
			r, err := c.try("POST", "accounts", anAccount(map[string]any{"External_Id__c": "x"}))
			if (err != nil) != (tc.status == 0) || r.status != tc.status {
				t.Errorf("got %d, %v, want %d", r.status, err, tc.status)
			}
			if tc.status == 503 && r.header.Get("Retry-After") != "7" {
				t.Errorf("Retry-After %q", r.header.Get("Retry-After"))
			}
			s, err := w.Snapshot()
			if err != nil {
				t.Fatal(err)
			}
			if applied := s.Count(CRM, Customer) == 1; applied != tc.applied {
				t.Errorf("applied %v, want %v", applied, tc.applied)
			}
			n := 0
			for e, err := range w.Logs(CRM) {
				if err != nil {
					t.Fatal(err)
				}
				n++
				if e.Status != tc.logged || e.Applied != tc.applied || e.Fault == "" || e.External != "x" {
					t.Errorf("logged %+v", e)
				}
			}
			if n != 1 {
				t.Errorf("%d entries", n)
			}
			// The control endpoint switches it off again.
			req, _ := http.NewRequest(http.MethodPut, w.Env()[EnvCRMURL]+"/_control/chaos", strings.NewReader("{}"))
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			http.DefaultClient.CloseIdleConnections()
			want := 201
			if tc.applied {
				want = 409
			}
			c.do(want, "POST", "accounts", anAccount(map[string]any{"External_Id__c": "x"}))
		})
	}
}

// With the same seed the people of a system do the same, whatever happens around them.
func TestTrafficIsDeterministic(t *testing.T) {
	run := func(seed int64) string {
		w := quiet(t, Options{NoHooks: true, Seed: seed, Items: 20, Accounts: 10, Chaos: Chaos{Poison: .1, UnknownCodes: .1, OrphanOrders: .1, EarlyOrders: .1}})
		w.Freeze()
		c := w.crm
		for n := range int64(200) {
			if err := c.act(t.Context(), n, rng(seed, "test", fmt.Sprint(n))); err != nil {
				t.Fatal(err)
			}
		}
		s, err := w.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		for _, entity := range []string{Customer, Order, Quote} {
			for _, o := range s[CRM][entity] {
				for _, volatile := range []string{"SystemModstamp", "CreatedDate", "EffectiveDate", "ExpirationDate"} {
					delete(o.Doc, volatile)
				}
				raw, err := marshal(o.Doc)
				if err != nil {
					t.Fatal(err)
				}
				b.Write(raw)
			}
		}
		odd, err := w.Odd()
		if err != nil {
			t.Fatal(err)
		}
		why := map[string]int{}
		for _, o := range odd {
			why[o.Why]++
		}
		for _, want := range []string{"poison", "unknown-code", "orphan", "early"} {
			if why[want] == 0 {
				t.Errorf("no %s among %v", want, why)
			}
		}
		return b.String()
	}
	one := run(3)
	if one != run(3) {
		t.Error("the same seed gave other business")
	}
	if one == run(4) {
		t.Error("another seed gave the same business")
	}
}

func TestControl(t *testing.T) {
	w := quiet(t, Options{NoHooks: true, Items: 2})
	for _, url := range []string{w.Env()[EnvCRMURL], w.Env()[EnvERPControl], w.Env()[EnvWMSURL]} {
		c := client{t, url + "/_control", "", "X-Nothing"}
		c.do(200, "POST", "/freeze", nil)
		c.do(200, "PATCH", "/chaos", map[string]any{"error_503": .5})
		r := c.do(200, "PATCH", "/chaos", map[string]any{"slow": .25})
		if got := fmt.Sprint(r.doc["chaos"]); got != "map[error_503:0.5 slow:0.25]" {
			t.Errorf("%s: chaos %s", url, got)
		}
		c.do(400, "PUT", "/chaos", map[string]any{"errors": 1})
		c.do(200, "PUT", "/chaos", map[string]any{})
		c.do(200, "POST", "/resume", nil)
		c.do(200, "POST", "/quiesce", nil)
		if _, err := ParseObjects(c.do(200, "GET", "/snapshot", nil).raw); err != nil {
			t.Error(err)
		}
	}
	erp, err := ParseObjects(client{t, w.Env()[EnvERPControl], "", "X-Nothing"}.do(200, "GET", "/_control/snapshot", nil).raw)
	if err != nil || len(erp[Product]) != 2 || erp[Product][0].Key != productAt(1, 1).sku {
		t.Errorf("%v, %v", erp[Product], err)
	}
}
