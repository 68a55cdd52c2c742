package event

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Submission says that the hub itself has made the event: nobody outside has sent it. It travels with the event over every topic. Origin is
// another thing: the system in which the change was made.
type Submission struct {
	Trigger Trigger `json:"trigger"`
	// Who asked for it: a person, or the reconciliation or backfill by its name. Why is the reason given, and may be empty.
	Who string `json:"who,omitempty"`
	Why string `json:"why,omitempty"`
	// For is the one flow that the event is for, where it lies on a topic that others read as well; empty: it is for whoever reads it.
	For string `json:"for,omitempty"`
	// Part: it is a part of a run of which the audit tells by itself. It does not travel with the event.
	Part bool `json:"-"`
}

// Trigger is what made the hub submit an event.
type Trigger string

const (
	// Repair: a reconciliation has found that a system holds something else.
	Repair Trigger = "repair"
	// Backfill: what a system held before the flow was there is loaded.
	Backfill Trigger = "backfill"
	// Person: a person wants the object sent again.
	Person Trigger = "person"
)

// Valid reports whether t is a trigger the hub knows.
func (t Trigger) Valid() bool { return t == Repair || t == Backfill || t == Person }

// Again reports whether the event is to be sent although all that it says is known to be there: whoever submitted it says that it is not. It
// passes the guards that leave out what is known, and no other: what is older than what was received or applied stays stale.
func (e *Event) Again() bool {
	return e.Submitted != nil && (e.Submitted.Trigger == Repair || e.Submitted.Trigger == Person)
}

// ForOther reports whether the event was submitted to another flow than this one, which reads the same topic.
func (e *Event) ForOther(flow string) bool {
	return e.Submitted != nil && e.Submitted.For != "" && e.Submitted.For != flow
}

// Onward is the submission as it goes on to another topic: there, the event is for whoever reads it.
func (s *Submission) Onward() *Submission {
	if s == nil || s.For == "" {
		return s
	}
	on := *s
	on.For = ""
	return &on
}

// String tells people of it: "repair by customers-crm-erp: 3 fields differ".
func (s *Submission) String() string {
	text := string(s.Trigger)
	if s.Who != "" {
		text += " by " + s.Who
	}
	if s.Why != "" {
		text += ": " + s.Why
	}
	return text
}

const (
	maxSubmitter = 200
	maxWhy       = 500
)

// Bounded is the submission as it may travel: each text is one line of printable characters, of bounded length.
func (s Submission) Bounded() *Submission {
	s.Who, s.Why = oneLine(s.Who, maxSubmitter), oneLine(s.Why, maxWhy)
	return &s
}

func oneLine(text string, most int) string {
	text = strings.TrimSpace(strings.Map(func(c rune) rune {
		if unicode.IsPrint(c) {
			return c
		}
		return ' '
	}, strings.ToValidUTF8(text, "\uFFFD")))
	if len(text) <= most {
		return text
	}
	for !utf8.RuneStart(text[most]) {
		most--
	}
	return text[:most] + "…"
}

// HeaderSubmitted marks what the hub itself has made, and holds the trigger; other headers of this prefix say more: see Submission.
const HeaderSubmitted = "waybill-submitted"

// Headers of a submitted event's record, besides HeaderSubmitted.
const (
	submittedWho = HeaderSubmitted + "-by"
	submittedWhy = HeaderSubmitted + "-why"
	submittedFor = HeaderSubmitted + "-for"
)

// appendTo adds the submission to a record's headers.
func (s *Submission) appendTo(h []Header) []Header {
	h = append(h, Header{HeaderSubmitted, []byte(s.Trigger)})
	for _, more := range []struct{ name, value string }{{submittedWho, s.Who}, {submittedWhy, s.Why}, {submittedFor, s.For}} {
		if more.value != "" {
			h = append(h, Header{more.name, []byte(more.value)})
		}
	}
	return h
}

// readSubmission takes one of a record's headers into the event's submission, if it is one of a submission.
func (e *Event) readSubmission(name string, value []byte) bool {
	if !strings.HasPrefix(name, HeaderSubmitted) {
		return false
	}
	if e.Submitted == nil {
		e.Submitted = &Submission{}
	}
	switch name {
	case HeaderSubmitted:
		e.Submitted.Trigger = Trigger(value)
	case submittedWho:
		e.Submitted.Who = string(value)
	case submittedWhy:
		e.Submitted.Why = string(value)
	case submittedFor:
		e.Submitted.For = string(value)
	}
	return true
}
