package strictyaml

import (
	"sort"
	"strings"
	"unicode/utf8"
)

// source is one file's bytes, kept so that a place inside a scalar can be found again.
type source struct {
	name     string
	data     []byte
	lines    []int // offset of each line's first byte
	resolver Resolver
}

func newSource(name string, data []byte, r Resolver) *source {
	s := &source{name: name, data: data, resolver: r, lines: []int{0}}
	for i, c := range data {
		if c == '\n' {
			s.lines = append(s.lines, i+1)
		}
	}
	return s
}

// offset gives the byte offset of a line and column, both from 1; it is clamped to the line.
func (s *source) offset(line, col int) int {
	if line < 1 {
		return 0
	}
	if line > len(s.lines) {
		return len(s.data)
	}
	at, end := s.lines[line-1], s.lineEnd(line)
	for ; col > 1 && at < end; col-- {
		_, size := utf8.DecodeRune(s.data[at:end])
		at += size
	}
	return at
}

// pos gives the place of a byte offset.
func (s *source) pos(offset int) Pos {
	offset = min(max(offset, 0), len(s.data))
	line := sort.SearchInts(s.lines, offset+1)
	return Pos{s.name, line, utf8.RuneCount(s.data[s.lines[line-1]:offset]) + 1}
}

// lineEnd is the offset of a line's end, without its line break.
func (s *source) lineEnd(line int) int {
	end := len(s.data)
	if line < len(s.lines) {
		end = s.lines[line] - 1
	}
	if end > s.lines[line-1] && s.data[end-1] == '\r' {
		end--
	}
	return end
}

// line gives the text of a line from 1, without its line break.
func (s *source) line(n int) string {
	if n < 1 || n > len(s.lines) {
		return ""
	}
	return string(s.data[s.lines[n-1]:s.lineEnd(n)])
}

// ScalarPos is the place in the file of byte offset of the scalar's Text, for plain, quoted and block scalars; offset
// len(Text) is the place after its last character. For every other kind it is Pos.
func (n Node) ScalarPos(offset int) Pos {
	if n.Kind() != Scalar {
		return n.Pos()
	}
	at := n.n.offsets()
	if at == nil || offset < 0 {
		return n.n.pos
	}
	return n.n.src.pos(at[min(offset, len(at)-1)])
}

// offsets gives, for each byte of the text and for its end, the offset in the file where it is written; nil when the file
// does not hold the text as expected.
func (n *node) offsets() []int {
	w := walker{data: n.src.data, i: n.start, text: n.text, at: make([]int, 0, len(n.text)+1)}
	ok := false
	switch n.style {
	case plain:
		ok = w.flow(0)
	case single, double:
		quote := byte('"')
		if n.style == single {
			quote = '\''
		}
		if w.i < len(w.data) && w.data[w.i] == quote {
			w.i++
			ok = w.flow(quote)
		}
	default:
		ok = w.block(n.src, n.pos.Line)
	}
	if !ok || len(w.at) != len(n.text) {
		return nil
	}
	return append(w.at, w.i)
}

// walker goes over the file and the text of one scalar side by side.
type walker struct {
	data []byte
	i    int // in data
	text string
	at   []int // of the text so far
}

// put notes that the next bytes of the text are written at offset from.
func (w *walker) put(s string, from int) bool {
	if !strings.HasPrefix(w.text[len(w.at):], s) {
		return false
	}
	for range len(s) {
		w.at = append(w.at, from)
	}
	return true
}

// flow walks over a plain or quoted scalar, in which line breaks are folded.
func (w *walker) flow(quote byte) bool {
	for len(w.at) < len(w.text) {
		if w.i >= len(w.data) {
			return false
		}
		c := w.data[w.i]
		ok := true
		switch {
		case c == ' ' || c == '\t' || c == '\r' || c == '\n':
			ok = w.space()
		case quote == '\'' && c == '\'':
			ok = w.put("'", w.i)
			w.i += 2
		case quote == '"' && c == '\\':
			ok = w.escape()
		default:
			ok = w.put(string(w.data[w.i:w.i+1]), w.i)
			w.i++
		}
		if !ok {
			return false
		}
	}
	return true
}

// space walks over blanks and line breaks: one line break is a space, more are that many less one.
func (w *walker) space() bool {
	start, breaks := w.i, 0
	for w.i < len(w.data) && strings.IndexByte(" \t\r\n", w.data[w.i]) >= 0 {
		if w.data[w.i] == '\n' {
			breaks++
		}
		w.i++
	}
	switch {
	case breaks == 0:
		for j := start; j < w.i; j++ {
			if !w.put(string(w.data[j:j+1]), j) {
				return false
			}
		}
		return true
	case breaks == 1:
		return w.put(" ", start)
	}
	return w.put(strings.Repeat("\n", breaks-1), start)
}

// escape walks over one escape of a double-quoted scalar.
func (w *walker) escape() bool {
	start := w.i
	if start+1 >= len(w.data) {
		return false
	}
	c := w.data[start+1]
	if c == '\r' || c == '\n' {
		return w.continuation()
	}
	digits := map[byte]int{'x': 2, 'u': 4, 'U': 8}[c]
	w.i += 2 + digits
	_, size := utf8.DecodeRuneInString(w.text[len(w.at):])
	return w.put(w.text[len(w.at):len(w.at)+size], start)
}

// continuation walks over a line break that a backslash hides; empty lines after it count.
func (w *walker) continuation() bool {
	start, breaks := w.i, 0
	for w.i++; w.i < len(w.data) && strings.IndexByte(" \t\r\n", w.data[w.i]) >= 0; w.i++ {
		if w.data[w.i] == '\n' {
			breaks++
		}
	}
	return w.put(strings.Repeat("\n", max(breaks-1, 0)), start)
}

// block walks over a block scalar whose header is on the given line.
func (w *walker) block(s *source, header int) bool {
	indent := w.indent(s, header)
	for line := header + 1; line <= len(s.lines) && strings.Trim(w.text[len(w.at):], "\n") != ""; line++ {
		start, end := s.lines[line-1], s.lineEnd(line)
		i := start
		for i < end && i-start < indent && s.data[i] == ' ' {
			i++
		}
		if i == end {
			continue // its line break is at the beginning of the text that follows
		}
		w.i = i
		w.breaks(start)
		if !w.line(string(s.data[i:end])) {
			return false
		}
	}
	w.breaks(w.i)
	return true
}

// line walks over one line of a block scalar.
func (w *walker) line(content string) bool {
	for j := range len(content) {
		if !w.put(content[j:j+1], w.i) {
			return false
		}
		w.i++
	}
	// One line break that was folded into a space; a line that begins with a space is never folded.
	if rest := w.text[len(w.at):]; rest != "" && rest[0] == ' ' {
		w.at = append(w.at, w.i)
	}
	return true
}

// breaks walks over the line breaks that the text goes on with.
func (w *walker) breaks(from int) {
	for len(w.at) < len(w.text) && w.text[len(w.at)] == '\n' {
		w.at = append(w.at, from)
	}
}

// indent is the indentation of a block scalar's content: that of its first line that is not blank, less the spaces that
// the text itself begins with (after a header with a digit).
func (w *walker) indent(s *source, header int) int {
	for line := header + 1; line <= len(s.lines); line++ {
		if text := s.line(line); strings.Trim(text, " ") != "" {
			return max(leading(text)-leading(strings.TrimLeft(w.text, "\n")), 0)
		}
	}
	return 0
}

func leading(s string) int { return len(s) - len(strings.TrimLeft(s, " ")) }
