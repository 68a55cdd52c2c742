package compare

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// mostDoubled is how many elements of one key, on one side, are looked at pair by pair.
const mostDoubled = 200

// group are the elements of one key.
type group struct {
	path        string
	left, right []jsondoc.Value
}

// set appends the elements in which two lists differ.
func (d *differ) set(rule *Rule, path string, in *scope, l, r jsondoc.Value) {
	groups := map[string]*group{}
	var order []*group
	of := func(e jsondoc.Value) *group {
		key := rule.Set.key(e)
		g := groups[key]
		if g == nil {
			g = &group{path: path + "[" + rule.Set.name(e) + "]"}
			groups[key], order = g, append(order, g)
		}
		return g
	}
	for e := range l.Elements() {
		g := of(e)
		g.left = append(g.left, e)
	}
	for e := range r.Elements() {
		g := of(e)
		g.right = append(g.right, e)
	}
	for _, g := range order {
		d.group(rule, g, in)
	}
}

func (d *differ) group(rule *Rule, g *group, in *scope) {
	if len(g.left) == 1 && len(g.right) == 1 {
		d.element(rule, g.path, in, g.left[0], g.right[0])
		return
	}
	doubled := len(g.left) > 1 || len(g.right) > 1
	left, right := g.left, g.right
	if doubled {
		left, right = unmatched(left, right, func(a, b jsondoc.Value) bool {
			var probe differ
			probe.element(rule, "", in, a, b)
			return len(probe.out) == 0
		})
	}
	for i := range max(len(left), len(right)) {
		path := g.path
		if doubled {
			path += "#" + strconv.Itoa(i+1)
		}
		switch {
		case i < len(left) && i < len(right):
			d.element(rule, path, in, left[i], right[i])
		case i < len(left):
			d.add(rule, path, left[i], jsondoc.Value{})
		default:
			d.add(rule, path, jsondoc.Value{}, right[i])
		}
	}
}

// element compares two elements of one key.
func (d *differ) element(rule *Rule, path string, in *scope, a, b jsondoc.Value) {
	if len(rule.Set.Key) > 0 {
		rules := rule.Set.Rules
		if rules == nil {
			rules = exactly
		}
		d.documents(rules, path+".", path, in, a, b)
	}
}

// key is what elements that are to be compared with each other have in common.
func (e *Elements) key(element jsondoc.Value) string {
	if len(e.Key) == 0 {
		return e.Each.key(element)
	}
	var b strings.Builder
	for _, path := range e.Key {
		part := e.Rules.Key(path, element.GetPath(path))
		b.WriteString(strconv.Itoa(len(part)))
		b.WriteByte(':')
		b.WriteString(part)
	}
	return b.String()
}

// key is what all values that are the same under the rule have in common, as far as that can be said of a single value; nil means exactly.
func (r *Rule) key(v jsondoc.Value) string {
	if !v.Exists() || r != nil && r.none(v) {
		return "null"
	}
	if r != nil {
		switch r.How {
		case Fold, UUID, Number, Folded:
			if text, ok := r.text(v); ok {
				return "text " + text
			}
		case Time:
			if m, ok := r.moment(v); ok {
				return "time " + m.first.UTC().Format(time.RFC3339Nano)
			}
		}
	}
	if r != nil && r.Empty != EmptyDiffer {
		return "is " + string(r.canonical(nil, v))
	}
	return "is " + string(jsondoc.AppendCanonical(nil, v))
}

// canonical appends what all values have in common that are the same under equal, where some count as none.
func (r *Rule) canonical(dst []byte, v jsondoc.Value) []byte {
	switch {
	case r.empty(v):
		return append(dst, "null"...)
	case v.Kind() == jsondoc.Array:
		dst = append(dst, '[')
		for e := range v.Elements() {
			dst = append(r.canonical(dst, e), ',')
		}
		return append(dst, ']')
	case v.Kind() == jsondoc.Object:
		members := map[string]jsondoc.Value{}
		for name, m := range v.Members() {
			if !r.empty(m) {
				members[name] = m
			}
		}
		dst = append(dst, '{')
		for _, name := range slices.Sorted(maps.Keys(members)) {
			dst = append(strconv.AppendQuote(dst, name), ':')
			dst = append(r.canonical(dst, members[name]), ',')
		}
		return append(dst, '}')
	}
	return jsondoc.AppendCanonical(dst, v)
}

