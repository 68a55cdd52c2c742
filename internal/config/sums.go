package config

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"reflect"
	"slices"
	"sync"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/mapping"
	"github.com/waybill-hub/waybill/internal/schema"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// sums gives every system, flow, reconciliation and rule the hash of all that its work depends on: what is written of it, references filled in, and what
// that refers to. A reload leaves alone the systems and flows that have the same sum.
func (l *loader) sums() {
	for _, s := range l.plan.Systems {
		own := s.Settings.Node.Sum()
		s.Sum = hex.EncodeToString(own[:])
		if kind, ok := l.o.Kinds[s.Kind].(connector.Reader); ok {
			s.Sum = sumOfFiles(s.Sum, kind.Reads(s.Settings))
		}
	}
	definitions := map[*Flow][]byte{}
	for _, d := range l.flows {
		definitions[d.flow] = l.definition(d)
	}
	for _, d := range l.flows {
		f := d.flow
		h := sha256.New()
		sumPart(h, "flow", definitions[f])
		for _, name := range []string{f.From.System, f.To.System} {
			if s := l.plan.Systems[name]; s != nil {
				sumPart(h, "system "+name, []byte(s.Sum))
			}
		}
		bounds := &l.plan.Hub.Mappings
		sumPart(h, "mappings", fmt.Appendf(nil, "%d %d", bounds.MaxResult, bounds.MaxSteps))
		if f.From.Webhook != nil {
			hooks := &l.plan.Hub.Hooks
			sumPart(h, "hooks", fmt.Appendf(nil, "%d %d %g %d", hooks.MaxBody, hooks.MaxDocuments, hooks.Rate.N, hooks.Rate.Per))
		}
		if f.To.System != "" { // the echo guard reads written objects back through them
			for _, back := range l.plan.Inbound(f.To.System, f.Entity) {
				sumPart(h, "inbound "+back.Name, definitions[back])
			}
		}
		f.Sum = hex.EncodeToString(h.Sum(nil))
	}
	byName := map[string][]byte{}
	for f, sum := range definitions {
		byName[f.Name] = sum
	}
	for _, r := range l.plan.Reconciliations {
		c := l.comparisonSum("reconciliation", r.Name)
		for _, s := range []*Side{&r.Left, &r.Right} {
			c.side(s.System, byName[s.Flow], s.Map, s.Then)
			c.expressions(s.Where, s.ID)
		}
		r.Sum = c.sum()
	}
	for _, r := range l.plan.Rules {
		c := l.comparisonSum("rule", r.Name)
		for _, s := range append([]RuleSide{r.Over}, r.With...) {
			c.side(s.System, byName[s.Flow], s.Map)
			c.expressions(s.Where)
			for i := range s.By {
				c.expressions(s.By[i].Value)
			}
		}
		c.expressions(r.Expect, r.Key, r.Say, r.Amount, r.Currency)
		r.Sum = c.sum()
	}
}

// comparisonSum is the hash of what a reconciliation or a rule looks at, while it is made.
type comparisonSum struct {
	l      *loader
	h      hash.Hash
	values []string
}

func (l *loader) comparisonSum(kind, name string) *comparisonSum {
	c := &comparisonSum{l: l, h: sha256.New()}
	sumNode(c.h, kind, l.node(kind, name))
	return c
}

// side adds a system, the flow that reads it and the mappings that its documents go through.
func (c *comparisonSum) side(system string, flow []byte, through ...*mapping.Mapping) {
	if s := c.l.plan.Systems[system]; s != nil {
		sumPart(c.h, "system "+system, []byte(s.Sum))
	}
	sumPart(c.h, "flow", flow)
	for _, m := range through {
		if m != nil {
			sumNode(c.h, "mapping", c.l.node("mapping", m.Name()))
			sumSchema(c.h, "from", m.From())
			sumSchema(c.h, "to", m.To())
			c.values = append(c.values, m.ValueMaps()...)
		}
	}
}

