package strictyaml

import (
	"slices"
	"strings"
)

// StandIn is a Resolver that answers for references which lead nowhere on this machine, so that files can be checked where the secrets are not.
// What it gives then says nothing about the real value: problems with the content at such a place are not told.
type StandIn interface {
	Resolver
	// Absent reports whether the reference, env:NAME or file:PATH, was answered by a stand-in.
	Absent(ref string) bool
}

func (s *source) absent(ref string) bool {
	r, ok := s.resolver.(StandIn)
	return ok && r.Absent(ref)
}

// Absent gives the references in the node, and below it, that a stand-in was given for, each once: env:NAME or file:PATH.
func (n Node) Absent() []string {
	var out []string
	n.eachScalar(func(s Node) {
		for _, ref := range references(s.n.text) {
			if !slices.Contains(out, ref) && s.n.src.absent(ref) {
				out = append(out, ref)
			}
		}
	})
	return out
}

// Filled gives the texts in the node, and below it, into which a reference was filled, and what was filled in: whoever keeps them treats them as secrets. A
// setting of a manifest is none, unless a reference was filled into that.
func (n Node) Filled() []Secret {
	var out []Secret
	add := func(text string) {
		if !slices.ContainsFunc(out, func(s Secret) bool { return s.Reveal() == text }) {
			out = append(out, NewSecret(text))
		}
	}
	n.eachScalar(func(s Node) {
		filled := false
		for _, ref := range references(s.n.text) {
			if setting, is := strings.CutPrefix(ref, "setting:"); is {
				if f, ok := s.n.src.resolver.(Filler); !ok || !f.Referred(setting) {
					continue
				}
			}
			if value, problem, _ := s.n.src.lookup(ref); problem == "" {
				add(value)
				filled = true
			}
		}
		if !filled {
			return
		}
		if text, _, ok := s.resolve(&Problems{}); ok { // what cannot be filled in is complained of where it is read
			add(text)
		}
	})
	return out
}

func (n Node) eachScalar(do func(Node)) {
	switch n.Kind() {
	case Scalar:
		do(n)
	case Map:
		for _, f := range n.n.fields {
			f.Value.eachScalar(do)
		}
	case List:
		for _, item := range n.n.items {
			item.eachScalar(do)
		}
	}
}

// references are those inside a scalar's text; `$${` is none.
func references(text string) []string {
	var out []string
	for {
		i := strings.Index(text, "${")
		if i < 0 {
			return out
		}
		if i > 0 && text[i-1] == '$' {
			text = text[i+2:]
			continue
		}
		end := strings.IndexByte(text[i:], '}')
		if end < 0 {
			return out
		}
		out = append(out, text[i+2:i+end])
		text = text[i+end:]
	}
}
