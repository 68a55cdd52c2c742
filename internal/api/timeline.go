package api

import (
	"fmt"
	"slices"
	"time"

	"github.com/waybill-hub/waybill/internal/state"
)

// timeline is what has happened to the traced object over all systems, oldest first.
func timeline(t *state.Trace) []Moment {
	out := []Moment{}
	came := map[string]bool{}
	for i := range t.Inbox {
		in := &t.Inbox[i]
		came[in.ID] = true
		out = append(out, Moment{Time: in.Received, What: state.StateReceived, Flow: in.Flow, Event: in.ID})
	}
	gone := map[string]bool{}
	for i := len(t.Journal) - 1; i >= 0; i-- { // oldest first
		j := &t.Journal[i]
		gone[j.Flow+" "+j.EventID] = gone[j.Flow+" "+j.EventID] || j.Outcome == state.Discarded
		if !came[j.EventID] && j.Took > 0 { // its delivery has gone from the inbox
			came[j.EventID] = true
			out = append(out, Moment{Time: j.Time.Add(-j.Took), What: state.StateReceived, Event: j.EventID})
		}
		text := j.Reason
		if text == "" {
			text = j.Told
		}
		out = append(out, Moment{Time: j.Time, What: string(j.Outcome), Flow: j.Flow, System: j.System, Event: j.EventID, Text: text, Journal: &i})
	}
	for i := range t.Acts {
		a := &t.Acts[i]
		if a.Action == "discarded" && gone[a.Flow+" "+a.EventID] {
			continue // the journal tells it
		}
		text := "by " + a.Who
		if a.Note != "" {
			text += ": " + a.Note
		}
		out = append(out, Moment{Time: a.Time, What: a.Action, Flow: a.Flow, Event: a.EventID, Text: text, Act: &i})
	}
	for i := range t.Differences {
		out = append(out, differenceMoments(&t.Differences[i], i)...)
	}
	slices.SortStableFunc(out, func(a, b Moment) int { return a.Time.Compare(b.Time) })
	return out
}

// differenceMoments tell that a run has found a difference, and that it was repaired.
func differenceMoments(d *state.TracedDifference, i int) []Moment {
	what := "reconciled"
	if d.Kind == state.DiffViolation {
		what = d.Kind
	}
	at := d.At
	if at.IsZero() { // its run is under way
		at = d.Since
	}
	out := []Moment{{Time: at, What: what, Event: d.Event, Text: fmt.Sprintf("%s, run %d: %s", d.Name, d.Run, driftText(&d.Difference)), Difference: &i}}
	if d.Repair == state.RepairRepaired {
		out = append(out, Moment{Time: at.Add(time.Nanosecond), What: state.RepairRepaired, Event: d.RepairEvent, Text: d.Name, Difference: &i})
	}
	return out
}
