package api

import (
	"slices"
	"time"

	"github.com/waybill-hub/waybill/internal/status"
)

// Status is the hub at a glance. Scripts rely on its field names.
type Status struct {
	Version         string           `json:"version"`
	Zones           string           `json:"zones"` // the time zone data in use: version and source
	Time            time.Time        `json:"time"`
	Started         time.Time        `json:"started"`
	Plan            Plan             `json:"plan"`
	Summary         Summary          `json:"summary"`
	Hub             Self             `json:"hub"` // the hub itself, apart from its flows and systems
	Broker          Broker           `json:"broker"`
	Totals          Totals           `json:"totals"`
	Flows           []Flow           `json:"flows"`
	Systems         []System         `json:"systems"`
	Refused         []Refused        `json:"refused"`
	Troubles        []Trouble        `json:"troubles"`
	Reconciliations []Reconciliation `json:"reconciliations"`
	Rules           []Rule           `json:"rules"`
	// Restored is there while it is being settled that the store has gone back to an older state, and a day after.
	Restored *Restored `json:"restored,omitempty"`
	Access   Access    `json:"access"`
}

// Access tells of those who may not ask: wrong tokens since the start, and what the listeners prove themselves by.
type Access struct {
	WrongTokens int64      `json:"wrong_tokens"`
	LastWrong   *time.Time `json:"last_wrong,omitempty"`
	// LastWrongFrom is the address at the other end of the connection.
	LastWrongFrom string        `json:"last_wrong_from,omitempty"`
	Certificates  []Certificate `json:"certificates,omitempty"`
}

// Certificate is what a listener proves itself by, and Why what is wrong with it, or with newer files that were not taken.
type Certificate struct {
	Listener string    `json:"listener" enum:"http,hooks"` // "http" or "hooks"
	File     string    `json:"file"`
	NotAfter time.Time `json:"not_after"`
	Why      string    `json:"why,omitempty"` // what is wrong with it, or with the newer files that were not taken
}

// States of the broker.
const (
	BrokerUp   = status.Up
	BrokerDown = status.Down
)

// Self is what is to be said of the hub itself, apart from its flows and systems.
type Self struct {
	State string `json:"state" enum:"running,attention,failing"` // "running", "attention" or "failing"
	Why   string `json:"why,omitempty"`
	// Causes are all that is to be said, the worst first; State and Why are those of the first.
	Causes []HubCause `json:"causes,omitempty"`
}

// HubCause is one thing that is to be said of the hub itself.
type HubCause struct {
	Of    string `json:"of" enum:"store,disk,clock,alerts"` // "store", "disk", "clock" or "alerts"
	State string `json:"state" enum:"attention,failing"`
	Why   string `json:"why"`
}

// Broker tells whether the broker answers the hub, and if not, why.
type Broker struct {
	State string `json:"state" enum:"up,down"`
	Why   string `json:"why,omitempty"`
	// Remarks say which topics take less than the webhooks, and what to set.
	Remarks []string `json:"remarks,omitempty"`
}

// Totals is the conservation equation: accepted = delivered + skipped + parked + waiting + discarded + in flight, computed
// from what is stored. Unaccounted is what it leaves over; Duplicates counts target objects beyond one per external id.
type Totals struct {
	Accepted    int64 `json:"accepted"`
	Delivered   int64 `json:"delivered"`
	Skipped     int64 `json:"skipped"`
	Parked      int64 `json:"parked"`
	Waiting     int64 `json:"waiting"`
	Discarded   int64 `json:"discarded"`
	InFlight    int64 `json:"in_flight"`
	Retried     int64 `json:"retried"`
	Unaccounted int64 `json:"unaccounted"`
	Duplicates  int64 `json:"duplicates"`
}

// Add sums the counts of one flow.
func (t *Totals) Add(f *Totals) {
	t.Accepted += f.Accepted
	t.Delivered += f.Delivered
	t.Skipped += f.Skipped
	t.Parked += f.Parked
	t.Waiting += f.Waiting
	t.Discarded += f.Discarded
	t.InFlight += f.InFlight
	t.Retried += f.Retried
	t.Unaccounted += f.Unaccounted
}

// Flow states; internal/status says what they mean.
const (
	StateRunning   = status.Running
	StatePaused    = status.Paused
	StateLate      = status.Late
	StateSilent    = status.Silent
	StateFailing   = status.Failing
	StateAttention = status.Attention
	StateAlarm     = status.Alarm
)

// Flow is one flow's part of the status.
type Flow struct {
	Name   string `json:"name"`
	Entity string `json:"entity"`
	From   string `json:"from"`
	To     string `json:"to"`
	State  string `json:"state" enum:"running,attention,paused,late,silent,failing,alarm"`
	// Why says what is behind a state that is not running.
	Why string `json:"why,omitempty"`
	// Paused is who has paused the flow, and when; nil where it is not paused. A flow that is paused and late is late.
	Paused *Pause `json:"paused,omitempty"`
	// Lag counts records on the topic that have no fate yet.
	Lag int64 `json:"lag"`
	// OldestSeconds is the age of the oldest message without a final fate, counted from when the hub accepted it first; 0 when there is none.
	// InFlightSeconds is that of the oldest which the hub has still to move, and by which the flow is late; ParkedSeconds that of the oldest which
	// waits for a person; WaitingSeconds is how long the oldest has been waiting for another object.
	OldestSeconds   float64 `json:"oldest_seconds"`
	InFlightSeconds float64 `json:"in_flight_seconds,omitempty"`
	ParkedSeconds   float64 `json:"parked_seconds,omitempty"`
	WaitingSeconds  float64 `json:"waiting_seconds,omitempty"`
	// OnTime tells what was delivered within slo.late-after.
	OnTime OnTime `json:"on_time"`
	Totals
	SkippedBy     map[string]int64 `json:"skipped_by,omitempty"`
	LastDelivered *time.Time       `json:"last_delivered,omitempty"`
	// Remarks are what people should know of the source's data although nothing failed, where the hub that answers reads the source.
	Remarks []Remark `json:"remarks,omitempty"`
	// Sweep is the last look for what was deleted in the source without a trace; nil where the flow does not look.
	Sweep *Sweep `json:"sweep,omitempty"`
	// Backfill is the load of everything that the source holds, as long as it is wanted or running, and a day from its end.
	Backfill *Backfill `json:"backfill,omitempty"`
}

