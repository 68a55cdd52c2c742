package state

import (
	"encoding/json"
	"fmt"
	"time"
)

// Kinds of what is run over whole systems.
const (
	RunReconciliation = "reconciliation"
	RunRule           = "rule"
)

// What wants a run.
const (
	TriggerSchedule = "schedule"
	TriggerPerson   = "person"
)

// RunLease names the lease under which a run of that kind and name is worked.
func RunLease(kind, name string) string {
	if kind == RunRule {
		return "rule/" + name
	}
	return "reconcile/" + name
}

// RunState is how far a run of a reconciliation or a rule has come, or how it has ended.
type RunState string

const (
	// RunWanted: nobody has begun it yet.
	RunWanted RunState = "wanted"
	// RunRunning: a hub works on it. One that has ended without a word is begun again from the start by another.
	RunRunning RunState = "running"
	// RunAgreed: the systems agree, or what differed was repaired.
	RunAgreed RunState = "agreed"
	// RunDrift: differences are left.
	RunDrift RunState = "drift"
	// RunHeld: differences are left because there are more than `at-most` allows to repair: a person is asked.
	RunHeld RunState = "held"
	// RunFailed: it could not be brought to its end, and says nothing of the systems.
	RunFailed RunState = "failed"
	// RunCancelled: a person has ended it.
	RunCancelled RunState = "cancelled"
)

// Over reports whether a run has ended.
func (s RunState) Over() bool { return s != RunWanted && s != RunRunning }

// Tells reports whether a run that has ended so says how the systems stand to each other.
func (s RunState) Tells() bool { return s == RunAgreed || s == RunDrift || s == RunHeld }

// Comparison is one run of a reconciliation or a rule.
type Comparison struct {
	ID   int64
	Kind string // RunReconciliation or RunRule
	Name string
	// Trigger is TriggerSchedule or TriggerPerson; Who asked, and Why.
	Trigger, Who, Why string
	Options           CompareOptions
	State             RunState
	// Attempt counts how often it was begun.
	Attempt int
	// Wanted is when it was asked for, Started when its last attempt began, Updated when it was last heard of, Finished when it ended.
	Wanted, Started, Updated, Finished time.Time
	// Cancel is who wants it to end, with the reason given; empty: nobody.
	Cancel string
	// Keep is how long it is kept once it has ended; 0: as long as the journal.
	Keep     time.Duration
	Detail   string
	Progress CompareProgress
	Summary  CompareSummary
}

// CompareOptions are what a run was asked for.
type CompareOptions struct {
	// Key looks at one object alone. Since looks at what has changed since.
	Key   string    `json:"key,omitempty"`
	Since time.Time `json:"since,omitzero"`
	// Repair writes what differs through the flow; DryRun tells what would be sent instead. Deletes: deletions are repaired too.
	Repair  bool `json:"repair,omitempty"`
	DryRun  bool `json:"dry_run,omitempty"`
	Deletes bool `json:"deletes,omitempty"`
	// From is a run whose differences are repaired, without reading everything again; Reasons and Numbers select among them (none: all).
	From    int64    `json:"from,omitempty"`
	Reasons []string `json:"reasons,omitempty"`
	Numbers []int    `json:"numbers,omitempty"`
	// AtMost confirms that so many differences may be repaired; 0: as the file says.
	AtMost int `json:"at_most,omitempty"`
}

// Whole reports whether everything is compared, so that the run says how the systems stand.
func (o *CompareOptions) Whole() bool { return o.Key == "" && o.Since.IsZero() && o.From == 0 }

// CompareProgress is how far a run has come.
type CompareProgress struct {
	// Phase is reading, comparing, settling, looking-again, repairing or verifying.
	Phase string `json:"phase,omitempty" enum:"reading,comparing,settling,looking-again,repairing,verifying"`
	// Path is streamed, pushed or indexed.
	Path string `json:"path,omitempty" enum:"streamed,pushed,indexed"`
	// Left and Right are rows read.
	Left  int64 `json:"left"`
	Right int64 `json:"right"`
	// Expect is how many rows are expected in all, as the run before had them; 0: unknown.
	Expect     int64 `json:"expect,omitempty"`
	Candidates int64 `json:"candidates,omitempty"`
	// Text is a sentence: what is waited for.
	Text string `json:"text,omitempty"`
}

