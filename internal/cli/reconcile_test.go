package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/api"
	"github.com/waybill-hub/waybill/internal/state"
)

// runHub answers as a hub does that works one run, whose number is 7: each look at it gives the next of looks, and then the last one again.
type runHub struct {
	*httptest.Server
	mu     sync.Mutex
	looks  []state.Comparison
	found  []state.Difference
	report string // empty: it breaks off
	asked  []string
}

func newRunHub(t *testing.T, looks ...state.Comparison) *runHub {
	h := &runHub{looks: looks, report: "the report"}
	h.Server = hubServer(h)
	t.Cleanup(h.Close)
	return h
}

func (h *runHub) look() *api.Run {
	c := h.looks[0]
	if len(h.looks) > 1 {
		h.looks = h.looks[1:]
	}
	c.ID, c.Kind, c.Name = 7, state.RunReconciliation, "customers"
	return api.RunView(&c)
}

func (h *runHub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	body, _ := io.ReadAll(r.Body) // a test's request
	answer := func(v any) { _ = json.NewEncoder(w).Encode(v) }
	if r.Method == http.MethodPost {
		h.asked = append(h.asked, r.URL.Path+" "+string(body))
	}
	switch p := r.URL.Path; {
	case strings.HasSuffix(p, "/busy/run"):
		w.WriteHeader(http.StatusConflict)
		answer(api.Problem{Title: "Conflict", Status: 409, Detail: "run 7 of reconciliation busy is under way already", Run: h.look()})
	case strings.HasSuffix(p, "/cancel"):
		h.looks = []state.Comparison{{State: state.RunRunning, Cancel: "ann"}, {State: state.RunCancelled, Detail: "cancelled by ann"}}
		answer(h.look())
	case strings.HasSuffix(p, "/run"), strings.HasSuffix(p, "/repair"):
		w.WriteHeader(http.StatusAccepted)
		answer(h.look())
	case p == "/api/v1/runs/7":
		answer(h.look())
	case p == "/api/v1/runs/7/differences":
		q := r.URL.Query()
		h.asked = append(h.asked, "differences "+q.Encode())
		after, limit := 0, 0
		fmt.Sscan(q.Get("after"), &after)
		fmt.Sscan(q.Get("limit"), &limit)
		page := api.Differences{Run: 7, Differences: h.found[min(after, len(h.found)):min(after+min(limit, 2), len(h.found))]}
		if n := after + len(page.Differences); n < len(h.found) {
			page.Next = n
		}
		answer(page)
	case p == "/api/v1/runs/7/report":
		_, _ = io.WriteString(w, h.report+r.URL.Query().Get("format"))
		if h.report == "" {
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}
	case strings.HasSuffix(p, "/runs"):
		c := h.looks[0]
		c.ID = 7
		answer(api.Runs{Runs: []api.Run{*api.RunView(&c)}, Next: 7})
	case p == "/api/v1/reconciliations":
		at := time.Date(2026, 11, 30, 2, 0, 0, 0, time.UTC)
		answer(map[string]any{"reconciliations": []api.Reconciliation{{Name: "customers", Different: 1234, Standing: api.Standing{State: "drift", LastRun: &at, Compared: 2_000_000, Drift: 12, Why: "12 left: waybill reconcile show 7"}}}})
	default:
		http.NotFound(w, r)
	}
}

func (h *runHub) command(t *testing.T, args ...string) (int, string, string) {
	t.Helper()
	return command(t, append(args, "--url", h.URL)...)
}

var runStart = time.Date(2026, 11, 30, 2, 0, 0, 0, time.UTC)

// ended is a run that has found something of everything.
func ended(as state.RunState) state.Comparison {
	return state.Comparison{State: as, Started: runStart, Finished: runStart.Add(12 * time.Second), Summary: state.CompareSummary{Compared: 2_000_000, Equal: 1_999_996, MissingRight: 1, Different: 2, NotCompared: 1, Repairable: 3,
		Reasons: map[string]int64{"edited-right": 2, "never-arrived": 1}, Explained: map[string]int64{"parked": 1}, Fields: map[string]int64{"credit_limit": 2}, Money: map[string]string{"EUR": "10.10", "CNY": "3"},
		Oldest: runStart, Totals: []state.TotalLine{{Total: "open_amount", Group: []string{"EUR", "2026-11"}, Left: "100.10", Right: "90"}},
		Files: []state.ComparedFile{{Side: "right", System: "bank", Name: "st\x1b.csv", ID: "9f86", Size: 12, Modified: runStart}}}}
}

