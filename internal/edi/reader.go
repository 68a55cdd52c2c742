package edi

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// span is a data element within a message's bytes.
type span struct{ from, to int32 }

// Segment is one segment of a message or envelope.
type Segment struct {
	Tag string
	// Number counts segments of the message from 1, its header; in an envelope, of the interchange.
	Number, Line int
	first, n     int32 // its elements in the message's spans
}

// Message is one message, X12's transaction set, with its header and trailer.
type Message struct {
	Group *Group
	// Type is 850 or ORDERS; Version is X12's of the group, 004010, or EDIFACT's, D:96A:UN:EAN008. Control is its control reference.
	Type, Version, Control string
	Segments               []Segment
	// Faults are those of its envelope: count and reference of the trailer.
	Faults []Fault
	Line   int

	syntax *Syntax
	data   []byte
	spans  []span
}

// Group is a functional group; in an EDIFACT interchange without groups it holds all messages, and has no Control.
type Group struct {
	Interchange *Interchange
	// Code is X12's functional identifier, PO; Sender and Receiver are those of the group, where it says any, with a qualifier in EDIFACT alone.
	Code, Control, Version string
	Sender, Receiver       Party
	// Messages counts them as they are read.
	Messages int
}

// Party is one end of an interchange.
type Party struct{ Qualifier, ID string }

// String writes qualifier and id as people do.
func (p Party) String() string {
	if p.Qualifier == "" {
		return p.ID
	}
	return p.Qualifier + ":" + p.ID
}

// Interchange is what the envelope says.
type Interchange struct {
	Syntax           Syntax
	Sender, Receiver Party
	// Control is the interchange's control reference; Version X12's of the envelope. Date and Time are as they stand there.
	Control, Version, Date, Time string
	// Test: it is none of production. Wanted: the sender asks for an acknowledgement.
	Test, Wanted bool
	Groups       int
	Line         int
}

// Reader gives the messages of a file one after the other. No more than one message is held.
type Reader struct {
	r    *bufio.Reader
	line int

	syntax Syntax
	in     *Interchange
	group  *Group
	number int // segments of the interchange
	tags   map[string]string
	seen   map[string]bool // control references of the group's messages
	count  int             // messages of the interchange, EDIFACT
	grpd   bool            // it holds groups
	buf    []byte          // a segment that is longer than the reader's buffer
	hint   sizes           // what the next message may have
	err    error
}

// sizes is how much a message holds.
type sizes struct{ bytes, spans, segments int }

// NewReader reads interchanges of one standard. X12 must be UTF-8; EDIFACT says its character set itself.
func NewReader(r io.Reader, std Standard) *Reader {
	return &Reader{r: bufio.NewReaderSize(r, maxSegment), line: 1, syntax: Syntax{Standard: std}, tags: map[string]string{}}
}

// Next gives the next message; io.EOF behind the last interchange, when all of it was whole. A *Fault says what is wrong with an envelope:
// nothing comes after it. Every other error is of the reading itself.
func (r *Reader) Next() (*Message, error) {
	if r.err != nil {
		return nil, r.err
	}
	m, err := r.next()
	r.err = err
	return m, err
}

func (r *Reader) next() (*Message, error) {
	for {
		if r.in == nil {
			if err := r.header(); err != nil {
				return nil, err
			}
		}
		e := &Message{syntax: &r.syntax, data: make([]byte, 0, r.hint.bytes), spans: make([]span, 0, r.hint.spans), Segments: make([]Segment, 0, r.hint.segments)}
		s, err := r.segment(e)
		if err != nil {
			return nil, r.cut(err)
		}
		r.number++
		s.Number = 0
		if r.syntax.Standard == X12 {
			m, err := r.x12(e, s)
			if m != nil || err != nil {
				return m, err
			}
			continue
		}
		m, err := r.edifact(e, s)
		if m != nil || err != nil {
			return m, err
		}
	}
}

