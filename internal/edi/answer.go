package edi

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// Received is an interchange that came, as far as its sender is told of it.
type Received struct {
	Agreement *Agreement
	// Control is its reference.
	Control string
	// Answers are what its acknowledgements say of interchanges that were sent.
	Answers []Answer
	// Rows are how many of its messages are documents, or have a fault in their place.
	Rows int

	in     *Interchange
	groups []*receivedGroup
	// refused is what is wrong with its envelope: nothing of it was taken.
	refused *Fault
}

// Answer is what a partner says of what was sent under a control number.
type Answer struct {
	Number int64
	// Accepted and Rejected: all of it, or none; neither: a part.
	Accepted, Rejected bool
}

type receivedGroup struct {
	group    *Group
	messages []receivedMessage
}

type receivedMessage struct {
	kind, control, version string
	faults                 []Fault
}

// Receive reads a file as Document does, and keeps of it what its senders are answered. The error is a *Fault where an envelope is wrong or nobody
// agreed to it.
func (b *Book) Receive(r io.Reader) ([]*Received, error) {
	rd := NewReader(r, b.standard)
	var out []*Received
	for {
		m, err := rd.Next()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		in := m.Group.Interchange
		if len(out) == 0 || out[len(out)-1].in != in {
			a, fault := b.agreed(in)
			if fault != nil {
				return nil, fault
			}
			out = append(out, &Received{Agreement: a, Control: in.Control, in: in})
		}
		now := out[len(out)-1]
		if acknowledges(m.Type) {
			now.Answers = append(now.Answers, answers(m)...)
			if b.tables[m.Type] != nil {
				now.Rows++
			}
			continue
		}
		if len(now.groups) == 0 || now.groups[len(now.groups)-1].group != m.Group {
			now.groups = append(now.groups, &receivedGroup{group: m.Group})
		}
		g := now.groups[len(now.groups)-1]
		doc, faults, _, _ := b.Document(m) // its interchange is agreed to
		now.Rows += b.rows(doc, faults)
		g.messages = append(g.messages, receivedMessage{m.Type, m.Control, m.Version, faults})
	}
}

// rows is how many documents a message is taken as.
func (b *Book) rows(doc []byte, faults []Fault) int {
	if len(faults) > 0 {
		return 1
	}
	parts, err := b.Parts(doc)
	if err != nil {
		return 1
	}
	return parts.Len()
}

// Refused gives the interchange of a file that ends with a wrong count or reference of its own or a group's, for which nothing of the file was taken: its sender is told so. nil: the
// file has another fault, or nobody agreed to answer.
func (b *Book) Refused(r io.Reader) (*Received, error) {
	rd := NewReader(r, b.standard)
	for {
		_, err := rd.Next()
		var f *Fault
		switch {
		case err == nil:
			continue
		case !errors.As(err, &f):
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return nil, err
		case f.Kind != FaultCount && f.Kind != FaultReference: // those of messages are theirs
			return nil, nil
		}
		a, fault := b.agreed(rd.in)
		if a == nil || fault != nil {
			return nil, nil
		}
		out := &Received{Agreement: a, Control: rd.in.Control, in: rd.in, refused: f}
		if rd.group != nil {
			out.groups = []*receivedGroup{{group: rd.group}}
		}
		return out, nil
	}
}

// interchangeNotes are TA1's (I18) of what is wrong with an interchange; groupErrors those of AK905.
var (
	interchangeNotes = map[Kind]string{FaultReference: "001", FaultCount: "021"}
	groupErrors      = map[Kind]string{FaultReference: "4", FaultCount: "5"}
)

// TA1 is the type of a message that is a segment alone: X12's answer to an interchange.
const TA1 = "TA1"