// OnTime is what all hubs together have delivered of a flow in the last hour and the last day, in steps of five minutes.
type OnTime struct {
	LateAfterSeconds float64   `json:"late_after_seconds"` // slo.late-after
	Hour             Delivered `json:"hour"`
	Day              Delivered `json:"day"`
}

// Delivered counts deliveries. Late ones were older than slo.late-after by then; Share is that of the others, from 0 to 1, and missing where
// nothing was delivered.
type Delivered struct {
	Delivered int64    `json:"delivered"`
	Late      int64    `json:"late"`                            // older than slo.late-after when they were delivered
	Share     *float64 `json:"share,omitempty" min:"0" max:"1"` // of those that were not late; missing where nothing was delivered
}

// Pause is a person's holding of a flow.
type Pause struct {
	By    string    `json:"by"`
	Since time.Time `json:"since"`
}

// Remark is about Count records of a source, of which Local is one, with its stamp as the system writes it.
type Remark struct {
	Kind    string `json:"kind" enum:"ahead,unstamped,moving,lost,anew,left,held-back,failed,unanswered"` // "ahead", "unstamped" or "moving", of logs "lost" or "anew", of files "left", "held-back" or "failed", and of interchanges "unanswered"
	Count   int    `json:"count"`                                                                         // how many records it is about
	Local   string `json:"id,omitempty"`                                                                  // one of the records
	Version string `json:"version,omitempty"`                                                             // its stamp, as the system writes it
	Text    string `json:"text"`                                                                          // the remark as a sentence
}

// System is one system's part of the status.
type System struct {
	Name      string     `json:"name"`
	Connector string     `json:"connector"`
	State     string     `json:"state" enum:"up,failing,down"` // "up", "failing" or "down", in the worse of the two directions
	Since     *time.Time `json:"since,omitempty"`
	Why       string     `json:"why,omitempty"`
	Write     Direction  `json:"write"`
	Read      Direction  `json:"read"`
	// CallSeconds is how long the newest calls of this hub to it took, on average; missing where none was made in the last five minutes.
	CallSeconds float64 `json:"call_seconds,omitempty"`
}

// Direction is how a system does where it is written to, or read: up where nothing has failed, also where the hub does neither.
type Direction struct {
	State string     `json:"state" enum:"up,failing,down"`
	Since *time.Time `json:"since,omitempty"` // of the first failure after the last success
	Why   string     `json:"why,omitempty"`
}

// Refused is what was refused at the webhooks of one flow for one reason, since this hub began.
type Refused struct {
	Flow     string    `json:"flow"`                                                                                                           // empty for all paths at which nothing is received
	Reason   string    `json:"reason" enum:"unknown-path,signature,timestamp,rate,too-large,media-type,unreadable,method,conflict,busy,other"` // of a closed set, such as "signature" and "rate"
	Count    int64     `json:"count"`
	LastHour int64     `json:"last_hour"`
	First    time.Time `json:"first"`
	Last     time.Time `json:"last"`
	Detail   string    `json:"detail"` // what the last sender was told, and what the hub knows besides
}

// Trouble is what does not go as it should with a flow at present, and is told once in the log however often it happens.
type Trouble struct {
	Flow  string    `json:"flow"`
	What  string    `json:"what" enum:"retry,park,read,refusal"` // "retry", "park", "read" or "refusal"
	Cause string    `json:"cause"`
	Text  string    `json:"text,omitempty"` // of the first time
	Since time.Time `json:"since"`
	Last  time.Time `json:"last"`
	Count int       `json:"count"`
}

// Failing reports whether something is wrong with the hub or around it: a flow is late, failing or alarmed, the hub itself fails, anything is
// unaccounted or doubled, or a reconciliation or a rule has drift left, is held, has failed or is overdue. What is parked waits for a person and is no failure of that kind: most days begin with some of it.
func (s *Status) Failing() bool {
	if s.Totals.Unaccounted != 0 || s.Totals.Duplicates != 0 || status.Bad(s.Broker.State) || status.Bad(s.Hub.State) {
		return true
	}
	return slices.ContainsFunc(s.Flows, func(f Flow) bool { return status.Bad(f.State) }) ||
		slices.ContainsFunc(s.Reconciliations, func(r Reconciliation) bool { return r.bad() }) || slices.ContainsFunc(s.Rules, func(r Rule) bool { return r.bad() })
}

// AtRest reports whether nothing is in flight. While the broker or the store does not answer that is not known, whatever the figures are.
func (s *Status) AtRest() bool {
	return !status.Bad(s.Broker.State) && !status.Bad(s.Hub.State) && s.Totals.InFlight == 0
}
