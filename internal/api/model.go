// Package api is the hub's HTTP interface: what operators, scripts and the console ask of a running hub.
package api

import (
	"context"
	"encoding/json"
	"time"

	"github.com/waybill-hub/waybill/internal/state"
)

// Status is the hub at a glance. Scripts rely on its field names.
type Status struct {
	Version         string           `json:"version"`
	Time            time.Time        `json:"time"`
	Started         time.Time        `json:"started"`
	Plan            Plan             `json:"plan"`
	Totals          Totals           `json:"totals"`
	Flows           []Flow           `json:"flows"`
	Systems         []System         `json:"systems"`
	Reconciliations []Reconciliation `json:"reconciliations"`
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

// Flow states.
const (
	StateRunning = "running"
	StatePaused  = "paused"
	StateLate    = "late"    // the oldest message is older than slo.late-after
	StateSilent  = "silent"  // nothing delivered for longer than slo.silent-after
	StateFailing = "failing" // its target system is down
	StateAlarm   = "alarm"   // it stands still until a person looks
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
	// Lag counts records on the topic that have no fate yet.
	Lag int64 `json:"lag"`
	// OldestSeconds is the age of the oldest message without a final fate; 0 when there is none.
	OldestSeconds float64 `json:"oldest_seconds"`
	Totals
	SkippedBy     map[string]int64 `json:"skipped_by,omitempty"`
	LastDelivered *time.Time       `json:"last_delivered,omitempty"`
}

// System is one system's part of the status.
type System struct {
	Name      string     `json:"name"`
	Connector string     `json:"connector"`
	State     string     `json:"state"` // "up" or "down"
	Since     *time.Time `json:"since,omitempty"`
	Why       string     `json:"why,omitempty"`
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

// Failing reports whether an operator must look: a flow is late, failing or alarmed, or anything is unaccounted or doubled.
func (s *Status) Failing() bool {
	if s.Totals.Unaccounted != 0 || s.Totals.Duplicates != 0 {
		return true
	}
	for i := range s.Flows {
		switch s.Flows[i].State {
		case StateLate, StateFailing, StateAlarm:
			return true
		}
	}
	return false
}

// Hub is what the API shows and steers.
type Hub interface {
	Status(ctx context.Context) (*Status, error)
	// Ready is nil when the hub can keep its promises: store and broker answer.
	Ready(ctx context.Context) error
	Trace(ctx context.Context, key string) (state.Trace, error)
	Queued(ctx context.Context, f state.QueueFilter) ([]state.Queued, error)
	QueuedByID(ctx context.Context, id int64) (state.Queued, error)
	Mark(ctx context.Context, id int64, mark state.Mark, who, note string) error
	Edit(ctx context.Context, id int64, data []byte, who, note string) error
	// Pause and Resume give state.ErrNotFound for an unknown flow.
	Pause(ctx context.Context, flow, who string) error
	Resume(ctx context.Context, flow, who string) error
	// Reload changes over to the files as they are now; *BadFiles, *NeedsRestart, ErrStopping and ErrNoFiles refuse it.
	Reload(ctx context.Context, who string) (*Reload, error)
	// Recovery tells what does not fit between the hub and its broker, and what Recover would do about it.
	Recovery(ctx context.Context, q RecoverRequest) (*Recovery, error)
	Recover(ctx context.Context, q RecoverRequest, who string) (*Recovery, error)
	Audits(ctx context.Context, limit int) ([]state.Audit, error)
}

// Queued is a message of the stored queue as JSON.
type Queued struct {
	ID         int64           `json:"id"`
	Flow       string          `json:"flow"`
	State      string          `json:"state"`
	Follower   bool            `json:"follower,omitempty"`
	Kind       string          `json:"kind,omitempty"`
	Code       string          `json:"code,omitempty"`
	Reason     string          `json:"reason,omitempty"`
	Key        string          `json:"key"`
	Hub        string          `json:"hub,omitempty"`
	Event      string          `json:"event"`
	Entity     string          `json:"entity,omitempty"`
	Operation  string          `json:"operation"`
	Version    string          `json:"version,omitempty"`
	Origin     string          `json:"origin,omitempty"`
	Attempts   int             `json:"attempts"`
	Since      time.Time       `json:"since"`
	NotBefore  *time.Time      `json:"not_before,omitempty"`
	Missing    *Missing        `json:"missing,omitempty"`
	Mark       string          `json:"mark,omitempty"`
	MarkedBy   string          `json:"marked_by,omitempty"`
	EditedBy   string          `json:"edited_by,omitempty"`
	EditNote   string          `json:"edit_note,omitempty"`
	Data       json.RawMessage `json:"data,omitempty"`
	DataText   string          `json:"data_text,omitempty"` // where the data is not JSON
	Original   json.RawMessage `json:"original,omitempty"`
	OriginText string          `json:"original_text,omitempty"`
}

// Missing names what a waiting message waits for.
type Missing struct {
	Entity string `json:"entity"`
	System string `json:"system"`
	Hub    string `json:"hub,omitempty"`
	Local  string `json:"local,omitempty"`
}

func queuedView(q *state.Queued, withData bool) Queued {
	v := Queued{ID: q.ID, Flow: q.Flow, State: string(q.State), Follower: q.Follower, Kind: q.Kind, Code: q.Code, Reason: q.Reason,
		Key: q.Event.Key, Hub: q.Event.Hub, Event: q.Event.ID, Entity: q.Event.Entity, Operation: string(q.Event.Operation),
		Version: q.Event.Version, Origin: q.Event.Origin, Attempts: q.Attempts, Since: q.Since, Mark: string(q.Mark), MarkedBy: q.MarkedBy,
		EditedBy: q.EditedBy, EditNote: q.EditNote}
	if !q.NotBefore.IsZero() {
		v.NotBefore = &q.NotBefore
	}
	if m := q.Missing; m != nil {
		v.Missing = &Missing{Entity: m.Entity, System: m.System, Hub: m.Hub, Local: m.Local}
	}
	if withData {
		v.Data, v.DataText = document(q.Event.Data)
		v.Original, v.OriginText = document(q.Original)
	}
	return v
}

// document shows data as JSON where it is JSON, else as text.
func document(data []byte) (json.RawMessage, string) {
	if len(data) == 0 {
		return nil, ""
	}
	if json.Valid(data) {
		return data, ""
	}
	return nil, string(data)
}

// Message is a trace: everything the hub remembers about one key.
type Message struct {
	Key     string    `json:"key"`
	Objects []Object  `json:"objects"`
	Journal []Journal `json:"journal"`
	Queued  []Queued  `json:"queued"`
	Inbox   []Inbound `json:"inbox"`
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
	m := Message{Key: t.Key, Objects: []Object{}, Journal: []Journal{}, Queued: []Queued{}, Inbox: []Inbound{}}
	for i := range t.Objects {
		m.Objects = append(m.Objects, objectView(&t.Objects[i]))
	}
	for i := range t.Journal {
		j := &t.Journal[i]
		m.Journal = append(m.Journal, Journal{Time: j.Time, Flow: j.Flow, Event: j.EventID, Entity: j.Entity, Key: j.Key, Outcome: string(j.Outcome),
			Reason: j.Reason, System: j.System, Local: j.Local, External: j.External, Version: j.Version, Attempts: j.Attempts, Seconds: j.Took.Seconds()})
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
}
