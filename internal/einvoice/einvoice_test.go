package einvoice

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

var update = flag.Bool("update", false, "write the golden files anew")

// sample is one document of testdata/samples.
type sample struct {
	name string
	raw  []byte
}

func samples(t testing.TB) []sample {
	t.Helper()
	files, err := filepath.Glob("testdata/samples/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal("no samples", err)
	}
	var out []sample
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, sample{strings.TrimSuffix(filepath.Base(f), ".json"), raw})
	}
	return out
}

// ways are how a sample is written.
var ways = []Options{{Syntax: UBL, Profile: Core}, {Syntax: CII, Profile: Core}, {Syntax: UBL, Profile: Peppol}}

// wholeYen is refused by Peppol's rules, which let a line be off by 0.02 in every currency.
const wholeYen = "yen"

// failer is a test, or one of rapid's.
type failer interface {
	Helper()
	Errorf(string, ...any)
	Fatalf(string, ...any)
}

func parse(t failer, raw []byte) jsondoc.Value {
	t.Helper()
	doc, err := jsondoc.Parse(raw, jsondoc.Limits{})
	if err != nil {
		t.Fatalf("%v\n%s", err, raw)
	}
	return doc.Root()
}

// TestSamples: each sample becomes the XML beside it, in both syntaxes, and that becomes the sample again.
func TestSamples(t *testing.T) {
	for _, s := range samples(t) {
		for _, o := range ways {
			t.Run(fmt.Sprintf("%s/%s/%s", s.name, o.Syntax, o.Profile), func(t *testing.T) {
				out, err := Write(parse(t, s.raw), o)
				if s.name == wholeYen && o.Profile == Peppol {
					if err == nil || !strings.Contains(err.Error(), "PEPPOL-EN16931-R120: lines.0.amount") {
						t.Fatalf("a line off by half a yen: %v", err)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				if o.Profile == Core || s.name == "everything" {
					golden(t, fmt.Sprintf("testdata/golden/%s.%s.%s.xml", s.name, o.Profile, o.Syntax), out)
				}
				comesBack(t, s.raw, out, o)
			})
		}
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what is written now (go test ./internal/einvoice -update)\n%s", name, got)
	}
}

// comesBack fails where the XML of a document is read as another one, or is written otherwise from what was read.
func comesBack(t failer, doc, out []byte, o Options) {
	t.Helper()
	read, err := Read(out, o.Syntax)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var want, got map[string]any
	decode(t, doc, &want)
	decode(t, read, &got)
	for _, d := range differences(want, got, "") {
		t.Errorf("%s\nread: %s", d, read)
	}
	if a, ok := got["attributes"].(map[string]any); ok && a["unread"] != nil {
		t.Errorf("what was written is not read: %v", a["unread"])
	}
	again, err := Write(parse(t, read), o)
	if err != nil {
		t.Fatalf("what was read is refused: %v\n%s", err, read)
	}
	if !bytes.Equal(again, out) {
		t.Errorf("what was read is written otherwise:\n%s\n%s", out, again)
	}
}

func decode(t failer, raw []byte, to any) {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	if err := dec.Decode(to); err != nil {
		t.Fatalf("%v\n%s", err, raw)
	}
}

// lost are fields that an e-invoice does not have: the rate is in BT-111, and the reason of a line in the breakdown.
var lost = []string{"exchange_rate", "lines.taxes.exemption_reason", "allowance_charges.taxes.exemption_reason"}

// differences are members of a document that another lacks, or has otherwise. It may have more.
func differences(want, got any, path string) []string {
	if slices.Contains(lost, pattern(path)) {
		return nil
	}
	switch w := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			return []string{path + " is missing"}
		}
		var out []string
		for k, v := range w {
			out = append(out, differences(v, g[k], strings.TrimPrefix(path+"."+k, "."))...)
		}
		return out
	case []any:
		g, _ := got.([]any)
		if len(g) != len(w) {
			return []string{fmt.Sprintf("%s has %d elements, and not %d", path, len(g), len(w))}
		}
		var out []string
		for i := range w {
			out = append(out, differences(w[i], g[i], fmt.Sprintf("%s.%d", path, i))...)
		}
		return out
	case json.Number:
		g, _ := got.(json.Number)
		a, _ := new(big.Rat).SetString(w.String())
		b, ok := new(big.Rat).SetString(g.String())
		if !ok || a.Cmp(b) != 0 {
			return []string{fmt.Sprintf("%s is %v, and not %v", path, got, want)}
		}
		return nil
	}
	if want != got && path != "attributes.BT-148" && path != "attributes.BT-147" {
		if decimalTexts(want, got) {
			return nil
		}
		return []string{fmt.Sprintf("%s is %v, and not %v", path, got, want)}
	}
	return nil
}

// decimalTexts: two texts are the same decimal.
func decimalTexts(want, got any) bool {
	a, aok := new(big.Rat).SetString(fmt.Sprint(want))
	b, bok := new(big.Rat).SetString(fmt.Sprint(got))
	return aok && bok && a.Cmp(b) == 0
}

