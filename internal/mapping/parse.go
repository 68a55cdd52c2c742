package mapping

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/builtin"
	"github.com/expr-lang/expr/conf"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/parser/lexer"
)

const (
	maxExpression = 16 << 10 // bytes of one expression
	maxExprNodes  = 2000
	memoryBudget  = 4_000_000 // elements that one run of the machine may make
)

// disabled are the expression library's own functions, all of them, so that every call reaches this package. Only its
// functions with predicates are built into its parser.
var disabled = func() map[string]bool {
	names := map[string]bool{}
	for _, fn := range builtin.Builtins {
		names[fn.Name] = true
	}
	return names
}()

// The library reads these words as operators only. Where they stand as functions they are parsed under another name of the
// same length, so that places stay true.
var wordFunctions = map[string]string{"contains": "ᴄontains", "matches": "ᴍatches"}

var aliases = map[string]string{"ᴄontains": "contains", "ᴍatches": "matches"}

// syntaxError is what is wrong with an expression's text; at counts bytes.
type syntaxError struct {
	at            int
	message, hint string
}

// parseExpression gives the tree of an expression. Locations in it count characters. Where spans are allowed, 3d is a word of its own.
func parseExpression(text string, spans bool) (ast.Node, *syntaxError) {
	if len(text) > maxExpression {
		return nil, &syntaxError{message: "the expression is too long", hint: fmt.Sprintf("at most %d KiB: name some of it in let, or make a map of a long list", maxExpression>>10)}
	}
	runes := []rune(text)
	readable := runes
	if spans {
		readable = maskSpans(runes)
	}
	tokens, err := lexer.Lex(file.NewSource(string(readable)))
	if err != nil {
		return nil, explain(runes, err)
	}
	source, bad := substitute(readable, tokens)
	if bad != nil {
		return nil, bad
	}
	tree, err := parser.ParseWithConfig(source, &conf.Config{Disabled: disabled, MaxNodes: maxExprNodes})
	if err != nil {
		if strings.Contains(err.Error(), "maximum allowed nodes") { // the library has no error of its own for it
			return nil, &syntaxError{message: "the expression has too many parts", hint: fmt.Sprintf("at most %d: name some of it in let, or make a map of a long list", maxExprNodes)}
		}
		return nil, explain(runes, err)
	}
	return tree.Node, nil
}

// substitute renames functions that the library takes for operators, and replaces numbers that it cannot hold: their
// value is read from the original text anyway.
func substitute(runes []rune, tokens []lexer.Token) (string, *syntaxError) {
	out := slices.Clone(runes)
	for i, t := range tokens {
		switch {
		case t.Kind == lexer.Operator && wordFunctions[t.Value] != "" && isCall(tokens, i):
			copy(out[t.From:t.To], []rune(wordFunctions[t.Value]))
		case t.Kind == lexer.Identifier && aliases[t.Value] != "":
			return "", &syntaxError{at: byteOffset(runes, t.From), message: "unexpected letter"}
		case t.Kind == lexer.Number:
			if bad := checkNumber(t.Value); bad != nil {
				bad.at = byteOffset(runes, t.From)
				return "", bad
			}
			if len(t.Value) > 18 || strings.ContainsAny(t.Value, "eE") {
				for j := t.From; j < t.To; j++ {
					out[j] = '0'
				}
				out[t.To-1] = '1'
			}
		}
	}
	return string(out), nil
}

// isCall reports whether the word at i is called as a function: no operand before it, and a parenthesis behind it.
func isCall(tokens []lexer.Token, i int) bool {
	if i+1 >= len(tokens) || !tokens[i+1].Is(lexer.Bracket, "(") {
		return false
	}
	before := i - 1
	if before >= 0 && tokens[before].Is(lexer.Operator, "not") {
		before--
	}
	if before < 0 {
		return true
	}
	switch t := tokens[before]; t.Kind {
	case lexer.Operator:
		return t.Value != "." && t.Value != "?." && t.Value != "#"
	case lexer.Bracket:
		return strings.Contains("([{", t.Value)
	}
	return false
}

func checkNumber(s string) *syntaxError {
	switch {
	case len(s) > 1 && s[0] == '0' && s[1] >= '0' && s[1] <= '9':
		return &syntaxError{message: "the number " + s + " has leading zeros", hint: "codes are text: write them in quotes"}
	case len(s) > 1 && s[0] == '0' && strings.ContainsAny(s[1:2], "xXoObB"):
		return &syntaxError{message: "numbers are written in decimal"}
	}
	return nil
}

var unexpected = regexp.MustCompile(`^unexpected token (\w+)\("(.*)"\)$`)

// explain words an error of the library as a problem.
func explain(runes []rune, err error) *syntaxError {
	var fe *file.Error
	if !errors.As(err, &fe) {
		return &syntaxError{message: err.Error()}
	}
	s := &syntaxError{at: byteOffset(runes, fe.From), message: fe.Message}
	for alias, word := range aliases {
		s.message = strings.ReplaceAll(s.message, alias, word)
	}
	switch m := unexpected.FindStringSubmatch(s.message); {
	case s.message == "unexpected token EOF" || s.message == "unexpected end of expression":
		s.message = "the expression ends too early"
		s.hint = "a parenthesis, bracket or operand is missing; in YAML ` #` begins a comment and a comma ends a value inside {}: write such an expression as a block (`>-`)"
	case m != nil && m[2] == "=":
		s.message, s.hint = `unexpected "="`, "comparison is =="
	case m != nil && m[2] == ":":
		s.message, s.hint = `unexpected ":"`, "behind the comma of map() a brace begins a block: an object is written in two, {{a: …}}"
	case m != nil:
		s.message = "unexpected " + asWritten(runes, fe.From, m[2])
		if m[1] == "Identifier" || m[1] == "String" || m[1] == "Number" {
			s.hint = "an operator or a comma is missing before it; literal text is written in quotes"
		}
	case strings.Contains(s.message, "coalesce expressions"):
		s.message, s.hint = "?? cannot be mixed with other operators", "put the part with ?? in parentheses"
	case s.message == "expected name":
		s.message, s.hint = "the name of a field is missing behind the dot", "# alone is the element itself"
	case strings.HasPrefix(s.message, "literal not terminated"):
		s.message = "the text is not closed"
	}
	return s
}

// byteOffset turns a count of characters into one of bytes.
func byteOffset(runes []rune, n int) int {
	return len(string(runes[:max(0, min(n, len(runes)))]))
}