func (c *comparisonSum) expressions(all ...*mapping.Expr) {
	for _, e := range all {
		if e != nil {
			c.values = append(c.values, e.ValueMaps()...)
		}
	}
}

func (c *comparisonSum) sum() string {
	slices.Sort(c.values)
	for _, name := range slices.Compact(c.values) {
		sumNode(c.h, "values", c.l.node("values", name))
	}
	return hex.EncodeToString(c.h.Sum(nil))
}

// definition is the hash of a flow's own document with its schemas, its mapping and the value maps that both use.
func (l *loader) definition(d *flowDocument) []byte {
	f := d.flow
	h := sha256.New()
	sumNode(h, "document", d.node)
	sumSchema(h, "accept", f.Accept)
	var values []string
	if f.Map != nil {
		sumNode(h, "mapping", l.node("mapping", f.Map.Name()))
		sumSchema(h, "from", f.Map.From())
		sumSchema(h, "to", f.Map.To())
		values = f.Map.ValueMaps()
	}
	exprs := []*mapping.Expr{f.When, f.Key, f.ID, f.ExternalID, f.Version, f.Operation}
	if f.From.Webhook != nil {
		exprs = append(exprs, f.From.Webhook.DeliveryID)
	}
	for i := range f.Requires {
		exprs = append(exprs, f.Requires[i].ID)
	}
	for _, e := range exprs {
		if e != nil {
			values = append(values, e.ValueMaps()...)
		}
	}
	slices.Sort(values)
	for _, name := range slices.Compact(values) {
		sumNode(h, "values", l.node("values", name))
	}
	return h.Sum(nil)
}

// node is the document of that kind and name.
func (l *loader) node(kind, name string) strictyaml.Node {
	for _, n := range l.documents[kind] {
		if n.Get(kind).Text() == name {
			return n
		}
	}
	return strictyaml.Node{}
}

func sumPart(h hash.Hash, what string, sum []byte) {
	_, _ = fmt.Fprintf(h, "%q %x\n", what, sum) // a hash never fails
}

func sumNode(h hash.Hash, what string, n strictyaml.Node) {
	own := n.Sum()
	sumPart(h, what, own[:])
}

func sumSchema(h hash.Hash, what string, s *schema.Schema) {
	if s != nil {
		own := s.Sum()
		sumPart(h, what+" "+s.Name(), own[:])
	}
}

// RestartFor names the settings in which next differs from p and which a running hub cannot change.
func (p *Plan) RestartFor(next *Plan) []string {
	a, b := p.Hub.fixed(), next.Hub.fixed()
	var out []string
	differ := func(name string, a, b any) {
		if !reflect.DeepEqual(a, b) {
			out = append(out, name)
		}
	}
	differ("broker", a.Broker, b.Broker)
	differ("store", a.Store, b.Store)
	differ("takeover-after", a.TakeOver, b.TakeOver)
	differ("http.listen", a.HTTP.Listen, b.HTTP.Listen)
	differ("http.tls", a.HTTP.TLS, b.HTTP.TLS)
	differ("hooks.tls", a.Hooks.TLS, b.Hooks.TLS)
	differ("hooks.listen", a.Hooks.Listen, b.Hooks.Listen)
	differ("hooks.connections", a.Hooks.Max, b.Hooks.Max)
	differ("hooks.min-rate", a.Hooks.MinRate, b.Hooks.MinRate)
	differ("hooks.leave", a.Hooks.Leave, b.Hooks.Leave)
	differ("backup", a.Backup, b.Backup)
	differ("journal.documents", a.Documents, b.Documents)
	differ("traces", a.Traces, b.Traces)
	if len(out) == 0 {
		differ("the settings beside systems and entities", a, b)
	}
	return out
}

