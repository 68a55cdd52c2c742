package strictyaml

import (
	"bytes"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// mark is a place that the YAML parser notes, counted from 0.
type mark struct{ line, col int }

// failure is what the YAML parser knows of a syntax error. Its error text holds only a line, and often the wrong one.
type failure struct {
	problem, context string
	at, since        mark // of the problem, and of what was being read
	event            mark // of the last thing that was read
}

// inspect reads the parser's own fields. They are not exported, and a test keeps an eye on them; without them only the
// problem's text is left.
func inspect(dec *yaml.Decoder) (f failure, ok bool) {
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	outer := reflect.ValueOf(dec).Elem().FieldByName("parser").Elem()
	inner := outer.FieldByName("parser")
	place := func(v reflect.Value, name string) mark {
		m := v.FieldByName(name)
		return mark{int(m.FieldByName("line").Int()), int(m.FieldByName("column").Int())}
	}
	return failure{
		problem: inner.FieldByName("problem").String(),
		context: inner.FieldByName("context").String(),
		at:      place(inner, "problem_mark"),
		since:   place(inner, "context_mark"),
		event:   place(outer.FieldByName("event"), "start_mark"),
	}, true
}

// syntax adds the problem behind a document that is no YAML.
func (c chunk) syntax(dec *yaml.Decoder, text string, p *Problems) {
	f, ok := inspect(dec)
	text = strings.TrimPrefix(text, "yaml: ")
	if !ok {
		p.Add(Pos{File: c.src.name}, "not valid YAML: %s", text)
		return
	}
	if f.problem == "" { // not the scanner: an alias without its anchor
		pos := c.place(f.event)
		if name := c.src.word(c.src.offset(pos.Line, pos.Col)); strings.HasPrefix(name, "*") {
			p.AddHint(pos, "write the value out; quote text that begins with *", "the alias %s is not supported", shorten(name))
			return
		}
		p.Add(pos, "not valid YAML: %s", text)
		return
	}
	pos, message, hint := c.explain(f)
	p.AddHint(pos, hint, "%s", message)
}

func (c chunk) place(m mark) Pos {
	line := min(c.first+m.line+1, len(c.src.lines))
	col := m.col + 1
	if c.first+m.line+1 > len(c.src.lines) {
		col = len([]rune(c.src.line(line))) + 1
	}
	return Pos{c.src.name, line, col}
}

// explain turns the parser's words into what was probably done and what to do about it.
func (c chunk) explain(f failure) (pos Pos, message, hint string) {
	pos, since := c.place(f.at), c.place(f.since)
	line, sinceLine := c.src.line(pos.Line), c.src.line(since.Line)
	has := func(s string) bool { return strings.Contains(f.problem, s) }
	reading := func(s string) bool { return strings.Contains(f.context, s) }
	for _, at := range []Pos{pos, since} {
		if col, ok := indentTab(c.src.line(at.Line)); ok && !reading("quoted") && !reading("block scalar") {
			return Pos{c.src.name, at.Line, col}, "a tab in the indentation", "indent with spaces"
		}
	}
	if at, ok := afterQuote(line); ok && !reading("quoted") && !reading("flow") {
		return Pos{c.src.name, pos.Line, at}, "there is text after the closing quote",
			"a value that begins with a quote ends at the next one: put the expression below a `>-`"
	}
	switch {
	case strings.HasPrefix(sinceLine, "%"):
		return since, "YAML directives are not supported", "remove the line"
	case has("<document start>"):
		return pos, "text after the end of the document", "begin the next document with ---"
	case reading("a tag"):
		return since, "the ! begins a YAML tag", tagHint
	case reading("quoted scalar") && (has("end of stream") || has("document indicator")):
		return since, "the quote is not closed", "close it, or put the text below a `|`"
	case has("unknown escape"), has("hexdecimal"), has("Unicode character escape"):
		return pos, "unknown escape in double quotes", `write \\ for a backslash, or use single quotes`
	case has("mapping values are not allowed"):
		if strings.Contains(line[:min(len(line), c.inLine(pos))], ": ") {
			return pos, "a second `: ` in one line", "quote the value, or put the expression below a `>-`; choose(c, a, b) stands for ?:"
		}
		return pos, "a `:` where no key can stand", "check the indentation of this line and of the one above it"
	case has("could not find expected ':'"):
		if lostSpace(strings.TrimSpace(sinceLine)) {
			return since, "the line has no `: `", "put a space after the colon"
		}
		return since, "the line is neither `key: value` nor an item of a list", "add the colon, or check the indentation"
	case has("block sequence entries are not allowed"):
		return pos, "a list cannot begin here", "put the first `- ` on its own line, or quote text that begins with -"
	case has("cannot start any token"):
		return c.badStart(pos, line)
	case reading("flow mapping"), reading("flow sequence"), has("flow"):
		return c.badFlow(f, pos, since)
	case reading("block mapping"), has("expected key"), reading("block collection"), has("'-' indicator"):
		return pos, "this line does not belong to the mapping or list that begins on line " + strconv.Itoa(max(since.Line, 1)), "check the indentation"
	case reading("alias"), reading("anchor"):
		return since, "& and * begin anchors and aliases, which are not supported", "quote the value"
	case has("mapping keys are not allowed"):
		return pos, "a value cannot begin with ?", "quote it; choose(c, a, b) stands for ?:"
	case reading("block scalar"):
		return since, "not a valid block scalar: " + f.problem, "write `>-` or `|`, and the text on the lines below, indented"
	}
	return pos, "not valid YAML: " + f.problem, ""
}

// badFlow explains an error inside {} or [].
func (c chunk) badFlow(f failure, pos, since Pos) (Pos, string, string) {
	if c.src.offset(pos.Line, pos.Col) >= len(bytes.TrimRight(c.src.data, " \t\r\n")) {
		return since, "the bracket is not closed", "close it"
	}
	if pos.Line > since.Line && keyStart.MatchString(c.src.line(pos.Line)) && unfinished(c.src.line(since.Line)) != "" {
		return since, "the bracket is not closed before the next key, on line " + strconv.Itoa(pos.Line), "close it"
	}
	return pos, "not valid inside the brackets that begin on line " + strconv.Itoa(max(since.Line, c.first+1)),
		"inside {} and [] the characters , { } [ ] and `: ` end a value: write one key on each line, or quote the value"
}

// keyStart is a line that begins with a key.
var keyStart = regexp.MustCompile(`^\s*(- +)?[A-Za-z_][\w.-]*\??:(\s|$)`)

// badStart explains a character that no plain value begins with.
func (c chunk) badStart(pos Pos, line string) (Pos, string, string) {
	i := c.inLine(pos)
	if i < len(line) && strings.IndexByte("@`%|>", line[i]) >= 0 {
		return pos, "a value cannot begin with " + line[i:i+1], "quote it, or put the expression below a `>-`"
	}
	return pos, "an unexpected character", "quote the value"
}

// bytes is the byte offset in its line of a place.
func (c chunk) inLine(pos Pos) int {
	if pos.Line < 1 || pos.Line > len(c.src.lines) {
		return 0
	}
	return c.src.offset(pos.Line, pos.Col) - c.src.lines[pos.Line-1]
}

// indentTab gives the column of a tab in a line's indentation.
func indentTab(line string) (col int, ok bool) {
	blank := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
	i := strings.IndexByte(blank, '\t')
	return i + 1, i >= 0
}

// afterQuote finds, in `key: "text" more` or `- "text" more`, the column of what follows the closing quote.
func afterQuote(line string) (col int, ok bool) {
	i := len(line) - len(strings.TrimLeft(line, " -"))
	if colon := strings.Index(line, ": "); colon >= 0 && (i >= len(line) || line[i] != '"' && line[i] != '\'') {
		i = colon + 1
	}
	for i < len(line) && line[i] == ' ' {
		i++
	}
	if i >= len(line) || line[i] != '"' && line[i] != '\'' {
		return 0, false
	}
	quote := line[i]
	for i++; i < len(line) && line[i] != quote; i++ {
		if line[i] == '\\' && quote == '"' {
			i++
		}
	}
	if i >= len(line) {
		return 0, false
	}
	rest := line[i+1:]
	more := strings.TrimLeft(rest, " ")
	if more == "" || more[0] == '#' || more[0] == ',' || more[0] == '}' || more[0] == ':' {
		return 0, false
	}
	return len([]rune(line[:len(line)-len(more)])) + 1, true
}
