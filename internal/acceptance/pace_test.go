package acceptance

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/api"
)

// A replay at a rate is estimated, goes on by itself over the hub's sudden death, and leaves nothing out; one that is stopped leaves the rest as it is.
func TestReplayAtARate(t *testing.T) {
	t.Parallel()
	w := newTroubled(t)
	w.begin(nil)
	w.answer("*", http.StatusUnprocessableEntity, "the period is closed")
	const n = 8
	for i := range n {
		w.pushed(http.StatusAccepted, fmt.Sprint("A-", i))
	}
	parked := func() int64 { return w.hub.status().Totals.Parked }
	w.hub.await("all to be parked", time.Minute, func() bool { return parked() == n })
	w.answer("*", 0, "")
	if out := w.run(0, "parked", "replay", "--all", "--rate", "2/s", "--dry-run"); !strings.Contains(out, "8 messages would be replayed; at 2/s that takes 4s") {
		t.Errorf("%s", out)
	}
	if out := w.run(2, "parked", "replay", "--all", "--rate", "soon", "--yes"); out != "" {
		t.Errorf("%s", out)
	}
	w.run(2, "parked", "replay", "7", "--rate", "2/s")
	if out := w.run(0, "parked", "replay", "--all", "--rate", "1/s", "--yes", "--note", "it is open again"); !strings.Contains(out, "8 messages to be replayed at 1/s") {
		t.Errorf("%s", out)
	}
	w.hub.await("the first to be replayed", time.Minute, func() bool { return parked() < n })
	w.hub.kill()
	w.hub.start()
	w.hub.await("the rest to be replayed", 2*time.Minute, func() bool { return parked() == 0 })
	w.hub.await("it to be done", time.Minute, func() bool { return strings.Contains(w.run(0, "parked", "replays"), "done") })
	var list struct{ Replays []api.Replay }
	if err := w.hub.get("/api/v1/replays", &list); err != nil || len(list.Replays) != 1 || list.Replays[0].Marked != n || list.Replays[0].Note != "it is open again" {
		t.Errorf("%+v %v", list, err)
	}
	if st := w.hub.status(); st.Totals.Delivered < n || st.Totals.Unaccounted != 0 || st.Totals.Duplicates != 0 {
		t.Errorf("%+v", st.Totals)
	}

	w.answer("*", http.StatusUnprocessableEntity, "closed again")
	w.pushed(http.StatusAccepted, "B-1", "B-2", "B-3")
	w.hub.await("three to be parked", time.Minute, func() bool { return parked() == 3 })
	w.answer("*", 0, "")
	w.run(0, "parked", "replay", "--all", "--rate", "1/h", "--yes")
	if err := w.hub.get("/api/v1/replays", &list); err != nil {
		t.Fatal(err)
	}
	if out := w.run(0, "parked", "replays", "--stop", fmt.Sprint(list.Replays[0].Act)); !strings.Contains(out, "stopped by") {
		t.Errorf("%s", out)
	}
	if parked() != 3 {
		t.Error("a replay that was stopped has replayed")
	}
}

// A code that a value map does not know is written into its file by a command, which loads the files and replays; what the files would not allow leaves the
// file as it was, and where the hub may not write it says which line is missing.
func TestCodesAdded(t *testing.T) {
	t.Parallel()
	w := newTroubled(t)
	const units = "# the shop's units\nvalues: units\ncodes:\n  each: {shop: \"piece\"} # one\n"
	w.begin(map[string]string{"mappings/values/units.yaml": units,
		"mappings/orders.yaml":  "mapping: orders-to-erp\nfrom: order.v1\nto: order.v1\nset:\n  no: source.no\n  seq: source.seq\n  unit: value(\"units\", \"shop\", source.no)\n",
		"schemas/order.v1.json": strings.Replace(troubleSchema, `"external"`, `"unit": {"type": "string", "enum": ["each", "pallet"]}, "external"`, 1)})
	w.pushed(http.StatusAccepted, "crate", "crate", "box")
	w.hub.await("the codes to be unknown", time.Minute, func() bool {
		out := w.run(0, "parked", "codes")
		return strings.Contains(out, "crate") && strings.Contains(out, "box")
	})
	file := func() string {
		data, err := os.ReadFile(w.path("mappings/values/units.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	// Files that have a problem are not loaded: this one becomes what it was, too.
	w.write(t, "flows/broken.yaml", "flow: broken\n")
	w.run(1, "parked", "codes", "add", "units", "shop", "crate", "--to", "pallet")
	if got := file(); got != units {
		t.Errorf("the file is\n%s", got)
	}
	if err := os.Remove(w.path("flows/broken.yaml")); err != nil {
		t.Fatal(err)
	}
	out := w.run(0, "parked", "codes", "add", "units", "shop", "crate", "--to", "pallet", "--note", "as the shop says", "--replay")
	if want := units + "  pallet: {shop: \"crate\"}\n"; file() != want || !strings.Contains(out, "units.yaml:5: crate of shop is known") || !strings.Contains(out, "1 message to be replayed") {
		t.Errorf("%s\n%s", out, file())
	}
	w.hub.await("what it had stopped to go on", time.Minute, func() bool { return w.hub.status().Totals.Parked == 1 })
	if out := w.run(0, "parked", "codes"); strings.Contains(out, "crate") || !strings.Contains(out, "box") {
		t.Errorf("%s", out)
	}
	if err := os.Rename(w.path("mappings/values/units.yaml"), w.path("mappings/values/moved.yaml")); err != nil {
		t.Fatal(err)
	}
	_, errs, code := waybill(t, w.dir, "parked", "codes", "add", "units", "shop", "box", "--to", "each", "--url", "http://"+w.http)
	if code != 1 || !strings.Contains(errs, `add the line yourself under codes, and load the files again: each: {shop: "box"}`) {
		t.Errorf("%d %s", code, errs)
	}
}
