// Package fault classifies failures once, where they happen; retry, metric label, HTTP status and the message's fate
// follow from the class.
package fault

import (
	"errors"
	"fmt"
	"time"
)

// Kind is the class of a failure.
type Kind uint8

const (
	// None is the kind of a nil error.
	None Kind = iota
	// Invalid: the document or request is wrong and will stay wrong: schema, mapping, other 4xx, 403.
	Invalid
	// Conflict: the target changed underneath (412, version), or holds the object already (see Duplicate).
	Conflict
	// NotFound: the object to change is gone in the target.
	NotFound
	// Auth: 401; refresh once, then pause.
	Auth
	// RateLimited: 429; see RetryAfter.
	RateLimited
	// Unavailable: certainly not applied: connection refused, 503, breaker.
	Unavailable
	// UnknownOutcome: sent, and nobody knows whether it was applied: 500, 502, 504, reset or timeout after sending.
	UnknownOutcome
)

var names = [...]string{"none", "invalid", "conflict", "not-found", "auth", "rate-limited", "unavailable", "unknown-outcome"}

func (k Kind) String() string {
	if int(k) < len(names) {
		return names[k]
	}
	return "unknown"
}

// Error is a classified failure. Its text never holds a secret.
type Error struct {
	Kind Kind
	// System is the system that failed, where there is one.
	System string
	// Op says what was tried: "create order", "GET /orders".
	Op string
	// Code is the target's own code: an HTTP status, an SQLSTATE; may be empty.
	Code string
	// RetryAfter is what the target asked for; zero when it did not.
	RetryAfter time.Duration
	// Field is the field of the document that was refused, as the target names it; empty where it names none.
	Field string
	// Answer is what the target answered, as far as it is kept for people, without secrets.
	Answer []byte
	// Duplicate marks a Conflict that means "an object with this id exists": find it and adopt it.
	Duplicate bool
	Err       error
}

func (e *Error) Error() string {
	s := ""
	if e.System != "" {
		s = e.System + ": "
	}
	if e.Op != "" {
		s += e.Op + ": "
	}
	if e.Code != "" {
		s += e.Code + ": "
	}
	if e.Err != nil {
		return s + e.Err.Error()
	}
	return s + e.Kind.String()
}

func (e *Error) Unwrap() error { return e.Err }

// New makes a classified failure with a text.
func New(k Kind, format string, args ...any) *Error {
	return &Error{Kind: k, Err: fmt.Errorf(format, args...)}
}

// Wrap classifies err; nil stays nil.
func Wrap(k Kind, op string, err error) error {
	if err == nil {
		return nil
	}
	return &Error{Kind: k, Op: op, Err: err}
}

// KindOf is the class of err. A failure that nobody classified has an unknown outcome: the safe reading, because it
// leads to a look before a second send.
func KindOf(err error) Kind {
	if err == nil {
		return None
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return UnknownOutcome
}

// As gives the classified failure inside err.
func As(err error) (*Error, bool) {
	var e *Error
	ok := errors.As(err, &e)
	return e, ok
}
