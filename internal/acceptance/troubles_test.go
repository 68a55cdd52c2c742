package acceptance

import (
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/waybill-hub/waybill/internal/disktest"
	"github.com/waybill-hub/waybill/internal/store/pgtest"
)

// noticed is how long a trouble is waited for behind its own threshold. How soon it is there is for `make bench-troubles` to say: 15 s are wanted.
const noticed = 2 * time.Minute

var soon = flag.Bool("soon", false, "print how soon each trouble is named")

// mended is how soon all must be well after the cure.
const mended = 60 * time.Second

// trouble is one thing that goes wrong around a hub.
type trouble struct {
	name string
	// with are flows and settings that the row needs beside the plain project; see (*troubled).files.
	with map[string]string
	// setup is what has to be there before the hub starts.
	setup func(*troubled)
	seed  func(*troubled)
	// says are texts that must all stand in the status, and exit is what the command exits with then.
	says []string
	exit int
	// unready: the hub takes no webhooks meanwhile, and a load balancer is told so.
	unready bool
	// after is the trouble's own threshold: a setting of the row.
	after time.Duration
	cure  func(*troubled)
	// gone is a text that must be gone then; empty: all of says.
	gone string
	// named is how long after it was seeded the status named it; 0: it has not.
	named time.Duration
}