// cut says that the file ends within an interchange.
func (r *Reader) cut(err error) error {
	if !errors.Is(err, io.EOF) {
		return err
	}
	what, trailer := "interchange "+r.in.Control, "IEA"
	if r.syntax.Standard == EDIFACT {
		trailer = "UNZ"
	}
	return &Fault{Kind: FaultTrailer, Segment: trailer, Line: r.line, Text: fmt.Sprintf("the file ends within %s: its trailer is not there", what)}
}

func (r *Reader) fault(k Kind, s *Segment, element int, format string, args ...any) *Fault {
	return &Fault{Kind: k, Segment: s.Tag, Position: s.Number, Line: s.Line, Element: element, Text: fmt.Sprintf(format, args...)}
}

func (r *Reader) x12(e *Message, s *Segment) (*Message, error) {
	switch s.Tag {
	case TA1: // tells of an interchange that was sent, and stands in no group
		e.Group, e.Type, e.Control, e.Line, e.syntax = &Group{Interchange: r.in}, TA1, e.Text(s, 1), s.Line, &r.in.Syntax
		return e, nil
	case "GS":
		if r.group != nil {
			return nil, r.fault(FaultOther, s, 0, "a group begins before GE ended the one before")
		}
		r.group = &Group{Interchange: r.in, Code: e.Text(s, 1), Sender: Party{ID: e.Text(s, 2)}, Receiver: Party{ID: e.Text(s, 3)}, Control: e.Text(s, 6), Version: e.Text(s, 8)}
		if r.group.Code == "" || r.group.Control == "" {
			return nil, r.fault(FaultMissingElement, s, 6, "functional identifier and control number must be there")
		}
		r.in.Groups++
		r.seen = map[string]bool{}
		return nil, nil
	case "ST":
		if r.group == nil {
			return nil, r.fault(FaultUnexpectedSegment, s, 0, "a transaction set stands outside of a group")
		}
		return r.message(e, s, "SE")
	case "GE":
		g := r.group
		if g == nil {
			return nil, r.fault(FaultUnexpectedSegment, s, 0, "it ends a group that has not begun")
		}
		if err := r.trailer(e, s, g.Messages, "transaction sets", g.Control); err != nil {
			return nil, err
		}
		r.group = nil
		return nil, nil
	case "IEA":
		if r.group != nil {
			return nil, r.fault(FaultOther, s, 0, "the interchange ends before GE ended its group")
		}
		if err := r.trailer(e, s, r.in.Groups, "groups", r.in.Control); err != nil {
			return nil, err
		}
		r.in = nil
		return nil, nil
	}
	return nil, r.fault(FaultUnexpectedSegment, s, 0, "it stands outside of a transaction set")
}

func (r *Reader) edifact(e *Message, s *Segment) (*Message, error) {
	switch s.Tag {
	case "UNG":
		if r.group != nil && r.group.Control != "" || r.count > 0 {
			return nil, r.fault(FaultOther, s, 0, "a group begins before UNE ended the one before, or among messages that are in none")
		}
		r.group = &Group{Interchange: r.in, Code: e.Text(s, 1), Sender: Party{e.Component(s, 2, 2), e.Component(s, 2, 1)}, Receiver: Party{e.Component(s, 3, 2), e.Component(s, 3, 1)}, Control: e.Text(s, 5), Version: e.joined(s, 7)}
		if r.group.Control == "" {
			return nil, r.fault(FaultMissingElement, s, 5, "the group has no reference")
		}
		r.in.Groups++
		r.grpd = true
		r.seen = map[string]bool{}
		return nil, nil
	case "UNH":
		if r.group == nil {
			if r.grpd {
				return nil, r.fault(FaultOther, s, 0, "a message stands outside of the groups")
			}
			r.group = &Group{Interchange: r.in}
			r.seen = map[string]bool{}
		}
		if r.group.Control == "" {
			r.count++
		}
		return r.message(e, s, "UNT")
	case "UNE":
		if r.group == nil || r.group.Control == "" {
			return nil, r.fault(FaultUnexpectedSegment, s, 0, "it ends a group that has not begun")
		}
		if err := r.trailer(e, s, r.group.Messages, "messages", r.group.Control); err != nil {
			return nil, err
		}
		r.group = nil
		return nil, nil
	case "UNZ":
		n, what := r.count, "messages"
		if r.grpd {
			if r.group != nil {
				return nil, r.fault(FaultOther, s, 0, "the interchange ends before UNE ended its group")
			}
			n, what = r.in.Groups, "groups"
		}
		if err := r.trailer(e, s, n, what, r.in.Control); err != nil {
			return nil, err
		}
		r.in, r.group = nil, nil
		return nil, nil
	}
	return nil, r.fault(FaultUnexpectedSegment, s, 0, "it stands outside of a message")
}

