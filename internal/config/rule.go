package config

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/mapping"
	"github.com/waybill-hub/waybill/internal/schema"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// The structs of this file are a business rule as it is written: each key once, with its sentence for people.

type ruleFile struct {
	Name     string              `yaml:"rule,required" doc:"the rule's name"`
	About    string              `yaml:"about" doc:"a sentence for people: what must be so"`
	Entity   string              `yaml:"entity,required" doc:"the kind of business object that the rule is about"`
	Schedule *scheduleFile       `yaml:"schedule" doc:"when it runs; without it only when asked"`
	Over     overFile            `yaml:"over,required" doc:"the objects that the rule is about: source in expressions"`
	With     map[string]withFile `yaml:"with" doc:"objects of other lists that belong to one of them, by the name that they have in expressions"`
	Remember []string            `yaml:"remember" doc:"top-level fields of source that are kept from the last time that the rule held of the object: previous in expressions"`
	Expect   strictyaml.Node     `yaml:"expect,required" type:"expression" doc:"true where the rule holds"`
	Key      strictyaml.Node     `yaml:"key" type:"expression" doc:"the number that people search for; default: the object's id in its system"`
	Say      strictyaml.Node     `yaml:"say" type:"expression" doc:"what is wrong with an object, as a sentence; what is absent shows as (none) in it"`
	Money    *ruleMoneyFile      `yaml:"money" doc:"the money that a violation is about, added up by currency"`
	AtMost   string              `yaml:"at-most" default:"0" doc:"so many violations are reported and are no alarm: a share of all objects, or a number"`
	Settle   time.Duration       `yaml:"settle" default:"2m" doc:"how long what fails is left alone before it is looked at again"`
	Keep     time.Duration       `yaml:"keep" default:"30d" doc:"how long runs are kept, and what is remembered of objects that are not seen any more"`
}

type overFile struct {
	System     string          `yaml:"system,required" doc:"the system"`
	Object     string          `yaml:"object" doc:"the object type in the system's settings; default: the entity"`
	Map        string          `yaml:"map" doc:"the mapping to the document that the rule sees; default: that of the flow that reads the entity from the system; without either the documents as they are"`
	Where      strictyaml.Node `yaml:"where" type:"expression" doc:"true for the objects that count; source is the object's document"`
	MayBeEmpty bool            `yaml:"may-be-empty" doc:"a list without any object is believed; otherwise the run fails, because an empty list is mostly a wrong object or a right that is missing"`
}

type withFile struct {
	System     string                     `yaml:"system,required" doc:"the system"`
	Entity     string                     `yaml:"entity" doc:"the kind of business object; default: the rule's"`
	Object     string                     `yaml:"object" doc:"the object type in the system's settings; default: the entity"`
	Map        string                     `yaml:"map" doc:"the mapping to the document that the rule sees; default: that of the flow that reads the entity from the system; without either the documents as they are"`
	Where      strictyaml.Node            `yaml:"where" type:"expression" doc:"true for the objects that count; source is the object's document"`
	By         map[string]strictyaml.Node `yaml:"by,required" type:"map" elem:"expression" doc:"fields of the document, dotted, and the value that each has: {order.id: source.order.id}; the value may be of source and of what stands above"`
	Group      bool                       `yaml:"group" doc:"any number of objects, as a list; otherwise there is one, or none"`
	MayBeEmpty bool                       `yaml:"may-be-empty" doc:"a list without any object is believed; otherwise the run fails"`
}

type ruleMoneyFile struct {
	Amount   strictyaml.Node `yaml:"amount,required" type:"expression" doc:"a number"`
	Currency strictyaml.Node `yaml:"currency,required" type:"expression" doc:"its currency"`
}

func (l *loader) loadRules() {
	for _, n := range l.documents["rule"] {
		l.plan.Rules = append(l.plan.Rules, l.rule(n))
	}
	slices.SortStableFunc(l.plan.Rules, func(a, b *Rule) int { return strings.Compare(a.Name, b.Name) })
}

// ruleReader reads one rule.
type ruleReader struct {
	*loader
	rule *Rule
	// names are what expressions may refer to so far.
	names []mapping.Name
	// used are the names that an expression refers to.
	used map[string]bool
}

