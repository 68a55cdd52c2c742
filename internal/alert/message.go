package alert

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"time"
)

const (
	// mostLines are told in one message; the rest is counted.
	mostLines = 20
	// mostLine bounds one of them, in characters.
	mostLine = 500
)

// Message is what one receiver is told at once.
type Message struct {
	ID   string // the same when it is sent again
	Time time.Time
	Hub  string // the hub's name
	Link string // its console
	Said []Said
	Test bool // nothing is wrong: somebody tries the receiver
}

// newMessage makes a message. Its id is that of what it says: who gets it twice, because nobody knows what became of the first try, can tell.
func newMessage(hub, link, receiver string, said []Said, now time.Time) *Message {
	h := sha256.New()
	for i := range said {
		fmt.Fprintf(h, "%q %q %q %d %d\n", receiver, said[i].Change, said[i].Key, said[i].Since.UnixNano(), said[i].before.UnixNano())
	}
	return &Message{ID: fmt.Sprintf("alert_%x", h.Sum(nil)[:16]), Time: now, Hub: hub, Link: link, Said: said}
}

// title says in a few words what the message holds.
func (m *Message) title() string {
	if m.Test {
		return "Waybill " + m.Hub + ": a test"
	}
	var parts []string
	for _, c := range []struct{ change, word string }{{Raised, "new"}, {Still, "still"}, {Over, "over"}} {
		n := 0
		for i := range m.Said {
			if m.Said[i].Change == c.change {
				n++
			}
		}
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, c.word))
		}
	}
	return "Waybill " + m.Hub + ": " + strings.Join(parts, ", ")
}

// lines say each change, for people.
func (m *Message) lines() []string {
	if m.Test {
		return []string{"This is a test. Nothing is wrong: alerts of this hub come here."}
	}
	var out []string
	for i := range m.Said {
		if i == mostLines {
			out = append(out, fmt.Sprintf("and %d more: see the console, or waybill alerts", len(m.Said)-i))
			break
		}
		out = append(out, shorten(m.Said[i].line(), mostLine))
	}
	return out
}

func (s *Said) line() string {
	about := s.What
	if s.Subject != "" {
		about += " " + s.Subject
	}
	since := s.Since.UTC().Format(time.RFC3339)
	switch s.Change {
	case Over:
		return fmt.Sprintf("OVER %s: it lasted %s, since %s", about, s.Gone.Sub(s.Since).Round(time.Second), since)
	case Still:
		return fmt.Sprintf("STILL %s: %s (since %s)", about, oneLine(s.Text), since)
	}
	return fmt.Sprintf("NEW %s: %s (since %s)", about, oneLine(s.Text), since)
}

// text is the whole message as plain text.
func (m *Message) text() string {
	out := m.title() + "\n\n" + strings.Join(m.lines(), "\n")
	if m.Link != "" {
		out += "\n\n" + m.Link
	}
	return out
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// shorten cuts a text to so many characters.
func shorten(text string, most int) string {
	r := []rune(text)
	if len(r) <= most {
		return text
	}
	return string(r[:most-1]) + "…"
}