// trailer checks what ends a group or an interchange: a count and a reference.
func (r *Reader) trailer(e *Message, s *Segment, n int, what, control string) error {
	var f *Fault
	if got := e.Text(s, 1); !sameCount(got, n) {
		f = r.fault(FaultCount, s, 1, "it says %q %s, and there are %d", short(got), what, n)
	} else if got := e.Text(s, 2); got != control && !(r.syntax.Standard == X12 && sameNumber(got, control)) {
		f = r.fault(FaultReference, s, 2, "its reference is %q, and %q in the header", short(got), short(control))
	} else {
		return nil
	}
	f.Value = e.Text(s, f.Element)
	return f
}

func sameCount(text string, n int) bool { return sameNumber(text, fmt.Sprint(n)) }

// sameNumber: both are whole numbers, and the same. Zeros before them mean nothing.
func sameNumber(a, b string) bool {
	return a != "" && b != "" && strings.Trim(a+b, "0123456789") == "" && strings.TrimLeft(a, "0") == strings.TrimLeft(b, "0")
}

// message reads from the header s to the trailer.
func (r *Reader) message(m *Message, s *Segment, trailer string) (*Message, error) {
	m.Group, m.Line = r.group, s.Line
	m.syntax = &r.in.Syntax
	s.Number = 1
	if trailer == "SE" {
		m.Type, m.Control, m.Version = m.Text(s, 1), m.Text(s, 2), r.group.Version
		if v := m.Text(s, 3); v != "" {
			m.Version = v
		}
	} else {
		m.Type, m.Control, m.Version = m.Text(s, 2), m.Text(s, 1), strings.TrimPrefix(strings.TrimPrefix(m.joined(s, 2), m.Text(s, 2)), ":")
	}
	r.group.Messages++
	if m.Type == "" || m.Control == "" {
		m.fault(FaultMissingElement, s, 0, "the message has no type, or no reference")
	} else if r.seen[m.Control] {
		m.fault(FaultDuplicate, s, 0, "the reference %q has been there before in this group", short(m.Control))
	}
	r.seen[m.Control] = true
	for {
		s, err := r.segment(m)
		if err != nil {
			return nil, r.cut(err)
		}
		r.number++
		switch s.Tag {
		case trailer:
			if got := m.Text(s, 1); !sameCount(got, len(m.Segments)) {
				m.fault(FaultCount, s, 1, "it says %q segments, and there are %d", short(got), len(m.Segments))
			}
			if got := m.Text(s, 2); got != m.Control {
				m.fault(FaultReference, s, 2, "its reference is %q, and %q in the header", short(got), short(m.Control))
			}
			r.hint = sizes{min(len(m.data)+64, 64<<10), min(len(m.spans)+8, 8<<10), min(len(m.Segments)+2, 2<<10)}
			return m, nil
		case "ST", "GS", "GE", "ISA", "IEA":
			if r.syntax.Standard == X12 {
				return nil, r.fault(FaultOther, s, 0, "it stands where SE should end the transaction set of line %d", m.Line)
			}
		case "UNH", "UNG", "UNE", "UNB", "UNZ":
			if r.syntax.Standard == EDIFACT {
				return nil, r.fault(FaultOther, s, 0, "it stands where UNT should end the message of line %d", m.Line)
			}
		}
		if len(m.data) > maxMessage {
			return nil, r.fault(FaultOther, s, 0, "the message of line %d has more than %d bytes", m.Line, maxMessage)
		}
	}
}

func (m *Message) fault(k Kind, s *Segment, element int, format string, args ...any) {
	m.Faults = append(m.Faults, Fault{Kind: k, Segment: s.Tag, Position: s.Number, Line: s.Line, Element: element, Text: fmt.Sprintf(format, args...)})
}

