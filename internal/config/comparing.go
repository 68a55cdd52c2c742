package config

import (
	"slices"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/compare"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/schema"
	"github.com/waybill-hub/waybill/internal/strictyaml"
	"github.com/waybill-hub/waybill/internal/zones"
)

// words are the rules that stand alone.
var words = []string{string(compare.Exact), string(compare.Ignore), string(compare.Fold), string(compare.UUID), string(compare.Number)}

const ruleHint = "write exact, ignore, fold, uuid, number, {within: 0.01}, {fold: [case, width, space]}, {time: second} or {set: FIELD}"

// described is what is known of the documents, or the elements of a list, that rules are for. The zero value knows nothing.
type described struct {
	name  string // of the schema
	path  string // of the elements, with a dot behind it
	shape schema.Shape
	known bool
	root  *described // the document around the elements
}

func describedBy(s *schema.Schema) described {
	if s == nil {
		return described{}
	}
	return described{name: s.Name(), shape: s.Shape(), known: true}
}

// of gives what is known of a field's elements.
func (d described) elements(path string) described {
	out := described{name: d.name, path: d.path + path + "[].", root: &d}
	if at, ok := d.at(path); ok {
		out.shape, out.known = at.Item(), !at.Item().Any()
	}
	return out
}

// at is the shape of a field; false: it is not declared, or nothing is known.
func (d described) at(path string) (schema.Shape, bool) {
	shape := d.shape
	for _, name := range strings.Split(path, ".") {
		next, state := shape.Field(name)
		if state != schema.Declared {
			return schema.Shape{}, false
		}
		shape = next
	}
	return shape, d.known
}

// declares complains of a path that no compared document has.
func (l *loader) declares(d described, at strictyaml.Pos, path string) bool {
	names := strings.Split(path, ".")
	if slices.Contains(names, "") {
		l.p.AddHint(at, "write names with dots between them", "%q is no path", shorten(path))
		return false
	}
	if !d.known {
		return true
	}
	shape := d.shape
	for i, name := range names {
		next, state := shape.Field(name)
		if state != schema.Declared {
			l.p.AddHint(at, strictyaml.DidYouMean(name, shape.Fields()), "%s does not declare the field %q", d.name, shorten(d.path+strings.Join(names[:i+1], ".")))
			return false
		}
		shape = next
	}
	return true
}

// comparison reads what is compared of each object.
func (l *loader) comparison(r *Reconciliation, n strictyaml.Node, d described) {
	switch {
	case n.Kind() == strictyaml.Missing:
		r.Compare = compare.All()
	case n.Kind() == strictyaml.Scalar && n.Text() == "none":
		if len(r.Totals) == 0 {
			l.p.AddHint(n.Pos(), "add for example totals: [{count: true}], or remove the key to compare every field", "compare: none compares nothing without totals")
		}
	case n.Kind() != strictyaml.Map || len(n.Fields()) == 0:
		l.p.AddHint(n.Pos(), "write for example compare: {name: exact}, or remove the key to compare every field", "compare: no field is named")
	default:
		r.Compare = l.fieldRules(n, d)
	}
}

// fieldRules reads a rule for each field.
func (l *loader) fieldRules(n strictyaml.Node, d described) *compare.Rules {
	before := l.p.Len()
	var list []compare.Rule
	for _, f := range n.Fields() {
		if f.Key != compare.Others {
			l.declares(d, f.KeyPos, f.Key)
		}
		rule := l.fieldRule(f.Value, d, f.Key)
		rule.Path = f.Key
		l.reads(rule, f.Value.Pos(), d)
		list = append(list, rule)
	}
	if l.p.Len() > before {
		return nil
	}
	made, err := compare.New(list)
	if err != nil {
		l.p.Add(n.Pos(), "%s: %s", n.Key(), err)
	}
	return made
}

// fieldRule reads one rule, which is incomplete where a problem is told.
func (l *loader) fieldRule(n strictyaml.Node, d described, path string) compare.Rule {
	if n.Kind() == strictyaml.Scalar && slices.Contains(words, n.Text()) {
		return compare.Rule{How: compare.How(n.Text())}
	}
	if n.Kind() != strictyaml.Map {
		hint := ruleHint
		if s := strictyaml.Suggest(n.Text(), words); s != "" {
			hint = "did you mean " + s + "?"
		}
		l.p.AddHint(n.Pos(), hint, "%s: unknown way to compare", n.Key())
		return compare.Rule{}
	}
	var raw ruleOfField
	if !l.decode(n, &raw) || !l.oneWay(n) {
		return compare.Rule{}
	}
	r := compare.Rule{How: compare.How(raw.Rule), Empty: compare.Empties(raw.Null), Owner: compare.Side(raw.Owner)}
	switch {
	case n.Has("within"):
		r.How, r.Within = compare.Within, l.tolerance(n, raw, d)
	case n.Has("fold"):
		r.How, r.Folds = compare.Folded, l.folds(n.Get("fold"))
	case n.Has("time"):
		r.How, r.Unit, r.Zone = compare.Time, compare.Unit(raw.Time), l.zone(n.Get("zone"))
	case n.Has("set"):
		r.How, r.Set = compare.Set, l.set(n, d, path)
	}
	return r
}

