package acceptance

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/api"
	"github.com/waybill-hub/waybill/internal/needtest"
	"github.com/waybill-hub/waybill/internal/sandbox"
	"github.com/waybill-hub/waybill/internal/store/pgtest"
)

// startWorld starts the three systems; they push to the project's hub.
func startWorld(t *testing.T, p *project, o sandbox.Options) *sandbox.World {
	t.Helper()
	o.Dir = filepath.Join(p.dir, "sandbox")
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		t.Fatal(err)
	}
	o.HookURL = "http://" + p.hooks + "/hooks"
	w, err := sandbox.StartAll(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	return w
}

// Killing the hub ten times under load loses nothing and doubles nothing, by what the systems themselves hold.
func TestKillNine(t *testing.T) {
	t.Parallel()
	kills := 10
	if testing.Short() {
		kills = 3
	}
	p := newProject(t)
	w := startWorld(t, p, sandbox.Options{Seed: 7, Rate: 25})
	killUnderLoad(t, p.run(t, w.Env()), w, kills)
}

// The same holds on Apache Kafka and PostgreSQL.
func TestKillNineOnKafka(t *testing.T) {
	t.Parallel()
	broker := needtest.Kafka(t)
	p := newProject(t)
	p.onKafka(t, broker)
	w := startWorld(t, p, sandbox.Options{Seed: 8, Rate: 10})
	env := w.Env()
	env["WAYBILL_TEST_STORE"] = pgtest.URL(t)
	killUnderLoad(t, p.run(t, env), w, 2)
}

func killUnderLoad(t *testing.T, h *hub, w *sandbox.World, kills int) {
	t.Helper()
	for i := range kills {
		before := h.status().Totals.Delivered
		// Each kill comes at another point of the work.
		h.await("work under way", 3*time.Minute, func() bool { return h.status().Totals.Delivered >= before+int64(40+37*i%90) })
		h.kill()
		h.start()
	}
	w.Quiesce()
	st := settle(t, h, w)
	checkTotals(t, st)
	checkWorld(t, h, w)
	if code := h.stop(); code != 0 {
		t.Errorf("an orderly stop exits %d", code)
	}
}

// settle waits until the systems and the hub have nothing left to do.
func settle(t *testing.T, h *hub, w *sandbox.World) *api.Status {
	t.Helper()
	var last api.Totals
	same := 0
	var before map[string]float64
	h.await("everything at rest", 5*time.Minute, func() bool {
		st := h.status()
		if !st.AtRest() || st.Totals.Accepted != last.Accepted || st.Totals.Delivered != last.Delivered || len(busy(w)) > 0 && same < 100 {
			same, before = 0, nil
		}
		last = st.Totals
		if same++; before == nil {
			before = h.reads()
		}
		return same > 30 && readAgain(before, h.reads())
	})
	if b := busy(w); len(b) > 0 {
		t.Logf("the systems still have work: %v", b)
	}
	return h.status()
}

// readAgain: every source that is polled was read some times since. What was changed last may wait for its poll, and nobody knows how long a poll takes on a machine that is busy.
func readAgain(before, now map[string]float64) bool {
	for flow, n := range before {
		if now[flow] < n+3 {
			return false
		}
	}
	return true
}

// reads are how often this process has read the source of each flow that polls. It has not read what it has no lease for yet: a hub that was killed keeps its leases for `takeover-after`.
func (h *hub) reads() map[string]float64 {
	h.t.Helper()
	if h.polls == nil {
		for _, f := range h.status().Flows {
			var def api.FlowDefinition
			if err := h.get("/api/v1/flows/"+f.Name, &def); err != nil {
				h.t.Fatal(err)
			}
			if def.By == "poll" {
				h.polls = append(h.polls, f.Name)
			}
		}
		if len(h.polls) == 0 {
			h.t.Fatal("no flow polls")
		}
	}
	out := map[string]float64{}
	for _, flow := range h.polls {
		out[flow] = 0
	}
	for line := range strings.Lines(h.page("/metrics")) {
		if rest, ok := strings.CutPrefix(line, `waybill_reads_total{flow="`); ok {
			flow, n, _ := strings.Cut(rest, `"} `)
			v, err := strconv.ParseFloat(strings.TrimSpace(n), 64)
			if err != nil {
				h.t.Fatal(line, err)
			}
			if _, polls := out[flow]; polls {
				out[flow] = v
			}
		}
	}
	return out
}

