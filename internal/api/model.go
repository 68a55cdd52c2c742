// Package api is the hub's HTTP interface: what operators, scripts and the console ask of a running hub.
package api

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/status"
)

// Status is the hub at a glance. Scripts rely on its field names.
type Status struct {
	Version         string           `json:"version"`
	Zones           string           `json:"zones"` // the time zone data in use: version and source
	Time            time.Time        `json:"time"`
	Started         time.Time        `json:"started"`
	Plan            Plan             `json:"plan"`
	Hub             Self             `json:"hub"`
	Broker          Broker           `json:"broker"`
	Totals          Totals           `json:"totals"`
	Flows           []Flow           `json:"flows"`
	Systems         []System         `json:"systems"`
	Refused         []Refused        `json:"refused"`
	Troubles        []Trouble        `json:"troubles"`
	Reconciliations []Reconciliation `json:"reconciliations"`
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
	Listener string    `json:"listener"` // "http" or "hooks"
	File     string    `json:"file"`
	NotAfter time.Time `json:"not_after"`
	Why      string    `json:"why,omitempty"`
}

// States of the broker.
const (
	BrokerUp   = status.Up
	BrokerDown = status.Down
)

// Self is what is to be said of the hub itself, apart from its flows and systems.
type Self struct {
	State string `json:"state"` // "running", "attention" or "failing"
	Why   string `json:"why,omitempty"`
}

// Broker tells whether the broker answers the hub, and if not, why.
type Broker struct {
	State string `json:"state"`
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
	State  string `json:"state"`
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
}

// OnTime is what all hubs together have delivered of a flow in the last hour and the last day, in steps of five minutes.
type OnTime struct {
	LateAfterSeconds float64   `json:"late_after_seconds"`
	Hour             Delivered `json:"hour"`
	Day              Delivered `json:"day"`
}

// Delivered counts deliveries. Late ones were older than slo.late-after by then; Share is that of the others, from 0 to 1, and missing where
// nothing was delivered.
type Delivered struct {
	Delivered int64    `json:"delivered"`
	Late      int64    `json:"late"`
	Share     *float64 `json:"share,omitempty"`
}

// Pause is a person's holding of a flow.
type Pause struct {
	By    string    `json:"by"`
	Since time.Time `json:"since"`
}

// Remark is about Count records of a source, of which Local is one, with its stamp as the system writes it.
type Remark struct {
	Kind    string `json:"kind"` // "ahead", "unstamped" or "moving", and of files "left", "held-back" or "failed"
	Count   int    `json:"count"`
	Local   string `json:"id,omitempty"`
	Version string `json:"version,omitempty"`
	Text    string `json:"text"`
}

// System is one system's part of the status.
type System struct {
	Name      string     `json:"name"`
	Connector string     `json:"connector"`
	State     string     `json:"state"` // "up", "failing" or "down", in the worse of the two directions
	Since     *time.Time `json:"since,omitempty"`
	Why       string     `json:"why,omitempty"`
	Write     Direction  `json:"write"`
	Read      Direction  `json:"read"`
}

// Direction is how a system does where it is written to, or read: up where nothing has failed, also where the hub does neither.
type Direction struct {
	State string     `json:"state"`
	Since *time.Time `json:"since,omitempty"` // of the first failure after the last success
	Why   string     `json:"why,omitempty"`
}

// Refused is what was refused at the webhooks of one flow for one reason, since this hub began.
type Refused struct {
	Flow     string    `json:"flow"`   // empty for all paths at which nothing is received
	Reason   string    `json:"reason"` // of a closed set, such as "signature" and "rate"
	Count    int64     `json:"count"`
	LastHour int64     `json:"last_hour"`
	First    time.Time `json:"first"`
	Last     time.Time `json:"last"`
	Detail   string    `json:"detail"` // what the last sender was told, and what the hub knows besides
}

// Trouble is what does not go as it should with a flow at present, and is told once in the log however often it happens.
type Trouble struct {
	Flow  string    `json:"flow"`
	What  string    `json:"what"` // "retry", "park", "read" or "refusal"
	Cause string    `json:"cause"`
	Text  string    `json:"text,omitempty"` // of the first time
	Since time.Time `json:"since"`
	Last  time.Time `json:"last"`
	Count int       `json:"count"`
}

// Reconciliation is one reconciliation's part of the status.
type Reconciliation struct {
	Name         string     `json:"name"`
	LastRun      *time.Time `json:"last_run"`
	Compared     int64      `json:"compared"`
	MissingLeft  int64      `json:"missing_left"`
	MissingRight int64      `json:"missing_right"`
	Different    int64      `json:"different"`
	Repaired     int64      `json:"repaired"`
	State        string     `json:"state"`
}

