package event

import (
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// A refusal comes back from its record as it was, and the key of the record is not the event's.
func TestRefusalRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`[a-zA-Z0-9:;ü/ -]{0,20}`)
		e := Event{ID: "d1.2", Key: rapid.SampledFrom([]string{"", "SO-1"}).Draw(t, "key"), Operation: Upsert, Refused: &Refusal{
			Kind: text.Draw(t, "kind"), Code: text.Draw(t, "code"), Reason: text.Draw(t, "reason"), Inbox: rapid.Int64Min(0).Draw(t, "inbox"), Reading: rapid.IntRange(0, 9).Draw(t, "reading")}}
		if h := rapid.MapOfN(text, text, 0, 5).Draw(t, "headers"); len(h) > 0 {
			e.Refused.Headers = h
		}
		got := Read(&Record{Key: []byte(e.ID), Headers: e.Headers()})
		if !reflect.DeepEqual(got.Refused, e.Refused) || got.Key != e.Key || got.ID != e.ID {
			t.Fatalf("got %+v %+v, want %+v %+v", got, got.Refused, e, e.Refused)
		}
	})
}

func TestRefusalIsBounded(t *testing.T) {
	for name, c := range map[string]struct {
		in, want Refusal
	}{
		"as it is":     {Refusal{Reason: "row 5: no number", Headers: map[string]string{"a": "b"}}, Refusal{Reason: "row 5: no number", Headers: map[string]string{"a": "b"}}},
		"lines":        {Refusal{Reason: "a\nb\x00c\u2028d"}, Refusal{Reason: "a b c d"}},
		"no UTF-8":     {Refusal{Reason: "a\xff\xfeb"}, Refusal{Reason: "a\uFFFDb"}},
		"long":         {Refusal{Reason: strings.Repeat("ü", 5000)}, Refusal{Reason: strings.Repeat("ü", 1024) + "…"}},
		"many headers": {Refusal{Headers: map[string]string{"a": strings.Repeat("x", 20_000)}}, Refusal{}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := c.in.Bounded(); !reflect.DeepEqual(*got, c.want) || !utf8.ValidString(got.Reason) {
				t.Errorf("got %+v, want %+v", *got, c.want)
			}
		})
	}
}

// What says that it is refused is no message, whatever else it says.
func TestRefusalThatSaysLittle(t *testing.T) {
	for _, h := range [][]Header{{{HeaderRefused, nil}}, {{refusedReason, []byte("why")}, {refusedInbox, []byte("seven")}}} {
		if e := Read(&Record{Key: []byte("d1"), Headers: h}); e.Refused == nil || e.Key != "" || e.Refused.Inbox != 0 {
			t.Errorf("read %+v", e)
		}
	}
	if e := Read(&Record{Key: []byte("d1"), Headers: []Header{{"waybill", nil}, {"x-waybill-refused", nil}}}); e.Refused != nil || e.Key != "d1" {
		t.Errorf("read %+v", e)
	}
}