func busy(w *sandbox.World) map[string]int {
	out := map[string]int{}
	for k, n := range w.Pending() {
		if n > 0 {
			out[k] = n
		}
	}
	return out
}

func checkTotals(t *testing.T, st *api.Status) {
	t.Helper()
	n := &st.Totals
	if n.Unaccounted != 0 || n.Duplicates != 0 {
		t.Errorf("unaccounted %d, duplicates %d", n.Unaccounted, n.Duplicates)
	}
	if got := n.Delivered + n.Skipped + n.Parked + n.Waiting + n.Discarded + n.InFlight; got != n.Accepted {
		t.Errorf("the equation does not hold: accepted %d, fates %d", n.Accepted, got)
	}
	if n.Accepted == 0 || n.Delivered == 0 {
		t.Error("nothing was moved")
	}
}

// checkWorld compares the systems with each other, object by object, leaving out what the hub says is parked or waiting.
func checkWorld(t *testing.T, h *hub, w *sandbox.World) {
	t.Helper()
	w.Freeze()
	snapshot, err := w.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	odd, err := w.Odd()
	if err != nil {
		t.Fatal(err)
	}
	report := sandbox.Compare(snapshot, sandbox.CompareOptions{Ignore: h.resting(), Odd: odd})
	for i, p := range report.Problems {
		if i == 20 {
			t.Errorf("and %d more", len(report.Problems)-20)
			break
		}
		t.Errorf("%+v", p)
		if i < 3 {
			h.tell(p.Key)
		}
	}
	for _, u := range report.Unexplained {
		t.Errorf("the hub has parked a sound object: %s", u)
	}
	compared := 0
	for _, c := range report.Checks {
		compared += c.Matched
	}
	if compared < 100 {
		t.Errorf("only %d objects were compared: %+v", compared, report.Checks)
	}
	checkPushes(t, h, w)
}

// tell logs what the hub knows of a key: the systems are gone when somebody asks.
func (h *hub) tell(key string) {
	h.t.Helper()
	out, stderr, _ := waybill(h.t, h.p.dir, "--url", "http://"+h.p.http, "trace", key)
	h.t.Logf("%s%s", out, stderr)
}

// resting lists, by entity, the keys that the hub names as parked, waiting or held.
func (h *hub) resting() map[string][]string {
	h.t.Helper()
	var got struct {
		Parked []api.Queued `json:"parked"`
	}
	if err := h.get("/api/v1/parked?limit=10000", &got); err != nil {
		h.t.Fatal(err)
	}
	out := map[string][]string{}
	for _, q := range got.Parked {
		for _, name := range []string{q.Key, q.Hub} {
			if name != "" && !slices.Contains(out[""], name) {
				out[""] = append(out[""], name)
			}
		}
	}
	return out
}

// prunedAfter is how long a hub runs, at least, before it first removes inbox rows that are finished.
const prunedAfter = 5 * time.Minute

// checkPushes: every webhook that was answered 2xx is in the inbox, by the CRM's own log. On a machine so slow that the hub has removed finished rows by now, what the
// systems hold is all that can be compared.
func checkPushes(t *testing.T, h *hub, w *sandbox.World) {
	t.Helper()
	pruned := func() bool { // by now, or before the look began; the look itself takes its time, too
		up := time.Since(h.status().Started)
		if up > prunedAfter-10*time.Second {
			t.Logf("the hub runs for %s and may have removed finished inbox rows: that each webhook is there is not looked at", up.Round(time.Second))
			return true
		}
		return false
	}
	if pruned() {
		return
	}
	promised := map[string]bool{}
	for e, err := range w.Logs(sandbox.CRM) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Actor == "push" && e.Status/100 == 2 {
			promised[e.Request] = true
		}
	}
	if len(promised) == 0 {
		t.Fatal("no webhook was answered 2xx")
	}
	var missing []string
	for id := range promised {
		var m api.Message
		if err := h.get("/api/v1/messages?key="+id, &m); err != nil {
			t.Fatal(err)
		}
		if len(m.Inbox) == 0 {
			missing = append(missing, id)
		}
	}
	if len(missing) > 0 && !pruned() {
		t.Errorf("%d of %d webhooks were answered 2xx and are not in the inbox: %v…", len(missing), len(promised), missing[:min(5, len(missing))])
	}
}