// segment reads one into m.
func (r *Reader) segment(m *Message) (*Segment, error) {
	r.blank()
	line := r.line
	raw, err := r.raw()
	if err != nil {
		return nil, err
	}
	base := int32(len(m.data))
	m.data = append(m.data, raw...)
	raw = m.data[base:]
	first := int32(len(m.spans))
	from := int32(0)
	release := r.syntax.Release
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case c == release && c != 0:
			i++
		case c == r.syntax.Element:
			m.spans = append(m.spans, span{base + from, base + int32(i)})
			from = int32(i) + 1
		}
	}
	m.spans = append(m.spans, span{base + from, base + int32(len(raw))})
	tag := m.spans[first]
	if release != 0 || r.syntax.Standard == EDIFACT { // a tag may carry nesting indications behind a component mark
		if i := bytes.IndexByte(m.data[tag.from:tag.to], r.syntax.Component); i >= 0 {
			tag.to = tag.from + int32(i)
		}
	}
	text := m.data[tag.from:tag.to]
	name, ok := r.tags[string(text)]
	if !ok {
		if len(text) < 2 || len(text) > 3 || bytes.ContainsFunc(text, func(c rune) bool { return (c < 'A' || c > 'Z') && (c < '0' || c > '9') }) {
			return nil, &Fault{Kind: FaultUnknownSegment, Line: line, Text: fmt.Sprintf("%q is no tag of a segment", short(strings.ToValidUTF8(string(text), "?")))}
		}
		name = string(text)
		r.tags[name] = name
	}
	n := int32(len(m.spans)) - first
	if n > maxElements {
		return nil, &Fault{Kind: FaultTooManyElements, Segment: name, Line: line, Text: fmt.Sprintf("it has more than %d data elements", maxElements)}
	}
	m.Segments = append(m.Segments, Segment{Tag: name, Number: len(m.Segments) + 1, Line: line, first: first, n: n})
	return &m.Segments[len(m.Segments)-1], nil
}

// byteOrder is what some programs put before UTF-8.
const byteOrder = "\ufeff"

// blank skips what stands between segments and means nothing: line ends, and blanks as records are padded with. Around interchanges this is also the mark of a
// byte order, and control characters: what old systems and lines begin and end transmissions with.
func (r *Reader) blank() {
	for {
		b, err := r.r.Peek(1)
		if err != nil {
			return
		}
		n := 0
		switch b[0] {
		case '\n':
			r.line++
			n = 1
		case '\r', ' ', '\t':
			n = 1
		case byteOrder[0]:
			if mark, _ := r.r.Peek(len(byteOrder)); r.in == nil && string(mark) == byteOrder {
				n = len(byteOrder)
			}
		default:
			if r.in == nil && (b[0] < ' ' || b[0] == 0x7f) {
				n = 1
			}
		}
		if n == 0 {
			return
		}
		_, _ = r.r.Discard(n) // it was peeked
	}
}

// raw gives the bytes of a segment without its terminator, valid until the next call. io.EOF: there are none. What is followed by no
// terminator is cut off.
func (r *Reader) raw() ([]byte, error) {
	r.buf = r.buf[:0]
	for {
		part, err := r.r.ReadSlice(r.syntax.Terminator)
		if len(r.buf)+len(part) > maxSegment {
			return nil, &Fault{Kind: FaultOther, Line: r.line, Text: fmt.Sprintf("a segment has more than %d bytes: is its terminator %q?", maxSegment, string(rune(r.syntax.Terminator)))}
		}
		r.line += bytes.Count(part, []byte{'\n'})
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return nil, err
		}
		if err != nil || r.released(part) {
			r.buf = append(r.buf, part...)
			continue
		}
		if len(r.buf) == 0 {
			return part[:len(part)-1], nil
		}
		r.buf = append(r.buf, part...)
		return r.buf[:len(r.buf)-1], nil
	}
}

