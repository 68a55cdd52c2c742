package acceptance

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/waybill-hub/waybill/internal/api"
	"github.com/waybill-hub/waybill/internal/needtest"
	"github.com/waybill-hub/waybill/internal/store/pgtest"
)

// meter is a document of one key.
type meter struct {
	Number string `json:"number"`
	Seq    int    `json:"seq"`
	Amount int    `json:"amount,omitempty"`
	Kind   string `json:"kind,omitempty"`
}

func (m meter) String() string {
	b, _ := json.Marshal(m)
	return string(b)
}

// picky is a REST service that refuses some documents until it is repaired, and remembers every write that it took, in order.
type picky struct {
	mu       sync.Mutex
	repaired bool
	calls    int
	took     map[string][]meter // by number, in the order of writes
	ref      map[string]string  // numbers by external id
}

func (p *picky) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	if r.Method == http.MethodGet {
		list := []map[string]string{}
		if n, ok := p.ref[r.URL.Query().Get("ref")]; ok {
			list = append(list, map[string]string{"id": n, "ref": r.URL.Query().Get("ref")})
		}
		_ = json.NewEncoder(w).Encode(list)
		return
	}
	p.calls++
	var doc struct {
		meter
		Ref string `json:"ref"`
	}
	if err := json.NewDecoder(r.Body).Decode(&doc); err != nil {
		http.Error(w, `{"message":"no document"}`, http.StatusBadRequest)
		return
	}
	number := doc.Number
	switch {
	case doc.Kind == "test":
		w.WriteHeader(http.StatusUnprocessableEntity)
		fmt.Fprintf(w, `{"message":"%s is a test meter"}`, number)
		return
	case doc.Amount > 1000 && !p.repaired:
		w.WriteHeader(http.StatusUnprocessableEntity)
		fmt.Fprintf(w, `{"message":"the amount %d of %s is over the limit"}`, doc.Amount, number)
		return
	}
	p.took[number] = append(p.took[number], doc.meter)
	if r.Method == http.MethodPost {
		if _, twice := p.ref[doc.Ref]; twice {
			p.took[number] = append(p.took[number], meter{Number: number, Seq: -1}) // a second object: never in order
		}
		p.ref[doc.Ref] = number
		w.WriteHeader(http.StatusCreated)
	}
	fmt.Fprintf(w, `{"id":%q,"ref":%q}`, number, doc.Ref)
}

func (p *picky) repair() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.repaired = true
}

func (p *picky) writes() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.calls
}

// meterFiles are the readings project with numbered documents and the picky service; names end with suffix, for a broker that others use too.
func meterFiles(target, suffix string) map[string]string {
	return map[string]string{
		"configs/waybill.yaml": strings.Replace(readingsFiles["configs/waybill.yaml"], "systems:\n",
			"systems:\n  billing:\n    connector: rest\n    url: "+target+"\n    objects: {reading: {path: /readings, external-id: ref, find: {external: {ref: \"{external}\"}}}}\n", 1),
		"schemas/reading.v1.json": `{
  "$schema": "http://json-schema.org/draft-07/schema#",
  "type": "object",
  "required": ["number", "seq", "amount"],
  "additionalProperties": false,
  "properties": {"number": {"type": "string"}, "seq": {"type": "integer"}, "amount": {"type": "integer"}, "kind": {"type": "string"}}
}
`,
		"mappings/readings.yaml": "mapping: plain-reading\nfrom: reading.v1\nto: reading.v1\nset:\n  number: source.number\n  seq: source.seq\n  amount: source.amount\n  kind?: source.kind\n",
		"flows/readings.yaml": strings.ReplaceAll(`flow: scanner-readings@
entity: reading
from:
  system: scanner
  webhook:
    path: scanner/readings
    verify: {scheme: standard-webhooks, secret: "${env:SCANNER_SECRET}"}
accept: reading.v1
key: source.number
version: source.seq
map: plain-reading
to: {topic: canonical.reading@}
---
flow: readings-to-billing@
entity: reading
from: {topic: canonical.reading@}
to: {system: billing}
slo: {late-after: 1s}
`, "@", suffix),
	}
}

// desk is an operator at one of some hubs.
type desk struct {
	t    *testing.T
	p    *project
	hubs []*hub
}

func (d *desk) run(args ...string) (out string, code int) {
	d.t.Helper()
	return d.runWith(nil, args...)
}

// runWith runs a command under an environment with more in it.
func (d *desk) runWith(env []string, args ...string) (out string, code int) {
	d.t.Helper()
	stdout, stderr, code := waybillWith(d.t, d.p.dir, env, append(args, "--url", "http://"+d.p.http)...)
	return stdout + stderr, code
}

