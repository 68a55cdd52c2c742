package rest

import (
	"strconv"
	"strings"

	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// successRules say what an answer must hold to count as done.
type successRules struct {
	Path  string            `yaml:"path" doc:"path of the value that tells whether a 2xx answer means done; * stands for every element of a list, such as responses.*.status, and each must do"`
	In    []strictyaml.Node `yaml:"in" doc:"the values that mean done, as JSON tells them apart: true and \"true\" are two, 1 and 1.0 are one; null stands for absent too"`
	NotIn []strictyaml.Node `yaml:"not-in" doc:"the values that mean refused; every other one means done"`
	And   []alsoSettings    `yaml:"and" doc:"more conditions, all of which must hold"`

	rules []rule
}

type alsoSettings struct {
	Path  string            `yaml:"path" doc:"as above"`
	In    []strictyaml.Node `yaml:"in" doc:"as above"`
	NotIn []strictyaml.Node `yaml:"not-in" doc:"as above"`
}

// rule is one condition.
type rule struct {
	path   string
	values []jsondoc.Value
	not    bool // the values mean refused
}

// complete reads the rules.
func (ss *successRules) complete(n strictyaml.Node, p *strictyaml.Problems) {
	if n.Kind() == strictyaml.Missing {
		return
	}
	ss.rules = appendRule(ss.rules, n, alsoSettings{ss.Path, ss.In, ss.NotIn}, p)
	items := n.Get("and").Items()
	for i, also := range ss.And {
		if i < len(items) {
			ss.rules = appendRule(ss.rules, items[i], also, p)
		}
	}
}

func appendRule(rules []rule, n strictyaml.Node, a alsoSettings, p *strictyaml.Problems) []rule {
	if n.Kind() != strictyaml.Map {
		return rules // told already
	}
	if a.Path == "" {
		p.AddHint(n.Pos(), "write for example success: {path: success, in: [true]}", "success: path is missing")
	}
	if (len(a.In) == 0) == (len(a.NotIn) == 0) {
		p.AddHint(n.Pos(), "write for example success: {path: success, in: [true]}", "success: write either in or not-in, with at least one value")
	}
	r := rule{path: a.Path, not: len(a.In) == 0}
	list := a.In
	if r.not {
		list = a.NotIn
	}
	for _, v := range list {
		if v.Kind() != strictyaml.Scalar && v.Kind() != strictyaml.Null {
			p.Add(v.Pos(), "success: a value is compared as text, number, true, false or null, not as %s", v.Kind())
			continue
		}
		raw := []byte("null")
		if v.Kind() == strictyaml.Scalar && (v.Quoted() || v.Text() != "null" && v.Text() != "~") {
			raw, _ = v.AppendJSON(nil, p)
		}
		if doc, err := jsondoc.Parse(raw, jsondoc.Limits{}); err == nil {
			r.values = append(r.values, doc.Root())
		}
	}
	return append(rules, r)
}

// holds reports whether a value does.
func (r *rule) holds(v jsondoc.Value) bool {
	for _, w := range r.values {
		if v.Equal(w) || !v.Exists() && w.Kind() == jsondoc.Null {
			return !r.not
		}
	}
	return r.not
}

// broken gives the first rule that an answer does not keep, and the value that it holds instead. In answers to reads, which often have another
// form than those to writes, a value that is absent says nothing.
func broken(rules []rule, root jsondoc.Value, reading bool) (*rule, jsondoc.Value) {
	for i := range rules {
		for _, v := range spread(nil, root, rules[i].path) {
			if reading && v.Kind() == jsondoc.Missing {
				continue
			}
			if !rules[i].holds(v) {
				return &rules[i], v
			}
		}
	}
	return nil, jsondoc.Value{}
}

// either spreads several paths, with | between them.
func either(root jsondoc.Value, paths string) (out []jsondoc.Value) {
	for path := range strings.SplitSeq(paths, "|") {
		out = spread(out, root, strings.TrimSpace(path))
	}
	return out
}

// spread follows a path as at does, and where a step is * every element of the list. It gives at least one value, which may be Missing.
func spread(dst []jsondoc.Value, v jsondoc.Value, path string) []jsondoc.Value {
	for path != "" {
		if w := v.Get(path); w.Kind() != jsondoc.Missing {
			return append(dst, w)
		}
		step, rest, _ := strings.Cut(path, ".")
		if step == "*" && v.Kind() == jsondoc.Array && v.Len() > 0 {
			for e := range v.Elements() {
				dst = spread(dst, e, rest)
			}
			return dst
		}
		if v.Kind() == jsondoc.Array {
			i, err := strconv.Atoi(step)
			if err != nil {
				return append(dst, jsondoc.Value{})
			}
			v = v.Index(i)
		} else {
			v = v.Get(step)
		}
		path = rest
	}
	return append(dst, v)
}

// success gives the conditions of an object's call: the nearest that are said.
func (s *system) success(o *object, own *successRules) []rule {
	switch {
	case own != nil && len(own.rules) > 0:
		return own.rules
	case len(o.Success.rules) > 0:
		return o.Success.rules
	}
	return s.set.Success.rules
}
