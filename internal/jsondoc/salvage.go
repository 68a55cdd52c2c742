package jsondoc

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Broken is an element of a list that is no acceptable JSON.
type Broken struct {
	// Raw is the element as it came.
	Raw []byte
	// Err is what is wrong with it.
	Err error
}

// Salvage makes an acceptable document of one in which single elements of a list are none: half a pair of surrogates, a number beyond the limits, a name that
// stands twice. path is where the list stands: names of members with dots between them, numbers in lists; a member whose name holds the dots wins.
// In doc every broken element is null; broken holds them by their index. Without a list at the path, or with nothing wrong in its elements, ok is
// false.
func Salvage(b []byte, path string, l Limits) (doc []byte, broken map[int]Broken, ok bool) {
	start, found := seek(b, skip(b, 0), path)
	if !found || start >= len(b) || b[start] != '[' {
		return nil, nil, false
	}
	broken = map[int]Broken{}
	doc = append(make([]byte, 0, len(b)), b[:start+1]...)
	copied, d := start+1, Get()
	defer Put(d)
	end, well := elements(b, start, func(n, from, to int) {
		err := d.Reset(b[from:to], l)
		if err == nil {
			return
		}
		broken[n] = Broken{Raw: bytes.Clone(b[from:to]), Err: err}
		doc = append(append(doc, b[copied:from]...), "null"...)
		copied = to
	})
	if !well || len(broken) == 0 {
		return nil, nil, false
	}
	return append(append(doc, b[copied:end]...), b[end:]...), broken, true
}

// Peek gives the text of a string or number at a path of something that is no acceptable JSON, as far as it can be told; else "".
func Peek(b []byte, path string) string {
	start, found := seek(b, skip(b, 0), path)
	if !found || start >= len(b) {
		return ""
	}
	raw := b[start:past(b, start)]
	switch {
	case len(raw) == 0:
	case raw[0] == '"':
		if d, err := Parse(Repair(raw), Limits{}); err == nil {
			return d.Root().Str()
		}
	case raw[0] == '-' || raw[0] >= '0' && raw[0] <= '9':
		return string(raw)
	}
	return ""
}

// Repair replaces what is no text in the strings of a document: half a pair of surrogates, and bytes that are no UTF-8, become U+FFFD.
func Repair(b []byte) []byte {
	if !utf8.Valid(b) {
		b = bytes.ToValidUTF8(b, []byte("\uFFFD"))
	}
	if !bytes.Contains(b, []byte(`\u`)) {
		return b
	}
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); {
		switch {
		case b[i] != '\\' || i+1 >= len(b):
			out = append(out, b[i])
			i++
		case b[i+1] != 'u':
			out = append(out, b[i], b[i+1])
			i += 2
		default:
			n, _ := scanEscape(b[i:])
			if n == 0 {
				if _, isHex := hex4(b[i+2:]); !isHex {
					out = append(out, b[i])
					i++
					continue
				}
				out = append(out, `\ufffd`...)
				i += 6
				continue
			}
			out = append(out, b[i:i+n]...)
			i += n
		}
	}
	return out
}

// seek finds the value at a path from the value that begins at i, without looking at more than quotes and brackets.
func seek(b []byte, i int, path string) (at int, ok bool) {
	for path != "" {
		if i >= len(b) {
			return 0, false
		}
		step, rest, _ := strings.Cut(path, ".")
		whole, first := -1, -1
		switch b[i] {
		case '{':
			_, ok = members(b, i, func(name []byte, from int) {
				if string(name) == path {
					whole = from
				}
				if first < 0 && string(name) == step {
					first = from
				}
			})
		case '[':
			want, err := strconv.Atoi(step)
			if err != nil {
				return 0, false
			}
			_, ok = elements(b, i, func(n, from, _ int) {
				if n == want {
					first = from
				}
			})
		default:
			return 0, false
		}
		switch {
		case whole >= 0:
			return whole, true
		case !ok || first < 0:
			return 0, false
		}
		i, path = first, rest
	}
	return i, true
}

// members calls visit for every member of the object at b[i], and gives where the object ends.
func members(b []byte, i int, visit func(name []byte, from int)) (end int, ok bool) {
	for i = skip(b, i+1); i < len(b) && b[i] != '}'; {
		if b[i] != '"' {
			return 0, false
		}
		after := past(b, i)
		if after-i < 2 {
			return 0, false
		}
		name := b[i+1 : after-1]
		if i = skip(b, after); i >= len(b) || b[i] != ':' {
			return 0, false
		}
		from := skip(b, i+1)
		if from >= len(b) {
			return 0, false
		}
		visit(name, from)
		if i = next(b, past(b, from)); i < 0 {
			return 0, false
		}
	}
	return i + 1, i < len(b)
}

// elements calls visit for every element of the list at b[i], and gives where the list ends.
func elements(b []byte, i int, visit func(n, from, to int)) (end int, ok bool) {
	for n := 0; ; n++ {
		if n == 0 {
			i = skip(b, i+1)
		}
		if i >= len(b) {
			return 0, false
		}
		if b[i] == ']' {
			return i + 1, true
		}
		to := past(b, i)
		if to == i {
			return 0, false
		}
		visit(n, i, to)
		if i = next(b, to); i < 0 {
			return 0, false
		}
	}
}

// next goes on behind a value: to what follows its comma, or to the bracket that closes what it is in; -1 where neither comes.
func next(b []byte, i int) int {
	i = skip(b, i)
	if i >= len(b) {
		return -1
	}
	switch b[i] {
	case ',':
		if i = skip(b, i+1); i < len(b) && (b[i] == ']' || b[i] == '}') {
			return -1 // nothing follows the comma
		}
		return i
	case ']', '}':
		return i
	}
	return -1
}

// past is the place behind the value that begins at b[i]: quotes and brackets tell, nothing else is looked at.
func past(b []byte, i int) int {
	depth := 0
	for i < len(b) {
		switch c := b[i]; {
		case c == '"':
			i = pastString(b, i)
		case c == '{' || c == '[':
			depth++
			i++
		case c == '}' || c == ']':
			if depth == 0 {
				return i
			}
			depth--
			i++
		case depth == 0 && (c == ',' || c == ':' || isSpace(c)):
			return i
		default:
			i++
			continue
		}
		if depth == 0 {
			return i
		}
	}
	return len(b)
}

func pastString(b []byte, i int) int {
	for i++; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(b)
}
