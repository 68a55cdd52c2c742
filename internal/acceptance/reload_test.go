package acceptance

import (
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/api"
)

// TestReload: the built command, told by SIGHUP and by `waybill reload`. A broken file changes nothing and is named with its place; the
// corrected one runs without a restart.
func TestReload(t *testing.T) {
	t.Parallel()
	p := newReadings(t, nil)
	p.level = "info"
	h := p.run(t, map[string]string{"SCANNER_SECRET": hookSecret})
	pid, first := h.cmd.Process.Pid, h.status().Plan
	send := func(number string) {
		t.Helper()
		if status, answer := (push{id: "id-" + number, body: []byte(reading(number, 1.234))}).send(t, p); status != http.StatusAccepted {
			t.Fatalf("%s: %d %s", number, status, answer)
		}
		h.await(number+" to be delivered", 30*time.Second, func() bool { return strings.Contains(strings.Join(p.ledger(t), " "), number) })
	}
	amount := func(number string) string {
		t.Helper()
		out, _, _ := waybill(t, p.dir, "status", "--url", "http://"+p.http, "--output", "json")
		var st api.Status
		if err := json.Unmarshal([]byte(out), &st); err != nil || st.Totals.Unaccounted != 0 {
			t.Errorf("status %v %s", err, out)
		}
		files, err := os.ReadDir(p.path("ledger"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			data, err := os.ReadFile(p.path("ledger/" + f.Name()))
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(data), `"`+number+`"`) {
				return string(data)
			}
		}
		return ""
	}
	hangup := func() {
		t.Helper()
		if err := h.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	send("A-1")

	mapping := readingsFiles["mappings/readings.yaml"]
	p.write(t, "mappings/readings.yaml", strings.Replace(mapping, "source.note", "source.nott", 1))
	hangup()
	h.await("the log to name the place", 30*time.Second, func() bool {
		return strings.Contains(h.text(), "mappings/readings.yaml:7:22:") && strings.Contains(h.text(), "the reload was refused")
	})
	out, stderr, code := waybill(t, p.dir, "reload", "--url", "http://"+p.http)
	if code != 1 || out != "" || !strings.Contains(stderr, "mappings/readings.yaml:7:22:") || !strings.Contains(stderr, "goes on as before") {
		t.Errorf("reload of a broken file: exit %d\n%s%s", code, out, stderr)
	}
	out, _, code = waybill(t, p.dir, "reload", "--url", "http://"+p.http, "--output", "json")
	var no api.Problem
	if err := json.Unmarshal([]byte(out), &no); err != nil || code != 1 || no.Status != 422 || len(no.Problems) != 1 || no.Problems[0].Line != 7 || no.Problems[0].Column != 22 {
		t.Errorf("exit %d %v: %s", code, err, out)
	}
	send("A-2")
	if now := h.status().Plan; now != first {
		t.Errorf("the plan is %+v, was %+v", now, first)
	}

	p.write(t, "mappings/readings.yaml", strings.Replace(mapping, "round(source.amount, 2)", "round(source.amount, 1)", 1))
	hangup()
	h.await("the new plan", 30*time.Second, func() bool { return h.status().Plan.Hash != first.Hash && strings.Contains(h.text(), "msg=reloaded") })
	send("A-3")
	if one, three := amount("A-1"), amount("A-3"); !strings.Contains(one, "1.23") || !strings.Contains(three, "1.2}") {
		t.Errorf("the first is %s, the third %s", one, three)
	}

	p.write(t, "flows/readings.yaml", strings.Replace(readingsFiles["flows/readings.yaml"], "late-after: 10m", "late-after: 11m", 1))
	out, stderr, code = waybill(t, p.dir, "reload", "--url", "http://"+p.http)
	if code != 0 || !strings.Contains(out, "flows changed: readings-to-ledger\n") || !strings.Contains(out, "flows unchanged: 2\n") || !strings.Contains(out, h.status().Plan.Hash) {
		t.Errorf("exit %d\n%s%s", code, out, stderr)
	}
	send("A-4")

	config, err := os.ReadFile(p.path("configs/waybill.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	p.write(t, "configs/waybill.yaml", strings.Replace(string(config), "waybill.db", "other.db", 1))
	if _, stderr, code := waybill(t, p.dir, "reload", "--url", "http://"+p.http); code != 1 || !strings.Contains(stderr, "need a restart of the hub: store") {
		t.Errorf("exit %d %s", code, stderr)
	}
	if h.cmd.Process.Pid != pid || strings.Contains(h.text(), "panic") {
		t.Error("the hub was started again")
	}
	if code := h.stop(); code != 0 {
		t.Errorf("the stop exits %d", code)
	}
}
