package acceptance

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/edi"
	"github.com/waybill-hub/waybill/schemas"
)

// projectOf makes a project of a folder of testdata.
func projectOf(t *testing.T, dir string) *project {
	t.Helper()
	p := &project{dir: t.TempDir(), http: freePort(t), hooks: freePort(t)}
	if err := os.CopyFS(p.dir, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	config, err := os.ReadFile(p.path("configs/waybill.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	p.write(t, "configs/waybill.yaml", strings.NewReplacer("HTTP", p.http, "HOOKS", p.hooks, "DIR", p.dir).Replace(string(config)))
	return p
}

// withSchemas gives the project copies of the shipped schemas.
func (p *project) withSchemas(t *testing.T) *project {
	t.Helper()
	sub, err := fs.Sub(schemas.FS, "canonical")
	if err == nil {
		err = os.CopyFS(p.path("schemas/canonical"), sub)
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// newPartners makes the project of testdata/edi: agreements and flows, whose mappings and schemas are shipped.
func newPartners(t *testing.T) *project {
	t.Helper()
	p := projectOf(t, "testdata/edi")
	for _, dir := range []string{"in", "out", "customers"} {
		if err := os.MkdirAll(p.path("drop/"+dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// arrive lets a file appear complete.
func (p *project) arrive(t *testing.T, name, text string) {
	t.Helper()
	p.write(t, name+".tmp", text)
	if err := os.Rename(p.path(name+".tmp"), p.path(name)); err != nil {
		t.Fatal(err)
	}
}

func (p *project) has(pattern string) bool {
	found, err := filepath.Glob(p.path(pattern))
	return err == nil && len(found) > 0
}

// sent reads the one interchange of one message that a pattern finds.
func (p *project) sent(t *testing.T, pattern string) (*edi.Message, []byte) {
	t.Helper()
	found, err := filepath.Glob(p.path(pattern))
	if err != nil || len(found) != 1 {
		t.Fatalf("%s: %q %v", pattern, found, err)
	}
	data, err := os.ReadFile(found[0])
	if err != nil {
		t.Fatal(err)
	}
	m, err := edi.NewReader(bytes.NewReader(data), edi.X12).Next()
	if err != nil || len(m.Faults) > 0 {
		t.Fatalf("%s: %v\n%s", found[0], err, data)
	}
	return m, data
}

// TestPartners: an order of a partner is taken, acknowledged and confirmed, the numbers of both interchanges follow each other, the confirmation's
// acknowledgement is taken, and the order is refused when it comes again.
func TestPartners(t *testing.T) {
	p := newPartners(t)
	if out, errs, code := waybill(t, p.dir, "test", "."); code != 0 {
		t.Fatalf("%s%s", out, errs)
	}
	if out, errs, code := waybill(t, p.dir, "check", "."); code != 0 {
		t.Fatalf("%s%s", out, errs)
	}
	h := p.run(t, nil)
	order, err := os.ReadFile("../edi/testdata/x12/850.edi")
	if err != nil {
		t.Fatal(err)
	}
	p.arrive(t, "drop/customers/acme.csv", "id,name\n0010100001,ACME RETAIL\n")
	p.arrive(t, "drop/in/order.edi", string(order))
	h.await("the confirmation and the acknowledgement", 2*time.Minute, func() bool { return p.has("drop/out/855-*.edi") && p.has("drop/out/997-*") })
	confirmation, text := p.sent(t, "drop/out/855-*.edi")
	acknowledgement, _ := p.sent(t, "drop/out/997-*")
	numbers := []string{confirmation.Group.Interchange.Control, acknowledgement.Group.Interchange.Control}
	slices.Sort(numbers)
	if !slices.Equal(numbers, []string{"000000001", "000000002"}) {
		t.Errorf("the interchanges have the numbers %q", numbers)
	}
	for _, want := range []string{"BAK*00*AD*PO-1001*20260115~", "PO1*1*24*EA*52.75*PE*VP*TG11*BP*SKU-11*UP*012345678905~", "ACK*IA*10*CA~", "CTT*2~"} {
		if !bytes.Contains(text, []byte(want)) {
			t.Errorf("the confirmation lacks %s:\n%s", want, text)
		}
	}
	ack, err := os.ReadFile("../edi/testdata/x12/997.edi")
	if err != nil {
		t.Fatal(err)
	}
	p.arrive(t, "drop/in/ack.edi", strings.NewReplacer("SUPPLIERCO     *ZZ*ACMERETAIL     ", "ACMERETAIL     *ZZ*SUPPLIERCO     ", "AK1*PO*1", "AK1*PR*"+confirmation.Group.Control).Replace(string(ack)))
	p.arrive(t, "drop/in/again.edi", string(order))
	p.arrive(t, "drop/in/wrong.edi", strings.NewReplacer("000000001", "000000002", "GE*1", "GE*3").Replace(string(order)))
	h.await("the acknowledgement that was taken, and the order that was refused", 2*time.Minute, func() bool {
		return p.has("drop/in/done/ack.edi") && p.has("drop/in/failed/again.edi.error")
	})
	h.await("the answer to an interchange with a wrong count", time.Minute, func() bool { return p.has("drop/in/failed/wrong.edi.error") && p.has("drop/out/997-*-refused*") })
	if _, text := p.sent(t, "drop/out/997-*-refused*"); !bytes.Contains(text, []byte("AK9*R*3*1*0*5~")) {
		t.Errorf("the refusal is\n%s", text)
	}
	why, err := os.ReadFile(p.path("drop/in/failed/again.edi.error"))
	if err != nil || !strings.Contains(string(why), "the interchange 000000001 of acme has come before") {
		t.Errorf("%s %v", why, err)
	}
	if text := h.text(); strings.Contains(text, "of nothing that was sent") {
		t.Errorf("the acknowledgement was not matched:\n%s", tail(text, 2000))
	}
	if code := h.stop(); code != 0 {
		t.Errorf("the hub ended with %d", code)
	}
}
