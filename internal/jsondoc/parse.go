package jsondoc

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"strconv"
	"unicode/utf16"
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

const (
	ones = 0x0101010101010101
	tops = 0x8080808080808080
)

// scanString finds the end of the string that starts with the quote at b[i]; -1 when it is not well formed, which
// stringProblem then explains. escaped is flagEscaped or 0.
func scanString(b []byte, i int) (end int, escaped uint32) {
	i++
	for {
		// Eight bytes at a time up to the first that is a quote, a backslash, a control character or not ASCII.
		for len(b)-i >= 8 {
			w := binary.LittleEndian.Uint64(b[i:])
			q, s := w^(0x22*ones), w^(0x5c*ones)
			m := ((q-ones)&^q | (s-ones)&^s | (w-0x20*ones)&^w | w) & tops
			if m != 0 {
				i += bits.TrailingZeros64(m) >> 3
				break
			}
			i += 8
		}
		if i >= len(b) {
			return -1, 0
		}
		switch c := b[i]; {
		case c == '"':
			return i + 1, escaped
		case c == '\\':
			escaped = flagEscaped
			n, msg := scanEscape(b[i:])
			if msg != "" {
				return -1, 0
			}
			i += n
		case c < 0x20:
			return -1, 0
		case c < utf8.RuneSelf:
			i++ // the last bytes of the document are looked at one by one
		default:
			r, n := utf8.DecodeRune(b[i:])
			if r == utf8.RuneError && n == 1 {
				return -1, 0
			}
			i += n
		}
	}
}

// stringProblem says what is wrong with the string at b[i], and where.
func stringProblem(b []byte, start int) problem {
	for i := start + 1; i < len(b); {
		switch c := b[i]; {
		case c == '\\':
			n, msg := scanEscape(b[i:])
			if msg != "" {
				return problem{i, msg}
			}
			i += n
		case c < 0x20:
			return problem{i, fmt.Sprintf(`control character \u%04x stands unescaped in a string`, c)}
		default:
			r, n := utf8.DecodeRune(b[i:])
			if r == utf8.RuneError && n == 1 {
				return problem{i, fmt.Sprintf("byte 0x%02x is not valid UTF-8; send the document as UTF-8", c)}
			}
			i += n
		}
	}
	return problem{start, "the string is not closed"}
}

// scanEscape checks the escape at the start of b and gives its length; a surrogate pair is one escape.
func scanEscape(b []byte) (n int, msg string) {
	if len(b) < 2 {
		return 0, "the string is not closed"
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2, ""
	case 'u':
	default:
		return 0, "unknown escape in a string: a backslash before " + describe(b, 1)
	}
	r, ok := hex4(b[2:])
	if !ok {
		return 0, `\u wants four hexadecimal digits`
	}
	if !utf16.IsSurrogate(r) {
		return 6, ""
	}
	if len(b) >= 12 && b[6] == '\\' && b[7] == 'u' {
		if r2, ok := hex4(b[8:]); ok && utf16.DecodeRune(r, r2) != utf8.RuneError {
			return 12, ""
		}
	}
	return 0, fmt.Sprintf(`\u%04x is half of a surrogate pair and stands alone`, r)
}

func hex4(b []byte) (rune, bool) {
	if len(b) < 4 {
		return 0, false
	}
	var r rune
	for _, c := range b[:4] {
		switch {
		case c-'0' <= 9:
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// scanNumber finds the end of the number at b[i], and refuses one that is too long or whose exponent is too large: a
// few bytes such as 1e10000000 would cost seconds wherever they are expanded.
func scanNumber(b []byte, i int, l *Limits) (int, problem) {
	start := i
	if b[i] == '-' {
		i++
	}
	whole := i
	for i < len(b) && b[i]-'0' <= 9 {
		i++
	}
	if i == whole {
		if i == start {
			return 0, unexpected(b, i, "a value")
		}
		return 0, unexpected(b, i, "a digit")
	}
	if b[whole] == '0' && i > whole+1 {
		return 0, problem{start, "a number must not start with 0; codes such as 007 are strings and need quotes"}
	}
	if i < len(b) && b[i] == '.' {
		i++
		frac := i
		for i < len(b) && b[i]-'0' <= 9 {
			i++
		}
		if i == frac {
			return 0, unexpected(b, i, "a digit")
		}
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		exp, n := i, 0
		for i < len(b) && b[i]-'0' <= 9 {
			n = min(n*10+int(b[i]-'0'), 1<<20)
			i++
		}
		if i == exp {
			return 0, unexpected(b, i, "a digit")
		}
		if n > l.Exponent {
			return 0, problem{start, fmt.Sprintf("the number's exponent is beyond ±%d", l.Exponent)}
		}
	}
	if i-start > l.NumberLen {
		return 0, problem{start, fmt.Sprintf("the number has %d characters; at most %d are allowed", i-start, l.NumberLen)}
	}
	return i, problem{}
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