// refusal answers an interchange that was refused.
func (r *Received) refusal() Body {
	switch f := r.refused; {
	case r.Agreement.Acknowledge == "CONTRL":
		party := func(p Party) [][]string { return [][]string{{p.ID, p.Qualifier}} }
		v := Values{"UCI", [][][]string{{{r.Control}}, party(r.in.Sender), party(r.in.Receiver), {{"4"}}, {{edifactMessage[f.Kind]}}, {{f.Segment}}, {{fmt.Sprint(f.Element + 1)}}}}
		v.trim()
		return Body{Type: "CONTRL", Segments: []Values{v}}
	case f.Segment == "GE":
		g := r.groups[0].group
		head := []string{g.Code, g.Control}
		if r.Agreement.Acknowledge == "999" {
			head = append(head, g.Version)
		}
		included := fmt.Sprint(g.Messages)
		if n, err := strconv.ParseUint(f.Value, 10, 32); err == nil && f.Kind == FaultCount && n <= 999_999 { // what the sender says, where that is a number
			included = fmt.Sprint(n)
		}
		return Body{Type: r.Agreement.Acknowledge, Code: "FA", Segments: []Values{simple("AK1", head...), simple("AK9", "R", included, fmt.Sprint(g.Messages), "0", groupErrors[f.Kind])}}
	default:
		return Body{Type: TA1, Segments: []Values{simple(TA1, r.Control, r.in.Date, r.in.Time, "R", interchangeNotes[f.Kind])}}
	}
}

// answers reads an acknowledgement. What has no number of the hub's own is not one of its interchanges.
func answers(m *Message) []Answer {
	at := func(tag string) (out []*Segment) {
		for i := range m.Segments {
			if m.Segments[i].Tag == tag {
				out = append(out, &m.Segments[i])
			}
		}
		return out
	}
	if m.Type == TA1 { // that an interchange arrived says nothing of what is in it
		n, err := strconv.ParseInt(m.Text(&m.Segments[0], 1), 10, 64)
		if err != nil || m.Text(&m.Segments[0], 4) != "R" {
			return nil
		}
		return []Answer{{Number: n, Rejected: true}}
	}
	if m.Type == "CONTRL" {
		var out []Answer
		for _, s := range at("UCI") {
			n, err := strconv.ParseInt(m.Text(s, 1), 10, 64)
			action := m.Text(s, 4)
			if err != nil || action != "4" && action != "7" { // 8: it was received, and nothing is said of what is in it yet
				continue
			}
			a := Answer{Number: n, Rejected: action == "4"}
			refused, all := 0, at("UCM")
			for _, u := range all {
				if m.Text(u, 3) == "4" {
					refused++
				}
			}
			for _, g := range at("UCF") { // of a group of one message: what is written has no other
				a.Rejected = a.Rejected || m.Text(g, 4) == "4"
			}
			a.Rejected = a.Rejected || refused > 0 && refused == len(all)
			a.Accepted = !a.Rejected && refused == 0
			out = append(out, a)
		}
		return out
	}
	heads, ends := at("AK1"), at("AK9")
	if len(heads) != 1 || len(ends) != 1 {
		return nil
	}
	n, err := strconv.ParseInt(m.Text(heads[0], 2), 10, 64)
	if err != nil {
		return nil
	}
	status := m.Text(ends[0], 1)
	return []Answer{{Number: n, Accepted: status == "A" || status == "E", Rejected: status != "A" && status != "E" && status != "P"}}
}

// Acknowledgement gives the messages that answer an interchange, as its agreement wants it; none where it wants none, or nothing is to be answered.
func (r *Received) Acknowledgement() []Body {
	if r.Agreement == nil || r.Agreement.Acknowledge == "" {
		return nil
	}
	if r.refused != nil {
		return []Body{r.refusal()}
	}
	if len(r.groups) == 0 {
		return nil
	}
	switch r.Agreement.Acknowledge {
	case "997", "999":
		var out []Body
		for _, g := range r.groups {
			out = append(out, r.functional(g, r.Agreement.Acknowledge))
		}
		return out
	case "CONTRL":
		return []Body{r.contrl()}
	}
	return nil
}

