package acceptance

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/api"
)

// TestEInvoices: a supplier's UBL becomes a canonical invoice, and that a CII, byte by byte the one that the official rules have judged. One that does not add up is
// parked with the rule's name, and no file is made of it.
func TestEInvoices(t *testing.T) {
	p := projectOf(t, "testdata/einvoice").withSchemas(t)
	for _, dir := range []string{"in", "out"} {
		if err := os.MkdirAll(p.path("drop/"+dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if out, errs, code := waybill(t, p.dir, "check", "."); code != 0 {
		t.Fatalf("%s%s", out, errs)
	}
	h := p.run(t, nil)
	const golden = "../einvoice/testdata/golden/everything.en16931."
	ubl, err := os.ReadFile(golden + "ubl.xml")
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(golden + "cii.xml")
	if err != nil {
		t.Fatal(err)
	}
	p.arrive(t, "drop/in/1.xml", string(ubl))
	wrong := strings.NewReplacer("INV-2026-0001", "INV-2026-0002", ">106.99<", ">107.99<").Replace(string(ubl))
	p.arrive(t, "drop/in/2.xml", wrong)
	h.await("the invoice as CII", 2*time.Minute, func() bool { return p.has("drop/out/*.xml") })
	h.parked("BR-CO-15: total: it is 107.99, and net_total and tax_total make 106.99", func(q *api.Queued) bool { return q.Flow == "invoices-to-archive" })
	files, err := filepath.Glob(p.path("drop/out/*.xml"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%q %v", files, err)
	}
	got, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s", got)
	}
	if code := h.stop(); code != 0 {
		t.Errorf("the hub ended with %d", code)
	}
}
