package kafka

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
)

// cursor is how far a topic is read. It is stored, as its text, in the commit of the records before it.
type cursor struct {
	V     int    `json:"v"`
	Topic string `json:"topic"`
	// ID is the topic's: one that is made anew under its name has another.
	ID string `json:"id"`
	// Next is by partition the offset to go on at.
	Next []int64 `json:"next"`
	// From, where not zero: go back to what is stamped then or later, as soon as the cluster is asked.
	From time.Time `json:"from,omitzero"`
	// Asked: a person has named the offsets, and knows that older ones may not be there any more.
	Asked bool `json:"asked,omitempty"`
	// Lost are offsets that were gone before they were read, and when that was seen last; Anew is when the topic was found to be another one.
	Lost   int64     `json:"lost,omitempty"`
	LostAt time.Time `json:"lost_at,omitzero"`
	Anew   time.Time `json:"anew,omitzero"`
}

const cursorVersion = 1

// remarkFor is how long what was lost, and a topic that was made anew, is shown.
const remarkFor = 7 * 24 * time.Hour

// parseCursor reads one; the zero cursor where nothing was read yet.
func parseCursor(text string) (*cursor, error) {
	c := &cursor{}
	if text == "" {
		return c, nil
	}
	if err := json.Unmarshal([]byte(text), c); err != nil {
		return nil, fmt.Errorf("the stored cursor is none of this kind: %w", err)
	}
	if c.V != cursorVersion || c.Topic == "" || slices.ContainsFunc(c.Next, func(n int64) bool { return n < 0 }) {
		return nil, fmt.Errorf("the stored cursor is none of this kind, or of another version")
	}
	return c, nil
}

func (c *cursor) String() string {
	c.V = cursorVersion
	b, err := json.Marshal(c)
	if err != nil {
		panic(err) // numbers, texts and times of this era always marshal
	}
	return string(b)
}

// began: something was read, so that there is a place to go on at.
func (c *cursor) began() bool { return c.Topic != "" }

// remarks are what people are to know of what happened lately.
func (c *cursor) remarks(now time.Time) []connector.Remark {
	var out []connector.Remark
	if c.Lost > 0 && now.Sub(c.LostAt) < remarkFor {
		out = append(out, connector.Remark{Kind: connector.Lost, Local: c.Topic, Version: stamp(c.LostAt), Count: int(c.Lost)})
	}
	if !c.Anew.IsZero() && now.Sub(c.Anew) < remarkFor {
		out = append(out, connector.Remark{Kind: connector.Anew, Local: c.Topic, Version: stamp(c.Anew), Count: 1})
	}
	return out
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

var placeForm = regexp.MustCompile(`^[0-9]{1,9}:[0-9]{1,18}$`)

// RewindTo goes back to a time, or to an offset of one partition, written partition:offset.
func (s *system) RewindTo(object, text, to string) (string, error) {
	const op = "rewind"
	o, err := s.object(op, object)
	if err != nil {
		return "", err
	}
	c, err := parseCursor(text)
	if err != nil {
		return "", s.fail(fault.Invalid, op, "%s", err)
	}
	if !c.began() || c.Topic != o.Topic {
		return "", s.fail(fault.Invalid, op, "nothing of topic %s was read yet, so there is nothing to go back from: %q begins", o.Topic, connector.RewindStart)
	}
	c.Lost, c.LostAt, c.Anew = 0, time.Time{}, time.Time{}
	if placeForm.MatchString(to) {
		part, offset, _ := strings.Cut(to, ":")
		n, _ := strconv.Atoi(part)
		at, _ := strconv.ParseInt(offset, 10, 64)
		switch {
		case n >= len(c.Next):
			return "", s.fail(fault.Invalid, op, "%s: topic %s has no partition %d that was read", to, o.Topic, n)
		case at > c.Next[n]:
			return "", s.fail(fault.Invalid, op, "%s is behind what was read last (%d:%d): to go there would leave out what lies between", to, n, c.Next[n])
		}
		c.Next[n], c.Asked = at, true
		return c.String(), nil
	}
	at, like, err := connector.RewindTime(to)
	switch {
	case !like:
		return "", s.fail(fault.Invalid, op, "%q is neither a time, such as 2026-11-01T00:00:00Z, nor a place, such as 0:1234 for offset 1234 of partition 0", to)
	case err != nil:
		f, _ := fault.As(err)
		return "", s.fail(fault.Invalid, op, "%s", f.Err)
	}
	c.From = at
	return c.String(), nil
}