func (l *loader) rule(n strictyaml.Node) *Rule {
	var raw ruleFile
	l.decode(n, &raw)
	r := &ruleReader{loader: l, used: map[string]bool{}, rule: &Rule{Name: raw.Name, About: raw.About, Entity: raw.Entity, Pos: n.Pos(), Settle: raw.Settle, Keep: raw.Keep}}
	l.known("entity", n.Get("entity"), l.entities)
	l.notACommand(n.Get("rule"), "rule")
	r.rule.Schedule = l.schedule(raw.Schedule, n.Get("schedule"))
	r.over(raw.Over, n.Get("over"))
	for _, f := range n.Get("with").Fields() {
		if side, ok := raw.With[f.Key]; ok {
			r.with(side, f)
		}
	}
	r.remember(raw.Remember, n.Get("remember"))
	r.expressions(n)
	r.rule.AtMost = l.atMost(raw.AtMost, n.Get("at-most"))
	l.positive(n, "keep")
	r.advise(n)
	return r.rule
}

func (r *ruleReader) over(raw overFile, n strictyaml.Node) {
	side := RuleSide{Name: RuleSource, System: raw.System, Entity: r.rule.Entity, MayBeEmpty: raw.MayBeEmpty}
	s := r.side(&side, raw.Object, n)
	r.rule.Over = side
	r.names = append(r.names, mapping.Name{Name: RuleSource, Member: RuleSource, Schema: s})
}

func (r *ruleReader) with(raw withFile, f strictyaml.Field) {
	n := f.Value
	side := RuleSide{Name: f.Key, System: raw.System, Entity: raw.Entity, Group: raw.Group, MayBeEmpty: raw.MayBeEmpty}
	if side.Entity == "" {
		side.Entity = r.rule.Entity
	} else {
		r.known("entity", n.Get("entity"), r.entities)
	}
	r.name(f)
	s := r.side(&side, raw.Object, n)
	for _, by := range n.Get("by").Fields() {
		r.joins(by, s)
		value := r.expression(by.Value, "string", r.single()...)
		side.By = append(side.By, RuleJoin{Field: by.Key, Value: value})
	}
	if by := n.Get("by"); by.Kind() == strictyaml.Map && len(by.Fields()) == 0 {
		r.p.AddHint(by.Pos(), "write for example by: {order.id: source.id}", "by: nothing says which of them belong to an object")
	}
	r.rule.With = append(r.rule.With, side)
	r.names = append(r.names, mapping.Name{Name: f.Key, Member: f.Key, Schema: s, List: raw.Group, Optional: !raw.Group})
}

// name holds the name of a list to be one that expressions can use.
func (r *ruleReader) name(f strictyaml.Field) {
	const hint = "use small letters, digits and underscores, for example open_invoices"
	switch fits := strings.Trim(f.Key, "abcdefghijklmnopqrstuvwxyz0123456789_") == ""; {
	case !fits || f.Key == "" || len(f.Key) > 40 || f.Key[0] < 'a' || f.Key[0] > 'z':
		r.p.AddHint(f.KeyPos, hint, "with: %q cannot be a name in expressions", shorten(f.Key))
	case f.Key == RulePrevious || mapping.Reserved(f.Key):
		r.p.AddHint(f.KeyPos, "choose another name", "with: %q means something else in expressions", f.Key)
	}
}

// single are the names that stand for one document: others are found by their values.
func (r *ruleReader) single() []mapping.Name {
	return slices.DeleteFunc(slices.Clone(r.names), func(n mapping.Name) bool { return n.List })
}

// side reads what over and with have in common, and gives the schema of the document that the rule sees; nil: unknown.
func (r *ruleReader) side(side *RuleSide, object string, n strictyaml.Node) *schema.Schema {
	s := r.system(n.Get("system"))
	r.able(s, n, "cannot list everything it holds", func(a abilities) bool { return a.List })
	side.Object = r.object(s, n, object, side.Entity)
	flow := r.reads(side)
	if flow != nil {
		side.Flow = flow.Name
	}
	var sees *schema.Schema
	switch {
	case n.Has("map"):
		if side.Map = r.mapping(n.Get("map")); side.Map != nil {
			sees = side.Map.To()
		}
	case flow != nil:
		side.Map, sees = flow.Map, flow.output()
	}
	if n.Has("where") {
		side.Where = r.loader.expression(n.Get("where"), mapping.ExprContext{Schema: sees, Clock: true, Result: "bool"})
	}
	return sees
}

