package flowtest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/reconcile/rules"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// Tests of business rules: an object, what other lists hold, and whether the rule holds.

type ruleSuiteFile struct {
	Rule  string         `yaml:"rule,required" doc:"the business rule to test"`
	About string         `yaml:"about" doc:"a sentence for people"`
	Cases []ruleCaseFile `yaml:"cases,required" doc:"each an object with what other lists hold, and what the rule says of it"`
}

type ruleCaseFile struct {
	Name        string          `yaml:"name,required" doc:"says what the case shows"`
	Xref        []xrefFile      `yaml:"xref" doc:"the cross-references that the hub has"`
	Now         string          `yaml:"now" default:"2026-01-01T00:00:00Z" doc:"when the rule is run, RFC 3339"`
	Given       strictyaml.Node `yaml:"given,required" type:"map" doc:"documents as the rule sees them, by their names: source, previous, and for each list what it holds, whether that belongs to source or not"`
	Holds       *bool           `yaml:"holds" doc:"true: the rule holds"`
	Violation   *string         `yaml:"violation" doc:"or it does not, and what it says contains this text"`
	Outside     *bool           `yaml:"outside" doc:"or true: it is not about the object: where leaves it out"`
	NotCompared *string         `yaml:"not-compared" doc:"or nobody can tell, for a reason that contains this text"`
	Key         *string         `yaml:"key" doc:"of a violation: the number that people search for"`
	Money       *string         `yaml:"money" doc:"of a violation: amount and currency, as in 12.50 EUR"`
}

// RuleSpec describes every key of a rule's tests, from the tags by which they are read.
func RuleSpec() []connector.Field { return connector.Fields[ruleSuiteFile]() }

// ruleCase is one case of a rule.
type ruleCase struct {
	ruleCaseFile
	node    strictyaml.Node
	example rules.Example
}

func (k *known) ruleSuite(n strictyaml.Node, p *strictyaml.Problems) (s suite, ok bool) {
	n.Known(p, "rule", "about", "cases")
	var names []string
	for _, r := range k.plan.Rules {
		names = append(names, r.Name)
	}
	if s.name, ok = choose("rule", n.Get("rule"), names, p); ok {
		s.rule = k.plan.Rule(s.name)
	}
	for item, fresh := range eachCase(n, p) {
		if c, good := k.ruleCase(s.rule, item, p); good && fresh {
			s.rules = append(s.rules, c)
		}
	}
	return s, s.rule != nil
}

func (k *known) ruleCase(rule *config.Rule, n strictyaml.Node, all *strictyaml.Problems) (ruleCase, bool) {
	c := ruleCase{node: n}
	p := &strictyaml.Problems{}
	n.Decode(&c.ruleCaseFile, p)
	if n.Kind() == strictyaml.Map {
		c.verdict(p)
		c.example.Now = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		if at := n.Get("now"); at.Kind() == strictyaml.Scalar {
			now, err := time.Parse(time.RFC3339Nano, c.Now)
			if err != nil {
				p.AddHint(at.Pos(), `write it like "2026-01-31T08:00:00+08:00"`, "%q is no time", c.Now)
			}
			c.example.Now = now
		}
		c.example.Lookup = k.references(n.Get("xref"), c.Xref, p)
		if rule != nil {
			c.given(rule, p)
		}
	}
	all.Append(p)
	return c, p.Len() == 0
}

// verdict checks that the case says one thing.
func (c *ruleCase) verdict(p *strictyaml.Problems) {
	var found []string
	for _, key := range []string{"holds", "violation", "outside", "not-compared"} {
		if c.node.Has(key) {
			found = append(found, key)
		}
	}
	switch {
	case len(found) == 0:
		p.AddHint(c.node.Pos(), "add holds: true, violation:, outside: true or not-compared:", "the case does not say what the rule says of the object")
		return
	case len(found) > 1:
		p.AddHint(c.node.KeyPos(found[1]), "remove one of them", "a rule cannot say both: %s and %s", found[0], found[1])
		return
	case found[0] == "holds" || found[0] == "outside":
		if at := c.node.Get(found[0]); at.Text() == "false" {
			p.AddHint(at.Pos(), "write "+found[0]+": true, or another of violation, holds, outside and not-compared", "%s is true or not there", found[0])
		}
	case c.node.Get(found[0]).Kind() == strictyaml.Scalar && c.node.Get(found[0]).Text() == "":
		p.AddHint(c.node.Get(found[0]).Pos(), "write a part of what is said", "any text contains the empty one")
	}
	for _, key := range []string{"key", "money"} {
		if c.node.Has(key) && found[0] != "violation" {
			p.AddHint(c.node.KeyPos(key), "remove it", "%s is of a violation", key)
		}
	}
}