// Failing reports whether something is wrong with the hub or around it: a flow is late, failing or alarmed, the hub itself fails, or anything is
// unaccounted or doubled. What is parked waits for a person and is no failure of that kind: most days begin with some of it.
func (s *Status) Failing() bool {
	if s.Totals.Unaccounted != 0 || s.Totals.Duplicates != 0 || status.Bad(s.Broker.State) || status.Bad(s.Hub.State) {
		return true
	}
	return slices.ContainsFunc(s.Flows, func(f Flow) bool { return status.Bad(f.State) })
}

// AtRest reports whether nothing is in flight. While the broker or the store does not answer that is not known, whatever the figures are.
func (s *Status) AtRest() bool {
	return !status.Bad(s.Broker.State) && !status.Bad(s.Hub.State) && s.Totals.InFlight == 0
}

// Hub is what the API shows and steers.
type Hub interface {
	Status(ctx context.Context) (*Status, error)
	// Ready is nil when the hub can take webhooks: it runs, and its store answers.
	Ready(ctx context.Context) error
	// Trace finds a key as it is written, or else without the difference of capitals or by its beginning; the trace says which it is about.
	Trace(ctx context.Context, key string) (state.Trace, error)
	// Documents fills in the documents of journal rows, as far as they are kept.
	Documents(ctx context.Context, rows []state.Journal) error
	Desk
	// Pause and Resume give state.ErrNotFound for an unknown flow.
	Pause(ctx context.Context, flow, who string) error
	Resume(ctx context.Context, flow, who string) error
	// Rewind has the source of a polled flow read again from q.To on. state.ErrNotFound for an unknown flow; *Invalid for one that is not polled, and
	// for a place that is none.
	Rewind(ctx context.Context, flow string, q RewindRequest, who string) (*Rewound, error)
	// Sweep looks now for what was deleted in the source without a trace. Errors are those of Rewind.
	Sweep(ctx context.Context, flow string, q SweepRequest, who string) (*SweepAsked, error)
	// Resend reads one object from its source and submits it to the flow that takes it from there. *Invalid where it cannot be read or sent, with what to do;
	// state.ErrBusy where the same wish was for another document.
	Resend(ctx context.Context, q ResendRequest, who string) (*Resent, error)
	// Reload changes over to the files as they are now; *BadFiles, *NeedsRestart, ErrStopping and ErrNoFiles refuse it.
	Reload(ctx context.Context, who string) (*Reload, error)
	// Link makes cross-references that people know of; *Invalid where the hub knows an entity or a system of them not.
	Link(ctx context.Context, links []state.Link, dry bool, who string) ([]state.Linked, error)
	// Recovery tells what does not fit between the hub and its broker, and what Recover would do about it.
	Recovery(ctx context.Context, q RecoverRequest) (*Recovery, error)
	Recover(ctx context.Context, q RecoverRequest, who string) (*Recovery, error)
	Audits(ctx context.Context, limit int) ([]state.Audit, error)
	// Backup begins a copy; *Invalid where there can be none, state.ErrBusy while one is written. Backups tells of it, and of those that are there.
	Backup(ctx context.Context, q BackupRequest, who string) (*Backup, error)
	Backups(ctx context.Context) (*Backups, error)
	// Restored tells of the last time that the store went back to an older state; nil: it never did. SayRestored says that it has, or that it is settled.
	Restored(ctx context.Context) (*Restored, error)
	SayRestored(ctx context.Context, q RestoredRequest, who string) (*Restored, error)
}

// Message is a trace: everything the hub remembers about one key.
type Message struct {
	Key     string    `json:"key"`
	Objects []Object  `json:"objects"`
	Journal []Journal `json:"journal"`
	Queued  []Queued  `json:"queued"`
	Inbox   []Inbound `json:"inbox"`
	// Acts are what people did to its messages, oldest first.
	Acts []Act `json:"acts"`
	// Keys are other keys that begin with what was asked for. Where Key is what was asked for and all else is empty, they are what was found.
	Keys []string `json:"keys,omitempty"`
}

// Known reports whether the hub remembers anything under the key.
func (m *Message) Known() bool {
	return len(m.Objects)+len(m.Journal)+len(m.Queued)+len(m.Inbox)+len(m.Acts) > 0
}

// Object is one business object and its ids.
type Object struct {
	Entity   string    `json:"entity"`
	Hub      string    `json:"hub"`
	External string    `json:"external_id"`
	Created  time.Time `json:"created"`
	Refs     []Ref     `json:"refs"`
}

// Ref is the object's id in one system.
type Ref struct {
	System  string    `json:"system"`
	Local   string    `json:"id"`
	Deleted bool      `json:"deleted,omitempty"`
	Updated time.Time `json:"updated"`
}

