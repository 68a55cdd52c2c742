package alert

import (
	"slices"
	"time"

	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/state"
)

// overAfter is how long something must not have been seen for it to be over: what comes and goes is one alert.
const overAfter = time.Minute

// Changes of an alert, as receivers are told of them.
const (
	Raised = "raised"
	Still  = "still"
	Over   = "over"
)

// Said is one line of a message.
type Said struct {
	Change string
	state.Alert
	before time.Time // when it was told before
}

// decision is what one look at the status means for one receiver.
type decision struct {
	say []Said
	// keep and drop are what the store is to hold, whether or not something can be said; said and done are that once it was.
	keep, drop []state.Alert
	said, done []state.Alert
}

// decide says what a receiver is told. rows are its alerts, seen what is wrong now, both in the order of their keys.
func decide(a *config.Alerts, r *config.AlertReceiver, rows []state.Alert, seen []Condition, now time.Time) decision {
	var d decision
	quiet := config.QuietAt(r.Quiet, now)
	known := map[string]*state.Alert{}
	for i := range rows {
		known[rows[i].Key] = &rows[i]
	}
	for i := range seen {
		c := &seen[i]
		if !slices.Contains(r.Of, c.What) {
			continue
		}
		row, fresh := state.Alert{Receiver: r.Name, Key: c.Key(), What: c.What, Subject: c.Subject, Text: c.Text, Since: now}, true
		if old := known[c.Key()]; old != nil {
			row, fresh = *old, !old.Gone.IsZero()
			row.Gone = time.Time{}
			delete(known, c.Key())
		}
		if fresh {
			d.keep = append(d.keep, row)
		}
		change := ""
		switch {
		case quiet && !slices.Contains(r.Urgent, c.What):
		case row.Told.IsZero() && now.Sub(row.Since) >= a.After:
			change = Raised
		case !row.Told.IsZero() && a.Again > 0 && now.Sub(row.Told) >= a.Again:
			change = Still
		}
		if change != "" {
			before := row.Told
			row.Told, row.Text = now, c.Text
			d.say, d.said = append(d.say, Said{change, row, before}), append(d.said, row)
		}
	}
	for i := range rows {
		row := rows[i]
		if known[row.Key] == nil {
			continue
		}
		if !slices.Contains(r.Of, row.What) { // it is not told of any more
			d.drop = append(d.drop, row)
			continue
		}
		if row.Gone.IsZero() {
			row.Gone = now
			d.keep = append(d.keep, row)
		}
		switch {
		case now.Sub(row.Gone) < overAfter:
		case row.Told.IsZero(): // it was over before it was told
			d.drop = append(d.drop, row)
		case !quiet || slices.Contains(r.Urgent, row.What):
			d.say, d.done = append(d.say, Said{Over, row, row.Told}), append(d.done, row)
		}
	}
	return d
}