// x12Segment and x12Element are the codes of AK304 and AK403; edifact those of data element 0085.
var (
	x12Segment = map[Kind]string{FaultUnknownSegment: "1", FaultUnexpectedSegment: "2", FaultMissingSegment: "3", FaultTooManyLoops: "4", FaultTooManySegments: "5"}
	x12Element = map[Kind]string{FaultMissingElement: "1", FaultTooManyElements: "3", FaultTooShort: "4", FaultTooLong: "5", FaultCharacter: "6", FaultNumber: "6", FaultCode: "7",
		FaultDate: "8", FaultTime: "9", FaultCount: "7", FaultRepeats: "3"}
	x12Message  = map[Kind]string{FaultUnsupported: "1", FaultReference: "3", FaultCount: "4", FaultMissingElement: "6", FaultDuplicate: "23"}
	edifactCode = map[Kind]string{FaultUnknownSegment: "15", FaultUnexpectedSegment: "15", FaultMissingSegment: "13", FaultTooManyLoops: "36", FaultTooManySegments: "35",
		FaultMissingElement: "13", FaultTooManyElements: "16", FaultTooShort: "40", FaultTooLong: "39", FaultCharacter: "21", FaultNumber: "37", FaultCode: "12", FaultDate: "12",
		FaultTime: "12", FaultRepeats: "35"}
	edifactMessage = map[Kind]string{FaultUnsupported: "17", FaultReference: "28", FaultCount: "29", FaultMissingElement: "13", FaultDuplicate: "26"}
)

// enveloping: the fault is of the message's header or trailer.
func enveloping(f *Fault) bool { return slices.Contains([]string{"ST", "SE", "UNH", "UNT"}, f.Segment) }

// codes are those of a message's own faults, each once, at most five.
func codes(faults []Fault, of map[Kind]string, within string) []string {
	var out []string
	for i := range faults {
		f := &faults[i]
		code := within
		if enveloping(f) {
			code = of[f.Kind]
		}
		if code != "" && !slices.Contains(out, code) && len(out) < 5 {
			out = append(out, code)
		}
	}
	slices.Sort(out)
	return out
}

// functional answers a group with a 997 or 999.
func (r *Received) functional(g *receivedGroup, kind string) Body {
	b := Body{Type: kind, Code: "FA"}
	add := func(tag string, elements ...string) { b.Segments = append(b.Segments, simple(tag, elements...)) }
	seg, elem, end := "AK3", "AK4", "AK5"
	head := []string{g.group.Code, g.group.Control}
	if kind == "999" {
		seg, elem, end = "IK3", "IK4", "IK5"
		head = append(head, g.group.Version)
	}
	add("AK1", head...)
	accepted := 0
	for i := range g.messages {
		m := &g.messages[i]
		add("AK2", m.kind, m.control)
		r.segments(&b, m, seg, elem)
		if len(m.faults) == 0 {
			accepted++
			add(end, "A")
			continue
		}
		add(end, append([]string{"R"}, codes(m.faults, x12Message, "5")...)...)
	}
	n := len(g.messages)
	status := "P"
	switch accepted {
	case n:
		status = "A"
	case 0:
		status = "R"
	}
	add("AK9", status, fmt.Sprint(n), fmt.Sprint(n), fmt.Sprint(accepted))
	for i := range b.Segments {
		b.Segments[i].trim()
	}
	return b
}

// segments tells the faults of a message, one segment after the other.
func (r *Received) segments(b *Body, m *receivedMessage, seg, elem string) {
	last := Fault{Position: -1}
	for i := range m.faults {
		f := &m.faults[i]
		if enveloping(f) {
			continue
		}
		code := x12Segment[f.Kind]
		if code == "" {
			code = "8" // its data elements have errors
		}
		if code != "8" || last.Position != f.Position || last.Segment != f.Segment || last.Element == 0 {
			b.Segments = append(b.Segments, simple(seg, f.Segment, fmt.Sprint(f.Position), f.Loop, code))
		}
		last = *f
		if code != "8" {
			last.Element = 0
			continue
		}
		place := []string{fmt.Sprint(f.Element)}
		if f.Component > 0 {
			place = append(place, fmt.Sprint(f.Component))
		}
		value := f.Value
		if _, err := r.Agreement.syntax.appendText(nil, value); err != nil || len(value) > 99 {
			value = "" // it cannot be written in the answer
		}
		b.Segments = append(b.Segments, Values{Tag: elem, Elements: [][][]string{{place}, {{""}}, {{x12Element[f.Kind]}}, {{value}}}})
	}
}