// name shows which element it is: sku=A-1,batch=7, or the element itself.
func (e *Elements) name(element jsondoc.Value) string {
	if len(e.Key) == 0 {
		return shown(element)
	}
	var parts []string
	for _, path := range e.Key {
		parts = append(parts, path+"="+shown(element.GetPath(path)))
	}
	return strings.Join(parts, ",")
}

// shown is a value within a path: a text as it is, where it cannot be taken for something else.
func shown(v jsondoc.Value) string {
	const most = 100 // characters
	text := "null"
	switch v.Kind() {
	case jsondoc.Missing:
	case jsondoc.String:
		if text = v.Str(); text == "" || text == "null" || strings.ContainsAny(text, "[]=,.#\"{}") || strings.TrimSpace(text) != text {
			text = strconv.Quote(text)
		}
	default:
		text = string(jsondoc.AppendCanonical(nil, v))
	}
	if runes := []rune(text); len(runes) > most {
		text = string(runes[:most]) + "…"
	}
	return text
}

// unmatched gives the elements of two lists that are left when as many as possible are paired with one that is the same.
func unmatched(left, right []jsondoc.Value, same func(a, b jsondoc.Value) bool) (l, r []jsondoc.Value) {
	if max(len(left), len(right)) > mostDoubled {
		left, right = withoutEqual(left, right)
		if max(len(left), len(right)) > mostDoubled {
			return left, right
		}
	}
	m := matching{left: left, right: right, same: same, looked: make([]verdict, len(left)*len(right)), of: make([]int, len(right))}
	for j := range m.of {
		m.of[j] = -1
	}
	for i := range left {
		m.seen = make([]bool, len(right))
		if !m.place(i) {
			l = append(l, left[i])
		}
	}
	for j, i := range m.of {
		if i < 0 {
			r = append(r, right[j])
		}
	}
	return l, r
}

// matching pairs elements. Amounts within a bound of each other are not all the same among themselves, so that a pair that was made may have to
// change for others to find theirs.
type matching struct {
	left, right []jsondoc.Value
	same        func(a, b jsondoc.Value) bool
	looked      []verdict // of each pair
	of          []int     // the left element of each right one; -1: none
	seen        []bool
}

type verdict uint8

const (
	unknown verdict = iota
	apart
	alike
)

func (m *matching) place(i int) bool {
	for j := range m.right {
		if m.seen[j] || !m.fit(i, j) {
			continue
		}
		m.seen[j] = true
		if m.of[j] < 0 || m.place(m.of[j]) {
			m.of[j] = i
			return true
		}
	}
	return false
}

func (m *matching) fit(i, j int) bool {
	at := &m.looked[i*len(m.right)+j]
	if *at == unknown {
		*at = apart
		if m.same(m.left[i], m.right[j]) {
			*at = alike
		}
	}
	return *at == alike
}

// withoutEqual leaves out elements that both lists have, exactly.
func withoutEqual(left, right []jsondoc.Value) (l, r []jsondoc.Value) {
	count := map[[32]byte]int{}
	for _, e := range left {
		count[jsondoc.Hash(e)]++
	}
	for _, e := range right {
		if h := jsondoc.Hash(e); count[h] > 0 {
			count[h]--
		} else {
			r = append(r, e)
		}
	}
	for _, e := range left { // what is left over in count, from the front
		if h := jsondoc.Hash(e); count[h] > 0 {
			count[h]--
			l = append(l, e)
		}
	}
	return l, r
}
