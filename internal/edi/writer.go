package edi

import (
	"errors"
	"fmt"
	"strings"
)

// Values is a segment as it is written: its data elements, each with its repeats, each of those with its components.
type Values struct {
	Tag      string
	Elements [][][]string
}

// simple makes a segment of plain data elements.
func simple(tag string, elements ...string) Values {
	v := Values{Tag: tag}
	for _, e := range elements {
		v.Elements = append(v.Elements, [][]string{{e}})
	}
	return v
}

// appendSegment appends a segment with its terminator and what follows it. Nothing is left out: what is empty at the end is written.
func (s *Syntax) appendSegment(dst []byte, v Values) ([]byte, error) {
	dst = append(dst, v.Tag...)
	var err error
	for i, e := range v.Elements {
		dst = append(dst, s.Element)
		for j, repeat := range e {
			if j > 0 {
				if s.Repetition == 0 {
					return nil, &Fault{Kind: FaultRepeats, Segment: v.Tag, Element: i + 1, Text: "it is repeated, and this syntax has no mark for that"}
				}
				dst = append(dst, s.Repetition)
			}
			for k, c := range repeat {
				if k > 0 {
					dst = append(dst, s.Component)
				}
				if dst, err = s.appendText(dst, c); err != nil {
					return nil, &Fault{Kind: FaultCharacter, Segment: v.Tag, Element: i + 1, Text: err.Error()}
				}
			}
		}
	}
	return append(append(dst, s.Terminator), s.After...), nil
}

// trim leaves out what is empty at the end of a segment, its data elements and their parts.
func (v *Values) trim() {
	for i, e := range v.Elements {
		for j, repeat := range e {
			for len(repeat) > 1 && repeat[len(repeat)-1] == "" {
				repeat = repeat[:len(repeat)-1]
			}
			v.Elements[i][j] = repeat
		}
	}
	for n := len(v.Elements); n > 0; n-- {
		if e := v.Elements[n-1]; len(e) > 1 || len(e) == 1 && (len(e[0]) > 1 || len(e[0]) == 1 && e[0][0] != "") {
			break
		}
		v.Elements = v.Elements[:n-1]
	}
}

// Outgoing is what the envelope of an interchange that is written says.
type Outgoing struct {
	Syntax           Syntax
	Sender, Receiver Party
	// GroupSender and GroupReceiver are X12's application codes; default: the ids.
	GroupSender, GroupReceiver string
	// Number is the control number of the interchange and its group, from 1.
	Number int64
	// Date is CCYYMMDD, Time HHMM.
	Date, Time string
	// Version is X12's of the group, 004010, or EDIFACT's of the message: D:96A:UN:EAN008.
	Version   string
	Test      bool
	Wanted    bool
	Reference string // application reference, EDIFACT
}

// Body is one message of an interchange that is written.
type Body struct {
	// Type is 850 or ORDERS, Code X12's functional identifier.
	Type, Code string
	// Control is its reference; empty: it is numbered.
	Control  string
	Segments []Values
}

// maxControl is the greatest control number: nine digits.
const maxControl = 999_999_999

// Write gives a whole interchange of messages that belong to one functional group.
func Write(o Outgoing, messages []Body) ([]byte, error) {
	if o.Number < 1 || o.Number > maxControl {
		return nil, fmt.Errorf("the control number %d has no nine digits", o.Number)
	}
	if len(o.Date) != 8 || len(o.Time) != 4 || len(messages) == 0 {
		return nil, errors.New("an interchange needs a date, a time and a message")
	}
	if err := o.Syntax.fit(); err != nil {
		return nil, err
	}
	if o.Syntax.Standard == X12 {
		return writeX12(o, messages)
	}
	return writeEDIFACT(o, messages)
}