// reads is the one flow that reads the objects in the hub's daily work; nil: none does, or several do.
func (r *ruleReader) reads(side *RuleSide) *Flow {
	var found *Flow
	for _, f := range r.plan.Inbound(side.System, side.Entity) {
		if object := f.From.object(); cmp.Or(object, f.Entity) != side.Object {
			continue
		}
		if found != nil {
			return nil
		}
		found = f
	}
	return found
}

// joins looks whether the field by which objects are found is one, and a plain value.
func (r *ruleReader) joins(by strictyaml.Field, s *schema.Schema) {
	if s == nil {
		return
	}
	shape := s.Shape()
	for _, name := range strings.Split(by.Key, ".") {
		next, state := shape.Field(name)
		if state != schema.Declared {
			r.p.AddHint(by.KeyPos, strictyaml.DidYouMean(name, shape.Fields()), "by: %s does not declare the field %q", s.Name(), shorten(by.Key))
			return
		}
		shape = next
	}
	if types := shape.Types(); len(types) > 0 && !slices.ContainsFunc(types, func(t string) bool { return t != "object" && t != "array" && t != "null" }) {
		r.p.AddHint(by.KeyPos, "name a field that holds a text or a number, for example "+by.Key+".id", "by: %q of %s is no plain value", by.Key, s.Name())
	}
}

func (r *ruleReader) remember(fields []string, n strictyaml.Node) {
	items := n.Items()
	if n.Kind() == strictyaml.List && len(items) == 0 {
		r.p.AddHint(n.Pos(), "name the fields, or remove the key", "remember: the list is empty")
	}
	for i, name := range fields {
		if s := r.names[0].Schema; s != nil && i < len(items) {
			if _, state := s.Shape().Field(name); state != schema.Declared {
				r.p.AddHint(items[i].Pos(), strictyaml.DidYouMean(name, s.Shape().Fields()), "remember: %s does not declare the field %q", s.Name(), shorten(name))
			}
		}
	}
	if len(fields) > 0 {
		r.rule.Remember = fields
		r.names = append(r.names, mapping.Name{Name: RulePrevious, Member: RulePrevious, Fields: fields, Optional: true})
	}
}

func (r *ruleReader) expressions(n strictyaml.Node) {
	rule := r.rule
	rule.Expect = r.expression(n.Get("expect"), "bool", r.names...)
	rule.Key = r.expression(n.Get("key"), "string", r.names...)
	rule.Say = r.compile(n.Get("say"), mapping.ExprContext{Names: r.names, Clock: true, Result: "string", Absent: "(none)"})
	if money := n.Get("money"); money.Kind() == strictyaml.Map {
		rule.Amount = r.expression(money.Get("amount"), "number", r.names...)
		rule.Currency = r.expression(money.Get("currency"), "string", r.names...)
	}
}

func (r *ruleReader) expression(n strictyaml.Node, result string, names ...mapping.Name) *mapping.Expr {
	return r.compile(n, mapping.ExprContext{Names: names, Clock: true, Result: result})
}

func (r *ruleReader) compile(n strictyaml.Node, ctx mapping.ExprContext) *mapping.Expr {
	e := r.loader.expression(n, ctx)
	if e != nil {
		for _, name := range e.SourceFields() {
			r.used[name] = true
		}
	}
	return e
}

// advise notes what works and will not be meant.
func (r *ruleReader) advise(n strictyaml.Node) {
	if !r.o.Advise || r.rule.Expect == nil {
		return
	}
	for _, side := range r.rule.With {
		if !r.used[side.Name] {
			r.p.Note(n.Get("with").KeyPos(side.Name), "remove it: its list is read for nothing", "with: no expression looks at %s", side.Name)
		}
	}
	if len(r.rule.Remember) > 0 && !r.used[RulePrevious] {
		r.p.Note(n.KeyPos("remember"), "compare with previous, or remove the key", "remember: no expression looks at previous")
	}
	if len(r.rule.With) > 0 && r.rule.Settle == 0 {
		r.p.Note(n.Get("settle").Pos(), "write for example 2m", "settle: what is on its way between two lists counts as a violation at once")
	}
	if len(r.rule.Expect.SourceFields()) == 0 {
		r.p.Note(n.Get("expect").Pos(), "compare a field of source", "expect: it says the same of every object")
	}
}
