package sandbox

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/text/encoding/simplifiedchinese"
)

func shipOrder(external string, skus ...string) map[string]any {
	lines := []any{}
	for i, s := range skus {
		lines = append(lines, map[string]any{"lineNo": 10 * (i + 1), "sku": s, "quantity": 2.50, "unit": "PCE"})
	}
	return map[string]any{"externalId": external, "orderNumber": "SO-" + external, "customerName": "Jade", "shipTo": map[string]any{"name": "Jade", "country": "CN"}, "lines": lines}
}

func TestWMSShips(t *testing.T) {
	w := quiet(t, Options{NoHooks: true, Items: 2, Pace: .01})
	c := w.wmsClient(t)
	one, two := productAt(1, 1).sku, productAt(1, 2).sku
	made := c.do(201, "POST", "shipment-orders", shipOrder("x1", one, two))
	if made.doc["status"] != "received" || text(made.doc["version"]) != "1" || made.doc["lines"].([]any)[0].(map[string]any)["quantity"] != "2.5" {
		t.Errorf("made %s", made.raw)
	}
	taken := c.do(409, "POST", "shipment-orders", shipOrder("x1", one))
	if !strings.Contains(string(taken.raw), `"duplicate_value"`) || !strings.Contains(string(taken.raw), text(made.doc["id"])) {
		t.Errorf("duplicate: %s", taken.raw)
	}
	status := func() string {
		list := c.do(200, "GET", "shipment-orders?externalId=x1", nil).doc["items"].([]any)
		if len(list) != 1 {
			t.Fatalf("%d orders of one external id", len(list))
		}
		return text(list[0].(map[string]any)["status"])
	}
	w.until(t, "waiting for products", func() bool { return status() == "waiting" })
	for _, sku := range []string{one, two} {
		c.do(201, "POST", "products", map[string]any{"externalId": "p" + sku, "sku": sku, "name": "x", "unit": "PCE"})
	}
	w.until(t, "shipped", func() bool { return status() == "shipped" })
	shipments := c.all("shipments?updatedSince=2020-01-01T00:00:00Z", "items", "next")
	var shipped []any
	for _, s := range shipments {
		if s["orderExternalId"] != "x1" || s["orderNumber"] != "SO-x1" || s["shipmentOrderId"] != made.doc["id"] {
			t.Errorf("shipment %v", s)
		}
		shipped = append(shipped, s["lines"].([]any)...)
	}
	if len(shipped) != 2 || shipments[len(shipments)-1]["final"] != true {
		t.Errorf("shipped %v", shipped)
	}
	c.do(405, "POST", "shipments", map[string]any{})
	c.do(405, "DELETE", "products/"+text(c.do(200, "GET", "products?sku="+one, nil).doc["items"].([]any)[0].(map[string]any)["id"]), nil)
	c.do(400, "PATCH", "shipment-orders/"+text(made.doc["id"]), map[string]any{"status": "shipped"})
}

func TestWMSFiles(t *testing.T) {
	for _, utf8 := range []bool{false, true} {
		w := quiet(t, Options{NoHooks: true, Items: 5, Pace: .01, UTF8: utf8})
		w.settle(t, "wms.files")
		levels := map[string]string{}
		for _, name := range dropped(t, w, "stock") {
			raw, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if !utf8 {
				if raw, err = simplifiedchinese.GB18030.NewDecoder().Bytes(raw); err != nil {
					t.Fatal(err)
				}
			}
			lines := strings.Split(strings.TrimSuffix(string(raw), "\r\n"), "\r\n")
			if lines[0] != "sku;warehouse;name;location;on_hand;reserved;unit;counted_at;sequence" {
				t.Errorf("headers %s", lines[0])
			}
			for _, l := range lines[1:] {
				cells := strings.Split(l, ";")
				if len(cells) != 9 {
					t.Fatalf("row %q", l)
				}
				levels[cells[0]+"@"+cells[1]] = cells[4] + " " + cells[2]
			}
		}
		s, err := w.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range s[WMS][Inventory] {
			if want := text(o.Doc["onHand"]) + " " + text(o.Doc["name"]); levels[o.Key] != want {
				t.Errorf("%s is %q in the files, want %q", o.Key, levels[o.Key], want)
			}
		}
		if len(levels) != 5*len(warehouses) {
			t.Errorf("%d levels", len(levels))
		}
	}
}

func dropped(t *testing.T, w *World, folder string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(w.Env()[EnvWMSDrop], folder, "*.csv"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	return files
}

// After a restart only what no file holds yet is dropped.
func TestWMSFilesAfterRestart(t *testing.T) {
	dir := t.TempDir()
	w := quiet(t, Options{Dir: dir, NoHooks: true, Items: 5, Pace: .01})
	c := w.wmsClient(t)
	p := productAt(1, 1)
	c.do(201, "POST", "products", map[string]any{"sku": p.sku, "name": "x", "unit": "PCE"})
	c.do(201, "POST", "shipment-orders", shipOrder("x1", p.sku))
	w.until(t, "confirmed", func() bool {
		f, _ := filepath.Glob(filepath.Join(dir, "drop", "shipments", "*.csv"))
		return len(f) == 1
	})
	w.settle(t, "wms.files")
	files := len(dropped(t, w, "stock"))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	w = quiet(t, Options{Dir: dir, NoHooks: true, Items: 5})
	w.Freeze()
	if p := w.Pending(); p["wms.stock"] != 0 || p["wms.confirmations"] != 0 || p["wms.shipments"] != 0 || p["wms.files"] != files {
		t.Errorf("pending after restart: %v, want only %d files", p, files)
	}
}

func TestWMSBadRows(t *testing.T) {
	w := quiet(t, Options{NoHooks: true, Items: 20, Pace: .01, ChaosFor: map[string]Chaos{WMS: {BadRows: .5}}})
	w.settle(t, "wms.files")
	good, bad := 0, 0
	for _, name := range dropped(t, w, "stock") {
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range strings.Split(string(raw), "\r\n")[1:] {
			if strings.HasPrefix(l, "99999-00;") {
				bad++
			} else if l != "" {
				good++
			}
		}
	}
	if good != 40 || bad < 8 {
		t.Errorf("%d good and %d bad rows", good, bad)
	}
	odd, err := w.Odd()
	if err != nil || len(odd) == 0 || odd[0].Why != "bad-row" {
		t.Errorf("odd %v, %v", odd, err)
	}
}

// Every character that the systems' people use has its code, and the codes are right.
func TestGB18030(t *testing.T) {
	s := "ABC;1\r\n" + gbRunes
	for n := range 200 {
		s += productAt(7, n).chinese
	}
	want, err := simplifiedchinese.GB18030.NewEncoder().String(s)
	if err != nil {
		t.Fatal(err)
	}
	if got := gb18030(s); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := gb18030("é"); got != "?" {
		t.Errorf("a character without a code became %q", got)
	}
}
