package edi

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
)

// isaWidths are the fixed widths of ISA's sixteen data elements.
var isaWidths = [16]int{2, 10, 2, 10, 2, 15, 2, 15, 6, 4, 1, 5, 9, 1, 1, 1}

// header reads what begins an interchange, and takes the marks from it. io.EOF: there is none any more.
func (r *Reader) header() error {
	r.group, r.number, r.count, r.grpd = nil, 0, 0, false
	r.syntax = Syntax{Standard: r.syntax.Standard}
	r.blank()
	r.in = &Interchange{Line: r.line}
	head, err := r.r.Peek(3)
	if len(head) == 0 {
		r.in = nil
		return err
	}
	var problem error
	switch {
	case r.syntax.Standard == X12 && string(head) == "ISA":
		problem = r.isa()
	case r.syntax.Standard == EDIFACT && (string(head) == "UNA" || string(head) == "UNB"):
		problem = r.unb(string(head) == "UNA")
	case err != nil && !errors.Is(err, io.EOF):
		return err
	default:
		problem = &Fault{Line: r.line, Text: fmt.Sprintf("no interchange begins here (%q): X12 begins with ISA, EDIFACT with UNA or UNB", short(strings.ToValidUTF8(string(head), "?")))}
	}
	return problem
}

// isa reads X12's header. Everything that marks is taken from its fixed places.
func (r *Reader) isa() error {
	const length = 106
	b, err := r.r.Peek(length)
	if err != nil {
		return r.headerEnds(err, "ISA", length)
	}
	bad := func(element int, format string, args ...any) error {
		return &Fault{Kind: FaultOther, Segment: "ISA", Element: element, Line: r.line, Text: fmt.Sprintf(format, args...)}
	}
	sep := b[3]
	var fields [16]string
	at := 4
	for i, width := range isaWidths {
		fields[i] = string(b[at : at+width])
		if strings.IndexByte(fields[i], sep) >= 0 || b[at-1] != sep {
			return bad(i+1, "it must have %d characters: the header is of fixed widths", width)
		}
		at += width + 1
	}
	s := Syntax{Standard: X12, Element: sep, Component: b[104], Terminator: b[105], Decimal: '.'}
	if m := fields[10][0]; fields[11] >= "00402" && !letterOrDigit(m) && m != ' ' {
		s.Repetition = m
	}
	if err := s.fit(); err != nil {
		return bad(0, "%s", err)
	}
	for i, f := range fields[:15] {
		if i == 10 {
			continue
		}
		if _, err := (&Syntax{}).text([]byte(f)); err != nil {
			return bad(i+1, "%s", err)
		}
	}
	_, _ = r.r.Discard(length) // it was peeked
	if s.Terminator == '\n' {
		r.line++
	}
	s.After = after(r.r, s.Terminator)
	in := r.in
	in.Syntax = s
	in.Sender = Party{strings.TrimSpace(fields[4]), strings.TrimRight(fields[5], " ")}
	in.Receiver = Party{strings.TrimSpace(fields[6]), strings.TrimRight(fields[7], " ")}
	in.Date, in.Time, in.Version, in.Control = fields[8], fields[9], fields[11], fields[12]
	in.Wanted, in.Test = fields[13] == "1", fields[14] == "T"
	if strings.Trim(in.Control, "0123456789") != "" {
		return bad(13, "%q is no control number of nine digits", in.Control)
	}
	r.syntax = s
	return nil
}

func letterOrDigit(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
}

func (r *Reader) headerEnds(err error, tag string, n int) error {
	if !errors.Is(err, io.EOF) {
		return err
	}
	return &Fault{Kind: FaultTrailer, Segment: tag, Line: r.line, Text: fmt.Sprintf("the file ends within the header, which has %d characters", n)}
}

// after tells what follows a terminator: a line end, or nothing.
func after(b *bufio.Reader, terminator byte) string {
	next, _ := b.Peek(2) // fewer are fewer
	for _, end := range []string{"\r\n", "\n", "\r"} {
		if strings.HasPrefix(string(next), end) && end[0] != terminator {
			return end
		}
	}
	return ""
}

// unb reads EDIFACT's header, with the service string advice before it or without.
func (r *Reader) unb(advised bool) error {
	s := Syntax{Standard: EDIFACT, Component: ':', Element: '+', Decimal: '.', Release: '?', Terminator: '\'', UNA: advised}
	bad := func(tag string, element int, format string, args ...any) error {
		return &Fault{Kind: FaultOther, Segment: tag, Element: element, Line: r.line, Text: fmt.Sprintf(format, args...)}
	}
	var repetition byte = '*'
	if advised {
		const length = 9
		b, err := r.r.Peek(length)
		if err != nil {
			return r.headerEnds(err, "UNA", length)
		}
		s.Component, s.Element, s.Decimal, s.Release, repetition, s.Terminator = b[3], b[4], b[5], b[6], b[7], b[8]
		if s.Release == ' ' {
			s.Release = 0 // there is none
		}
		if repetition == ' ' {
			repetition = 0
		}
		_, _ = r.r.Discard(length) // it was peeked
		if s.Terminator == '\n' {
			r.line++
		}
		s.After = after(r.r, s.Terminator)
		r.blank()
	} else if b, _ := r.r.Peek(4); len(b) == 4 && b[3] == 0x1d { // the separators of level B
		s.Component, s.Element, s.Terminator, s.Release = 0x1f, 0x1d, 0x1c, 0
	}
	if s.Decimal != '.' && s.Decimal != ',' {
		s.Decimal = '.' // a blank: syntax 4 does not say it any more
	}
	if err := s.fit(); err != nil {
		return bad("UNA", 0, "%s", err)
	}
	r.syntax = s
	e := &Message{syntax: &r.syntax}
	seg, err := r.segment(e)
	if err != nil {
		return r.cut(err)
	}
	if seg.Tag != "UNB" {
		return bad(seg.Tag, 0, "UNB must follow UNA")
	}
	if !advised {
		s.After = after(r.r, s.Terminator)
	}
	level, version := e.Component(seg, 1, 1), e.Component(seg, 1, 2)
	if _, known := levels[level]; !known {
		return bad("UNB", 1, "the character set %q is not known here: UNOA to UNOL, UNOW and UNOY are", short(level))
	}
	if len(version) == 0 || version[0] < '1' || version[0] > '4' || strings.Trim(version, "0123456789") != "" {
		return bad("UNB", 1, "the version %q of the syntax is not known here: 1 to 4 are", short(version))
	}
	s.Level, s.Version = level, version[0]
	if s.Version >= '4' && repetition != 0 {
		s.Repetition = repetition
	}
	if err := s.fit(); err != nil {
		return bad("UNA", 0, "%s", err)
	}
	r.syntax = s
	in := r.in
	in.Syntax = s
	party := func(e2 int) Party { return Party{e.Component(seg, e2, 2), e.Component(seg, e2, 1)} }
	in.Sender, in.Receiver = party(2), party(3)
	in.Date, in.Time, in.Control = e.Component(seg, 4, 1), e.Component(seg, 4, 2), e.Component(seg, 5, 1)
	in.Wanted = e.Text(seg, 9) == "1"
	in.Test = strings.Trim(e.Text(seg, 11), "0") != "" // syntax 4 tells kinds of tests apart
	if in.Control == "" || in.Sender.ID == "" || in.Receiver.ID == "" {
		return bad("UNB", 0, "sender, recipient and control reference must be there")
	}
	return nil
}
