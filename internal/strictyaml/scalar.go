package strictyaml

import (
	"regexp"
	"strings"

	"gopkg.in/yaml.v3"
)

// scalar fills in a scalar and looks for the traps that YAML may have set.
func (n *node) scalar(y *yaml.Node, inFlow bool, p *Problems) {
	n.kind, n.text = Scalar, y.Value
	switch {
	case y.Style&yaml.SingleQuotedStyle != 0:
		n.style = single
	case y.Style&yaml.DoubleQuotedStyle != 0:
		n.style = double
	case y.Style&yaml.LiteralStyle != 0:
		n.style = literal
	case y.Style&yaml.FoldedStyle != 0:
		n.style = folded
	case y.Style&yaml.TaggedStyle != 0:
		// The tag is a problem already; what was probably meant is the text with it.
		n.text = strings.TrimSpace(n.src.word(n.start) + " " + y.Value)
	default:
		switch y.Value {
		case "", "~", "null", "Null", "NULL":
			n.kind = Null
			return
		}
		n.traps(inFlow, p)
	}
}

// traps reports a plain scalar that is surely not what its writer meant, and remembers what may be behind one that somebody
// else cannot make sense of.
func (n *node) traps(inFlow bool, p *Problems) {
	at := n.offsets()
	if at == nil {
		return
	}
	end := at[len(n.text)]
	rest := n.src.data[end:]
	if nl := strings.IndexByte(string(rest[:min(len(rest), 4096)]), '\n'); nl >= 0 {
		rest = rest[:nl]
	}
	tail := strings.TrimLeft(string(rest), " \t")
	open := unfinished(n.text)
	switch {
	case strings.HasPrefix(tail, "#"):
		n.trap = "a # after a blank begins a comment, so that the value ends before it: put the expression below a `>-`"
		if open != "" {
			p.AddHint(n.src.pos(len(n.src.data[:end])+len(rest)-len(tail)), "put the expression below a `>-`",
				"the # begins a comment here, and %s is left without an end", open)
		}
	case inFlow && open != "":
		n.trap = commaHint
		p.AddHint(n.pos, commaHint, "the value ends at the comma or bracket, and %s is left without an end", open)
	case inFlow:
		n.trap = commaHint
	default:
		n.swallowed(at, p)
	}
}

// keyLine is a line that was meant as `key: value` with the blank after the colon left out.
var keyLine = regexp.MustCompile(`^[A-Za-z_][\w.-]*\??:[^\s:/]`)

// swallowed reports a line without a blank after its colon that became part of the plain scalar above it.
func (n *node) swallowed(at []int, p *Problems) {
	first := n.src.pos(at[0]).Line
	for i := 1; i < len(n.text); i++ {
		if n.text[i-1] != ' ' && n.text[i-1] != '\n' || n.src.data[at[i]-1] == ' ' && n.src.pos(at[i]).Line == first {
			continue
		}
		pos := n.src.pos(at[i])
		if pos.Line == first || pos.Col != leading(n.src.line(pos.Line))+1 {
			continue
		}
		n.trap = "the lines below continue the value: check their indentation"
		if keyLine.MatchString(n.text[i:]) {
			p.AddHint(pos, "put a space after the colon, and indent the line like the others", "this line continues the value above it")
		}
	}
}

func lostSpace(text string) bool { return keyLine.MatchString(text) }

// unfinished names the quote or bracket that a plain scalar opens and does not close; "" when all is closed. An
// apostrophe inside a word is no quote.
func unfinished(text string) string {
	var open []rune
	var quote, before rune
	for _, r := range text {
		switch {
		case quote != 0:
			if r == quote && before != '\\' {
				quote = 0
			}
		case r == '"' || r == '`' || r == '\'' && !isWord(before):
			quote = r
		case r == '(' || r == '[' || r == '{':
			open = append(open, r)
		case r == ')' || r == ']' || r == '}':
			if len(open) > 0 {
				open = open[:len(open)-1]
			}
		}
		before = r
	}
	switch {
	case quote != 0:
		return "the quote " + string(quote)
	case len(open) > 0:
		return "the bracket " + string(open[len(open)-1])
	}
	return ""
}

func isWord(r rune) bool {
	return r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r > 0x7F
}