func foundDifferences() []state.Difference {
	return []state.Difference{
		{N: 1, Kind: state.DiffDifferent, Reason: "edited-right", Key: "C-1", Left: "1", Right: "2", Proposal: "write credit_limit to erp",
			Fields: []state.DifferentField{{Path: "credit_limit", Left: json.RawMessage("100.10"), Right: json.RawMessage("90.00")}, {Path: "name"}}, Write: json.RawMessage(`{"credit_limit":100.10}`)},
		{N: 2, Kind: state.DiffMissingRight, Reason: "never-arrived", Key: "C-2\x1b[31m", Left: "5", Text: "the hub has seen it", Repair: state.RepairFailed, RepairDetail: "422"},
		{N: 3, Kind: state.DiffDifferent, Reason: "edited-right", Key: "C-3", Fields: []state.DifferentField{{Path: "note", Right: json.RawMessage(`"` + strings.Repeat("x", 100) + `"`)}}},
	}
}

// TestInNoTotal: where the run keeps nothing of the objects that could not be compared, nobody is sent to look at them.
func TestInNoTotal(t *testing.T) {
	hub := newRunHub(t, state.Comparison{ID: 7, Name: "totals", Kind: state.RunReconciliation, State: state.RunDrift, Detail: "4 objects of the left side are in no total: 1: a: true is no amount",
		Summary: state.CompareSummary{Compared: 5, NotCompared: 4}})
	code, out, errs := hub.command(t, "reconcile", "show", "7")
	if code != 0 || errs != "" || !strings.Contains(out, "in no total: 1: a: true is no amount") || strings.Contains(out, "next:") {
		t.Errorf("%d %s\n%s", code, errs, out)
	}
}

// TestReconcile: the end of a run is a table of what was found, what to do next, and the exit code.
func TestReconcile(t *testing.T) {
	hub := newRunHub(t, state.Comparison{State: state.RunWanted}, state.Comparison{State: state.RunRunning, Progress: state.CompareProgress{Phase: "reading", Left: 10}}, ended(state.RunDrift))
	hub.found = foundDifferences()
	file := filepath.Join(t.TempDir(), "out.XLSX")
	code, out, errs := hub.command(t, "reconcile", "customers", "--key", "C-1", "--since", "2026-11-01T00:00:00+08:00", "--repair", "--deletes", "--at-most", "7", "--note", "a test", "--report", file)
	if code != 1 || errs != "" {
		t.Errorf("%d %s", code, errs)
	}
	for _, want := range []string{"customers: drift (run 7, 2,000,000 compared in 12s)\n", "equal          1,999,996\n", "missing right  1\n", "REASON OF DRIFT  COUNT\nedited-right     2\nnever-arrived    1\n",
		"EXPLAINED: NO DRIFT  COUNT\nparked               1\n", "credit_limit  2\n", "open_amount  EUR 2026-11  100.10  90\n", "money affected: 3 CNY, 10.10 EUR\n", "the oldest drift was first seen at ",
		"C-1", "credit_limit: 100.10 ≠ 90.00 (+1)", "write credit_limit to erp\n", `C-2\u001b[31m`, "failed: 422\n", "there are more: waybill reconcile show 7 --after 2\n",
		"the right side is the file st\\u001b.csv of bank, modified 2026-11-30T02:00:00Z, 12 bytes, id 9f86\n", "next: `waybill reconcile repair 7 --all --dry-run` shows what a repair would send\n", "`waybill parked list`", "--kind not-compared`", "the report is in " + file} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in:\n%s", want, out)
		}
	}
	if data, err := os.ReadFile(file); err != nil || string(data) != "the reportxlsx" {
		t.Errorf("report %q, %v", data, err)
	}
	asked := `/api/v1/reconciliations/customers/run {"key":"C-1","since":"2026-11-01T00:00:00+08:00","repair":true,"deletes":true,"at_most":7,"note":"a test"}`
	if len(hub.asked) != 3 || hub.asked[0] != asked || hub.asked[1] != "differences drift=true&limit=20" || hub.asked[2] != "differences kind=not-compared&limit=1" {
		t.Errorf("asked %q", hub.asked)
	}
	hub.looks = []state.Comparison{ended(state.RunAgreed)}
	hub.found = nil
	if code, out, _ := hub.command(t, "reconcile", "customers"); code != 0 || !strings.HasPrefix(out, "customers: agreed") {
		t.Errorf("agreed: %d %s", code, out)
	}
	for _, as := range []state.RunState{state.RunHeld, state.RunFailed, state.RunCancelled} {
		hub.looks = []state.Comparison{ended(as)}
		if code, out, _ := hub.command(t, "reconcile", "customers"); code != 1 || as == state.RunHeld && !strings.Contains(out, "waybill reconcile repair 7 --all --at-most 4`") {
			t.Errorf("%s: %d %s", as, code, out)
		}
	}
	hub.looks = []state.Comparison{ended(state.RunDrift)}
	hub.found = foundDifferences()
	code, out, _ = hub.command(t, "reconcile", "customers", "--output", "json")
	var got struct {
		Run         api.Run
		Differences []state.Difference
	}
	if err := json.Unmarshal([]byte(out), &got); code != 1 || err != nil || got.Run.State != "drift" || len(got.Differences) != 2 || string(got.Differences[0].Fields[0].Left) != "100.10" {
		t.Errorf("json: %d %v %s", code, err, out)
	}
	hub.looks = []state.Comparison{{State: state.RunWanted}}
	if code, out, _ := hub.command(t, "reconcile", "customers", "--detach"); code != 0 || !strings.Contains(out, "run 7 of customers is wanted: `waybill reconcile show 7`") {
		t.Errorf("detached: %d %s", code, out)
	}
	if code, _, errs := hub.command(t, "reconcile", "busy"); code != 1 || !strings.Contains(errs, "`waybill reconcile show 7 --wait` waits for it") {
		t.Errorf("busy: %d %s", code, errs)
	}
}

