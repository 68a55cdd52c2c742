package acceptance

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Every command explains itself, and so does every command below it.
func TestHelp(t *testing.T) {
	t.Parallel()
	seen := 0
	var walk func(path []string)
	walk = func(path []string) {
		seen++
		out, stderr, code := waybill(t, t.TempDir(), append(path, "--help")...)
		if code != 0 || stderr != "" || !strings.Contains(out, "Usage:") || !strings.Contains(out, "Flags:") {
			t.Errorf("waybill %s --help: exit %d\n%s%s", strings.Join(path, " "), code, out, stderr)
		}
		_, list, found := strings.Cut(out, "Available Commands:\n")
		if !found {
			return
		}
		list, _, _ = strings.Cut(list, "\n\n")
		for line := range strings.Lines(list) {
			if name := strings.Fields(line)[0]; name != "help" {
				walk(append(path[:len(path):len(path)], name))
			}
		}
	}
	walk(nil)
	if seen < 15 {
		t.Errorf("only %d commands were found", seen)
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	out, _, code := waybill(t, t.TempDir(), "version")
	if code != 0 || !regexp.MustCompile(`^waybill \S+\n(commit .*\n)?go\S+ \S+\ntime zones \d{4}[a-z]+ \(.+\)\n$`).MatchString(out) {
		t.Errorf("exit %d: %q", code, out)
	}
	out, _, code = waybill(t, t.TempDir(), "version", "--output", "json")
	var v struct{ Version string }
	if err := json.Unmarshal([]byte(out), &v); err != nil || code != 0 || v.Version == "" {
		t.Errorf("exit %d: %q: %v", code, out, err)
	}
}

// Wrong usage exits with 2, and says what is wrong on standard error alone.
func TestUsageErrors(t *testing.T) {
	t.Parallel()
	dir := newReadings(t, nil).dir
	for line, says := range map[string]string{
		"":                               "",
		"stats":                          "did you mean status?",
		"parked lst":                     "did you mean list?",
		"sandbox":                        "crm|erp|wms|all|env",
		"sandbox all --rte 3":            "rte",
		"status --colour":                "colour",
		"status everything":              "",
		"status --output xml":            "write text or json",
		"trace":                          "give a KEY",
		"xref":                           "give a KEY",
		"check no-such-directory":        "no-such-directory",
		"check --format xml":             "write text, json or github",
		"check drop":                     "configs/*.yaml",
		"test no-such-directory":         "no-such-directory",
		"test --run (":                   "--run",
		"run -c no-such-file.yaml":       "no-such-file.yaml",
		"run --log-level loud":           "loud",
		"parked":                         "",
		"parked show first":              "first",
		"parked edit 1":                  "--note",
		"parked replay":                  "--cause",
		"parked replay 1 --all":          "either ids or a selection",
		"parked discard 1":               "--note",
		"parked discard --all":           "--note",
		"parked list --by colour":        "cause",
		"parked list --state lost":       "follower",
		"parked replay --state follower": "in order",
		"parked list --older-than soon":  "3d",
		"parked replay 1 two":            "two",
		"pause":                          "give a FLOW",
		"status --url http://[::1":       "--url",
		"demo --for soon":                "soon",
		"bench --output yaml":            "write text or json",
	} {
		t.Run(line, func(t *testing.T) {
			out, stderr, code := waybill(t, dir, strings.Fields(line)...)
			if code != 2 {
				t.Errorf("exit %d\n%s%s", code, out, stderr)
			}
			if says != "" && (!strings.Contains(stderr, says) || out != "") {
				t.Errorf("standard error %q does not say %q; standard output %q", stderr, says, out)
			}
		})
	}
}

// Where no hub answers, every command that asks one exits with 3.
func TestNoHub(t *testing.T) {
	t.Parallel()
	p := newReadings(t, nil)
	p.write(t, "fixed.json", reading("A-1", 1))
	for _, line := range []string{"status", "trace A-1", "xref A-1", "parked list", "parked show 1", "parked list --by cause", "parked edit 1 --file fixed.json --note x", "parked replay 1", "parked replay --all --yes",
		"parked discard 1 --note x", "pause scanner-readings", "resume scanner-readings", "reload"} {
		for _, format := range []string{"text", "json"} {
			out, stderr, code := waybill(t, p.dir, append(strings.Fields(line), "--url", "http://"+freePort(t), "--output", format)...)
			if code != 3 || !strings.Contains(stderr, "no hub answers at") || out != "" {
				t.Errorf("%s: exit %d\n%s%s", line, code, out, stderr)
			}
		}
	}
}

// With --output json every command that reads prints one JSON document on standard output and nothing else.
func TestJSON(t *testing.T) {
	t.Parallel()
	p := newReadings(t, map[string]string{"flows/readings_test.yaml": `test: scanner-readings
cases:
  - name: a reading
    given: {number: A-1, amount: 1.234}
    want: {data: {number: A-1, amount: 1.23}}
`})
	h := p.run(t, map[string]string{"SCANNER_SECRET": hookSecret})
	for id, body := range map[string]string{"good": reading("A-1", 1.5), "bad": `{"number":"B-1"}`} {
		if status, answer := (push{id: id, body: []byte(body)}).send(t, p); status != http.StatusAccepted {
			t.Fatalf("%d %s", status, answer)
		}
	}
	h.await("one is delivered, one parked", 30*time.Second, func() bool {
		n := h.status().Totals
		return n.Parked == 1 && n.Delivered == 2 && n.InFlight == 0
	})
	p.write(t, "fixed.json", reading("B-1", 2))
	for _, c := range []struct {
		line string
		has  []string // members of the document
	}{
		{"version", []string{"version"}},
		{"test", []string{"ok", "files", "cases", "passed", "failed", "results", "problems"}},
		{"status", []string{"version", "totals", "flows", "systems", "reconciliations"}},
		{"trace A-1", []string{"key", "objects", "journal", "queued", "inbox"}},
		{"xref A-1", []string{"key", "objects"}},
		{"parked list", []string{"parked"}},
		{"parked list --state held", []string{"parked"}},
		{"parked list --by cause", []string{"causes"}},
		{"parked replay --all --dry-run", []string{"matched", "behind"}},
		{"parked show 1", []string{"id", "flow", "state", "code", "reason", "key", "data"}},
		{"pause scanner-readings", []string{"flow", "state"}},
		{"resume scanner-readings", []string{"flow", "state"}},
		{"parked edit 1 --file fixed.json --note typo", []string{"id", "edited_by", "rehearsal"}},
		{"parked replay 1 --wait 30s", []string{"ids", "mark", "fates"}},
		{"parked replay --all --yes", []string{"total", "done"}},
	} {
		out, stderr, code := waybill(t, p.dir, append(strings.Fields(c.line), "--output", "json", "--url", "http://"+p.http)...)
		var doc map[string]any
		if err := json.Unmarshal([]byte(out), &doc); err != nil || code != 0 || stderr != "" {
			t.Errorf("%s: exit %d, %v\n%s%s", c.line, code, err, out, stderr)
		}
		for _, name := range c.has {
			v, ok := doc[name]
			if !ok {
				t.Errorf("%s: no %q in\n%s", c.line, name, out)
			} else if v == nil {
				t.Errorf("%s: %q is null in\n%s", c.line, name, out)
			}
		}
	}
	// A key that nobody knows has an empty answer, and the command says no.
	for line, empty := range map[string]string{"trace nothing": "journal", "xref nothing": "objects"} {
		out, stderr, code := waybill(t, p.dir, append(strings.Fields(line), "--output", "json", "--url", "http://"+p.http)...)
		var doc map[string]any
		if err := json.Unmarshal([]byte(out), &doc); err != nil || code != 1 || stderr != "" {
			t.Errorf("%s: exit %d, %v\n%s%s", line, code, err, out, stderr)
		}
		if list, ok := doc[empty].([]any); !ok || len(list) != 0 {
			t.Errorf("%s: %s", line, out)
		}
		out, _, code = waybill(t, p.dir, append(strings.Fields(line), "--url", "http://"+p.http)...)
		if code != 1 || !strings.Contains(out, "nothing") {
			t.Errorf("%s: exit %d: %s", line, code, out)
		}
	}
	out, _, code := waybill(t, p.dir, "check", "--output", "json")
	if code != 0 || strings.TrimSpace(out) != "[]" {
		t.Errorf("check: exit %d: %q", code, out)
	}
	// What does not exist is an answer of the hub's, not a wrong usage, and standard output stays empty.
	for _, line := range []string{"parked show 999", "parked discard 999 --note x", "parked list --system nowhere", "pause no-such-flow", "parked replay 999"} {
		out, stderr, code := waybill(t, p.dir, append(strings.Fields(line), "--output", "json", "--url", "http://"+p.http)...)
		if code != 1 || out != "" || stderr == "" {
			t.Errorf("%s: exit %d\n%s%s", line, code, out, stderr)
		}
	}
	h.await("the replayed one is delivered", 30*time.Second, func() bool { return len(p.ledger(t)) == 2 })
}

// billing is a REST service that can be down.
type billing struct {
	up atomic.Bool
	mu sync.Mutex
	by map[string]string // bodies by external id
}

func (b *billing) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	if !b.up.Load() {
		http.Error(w, `{"message":"closed for stock-taking"}`, http.StatusServiceUnavailable)
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if r.Method == http.MethodPost {
		var doc struct{ Ref, Number string }
		if err := json.NewDecoder(r.Body).Decode(&doc); err != nil {
			http.Error(w, "{}", http.StatusBadRequest)
			return
		}
		b.by[doc.Ref] = doc.Number
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintf(w, `{"id":%q,"ref":%q}`, doc.Number, doc.Ref)
		return
	}
	fmt.Fprint(w, `[]`)
}

// waybill status exits with 1 while a system is down, says which one, and with 0 when it is back; nothing is lost or parked.
func TestStatusSaysWhatFails(t *testing.T) {
	t.Parallel()
	b := &billing{by: map[string]string{}}
	srv := httptest.NewServer(b)
	defer srv.Close()
	files := map[string]string{
		"configs/waybill.yaml": strings.Replace(readingsFiles["configs/waybill.yaml"], "systems:\n",
			"systems:\n  billing:\n    connector: rest\n    url: "+srv.URL+"\n    objects: {reading: {path: /readings, external-id: ref, find: {external: {ref: \"{external}\"}}}}\n", 1),
		"flows/billing.yaml": "flow: readings-to-billing\nentity: reading\nfrom: {topic: canonical.reading}\nto: {system: billing}\n",
	}
	p := newReadings(t, files)
	h := p.run(t, map[string]string{"SCANNER_SECRET": hookSecret})
	const n = 5
	for i := range n {
		number := fmt.Sprintf("A-%d", i)
		if status, answer := (push{id: number, body: []byte(reading(number, i))}).send(t, p); status != http.StatusAccepted {
			t.Fatalf("%d %s", status, answer)
		}
	}
	status := func() (string, int) {
		out, _, code := waybill(t, p.dir, "status", "--url", "http://"+p.http)
		return out, code
	}
	h.await("waybill status exits with 1", 90*time.Second, func() bool { _, code := status(); return code == 1 })
	out, _ := status()
	if !regexp.MustCompile(`(?m)^readings-to-billing +failing (?s:.*)^readings-to-billing: billing is down since .*stock-taking`).MatchString(out) || !regexp.MustCompile(`(?m)^billing +down `).MatchString(out) {
		t.Errorf("waybill status does not say what fails:\n%s", out)
	}
	h.await("the other flow goes on", 30*time.Second, func() bool { return len(p.ledger(t)) == n })
	b.up.Store(true)
	h.await("everything is delivered, and waybill status exits with 0", 90*time.Second, func() bool {
		_, code := status()
		n := h.status().Totals
		return code == 0 && n.InFlight == 0
	})
	st := h.status()
	checkTotals(t, st)
	if st.Totals.Parked != 0 || len(b.by) != n {
		t.Errorf("parked %d; billing has %v", st.Totals.Parked, b.by)
	}
}
