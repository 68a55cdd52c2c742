package sandbox

import (
	"fmt"
	"slices"
	"strings"
)

// CompareOptions says what may be left out.
type CompareOptions struct {
	// Ignore lists, per entity, the objects that are known not to have arrived: parked or waiting in the hub, and those
	// that depend on them. A name is a business key, a number in any system, an id or an external id. Entity "" is for
	// all entities.
	Ignore map[string][]string
	// Odd lists what was made wicked on purpose (World.Odd): an object that is ignored and not among them is reported
	// as unexplained.
	Odd []Odd
	// Entities restricts the checks; empty: all.
	Entities []string
}

// Report is what Compare found.
type Report struct {
	Checks   []Check   `json:"checks"`
	Problems []Problem `json:"problems"`
	// Unexplained are objects that were ignored though nothing was wrong with them from the start: entity/key.
	Unexplained []string `json:"unexplained"`
}

// Check is one rule's count.
type Check struct {
	Name string `json:"name"`
	// Source objects had to be in the target; Matched were there, once and right; Ignored were left out.
	Source  int `json:"source"`
	Matched int `json:"matched"`
	Ignored int `json:"ignored"`
}

// Problem is one thing that is not as it should be.
type Problem struct {
	Check string `json:"check"`
	Key   string `json:"key"`
	// What is missing, duplicate, different or unexpected (in the target, and not in the source).
	What  string `json:"what"`
	Field string `json:"field,omitempty"`
	Want  string `json:"want,omitempty"`
	Got   string `json:"got,omitempty"`
}

func (p Problem) String() string {
	s := p.Check + " " + p.Key + ": " + p.What
	if p.Field != "" {
		s += fmt.Sprintf(" %s: want %q, got %q", p.Field, p.Want, p.Got)
	}
	return s
}

// OK reports whether nothing is wrong.
func (r Report) OK() bool { return len(r.Problems) == 0 }

// Count is how many problems are of that kind.
func (r Report) Count(what string) int {
	n := 0
	for _, p := range r.Problems {
		if p.What == what {
			n++
		}
	}
	return n
}

// String is one line per check and one per problem, at most 50 of these.
func (r Report) String() string {
	var b strings.Builder
	for _, c := range r.Checks {
		fmt.Fprintf(&b, "%-22s %5d of %5d right, %d ignored\n", c.Name, c.Matched, c.Source-c.Ignored, c.Ignored)
	}
	for i, p := range r.Problems {
		if i == 50 {
			fmt.Fprintf(&b, "… and %d more\n", len(r.Problems)-i)
			break
		}
		fmt.Fprintln(&b, p)
	}
	return b.String()
}

// Compare checks that for every object in its owner's system there is exactly one with the right content in each system
// that is to have it, and nothing else. It looks at nothing but the snapshot.
func Compare(s Snapshot, o CompareOptions) Report {
	v := newView(s, o)
	r := Report{Problems: []Problem{}, Unexplained: []string{}}
	for _, rule := range compareRules() {
		if len(o.Entities) > 0 && !slices.Contains(o.Entities, rule.entity) {
			continue
		}
		r.Checks = append(r.Checks, v.check(&rule, &r))
	}
	slices.Sort(r.Unexplained)
	r.Unexplained = slices.Compact(r.Unexplained)
	return r
}

// rule says what of one system has to be in another.
type rule struct {
	name     string
	entity   string
	from, to string
	when     func(v *view, o Object) bool   // which objects of the source; nil: all
	own      func(o Object) bool            // which objects of the target are its own affair; nil: none
	key      func(v *view, o Object) string // the business key in the target; nil: the source's
	fields   []comparison
}

// comparison gives what a field has to be, and what it is.
type comparison struct {
	name string
	do   func(v *view, from, to Object) (want, got string)
}

// view is a snapshot with its indexes.
type view struct {
	s       Snapshot
	byID    map[string]map[string]Object // system/entity → id → object
	ignored map[string]bool              // entity/name
	odd     map[string]bool              // entity/id and entity/key
}

func newView(s Snapshot, o CompareOptions) *view {
	v := &view{s: s, byID: map[string]map[string]Object{}, ignored: map[string]bool{}, odd: map[string]bool{}}
	for system, entities := range s {
		for entity, list := range entities {
			m := make(map[string]Object, len(list))
			for _, obj := range list {
				m[obj.ID] = obj
			}
			v.byID[system+"/"+entity] = m
		}
	}
	for entity, names := range o.Ignore {
		for _, n := range names {
			v.ignored[entity+"/"+n] = true
		}
	}
	for _, odd := range o.Odd {
		v.odd[odd.Entity+"/"+odd.ID], v.odd[odd.Entity+"/"+odd.Key] = true, true
	}
	return v
}

// numbers are fields by which people call an object, besides its key and ids.
var numbers = []string{
	"AccountNumber", "OrderNumber", "QuoteNumber", "ERP_Customer_No__c", "ERP_Order_Number__c", "ERP_Quote_Number__c",
	"customer_no", "order_no", "source_order_no", "quote_no", "source_quote_no", "delivery_no", "orderNumber",
}

func (v *view) ignore(entity string, o Object) bool {
	for _, name := range append([]string{o.Key, o.ID, o.External}, values(o.Doc, numbers)...) {
		if name != "" && (v.ignored[entity+"/"+name] || v.ignored["/"+name]) {
			return true
		}
	}
	return false
}

func values(doc map[string]any, names []string) []string {
	out := make([]string, 0, len(names))
	for _, n := range names {
		if s, ok := doc[n].(string); ok {
			out = append(out, s)
		}
	}
	return out
}

func (v *view) check(r *rule, report *Report) Check {
	c := Check{Name: r.name}
	targets := map[string][]Object{}
	for _, o := range v.s[r.to][r.entity] {
		targets[o.Key] = append(targets[o.Key], o)
	}
	problem := func(key, what string) {
		report.Problems = append(report.Problems, Problem{Check: r.name, Key: key, What: what})
	}
	asked := map[string]bool{}
	for _, o := range v.s[r.from][r.entity] {
		key := o.Key
		if r.key != nil {
			key = r.key(v, o)
		}
		if r.when != nil && !r.when(v, o) {
			continue
		}
		c.Source++
		asked[key] = true
		found := targets[key]
		if v.ignore(r.entity, o) || len(found) > 0 && v.ignore(r.entity, found[0]) {
			c.Ignored++
			if !v.odd[r.entity+"/"+o.ID] && !v.odd[r.entity+"/"+o.Key] {
				report.Unexplained = append(report.Unexplained, r.entity+"/"+o.Key)
			}
			if len(found) > 1 {
				problem(key, "duplicate")
			}
			continue
		}
		switch {
		case len(found) == 0:
			problem(key, "missing")
		case len(found) > 1:
			problem(key, "duplicate")
		case v.differences(r, o, found[0], report) == 0:
			c.Matched++
		}
	}
	for _, o := range v.s[r.to][r.entity] {
		if !asked[o.Key] && !v.ignore(r.entity, o) && (r.own == nil || !r.own(o)) {
			asked[o.Key] = true
			problem(o.Key, "unexpected")
		}
	}
	return c
}

func (v *view) differences(r *rule, from, to Object, report *Report) (n int) {
	for _, f := range r.fields {
		if want, got := f.do(v, from, to); want != got {
			report.Problems = append(report.Problems, Problem{Check: r.name, Key: from.Key, What: "different", Field: f.name, Want: want, Got: got})
			n++
		}
	}
	return n
}
