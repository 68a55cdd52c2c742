package store

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/state"
)

var errTorn = errors.New("a stored value is damaged")

func b2i(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// stamp is a time as columns hold it: nanoseconds, 0 for none. Times beyond what that can say become the nearest.
func stamp(t time.Time) int64 {
	switch {
	case t.IsZero():
		return 0
	case t.Year() < 1700:
		return -1 << 62
	case t.Year() > 2250:
		return 1 << 62
	}
	return t.UnixNano()
}

func unstamp(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}

// encodeRanges writes ranges as lengths: gap, length, gap, length, … from next on.
func encodeRanges(next int64, done []event.Range) []byte {
	if len(done) == 0 {
		return nil
	}
	b := make([]byte, 0, 4*len(done))
	at := next
	for _, r := range done {
		b = binary.AppendUvarint(b, uint64(r.From-at))
		b = binary.AppendUvarint(b, uint64(r.To-r.From))
		at = r.To
	}
	return b
}

func decodeRanges(next int64, b []byte) ([]event.Range, error) {
	var out []event.Range
	at := next
	for len(b) > 0 {
		gap, n := binary.Uvarint(b)
		if n <= 0 {
			return nil, fmt.Errorf("finished ranges: %w", errTorn)
		}
		length, m := binary.Uvarint(b[n:])
		if m <= 0 {
			return nil, fmt.Errorf("finished ranges: %w", errTorn)
		}
		b = b[n+m:]
		from := at + int64(gap)
		at = from + int64(length)
		out = append(out, event.Range{From: from, To: at})
	}
	return out, nil
}

// encodeKnown writes what a Known's own columns do not hold: what the hub wrote last, and the hashes, sorted by name, so that
// equal states have equal bytes. Never nil: nil means unknown.
func encodeKnown(k *state.Known) []byte {
	b := make([]byte, 0, 24*len(k.Fields)+len(k.Wrote)+16*len(k.Written)+3)
	if k.Hops == 0 { // the form's version: the first knows no hops
		b = append(b, 1)
	} else {
		b = binary.AppendUvarint(append(b, 2), uint64(k.Hops))
	}
	b = appendText(b, k.Wrote)
	b = binary.AppendUvarint(b, uint64(len(k.Written)))
	for _, name := range k.Written {
		b = appendText(b, name)
	}
	for _, name := range slices.Sorted(maps.Keys(k.Fields)) {
		b = appendText(b, name)
		b = binary.BigEndian.AppendUint64(b, k.Fields[name])
	}
	return b
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// cutText takes a text off the front of b.
func cutText(b []byte) (text string, rest []byte, ok bool) {
	n, w := binary.Uvarint(b)
	if w <= 0 || n > uint64(len(b)-w) {
		return "", nil, false
	}
	return string(b[w : w+int(n)]), b[w+int(n):], true
}

// decodeKnown fills in what encodeKnown has written.
func decodeKnown(b []byte, k *state.Known) error {
	torn := fmt.Errorf("known fields: %w", errTorn)
	if len(b) == 0 || b[0] != 1 && b[0] != 2 {
		return torn
	}
	form, b := b[0], b[1:]
	if form == 2 {
		hops, w := binary.Uvarint(b)
		if w <= 0 || hops > 1<<20 {
			return torn
		}
		k.Hops, b = int(hops), b[w:]
	}
	var ok bool
	if k.Wrote, b, ok = cutText(b); !ok {
		return torn
	}
	n, w := binary.Uvarint(b)
	if w <= 0 || n > uint64(len(b)) {
		return torn
	}
	b = b[w:]
	for range n {
		var name string
		if name, b, ok = cutText(b); !ok {
			return torn
		}
		k.Written = append(k.Written, name)
	}
	k.Fields = map[string]uint64{}
	for len(b) > 0 {
		var name string
		if name, b, ok = cutText(b); !ok || len(b) < 8 {
			return torn
		}
		k.Fields[name], b = binary.BigEndian.Uint64(b), b[8:]
	}
	return nil
}

// envelope is an event without its data, as a row of the queue or the inbox holds it. Times are texts, so that none is refused and the zone stays.
type envelope struct {
	ID        string `json:"id,omitempty"`
	Source    string `json:"source,omitempty"`
	Entity    string `json:"entity,omitempty"`
	Operation string `json:"operation,omitempty"`
	Key       string `json:"key,omitempty"`
	Local     string `json:"local,omitempty"`
	Hub       string `json:"hub,omitempty"`
	Version   string `json:"version,omitempty"`
	Origin    string `json:"origin,omitempty"`
	Hops      int    `json:"hops,omitempty"`
	Time      string `json:"time,omitempty"`
	Accepted  string `json:"accepted,omitempty"`
	Trace     string `json:"trace,omitempty"`

	Refused   *event.Refusal    `json:"refused,omitempty"`
	Submitted *event.Submission `json:"submitted,omitempty"`
}

func encodeEvent(e *event.Event) (string, error) {
	b, err := json.Marshal(envelope{e.ID, e.Source, e.Entity, string(e.Operation), e.Key, e.Local, e.Hub, e.Version, e.Origin, e.Hops,
		timeText(e.Time), timeText(e.Accepted), e.Trace, e.Refused, e.Submitted})
	return string(b), err
}

func decodeEvent(s string) (event.Event, error) {
	var v envelope
	if err := json.Unmarshal([]byte(s), &v); err != nil {
		return event.Event{}, fmt.Errorf("stored event: %w: %w", errTorn, err)
	}
	return event.Event{ID: v.ID, Source: v.Source, Entity: v.Entity, Operation: event.Operation(v.Operation), Key: v.Key, Local: v.Local, Hub: v.Hub,
		Version: v.Version, Origin: v.Origin, Hops: v.Hops, Time: textTime(v.Time), Accepted: textTime(v.Accepted), Trace: v.Trace, Refused: v.Refused, Submitted: v.Submitted}, nil
}

func timeText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.RFC3339Nano)
}