// readable are the types of values that a rule can read; it compares others exactly.
var readable = map[compare.How][]string{
	compare.Fold: {"string"}, compare.UUID: {"string"}, compare.Folded: {"string"}, compare.Time: {"string"},
	compare.Number: {"string", "number"}, compare.Within: {"string", "number"},
}

// reads notes where a rule says nothing of the values that the schema allows.
func (l *loader) reads(rule compare.Rule, at strictyaml.Pos, d described) {
	types := readable[rule.How]
	shape, ok := d.at(rule.Path)
	if !ok || types == nil {
		return
	}
	if typ := misfit(shape.Types(), types); typ != "" {
		l.p.Note(at, "use another rule", "%s%s is %s in %s, of which this rule says nothing: it is compared exactly", d.path, rule.Path, a(typ), d.name)
	}
}

// belongs says beside which key each of the others means something.
var belongs = [][2]string{{"currency", "within"}, {"zone", "time"}, {"compare", "set"}}

// oneWay complains of a rule that says nothing, or two things.
func (l *loader) oneWay(n strictyaml.Node) bool {
	for _, b := range belongs {
		if n.Has(b[0]) && !n.Has(b[1]) {
			l.p.AddHint(n.KeyPos(b[0]), "remove it, or add "+b[1], "%s means nothing without %s", b[0], b[1])
			return false
		}
	}
	if slices.ContainsFunc([]string{"rule", "within", "fold", "time", "set"}, n.Has) || !n.Has("null") && !n.Has("owner") {
		return l.only(n, n.Key(), "rule", "within", "fold", "time", "set")
	}
	return true
}