// TestReportIsWhole: a report that breaks off leaves no file, and not the one that was there either way.
func TestReportIsWhole(t *testing.T) {
	hub := newRunHub(t, ended(state.RunAgreed))
	hub.report = ""
	dir := t.TempDir()
	file := filepath.Join(dir, "old.csv")
	if err := os.WriteFile(file, []byte("before"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, _, errs := hub.command(t, "reconcile", "customers", "--report", file)
	if data, err := os.ReadFile(file); code != 3 || !strings.Contains(errs, "broke off") || err != nil || string(data) != "before" {
		t.Errorf("%d %s: %q %v", code, errs, data, err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("left: %v %v", left, err)
	}
}

// TestInterrupt: Ctrl-C asks the hub to end the run, and waits for it.
func TestInterrupt(t *testing.T) {
	hub := newRunHub(t, state.Comparison{State: state.RunRunning})
	ctx, cancel := context.WithCancel(t.Context())
	front := hubServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hub.ServeHTTP(w, r)
		if r.URL.Path == "/api/v1/runs/7" { // it is looked at: the run has begun
			cancel()
		}
	}))
	defer front.Close()
	var out, errs bytes.Buffer
	code := Main(ctx, []string{"reconcile", "customers", "--url", front.URL}, &out, &errs)
	if code != 1 || !strings.Contains(out.String(), "customers: cancelled") || !strings.Contains(errs.String(), "once more leaves it running") {
		t.Errorf("%d %s%s", code, out.String(), errs.String())
	}
	if i := slices.IndexFunc(hub.asked, func(s string) bool { return strings.HasPrefix(s, "/api/v1/runs/7/cancel ") }); i < 0 {
		t.Errorf("asked %q", hub.asked)
	}
}

// signalled is a writer that tells when a text was written.
type signalled struct {
	mu   sync.Mutex
	text strings.Builder
	word string
	seen func()
}

func (s *signalled) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text.Write(b)
	if strings.Contains(s.text.String(), s.word) && s.seen != nil {
		s.seen()
		s.seen = nil
	}
	return len(b), nil
}

