package flowtest

import (
	"fmt"
	"io/fs"
	"iter"
	"path"
	"slices"
	"time"

	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// suite is one document of a test file: the cases of one flow, mapping or rule.
type suite struct {
	name  string
	flow  *config.Flow
	cases []testCase
	rule  *config.Rule
	rules []ruleCase
}

// testCase is one case. Its want, skipped, parked or waiting says what is expected.
type testCase struct {
	caseFile
	node  strictyaml.Node
	event event.Event
	xref  *references
}

// known is what the plan has, to be referred to.
type known struct {
	plan                             *config.Plan
	flows, mappings, systems, entity []string
}

func knownOf(plan *config.Plan) *known {
	k := &known{plan: plan}
	entity := map[string]bool{}
	for _, f := range plan.Flows {
		k.flows = append(k.flows, f.Name)
		entity[f.Entity] = true
		for _, r := range f.Requires {
			entity[r.Entity] = true
		}
	}
	for name, m := range plan.Mappings {
		k.mappings = append(k.mappings, name)
		for _, u := range m.Uses() {
			entity[u.Entity] = true
		}
	}
	for _, r := range plan.Rules {
		entity[r.Entity] = true
		for i := range r.With {
			entity[r.With[i].Entity] = true
		}
	}
	for name := range plan.Systems {
		k.systems = append(k.systems, name)
	}
	for name := range entity {
		k.entity = append(k.entity, name)
	}
	for _, list := range [][]string{k.flows, k.mappings, k.systems, k.entity} {
		slices.Sort(list)
	}
	return k
}

// asWritten leaves references as they stand: a test says the same on every machine.
type asWritten struct{}

func (asWritten) Env(name string) (string, bool)   { return "${env:" + name + "}", true }
func (asWritten) File(path string) ([]byte, error) { return []byte("${file:" + path + "}"), nil }

// parse reads a test file. A case with a problem is left out; the others can be run.
func (k *known) parse(f File, p *strictyaml.Problems) []suite {
	var out []suite
	for _, n := range strictyaml.ParseWith(f.Name, f.Data, asWritten{}, p) {
		if s, ok := k.suite(f, n, p); ok {
			out = append(out, s)
		}
	}
	return out
}

func (k *known) suite(f File, n strictyaml.Node, p *strictyaml.Problems) (s suite, ok bool) {
	const forms = "a document begins with test: FLOW, mapping: NAME or rule: NAME"
	if n.Kind() != strictyaml.Map {
		p.AddHint(n.Pos(), forms, "expected a mapping, found %s", n.Kind())
		return s, false
	}
	if n.Has("rule") {
		return k.ruleSuite(n, p)
	}
	n.Known(p, "test", "mapping", "about", "cases")
	switch {
	case n.Has("test") && n.Has("mapping"):
		p.AddHint(n.KeyPos("mapping"), "write two documents with --- between them", "this is a test of a flow and of a mapping")
		return s, false
	case n.Has("test"):
		if s.name, ok = choose("flow", n.Get("test"), k.flows, p); ok {
			s.flow = k.plan.Flow(s.name)
		}
	case n.Has("mapping"):
		if s.name, ok = choose("mapping", n.Get("mapping"), k.mappings, p); ok {
			m := k.plan.Mappings[s.name]
			s.flow = &config.Flow{Name: s.name, Pos: m.Pos(), From: config.From{Topic: "test"}, Accept: m.From(), Map: m, To: config.To{Topic: "test"}}
		}
	default:
		p.AddHint(n.Pos(), forms, "nothing says what is tested")
	}
	for item, fresh := range eachCase(n, p) {
		if c, good := k.testCase(f, s.flow, item, p); good && fresh {
			s.cases = append(s.cases, c)
		}
	}
	return s, s.flow != nil
}

// eachCase gives the cases of a document; fresh is false for one that has the name of another.
func eachCase(n strictyaml.Node, p *strictyaml.Problems) iter.Seq2[strictyaml.Node, bool] {
	return func(yield func(item strictyaml.Node, fresh bool) bool) {
		cases := n.Get("cases")
		if cases.Kind() != strictyaml.List || len(cases.Items()) == 0 {
			p.AddHint(cases.Pos(), "write cases: and below it - name: …", "there are no cases")
			return
		}
		names := map[string]strictyaml.Pos{}
		for _, item := range cases.Items() {
			twice := false
			name := item.Get("name")
			if name.Kind() == strictyaml.Scalar {
				_, twice = names[name.Text()]
			}
			if !yield(item, !twice) {
				return
			}
			if twice {
				p.AddHint(name.Pos(), "give each its own name", "a case of this name stands also on line %d", names[name.Text()].Line)
			}
			names[name.Text()] = name.Pos()
		}
	}
}

// choose reads a name that must be one of several.
func choose(what string, n strictyaml.Node, names []string, p *strictyaml.Problems) (string, bool) {
	var name string
	if !n.Decode(&name, p) {
		return "", false
	}
	if slices.Contains(names, name) {
		return name, true
	}
	hint := strictyaml.DidYouMean(name, names)
	if len(names) == 0 {
		hint = "there is none"
	}
	p.AddHint(n.Pos(), hint, "unknown %s %q", what, name)
	return "", false
}

var operations = []string{string(event.Upsert), string(event.Delete)}

func (k *known) testCase(f File, flow *config.Flow, n strictyaml.Node, all *strictyaml.Problems) (testCase, bool) {
	c := testCase{node: n}
	p := &strictyaml.Problems{}
	n.Decode(&c.caseFile, p)
	if n.Kind() == strictyaml.Map {
		k.expectation(&c, flow, p)
		k.attributes(&c, flow, p)
		k.given(&c, f, p)
		c.xref = k.references(n.Get("xref"), c.Xref, p)
	}
	all.Append(p)
	return c, p.Len() == 0
}

// expectation checks that the case says one thing, and says it properly.
func (k *known) expectation(c *testCase, flow *config.Flow, p *strictyaml.Problems) {
	var found []string
	for _, key := range []string{"want", "skipped", "parked", "waiting"} {
		if c.node.Has(key) {
			found = append(found, key)
		}
	}
	switch {
	case len(found) == 0:
		p.AddHint(c.node.Pos(), "add want:, skipped:, parked: or waiting:; waybill test --update fills in want: {data: {}}", "the case does not say what must become of the document")
	case len(found) > 1:
		p.AddHint(c.node.KeyPos(found[1]), "remove one of them", "a message cannot be both: %s and %s", found[0], found[1])
	case found[0] == "skipped":
		n := c.node.Get("skipped")
		if n.Text() == state.Stale || n.Text() == state.Duplicate {
			p.AddHint(n.Pos(), "only filtered, echo and delete-ignored can be tested", "a test knows of no earlier message, so that none can be %s", n.Text())
			return
		}
		choose("reason", n, []string{state.Filtered, state.Echo, state.DeleteIgnored}, p)
	case found[0] == "parked":
		if n := c.node.Get("parked"); n.Kind() == strictyaml.Scalar && n.Text() == "" {
			p.AddHint(n.Pos(), "write a part of the reason, for example the field's name", "any reason contains the empty text")
		}
	case found[0] == "waiting" && c.Waiting != nil:
		w := c.node.Get("waiting")
		k.oneOf("entity", w.Get("entity"), k.entity, p)
		k.oneOf("system", w.Get("system"), k.systems, p)
	case found[0] == "want" && c.Want != nil:
		k.want(c, flow, p)
	}
}

func (k *known) oneOf(what string, n strictyaml.Node, names []string, p *strictyaml.Problems) {
	if n.Kind() == strictyaml.Scalar {
		choose(what, n, names, p)
	}
}

func (k *known) want(c *testCase, flow *config.Flow, p *strictyaml.Problems) {
	n := c.node.Get("want")
	if len(n.Fields()) == 0 {
		p.AddHint(n.Pos(), "add data: with the whole target document, or part: with some of its fields", "want is empty")
	}
	k.oneOf("operation", n.Get("operation"), operations, p)
	compared(n, p)
	w := n.Get("write")
	if w.Kind() == strictyaml.Map {
		if flow != nil && flow.To.System == "" {
			p.AddHint(n.KeyPos("write"), "use data: or part:", "write says what a system is sent, and this goes to a topic")
		}
		k.oneOf("action", w.Get("action"), []string{"create", "update", "delete"}, p)
		compared(w, p)
	}
}

// compared checks data and part below n.
func compared(n strictyaml.Node, p *strictyaml.Problems) {
	if n.Has("data") && n.Has("part") {
		p.AddHint(n.KeyPos("part"), "remove one of them", "data is the whole document and part a part of it")
	}
	for _, key := range []string{"data", "part"} {
		switch v := n.Get(key); v.Kind() {
		case strictyaml.Missing:
		case strictyaml.Map, strictyaml.List:
			sound(v, p)
		default:
			p.Add(v.Pos(), "%s: expected a document, found %s", key, v.Kind())
		}
	}
}

func (k *known) attributes(c *testCase, flow *config.Flow, p *strictyaml.Problems) {
	n := c.node.Get("event")
	k.oneOf("operation", n.Get("operation"), operations, p)
	or := func(s, def string) string {
		if s == "" {
			return def
		}
		return s
	}
	e := &c.Event
	c.event = event.Event{ID: or(e.ID, "test-1"), Key: or(e.Key, "test"), Hub: e.Hub, Operation: event.Operation(or(e.Operation, "upsert")),
		Version: or(e.Version, "1"), Origin: e.Origin, Source: or(e.Source, "test")}
	at, err := time.Parse(time.RFC3339Nano, or(e.Time, "2026-01-01T00:00:00Z"))
	if err != nil {
		p.AddHint(n.Get("time").Pos(), `write it like "2026-01-31T08:00:00+08:00"`, "%q is no time", e.Time)
	}
	c.event.Time = at // not when it was accepted: that is nothing that a mapping may depend on
	if flow == nil {
		return
	}
	c.event.Entity = flow.Entity
	if s := flow.From.System; s != "" {
		c.event.Source = or(e.Source, s)
		c.event.Origin = or(e.Origin, s)
	}
	if len(c.Headers) > 0 && (flow.From.Webhook == nil || flow.From.Webhook.DeliveryID == nil) {
		p.AddHint(c.node.KeyPos("headers"), "remove them", "headers are for a webhook's delivery-id, and %s has none", flow.Name)
	}
}

func (k *known) given(c *testCase, f File, p *strictyaml.Problems) {
	switch n := c.node.Get("given"); {
	case n.Kind() != strictyaml.Missing && c.node.Has("given-file"):
		p.AddHint(c.node.KeyPos("given-file"), "remove one of them", "the document is given twice")
	case n.Kind() == strictyaml.Map || n.Kind() == strictyaml.List:
		c.event.Data = sound(n, p)
	case n.Kind() != strictyaml.Missing:
		p.AddHint(n.Pos(), "write the document below given:", "given: expected a document, found %s", n.Kind())
	case c.node.Has("given-file"):
		at := c.node.Get("given-file").Pos()
		name := path.Clean(c.GivenFile)
		if !fs.ValidPath(name) {
			p.AddHint(at, "put it beside the test file or below", "the file %q lies outside the directory", c.GivenFile)
			return
		}
		var err error
		if c.event.Data, err = strictyaml.ReadFile(f.Dir, name, strictyaml.MaxFile); err != nil {
			p.AddHint(at, "paths start at the test file's directory", "the file %q cannot be read", c.GivenFile)
		} else if len(c.event.Data) == 0 {
			p.Add(at, "the file %q is empty", c.GivenFile)
		}
	case c.event.Operation != event.Delete:
		p.AddHint(c.node.Pos(), "add given: with the source document; only a delete has none", "given is missing")
	}
}

func (k *known) references(n strictyaml.Node, list []xrefFile, p *strictyaml.Problems) *references {
	r := &references{}
	for i, item := range n.Items() {
		k.oneOf("entity", item.Get("entity"), k.entity, p)
		k.oneOf("system", item.Get("system"), k.systems, p)
		if i >= len(list) {
			continue
		}
		x := list[i]
		if x.ID == "" || x.Hub == "" {
			continue // which is a problem already
		}
		for _, o := range r.list {
			same := o.Entity == x.Entity && o.System == x.System
			if same && (o.ID == x.ID || o.Hub == x.Hub) {
				p.AddHint(item.Pos(), "an object has one id in each system", "this says otherwise than the one above: %s in %s", describe(o), o.System)
			}
		}
		r.list = append(r.list, x)
	}
	return r
}

func describe(x xrefFile) string { return fmt.Sprintf("%s %s is %s", x.Entity, x.Hub, x.ID) }

// parsed gives the node's document, which has been checked before.
func parsed(n strictyaml.Node) *jsondoc.Doc {
	d, err := jsondoc.Parse(document(n, nil, nil), jsondoc.Limits{})
	if err != nil {
		panic(fmt.Sprintf("flowtest: %s: %v", n.Pos(), err)) // document writes JSON only
	}
	return d
}