// CompareSummary is what a run has found.
type CompareSummary struct {
	// Path is how it was compared: streamed, or pushed into the databases.
	Path         string `json:"path,omitempty"`
	Compared     int64  `json:"compared"`
	Equal        int64  `json:"equal"`
	MissingLeft  int64  `json:"missing_left"`
	MissingRight int64  `json:"missing_right"`
	Different    int64  `json:"different"`
	Doubled      int64  `json:"doubled"`
	Repaired     int64  `json:"repaired"`
	// NotCompared are objects of which nobody can say whether they agree; the differences of kind not-compared say why.
	NotCompared int64 `json:"not_compared"`
	// Repairable is how much of the drift a repair writes, or has; Deletable what it would delete where it is told to.
	Repairable int64 `json:"repairable"`
	Deletable  int64 `json:"deletable"`
	// Explained are differences that are no drift, by reason. Reasons are those of the drift.
	Explained map[string]int64 `json:"explained,omitempty"`
	Reasons   map[string]int64 `json:"reasons,omitempty"`
	// Fields is how often each field differs.
	Fields map[string]int64 `json:"fields,omitempty"`
	// Money is the sum of the differences by currency, as decimals.
	Money map[string]string `json:"money,omitempty"`
	// Oldest is since when the oldest difference stands, as far as runs have seen it.
	Oldest time.Time `json:"oldest,omitzero"`
	// Totals that do not agree.
	Totals []TotalLine `json:"totals,omitempty"`
	// Files are what sides of drops were compared by.
	Files []ComparedFile `json:"files,omitempty"`
}

// ComparedFile is the file that a side of a drop was read from. ID names its content.
type ComparedFile struct {
	Side     string    `json:"side" enum:"left,right"` // left or right
	System   string    `json:"system"`
	Name     string    `json:"name"`
	ID       string    `json:"id,omitempty"` // names its content: the same file again has the same id
	Size     int64     `json:"size"`         // bytes
	Modified time.Time `json:"modified"`
}

// String tells of the file in a sentence.
func (f *ComparedFile) String() string {
	text := fmt.Sprintf("the %s side is the file %s of %s, modified %s, %d bytes", f.Side, f.Name, f.System, f.Modified.UTC().Format(time.RFC3339), f.Size)
	if f.ID != "" {
		text += ", id " + f.ID
	}
	return text
}

// Drift counts what differs and is not explained.
func (s *CompareSummary) Drift() int64 {
	return s.MissingLeft + s.MissingRight + s.Different + s.Doubled + int64(len(s.Totals))
}

// Left counts the drift that is not repaired.
func (s *CompareSummary) Left() int64 { return max(s.Drift()-s.Repaired, 0) }

// TotalLine is one sum of both sides.
type TotalLine struct {
	Total string   `json:"total"`
	Group []string `json:"group,omitempty"`
	Left  string   `json:"left,omitempty"`
	Right string   `json:"right,omitempty"`
}

// Kinds of differences.
const (
	DiffMissingLeft  = "missing-left"
	DiffMissingRight = "missing-right"
	DiffDifferent    = "different"
	DiffDoubledLeft  = "doubled-left"
	DiffDoubledRight = "doubled-right"
	// DiffNotCompared: a record cannot be read, mapped or paired.
	DiffNotCompared = "not-compared"
	// DiffViolation: a business rule does not hold.
	DiffViolation = "violation"
)

// DifferenceKinds are the kinds that there are.
var DifferenceKinds = []string{DiffMissingLeft, DiffMissingRight, DiffDifferent, DiffDoubledLeft, DiffDoubledRight, DiffNotCompared, DiffViolation}

// Reasons of drift.
const (
	ReasonEditedLeft   = "edited-left"   // past the hub
	ReasonEditedRight  = "edited-right"  // past the hub
	ReasonEditedBoth   = "edited-both"   // past the hub
	ReasonNeverArrived = "never-arrived" // the hub has seen it, and the other system has not got it
	ReasonRefused      = "refused"       // it arrived, and was refused and given up
	ReasonCreatedLeft  = "created-left"  // past the hub: the hub has never seen it
	ReasonCreatedRight = "created-right"
	ReasonDeletedLeft  = "deleted-left" // past the hub
	ReasonDeletedRight = "deleted-right"
	ReasonMissedDelete = "missed-delete" // the hub knows that it is gone on one side, and it is there on the other
	ReasonCameBack     = "came-back"     // it was deleted there, and is there again
	ReasonDoubled      = "doubled"
	ReasonRounding     = "rounding"
	ReasonViolated     = "violated" // a business rule does not hold
	ReasonUnknown      = "unknown"  // both sides are as the hub last saw them, and differ
)

// Reasons why a difference is no drift.
const (
	ExplainedInFlight = "in-flight"
	ExplainedWaiting  = "waiting"
	ExplainedParked   = "parked"
	ExplainedArrived  = "arrived" // while the run went on
	ExplainedMoving   = "moving"  // it changed between every two looks
	ExplainedFiltered = "filtered"
	ExplainedDeleted  = "deleted-on-purpose"
	ExplainedStands   = "flow-stands" // a flow on the way is paused, or does not get on
)