// TestInterruptTwice: a second Ctrl-C leaves the run to the hub.
func TestInterruptTwice(t *testing.T) {
	hub := newRunHub(t, state.Comparison{State: state.RunRunning})
	front := hubServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/cancel") {
			w.WriteHeader(http.StatusAccepted)
			_ = json.NewEncoder(w).Encode(api.Run{ID: 7, State: "running"}) // a test's answer
			return
		}
		hub.ServeHTTP(w, r)
	}))
	defer front.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	// The signal is caught from before the sentence is said on.
	errs := &signalled{word: "once more leaves it running", seen: func() {
		if err := syscall.Kill(os.Getpid(), syscall.SIGINT); err != nil {
			t.Error(err)
		}
	}}
	var out bytes.Buffer
	e := &env{out: &out, raw: &out, err: errs, rawErr: errs, output: "text", url: front.URL}
	k := &comparing{e, state.RunReconciliation, "reconcile", "reconciliations"}
	if _, err := k.await(ctx, &api.Run{ID: 7, Name: "customers", State: "running"}); err == nil || !strings.Contains(err.Error(), "`waybill reconcile show 7` tells what comes of it") {
		t.Errorf("%v %s", err, errs.text.String())
	}
}

// TestHubGoesAway: a hub that is started anew goes on with the run, and the command with it.
func TestHubGoesAway(t *testing.T) {
	hub := newRunHub(t, ended(state.RunAgreed))
	away := 2
	front := hubServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/v1/runs/7" && away > 0 {
			away--
			if away == 1 {
				w.WriteHeader(http.StatusServiceUnavailable)
				_ = json.NewEncoder(w).Encode(api.Problem{Title: "Service Unavailable", Status: 503}) // a test's answer
				return
			}
			panic(http.ErrAbortHandler)
		}
		if r.Method == http.MethodPost {
			_ = json.NewEncoder(w).Encode(api.Run{ID: 7, Name: "customers", State: "running"}) // as above
			return
		}
		hub.ServeHTTP(w, r)
	}))
	defer front.Close()
	code, out, errs := command(t, "reconcile", "customers", "--url", front.URL)
	if code != 0 || !strings.Contains(out, "customers: agreed") || strings.Count(errs, "the hub does not answer; waiting for it") != 1 {
		t.Errorf("%d %s%s", code, out, errs)
	}
}

// TestRunsCommands: runs are listed, shown page by page, ended and repaired.
func TestRunsCommands(t *testing.T) {
	hub := newRunHub(t, ended(state.RunDrift))
	hub.found = foundDifferences()
	if code, out, _ := hub.command(t, "reconcile"); code != 0 || !strings.Contains(out, "customers       drift  ") || !strings.Contains(out, "2,000,000") || !strings.Contains(out, "12 left: waybill reconcile show 7\n") {
		t.Errorf("list: %d %s", code, out)
	}
	if code, out, _ := hub.command(t, "rule", "--output", "json"); code != 1 || out != "" { // the test's hub has none
		t.Errorf("rules: %d %s", code, out)
	}
	if code, out, _ := hub.command(t, "reconcile", "runs", "customers"); code != 0 || !strings.Contains(out, "7    drift  ") || !strings.Contains(out, "12s") || !strings.Contains(out, "add --before 7\n") {
		t.Errorf("runs: %d %s", code, out)
	}
	if code, out, _ := hub.command(t, "reconcile", "show", "7", "--all"); code != 0 || !strings.Contains(out, "C-3") || strings.Contains(out, "there are more") || !strings.Contains(out, `note: (none) ≠ "xxx`) {
		t.Errorf("show --all: %d %s", code, out)
	}
	hub.asked = nil
	if code, _, _ := hub.command(t, "reconcile", "show", "7", "--reason", "never-arrived", "--kind", "missing-right", "--after", "1", "--limit", "1"); code != 0 || hub.asked[0] != "differences after=1&kind=missing-right&limit=1&reason=never-arrived" {
		t.Errorf("selected: %d %q", code, hub.asked)
	}
	if code, _, _ := hub.command(t, "reconcile", "show", "7", "--wait"); code != 1 {
		t.Errorf("waited for drift: %d", code)
	}
	hub.asked = nil
	dry := ended(state.RunDrift)
	dry.Options = state.CompareOptions{From: 6, Repair: true, DryRun: true}
	hub.looks = []state.Comparison{dry}
	if code, out, _ := hub.command(t, "reconcile", "repair", "7", "--reason", "refused", "--reason", "doubled", "--dry-run"); code != 1 || !strings.Contains(out, "1 would be sent:\n    {\n") || !strings.Contains(out, "`waybill reconcile repair 6 --all` sends it") {
		t.Errorf("dry run: %d %s", code, out)
	}
	if code, _, _ := hub.command(t, "reconcile", "repair", "7", "3", "1", "--deletes", "--note", "looked at"); code != 1 {
		t.Errorf("repair: %d", code)
	}
	want := []string{`/api/v1/runs/7/repair {"reasons":["refused","doubled"],"dry_run":true}`, `/api/v1/runs/7/repair {"numbers":[3,1],"deletes":true,"note":"looked at"}`}
	if got := slices.DeleteFunc(hub.asked, func(s string) bool { return strings.HasPrefix(s, "differences") }); !slices.Equal(got, want) {
		t.Errorf("asked %q", got)
	}
	if code, out, _ := hub.command(t, "reconcile", "cancel", "7", "--note", "too slow"); code != 0 || !strings.Contains(out, "ends as soon as the hub that works it looks") {
		t.Errorf("cancel: %d %s", code, out)
	}
	hub.looks = []state.Comparison{{State: state.RunRunning, Attempt: 2, Progress: state.CompareProgress{Phase: "settling", Left: 1000, Right: 1, Candidates: 3, Text: "2 min are waited"}}}
	if code, out, _ := hub.command(t, "reconcile", "show", "7"); code != 0 || out != "run 7 of customers, attempt 2: customers: settling  1,001 rows  3 differ at first sight  (2 min are waited)\n" {
		t.Errorf("running: %d %s", code, out)
	}
}