func writeX12(o Outgoing, messages []Body) ([]byte, error) {
	s := &o.Syntax
	for _, p := range []Party{o.Sender, o.Receiver} {
		if len(p.Qualifier) != 2 || p.ID == "" || len(p.ID) > 15 {
			return nil, fmt.Errorf("%q is no id of X12: a qualifier has two characters, the id 1 to 15", p)
		}
	}
	envelope := "00401"
	if len(o.Version) >= 6 {
		envelope = o.Version[:5] // 004010: release 00401
	}
	standards := "U"
	if envelope >= "00402" && s.Repetition != 0 {
		standards = string(rune(s.Repetition))
	}
	flag := map[bool]string{true: "1", false: "0"}
	usage := map[bool]string{true: "T", false: "P"}
	sep := string(rune(s.Element))
	dst := []byte(strings.Join([]string{"ISA", "00", blanks("", 10), "00", blanks("", 10), o.Sender.Qualifier, blanks(o.Sender.ID, 15), o.Receiver.Qualifier, blanks(o.Receiver.ID, 15),
		o.Date[2:], o.Time, standards, envelope, fmt.Sprintf("%09d", o.Number), flag[o.Wanted], usage[o.Test], string(rune(s.Component))}, sep))
	dst = append(append(dst, s.Terminator), s.After...)
	from, to := o.GroupSender, o.GroupReceiver
	if from == "" {
		from = o.Sender.ID
	}
	if to == "" {
		to = o.Receiver.ID
	}
	var err error
	add := func(v Values) {
		if err == nil {
			dst, err = s.appendSegment(dst, v)
		}
	}
	if messages[0].Type == TA1 { // it stands in no group
		add(messages[0].Segments[0])
		add(simple("IEA", "0", fmt.Sprintf("%09d", o.Number)))
		return dst, err
	}
	number, date := fmt.Sprint(o.Number), o.Date
	if r := release(X12, o.Version); r > 0 && r < fullYears {
		date = date[2:]
	}
	add(simple("GS", messages[0].Code, from, to, date, o.Time, number, "X", o.Version))
	for i, m := range messages {
		control := m.Control
		if control == "" {
			control = fmt.Sprintf("%04d", i+1)
		}
		head := simple("ST", m.Type, control)
		if o.Version >= "005010" && len(o.Version) > 6 {
			head = simple("ST", m.Type, control, o.Version)
		}
		add(head)
		for _, v := range m.Segments {
			add(v)
		}
		add(simple("SE", fmt.Sprint(len(m.Segments)+2), control))
	}
	add(simple("GE", fmt.Sprint(len(messages)), number))
	add(simple("IEA", "1", fmt.Sprintf("%09d", o.Number)))
	return dst, err
}

func blanks(s string, width int) string {
	return s + strings.Repeat(" ", max(0, width-len(s)))
}

func writeEDIFACT(o Outgoing, messages []Body) ([]byte, error) {
	s := &o.Syntax
	var dst []byte
	if s.UNA {
		or := func(c byte) byte {
			if c == 0 {
				return ' '
			}
			return c
		}
		dst = append(dst, "UNA"...)
		dst = append(dst, s.Component, s.Element, s.Decimal, or(s.Release), or(s.Repetition), s.Terminator)
		dst = append(dst, s.After...)
	}
	number := fmt.Sprint(o.Number)
	var err error
	add := func(v Values) {
		if err == nil {
			v.trim()
			dst, err = s.appendSegment(dst, v)
		}
	}
	date := o.Date
	if s.Version < '4' {
		date = date[2:]
	}
	party := func(p Party) [][]string { return [][]string{{p.ID, p.Qualifier}} }
	flag := map[bool]string{true: "1", false: ""}
	add(Values{"UNB", [][][]string{{{s.Level, string(rune(s.Version))}}, party(o.Sender), party(o.Receiver), {{date, o.Time}}, {{number}}, {{""}}, {{o.Reference}}, {{""}},
		{{flag[o.Wanted]}}, {{""}}, {{flag[o.Test]}}}})
	for i, m := range messages {
		control := m.Control
		if control == "" {
			control = fmt.Sprint(i + 1)
		}
		add(Values{"UNH", [][][]string{{{control}}, {append([]string{m.Type}, strings.Split(o.Version, ":")...)}}})
		for _, v := range m.Segments {
			add(v)
		}
		add(simple("UNT", fmt.Sprint(len(m.Segments)+2), control))
	}
	add(simple("UNZ", fmt.Sprint(len(messages)), number))
	return dst, err
}
