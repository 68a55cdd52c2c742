package reconcile

import (
	"context"
	"errors"
	"maps"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/waybill-hub/waybill/internal/compare"
	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/flow/decide"
	"github.com/waybill-hub/waybill/internal/privacy"
	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// shelf is the kind of the tests' systems.
type shelf struct{}

func (shelf) Spec() connector.Spec {
	return connector.Spec{Kind: "shelf", Can: connector.Abilities{List: true, Poll: true, Write: true, Find: true}}
}
func (shelf) Check(connector.Settings, *strictyaml.Problems) {}
func (shelf) Open(context.Context, connector.Settings) (connector.System, error) {
	return nil, errors.New("tests open nothing")
}

const twoFlows = `
flow: crm-in
entity: customer
from: {system: crm, poll: {every: 1m, overlap: 1m}}
map: crm-to-hub
to: {topic: customers}
---
flow: erp-out
entity: customer
from: {topic: customers}
accept: hub
map: hub-to-erp
to: {system: erp, on-delete: ignore}
---
reconciliation: r
entity: customer
`

// runOf makes a run of the reconciliation of these sides; the schema of the CRM marks the mails of people as personal.
func runOf(t *testing.T, text string) *Run {
	t.Helper()
	object := func(names ...string) *fstest.MapFile {
		return &fstest.MapFile{Data: []byte(`{"type":"object","properties":{` + strings.Join(names, ",") + `}}`)}
	}
	mapping := "mapping: crm-to-hub\nfrom: crm\nto: hub\nset: {no: source.no, mail: source.mail}\n---\nmapping: crm-to-hub-too\nfrom: crm\nto: hub\nset: {no: source.no, note: source.mail}\n---\n" +
		"mapping: hub-to-erp\nfrom: hub\nto: erp\nset: {number: source.no, contacts: [{set: {e_mail: source.mail}}]}\n"
	plan, p := config.Load(config.EmbeddedPaths(fstest.MapFS{"waybill.yaml": {Data: []byte("systems: {crm: {connector: shelf}, erp: {connector: shelf}, old: {connector: shelf}}\n")}},
		fstest.MapFS{"f.yaml": {Data: []byte(twoFlows + text)}}, fstest.MapFS{"m.yaml": {Data: []byte(mapping)}}, fstest.MapFS{
			"crm.json": object(`"no":{"type":"string"}`, `"mail":{"type":"string","x-pii":true}`), "hub.json": object(`"no":{"type":"string"}`, `"mail":{"type":"string"}`, `"note":{"type":"string"}`),
			"erp.json": object(`"number":{"type":"string"}`, `"contacts":{"type":"array","items":{"type":"object","properties":{"e_mail":{"type":"string"},"phone":{"type":"string"}}}}`),
		}), config.Options{Kinds: map[string]connector.Kind{"shelf": shelf{}}})
	if plan == nil {
		t.Fatal(p.Err())
	}
	r := &Run{c: Config{Plan: plan, Private: privacy.Of(plan)}, rec: plan.Reconciliations[0]}
	for _, s := range []struct {
		def *config.Side
		to  **side
	}{{&r.rec.Left, &r.left}, {&r.rec.Right, &r.right}} {
		*s.to = &side{def: s.def}
		if s.def.Flow != "" {
			(*s.to).flow = plan.Flow(s.def.Flow)
		}
	}
	return r
}

// TestPersonalKeys: rows that are paired by personal data show no key.
func TestPersonalKeys(t *testing.T) {
	r := runOf(t, "left: {system: crm}\nright: {system: old, map: crm-to-hub}\nmatch: mail\n")
	p := &pair{key: string(appendText([]byte{keyOfRow}, "ann@x.example")), left: &entry{key: "ann@x.example"}}
	if key := r.keyOf(p, &known{}); key != privacy.Masked {
		t.Errorf("shown as %q", key)
	}
	r.c.Private = privacy.Of(&config.Plan{})
	if key := r.keyOf(p, &known{}); key != "ann@x.example" {
		t.Errorf("shown as %q where nothing is personal", key)
	}
}

// TestPersonalDataOfTotals: a total's groups show nothing personal.
func TestPersonalDataOfTotals(t *testing.T) {
	r := runOf(t, "left: {system: crm}\nright: {system: old, map: crm-to-hub}\n")
	r.left.def.Own = false
	totals := []compare.Total{{Sum: "n", By: []compare.Group{{Path: "no"}, {Path: "mail"}}}}
	got := r.private().group(totals, &compare.TotalLine{Total: totals[0].String(), Group: []string{"K-1001", "ann@x.example"}})
	if len(got) != 2 || got[1] != privacy.Masked {
		t.Errorf("%q", got)
	}
	if open := (&private{}).group(totals, &compare.TotalLine{Total: totals[0].String(), Group: []string{"K-1001", "B"}}); open[0] != "K-1001" || open[1] != "B" {
		t.Errorf("%q", open)
	}
}

// TestPersonalDataOfDifferences: what is kept of a difference shows no mail of a person, whatever way the documents came, and shows the rest.
func TestPersonalDataOfDifferences(t *testing.T) {
	const hub, erp = `{"no": "K-1001", "mail": "ann@x.example"}`, `{"number": "K-1001", "contacts": [{"e_mail": "ann@x.example", "phone": "5550101"}]}`
	for name, c := range map[string]struct {
		sides, left, right string
		shown              bool // the number
	}{
		"mapped by a flow":               {"left: {system: crm}\nright: {system: old, map: crm-to-hub}\n", hub, `{"no": "K-1001", "mail": "bob@x.example"}`, false},
		"through the flow that writes":   {"left: {system: crm, through: erp-out}\nright: {system: erp}\ncompare: {number: exact, contacts: {set: e_mail}}\n", erp, `{"number": "K-1002", "contacts": [{"e_mail": "ann@x.example", "phone": "5550102"}, {"e_mail": "bob@x.example"}]}`, true},
		"by another mapping":             {"left: {system: crm, map: crm-to-hub-too}\nright: {system: old, map: crm-to-hub-too}\n", `{"no": "K-1001", "note": "ann@x.example"}`, `{"no": "K-1001", "note": "bob@x.example"}`, false},
		"as they are, without any flow":  {"left: {system: old}\nright: {system: old, object: b}\n", hub, `{"no": "K-1001", "mail": "bob@x.example"}`, false},
		"as the flow gets them":          {"left: {system: erp, map: crm-to-hub, through: erp-out}\nright: {system: crm}\n", erp, `{"no": "K-1001", "mail": "bob@x.example"}`, false},
		"too large a document to show":   {"left: {system: crm, through: erp-out}\nright: {system: erp}\n", erp, `{"number": "K-1002", "contacts": [{"e_mail": "bob@x.example"}], "fill": "` + strings.Repeat("x", mostShownBytes) + `"}`, true},
		"a mail in a field of the other": {"left: {system: crm, through: erp-out}\nright: {system: erp}\n", erp, `{"number": "ann@x.example", "contacts": []}`, true},
	} {
		t.Run(name, func(t *testing.T) {
			r := runOf(t, c.sides)
			p := &pair{left: &entry{doc: []byte(c.left)}, right: &entry{doc: []byte(c.right)}}
			d := state.Difference{Text: "somebody wrote to ann@x.example"}
			differ := newDiffer(r.rec)
			defer differ.close()
			fields := differ.diff(p)
			if len(fields) == 0 {
				t.Fatal("nothing differs")
			}
			r.show(&d, p, fields)
			all := string(d.LeftDoc) + string(d.RightDoc) + d.Text
			for _, f := range d.Fields {
				all += f.Path + string(f.Left) + string(f.Right)
			}
			if strings.Contains(all, "@x.example") {
				t.Errorf("a mail is shown: %.2000s", all)
			}
			if c.shown && !strings.Contains(all, "K-1001") {
				t.Errorf("the number is not shown: %.2000s", all)
			}
		})
	}
	r := runOf(t, "left: {system: crm}\nright: {system: old, map: crm-to-hub}\n---\nflow: bare\nentity: customer\nfrom: {topic: letters}\nto: {system: old, on-delete: ignore}\n")
	if !r.mapped("bare").None() {
		t.Fatal("something is known of this flow's documents")
	}
	if b := string(r.written("bare", &decide.Decision{Write: &connector.Write{Action: connector.Update, Doc: []byte(hub)}})); strings.Contains(b, "@x") {
		t.Errorf("what a flow without a schema would send: %s", b)
	}
	r = runOf(t, "left: {system: crm, through: erp-out}\nright: {system: erp}\n")
	if b := string(r.written("erp-out", &decide.Decision{Write: &connector.Write{Action: connector.Update, Doc: []byte(erp)}})); strings.Contains(b, "@x") || !strings.Contains(b, "K-1001") {
		t.Errorf("what would be sent: %s", b)
	}
}

// TestMaskedValues: a value that is personal by its place is masked in one form, whatever blanks it has; one that is not shows what it is.
func TestMaskedValues(t *testing.T) {
	r := runOf(t, "left: {system: crm, through: erp-out}\nright: {system: erp}\ncompare: {number: exact, contacts: {set: phone, compare: {e_mail: exact}}, \"*\": exact}\n")
	left := `{"number": "ann@x.example ", "note": "a b", "contacts": [{"phone": "1", "e_mail": "ann@x.example  "}, {"phone": "2.]a", "e_mail": "   "}, {"phone": "3", "e_mail": ""}, {"phone": "4", "e_mail": {"of": "bob"}}]}`
	right := `{"number": "K", "note": "a  b", "contacts": [{"phone": "1", "e_mail": "ann@x.example"}, {"phone": "2.]a", "e_mail": null}, {"phone": "3", "e_mail": "carl@x.example"}, {"phone": "4"}]}`
	p := &pair{left: &entry{doc: []byte(left)}, right: &entry{doc: []byte(right)}}
	differ := newDiffer(r.rec)
	defer differ.close()
	var d state.Difference
	r.show(&d, p, differ.diff(p))
	got := map[string]string{}
	for _, f := range d.Fields {
		got[f.Path] = string(f.Left) + " " + string(f.Right)
	}
	want := map[string]string{"number": `"***" "K"`, "note": `"a b" "a  b"`, "contacts[phone=1].e_mail": `"***" "***"`, `contacts[phone="2.]a"].e_mail`: `"***" null`, "contacts[phone=3].e_mail": `"" "***"`,
		"contacts[phone=4].e_mail": `{"of":"***"} `}
	if !maps.Equal(got, want) {
		t.Errorf("\n%v\n%v", got, want)
	}
	for path, want := range map[string]string{"a": "a", "a.b": "a b", "lines[sku=A-1].amount": "lines [] amount", "a[x.y][z].b[q]": "a [] [] b []", "": ""} {
		if got := strings.Join(wayOf(path), " "); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}

// TestMaskedWhole: it is said where nobody knows what of the documents is personal.
func TestMaskedWhole(t *testing.T) {
	for sides, want := range map[string]string{
		"left: {system: crm}\nright: {system: old, map: crm-to-hub}\n":                   "no flow reads old through the mapping crm-to-hub, which makes the documents of the right side",
		"left: {system: crm, map: crm-to-hub-too}\nright: {system: old}\n":               "no flow reads crm through the mapping crm-to-hub-too, which makes the documents of the left side",
		"left: {system: old}\nright: {system: old, object: b}\n":                         "no flow reads old or old",
		"left: {system: crm, through: erp-out}\nright: {system: erp}\n":                  "",
		"left: {system: erp, map: crm-to-hub, through: erp-out}\nright: {system: crm}\n": "",
		"left: {system: crm}\nright: {system: old}\n":                                    "",
	} {
		r := runOf(t, sides)
		got := MaskedWhole(r.rec, r.c.Plan)
		p := r.private()
		if got != want || p.hides("no") != (want != "") {
			t.Errorf("%s: %q, want %q; a number is hidden: %v", sides, got, want, p.hides("no"))
		}
	}
}
