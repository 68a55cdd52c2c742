package api

import (
	"time"

	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/status"
)

// States of a reconciliation or a rule; internal/status says what they mean.
const (
	StateNeverRun = status.NeverRun
	StateAgreed   = status.Agreed
	StateDrift    = status.Drift
	StateHeld     = status.Held
	StateFailed   = status.Failed
	StateOverdue  = status.Overdue
)

// Standing is how a reconciliation or a rule stands.
type Standing struct {
	// Schedule is its cron line with the zone; empty: it runs only when asked. NextRun is when it is due next.
	Schedule string     `json:"schedule,omitempty"`
	NextRun  *time.Time `json:"next_run,omitempty"`
	// LastRun is when the last run ended, whatever came of it; nil: it never ran. Run is the newest that says how things stand, which ended at Counted:
	// the counts are its own.
	LastRun  *time.Time `json:"last_run"`
	Run      int64      `json:"run,omitempty"`
	Counted  *time.Time `json:"counted,omitempty"`
	Compared int64      `json:"compared"`
	// NotCompared are objects of which nobody can say whether they agree.
	NotCompared int64 `json:"not_compared"`
	// Drift is what is left of what that run has found, after what was repaired since; Oldest is since when the oldest of it stands.
	Drift  int64      `json:"drift"`
	Oldest *time.Time `json:"oldest,omitempty"`
	// State is running while a run is wanted or under way, and else the same as Stands: how it stands without that.
	State  string `json:"state" enum:"never-run,running,agreed,drift,held,failed,overdue"`
	Why    string `json:"why,omitempty"`
	Stands string `json:"stands" enum:"never-run,running,agreed,drift,held,failed,overdue"`
	// Running is the run that is wanted or under way.
	Running *Run `json:"running,omitempty"`
	// Trend are the last runs, oldest first; the status has none.
	Trend []TrendPoint `json:"trend,omitempty"`
}

// bad reports whether `waybill status` exits with 1 for it, also while it runs again.
func (s *Standing) bad() bool { return status.Bad(s.State) || status.Bad(s.Stands) }

// TrendPoint is one of the last runs in short.
type TrendPoint struct {
	Run      int64      `json:"run"`
	State    string     `json:"state" enum:"wanted,running,agreed,drift,held,failed,cancelled"`
	Finished *time.Time `json:"finished,omitempty"`
	Compared int64      `json:"compared"`
	Drift    int64      `json:"drift"` // as it was found
	Repaired int64      `json:"repaired"`
}

// Reconciliation is one reconciliation's part of the status.
type Reconciliation struct {
	Name   string `json:"name"`
	About  string `json:"about,omitempty"`
	Entity string `json:"entity"`
	// Left and Right are its systems.
	Left  string `json:"left"`
	Right string `json:"right"`
	Standing
	MissingLeft  int64 `json:"missing_left"`
	MissingRight int64 `json:"missing_right"`
	Different    int64 `json:"different"`
	Doubled      int64 `json:"doubled"`
	// Totals is how many sums do not agree.
	Totals   int64 `json:"totals"`
	Repaired int64 `json:"repaired"` // then and since
}

// Rule is one business rule's part of the status.
type Rule struct {
	Name    string   `json:"name"`
	About   string   `json:"about,omitempty"`
	Systems []string `json:"systems"`
	Standing
	Violations int64 `json:"violations"`
}

// Run is a run of a reconciliation or a rule.
type Run struct {
	ID   int64  `json:"id"`
	Kind string `json:"kind" enum:"reconciliation,rule"` // "reconciliation" or "rule"
	Name string `json:"name"`
	// State is wanted, running, agreed, drift, held, failed or cancelled.
	State string `json:"state" enum:"wanted,running,agreed,drift,held,failed,cancelled"`
	// Trigger is schedule or person; By asked for it, and Why.
	Trigger string `json:"trigger" enum:"schedule,person"`
	By      string `json:"by,omitempty"`
	Why     string `json:"why,omitempty"`
	// Options are what it was asked for.
	Options state.CompareOptions `json:"options"`
	// Attempt counts how often it was begun: a hub that ends without a word leaves a run to another, which begins it anew.
	Attempt  int        `json:"attempt"`
	Wanted   time.Time  `json:"wanted"`
	Started  *time.Time `json:"started,omitempty"` // of the last attempt
	Updated  *time.Time `json:"updated,omitempty"`
	Finished *time.Time `json:"finished,omitempty"`
	// Cancelled is who wants it to end, with the reason.
	Cancelled string `json:"cancelled,omitempty"`
	Detail    string `json:"detail,omitempty"`
	// Progress is there until it is over, Summary from then on. Drift is what it has found, and Left what it has not repaired of that.
	Progress *state.CompareProgress `json:"progress,omitempty"`
	Summary  *state.CompareSummary  `json:"summary,omitempty"`
	Drift    int64                  `json:"drift"`
	Left     int64                  `json:"left"`
	// NoRepair says why the hub repairs nothing of what it has found, as the files are now; one run that is asked for has it.
	NoRepair string `json:"no_repair,omitempty"`
}

// RunView is a run as the API tells of it.
func RunView(c *state.Comparison) *Run {
	v := &Run{ID: c.ID, Kind: c.Kind, Name: c.Name, State: string(c.State), Trigger: c.Trigger, By: c.Who, Why: c.Why, Options: c.Options, Attempt: c.Attempt, Wanted: c.Wanted,
		Started: instant(c.Started), Updated: instant(c.Updated), Finished: instant(c.Finished), Cancelled: c.Cancel, Detail: c.Detail}
	if c.State.Over() {
		v.Summary, v.Drift, v.Left = &c.Summary, c.Summary.Drift(), c.Summary.Left()
	} else {
		v.Progress = &c.Progress
	}
	return v
}

// Trend puts runs, newest first as the store lists them, in short; those that looked at a part alone are left out.
func Trend(runs []state.Comparison) []TrendPoint {
	var out []TrendPoint
	for i := len(runs) - 1; i >= 0; i-- {
		c := &runs[i]
		if c.State.Over() && c.Options.Whole() {
			out = append(out, TrendPoint{Run: c.ID, State: string(c.State), Finished: instant(c.Finished), Compared: c.Summary.Compared, Drift: c.Summary.Drift(), Repaired: c.Summary.Repaired})
		}
	}
	return out
}

// moment is a time that may be missing.
func instant(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