// TestFieldValues: what two long values share is not all that is shown of them.
func TestFieldValues(t *testing.T) {
	long := `"Huangpu Metals Company Limited of Guangzhou`
	for _, c := range [][4]string{{"1.10", "1.1", "1.10", "1.1"}, {"", "null", "(none)", "null"}, {long + `"`, long + `!"`, `…of Guangzhou"`, `…of Guangzhou!"`}, {long + ` A and more of it"`, long + ` B"`, `…f Guangzhou A and more…`, `…f Guangzhou B"`},
		{`"` + strings.Repeat("a", 40) + `"`, `"b"`, `"` + strings.Repeat("a", 22) + "…", `"b"`}, {long, "", long[:23] + "…", "(none)"}} {
		if l, r := fieldValues(json.RawMessage(c[0]), json.RawMessage(c[1])); l != c[2] || r != c[3] {
			t.Errorf("%s and %s: %s ≠ %s, want %s ≠ %s", c[0], c[1], l, r, c[2], c[3])
		}
	}
}

func TestSince(t *testing.T) {
	for text, want := range map[string]string{"2026-11-01T00:00:00Z": "2026-11-01T00:00:00Z", "2026-11-01T08:00:00+08:00": "2026-11-01T00:00:00Z", "90m": "2026-11-30T00:30:00Z", "3d": "2026-11-27T02:00:00Z",
		"2026-11-01": "", "yesterday": "", "0s": "", "-3d": "", "2026-11-01T00:00:00": ""} {
		at, err := since(text, runStart)
		if got := at.UTC().Format(time.RFC3339); (err == nil) != (want != "") || err == nil && got != want {
			t.Errorf("%s: %s, %v; want %q", text, got, err, want)
		}
	}
}