// fixed is what a running hub cannot change of h.
func (h Hub) fixed() Hub {
	h.HTTP.Tokens, h.HTTP.Users, h.HTTP.OIDC, h.HTTP.Origin, h.Mappings, h.Alerts = nil, nil, nil, "", Mappings{}, Alerts{}
	h.Hooks.MaxBody, h.Hooks.MaxDocuments, h.Hooks.Rate = 0, 0, strictyaml.Rate{}
	for _, t := range []**ServerTLS{&h.HTTP.TLS, &h.Hooks.TLS} { // whether there is TLS at all stays; which files, not
		if *t != nil {
			*t = &ServerTLS{}
		}
	}
	return h
}

// Difference is what a change from one plan to another touches, by name and sorted.
type Difference struct{ Added, Changed, Removed, Same []string }

// Any reports whether anything differs.
func (d *Difference) Any() bool { return len(d.Added)+len(d.Changed)+len(d.Removed) > 0 }

// FlowsTo says which flows differ in next.
func (p *Plan) FlowsTo(next *Plan) Difference {
	return difference(flowSums(p), flowSums(next))
}

// SystemsTo says which systems differ in next.
func (p *Plan) SystemsTo(next *Plan) Difference {
	return difference(systemSums(p), systemSums(next))
}

// ReconciliationsTo says which reconciliations differ in next.
func (p *Plan) ReconciliationsTo(next *Plan) Difference {
	sums := func(p *Plan) map[string]string {
		out := make(map[string]string, len(p.Reconciliations))
		for _, r := range p.Reconciliations {
			out[r.Name] = r.Sum
		}
		return out
	}
	return difference(sums(p), sums(next))
}

// RulesTo says which business rules differ in next.
func (p *Plan) RulesTo(next *Plan) Difference {
	sums := func(p *Plan) map[string]string {
		out := make(map[string]string, len(p.Rules))
		for _, r := range p.Rules {
			out[r.Name] = r.Sum
		}
		return out
	}
	return difference(sums(p), sums(next))
}

func flowSums(p *Plan) map[string]string {
	out := make(map[string]string, len(p.Flows))
	for _, f := range p.Flows {
		out[f.Name] = f.Sum
	}
	return out
}

func systemSums(p *Plan) map[string]string {
	out := make(map[string]string, len(p.Systems))
	for name, s := range p.Systems {
		out[name] = s.Sum
	}
	return out
}

func difference(old, next map[string]string) Difference {
	var d Difference
	for name, sum := range next {
		switch was, there := old[name]; {
		case !there:
			d.Added = append(d.Added, name)
		case was != sum:
			d.Changed = append(d.Changed, name)
		default:
			d.Same = append(d.Same, name)
		}
	}
	for name := range old {
		if _, there := next[name]; !there {
			d.Removed = append(d.Removed, name)
		}
	}
	for _, list := range [][]string{d.Added, d.Changed, d.Removed, d.Same} {
		slices.Sort(list)
	}
	return d
}

// once answers every question of one Load the same way, also when it is asked again later: a secret that is replaced in between
// belongs to the next plan.
type once struct {
	strictyaml.Resolver
	mu    sync.Mutex
	files map[string]answered
}

type answered struct {
	data []byte
	err  error
}

// Absent is what the resolver behind it says, where that can give stand-ins.
func (o *once) Absent(ref string) bool {
	r, ok := o.Resolver.(strictyaml.StandIn)
	return ok && r.Absent(ref)
}

// File gives the content as it was read first.
func (o *once) File(path string) ([]byte, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	a, ok := o.files[path]
	if !ok {
		a.data, a.err = o.Resolver.File(path)
		o.files[path] = a
	}
	return a.data, a.err
}

// sumOfFiles adds what is in files to a sum. One that cannot be read is a problem of the settings, and told there.
func sumOfFiles(own string, files []string) string {
	if len(files) == 0 {
		return own
	}
	h := sha256.New()
	sumPart(h, "settings", []byte(own))
	for _, name := range files {
		data, err := strictyaml.ReadPath(name, strictyaml.MaxFile)
		if err != nil {
			data = []byte(err.Error())
		}
		sumPart(h, "file "+name, data)
	}
	return hex.EncodeToString(h.Sum(nil))
}
