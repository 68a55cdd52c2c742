package format

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

const invoiceSamples = "../einvoice/testdata/"

func readFile(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestEInvoices: a file is one invoice, written and read; or why it is none.
func TestEInvoices(t *testing.T) {
	doc := readFile(t, invoiceSamples+"samples/everything.json")
	for _, f := range []string{"ubl", "cii"} {
		s := settingsOf(t, "{format: "+f+"}")
		golden := readFile(t, invoiceSamples+"golden/everything.en16931."+f+".xml")
		record, err := s.Record(doc, Change{Operation: "create"})
		if err != nil {
			t.Fatal(err)
		}
		file, err := s.File([][]byte{record})
		if err != nil || !bytes.Equal(file, golden) {
			t.Errorf("%s: %v\n%s", f, err, file)
		}
		if s.Ending() != "xml" || !s.Readable() {
			t.Errorf("%s: ends with %s, readable: %v", f, s.Ending(), s.Readable())
		}
		if got := told(s, golden, 0); !strings.HasPrefix(got, `1 @1: {"id":"INV-2026-0001",`) || strings.Count(got, "\n") != 1 {
			t.Errorf("%s: %s", f, got)
		}
		if got := told(s, golden, 1); got != "" {
			t.Errorf("%s, from row 1 on: %s", f, got)
		}
		if got := surveyed(t, s, golden); got != "rows 1, bad 0\n" {
			t.Errorf("%s: %s", f, got)
		}
		if got := surveyed(t, s, golden[:len(golden)/2]); !strings.HasPrefix(got, "rows 0, bad 0, perhaps not whole: the file ends within its elements: ") || !strings.HasSuffix(got, ", refused\n") {
			t.Errorf("%s, the half of it: %s", f, got)
		}
		if _, err := s.File([][]byte{record, record}); err == nil || !strings.Contains(err.Error(), "there are 2 documents") {
			t.Errorf("%s, two in a file: %v", f, err)
		}
		if _, err := s.Record(doc, Change{Operation: "delete"}); err == nil {
			t.Errorf("%s: a deletion is written", f)
		}
	}
	s := settingsOf(t, "{format: ubl}")
	for text, want := range map[string]string{
		"":                     "",
		"a;b":                  "0 @0: text stands outside of the root element (the file)\n",
		"<Invoice/>":           "0 @0: the root is <Invoice> of the namespace \"\", and not an Invoice or a CreditNote of UBL 2 (the file)\n",
		"<!DOCTYPE a><Invoice": "0 @0: a document type declaration is not allowed (the file)\n",
	} {
		if got := told(s, []byte(text), 0); got != want {
			t.Errorf("%q: %s", text, got)
		}
	}
	bad := bytes.Replace(readFile(t, invoiceSamples+"golden/derived.en16931.ubl.xml"), []byte("2026-02-28"), []byte("2026-02-30"), 1)
	if got := told(s, bad, 0); !strings.Contains(got, `1 @1: this is no e-invoice of EN 16931: IssueDate: "2026-02-30" is no day`) {
		t.Errorf("a day that is none: %s", got)
	}
	small := settingsOf(t, "{format: ubl, max-row: 1KiB}")
	if got := told(small, bad, 0); !strings.HasPrefix(got, "1 @1: the invoice is too long: it has more than 1KiB") {
		t.Errorf("a long one: %s", got)
	}
	broken := bytes.Replace(doc, []byte(`"total": 106.99`), []byte(`"total": 107.00`), 1)
	if _, err := s.Record(broken, Change{Operation: "create"}); err == nil || !strings.Contains(err.Error(), "BR-CO-15: total: it is 107.00, and net_total and tax_total make 106.99") {
		t.Errorf("a wrong total: %v", err)
	}
	lossy := bytes.Replace(doc, []byte(`"total": 106.99`), []byte(`"bill_to": {"name": "x"}, "total": 106.99`), 1)
	if _, err := settingsOf(t, "{format: cii, einvoice: {leave-out: [bill_to]}}").Record(lossy, Change{Operation: "create"}); err != nil {
		t.Errorf("left out, and yet: %v", err)
	}
	peppol, err := settingsOf(t, "{format: ubl, einvoice: {profile: peppol}}").Record(doc, Change{Operation: "create"})
	if err != nil || !bytes.Contains(peppol, []byte("urn:fdc:peppol.eu:2017:poacc:billing:01:1.0")) {
		t.Errorf("peppol: %v\n%s", err, peppol)
	}
}

// TestEInvoiceSettings: what does not go with an e-invoice is told with its place.
func TestEInvoiceSettings(t *testing.T) {
	for yaml, want := range map[string]string{
		"{format: cii, einvoice: {profile: peppol}}":        "profile: Peppol BIS Billing is written as UBL",
		"{format: ubl, encoding: iso-8859-1}":               "encoding: e-invoices are in UTF-8",
		"{format: ubl, group-by: [number]}":                 "group-by: an e-invoice is a document already",
		"{format: ubl, rows: {each: lines}}":                "rows: an e-invoice is a document already",
		"{format: ubl, bad-rows: {at-most: 1}}":             "bad-rows: a file is one invoice",
		"{format: ubl, einvoice: {profile: xrechnung}}":     "xrechnung",
		"{format: ubl, einvoice: {leave-out: {bill_to: }}}": "leave-out",
	} {
		if _, err := readSettings(yaml); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "object.yaml:1:") {
			t.Errorf("%s: %v, want %s", yaml, err, want)
		}
	}
}
