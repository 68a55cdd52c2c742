package status

import (
	"fmt"
	"time"
)

// States of a reconciliation or a rule, beside Running.
const (
	NeverRun = "never-run"
	Agreed   = "agreed" // nothing differs, or what differed is repaired
	Drift    = "drift"
	Held     = "held"    // more differs than may be repaired without a person
	Failed   = "failed"  // its last run was not brought to its end
	Overdue  = "overdue" // a run was due, and there is no result of it
)

// ComparisonStates are the states of a reconciliation or a rule that there are.
var ComparisonStates = []string{NeverRun, Running, Agreed, Drift, Held, Failed, Overdue}

// ComparisonFacts is what a reconciliation or a rule is judged by.
type ComparisonFacts struct {
	// Command shows its runs, as people type it: waybill reconcile.
	Command string
	// UnderWay says how far a run is that is wanted or running; empty: none is.
	UnderWay string
	// Last is Agreed, Drift, Held or Failed, as the last run ended; empty: none has. Detail is what that says of itself.
	Last, Detail string
	// Run is the newest that says how things stand, Left what is left of its drift, Oldest since when the oldest of that stands.
	Run    int64
	Left   int64
	Oldest time.Time
	// NotCompared counts objects of which that run could not say whether they agree.
	NotCompared int64
	// Nothing says that the run had nothing to look at; empty: it had.
	Nothing string
	// Due is when a run was due of which there is no result; zero: none was.
	Due time.Time
}

var comparisonRules = []func(*ComparisonFacts) (Verdict, bool){underWay, lastFailed, runOverdue, repairHeld, drifts, unsure, neverRan, nothingSeen}

// Judge says how a reconciliation or a rule stands.
func (c *ComparisonFacts) Judge() Verdict { return first(comparisonRules, c, Agreed) }

// Stands is Judge apart from a run that is under way.
func (c *ComparisonFacts) Stands() Verdict { return first(comparisonRules[1:], c, Agreed) }

func underWay(c *ComparisonFacts) (Verdict, bool) {
	return Verdict{Running, c.UnderWay}, c.UnderWay != ""
}

func lastFailed(c *ComparisonFacts) (Verdict, bool) {
	return Verdict{Failed, c.Detail}, c.Last == Failed
}

func runOverdue(c *ComparisonFacts) (Verdict, bool) {
	return Verdict{Overdue, fmt.Sprintf("a run was due at %s, and there is no result of it", c.Due.UTC().Format(time.RFC3339))}, !c.Due.IsZero()
}

func repairHeld(c *ComparisonFacts) (Verdict, bool) {
	why := fmt.Sprintf("%d differ, more than are repaired without a person: %s repair %d", c.Left, c.Command, c.Run)
	return Verdict{Held, why}, c.Last == Held && c.Left > 0
}

func drifts(c *ComparisonFacts) (Verdict, bool) {
	since := ""
	if !c.Oldest.IsZero() {
		since = ", the oldest since " + c.Oldest.UTC().Format(time.RFC3339)
	}
	return Verdict{Drift, fmt.Sprintf("%d left%s: %s show %d", c.Left, since, c.Command, c.Run)}, c.Left > 0
}

func unsure(c *ComparisonFacts) (Verdict, bool) {
	return Verdict{Drift, fmt.Sprintf("%d could not be compared: %s show %d", c.NotCompared, c.Command, c.Run)}, c.NotCompared > 0
}

func neverRan(c *ComparisonFacts) (Verdict, bool) { return Verdict{State: NeverRun}, c.Last == "" }

func nothingSeen(c *ComparisonFacts) (Verdict, bool) {
	return Verdict{Agreed, c.Nothing}, c.Nothing != ""
}
