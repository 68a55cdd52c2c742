package acceptance

import (
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/schemas"
)

// depot is the service that docs/manifests.md tells of: parts to read, orders to take, each reference once. The answer to the first order is lost.
type depot struct {
	mu     sync.Mutex
	orders []map[string]any
	lost   bool
}

func (d *depot) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	if r.Header.Get("X-Depot-Key") != "key-of-tests" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	switch r.Method + " " + r.URL.Path {
	case "GET /api/v2/parts":
		_, _ = io.WriteString(w, `{"data":[{"id":7,"number":"00123","title":"Hinge","price":"1.50","changed":"2026-11-30T10:00:00Z"}]}`)
	case "GET /api/v2/orders":
		found := []map[string]any{}
		for _, o := range d.orders {
			if o["reference"] == r.URL.Query().Get("reference") {
				found = append(found, o)
			}
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"data": found})
	case "POST /api/v2/orders":
		var o map[string]any
		_ = json.NewDecoder(r.Body).Decode(&o)
		for _, other := range d.orders {
			if other["reference"] == o["reference"] {
				w.WriteHeader(http.StatusConflict)
				_, _ = io.WriteString(w, `{"error":{"code":"REFERENCE_TAKEN","text":"there is an order with this reference"}}`)
				return
			}
		}
		o["id"], o["changed"] = fmt.Sprint(100+len(d.orders)), "2026-11-30T11:00:00Z"
		d.orders = append(d.orders, o)
		if !d.lost {
			d.lost = true
			panic(http.ErrAbortHandler)
		}
		_ = json.NewEncoder(w).Encode(o)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func (d *depot) taken() []map[string]any {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.orders
}

// TestManifestBothWays runs the vendor of docs/manifests.md, as its page writes it, through a hub: parts come, orders go, and none goes twice although the answer to the first is lost.
func TestManifestBothWays(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "manifests.md"))
	if err != nil {
		t.Fatal(err)
	}
	d := &depot{}
	srv := httptest.NewServer(d)
	t.Cleanup(srv.Close)
	files := map[string]string{"schemas/reading.v1.json": "", "mappings/readings.yaml": ""}
	for _, m := range regexp.MustCompile("(?s)```(?:yaml|json) file=([^ \n]+)( append=systems)?\n(.*?)```").FindAllStringSubmatch(string(page), -1) {
		files[m[1]] = m[3]
	}
	system := files["configs/waybill.yaml"] // the page's lines, and the address of the service of this test
	files["configs/waybill.yaml"] = strings.NewReplacer("entities: [reading]\n", "", "systems:\n", "systems:\n"+system+"    url: "+srv.URL+"/api/v2\n", "  scanner:\n    connector: webhook\n", "",
		"      reading:\n        pattern: \"*.csv\"\n        csv: {columns: {number: text, amount: decimal}}\n", "      order:\n        pattern: \"*.jsonl\"\n        format: jsonl\n",
		"      reading: {format: jsonl}", "      product: {format: jsonl}").Replace(readingsFiles["configs/waybill.yaml"])
	files["flows/parts-depot.yaml"] = strings.Replace(files["flows/parts-depot.yaml"], "every: 5m", "every: 1s", 1)
	files["flows/readings.yaml"] = `flow: till-orders
entity: order
from: {system: till, files: {every: 1s}}
accept: canonical/order.v1
key: source.number
to: {topic: canonical.purchase}
---
flow: products-to-ledger
entity: product
from: {topic: canonical.product}
to: {system: ledger}
`
	canonical, err := fs.Glob(schemas.FS, "canonical/*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range canonical {
		data, err := fs.ReadFile(schemas.FS, name)
		if err != nil {
			t.Fatal(err)
		}
		files["schemas/"+name] = string(data)
	}
	p := newReadings(t, files)
	h := p.run(t, map[string]string{"DEPOT_KEY": "key-of-tests"})
	for _, number := range []string{"P-1", "P-2"} {
		p.drop(t, number+".jsonl", `{"id":"`+number+`","number":"`+number+`","status":"confirmed","placed_at":"2026-11-30T10:00:00Z","customer":{"id":"us"},"currency":"EUR","lines":[{"sku":"00123","quantity":2.50}]}`+"\n")
	}
	h.await("the part in the ledger, and both orders in the depot", 2*time.Minute, func() bool {
		found, _ := filepath.Glob(p.path("ledger/*.jsonl"))
		return len(found) > 0 && len(d.taken()) >= 2 && h.status().Totals.InFlight == 0
	})
	numbers := map[any]int{}
	for _, o := range d.taken() {
		numbers[o["your_number"]]++
	}
	if len(d.taken()) != 2 || numbers["P-1"] != 1 || numbers["P-2"] != 1 {
		t.Errorf("the depot has taken %v", d.taken())
	}
	found, _ := filepath.Glob(p.path("ledger/*.jsonl"))
	if len(found) != 1 {
		t.Fatalf("the ledger holds %v", found)
	}
	data, err := os.ReadFile(found[0])
	if err != nil || !strings.Contains(string(data), `"sku":"00123"`) || !strings.Contains(string(data), `"amount":1.5`) {
		t.Errorf("the ledger holds %s: %v", data, err)
	}
	if st := h.status(); st.Totals.Parked != 0 || st.Totals.Duplicates != 0 {
		t.Errorf("parked %d, duplicates %d", st.Totals.Parked, st.Totals.Duplicates)
	}
}
