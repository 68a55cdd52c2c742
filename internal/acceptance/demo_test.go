package acceptance

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/waybill-hub/waybill/internal/api"
	"github.com/waybill-hub/waybill/internal/sandbox"
)

// report is what `demo --report` writes.
type report struct {
	api.Status
	Parked []struct{ Flow, Key, State, Kind, Code, Reason string } `json:"parked"`
}

// runDemo runs the demo to its end and gives its report and the sandbox's directory.
func runDemo(t *testing.T, args ...string) (*report, string) {
	t.Helper()
	dir := keptDir(t)
	file := filepath.Join(dir, "r.json")
	out, errs, code := waybill(t, dir, append([]string{"demo", "--data", filepath.Join(dir, "demo"), "--report", file}, args...)...)
	if code != 0 {
		t.Fatalf("exit %d\n%s\n%s", code, tail(out, 3000), tail(errs, 3000))
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var r report
	if err := json.Unmarshal(data, &r); err != nil {
		t.Fatal(err)
	}
	checkTotals(t, &r.Status)
	return &r, filepath.Join(dir, "demo", "sandbox")
}

// compareWorld compares the systems with each other as they lie on disk, object by object.
func compareWorld(t *testing.T, dir string, r *report) {
	t.Helper()
	snapshot, err := sandbox.ReadSnapshot(context.Background(), dir, "")
	if err != nil {
		t.Fatal(err)
	}
	odd, err := sandbox.ReadOdd(dir)
	if err != nil {
		t.Fatal(err)
	}
	ignore := map[string][]string{}
	for _, p := range r.Parked {
		ignore[""] = append(ignore[""], p.Key)
	}
	got := sandbox.Compare(snapshot, sandbox.CompareOptions{Ignore: ignore, Odd: odd})
	for _, p := range got.Problems {
		t.Errorf("%+v", p)
	}
	for _, u := range got.Unexplained {
		t.Errorf("the hub rests a sound object: %s", u)
	}
	if n := snapshot.Total(); n < 1000 {
		t.Errorf("the systems hold only %d business objects", n)
	}
}

// targets says where the calls of a flow to a system are found in that system's log.
var targets = map[string][2]string{
	"customers-to-crm": {sandbox.CRM, "accounts"}, "customers-to-erp": {sandbox.ERP, "customers"},
	"products-to-crm": {sandbox.CRM, "products"}, "products-to-wms": {sandbox.WMS, "products"},
	"orders-to-erp": {sandbox.ERP, "sales_orders"}, "orders-to-wms": {sandbox.WMS, "shipment-orders"}, "order-status-to-crm": {sandbox.CRM, "orders"},
	"shipments-to-erp": {sandbox.ERP, "shipments"}, "shipments-to-crm": {sandbox.CRM, "shipments"},
	"inventory-to-erp": {sandbox.ERP, "stock"}, "inventory-to-crm": {sandbox.CRM, "inventory"},
	"invoices-to-crm": {sandbox.CRM, "invoices"}, "payments-to-crm": {sandbox.CRM, "payments"},
	"quotes-to-erp": {sandbox.ERP, "quotes"}, "quotes-to-crm": {sandbox.CRM, "quotes"},
}

// applied counts the changes that callers from outside made, by system and collection, from the systems' own logs.
func applied(t *testing.T, dir string) map[[2]string]int64 {
	t.Helper()
	out := map[[2]string]int64{}
	for _, system := range []string{sandbox.CRM, sandbox.ERP, sandbox.WMS} {
		for e, err := range sandbox.ReadLog(sandbox.LogPath(dir, system)) {
			if err != nil {
				t.Fatal(err)
			}
			if e.Actor == "api" && e.Applied {
				out[[2]string{system, e.Object}]++
			}
		}
	}
	return out
}

// The demo moves something through every shipped flow, and the systems' own logs agree with the hub's figures: every
// delivery is one change in the target's log, and every object is where it belongs, once and with the right content.
func TestDemo(t *testing.T) {
	t.Parallel()
	r, dir := runDemo(t, "--for", "8s")
	compareWorld(t, dir, r)
	calls := applied(t, dir)
	seen := 0
	for i := range r.Flows {
		f := &r.Flows[i]
		if f.Delivered == 0 {
			t.Errorf("nothing went through the flow %s", f.Name)
		}
		if f.Unaccounted != 0 {
			t.Errorf("flow %s: %d unaccounted", f.Name, f.Unaccounted)
		}
		place, ok := targets[f.Name]
		if !ok {
			continue
		}
		seen++
		if n := calls[place]; n != f.Delivered {
			t.Errorf("flow %s: the hub says %d delivered, the log of %v has %d changes", f.Name, f.Delivered, place, n)
		}
	}
	if seen != len(targets) {
		t.Errorf("%d of %d flows to systems were compared", seen, len(targets))
	}
	if len(r.Parked) != 0 {
		t.Errorf("parked without chaos: %+v", r.Parked)
	}
}

// With everything wicked nothing is lost or doubled either, and the report names what rests and why.
func TestDemoChaos(t *testing.T) {
	t.Parallel()
	r, dir := runDemo(t, "--for", "8s", "--chaos")
	compareWorld(t, dir, r)
	if r.Totals.Retried == 0 || r.Totals.Parked == 0 {
		t.Errorf("chaos without effect: %+v", r.Totals)
	}
	waiting := 0
	for _, p := range r.Parked {
		if p.Reason == "" && p.State != "held" {
			t.Errorf("%s %s in %s without a reason", p.State, p.Key, p.Flow)
		}
		if p.State == "waiting" {
			waiting++
		}
	}
	if waiting == 0 {
		t.Error("no message waits for its orphaned customer")
	}
}

// keptDir is a folder like t.TempDir that is kept where the test has failed: what a run has lost is found in its data.
func keptDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "waybill-kept-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log("kept for a look:", dir)
			return
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}