// tolerance reads within: one bound, or one for each currency.
func (l *loader) tolerance(n strictyaml.Node, raw ruleOfField, d described) compare.Tolerance {
	at := n.Get("within")
	if at.Kind() != strictyaml.Map {
		if n.Has("currency") {
			l.p.AddHint(n.KeyPos("currency"), "remove it, or write within: {USD: 0.01, default: 0.01}", "currency means nothing beside one bound for all")
		}
		return compare.Tolerance{Bound: l.bound(at)}
	}
	t := compare.Tolerance{Currency: raw.Currency, ByCurrency: map[string]compare.Bound{}}
	switch {
	case raw.Currency == "":
		l.p.AddHint(at.Pos(), "add currency: the path of the currency's code", "within: nothing says which currency an amount has")
	case d.root != nil && d.known:
		if _, ok := d.at(raw.Currency); !ok { // it may stand in the document around the elements
			l.declares(*d.root, n.Get("currency").Pos(), raw.Currency)
		}
	default:
		l.declares(d, n.Get("currency").Pos(), raw.Currency)
	}
	for _, f := range at.Fields() {
		b := l.bound(f.Value)
		switch code := strings.ToUpper(f.Key); {
		case b == nil:
		case f.Key == "default":
			t.Bound = b
		case len(code) != 3 || strings.Trim(code, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "":
			l.p.AddHint(f.KeyPos, "write its three letters, for example USD, or default for all others", "within: %q is no currency", shorten(f.Key))
		default:
			t.ByCurrency[code] = *b
		}
	}
	if len(at.Fields()) == 0 {
		l.p.AddHint(at.Pos(), "write for example within: {USD: 0.01, default: 0.01}", "within: no currency is named")
	}
	return t
}

// bound reads an amount or a share; nil where it is neither.
func (l *loader) bound(n strictyaml.Node) *compare.Bound {
	text, percent := strings.CutSuffix(n.Text(), "%")
	amount, err := jsondoc.ParseDecimal(text)
	if !decimal(text) || err != nil {
		l.p.AddHint(n.Pos(), "write for example 0.01, or 0.5%", "%s: %q is no amount", n.Key(), shorten(n.Text()))
		return nil
	}
	if percent && amount.Cmp(jsondoc.FromInt(100)) > 0 {
		l.p.AddHint(n.Pos(), "write for example 0.5%", "%s: %s is more than all of it", n.Key(), n.Text())
		return nil
	}
	return &compare.Bound{Amount: amount, Percent: percent}
}

func (l *loader) folds(n strictyaml.Node) []compare.Folding {
	var out []compare.Folding
	for _, item := range n.Items() {
		switch fold := compare.Folding(item.Text()); {
		case !l.known("fold", item, compare.Foldings()):
		case slices.Contains(out, fold):
			l.p.AddHint(item.Pos(), "remove one of them", "fold: %q stands there twice", fold)
		default:
			out = append(out, fold)
		}
	}
	if len(n.Items()) == 0 {
		l.p.AddHint(n.Pos(), "name at least one of "+strings.Join(compare.Foldings(), ", "), "fold: the list is empty")
	}
	return out
}

// set reads how the elements of a list are told apart and compared.
func (l *loader) set(n strictyaml.Node, d described, path string) *compare.Elements {
	at, below := n.Get("set"), n.Get("compare")
	if shape, ok := d.at(path); ok && misfit(shape.Types(), []string{"array"}) != "" {
		l.p.AddHint(at.Pos(), "use another rule", "set: %s is no list in %s", d.path+path, d.name)
	}
	elements := d.elements(path)
	out := &compare.Elements{}
	switch {
	case at.Kind() == strictyaml.Scalar && at.Text() == "true" && !at.Quoted():
		if below.Kind() != strictyaml.Missing {
			each := l.fieldRule(below, elements, "")
			if slices.Contains([]compare.How{compare.Ignore, compare.Within, compare.Set}, each.How) || each.Empty != compare.EmptyDiffer || each.Owner != "" {
				l.p.AddHint(below.Pos(), "write exact, fold, uuid, number, {fold: [case]} or {time: second}", "compare: elements cannot be told apart by this rule")
			}
			out.Each = &each
		}
		return out
	case at.Kind() == strictyaml.Scalar && at.Text() != "":
		out.Key = l.keyOf(at, []strictyaml.Node{at}, elements)
	case at.Kind() == strictyaml.List && len(at.Items()) > 0:
		out.Key = l.keyOf(at, at.Items(), elements)
	default:
		l.p.AddHint(at.Pos(), "write for example set: sku, set: [sku, batch], or set: true for a list of texts or numbers", "set: nothing says which element is which")
		return nil
	}
	switch {
	case below.Kind() == strictyaml.Missing:
	case below.Kind() != strictyaml.Map || len(below.Fields()) == 0:
		l.p.AddHint(below.Pos(), "write for example compare: {quantity: exact}, or remove the key to compare every field", "compare: no field of the elements is named")
	default:
		out.Rules = l.fieldRules(below, elements)
	}
	return out
}

// keyOf reads a list of different fields.
func (l *loader) keyOf(list strictyaml.Node, items []strictyaml.Node, d described) []string {
	var out []string
	for _, item := range items {
		switch name := item.Text(); {
		case item.Kind() != strictyaml.Scalar:
			l.p.Add(item.Pos(), "%s: expected a text, found %s", list.Key(), item.Kind())
		case slices.Contains(out, name):
			l.p.AddHint(item.Pos(), "remove one of them", "%s: %q stands there twice", list.Key(), shorten(name))
		case l.declares(d, item.Pos(), name):
			out = append(out, name)
		}
	}
	return out
}

// zone reads the name of a time zone; nil where there is none.
func (l *loader) zone(n strictyaml.Node) *time.Location {
	if n.Kind() != strictyaml.Scalar {
		return nil
	}
	zone, err := zones.Load(n.Text())
	if err != nil || n.Text() == "Local" || n.Text() == "" {
		l.p.AddHint(n.Pos(), "write for example Asia/Shanghai, Europe/Berlin or UTC", "%s: %q is not known", n.Key(), shorten(n.Text()))
		return nil
	}
	if doubt := zones.Doubt(n.Text()); doubt != "" {
		l.p.Note(n.Pos(), zones.DoubtHint, "%s: %s", n.Key(), doubt)
	}
	return zone
}

// decimal reports whether s is digits with at most one point between them.
func decimal(s string) bool {
	whole, fraction, point := strings.Cut(s, ".")
	digits := func(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }
	return len(s) <= 40 && digits(whole) && (!point || digits(fraction))
}

// commands are what may stand where `waybill reconcile` and `waybill rule` take a name.
var commands = []string{"runs", "show", "cancel", "repair", "forget", "help"}

// notACommand refuses a name that the command line would take for something else.
func (l *loader) notACommand(n strictyaml.Node, verb string) {
	if slices.Contains(commands, n.Text()) {
		l.p.AddHint(n.Pos(), "take another name", "`waybill %s %s` is a command: nobody could ask for it by this name", verb, n.Text())
	}
}
