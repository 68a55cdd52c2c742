package schema

import (
	"regexp"
	"regexp/syntax"
	"unicode/utf8"
)

// matcher is a regular expression. Most patterns of business documents are a row of character classes with counts from the
// first character to the last (^[A-Z]{3}-[0-9]{6}$): those are matched directly as long as the text is ASCII.
type matcher struct {
	re    *regexp.Regexp
	steps []step // nil when the expression is not that simple
}

// step takes from least to most bytes of a set; most is -1 without bound.
type step struct {
	set         [2]uint64
	least, most int
}

func (s *step) has(c byte) bool { return c < utf8.RuneSelf && s.set[c>>6]&(1<<(c&63)) != 0 }

// newMatcher compiles an expression; nil when that is not possible.
func newMatcher(text string) *matcher {
	re, err := regexp.Compile(text)
	if err != nil {
		return nil
	}
	return &matcher{re, steps(text)}
}

func (m *matcher) match(b []byte) bool {
	if m.steps == nil {
		return m.re.Match(b)
	}
	i := 0
	for k := range m.steps {
		s := &m.steps[k]
		n := 0
		for i < len(b) && n != s.most && s.has(b[i]) {
			i++
			n++
		}
		if n < s.least {
			return i < len(b) && b[i] >= utf8.RuneSelf && m.re.Match(b)
		}
	}
	return i == len(b) || b[i] >= utf8.RuneSelf && m.re.Match(b)
}

// steps breaks an expression into steps; nil when it has anything else in it, or when taking as much as possible at each
// step could go wrong.
func steps(text string) []step {
	re, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return nil
	}
	if re.Op != syntax.OpConcat || len(re.Sub) < 3 || re.Sub[0].Op != syntax.OpBeginText || re.Sub[len(re.Sub)-1].Op != syntax.OpEndText {
		return nil
	}
	var out []step
	for _, sub := range re.Sub[1 : len(re.Sub)-1] {
		var ok bool
		if out, ok = appendSteps(out, sub); !ok {
			return nil
		}
	}
	for i := range out {
		if out[i].least != out[i].most && !apart(out, i) {
			return nil
		}
	}
	return out
}

// apart reports whether no byte of step i can belong to what may follow it: then there is one way to match only.
func apart(all []step, i int) bool {
	for _, next := range all[i+1:] {
		if all[i].set[0]&next.set[0]|all[i].set[1]&next.set[1] != 0 {
			return false
		}
		if next.least > 0 {
			return true
		}
	}
	return true
}

func appendSteps(out []step, re *syntax.Regexp) ([]step, bool) {
	least, most := 1, 1
	switch re.Op {
	case syntax.OpLiteral:
		if re.Flags&syntax.FoldCase != 0 {
			return nil, false
		}
		for _, r := range re.Rune {
			if r >= utf8.RuneSelf {
				return nil, false
			}
			s := step{least: 1, most: 1}
			s.set[r>>6] |= 1 << (r & 63)
			out = append(out, s)
		}
		return out, true
	case syntax.OpCharClass:
		return append(out, classStep(re, 1, 1)), true
	case syntax.OpPlus:
		most = -1
	case syntax.OpStar:
		least, most = 0, -1
	case syntax.OpQuest:
		least = 0
	case syntax.OpRepeat:
		least, most = re.Min, re.Max
	default:
		return nil, false
	}
	of := re.Sub[0]
	switch {
	case of.Op == syntax.OpCharClass:
		return append(out, classStep(of, least, most)), true
	case of.Op == syntax.OpLiteral && len(of.Rune) == 1:
		one, ok := appendSteps(nil, of)
		if !ok {
			return nil, false
		}
		one[0].least, one[0].most = least, most
		return append(out, one[0]), true
	}
	return nil, false
}

// classStep is the ASCII part of a character class.
func classStep(re *syntax.Regexp, least, most int) step {
	s := step{least: least, most: most}
	for i := 0; i+1 < len(re.Rune); i += 2 {
		for r := re.Rune[i]; r <= re.Rune[i+1] && r < utf8.RuneSelf; r++ {
			s.set[r>>6] |= 1 << (r & 63)
		}
	}
	return s
}
