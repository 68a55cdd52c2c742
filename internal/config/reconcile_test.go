package config

import (
	"context"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/waybill-hub/waybill/internal/compare"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// dropKind gives files and lists nothing.
type dropKind struct{}

func (dropKind) Spec() connector.Spec {
	return connector.Spec{Kind: "drop", Can: connector.Abilities{Files: true}}
}
func (dropKind) Check(connector.Settings, *strictyaml.Problems)                     {}
func (dropKind) Open(context.Context, connector.Settings) (connector.System, error) { return nil, nil }

// shelfKind lists what it holds.
type shelfKind struct{ dropKind }

func (shelfKind) Spec() connector.Spec {
	return connector.Spec{Kind: "shelf", Can: connector.Abilities{Write: true, Poll: true, List: true, Files: true}}
}

const invoiceSchema = `{"type":"object","properties":{"no":{"type":"string"},"open":{"type":"number"},"cur":{"type":"string"},"at":{"type":"string"},"tags":{"type":"array","items":{"type":"string"}},
"ship":{"type":"object","properties":{"city":{"type":"string"}}},"any":{},
"lines":{"type":"array","items":{"type":"object","properties":{"sku":{"type":"string"},"batch":{"type":"string"},"qty":{"type":"number"}}}}}}`

// theFlows read invoices into a topic, which one writes to wms, and one brings them back to erp.
const theFlows = `
flow: from-erp
entity: invoice
from: {system: erp, poll: {every: 1m, overlap: 1m}}
map: to-invoice
to: {topic: invoices}
---
flow: to-wms
entity: invoice
from: {topic: invoices}
accept: invoice
to: {system: wms, on-delete: delete}
---
flow: wms-to-erp
entity: invoice
from: {system: wms, poll: {every: 1m, overlap: 1m}}
accept: invoice
map: from-invoice
to: {system: erp, on-delete: park}
---
flow: shop-a
entity: invoice
from: {system: shop, poll: {object: a, every: 1m, overlap: 1m}}
map: to-invoice
to: {topic: invoices}
---
flow: shop-b
entity: invoice
from: {system: shop, poll: {object: b, every: 1m, overlap: 1m}}
map: to-invoice-too
to: {topic: invoices}
---
flow: twin-a
entity: invoice
from: {system: twin, poll: {object: a, every: 1m, overlap: 1m}}
map: to-invoice
to: {topic: invoices}
---
flow: twin-b
entity: invoice
from: {system: twin, poll: {object: b, every: 1m, overlap: 1m}}
map: to-invoice
to: {topic: invoices}
---
flow: desk-to-till
entity: invoice
from: {system: desk, poll: {every: 1m, overlap: 1m}}
map: to-invoice
to: {system: till}
`

// loadInvoices loads a reconciliation beside the flows.
func loadInvoices(t testing.TB, text string) (*Plan, *strictyaml.Problems) {
	t.Helper()
	return loadNamed(t, "r", text)
}

func loadNamed(t testing.TB, name, text string) (*Plan, *strictyaml.Problems) {
	t.Helper()
	mapping := func(name, from, to string) string {
		return "mapping: " + name + "\nfrom: " + from + "\nto: " + to + "\nset: {no: source.no}\n"
	}
	maps := strings.Join([]string{mapping("to-invoice", "raw", "invoice"), mapping("to-invoice-too", "raw", "invoice"), mapping("from-invoice", "invoice", "raw"), mapping("to-other", "raw", "other")}, "---\n")
	schemas := fstest.MapFS{"invoice.json": {Data: []byte(invoiceSchema)}, "raw.json": {Data: []byte(invoiceSchema)}, "other.json": {Data: []byte(invoiceSchema)}}
	conf := "systems: {erp: {connector: shelf}, wms: {connector: shelf}, shop: {connector: shelf}, twin: {connector: shelf}, bare: {connector: shelf}, desk: {connector: shelf}, till: {connector: shelf}, bank: {connector: drop}}\n"
	return Load(EmbeddedPaths(fstest.MapFS{"waybill.yaml": {Data: []byte(conf)}}, fstest.MapFS{"f.yaml": {Data: []byte("reconciliation: " + name + "\nentity: invoice\n" + text)}, "flows.yaml": {Data: []byte(theFlows)}},
		fstest.MapFS{"m.yaml": {Data: []byte(maps)}}, schemas), Options{Kinds: map[string]connector.Kind{"shelf": shelfKind{}, "drop": dropKind{}}})
}

const erpAndWMS = "left: {system: erp}\nright: {system: wms, map: to-invoice}\n"

// TestNamesOfCommands: nobody could ask for a reconciliation by such a name.
func TestNamesOfCommands(t *testing.T) {
	for name, wrong := range map[string]bool{"show": true, "runs": true, "shows": false} {
		_, p := loadNamed(t, name, erpAndWMS)
		if err := p.Err(); (err != nil) != wrong || wrong && !strings.Contains(err.Error(), "flows/f.yaml:1:17: `waybill reconcile "+name+"` is a command") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestReconciliationProblems: what is said about a reconciliation, from its third line on.
func TestReconciliationProblems(t *testing.T) {
	compared := func(rules string) string { return erpAndWMS + "compare: {" + rules + "}\n" }
	for name, c := range map[string]struct {
		text string
		want []string // problems begin with !, notes do not
	}{
		"the least":          {text: erpAndWMS},
		"all of it":          {text: erpAndWMS + "about: x\nschedule: {cron: 0 2 * * *, timezone: Asia/Shanghai, catch-up: true, jitter: 10m}\nmatch: [no, cur]\ncompare: {no: exact, ship.city: fold}\nmoney: {amount: open, currency: cur}\nsettle: 0s\nkeep: 7d\n"},
		"a jitter of days":   {text: erpAndWMS + "schedule: {cron: 0 2 * * *, jitter: 25h}\n", want: []string{"!flows/f.yaml:5:37: jitter: a run that begins up to 25h later is another day's"}},
		"kept for no time":   {text: erpAndWMS + "keep: 0s\n", want: []string{"!flows/f.yaml:5:7: keep: the time is zero"}},
		"an index":           {text: "left: {system: erp, index: {}}\nright: {system: wms, map: to-invoice, index: {whole: 30d, overlap: 0s}}\n"},
		"an index of files":  {text: "left: {system: erp}\nright: {system: bank, map: to-invoice, id: source.no, index: {}}\n", want: []string{"!flows/f.yaml:4:62: index: a file is read whole (remove it)"}},
		"never whole":        {text: "left: {system: erp, index: {whole: 0s}}\nright: {system: wms, map: to-invoice}\n", want: []string{"!flows/f.yaml:3:36: whole: the time is zero"}},
		"looking ahead":      {text: "left: {system: erp, index: {overlap: -1m}}\nright: {system: wms, map: to-invoice}\n", want: []string{"!flows/f.yaml:3:38: overlap:"}},
		"an unknown system":  {text: "left: {system: epr, map: to-invoise}\nright: {system: wms, map: to-invoice}\n", want: []string{`!flows/f.yaml:3:16: unknown system "epr"`, `!flows/f.yaml:3:26: unknown mapping "to-invoise" (did you mean "to-invoice"?)`}},
		"an unknown flow":    {text: "left: {system: erp, flow: form-erp}\nright: {system: wms, map: to-invoice}\n", want: []string{`!flows/f.yaml:3:27: unknown flow "form-erp" (did you mean "from-erp"?)`}},
		"another's flow":     {text: "left: {system: erp, flow: to-wms}\nright: {system: wms, map: to-invoice}\n", want: []string{`!flows/f.yaml:3:27: flow: the flow "to-wms" does not read the entity "invoice" from "erp"`}},
		"several flows":      {text: "left: {system: shop}\nright: {system: erp}\n", want: []string{`!flows/f.yaml:3:7: left: several flows read the entity "invoice" from "shop", each in its own way: shop-a, shop-b (name one of them as flow, one that writes to the other side as through, or a mapping as map)`}},
		"one by its object":  {text: "left: {system: shop, object: a}\nright: {system: erp}\n"},
		"one by its name":    {text: "left: {system: shop, flow: shop-b}\nright: {system: erp}\n"},
		"no flow reads it":   {text: "left: {system: bare}\nright: {system: erp}\n", want: []string{`flows/f.yaml:3:7: left: the documents of "bare" are compared as they are, since no flow reads this entity from there (name a mapping to invoice as map`}},
		"both as they are":   {text: "left: {system: bare}\nright: {system: bare, object: other}\n"},
		"two schemas":        {text: "left: {system: erp}\nright: {system: wms, map: to-other}\n", want: []string{"!flows/f.yaml:4:27: the left side is mapped to invoice, the right side to other"}},
		"two schemas by map": {text: "left: {system: erp, map: to-other}\nright: {system: shop, flow: shop-a}\n", want: []string{"!flows/f.yaml:4:8: the left side is mapped to other, the right side to invoice"}},
		"conditions":         {text: "left: {system: erp, where: source.open > 0}\nright: {system: bare, id: source.no, where: source.nope == null}\n", want: []string{"!flows/f.yaml:4:", `flows/f.yaml:4:8: right: the documents of "bare"`}},
		"an id twice":        {text: "left: {system: erp, id: source.no}\nright: {system: wms, map: to-invoice}\n", want: []string{`!flows/f.yaml:3:21: id: the flow "from-erp" says already what the system calls an object (remove it)`}},
		"a file":             {text: "left: {system: erp}\nright: {system: bank, id: source.no, map: to-invoice}\n"},
		"a file without ids": {text: "left: {system: erp}\nright: {system: bank, map: to-invoice}\n", want: []string{`!flows/f.yaml:4:8: right: nothing says what "bank" calls an object: files give no ids`}},
		"a file by a field":  {text: "left: {system: erp}\nright: {system: bank, map: to-invoice}\nmatch: no\n"},
		"pairing": {text: erpAndWMS + "match: [no, on, xref, no, {}]\n", want: []string{`!flows/f.yaml:5:13: match: "on" is neither xref nor a field of invoice (did you mean "no"?)`,
			"!flows/f.yaml:5:17: match: xref counts before all fields", `!flows/f.yaml:5:23: match: "no" stands there twice`, "!flows/f.yaml:5:27: match: this is no field"}},
		"pairing by the cross-reference, then by a field": {text: erpAndWMS + "match: [xref, no]\n"},
		"pairing by both":               {text: erpAndWMS + "match: [xref, no]\n"},
		"through a flow":                {text: "left: {system: wms, map: to-invoice, through: wms-to-erp}\nright: {system: erp}\ncompare: {no: exact}\n"},
		"through a topic's":             {text: "left: {system: erp, through: from-erp}\nright: {system: wms}\n", want: []string{`!flows/f.yaml:3:30: through: the flow "from-erp" does not map the entity "invoice" for a system (name the flow that writes to the other side)`}},
		"through a direct flow":         {text: "left: {system: wms, through: wms-to-erp}\nright: {system: erp}\nmatch: no\n"},
		"through it, by name":           {text: "left: {system: wms, flow: wms-to-erp, through: wms-to-erp}\nright: {system: erp}\nmatch: no\n"},
		"through it, behind another":    {text: "left: {system: wms, map: to-other, through: wms-to-erp}\nright: {system: erp}\n", want: []string{`!flows/f.yaml:3:45: through: the flow "wms-to-erp" maps invoice, and the documents of the side are other (name the flow that takes these documents)`}},
		"a direct flow":                 {text: "left: {system: desk}\nright: {system: till}\nmatch: no\n"},
		"a direct flow, from the right": {text: "left: {system: till}\nright: {system: desk}\nmatch: no\n"},
		"a direct flow, and the other side is read": {text: "left: {system: wms}\nright: {system: erp}\n", want: []string{
			`!flows/f.yaml:4:8: the left side is mapped to raw, the right side to invoice (write through: wms-to-erp on the left side, without map: what it writes is compared with what the other system holds as it is)`}},
		"through a flow without a mapping": {text: "left: {system: erp, through: to-wms}\nright: {system: wms}\n", want: []string{
			`!flows/f.yaml:3:30: through: the flow "to-wms" has no mapping: it writes documents as they are (remove it, or name a mapping to what the other side holds as map)`}},
		"a quoted where": {text: "left: {system: erp, where: 'source.no == \"A\"'}\nright: {system: wms, map: to-invoice, where: \"'open'\"}\n", want: []string{
			`!flows/f.yaml:3:28: this must give a boolean, and gives text (it is quoted, so that it stands for these letters: write the expression without quotes around it, or on the next line behind >-)`,
			`!flows/f.yaml:4:46: this must give a boolean, and gives text (it is quoted, so that it stands for these letters: write the expression without quotes around it, or on the next line behind >-)`}},
		"a quoted path as where": {text: "left: {system: erp, where: 'source.ship.city'}\nright: {system: wms, map: to-invoice}\n", want: []string{
			`!flows/f.yaml:3:28: this must give a boolean, and gives text (it is quoted, so that it stands for these letters: write the expression without quotes around it, or on the next line behind >-)`,
			`flows/f.yaml:3:28: "source.ship.city" is quoted, so that it stands for these letters, and it is the path of a field (write source.ship.city without quotes to take the field)`}},
		"through another's":  {text: "left: {system: wms, map: to-other, through: wms-to-erp}\nright: {system: erp}\n", want: []string{`!flows/f.yaml:3:45: through: the flow "wms-to-erp" maps invoice, and the documents of the side are other (name the flow that takes these documents)`}},
		"pairing by nothing": {text: erpAndWMS + "match: []\n", want: []string{"!flows/f.yaml:5:8: match: no field is named"}},
		"money":              {text: erpAndWMS + "money: {amount: opne, currency: ship.town}\n", want: []string{`!flows/f.yaml:5:17: invoice does not declare the field "opne" (did you mean "open"?)`, `!flows/f.yaml:5:33: invoice does not declare the field "ship.town"`}},
		"half of money":      {text: erpAndWMS + "money: {amount: open}\n", want: []string{`!flows/f.yaml:5:8: money: "currency" is missing`}},

		"compare nothing":      {text: erpAndWMS + "compare: none\n", want: []string{"!flows/f.yaml:5:10: compare: none compares nothing without totals"}},
		"compare a word":       {text: erpAndWMS + "compare: exact\n", want: []string{"!flows/f.yaml:5:10: compare: no field is named"}},
		"totals alone":         {text: erpAndWMS + "compare: none\ntotals: [{count: true}]\n"},
		"a rule for all":       {text: compared(`"*": {null: empty}, no: fold`)},
		"an unknown word":      {text: compared("no: flod"), want: []string{"!flows/f.yaml:5:15: no: unknown way to compare (did you mean fold?)"}},
		"a rule of nothing":    {text: compared("no: {}"), want: []string{"!flows/f.yaml:5:15: no needs rule, within, fold, time or set"}},
		"a misspelt rule":      {text: compared("no: {fodl: [case]}"), want: []string{`!flows/f.yaml:5:16: unknown key "fodl" (did you mean "fold"?)`}},
		"two rules":            {text: compared("no: {time: day, set: no}"), want: []string{"!flows/f.yaml:5:27: no has both time and set: it takes one of rule, within, fold, time or set"}},
		"with others":          {text: compared("no: {rule: fold, null: empty, owner: left}, cur: {owner: right}, at: {null: absent}")},
		"unknown others":       {text: compared("no: {rule: fuld, null: blank, owner: both}"), want: []string{`!flows/f.yaml:5:22: rule: "fuld" is none of its values (did you mean "fold"?)`, `!flows/f.yaml:5:34: null: "blank"`, `!flows/f.yaml:5:48: owner: "both"`}},
		"paths":                {text: compared("ship.town: exact, ship..city: exact, any.thing: exact"), want: []string{`!flows/f.yaml:5:11: invoice does not declare the field "ship.town"`, `!flows/f.yaml:5:29: "ship..city" is no path`, `!flows/f.yaml:5:48: invoice does not declare the field "any.thing"`}},
		"bounds":               {text: compared("open: {within: 1e3}, no: {within: 0.5 %}, cur: {within: 101%}, at: {within: 0.5%}"), want: []string{`!flows/f.yaml:5:26: within: "1e3" is no amount (write for example 0.01, or 0.5%)`, `!flows/f.yaml:5:45: within: "0.5 %" is no amount`, "!flows/f.yaml:5:67: within: 101% is more than all of it"}},
		"by currency":          {text: compared("open: {within: {USD: 0.01, JPY: 1, default: 0.5%}, currency: cur, null: empty}")},
		"no currency":          {text: compared("open: {within: {USD: 0.01}}"), want: []string{"!flows/f.yaml:5:26: within: nothing says which currency an amount has"}},
		"a bound for all":      {text: compared("open: {within: 1, currency: cur}"), want: []string{"!flows/f.yaml:5:29: currency means nothing beside one bound for all"}},
		"odd currencies":       {text: compared("open: {within: {Dollar: 1, EUR: x}, currency: curr}"), want: []string{`!flows/f.yaml:5:27: within: "Dollar" is no currency`, `!flows/f.yaml:5:43: EUR: "x" is no amount`, `!flows/f.yaml:5:57: invoice does not declare the field "curr" (did you mean "cur"?)`}},
		"currencies of none":   {text: compared("open: {within: {}, currency: cur}"), want: []string{"!flows/f.yaml:5:26: within: no currency is named"}},
		"beside the wrong one": {text: compared("open: {fold: [case], currency: cur}, no: {within: 1, zone: UTC}, at: {time: day, compare: exact}"), want: []string{"!flows/f.yaml:5:32: currency means nothing without within", "!flows/f.yaml:5:64: zone means nothing without time", "!flows/f.yaml:5:92: compare means nothing without set"}},
		"folds":                {text: compared("no: {fold: [case, width, space, accents, form]}, cur: {fold: [case, case]}, at: {fold: case}"), want: []string{`!flows/f.yaml:5:79: fold: "case" stands there twice`, "!flows/f.yaml:5:98: fold: expected a list, found text"}},
		"times":                {text: compared("at: {time: hour, zone: Europe/Berlin}, no: {time: week}, cur: {time: day, zone: Mars}"), want: []string{`!flows/f.yaml:5:61: time: "week" is none of its values`, `!flows/f.yaml:5:91: zone: "Mars" is not known`}},
		"sets":                 {text: compared("lines: {set: [sku, batch], compare: {qty: {within: {USD: 1}, currency: cur}}}, tags: {set: true, compare: fold}")},
		"rules of other values": {text: compared("open: fold, tags: {fold: [case]}, ship: {time: day}, no: {within: 1}, cur: uuid, any: fold, lines: {set: sku, compare: {qty: uuid}}"), want: []string{
			"flows/f.yaml:5:17: open is a number in invoice, of which this rule says nothing: it is compared exactly (use another rule)", "flows/f.yaml:5:29: tags is a list in invoice", "flows/f.yaml:5:51: ship is an object in invoice", "flows/f.yaml:5:136: lines[].qty is a number in invoice"}},
		"no set":              {text: compared("open: {set: sku}, lines: {set: skuu}, tags: {set: [], null: empty}"), want: []string{"!flows/f.yaml:5:23: set: open is no list in invoice", `!flows/f.yaml:5:42: invoice does not declare the field "lines[].skuu" (did you mean "sku"?)`, "!flows/f.yaml:5:61: set: nothing says which element is which"}},
		"rules of elements":   {text: compared("lines: {set: [sku, sku], compare: {quantity: exact, qty: {within: {USD: 1}, currency: crr}}}"), want: []string{`!flows/f.yaml:5:30: set: "sku" stands there twice`, `!flows/f.yaml:5:46: invoice does not declare the field "lines[].quantity"`, `!flows/f.yaml:5:97: invoice does not declare the field "crr" (did you mean "cur"?)`}},
		"elements as a whole": {text: compared("tags: {set: true, compare: {within: 1}}, lines: {set: sku, compare: exact}"), want: []string{"!flows/f.yaml:5:38: compare: elements cannot be told apart by this rule", "!flows/f.yaml:5:79: compare: no field of the elements is named"}},

		"totals": {text: erpAndWMS + "totals: [{sum: open, by: [cur, {month: at, zone: Asia/Shanghai}, {day: at}], within: 0.01}, {count: true, by: [{year: at}]}]\n"},
		"wrong totals": {text: erpAndWMS + "totals: [{sum: opn, by: [crr, {month: att}, {month: at, day: at}, [x], {week: at}]}, {count: false}, {}, {sum: open, count: true, within: some}]\n", want: []string{
			`!flows/f.yaml:5:16: invoice does not declare the field "opn"`, `!flows/f.yaml:5:26: invoice does not declare the field "crr"`, `!flows/f.yaml:5:39: invoice does not declare the field "att"`,
			"!flows/f.yaml:5:46: by has both day and month", "!flows/f.yaml:5:67: by: expected a text or a mapping, found a list", `!flows/f.yaml:5:73: unknown key "week"`,
			"!flows/f.yaml:5:94: count: nothing is counted", "!flows/f.yaml:5:102: totals needs sum or count", "!flows/f.yaml:5:118: totals has both sum and count"}},
		"no totals": {text: erpAndWMS + "totals: []\n", want: []string{"!flows/f.yaml:5:9: totals: the list is empty"}},

		"repair":                    {text: erpAndWMS + "schedule: {cron: 0 2 * * *}\nrepair: {from: left, by: to-wms, at-most: 1%, automatic: true, deletes: true}\n"},
		"repair by each":            {text: erpAndWMS + "repair: {from: newest, by: {left: wms-to-erp, right: to-wms}}\n"},
		"repair by one of two":      {text: erpAndWMS + "repair: {from: newest, by: {right: to-wms}}\n", want: []string{"flows/f.yaml:5:28: by: what was changed last on the other side is not repaired on the left"}},
		"repair by one for both":    {text: erpAndWMS + "repair: {from: newest, by: to-wms}\n", want: []string{"!flows/f.yaml:5:28: by: from: newest repairs either side (write by: {left: FLOW, right: FLOW}"}},
		"repair what is right":      {text: erpAndWMS + "repair: {from: left, by: {left: wms-to-erp, right: to-wms}}\n", want: []string{"!flows/f.yaml:5:27: by: nothing is written to the left side, which is right (remove it)"}},
		"repair by no flow":         {text: erpAndWMS + "repair: {from: right, by: {}}\n", want: []string{"!flows/f.yaml:5:27: by: no flow is named"}},
		"repair by a list":          {text: erpAndWMS + "repair: {from: right, by: [to-wms]}\n", want: []string{"!flows/f.yaml:5:27: by: expected a text or a mapping, found a list"}},
		"repair without owners":     {text: erpAndWMS + "repair: {from: owner, by: {right: to-wms}}\n", want: []string{"!flows/f.yaml:5:27: by: from: owner needs fields that have an owner"}},
		"repair of the left's":      {text: compared("no: {owner: left}") + "repair: {from: owner, by: {left: wms-to-erp}}\n", want: []string{"!flows/f.yaml:6:27: by: fields of the left side are repaired on the right, and no flow writes there"}},
		"repair of the right's":     {text: compared("lines: {set: sku, compare: {qty: {owner: right}}}") + "repair: {from: owner, by: {right: to-wms}}\n", want: []string{"!flows/f.yaml:6:27: by: fields of the right side are repaired on the left, and no flow writes there"}},
		"repair from elsewhere":     {text: "left: {system: bare}\nright: {system: erp, flow: from-erp}\nrepair: {from: left, by: wms-to-erp}\n", want: []string{`!flows/f.yaml:5:26: by: the flow "wms-to-erp" reads "wms", and "bare" is the side that is right (name a flow that reads that system, or a topic)`, "flows/f.yaml:3:7: left: the documents"}},
		"repair of the wrong side":  {text: erpAndWMS + "repair: {from: right, by: to-wms}\n", want: []string{`!flows/f.yaml:5:27: by: the flow "to-wms" does not write to "erp", the side that is to be repaired`}},
		"deletes that are parked":   {text: erpAndWMS + "repair: {from: right, by: wms-to-erp, deletes: true}\n", want: []string{`flows/f.yaml:5:27: by: the flow "wms-to-erp" has on-delete: park, so deletes are not repaired by it`}},
		"automatic without a time":  {text: erpAndWMS + "repair: {from: left, by: to-wms, automatic: true}\n", want: []string{"flows/f.yaml:5:34: automatic means nothing without a schedule"}},
		"repair of totals":          {text: erpAndWMS + "compare: none\ntotals: [{count: true}]\nrepair: {from: left, by: to-wms}\n", want: []string{"!flows/f.yaml:7:9: repair: totals say of no object that it is to be repaired"}},
		"repair: misspelt sides":    {text: erpAndWMS + "repair: {from: left, by: {rigth: to-wms}}\n", want: []string{`!flows/f.yaml:5:26: by: no flow is named`, `!flows/f.yaml:5:27: unknown key "rigth" (did you mean "right"?)`}},
		"repair: nothing is wrong?": {text: erpAndWMS + "repair: {by: to-wms}\n", want: []string{`!flows/f.yaml:5:9: repair: "from" is missing`}},
	} {
		t.Run(name, func(t *testing.T) {
			plan, p := loadInvoices(t, c.text)
			said := &strictyaml.Problems{}
			for _, x := range p.List() {
				said.AddHint(x.Pos, x.Hint, "%s", x.Message)
			}
			for _, x := range p.Notes() {
				if x.File == "flows/f.yaml" { // and not what is noted of the flows themselves
					said.Note(x.Pos, x.Hint, "%s", x.Message)
				}
			}
			wantProblems(t, said, c.want)
			if plan != nil && len(plan.Reconciliations) != 1 {
				t.Errorf("%d reconciliations", len(plan.Reconciliations))
			}
		})
	}
}

// TestSides: the mapping of a side is that of the flow that reads it, unless the file says otherwise.
func TestSides(t *testing.T) {
	for text, want := range map[string]string{
		"left: {system: erp}\nright: {system: wms, map: to-invoice}\n":                 "from-erp to-invoice|wms-to-erp to-invoice",
		"left: {system: erp, map: to-invoice-too}\nright: {system: bare}\n":            "from-erp to-invoice-too|- -",
		"left: {system: shop, map: to-invoice}\nright: {system: shop, object: b}\n":    "- to-invoice|shop-b to-invoice-too",
		"left: {system: shop, flow: shop-b}\nright: {system: shop, object: a}\n":       "shop-b to-invoice-too|shop-a to-invoice",
		"left: {system: twin}\nright: {system: twin, object: a}\n":                     "- to-invoice|twin-a to-invoice",
		"left: {system: erp}\nright: {system: bank, id: source.no, map: to-invoice}\n": "from-erp to-invoice|- to-invoice files id",
		"left: {system: wms, through: wms-to-erp}\nright: {system: erp}\n":             "wms-to-erp from-invoice|from-erp -",
	} {
		plan, p := loadInvoices(t, text)
		if err := p.Err(); err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		r := plan.Reconciliations[0]
		var got []string
		for _, s := range []Side{r.Left, r.Right} {
			line, mapped := "-", "-"
			if s.Flow != "" {
				line = s.Flow
			}
			if s.Map != nil {
				mapped = s.Map.Name()
			}
			if line += " " + mapped; s.Files {
				line += " files"
			}
			if s.ID != nil {
				line += " id"
			}
			got = append(got, line)
		}
		if s := strings.Join(got, "|"); s != want {
			t.Errorf("%s: %s, want %s", text, s, want)
		}
	}
}

// TestRulesAsRead: a file's rules say again what the file says.
func TestRulesAsRead(t *testing.T) {
	for _, rule := range []string{
		"exact", "ignore", "fold", "uuid", "number", "{rule: uuid, null: empty}", "{null: absent}", "{owner: left}", "{rule: number, null: empty, owner: right}",
		"{within: 0.01}", "{within: 0.5%}", "{within: {JPY: 1, USD: 0.01, default: 0.5%}, currency: cur}", "{within: 1, null: empty}", "{fold: [case, width, space, accents, form]}",
		"{time: second}", "{time: day, zone: Asia/Shanghai, owner: left}", "{set: sku}", "{set: [sku, batch], null: empty}", "{set: true, compare: {fold: [case]}}", "{set: true, compare: fold}",
	} {
		plan, p := loadInvoices(t, erpAndWMS+"compare: {lines: "+rule+"}\n")
		if p.Len() > 0 && !strings.Contains(FormatText(p), "no list") {
			t.Errorf("%s: %s", rule, FormatText(p))
			continue
		}
		fields := plan.Reconciliations[0].Compare.Diff(nil, parseDocument(t, `{"lines": [{"sku": 1}, 2]}`), parseDocument(t, `{"lines": {"x": 3}}`))
		if rule == "ignore" {
			if len(fields) > 0 {
				t.Errorf("%s: %v", rule, fields)
			}
		} else if len(fields) != 1 || fields[0].Rule != rule {
			t.Errorf("%s reads as %+v", rule, fields)
		}
	}
	plan, p := loadInvoices(t, erpAndWMS+"totals: [{sum: open, by: [cur, {month: at, zone: Asia/Shanghai}], within: 0.01}, {count: true, by: [{day: at}]}]\nmoney: {amount: open, currency: cur}\n")
	if err := p.Err(); err != nil {
		t.Fatal(err)
	}
	r := plan.Reconciliations[0]
	if a, b := r.Totals[0], r.Totals[1]; a.String() != "sum of open by cur, month of at" || a.By[1].Zone.String() != "Asia/Shanghai" || a.Within.String() != "0.01" || b.String() != "count by day of at" || b.Within != nil {
		t.Errorf("totals %+v", r.Totals)
	}
	if *r.Money != (Money{"open", "cur"}) || r.Compare != compare.All() || r.Repair != nil {
		t.Errorf("%+v", r)
	}
}
