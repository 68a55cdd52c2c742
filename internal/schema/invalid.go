package schema

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// Violation is one way in which a document breaks its schema.
type Violation struct {
	// Path leads to the value: "lines[2].sku"; "" is the document itself. A missing or unwanted property is named too.
	Path string
	// Keyword is the schema's rule: "type", "required", "pattern", ….
	Keyword string
	// Message says what is wrong; of a value it quotes at most 80 characters.
	Message string
}

// String is "path: message".
func (v Violation) String() string {
	if v.Path == "" {
		return v.Message
	}
	return v.Path + ": " + v.Message
}

// Invalid says that a document does not follow a schema. Its class is fault.Invalid.
type Invalid struct {
	Schema string
	// Problems are sorted by path; never empty, at most 100.
	Problems []Violation
	// More counts the problems beyond those.
	More int
}

// mostShown is how many problems an error text holds.
const mostShown = 5

func (e *Invalid) Error() string {
	var b strings.Builder
	b.WriteString("not valid by " + e.Schema + ": ")
	for i, p := range e.Problems {
		if i == mostShown {
			break
		}
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(p.String())
	}
	if more := len(e.Problems) + e.More - mostShown; more > 0 {
		fmt.Fprintf(&b, "; and %d more", more)
	}
	return b.String()
}

// As makes e a *fault.Error of kind Invalid for whoever asks for the class.
func (e *Invalid) As(target any) bool {
	t, ok := target.(**fault.Error)
	if ok {
		*t = &fault.Error{Kind: fault.Invalid, Op: "validate", Err: e}
	}
	return ok
}

const mostProblems = 100

// Validate gives nil or an *Invalid. It never panics, and may be called by several goroutines at once; d is only read.
func (s *Schema) Validate(d *jsondoc.Doc) error {
	if d.Root().Kind() == jsondoc.Missing {
		return &Invalid{Schema: s.name, Problems: []Violation{{Keyword: "type", Message: "there is no document"}}}
	}
	if s.judge == nil {
		return &Invalid{Schema: s.name, Problems: []Violation{{Keyword: "validator", Message: "the schema itself has problems; see waybill check"}}}
	}
	found := s.judge.judge(d)
	if len(found) == 0 {
		return nil
	}
	slices.SortStableFunc(found, func(a, b Violation) int {
		return cmp.Or(strings.Compare(a.Path, b.Path), strings.Compare(a.Keyword, b.Keyword), strings.Compare(a.Message, b.Message))
	})
	found = slices.Compact(found)
	e := &Invalid{Schema: s.name, Problems: found}
	if len(found) > mostProblems {
		e.Problems, e.More = found[:mostProblems:mostProblems], len(found)-mostProblems
	}
	return e
}
