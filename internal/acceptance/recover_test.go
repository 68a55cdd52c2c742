package acceptance

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/waybill-hub/waybill/internal/api"
	"github.com/waybill-hub/waybill/internal/needtest"
	"github.com/waybill-hub/waybill/internal/sandbox"
	"github.com/waybill-hub/waybill/internal/store/pgtest"
	"github.com/waybill-hub/waybill/internal/topictest"
)

// The broker's data are wiped under a hub that was killed at work; an operator recovers by the command, and the hub is killed again
// while it does so. The systems themselves then hold everything once.
func TestRecoverCommand(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	w := startWorld(t, p, sandbox.Options{Seed: 21, Rate: 25})
	h := p.run(t, w.Env())
	recoverUnderLoad(t, h, w, func() {
		if err := os.RemoveAll(filepath.Join(p.dir, "data", "broker")); err != nil {
			t.Fatal(err)
		}
	})
}

// The same on Apache Kafka and PostgreSQL, where all topics are deleted.
func TestRecoverCommandOnKafka(t *testing.T) {
	t.Parallel()
	broker := needtest.Kafka(t)
	p := newProject(t)
	topics := p.onKafka(t, broker)
	remove := func() {
		t.Helper()
		c, err := kgo.NewClient(kgo.SeedBrokers(broker))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := topictest.Delete(t.Context(), c, topics...); err != nil && t.Context().Err() == nil {
			t.Fatal(err)
		}
	}
	w := startWorld(t, p, sandbox.Options{Seed: 22, Rate: 10})
	env := w.Env()
	env["WAYBILL_TEST_STORE"] = pgtest.URL(t)
	recoverUnderLoad(t, p.run(t, env), w, remove)
}

func recoverUnderLoad(t *testing.T, h *hub, w *sandbox.World, wipe func()) {
	t.Helper()
	recover := func(args ...string) (got api.Recovery, code int) {
		t.Helper()
		out, stderr, code := waybill(t, h.p.dir, append([]string{"--url", "http://" + h.p.http, "recover", "--output", "json"}, args...)...)
		if out != "" {
			if err := json.Unmarshal([]byte(out), &got); err != nil {
				t.Fatalf("recover %v: %v\n%s%s", args, err, out, stderr)
			}
		}
		return got, code
	}
	if got, code := recover("--dry-run"); code != 0 || got.Broken || len(got.Topics) > 0 {
		t.Errorf("before anything has happened: %d %+v", code, got)
	}
	h.await("work under way", 3*time.Minute, func() bool { return h.status().Totals.Delivered >= 150 })
	h.kill()
	wipe()
	h.start()
	if _, _, code := waybill(t, h.p.dir, "--url", "http://"+h.p.http, "status"); code != 1 {
		t.Errorf("status exits %d", code)
	}
	st := h.status()
	alarms := 0
	for _, f := range st.Flows {
		if f.State == api.StateAlarm {
			alarms++
			if !strings.Contains(f.Why, "waybill recover") {
				t.Errorf("%s: %s", f.Name, f.Why)
			}
		}
	}
	if alarms != len(st.Flows) {
		t.Errorf("%d of %d flows stand still", alarms, len(st.Flows))
	}
	before := st.Totals.Delivered
	accepted := st.Totals.Accepted
	h.await("the senders to be served", 3*time.Minute, func() bool { return h.status().Totals.Accepted > accepted+10 })
	if now := h.status().Totals; now.Delivered != before || now.Unaccounted != 0 {
		t.Errorf("while everything stands still: %+v", now)
	}

	would, code := recover("--dry-run")
	if code != 1 || !would.Broken || would.Done || len(would.Topics) == 0 || would.Lost != 0 {
		t.Errorf("dry run: %d %+v", code, would)
	}
	if _, stderr, code := waybill(t, h.p.dir, "--url", "http://"+h.p.http, "recover"); code != 2 || !strings.Contains(stderr, "--yes") {
		t.Errorf("without --yes and nobody to ask: %d %s", code, stderr)
	}
	did, code := recover("--yes", "--note", "the disk died", "--wait", "0s")
	if !did.Done || did.Lost != 0 || code > 1 { // 1: the records are still on their way
		t.Fatalf("recover: %d %+v", code, did)
	}
	h.kill()
	h.start()
	h.await("the hub to recover by itself", 3*time.Minute, func() bool {
		got, code := recover("--dry-run")
		return code == 0 && !got.Broken && got.Pending == 0
	})
	h.await("all flows to go on", 3*time.Minute, func() bool {
		return !slices.ContainsFunc(h.status().Flows, func(f api.Flow) bool { return f.State == api.StateAlarm })
	})
	now := h.status().Totals.Delivered
	h.await("work under way again", 3*time.Minute, func() bool { return h.status().Totals.Delivered >= now+100 })
	if got, code := recover("--yes"); code != 0 || got.Broken || len(got.Topics) > 0 {
		t.Errorf("a second time: %d %+v", code, got)
	}
	w.Quiesce()
	checkTotals(t, settle(t, h, w))
	checkWorld(t, h, w)
	var audit struct {
		Audit []api.Audit `json:"audit"`
	}
	if err := h.get("/api/v1/audit", &audit); err != nil || !slices.ContainsFunc(audit.Audit, func(a api.Audit) bool {
		return a.Action == "recover" && strings.Contains(a.Who, "local") && strings.Contains(a.Detail, "the disk died")
	}) {
		t.Errorf("audit: %v %+v", err, audit)
	}
	if code := h.stop(); code != 0 {
		t.Errorf("an orderly stop exits %d", code)
	}
}