func textTime(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return time.Time{} // a year that the format cannot hold; only positions are trusted
	}
	return t
}

// place is one position as an inbox row holds it: topic, partition, offset, life of the log, and number in its list. X are those that lie behind it in the
// log, one offset after the other: by how much each one's number is greater than the one before.
type place struct {
	T string `json:"t"`
	P int    `json:"p"`
	O int64  `json:"o"`
	L int64  `json:"l,omitempty"`
	I int    `json:"i,omitempty"`
	X []int  `json:"x,omitempty"`
}

func encodePlaces(at []state.PublishedAt) (string, error) {
	type log struct {
		topic string
		part  int
		life  int64
	}
	last := map[log]int{} // where the last run of each is in out
	out, index := make([]place, 0, min(len(at), 16)), make([]int, 0, min(len(at), 16))
	for _, a := range at {
		k := log{a.Topic, a.Partition, a.Life}
		if i, ok := last[k]; ok && a.Index > index[i] && a.Offset == out[i].O+int64(len(out[i].X))+1 {
			out[i].X = append(out[i].X, a.Index-index[i])
			index[i] = a.Index
			continue
		}
		last[k] = len(out)
		out, index = append(out, place{T: a.Topic, P: a.Partition, O: a.Offset, L: a.Life, I: a.Index}), append(index, a.Index)
	}
	b, err := json.Marshal(out)
	return string(b), err
}

func decodePlaces(s string) ([]state.PublishedAt, error) {
	var in []place
	if err := json.Unmarshal([]byte(s), &in); err != nil {
		return nil, fmt.Errorf("inbox places: %w: %w", errTorn, err)
	}
	out := make([]state.PublishedAt, 0, len(in))
	for _, p := range in {
		at := state.PublishedAt{Topic: p.T, Partition: p.P, Offset: p.O, Life: p.L, Index: p.I}
		out = append(out, at)
		for _, by := range p.X {
			at.Offset, at.Index = at.Offset+1, at.Index+by
			out = append(out, at)
		}
	}
	slices.SortStableFunc(out, func(a, b state.PublishedAt) int { return cmp.Compare(a.Index, b.Index) })
	return out, nil
}