// troubles are those of docs/operations.md.
var troubles = []trouble{
	{name: "slow target", with: map[string]string{"flows/erp.yaml": strings.Replace(erpFlow, "late-after: 1h", "late-after: 2s", 1)},
		seed: func(w *troubled) { w.slow(1500 * time.Millisecond); w.orders("A", "A", "A", "A", "A", "A", "A", "A") },
		says: []string{"orders-to-erp", "late", "old, and 2s", "a call to erp takes 1.5s"}, exit: 1, after: 2 * time.Second, cure: func(w *troubled) { w.slow(0) }},
	{name: "dead target, one key", seed: func(w *troubled) { w.erp.down(); w.orders("A") },
		says: []string{"erp", "failing", "connection refused"}, exit: 1, after: 10 * time.Second, cure: func(w *troubled) { w.erp.up() }, gone: "erp is down"},
	{name: "dead target, many keys", seed: func(w *troubled) { w.erp.down(); w.orders("A", "B", "C", "D", "E") },
		says: []string{"erp", "failing", "connection refused"}, exit: 1, after: 10 * time.Second, cure: func(w *troubled) { w.erp.up() }, gone: "erp is down"},
	{name: "target that refuses one object", seed: func(w *troubled) {
		w.answer("B", http.StatusUnprocessableEntity, "B is over its credit limit")
		w.orders("A", "B")
	},
		says: []string{"orders-to-erp", "attention", "1 parked", "422"}, exit: 0,
		cure: func(w *troubled) {
			w.answer("B", 0, "")
			w.run(0, "parked", "replay", "--all", "--flow", "orders-to-erp", "--yes", "--note", "seeded")
		}, gone: "1 parked"},
	{name: "target that answers 503 to one key", seed: func(w *troubled) { w.answer("B", http.StatusServiceUnavailable, "B is locked"); w.orders("A", "B") },
		says: []string{"orders-to-erp", "B is locked"}, exit: -1, after: 5 * time.Second,
		cure: func(w *troubled) { w.answer("B", 0, "") }, gone: "failing"},
	{name: "expired credentials", seed: func(w *troubled) { w.answer("*", http.StatusUnauthorized, "the token has expired"); w.orders("A") },
		says: []string{"erp", "401", "failing"}, exit: 1, cure: func(w *troubled) { w.answer("*", 0, "") }},
	{name: "dead source", with: map[string]string{"flows/prices.yaml": priceFlow}, seed: func(w *troubled) { w.src.down() },
		says: []string{"prices", "failing", "its source cannot be read", "connection refused"}, exit: 1, cure: func(w *troubled) { w.src.up() }},
	{name: "source that answers 401", with: map[string]string{"flows/prices.yaml": priceFlow}, seed: func(w *troubled) { w.src.refuse.Store(http.StatusUnauthorized) },
		says: []string{"prices", "failing", "its source cannot be read", "401"}, exit: 1,
		cure: func(w *troubled) { w.src.refuse.Store(0); w.run(0, "resume", "prices") }},
	{name: "silent source", with: map[string]string{"flows/orders.yaml": orderFlow + "slo: {silent-after: 3s}\n"}, seed: func(*troubled) {},
		says: []string{"orders", "silent", "nothing delivered for"}, exit: 0, after: 3 * time.Second, cure: func(w *troubled) { w.orders("A") }},
	{name: "stalled file", with: map[string]string{"flows/stock.yaml": stockFlow},
		seed: func(w *troubled) { w.write(w.t, "drop/stock.csv", "no,seq\nA,1\nB") }, // half an upload
		says: []string{"stock", "1 file is held back", "stock.csv"}, exit: 0, after: time.Second,
		cure: func(w *troubled) { w.write(w.t, "drop/stock.csv", "no,seq\nA,1\nB,1\n") }},
	{name: "file that fails", with: map[string]string{"flows/stock.yaml": stockFlow},
		seed: func(w *troubled) { w.write(w.t, "drop/stock.csv", "\xff\xfen\x00o\x00\n\x00") }, // UTF-16, and the drop is UTF-8
		says: []string{"stock", "attention", "1 file has failed, and waits for a person: failed/stock.csv", "UTF-16"}, exit: 0, after: time.Second,
		cure: func(w *troubled) {
			if err := os.Remove(filepath.Join(w.dir, "drop/failed/stock.csv.error")); err != nil {
				w.t.Fatal(err)
			}
		}},
	{name: "lost group", setup: onControlled, seed: func(w *troubled) {
		w.control(kmsg.Heartbeat, func(req kmsg.Request) kmsg.Response { return coded(req, 30) })
		w.control(kmsg.FindCoordinator, func(req kmsg.Request) kmsg.Response { return coded(req, 30) })
	}, says: []string{"orders-to-erp", "failing", "it reads nothing since", "GROUP_AUTHORIZATION_FAILED", "READ on the group"}, exit: 1, cure: (*troubled).free},
	{name: "coordinator gone", setup: onControlled, seed: func(w *troubled) {
		w.control(kmsg.Heartbeat, func(req kmsg.Request) kmsg.Response { return coded(req, 16) })
		w.control(kmsg.FindCoordinator, func(req kmsg.Request) kmsg.Response { return coded(req, 15) })
	}, says: []string{"orders-to-erp", "failing", "it reads nothing since", "COORDINATOR_NOT_AVAILABLE"}, exit: 1, after: 5 * time.Second, cure: (*troubled).free},
	{name: "broker gone", setup: onControlled, seed: func(w *troubled) { w.wire.down(); w.orders("A") },
		says: []string{"the broker does not answer", "orders-to-erp", "failing", "connection refused"}, exit: 1, after: 5 * time.Second, cure: func(w *troubled) { w.wire.up() }},
	{name: "topic deleted", setup: onControlled, seed: func(w *troubled) { w.deleteTopic("canonical.order"); w.pushed(http.StatusAccepted, "A") },
		says: []string{"orders-to-erp", "canonical.order", "does not exist"}, exit: 1, after: 5 * time.Second,
		cure: func(w *troubled) { w.run(0, "recover", "--yes", "--note", "seeded") }},
	{name: "store gone", setup: func(w *troubled) {
		u, err := url.Parse(pgtest.URL(w.t))
		if err != nil {
			w.t.Fatal(err)
		}
		w.wire = newWire(w.t, u.Host)
		u.Host = w.wire.addr
		w.store, w.storeURL = `postgres: {url: "${env:STORE_URL}"}`, u.String()
	}, seed: func(w *troubled) { w.wire.down() },
		says: []string{"the hub is failing", "the store takes nothing since", "orders-to-erp", "connection refused"}, exit: 1, unready: true, after: 5 * time.Second, cure: func(w *troubled) { w.wire.up() }},
	{name: "full disk", setup: func(w *troubled) {
		w.disk = disktest.Small(w.t, 32)
		w.store = fmt.Sprintf("sqlite: {path: %q}", filepath.Join(w.disk, "waybill.db"))
	}, seed: func(w *troubled) { w.heal = disktest.Fill(w.t, w.disk) },
		says: []string{"the hub is failing", "orders-to-erp", "its disk is full"}, exit: 1, unready: true, after: 5 * time.Second, cure: func(w *troubled) { w.heal() }},
	{name: "read-only disk", seed: func(w *troubled) { w.heal = disktest.Freeze(w.t, w.path("data/store")) },
		says: []string{"the hub is failing", "orders-to-erp", "its file or disk is read-only"}, exit: 1, unready: true, after: 5 * time.Second, cure: func(w *troubled) { w.heal() }},
	{name: "wrong secret of a sender", seed: func(w *troubled) { w.secret = "another"; w.pushed(http.StatusUnauthorized, "A", "B") },
		says: []string{"orders", "attention", "its sender is refused", "signature"}, exit: 0,
		cure: func(w *troubled) { w.secret = troubleSecret; w.orders("C") }, gone: "its sender is refused"},
	{name: "sender over its rate", setup: func(w *troubled) { w.hook = ", rate: 1/s" }, seed: func(w *troubled) { w.flood(40) },
		says: []string{"orders", "rate", "REFUSED"}, exit: 0, cure: func(w *troubled) { w.slowly() }, gone: "its sender is refused"},
	{name: "waiting too long", with: map[string]string{"flows/erp.yaml": strings.Replace(erpFlow, "map:", "requires: [{entity: customer, id: source.no}]\nmap:", 1)},
		seed: func(w *troubled) { w.orders("A") }, says: []string{"orders-to-erp", "late", "1 wait longer than 2s for another object", "the customer A has no id"}, exit: 1, after: 2 * time.Second,
		cure: (*troubled).giveUp},
	{name: "clock off", setup: onControlled, seed: func(w *troubled) {
		w.control(kmsg.Produce, func(req kmsg.Request) kmsg.Response { return produced(req, 32) })
		w.pushed(http.StatusAccepted, "A")
	}, says: []string{"orders", "failing", "it cannot write to in.orders", "INVALID_TIMESTAMP", "set the wrong one right"}, exit: 1, cure: (*troubled).free},
}

