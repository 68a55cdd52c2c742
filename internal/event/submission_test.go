package event

import (
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// A submission comes back from its record as it was, beside a refusal too.
func TestSubmissionRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`[a-zA-Z0-9:;ü/ -]{0,20}`)
		e := Event{ID: "d1", Key: "SO-1", Operation: Upsert, Submitted: &Submission{Trigger: rapid.SampledFrom([]Trigger{Repair, Backfill, Person}).Draw(t, "trigger"),
			Who: text.Draw(t, "who"), Why: text.Draw(t, "why"), For: text.Draw(t, "for")}}
		if rapid.Bool().Draw(t, "refused") {
			e.Refused = &Refusal{Code: RefusedKey, Reason: "why"}
		}
		got := Read(&Record{Key: []byte(e.ID), Headers: e.Headers()})
		if !reflect.DeepEqual(got, e) {
			t.Fatalf("got %+v, want %+v", got, e)
		}
	})
}

func TestSubmission(t *testing.T) {
	for name, c := range map[string]struct {
		s         *Submission
		again     bool
		text      string
		other     bool // for another flow than "mine"
		onwardFor string
	}{
		"none":     {s: nil},
		"backfill": {s: &Submission{Trigger: Backfill, Who: "ann"}, text: "backfill by ann"},
		"repair":   {s: &Submission{Trigger: Repair, Who: "crm-erp", Why: "name differs", For: "theirs"}, again: true, text: "repair by crm-erp: name differs", other: true},
		"person":   {s: &Submission{Trigger: Person, For: "mine"}, again: true, text: "person"},
	} {
		t.Run(name, func(t *testing.T) {
			e := Event{Submitted: c.s}
			if e.Again() != c.again || e.ForOther("mine") != c.other {
				t.Errorf("again %t, for another %t", e.Again(), e.ForOther("mine"))
			}
			if c.s == nil {
				if c.s.Onward() != nil {
					t.Error("nothing goes on as something")
				}
				return
			}
			before := *c.s
			if c.s.String() != c.text || c.s.Onward().For != "" || c.s.Onward().Trigger != c.s.Trigger || *c.s != before {
				t.Errorf("%q goes on as %+v", c.s, c.s.Onward())
			}
		})
	}
}

// What no hub of this kind writes is no submission.
func TestSubmissionThatSaysNothing(t *testing.T) {
	for _, h := range [][]Header{{{HeaderSubmitted, []byte("magic")}}, {{submittedWho, []byte("ann")}}, {{HeaderSubmitted, nil}}} {
		if e := Read(&Record{Headers: h}); e.Submitted != nil || e.Refused != nil {
			t.Errorf("%v: %+v", h, e)
		}
	}
}

func TestSubmissionIsBounded(t *testing.T) {
	s := Submission{Trigger: Person, Who: "ann\nbob", Why: " a\x00\xffb" + strings.Repeat("ü", 400)}.Bounded()
	if s.Who != "ann bob" || !strings.HasPrefix(s.Why, "a �bü") || len(s.Why) > maxWhy+len("…") || !strings.HasSuffix(s.Why, "ü…") {
		t.Errorf("%q %q", s.Who, s.Why)
	}
}