// given reads the documents.
func (c *ruleCase) given(rule *config.Rule, p *strictyaml.Problems) {
	n := c.node.Get("given")
	if n.Kind() != strictyaml.Map {
		return
	}
	names := []string{config.RuleSource}
	for i := range rule.With {
		names = append(names, rule.With[i].Name)
	}
	if len(rule.Remember) > 0 {
		names = append(names, config.RulePrevious)
	}
	n.Known(p, names...)
	if !n.Has(config.RuleSource) {
		p.AddHint(n.Pos(), "add source: with the document of the object", "given has no source")
	}
	c.example.With = map[string][][]byte{}
	for _, f := range n.Fields() {
		switch {
		case !slices.Contains(names, f.Key):
		case f.Key == config.RuleSource, f.Key == config.RulePrevious:
			if f.Value.Kind() != strictyaml.Map {
				p.Add(f.Value.Pos(), "%s: expected a document, found %s", f.Key, f.Value.Kind())
				continue
			}
			b := sound(f.Value, p)
			if f.Key == config.RuleSource {
				c.example.Source = b
			} else {
				c.example.Previous = b
			}
		case f.Value.Kind() == strictyaml.Map:
			c.example.With[f.Key] = [][]byte{sound(f.Value, p)}
		case f.Value.Kind() == strictyaml.List:
			for _, item := range f.Value.Items() {
				c.example.With[f.Key] = append(c.example.With[f.Key], sound(item, p))
			}
		default:
			p.Add(f.Value.Pos(), "%s: expected a document, or a list of them, found %s", f.Key, f.Value.Kind())
		}
	}
}

func (k *known) runRule(ctx context.Context, s *suite, c *ruleCase) (ran, error) {
	v, err := rules.Try(ctx, s.rule, c.example)
	if ctx.Err() != nil {
		return ran{}, fmt.Errorf("%s: %s: %w", c.node.Pos(), c.Name, context.Cause(ctx))
	}
	if err != nil {
		v = rules.Verdict{NotCompared: err.Error()}
	}
	return ran{Result: Result{Test: s.name, Case: c.Name, Pos: c.node.Pos(), Differences: c.judge(&v)}}, nil
}

// judge compares what a rule says with what the case says.
func (c *ruleCase) judge(v *rules.Verdict) []Difference {
	wrong := func(key, want string) []Difference {
		return []Difference{{c.node.KeyPos(key), "", want, said(v)}}
	}
	violation := !v.Holds && !v.Outside && v.NotCompared == ""
	switch {
	case c.Holds != nil:
		if !v.Holds {
			return wrong("holds", "the rule to hold")
		}
	case c.Outside != nil:
		if !v.Outside {
			return wrong("outside", "the rule to leave it out")
		}
	case c.NotCompared != nil:
		if v.NotCompared == "" || !strings.Contains(v.NotCompared, *c.NotCompared) {
			return wrong("not-compared", fmt.Sprintf("not compared, for a reason that contains %q", *c.NotCompared))
		}
	case c.Violation != nil:
		if !violation || !strings.Contains(v.Text, *c.Violation) {
			return wrong("violation", fmt.Sprintf("a violation that contains %q", *c.Violation))
		}
	}
	var out []Difference
	if c.Key != nil && *c.Key != v.Key {
		out = append(out, Difference{c.node.Get("key").Pos(), "key", quote(*c.Key), quote(v.Key)})
	}
	if c.Money != nil && !sameMoney(*c.Money, v) {
		out = append(out, Difference{c.node.Get("money").Pos(), "money", quote(*c.Money), quote(strings.TrimSpace(v.Amount + " " + v.Currency))})
	}
	return out
}

// sameMoney compares amounts by their value.
func sameMoney(want string, v *rules.Verdict) bool {
	amount, currency, _ := strings.Cut(want, " ")
	a, err := jsondoc.ParseDecimal(amount)
	if err != nil {
		return false
	}
	b, err := jsondoc.ParseDecimal(v.Amount)
	return err == nil && a.Cmp(b) == 0 && currency == v.Currency
}

// said is in a few words what a rule says.
func said(v *rules.Verdict) string {
	switch {
	case v.Holds:
		return "it holds"
	case v.Outside:
		return "it is not about the object"
	case v.NotCompared != "":
		return "not compared: " + v.NotCompared
	}
	return "a violation: " + v.Text
}
