package jsondoc

import (
	"fmt"
	"strconv"
	"unicode/utf8"
)

// frame is one open object or array.
type frame struct {
	node  uint32
	count uint32
	// once and twice are filters of the member names seen so far: a name that lacks its bit in either is certainly new.
	once, twice uint64
	array       bool
	// late: the object has many or escaped names; duplicates are searched when it closes.
	late bool
}

// problem is where and why parsing stopped; the zero problem is success.
type problem struct {
	at  int
	msg string
}

// linearNames is up to how many members an object is searched for duplicates by comparing names one by one.
const linearNames = 24

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\r' }

// skip gives the index of the first byte from i that is no white space; len(b) when there is none.
func skip(b []byte, i int) int {
	for i < len(b) && isSpace(b[i]) {
		i++
	}
	return i
}

// parse fills d.nodes. It does not recurse: what is open stands on its own stack, and top is the innermost of it.
func (d *Doc) parse(b []byte, l *Limits) problem {
	var (
		i         int
		c         byte
		end       int
		escaped   uint32
		top       *frame
		bad       problem
		nodes     = d.nodes[:0]
		stack     = d.stack[:0]
		mostNodes = l.Nodes
	)

value:
	if i >= len(b) || b[i] <= ' ' {
		if i = skip(b, i); i == len(b) {
			return unexpected(b, i, "a value")
		}
	}
	if len(nodes) >= mostNodes {
		return problem{i, fmt.Sprintf("the document has more than %d values and names", mostNodes)}
	}
	switch c = b[i]; c {
	case '"':
		if end, escaped = scanString(b, i); end < 0 {
			return stringProblem(b, i)
		}
		nodes = append(nodes, node{uint32(i), uint32(end), uint32(len(nodes) + 1), uint32(String) | escaped})
		i = end
	case '{':
		if len(stack) >= l.Depth {
			return tooDeep(i, l)
		}
		stack = append(stack, frame{node: uint32(len(nodes))})
		top = &stack[len(stack)-1]
		nodes = append(nodes, node{start: uint32(i), meta: uint32(Object)})
		if i = skip(b, i+1); i < len(b) && b[i] == '}' {
			goto closed
		}
		goto name
	case '[':
		if len(stack) >= l.Depth {
			return tooDeep(i, l)
		}
		stack = append(stack, frame{node: uint32(len(nodes)), array: true})
		top = &stack[len(stack)-1]
		nodes = append(nodes, node{start: uint32(i), meta: uint32(Array)})
		if i = skip(b, i+1); i < len(b) && b[i] == ']' {
			goto closed
		}
		goto value
	case 't', 'f', 'n':
		word, kind := "true", Bool
		switch c {
		case 'f':
			word = "false"
		case 'n':
			word, kind = "null", Null
		}
		if len(b)-i < len(word) || string(b[i:i+len(word)]) != word {
			return unexpected(b, i, "a value")
		}
		nodes = append(nodes, node{uint32(i), uint32(i + len(word)), uint32(len(nodes) + 1), uint32(kind)})
		i += len(word)
	default:
		end = i
		for end < len(b) && b[end]-'0' <= 9 {
			end++
		}
		// Most numbers are short and whole; everything else is looked at closely.
		if end == i || end-i > min(9, l.NumberLen) || (c == '0' && end > i+1) || (end < len(b) && (b[end] == '.' || b[end]|0x20 == 'e')) {
			if end, bad = scanNumber(b, i, l); bad.msg != "" {
				return bad
			}
		}
		nodes = append(nodes, node{uint32(i), uint32(end), uint32(len(nodes) + 1), uint32(Number)})
		i = end
	}

after:
	if i < len(b) && b[i] <= ' ' {
		i = skip(b, i)
	}
	if top == nil {
		if i < len(b) {
			return problem{i, "nothing may follow the document, found " + describe(b, i)}
		}
		d.nodes, d.stack = nodes, stack
		return problem{}
	}
	top.count++
	if i >= len(b) {
		return unexpected(b, i, separator(top.array))
	}
	switch c = b[i]; {
	case c == ',':
		i++
		if top.array {
			goto value
		}
	case c == ']' && top.array, c == '}' && !top.array:
		goto closed
	default:
		return unexpected(b, i, separator(top.array))
	}

name:
	if i < len(b) && b[i] <= ' ' {
		i = skip(b, i)
	}
	if i >= len(b) || b[i] != '"' {
		return unexpected(b, i, "a member name in double quotes")
	}
	if len(nodes) >= mostNodes {
		return problem{i, fmt.Sprintf("the document has more than %d values and names", mostNodes)}
	}
	if end, escaped = scanString(b, i); end < 0 {
		return stringProblem(b, i)
	}
	if escaped != 0 || top.count >= linearNames {
		top.late = true
	} else {
		// An empty name has its closing quote at i+1: all reads are in bounds.
		first, last, middle := uint(b[i+1]), uint(b[end-2]), uint(b[(i+end)>>1])
		one, two := uint64(1)<<((first*5+last*3+uint(end-i))&63), uint64(1)<<((middle*7+last+first<<2)&63)
		if top.once&one != 0 && top.twice&two != 0 && named(b, nodes, top.node, b[i:end]) {
			return problem{i, "the name " + quote(b[i:end]) + " stands twice in one object"}
		}
		top.once |= one
		top.twice |= two
	}
	nodes = append(nodes, node{uint32(i), uint32(end), uint32(len(nodes) + 1), uint32(String) | escaped})
	i = end
	if i < len(b) && b[i] <= ' ' {
		i = skip(b, i)
	}
	if i >= len(b) || b[i] != ':' {
		return unexpected(b, i, `":"`)
	}
	i++
	goto value

closed:
	i++
	{
		n := &nodes[top.node]
		n.end, n.next = uint32(i), uint32(len(nodes))
		n.meta |= top.count << countShift
		if top.late {
			if bad = d.duplicates(b, nodes, top.node); bad.msg != "" {
				return bad
			}
		}
	}
	stack = stack[:len(stack)-1]
	if top = nil; len(stack) > 0 {
		top = &stack[len(stack)-1]
	}
	goto after
}

func tooDeep(i int, l *Limits) problem {
	return problem{i, fmt.Sprintf("objects and arrays nest deeper than %d", l.Depth)}
}

func separator(array bool) string {
	if array {
		return `"," or "]"`
	}
	return `"," or "}"`
}

// named reports whether the open object has a member of that name (written with its quotes, without escapes).
func named(b []byte, nodes []node, object uint32, name []byte) bool {
	for k := int(object) + 1; k < len(nodes); {
		n := &nodes[k]
		if string(b[n.start:n.end]) == string(name) {
			return true
		}
		k = int(nodes[k+1].next)
	}
	return false
}

func unexpected(b []byte, i int, want string) problem {
	return problem{i, "expected " + want + ", found " + describe(b, i)}
}

// describe names what stands at b[i] for an error text.
func describe(b []byte, i int) string {
	if i >= len(b) {
		return "the end of the document"
	}
	if r, n := utf8.DecodeRune(b[i:]); r != utf8.RuneError || n > 1 {
		return strconv.QuoteRune(r)
	}
	return fmt.Sprintf("byte 0x%02x", b[i])
}

// quote shortens a name as written for an error text.
func quote(raw []byte) string {
	const most = 60
	if len(raw) <= most {
		return string(raw)
	}
	n := most
	for n > 0 && !utf8.RuneStart(raw[n]) {
		n--
	}
	return string(raw[:n]) + `…"`
}