// TestTroubles: each trouble is seeded into a hub of its own, stands in `waybill status` with its cause, and is gone from it when it is mended. None of them parks what is not at fault itself.
func TestTroubles(t *testing.T) {
	room := make(chan struct{}, 5) // hubs at once: they mostly wait
	var all sync.WaitGroup
	if *soon {
		defer soonness()
	}
	for i := range troubles {
		tr := &troubles[i]
		all.Go(func() {
			room <- struct{}{}
			defer func() { <-room }()
			t.Run(tr.name, func(t *testing.T) { tr.run(t) })
		})
	}
	all.Wait()
}

func (tr *trouble) run(t *testing.T) {
	w := newTroubled(t)
	if tr.setup != nil {
		tr.setup(w)
	}
	w.begin(tr.with)
	if out, code := w.look(); code != 0 {
		t.Fatalf("the hub is not well before anything is seeded: exit %d\n%s", code, out)
	}
	began := time.Now()
	tr.seed(w)
	w.await(tr.after+noticed-time.Since(began), func(out string, code int) string {
		for _, text := range tr.says {
			if !strings.Contains(out, text) {
				return "the status does not say " + text
			}
		}
		if tr.exit >= 0 && code != tr.exit {
			return fmt.Sprintf("the exit code is %d, and should be %d", code, tr.exit)
		}
		return ""
	})
	if ready := w.ready(); ready == tr.unready {
		t.Errorf("meanwhile /readyz says %v", ready)
	}
	tr.named = time.Since(began)
	t.Logf("named %s after it was seeded (its own threshold: %s)", tr.named.Round(100*time.Millisecond), tr.after)
	tr.cure(w)
	w.await(mended, func(out string, code int) string {
		gone := tr.says[len(tr.says)-1:]
		if tr.gone != "" {
			gone = []string{tr.gone}
		}
		for _, text := range gone {
			if strings.Contains(out, text) {
				return "the status still says " + text
			}
		}
		if code != 0 {
			return fmt.Sprintf("the exit code is still %d", code)
		}
		return ""
	})
	if !w.ready() {
		t.Error("/readyz still says no")
	}
	if n := w.hub.status().Totals.Parked; n != 0 {
		t.Errorf("%d messages are parked for it", n)
	}
}

// soonness prints how soon each trouble was named. The last line is the result.
func soonness() {
	within, most := 0, time.Duration(0)
	for _, tr := range troubles {
		behind := max(tr.named-tr.after, 0)
		fmt.Printf("trouble: name=%q seen_s=%.1f threshold_s=%.1f\n", tr.name, tr.named.Seconds(), tr.after.Seconds())
		if most = max(most, behind); tr.named > 0 && behind <= 15*time.Second {
			within++
		}
	}
	fmt.Printf("troubles: within_15s=%d of=%d most_s=%.1f\n", within, len(troubles), most.Seconds())
}