// Journal is the fate of one event.
type Journal struct {
	Time     time.Time `json:"time"`
	Flow     string    `json:"flow"`
	Event    string    `json:"event"`
	Entity   string    `json:"entity,omitempty"`
	Key      string    `json:"key"`
	Outcome  string    `json:"outcome"`
	Reason   string    `json:"reason,omitempty"`
	System   string    `json:"system,omitempty"`
	Local    string    `json:"id,omitempty"`
	External string    `json:"external_id,omitempty"`
	Version  string    `json:"version,omitempty"`
	Attempts int       `json:"attempts"`
	Seconds  float64   `json:"seconds"`
	// Operation is what was done in the target, or tried: create, update, delete, deactivate, adopt or publish.
	Operation string `json:"operation,omitempty"`
	// Field is the field that was refused.
	Field string `json:"field,omitempty"`
	// Detail says in a sentence what there is to know beyond the reason.
	Detail    string     `json:"detail,omitempty"`
	Documents *Documents `json:"documents,omitempty"`
}

// Documents are those of one fate, with personal data masked. What is no JSON stands in the field whose name ends in _text.
type Documents struct {
	Source     json.RawMessage `json:"source,omitempty"`
	SourceText string          `json:"source_text,omitempty"`
	Mapped     json.RawMessage `json:"mapped,omitempty"`
	MappedText string          `json:"mapped_text,omitempty"`
	Sent       json.RawMessage `json:"sent,omitempty"`
	SentText   string          `json:"sent_text,omitempty"`
	// Status and Answer are what the target said.
	Status     string          `json:"status,omitempty"`
	Answer     json.RawMessage `json:"answer,omitempty"`
	AnswerText string          `json:"answer_text,omitempty"`
}

func documentsView(d *state.Documents) *Documents {
	if d == nil {
		return nil
	}
	v := &Documents{Status: d.Status}
	v.Source, v.SourceText = document(d.Source)
	v.Mapped, v.MappedText = document(d.Mapped)
	v.Sent, v.SentText = document(d.Sent)
	v.Answer, v.AnswerText = document(d.Answer)
	return v
}

// Inbound is an inbox row.
type Inbound struct {
	Seq       int64     `json:"seq"`
	Flow      string    `json:"flow"`
	Delivery  string    `json:"delivery,omitempty"`
	Received  time.Time `json:"received"`
	Published bool      `json:"published"`
}

func traceView(t *state.Trace) Message {
	m := Message{Key: t.Key, Objects: []Object{}, Journal: []Journal{}, Queued: []Queued{}, Inbox: []Inbound{}, Acts: actViews(t.Acts), Keys: t.Keys}
	for i := range t.Objects {
		m.Objects = append(m.Objects, objectView(&t.Objects[i]))
	}
	for i := range t.Journal {
		j := &t.Journal[i]
		m.Journal = append(m.Journal, Journal{Time: j.Time, Flow: j.Flow, Event: j.EventID, Entity: j.Entity, Key: j.Key, Outcome: string(j.Outcome),
			Reason: j.Reason, System: j.System, Local: j.Local, External: j.External, Version: j.Version, Attempts: j.Attempts, Seconds: j.Took.Seconds(),
			Operation: j.Action, Field: j.Field, Detail: j.Told, Documents: documentsView(j.Documents)})
	}
	for i := range t.Queued {
		m.Queued = append(m.Queued, queuedView(&t.Queued[i], false))
	}
	for i := range t.Inbox {
		in := &t.Inbox[i]
		m.Inbox = append(m.Inbox, Inbound{Seq: in.Seq, Flow: in.Flow, Delivery: in.DeliveryID, Received: in.Received, Published: in.Published})
	}
	return m
}

func objectView(o *state.Object) Object {
	v := Object{Entity: o.Entity, Hub: o.Hub, External: o.External, Created: o.Created, Refs: []Ref{}}
	for _, r := range o.Refs {
		v.Refs = append(v.Refs, Ref{System: r.System, Local: r.Local, Deleted: r.Deleted, Updated: r.Updated})
	}
	return v
}

// Audit is one act of a person.
type Audit struct {
	Time   time.Time `json:"time"`
	Who    string    `json:"who"`
	Action string    `json:"action"`
	Object string    `json:"object"`
	Detail string    `json:"detail,omitempty"`
}

// Problem is an error answer (RFC 9457).
type Problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
	// Problems are what is wrong in files that were to be loaded.
	Problems []FileProblem `json:"problems,omitempty"`
	// Places are what is wrong in a document that is refused.
	Places []Place `json:"places,omitempty"`
}
