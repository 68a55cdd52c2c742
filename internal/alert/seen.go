package alert

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/waybill-hub/waybill/internal/api"
	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/status"
)

// certificateNotice is how long before its end a certificate is told of.
const certificateNotice = 14 * 24 * time.Hour

// refusedLately is for how long after its last refusal a sender is told of.
const refusedLately = 5 * time.Minute

// Condition is something that is wrong at present. What and Subject name it for as long as it lasts, whatever Text says of it meanwhile.
type Condition struct {
	What    string // one of config.AlertWhats
	Subject string // the flow, system, reconciliation, rule or listener; empty for the hub itself
	Text    string
}

// Key names the condition among all.
func (c *Condition) Key() string { return c.What + "/" + c.Subject }

// needsPerson are the remarks on a source's data that pass by nobody: what came was not taken, what was sent not answered, or changes were missed or soon will be.
// The others say how it is read.
var needsPerson = []connector.RemarkKind{connector.Failed, connector.Left, connector.Unanswered, connector.Lost, connector.Kept, connector.Schema}

// Seen reads off a status what is wrong, in the order of its keys, each once. More than parkedOver messages of a flow that wait for a person are told of.
func Seen(st *api.Status, parkedOver int64) []Condition {
	var out []Condition
	add := func(what, subject, format string, args ...any) {
		out = append(out, Condition{what, subject, fmt.Sprintf(format, args...)})
	}
	for _, c := range st.Hub.Causes {
		if c.Of != status.OfStore { // of its store every hub tells by itself: Worker.RunStore
			add(config.AlertHub, c.Of, "%s", c.Why)
		}
	}
	if st.Broker.State == status.Down {
		add(config.AlertHub, "broker", "%s", st.Broker.Why)
	}
	if n := st.Totals.Unaccounted; n != 0 {
		add(config.AlertUnaccounted, "", "%d messages that were accepted are neither delivered, skipped, parked, waiting, discarded nor in flight", n)
	}
	if n := st.Totals.Duplicates; n > 0 {
		add(config.AlertUnaccounted, "doubled", "%d objects of targets are there twice", n)
	}
	for i := range st.Flows {
		f := &st.Flows[i]
		switch f.State {
		case status.Failing:
			add(config.AlertFailing, f.Name, "%s", f.Why)
		case status.Alarm:
			add(config.AlertAlarm, f.Name, "%s", f.Why)
		case status.Late:
			add(config.AlertLate, f.Name, "%s", f.Why)
		case status.Silent:
			add(config.AlertSilent, f.Name, "%s", f.Why)
		}
		if f.Parked > parkedOver {
			what := "messages are parked and wait"
			if f.Parked == 1 {
				what = "message is parked and waits"
			}
			add(config.AlertParked, f.Name, "%d %s for a person: waybill parked list --flow %s", f.Parked, what, f.Name)
		}
		if f.Sweep != nil && f.Sweep.State == api.SweepHeld {
			add(config.AlertSource, f.Name+" (sweep)", "%s", f.Sweep.Text)
		}
		for _, r := range f.Remarks {
			if slices.Contains(needsPerson, connector.RemarkKind(r.Kind)) {
				add(config.AlertSource, f.Name+" ("+r.Kind+")", "%s", r.Text)
			}
		}
	}
	for i := range st.Systems {
		if s := &st.Systems[i]; s.State == status.Down {
			add(config.AlertDown, s.Name, "%s", s.Why)
		}
	}
	for i := range st.Refused {
		if r := &st.Refused[i]; st.Time.Sub(r.Last) < refusedLately {
			add(config.AlertRefused, cmp.Or(r.Flow, "unknown paths")+" ("+r.Reason+")", "%d requests were refused in the last hour: %s", r.LastHour, r.Detail)
		}
	}
	for i := range st.Reconciliations {
		r := &st.Reconciliations[i]
		comparison(add, "reconciliation "+r.Name, &r.Standing)
	}
	for i := range st.Rules {
		r := &st.Rules[i]
		comparison(add, "rule "+r.Name, &r.Standing)
	}
	for i := range st.Access.Certificates {
		c := &st.Access.Certificates[i]
		switch left := c.NotAfter.Sub(st.Time); {
		case c.Why != "":
			add(config.AlertCertificate, c.Listener, "%s", c.Why)
		case left < certificateNotice:
			add(config.AlertCertificate, c.Listener, "%s is valid until %s", c.File, c.NotAfter.UTC().Format(time.RFC3339))
		}
	}
	slices.SortStableFunc(out, func(a, b Condition) int { return cmp.Compare(a.Key(), b.Key()) })
	return slices.CompactFunc(out, func(a, b Condition) bool { return a.Key() == b.Key() })
}

// comparison judges a reconciliation or a rule apart from a run that is under way.
func comparison(add func(what, subject, format string, args ...any), subject string, s *api.Standing) {
	text := s.Why
	if s.State != s.Stands {
		text = fmt.Sprintf("%s: %d left of its last run", s.Stands, s.Drift)
	}
	switch s.Stands {
	case status.Drift, status.Held:
		add(config.AlertDrift, subject, "%s", text)
	case status.Failed, status.Overdue:
		add(config.AlertNotCompared, subject, "%s", cmp.Or(text, s.Stands))
	}
}