// released: the terminator that part ends with is an ordinary character.
func (r *Reader) released(part []byte) bool {
	if r.syntax.Release == 0 {
		return false
	}
	n := 0
	at := func(i int) (byte, bool) {
		if i < len(part) {
			return part[len(part)-1-i], true
		}
		if i -= len(part); i < len(r.buf) {
			return r.buf[len(r.buf)-1-i], true
		}
		return 0, false
	}
	for i := 1; ; i++ {
		if c, ok := at(i); !ok || c != r.syntax.Release {
			return n%2 == 1
		}
		n++
	}
}

// Len is how many data elements a segment has.
func (m *Message) Len(s *Segment) int { return int(s.n) - 1 }

// bare: a segment has no data.
func (m *Message) bare(s *Segment) bool {
	for e := 1; e <= m.Len(s); e++ {
		if len(m.element(s, e)) > 0 {
			return false
		}
	}
	return true
}

// element gives the bytes of a data element, from 1.
func (m *Message) element(s *Segment, e int) []byte {
	if e < 1 || e >= int(s.n) {
		return nil
	}
	at := m.spans[int(s.first)+e]
	return m.data[at.from:at.to]
}

// cutAt gives what stands before the first mark, and behind it; more: there was one.
func (s *Syntax) cutAt(raw []byte, mark byte) (head, rest []byte, more bool) {
	if mark == 0 {
		return raw, nil, false
	}
	if s.Release == 0 {
		if i := bytes.IndexByte(raw, mark); i >= 0 {
			return raw[:i], raw[i+1:], true
		}
		return raw, nil, false
	}
	for i := 0; i < len(raw); i++ {
		switch raw[i] {
		case s.Release:
			i++
		case mark:
			return raw[:i], raw[i+1:], true
		}
	}
	return raw, nil, false
}

// Text is the first component of a data element, from 1, without its release characters; "" where there is none or it is no text.
func (m *Message) Text(s *Segment, e int) string { return m.Component(s, e, 1) }

// Component is a component of a data element's first repeat, both from 1.
func (m *Message) Component(s *Segment, e, c int) string {
	raw, _, _ := m.syntax.cutAt(m.element(s, e), m.syntax.Repetition)
	more := true
	var part []byte
	for ; c > 0 && more; c-- {
		part, raw, more = m.syntax.cutAt(raw, m.syntax.Component)
	}
	if c > 0 {
		return ""
	}
	text, err := m.syntax.text(part)
	if err != nil {
		return ""
	}
	return text
}

// among reports whether a component is one of values.
func (m *Message) among(s *Segment, e, c int, values []string) bool {
	raw := m.element(s, e)
	if m.syntax.plain(raw) && c == 1 {
		raw, _, _ = m.syntax.cutAt(raw, m.syntax.Repetition)
		raw, _, _ = m.syntax.cutAt(raw, m.syntax.Component)
		for _, v := range values {
			if v == string(raw) {
				return true
			}
		}
		return false
	}
	return slices.Contains(values, m.Component(s, e, c))
}

// joined gives all components of a data element with colons between them.
func (m *Message) joined(s *Segment, e int) string {
	var out []string
	raw, more := m.element(s, e), true
	for more {
		var part []byte
		part, raw, more = m.syntax.cutAt(raw, m.syntax.Component)
		text, _ := m.syntax.text(part) // what is no text stays out
		out = append(out, text)
	}
	return strings.TrimRight(strings.Join(out, ":"), ":")
}

// Values gives a data element whole: its repeats, each with its components. The error says why it is no text.
func (m *Message) Values(s *Segment, e int) ([][]string, error) {
	var out [][]string
	rest, again := m.element(s, e), true
	for again {
		var one []byte
		one, rest, again = m.syntax.cutAt(rest, m.syntax.Repetition)
		var parts []string
		more := true
		for more {
			var part []byte
			part, one, more = m.syntax.cutAt(one, m.syntax.Component)
			text, err := m.syntax.text(part)
			if err != nil {
				return nil, err
			}
			parts = append(parts, text)
		}
		out = append(out, parts)
	}
	return out, nil
}

func short(s string) string {
	if r := []rune(s); len(r) > 40 {
		return string(r[:37]) + "..."
	}
	return s
}