// do runs a command that must go well.
func (d *desk) do(args ...string) string {
	d.t.Helper()
	out, code := d.run(args...)
	if code != 0 {
		d.t.Fatalf("waybill %s: exit %d\n%s", strings.Join(args, " "), code, out)
	}
	return out
}

func (d *desk) causes(args ...string) (causes []api.Cause) {
	d.t.Helper()
	var got struct{ Causes []api.Cause }
	if err := json.Unmarshal([]byte(d.do(append([]string{"parked", "list", "--by", "cause", "--output", "json"}, args...)...)), &got); err != nil {
		d.t.Fatal(err)
	}
	return got.Causes
}

// cause finds the one cause whose text holds a word.
func (d *desk) cause(word string) api.Cause {
	d.t.Helper()
	for _, c := range d.causes() {
		if strings.Contains(c.Text, word) {
			return c
		}
	}
	d.t.Fatalf("no cause says %q: %+v", word, d.causes())
	return api.Cause{}
}

func (d *desk) list(args ...string) []api.Queued {
	d.t.Helper()
	var got api.Page
	if err := json.Unmarshal([]byte(d.do(append([]string{"parked", "list", "--output", "json", "--limit", "10000"}, args...)...)), &got); err != nil {
		d.t.Fatal(err)
	}
	return got.Parked
}

// atRest waits until nothing moves.
func (d *desk) atRest(parked int64) {
	d.t.Helper()
	h := d.hubs[0]
	var last string
	d.t.Cleanup(func() {
		if d.t.Failed() && last != "" {
			d.t.Logf("seen last: %s", last)
		}
	})
	h.await(fmt.Sprintf("rest with %d parked", parked), 2*time.Minute, func() bool {
		st := h.status()
		n := st.Totals
		last = fmt.Sprintf("%+v; flows %+v", n, st.Flows)
		return st.AtRest() && n.Waiting == 0 && n.Parked == parked
	})
	last = ""
}

// TestParking: a target refuses one document in a hundred, and a schema some more; keys queue behind them. An operator edits some,
// gives some up, repairs the target and replays by cause, while the hub is killed between what they asked for and its being carried
// out. The target sees each key's versions in order, each once.
func TestParking(t *testing.T) {
	t.Parallel()
	srv, target := startPicky(t)
	p := newReadings(t, meterFiles(srv.URL, ""))
	h := p.run(t, map[string]string{"SCANNER_SECRET": hookSecret})
	operate(&desk{t: t, p: p, hubs: []*hub{h}}, target, "", 0)
}

