package mapping

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// maxShown is how many characters of a document's value an error shows.
const maxShown = 80

// MissingRef says which cross-reference an expression needed and did not find; the engine waits for it. Hub or Local is set.
type MissingRef struct {
	Entity string
	System string
	// Hub is set where the object is known and lacks an id in System (xref_id).
	Hub string
	// Local is set where nobody has seen System's object yet (xref).
	Local string
}

func (m *MissingRef) Error() string {
	if m.Hub != "" {
		return fmt.Sprintf("%s %s has no id in %s yet", m.Entity, show(m.Hub), m.System)
	}
	return fmt.Sprintf("%s %s of %s is not known to the hub yet", m.Entity, show(m.Local), m.System)
}

// UnknownCode is a code that a value map with the policy park does not list.
type UnknownCode struct {
	Map    string
	System string
	// Direction is "value" (system to canonical) or "code" (canonical to system).
	Direction string
	Code      string
}

func (u *UnknownCode) Error() string {
	if u.Direction == DirectionCode {
		return fmt.Sprintf("value map %s has no code in %s for %s; add it to the map, or say what to do under unknown", u.Map, u.System, show(u.Code))
	}
	return fmt.Sprintf("value map %s does not know the code %s of %s; add it to the map, or say what to do under unknown", u.Map, show(u.Code), u.System)
}

// Error is a failure of one rule on one document. It counts as fault.Invalid, unless the cause says otherwise (a
// cross-reference that could not be looked up is fault.Unavailable) or the hub is stopping.
type Error struct {
	// Mapping is the mapping's name; empty for an expression of a flow.
	Mapping string
	// Field is the rule's target field, with the positions in lists: lines[2].amount.
	Field string
	// Pos is the place in the mapping's file: of the part of the expression that failed, where that is known.
	Pos strictyaml.Pos
	Err error
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Pos.String())
	b.WriteString(": ")
	if e.Mapping != "" {
		b.WriteString(e.Mapping)
		b.WriteString(": ")
	}
	if e.Field != "" {
		b.WriteString(e.Field)
		b.WriteString(": ")
	}
	b.WriteString(e.Err.Error())
	return b.String()
}

// Unwrap gives the cause and its class.
func (e *Error) Unwrap() []error {
	if _, ok := fault.As(e.Err); ok || errors.Is(e.Err, context.Canceled) || errors.Is(e.Err, context.DeadlineExceeded) {
		return []error{e.Err}
	}
	return []error{e.Err, &fault.Error{Kind: fault.Invalid, Op: "mapping", Err: e.Err}}
}

// evalError is a failure with its place inside the expression.
type evalError struct {
	at  int // byte offset in the expression's text
	err error
}

func (e *evalError) Error() string { return e.err.Error() }
func (e *evalError) Unwrap() error { return e.err }

// at adds the place to err, unless a deeper part has said it already.
func at(offset int, err error) error {
	if err == nil {
		return nil
	}
	var known *evalError
	if errors.As(err, &known) {
		return err
	}
	return &evalError{at: offset, err: err}
}

// errAbsent: a value is needed where the document has none.
var errAbsent = errors.New("the value is absent, and the rule is not optional: write `?` after the field name to leave it out, or give a default with `??`")

// show quotes a document's value, shortened.
func show(s string) string { return fmt.Sprintf("%q", shorten(s)) }

func shorten(s string) string {
	if utf8.RuneCountInString(s) <= maxShown {
		return s
	}
	n := 0
	for i := range s {
		if n == maxShown-1 {
			return s[:i] + "…"
		}
		n++
	}
	return s
}
