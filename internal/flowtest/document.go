package flowtest

import (
	"regexp"
	"strings"

	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

var (
	// number is JSON's grammar without the exponent: 12E3 is more likely a code.
	number = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?$`)
	// traps are plain scalars that other readers of YAML take for numbers, or that a person may have meant as one.
	traps = regexp.MustCompile(`^(?:[-+]?0[0-9]+(?:\.[0-9]*)?|\+[0-9]+(?:\.[0-9]*)?|[-+]?[0-9][0-9_]*_[0-9_]*|[-+]?0[xX][0-9a-fA-F]+|[-+]?0[oO][0-7]+|` +
		`[-+]?0[bB][01]+|[-+]?\.[0-9]+|[-+]?[0-9]+\.|[-+]?[0-9]+(?:\.[0-9]*)?[eE][-+]?[0-9]+|[-+]?[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?|` +
		`[-+]?\.(?i:inf)|\.(?i:nan))$`)
	// words are plain scalars that other readers of YAML take for true or false.
	words = regexp.MustCompile(`^(?i:y|n|yes|no|on|off|true|false)$`)
)

// document gives the node as JSON. A plain number, true, false and null are what they look like; every other scalar is text,
// just as it stands: nothing like ${env:X} is filled in. Plain text that YAML is known to turn into something else is a problem.
func document(n strictyaml.Node, dst []byte, p *strictyaml.Problems) []byte {
	switch n.Kind() {
	case strictyaml.Map:
		dst = append(dst, '{')
		for i, f := range n.Fields() {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(jsondoc.AppendString(dst, f.Key), ':')
			dst = document(f.Value, dst, p)
		}
		return append(dst, '}')
	case strictyaml.List:
		dst = append(dst, '[')
		for i, item := range n.Items() {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = document(item, dst, p)
		}
		return append(dst, ']')
	case strictyaml.Scalar:
		return scalar(n, dst, p)
	}
	return append(dst, "null"...)
}

func scalar(n strictyaml.Node, dst []byte, p *strictyaml.Problems) []byte {
	text := n.Text()
	if !isPlain(n) {
		return jsondoc.AppendString(dst, text)
	}
	switch {
	case text == "true", text == "false", number.MatchString(text):
		return append(dst, text...)
	case words.MatchString(text):
		p.AddHint(n.Pos(), `write true or false, or "`+text+`" in quotes for the text`, "%s is neither true nor false", text)
	case traps.MatchString(text):
		p.AddHint(n.Pos(), `write "`+text+`" in quotes for the text, or a number in digits as JSON has it`, "%s is neither a number nor clearly text", text)
	}
	return jsondoc.AppendString(dst, text)
}

// sound reports whether the node can be a document at all: JSON has bounds that YAML has not.
func sound(n strictyaml.Node, p *strictyaml.Problems) []byte {
	b := document(n, nil, p)
	if _, err := jsondoc.Parse(b, jsondoc.Limits{}); err != nil {
		p.Add(n.Pos(), "%s: this cannot be a document: %s", n.Key(), err)
	}
	return b
}

// isPlain reports whether a scalar has neither quotes nor a block header: the place of a block's text is never the node's own.
func isPlain(n strictyaml.Node) bool {
	if n.Quoted() || n.Text() == "" || strings.ContainsAny(n.Text(), "\n") {
		return false
	}
	return n.ScalarPos(0) == n.Pos()
}