// TestProgressBar: on a terminal one line is written over; a rate and the time left come of the last seconds, also when the run is begun anew.
func TestProgressBar(t *testing.T) {
	var w, plain bytes.Buffer
	bar := &progressBar{w: &w, plain: &plain, terminal: true, name: "customers"}
	run := func(p state.CompareProgress) *api.Run { return &api.Run{State: "running", Progress: &p} }
	line := func(after time.Duration, p state.CompareProgress) string {
		w.Reset()
		bar.show(run(p), runStart.Add(after))
		return strings.TrimPrefix(w.String(), "\r\x1b[K")
	}
	reading := func(rows int64) state.CompareProgress {
		return state.CompareProgress{Phase: "reading", Left: rows / 2, Right: rows / 2, Expect: 4_000_000}
	}
	for _, c := range []struct {
		after time.Duration
		p     state.CompareProgress
		want  string
	}{
		{0, reading(0), "customers: reading  [--------------------]  0 of about 4,000,000 rows"},
		{2 * time.Second, reading(1_000_000), "customers: reading  [#####---------------]  1,000,000 of about 4,000,000 rows  500,000/s  6s left"},
		{30 * time.Second, reading(3_000_000), "customers: reading  [###############-----]  3,000,000 of about 4,000,000 rows  71,428/s  14s left"},
		{31 * time.Second, reading(3_100_000), "customers: reading  [###############-----]  3,100,000 of about 4,000,000 rows  72,413/s  13s left"},
		{32 * time.Second, reading(5_000_000), "customers: reading  [####################]  5,000,000 of about 4,000,000 rows  133,333/s"},
		{33 * time.Second, reading(10), "customers: reading  [--------------------]  10 of about 4,000,000 rows"},
		{34 * time.Second, state.CompareProgress{}, "customers: running"},
		{35 * time.Second, state.CompareProgress{Phase: "settling", Text: "a\x1b[2Jb"}, `customers: settling  (a\u001b[2Jb)`},
		{95 * time.Second, state.CompareProgress{Phase: "settling"}, "customers: settling  for 1m0s"},
	} {
		if got := line(c.after, c.p); got != c.want {
			t.Errorf("after %s: %q, want %q", c.after, got, c.want)
		}
	}
	bar.say("hello")
	if !strings.HasSuffix(w.String(), "\r\x1b[K") || plain.String() != "hello\n" {
		t.Errorf("%q %q", w.String(), plain.String())
	}
	w.Reset()
	plain.Reset()
	bar = &progressBar{w: &w, plain: &plain, name: "customers"}
	for i := range 24 { // 12 s: a line every 5 s, but for what was said already
		phase := "reading"
		if i >= 12 {
			phase = "settling"
		}
		bar.show(run(state.CompareProgress{Phase: phase}), runStart.Add(time.Duration(i)*500*time.Millisecond))
	}
	for i := range 3 {
		bar.show(run(state.CompareProgress{Phase: "settling"}), runStart.Add(12*time.Second+time.Duration(i)*20*time.Second))
	}
	if w.Len() > 0 || plain.String() != "customers: reading\ncustomers: settling\n" {
		t.Errorf("without a terminal: %q %q", w.String(), plain.String())
	}
}

// TestRepairAdvice: what can be repaired is offered, with what it takes, and nothing else.
func TestRepairAdvice(t *testing.T) {
	k := &comparing{kind: state.RunReconciliation, verb: "reconcile"}
	total := []state.TotalLine{{Total: "count"}}
	for name, c := range map[string]struct {
		sum  state.CompareSummary
		o    state.CompareOptions
		no   string
		want string
	}{
		"some":                    {sum: state.CompareSummary{Different: 3, Doubled: 1, Repairable: 2}, want: "`waybill reconcile repair 7 --all --dry-run` shows what a repair would send"},
		"no repair in the file":   {sum: state.CompareSummary{Different: 3}, no: "write repair into it", want: "write repair into it"},
		"totals alone":            {sum: state.CompareSummary{Totals: total}, want: "totals say of no object"},
		"totals beside others":    {sum: state.CompareSummary{Different: 1, Repairable: 1, Totals: total}, want: "--all --dry-run`"},
		"doubles":                 {sum: state.CompareSummary{Doubled: 2}, want: "REPAIR says why"},
		"deletions":               {sum: state.CompareSummary{MissingLeft: 2, Deletable: 2}, want: "`waybill reconcile repair 7 --all --deletes --dry-run` shows what"},
		"the rest of a repair":    {sum: state.CompareSummary{Different: 3, Repairable: 2, Repaired: 2}, o: state.CompareOptions{Repair: true}, want: "REPAIR says why"},
		"what failed of a repair": {sum: state.CompareSummary{Different: 3, Repairable: 2, Repaired: 1, Deletable: 1}, o: state.CompareOptions{Repair: true, Deletes: true}, want: "repair 7 --all --deletes --dry-run`"},
		"a dry run":               {sum: state.CompareSummary{Different: 3, Repairable: 2}, o: state.CompareOptions{From: 6, Repair: true, DryRun: true, Numbers: []int{2, 3}}, want: "`waybill reconcile repair 6 2 3` sends it"},
		"a dry run of deletions":  {sum: state.CompareSummary{MissingLeft: 1, Deletable: 1}, o: state.CompareOptions{Repair: true, DryRun: true, Deletes: true}, want: "`waybill reconcile repair 7 --all --deletes` sends it"},
		"a dry run of nothing":    {sum: state.CompareSummary{Doubled: 1}, o: state.CompareOptions{Repair: true, DryRun: true}, want: "REPAIR says why"},
	} {
		run := api.RunView(&state.Comparison{ID: 7, State: state.RunDrift, Options: c.o, Summary: c.sum})
		run.NoRepair = c.no
		if got := k.repairAdvice(run); !strings.Contains(got, c.want) {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}