// DifferenceReasons are all of them.
var DifferenceReasons = []string{ReasonEditedLeft, ReasonEditedRight, ReasonEditedBoth, ReasonNeverArrived, ReasonRefused, ReasonCreatedLeft, ReasonCreatedRight, ReasonDeletedLeft, ReasonDeletedRight,
	ReasonMissedDelete, ReasonCameBack, ReasonDoubled, ReasonRounding, ReasonViolated, ReasonUnknown,
	ExplainedInFlight, ExplainedWaiting, ExplainedParked, ExplainedArrived, ExplainedMoving, ExplainedFiltered, ExplainedDeleted, ExplainedStands}

// Difference is one object in which two systems do not agree, or of which that cannot be said.
type Difference struct {
	Run int64 `json:"run"`
	// N is its number within the run, from 1.
	N      int    `json:"n"`
	Kind   string `json:"kind" enum:"missing-left,missing-right,different,doubled-left,doubled-right,not-compared,violation"`
	Reason string `json:"reason"`
	// Explained: it is no drift.
	Explained bool   `json:"explained,omitempty"`
	Hub       string `json:"hub,omitempty"`
	Key       string `json:"key,omitempty"`
	// Left and Right are its ids in the systems; of a doubled one, More are the others.
	Left  string   `json:"left,omitempty"`
	Right string   `json:"right,omitempty"`
	More  []string `json:"more,omitempty"`
	// Fields differ. LeftDoc and RightDoc are the compared documents.
	Fields   []DifferentField `json:"fields,omitempty"`
	LeftDoc  json.RawMessage  `json:"left_doc,omitempty"`
	RightDoc json.RawMessage  `json:"right_doc,omitempty"`
	// Event is the last one that touched the object, with its time and fate; Parked is the message's id in the stored queue.
	Event     string    `json:"event,omitempty"`
	EventTime time.Time `json:"event_time,omitzero"`
	Outcome   string    `json:"outcome,omitempty"`
	Parked    int64     `json:"parked,omitempty"`
	// Amount and Currency are the money affected.
	Amount   string `json:"amount,omitempty"`
	Currency string `json:"currency,omitempty"`
	// Since is when a run first saw this difference: the store carries it on from run to run, as long as ids and fields are the same.
	Since time.Time `json:"since,omitzero"`
	Text  string    `json:"text,omitempty"`
	// Proposal says what a repair would do; Write is what would be sent.
	Proposal string          `json:"proposal,omitempty"`
	Write    json.RawMessage `json:"write,omitempty"`
	// Repair is what became of it: submitted, repaired, failed or left. RepairEvent is the event that was submitted.
	Repair       string `json:"repair,omitempty" enum:"submitted,repaired,failed,left"`
	RepairEvent  string `json:"repair_event,omitempty"`
	RepairDetail string `json:"repair_detail,omitempty"`
}

// What became of a repair.
const (
	RepairSubmitted = "submitted"
	RepairRepaired  = "repaired"
	RepairFailed    = "failed"
	RepairLeft      = "left" // it is not repaired, for the reason that RepairDetail gives
)

// DifferentField is a field in which two documents differ. Left and Right are its values as JSON; empty: absent.
type DifferentField struct {
	Path  string          `json:"path"`
	Left  json.RawMessage `json:"left,omitempty"`  // absent where it has none
	Right json.RawMessage `json:"right,omitempty"` // absent where it has none
	// Rule is how it was compared, as the file says it; Owner the side that the field belongs to, left or right, where one does.
	Rule  string `json:"rule,omitempty"`
	Owner string `json:"owner,omitempty" enum:"left,right"`
}

// ComparisonFilter selects runs, newest first; a zero field selects all.
type ComparisonFilter struct {
	Kind, Name string
	// Open: those that are not over.
	Open bool
	// Before is the ID to go on below; Limit the most to give (100 when zero, at most 10,000).
	Before int64
	Limit  int
}

// RunName names a reconciliation or a rule.
type RunName struct{ Kind, Name string }

// LastComparison is what the last runs of one name say, apart from those that looked at a part alone or were cancelled.
type LastComparison struct {
	// Ended is the newest that has ended: Told itself, or a later one that has failed.
	Ended Comparison
	// Told is the newest that says how the systems stand; nil: none does.
	Told *Comparison
	// Repairs are runs that have repaired differences of Told since, oldest first.
	Repairs []Comparison
}

// Repaired counts what was repaired of Told's drift, then and since.
func (l *LastComparison) Repaired() (n int64) {
	if l.Told == nil {
		return 0
	}
	n = l.Told.Summary.Repaired
	for i := range l.Repairs {
		n += l.Repairs[i].Summary.Repaired
	}
	return min(n, l.Told.Summary.Drift())
}

// DifferenceFilter selects differences of a run, by number.
type DifferenceFilter struct {
	Run    int64
	Kind   string
	Reason string
	// Drift leaves out what is explained or not compared.
	Drift bool
	// Numbers leaves out all others; none: nothing is left out.
	Numbers []int
	// After is the number to go on behind; Limit the most to give (100 when zero, at most 10,000). Fewer may come where they are large; none: there
	// are no more.
	After int
	Limit int
}
