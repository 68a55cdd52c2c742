// Package api is the hub's HTTP interface: what operators, scripts and the console ask of a running hub.
package api

import (
	"context"
	"encoding/json"
	"time"

	"github.com/waybill-hub/waybill/internal/state"
)

// Hub is what the API shows and steers.
type Hub interface {
	Status(ctx context.Context) (*Status, error)
	// Ready is nil when the hub can take webhooks: it runs, and its store answers.
	Ready(ctx context.Context) error
	// Trace finds a key as it is written, or else without the difference of capitals or by its beginning; the trace says which it is about.
	Trace(ctx context.Context, key string) (state.Trace, error)
	// Documents fills in the documents of journal rows, as far as they are kept.
	Documents(ctx context.Context, rows []state.Journal) error
	Searching
	Desk
	Coder
	Flowing
	Comparing
	Backfilling
	Filing
	Remembering
	Veiling
	Auditing
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
	// Alerts tells who is told of what is wrong, and of what. TestAlert sends a test; state.ErrNotFound for an unknown receiver.
	Alerts(ctx context.Context) (*Alerts, error)
	TestAlert(ctx context.Context, receiver, who string) error
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
	// Timeline is what has happened over all systems, oldest first.
	Timeline []Moment `json:"timeline"`
	// Differences are what reconciliations and rules have found of it, the newest run first.
	Differences []TracedDifference `json:"differences"`
	// Related are the objects that it names, and those that name it; MoreRelated: there are more of them.
	Related     []Related `json:"related"`
	MoreRelated bool      `json:"more_related,omitempty"`
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
	Operation string `json:"operation,omitempty" enum:"create,update,delete,deactivate,adopt,publish"`
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
	m := Message{Key: t.Key, Objects: []Object{}, Journal: []Journal{}, Queued: []Queued{}, Inbox: []Inbound{}, Acts: actViews(t.Acts), Keys: t.Keys,
		Timeline: timeline(t), Differences: tracedDifferences(t.Differences), Related: relatedViews(t.Related), MoreRelated: t.MoreRelated}
	for i := range t.Objects {
		m.Objects = append(m.Objects, objectView(&t.Objects[i]))
	}
	for i := range t.Journal {
		m.Journal = append(m.Journal, journalView(&t.Journal[i]))
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

func journalView(j *state.Journal) Journal {
	return Journal{Time: j.Time, Flow: j.Flow, Event: j.EventID, Entity: j.Entity, Key: j.Key, Outcome: string(j.Outcome),
		Reason: j.Reason, System: j.System, Local: j.Local, External: j.External, Version: j.Version, Attempts: j.Attempts, Seconds: j.Took.Seconds(),
		Operation: j.Action, Field: j.Field, Detail: j.Told, Documents: documentsView(j.Documents)}
}

func objectView(o *state.Object) Object {
	return Object{Entity: o.Entity, Hub: o.Hub, External: o.External, Created: o.Created, Refs: refViews(o.Refs)}
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
	// Run is the run that is under way, where another one is refused for it.
	Run *Run `json:"run,omitempty"`
}