// broken is a document with one thing wrong, and the rules that say so.
type broken struct {
	Name    string
	Sample  string
	Profile Profile
	Syntax  Syntax
	Set     map[string]any
	Rules   []string
	// Ours: no official rule says it, or none of the version that is asked. Schema: the schema refuses it before its rule is asked.
	Ours, Schema bool
}

func brokenDocuments(t testing.TB) []broken {
	t.Helper()
	raw, err := os.ReadFile("testdata/broken.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []broken
	decode(t, raw, &all)
	for i := range all {
		b := &all[i]
		if b.Sample == "" {
			b.Sample = "derived"
		}
		if b.Profile == "" {
			b.Profile = Core
		}
		if b.Syntax == "" {
			b.Syntax = UBL
		}
	}
	return all
}

// document is the sample with what is wrong.
func (b broken) document(t testing.TB) []byte {
	t.Helper()
	raw, err := os.ReadFile("testdata/samples/" + b.Sample + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var doc any
	decode(t, raw, &doc)
	for path, v := range b.Set {
		doc = set(doc, strings.Split(path, "."), v)
	}
	out, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// set changes a member; null removes it.
func set(doc any, path []string, v any) any {
	if len(path) == 0 {
		return v
	}
	switch d := doc.(type) {
	case []any:
		var i int
		_, _ = fmt.Sscan(path[0], &i)
		if i == len(d) {
			d = append(d, nil)
		}
		d[i] = set(d[i], path[1:], v)
		return d
	case map[string]any:
		if len(path) == 1 && v == nil {
			delete(d, path[0])
			return d
		}
		d[path[0]] = set(d[path[0]], path[1:], v)
		return d
	}
	return set(map[string]any{}, path, v)
}

// TestBroken: what breaks a rule is told by the rule's name, and nothing else is told.
func TestBroken(t *testing.T) {
	for _, b := range brokenDocuments(t) {
		t.Run(b.Name, func(t *testing.T) {
			_, err := Write(parse(t, b.document(t)), Options{Syntax: b.Syntax, Profile: b.Profile})
			problems, _ := err.(Problems)
			var rules []string
			for _, p := range problems {
				if !slices.Contains(rules, p.Rule) {
					rules = append(rules, p.Rule)
				}
			}
			slices.Sort(rules)
			if want := slices.Sorted(slices.Values(b.Rules)); !slices.Equal(rules, want) {
				t.Errorf("rules %q, want %q: %v", rules, want, err)
			}
		})
	}
}

// TestPlaceless: what EN 16931 has no place for is refused, unless the settings let it be lost.
func TestPlaceless(t *testing.T) {
	b := broken{Sample: "derived", Set: map[string]any{"bill_to": map[string]any{"name": "Central"}, "lines.0.cost_center": "77", "status": "issued", "attributes": map[string]any{"color": "red"}}}
	doc := b.document(t)
	_, err := Write(parse(t, doc), Options{Syntax: UBL, Profile: Core})
	if err == nil || !strings.Contains(err.Error(), "bill_to: EN 16931 has no place") || !strings.Contains(err.Error(), "lines.0.cost_center: EN 16931 has no place") || strings.Contains(err.Error(), "status") {
		t.Errorf("not told: %v", err)
	}
	if _, err := Write(parse(t, doc), Options{Syntax: UBL, Profile: Core, LeaveOut: []string{"bill_to", "lines.cost_center"}}); err != nil {
		t.Errorf("left out, and yet: %v", err)
	}
}

// TestDerived: what is missing is calculated as the rules say, exactly.
func TestDerived(t *testing.T) {
	for name, want := range map[string]string{
		"derived":      `{"subtotal":200.00,"net_total":200.00,"tax_total":38.00,"total":238.00,"due":238.00,"taxes":[{"category":"S","rate":19,"base":200.00,"amount":38.00}]}`,
		"yen":          `{"subtotal":1002,"tax_total":100,"due":1102,"taxes":[{"category":"S","rate":10,"base":1001,"amount":100},{"category":"S","rate":8,"base":1,"amount":0}]}`,
		"dinar":        `{"tax_total":0.17,"due":3.52}`,
		"own-currency": `{"tax_total":24.98,"tax_currency":"EUR","attributes":{"BT-111":"2.28"}}`,
		"category-ae":  `{"charge_total":5,"net_total":105,"tax_total":0,"taxes":[{"category":"AE","rate":0,"base":105,"amount":0,"code":"VATEX-EU-AE"}]}`,
		"category-e":   `{"taxes":[{"category":"E","rate":0,"base":100,"amount":0,"exemption_reason":"Heilbehandlung, § 4 Nr. 14 UStG"}]}`,
	} {
		for _, s := range samples(t) {
			if s.name != name {
				continue
			}
			out, err := Write(parse(t, s.raw), ways[0])
			if err != nil {
				t.Fatal(name, err)
			}
			read, err := Read(out, UBL)
			if err != nil {
				t.Fatal(name, err)
			}
			var w, g any
			decode(t, []byte(want), &w)
			decode(t, read, &g)
			for _, d := range differences(w, g, "") {
				t.Errorf("%s: %s", name, d)
			}
		}
	}
}

// TestRead: what others write and this does not.
func TestRead(t *testing.T) {
	const head = `<Invoice xmlns="urn:oasis:names:specification:ubl:schema:xsd:Invoice-2" xmlns:b="urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2" xmlns:a="urn:oasis:names:specification:ubl:schema:xsd:CommonAggregateComponents-2">`
	for _, c := range []struct{ name, body, want, fails string }{
		{"prefixes, blanks, an offset", `<b:ID> 7 </b:ID><b:IssueDate>2026-11-30+01:00</b:IssueDate>`, `{"number":"7","issued_on":"2026-11-30"}`, ""},
		{"another type", `<b:InvoiceTypeCode>326</b:InvoiceTypeCode>`, `{"type":"invoice","attributes":{"BT-3":"326"}}`, ""},
		{"what is not taken over", `<a:AdditionalDocumentReference><b:ID>scan</b:ID></a:AdditionalDocumentReference>`, `{"attributes":{"unread":"AdditionalDocumentReference/ID"}}`, ""},
		{"a subject", `<b:Note>#AAI#Hello</b:Note><b:Note>you</b:Note>`, `{"note":"Hello\n\nyou","attributes":{"BT-21":"AAI"}}`, ""},
		{"a sales order alone", `<a:OrderReference><b:ID>NA</b:ID><b:SalesOrderID>S1</b:SalesOrderID></a:OrderReference>`, `{"order":{"number":"S1"}}`, ""},
		{"a telephone in words", `<a:AccountingSupplierParty><a:Party><a:Contact><b:Telephone>ask Ada</b:Telephone></a:Contact></a:Party></a:AccountingSupplierParty>`, `{"attributes":{"BT-42":"ask Ada"}}`, ""},
		{"an IBAN in groups", `<a:PaymentMeans><b:PaymentMeansCode>58</b:PaymentMeansCode><a:PayeeFinancialAccount><b:ID>DE02 1203 0000 0000 2020 51</b:ID></a:PayeeFinancialAccount></a:PaymentMeans>`,
			`{"payment_method":"bank_transfer","bank_accounts":[{"iban":"DE02120300000000202051"}],"attributes":{"BT-81":"58"}}`, ""},
		{"no day", `<b:IssueDate>2026-02-30</b:IssueDate>`, "", `IssueDate: "2026-02-30" is no day`},
		{"an exponent", `<a:LegalMonetaryTotal><b:PayableAmount>1e3</b:PayableAmount></a:LegalMonetaryTotal>`, "", `PayableAmount: "1e3" is no decimal`},
		{"another currency", `<b:DocumentCurrencyCode>EUR</b:DocumentCurrencyCode><a:LegalMonetaryTotal><b:PayableAmount currencyID="USD">1</b:PayableAmount></a:LegalMonetaryTotal>`, "", "PEPPOL-EN16931-R051: PayableAmount: it is in USD, and the invoice in EUR"},
	} {
		got, err := Read([]byte(head+c.body+"</Invoice>"), UBL)
		if c.fails != "" {
			if err == nil || !strings.Contains(err.Error(), c.fails) {
				t.Errorf("%s: %v, want %q", c.name, err, c.fails)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		var w, g any
		decode(t, []byte(c.want), &w)
		decode(t, got, &g)
		for _, d := range differences(w, g, "") {
			t.Errorf("%s: %s in %s", c.name, d, got)
		}
	}
	for _, s := range []Syntax{UBL, CII} {
		if _, err := Read([]byte("<Invoice/>"), s); err == nil || !strings.Contains(err.Error(), "the root is <Invoice>") {
			t.Errorf("a foreign root as %s: %v", s, err)
		}
	}
}

// FuzzRead: whatever comes, reading ends with a document or an error, and a document that can be written is read as it was.
func FuzzRead(f *testing.F) {
	files, err := filepath.Glob("testdata/golden/*.xml")
	if err != nil || len(files) == 0 {
		f.Fatal("no golden files", err)
	}
	for _, name := range files {
		body, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body, strings.Contains(name, ".cii."))
	}
	f.Fuzz(func(t *testing.T, body []byte, cii bool) {
		o := ways[0]
		if cii {
			o = ways[1]
		}
		doc, err := Read(body, o.Syntax)
		if err != nil {
			return
		}
		out, err := Write(parse(t, doc), o)
		if err != nil {
			return
		}
		again, err := Read(out, o.Syntax)
		if err != nil {
			t.Fatalf("what was written cannot be read: %v\n%s", err, out)
		}
		if _, err := Write(parse(t, again), o); err != nil {
			t.Fatalf("what was written and read is refused: %v\n%s", err, again)
		}
	})
}