// contrl answers an interchange with a CONTRL.
func (r *Received) contrl() Body {
	b := Body{Type: "CONTRL"}
	add := func(tag string, elements ...[]string) {
		v := Values{Tag: tag}
		for _, e := range elements {
			v.Elements = append(v.Elements, [][]string{e})
		}
		v.trim()
		b.Segments = append(b.Segments, v)
	}
	party := func(p Party) []string { return []string{p.ID, p.Qualifier} }
	add("UCI", []string{r.Control}, party(r.in.Sender), party(r.in.Receiver), []string{"7"})
	for _, g := range r.groups {
		if g.group.Control != "" { // messages of a group are answered within it
			add("UCF", []string{g.group.Control}, party(g.group.Sender), party(g.group.Receiver), []string{"7"})
		}
		for i := range g.messages {
			m := &g.messages[i]
			id := append([]string{m.kind}, strings.Split(m.version, ":")...)
			if len(m.faults) == 0 {
				add("UCM", []string{m.control}, id, []string{"7"})
				continue
			}
			own := codes(m.faults, edifactMessage, "")
			code := ""
			if len(own) > 0 {
				code = own[0]
			}
			add("UCM", []string{m.control}, id, []string{"4"}, []string{code})
			r.services(m, add)
		}
	}
	return b
}

// services tells the faults of a message in UCS and UCD. A segment that is not there is told at the one before it; the tag of a segment counts as
// its first data element.
func (r *Received) services(m *receivedMessage, add func(string, ...[]string)) {
	last := 0
	for i := range m.faults {
		f := &m.faults[i]
		if enveloping(f) {
			continue
		}
		at := f.Position
		if f.Kind == FaultMissingSegment {
			at--
		}
		code := edifactCode[f.Kind]
		if f.Kind == FaultCount {
			code = "12"
		}
		if f.Element == 0 {
			add("UCS", []string{fmt.Sprint(at)}, []string{code})
			last = 0
			continue
		}
		if last != at {
			add("UCS", []string{fmt.Sprint(at)})
			last = at
		}
		place := []string{fmt.Sprint(f.Element + 1)}
		if f.Component > 0 {
			place = append(place, fmt.Sprint(f.Component))
		}
		add("UCD", []string{code}, place)
	}
}

// Write gives an interchange under the agreement: messages of one type, by a table of the book or an acknowledgement. number is its control number.
func (a *Agreement) Write(number int64, now time.Time, version string, messages []Body) ([]byte, error) {
	now = now.In(a.zone)
	s := a.syntax
	s.Standard = a.Standard
	if a.Standard == X12 && version < "00402" {
		s.Repetition = 0
	}
	return Write(Outgoing{Syntax: s, Sender: a.Own, Receiver: a.Their, GroupSender: a.ownGroup, GroupReceiver: a.theirGroup, Number: number, Date: now.Format("20060102"),
		Time: now.Format("1504"), Version: version, Test: a.test}, messages)
}

// AnswerVersion is that of an acknowledgement of what was received.
func (r *Received) AnswerVersion() string {
	switch kind := r.Agreement.Acknowledge; {
	case kind == "999" && len(r.groups) > 0:
		return "005010X231A1"
	case kind == "CONTRL":
		if r.Agreement.syntax.Version == '4' {
			return "4:1:UN"
		}
		return "D:3:UN"
	}
	if len(r.groups) == 0 {
		return r.in.Version + "0" // of the envelope: 00401 is 004010
	}
	return r.groups[0].group.Version
}

// Compose gives the message of a document for a partner, with the version that is written.
func (b *Book) Compose(a *Agreement, message string, doc jsondoc.Value) (Body, string, error) {
	t := a.tables[message]
	if t == nil {
		return Body{}, "", fmt.Errorf("there is no table for the message %s; there are tables for %s", short(message), strings.Join(b.Messages(), ", "))
	}
	version := a.version
	if version == "" {
		version = t.Version
	}
	if version == "" {
		return Body{}, "", fmt.Errorf("neither the agreement with %s nor the table %s says a version", a.Name, t.Name)
	}
	body, err := t.Compose(doc, version, a.syntax.Decimal)
	if err != nil {
		return Body{}, "", err
	}
	return body, version, nil
}
