package event

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Refusal says why the intake could not make a message of something that it has accepted. The event is on the flow's topic all the same,
// under its id as its key, so that the engine parks it as it parks any other message.
type Refusal struct {
	// Kind, Code and Reason are those of the parked message; Code is one of the Refused codes.
	Kind   string `json:"kind,omitempty"`
	Code   string `json:"code,omitempty"`
	Reason string `json:"reason,omitempty"`
	// Inbox is the number of the inbox row that holds the document, where the record could not; 0: the record holds it.
	Inbox int64 `json:"inbox,omitempty"`
	// Reading counts how often the event was handed back to the intake before: this is the refusal of that reading.
	Reading int `json:"reading,omitempty"`
	// Headers are those of the inbox row, for the next reading. They hold no credentials.
	Headers map[string]string `json:"headers,omitempty"`
}

// Codes of refusals.
const (
	RefusedKey    = "key"     // the business key cannot be evaluated, or is empty
	RefusedSplit  = "split"   // the list of documents is not there, or none
	RefusedRow    = "row"     // the row of a file, or the record of a poll, cannot be read
	RefusedRecord = "publish" // the broker refuses the record, for its size
)

const (
	maxRefusalReason  = 2 << 10
	maxRefusalHeaders = 16 << 10
)

// Bounded is the refusal as it may travel: the reason is one line of printable text of bounded length, and headers that are too many
// are left out.
func (r Refusal) Bounded() *Refusal {
	r.Reason = strings.Map(func(c rune) rune {
		if unicode.IsPrint(c) {
			return c
		}
		return ' '
	}, strings.ToValidUTF8(r.Reason, "\uFFFD"))
	if len(r.Reason) > maxRefusalReason {
		end := maxRefusalReason
		for !utf8.RuneStart(r.Reason[end]) {
			end--
		}
		r.Reason = r.Reason[:end] + "…"
	}
	size := 0
	for name, value := range r.Headers {
		size += len(name) + len(value)
	}
	if size > maxRefusalHeaders {
		r.Headers = nil
	}
	return &r
}

// Headers of a refusal's record, besides HeaderRefused, which holds the code.
const (
	refusedKind    = HeaderRefused + "-kind"
	refusedReason  = HeaderRefused + "-reason"
	refusedInbox   = HeaderRefused + "-inbox"
	refusedReading = HeaderRefused + "-reading"
	refusedHeader  = HeaderRefused + "-header-" // and the name of one of Headers
)

// appendTo adds the refusal to a record's headers.
func (r *Refusal) appendTo(h []Header) []Header {
	h = append(h, Header{HeaderRefused, []byte(r.Code)}, Header{refusedKind, []byte(r.Kind)}, Header{refusedReason, []byte(r.Reason)})
	if r.Inbox != 0 {
		h = append(h, Header{refusedInbox, strconv.AppendInt(nil, r.Inbox, 10)})
	}
	if r.Reading != 0 {
		h = append(h, Header{refusedReading, strconv.AppendInt(nil, int64(r.Reading), 10)})
	}
	for _, name := range slices.Sorted(maps.Keys(r.Headers)) {
		h = append(h, Header{refusedHeader + name, []byte(r.Headers[name])})
	}
	return h
}

// readRefusal takes one of a record's headers into the event's refusal, if it is one of a refusal. Numbers that do not parse are treated as
// absent.
func (e *Event) readRefusal(name string, value []byte) {
	rest, ok := strings.CutPrefix(name, HeaderRefused)
	if !ok {
		return
	}
	if e.Refused == nil {
		e.Refused = &Refusal{}
	}
	r := e.Refused
	switch name {
	case HeaderRefused:
		r.Code = string(value)
	case refusedKind:
		r.Kind = string(value)
	case refusedReason:
		r.Reason = string(value)
	case refusedInbox:
		r.Inbox, _ = strconv.ParseInt(string(value), 10, 64)
	case refusedReading:
		r.Reading, _ = strconv.Atoi(string(value))
	default:
		if rest, ok = strings.CutPrefix(rest, "-header-"); ok {
			if r.Headers == nil {
				r.Headers = map[string]string{}
			}
			r.Headers[rest] = string(value)
		}
	}
}