// The same with three hubs on Apache Kafka and PostgreSQL: what is asked at one hub is carried out by the one that owns the message.
func TestParkingOfThreeHubs(t *testing.T) {
	t.Parallel()
	broker := needtest.Kafka(t)
	srv, target := startPicky(t)
	suffix := "-" + uuid.NewString()[:8]
	env := map[string]string{"SCANNER_SECRET": hookSecret, "WAYBILL_TEST_STORE": pgtest.URL(t)}
	d := &desk{t: t}
	for range 3 {
		p := newReadings(t, meterFiles(srv.URL, suffix))
		text, err := os.ReadFile(p.path("configs/waybill.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		shared := strings.NewReplacer(`broker: {embedded: {dir: "`+p.dir+`/data/broker"}}`, `broker: {kafka: {brokers: ["`+broker+`"], replication: 1}}
takeover-after: 6s`,
			`store: {sqlite: {path: "`+p.dir+`/data/waybill.db"}}`, `store: {postgres: {url: "${env:WAYBILL_TEST_STORE}"}}`).Replace(string(text))
		if strings.Contains(shared, "sqlite") || strings.Contains(shared, "embedded") {
			t.Fatalf("not moved:\n%s", shared)
		}
		p.write(t, "configs/waybill.yaml", shared)
		d.hubs = append(d.hubs, p.run(t, env))
		d.p = p
	}
	d.p = d.hubs[0].p
	operate(d, target, suffix, 1)
}

func startPicky(t *testing.T) (*httptest.Server, *picky) {
	target := &picky{took: map[string][]meter{}, ref: map[string]string{}}
	srv := httptest.NewServer(target)
	t.Cleanup(srv.Close)
	return srv, target
}

// operate is the operator's day; victim is the hub that is killed.
func operate(d *desk, target *picky, suffix string, victim int) {
	t := d.t
	const keys, versions = 40, 10
	over, tests, broken := 0, 0, 0
	for seq := 1; seq <= versions; seq++ {
		for k := range keys {
			m := meter{Number: fmt.Sprintf("M-%03d", k), Seq: seq, Amount: 10*k + seq}
			switch {
			case seq == 4 && k%10 == 0: // 4 of 400 are over the limit
				m.Amount += 5000
				over++
			case seq == 6 && k%20 == 3: // 2 are tests
				m.Kind = "test"
				tests++
			case seq == 5 && k%20 == 7: // 2 have no amount
				m.Amount = 0
				broken++
			}
			hub := d.hubs[(seq+k)%len(d.hubs)]
			if status, answer := (push{id: fmt.Sprintf("%s/%d", m.Number, seq), body: []byte(m.String())}).send(t, hub.p); status != http.StatusAccepted {
				t.Fatalf("%d %s", status, answer)
			}
		}
	}
	// Each stops its key: the one that is stopped, and all behind it.
	resting := int64(over*(versions-3) + tests*(versions-5) + broken*(versions-4))
	d.atRest(resting)

	// Messages that wait for a person make no flow late, however old they are, and the command says so and exits with 0.
	d.hubs[0].await("old enough", 10*time.Second, func() bool {
		for _, f := range d.hubs[0].status().Flows {
			if f.Name == "readings-to-billing"+suffix {
				return f.ParkedSeconds > 2
			}
		}
		return false
	})
	if out := d.do("status"); !strings.Contains(out, "attention") || strings.Contains(out, " late ") {
		t.Errorf("status:\n%s", out)
	}

	limit, test := d.cause("over the limit"), d.cause("test meter")
	if limit.Count != int64(over) || limit.Behind != int64(over*(versions-4)) || test.Count != int64(tests) {
		t.Errorf("causes: %+v", d.causes())
	}
	billing := "readings-to-billing" + suffix
	if got := len(d.list("--flow", billing)); got != over+tests {
		t.Errorf("%d heads are listed", got)
	}
	if got := len(d.list("--system", "billing", "--state", "follower")); got != over*(versions-4)+tests*(versions-6) {
		t.Errorf("%d followers are listed", got)
	}

	editOne(d, target, suffix)
	d.atRest(resting - int64(versions-4))

	// A follower is not replayed before its head.
	head := d.list("--cause", limit.Cause)[0]
	if out, code := d.run("parked", "replay", fmt.Sprint(head.Followers[0].ID)); code != 1 || !strings.Contains(out, fmt.Sprintf("queues behind message %d of its key", head.ID)) {
		t.Errorf("replay of a follower: exit %d\n%s", code, out)
	}
	if out, code := d.run("parked", "discard", "--cause", test.Cause); code != 2 || !strings.Contains(out, "--note") {
		t.Errorf("a discard without a reason: exit %d\n%s", code, out)
	}

	// Given up, asked for while the flow is paused: what is behind them is released when it goes on.
	d.do("pause", billing)
	for _, h := range d.hubs { // the others hear of it within a second or so
		h.await("paused", 30*time.Second, func() bool {
			return slices.ContainsFunc(h.status().Flows, func(f api.Flow) bool { return f.Name == billing && f.State == api.StatePaused })
		})
	}
	d.do("parked", "discard", "--cause", test.Cause, "--yes", "--note", "test meters", "--wait", "60s")
	d.hubs[0].await("discarded", 30*time.Second, func() bool { return d.hubs[0].status().Totals.Discarded == int64(tests) })

	// Asked for, and killed before anything of it is carried out.
	if out := d.do("parked", "replay", "--cause", limit.Cause, "--dry-run"); !strings.Contains(out, fmt.Sprintf("%d messages would be replayed; %d more queue behind", over, over*(versions-4))) {
		t.Errorf("dry run: %s", out)
	}
	before := target.writes()
	target.repair()
	if out := d.do("parked", "replay", "--cause", limit.Cause, "--yes", "--note", "the limit is lifted"); !strings.Contains(out, fmt.Sprintf("%d messages to be replayed", over)) {
		t.Errorf("replay: %s", out)
	}
	v := d.hubs[victim]
	v.kill()
	v.start()
	if got := len(d.list("--marked")); got != over {
		t.Errorf("%d marks outlive the kill, want %d", got, over)
	}
	if n := target.writes(); n != before {
		t.Errorf("%d writes while the flow is paused", n-before)
	}
	d.do("resume", billing)
	d.atRest(int64((broken - 1) * (versions - 4)))

	editOne(d, target, suffix)
	d.atRest(0)
	check(d, target, suffix, keys, versions, tests)
}

// editOne edits one document without an amount, and replays it.
func editOne(d *desk, target *picky, suffix string) {
	t := d.t
	t.Helper()
	q := d.list("--cause", d.cause("schema required:amount").Cause)[0]
	id := fmt.Sprint(q.ID)
	fixed := meter{Number: q.Key, Seq: 5, Amount: 77}
	d.p.write(t, "fixed.json", fixed.String())
	d.p.write(t, "wrong.json", `{"number":"`+q.Key+`","seq":5,"amount":"many"}`)
	d.p.write(t, "other.json", meter{Number: "M-999", Seq: 5, Amount: 77}.String())
	// Refused with the place, as one of another key, and as made of an older revision.
	for file, says := range map[string]string{"wrong.json": "amount: ", "other.json": "changes the business key"} {
		if out, code := d.run("parked", "edit", id, "--file", file, "--note", "amount"); code != 1 || !strings.Contains(out, says) {
			t.Errorf("%s: exit %d\n%s", file, code, out)
		}
	}
	if out, code := d.run("parked", "edit", id, "--file", "fixed.json", "--note", "amount", "--if-match", fmt.Sprintf(`"%s-7"`, id)); code != 1 || !strings.Contains(out, "somebody else") {
		t.Errorf("an old revision: exit %d\n%s", code, out)
	}
	// An editor that changes nothing does nothing; one that adds the amount edits.
	if out, code := d.runWith([]string{"EDITOR=true"}, "parked", "edit", id, "--note", "amount"); code != 1 || !strings.Contains(out, "nothing is done") {
		t.Errorf("an editor that changes nothing: exit %d\n%s", code, out)
	}
	editor := "EDITOR=cp " + filepath.Join(d.p.dir, "fixed.json")
	if out, code := d.runWith([]string{editor}, "parked", "edit", id, "--note", "read off the meter again"); code != 0 {
		t.Fatalf("an editor that adds the amount: exit %d\n%s", code, out)
	}
	show := d.do("parked", "show", id)
	if !strings.Contains(show, "+   \"amount\": 77") || !strings.Contains(show, "read off the meter again") {
		t.Errorf("show:\n%s", show)
	}
	if out := d.do("parked", "replay", id, "--wait", "60s"); !strings.Contains(out, "delivered") {
		t.Errorf("replay: %s", out)
	}
	story := d.do("trace", q.Key)
	for _, says := range []string{" edit ", " replay ", "read off the meter again", " parked "} {
		if !strings.Contains(story, says) {
			t.Errorf("the story does not tell %q:\n%s", says, story)
		}
	}
}

// check compares what the target holds with what was sent.
func check(d *desk, target *picky, suffix string, keys, versions, tests int) {
	t := d.t
	t.Helper()
	st := d.hubs[0].status()
	checkTotals(t, st)
	if n := st.Totals; n.Discarded != int64(tests) || n.Accepted != n.Delivered+n.Discarded {
		t.Errorf("totals: %+v", n)
	}
	target.mu.Lock()
	defer target.mu.Unlock()
	for k := range keys {
		number := fmt.Sprintf("M-%03d", k)
		var want, got []int
		for seq := 1; seq <= versions; seq++ {
			if seq != 6 || k%20 != 3 {
				want = append(want, seq)
			}
		}
		for _, m := range target.took[number] {
			if n := len(got); n > 0 && got[n-1] == m.Seq {
				continue // written again after the kill: absolute values
			}
			got = append(got, m.Seq)
			if k%20 == 7 && m.Seq == 5 && m.Amount != 77 {
				t.Errorf("%s: the edited document was not sent: %v", number, m)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: the target took %v", number, got)
		}
	}
	if len(target.ref) != keys {
		t.Errorf("the target holds %d objects", len(target.ref))
	}
	var acts struct{ Audit []api.Audit }
	if err := d.hubs[0].get("/api/v1/audit", &acts); err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for _, a := range acts.Audit {
		count[a.Action]++
		if a.Who == "" || a.Who == "local" {
			t.Errorf("nobody did it: %+v", a)
		}
		if a.Action == "bulk replay" && (!strings.Contains(a.Object, "cause=") || !strings.Contains(a.Detail, "4 messages: the limit is lifted")) {
			t.Errorf("audit: %+v", a)
		}
	}
	if count["edit"] != 2 || count["replay"] != 2 || count["bulk replay"] != 1 || count["bulk discard"] != 1 {
		t.Errorf("audit: %v", count)
	}
	// What was given up is told with who, why and the document.
	out, _ := d.run("trace", "M-003")
	if !strings.Contains(out, "discarded") || !strings.Contains(out, "test meters") {
		t.Errorf("trace of a discarded message:\n%s", out)
	}
}
