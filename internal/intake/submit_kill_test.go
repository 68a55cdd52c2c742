//go:build unix

package intake

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/store"
)

// submitEnv makes the test program a hub that submits the same things to two flows until it is killed, or until all are carried.
const submitEnv = "WAYBILL_SUBMIT_CHILD"

const (
	submitCalls  = 12
	submitAtOnce = 5
)

func (d *deadly) Submit(ctx context.Context, rows []state.Inbound, act state.Submitting) ([]state.Accepted, []int64, error) {
	if d.at("during-submit") {
		go die() // somewhere in the middle of the commit
	}
	a, seqs, err := d.Store.Submit(ctx, rows, act)
	if d.at("after-submit") {
		die()
	}
	return a, seqs, err
}

func submitMain() {
	ctx := context.Background()
	s, deadly := doomed(submitEnv)
	in, err := Start(Config{Store: deadly, Publisher: deadly, Clock: lifecycle.Real(), Holder: "hub", LeaseTTL: 10 * time.Second, Sources: []Source{source("hooked", "a/hooked"), inner("to-erp")}})
	if err != nil {
		panic(err)
	}
	for call := range submitCalls {
		for _, flow := range []string{"hooked", "to-erp"} {
			var events []event.Event
			for i := range submitAtOnce {
				ev := object(fmt.Sprintf("%s-%d", flow, call*submitAtOnce+i))
				if flow == "hooked" {
					ev.Hub = ""
				}
				events = append(events, ev)
			}
			if _, err := in.Submit(ctx, flow, events, repair); err != nil {
				panic(err)
			}
		}
	}
	for {
		open, err := s.WithUnpublished(ctx, []string{"hooked", "to-erp"})
		if err == nil && len(open) == 0 {
			break
		}
		yield()
	}
	if err := errors.Join(in.Stop(ctx), s.Close()); err != nil {
		panic(err)
	}
}

// TestKilledWhileSubmitting kills the hub with SIGKILL around the commit of submissions and on their way: submitted again, none is lost, none is there
// under two ids, and the audit tells of each once.
func TestKilledWhileSubmitting(t *testing.T) {
	if testing.Short() {
		t.Skip("-short leaves out what starts and kills processes")
	}
	dir := t.TempDir()
	for _, death := range []struct {
		where string
		after int
	}{{"during-submit", 1}, {"after-submit", 2}, {"during-submit", 5}, {"during-publish", 3}, {"before-mark", 1}, {"after-submit", 9}, {"during-mark", 1}, {"after-submit", 20}, {"during-publish", 30}} {
		if !killed(t, submitEnv, death.where, death.after, dir) {
			t.Logf("everything was carried before the death %s %d", death.where, death.after)
		}
	}
	if killed(t, submitEnv, "never", 0, dir) {
		t.Fatal("killed though nobody asked")
	}
	f, err := os.Open(filepath.Join(dir, "topic.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	keys := map[string]string{} // by id
	lines := 0
	for sc := bufio.NewScanner(f); sc.Scan(); lines++ {
		id, key, _ := strings.Cut(sc.Text(), " ")
		if before, known := keys[id]; known && before != key {
			t.Fatalf("%s came with the key %s and with %s", id, before, key)
		}
		keys[id] = key
	}
	s, err := store.Open(t.Context(), store.Config{SQLite: filepath.Join(dir, "waybill.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for n := range submitCalls * submitAtOnce {
		for _, flow := range []string{"hooked", "to-erp"} {
			id := fmt.Sprintf("submitted/repair/%s-%d", flow, n)
			if keys[id] == "" {
				t.Errorf("%s is lost", id)
			}
			tr, err := s.Trace(t.Context(), "SO-"+flow+"-"+fmt.Sprint(n))
			if err != nil || len(tr.Acts) != 1 || tr.Acts[0].EventID != id {
				t.Errorf("%s: acts %+v, %v", id, tr.Acts, err)
			}
		}
	}
	if len(keys) != 2*submitCalls*submitAtOnce {
		t.Errorf("%d events came", len(keys))
	}
	t.Logf("%d events were published %d times", len(keys), lines)
}
