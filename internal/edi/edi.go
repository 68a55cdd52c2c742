// Package edi reads and writes X12 and EDIFACT: interchanges are divided into messages, messages become documents and documents messages by a
// table in YAML. It knows nothing of where the bytes lie.
package edi

import (
	"fmt"
	"strings"
)

// Standard is the family of an interchange.
type Standard string

// The standards.
const (
	X12     Standard = "x12"
	EDIFACT Standard = "edifact"
)

// Bounds of what is read.
const (
	// maxSegment bounds the bytes of one segment.
	maxSegment = 64 << 10
	// maxMessage bounds the bytes of one message, which is held in memory.
	maxMessage = 16 << 20
	// maxElements bounds the data elements of one segment.
	maxElements = 1000
	// maxLevels bounds how deep hierarchical levels stand in each other.
	maxLevels = 20
	// maxFaults bounds what is told of one message.
	maxFaults = 100
)

// hlKind is the data element of HL that says what a level is.
const hlKind = 3

// Syntax is how an interchange marks its parts. A mark that is 0 does not exist in it.
type Syntax struct {
	Standard                       Standard
	Element, Component, Terminator byte
	// Release makes the byte behind it an ordinary character (EDIFACT).
	Release byte
	// Repetition stands between repeats of one data element.
	Repetition byte
	// Decimal is the mark in numbers that are written: '.' or ','.
	Decimal byte
	// After is what follows each terminator: nothing, or a line end.
	After string
	// UNA: the interchange begins with the service string advice (EDIFACT).
	UNA bool
	// Level is EDIFACT's character set, such as UNOC; Version that of the syntax, 1 to 4.
	Level   string
	Version byte
}

// Kind says what is wrong with a message or its envelope, as far as the answer to its sender tells them apart.
type Kind uint8

// The kinds of faults.
const (
	FaultOther Kind = iota
	FaultMissingSegment
	FaultUnexpectedSegment
	FaultUnknownSegment
	FaultTooManySegments
	FaultTooManyLoops
	FaultMissingElement
	FaultTooManyElements
	FaultTooShort
	FaultTooLong
	FaultCharacter
	FaultCode
	FaultDate
	FaultTime
	FaultNumber
	FaultRepeats
	FaultCount
	FaultReference
	// FaultTrailer: the file ends before a trailer: the rest may just not be there yet.
	FaultTrailer
	FaultUnsupported
	FaultDuplicate
	FaultUnknownSender
	FaultUnknownRecipient
)

// Fault is one thing that is wrong, with its place. It never shows a free text of the message.
type Fault struct {
	Kind Kind
	// Segment is the tag, Position counts segments of the message from 1, the message's header; 0: it is of the interchange or group.
	Segment  string
	Position int
	// Element, Component and Repeat count from 1; 0: it is of the whole.
	Element, Component, Repeat int
	// Loop is the trigger of the loop that the segment stands in; empty: none.
	Loop string
	// Line is where in the file, from 1.
	Line int
	// Value is what stands there, for the answer to the sender; it is not part of the text.
	Value string
	Text  string
}

func (f *Fault) Error() string {
	var b strings.Builder
	if f.Line > 0 {
		fmt.Fprintf(&b, "line %d: ", f.Line)
	}
	if f.Position > 0 {
		fmt.Fprintf(&b, "segment %d (%s)", f.Position, f.Segment)
	} else if f.Segment != "" {
		b.WriteString(f.Segment)
	}
	if f.Element > 0 {
		fmt.Fprintf(&b, ", element %d", f.Element)
		if f.Component > 0 {
			fmt.Fprintf(&b, ".%d", f.Component)
		}
	}
	if f.Segment != "" {
		b.WriteString(": ")
	}
	b.WriteString(f.Text)
	return b.String()
}

// marks are the bytes that mean something within a segment.
func (s *Syntax) marks() []byte {
	out := []byte{s.Terminator, s.Element, s.Component}
	for _, m := range []byte{s.Repetition, s.Release} {
		if m != 0 {
			out = append(out, m)
		}
	}
	return out
}

// fit says why the marks of an interchange cannot be told apart, or nil.
func (s *Syntax) fit() error {
	marks := s.marks()
	for i, m := range marks {
		switch {
		case m >= '0' && m <= '9', m >= 'A' && m <= 'Z', m >= 'a' && m <= 'z', m >= 0x80, m == ' ':
			return fmt.Errorf("%q cannot be a separator", string(rune(m)))
		case strings.IndexByte(string(marks[:i]), m) >= 0:
			return fmt.Errorf("%q is a separator twice", string(rune(m)))
		}
	}
	if s.Terminator == '\r' || s.Terminator == '\n' {
		return nil
	}
	for _, m := range marks {
		if m == '\r' || m == '\n' {
			return fmt.Errorf("a line end can only end segments")
		}
	}
	return nil
}
