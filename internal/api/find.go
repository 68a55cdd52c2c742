package api

import (
	"context"
	"net/http"
	"time"

	"github.com/waybill-hub/waybill/internal/access"
	"github.com/waybill-hub/waybill/internal/state"
)

// Searching is what the API asks of the search.
type Searching interface {
	// Search finds objects by ids, keys and fields, or their beginnings. state.ErrNotFound for an entity that the files do not name, state.ErrCursor for a cursor that
	// is none.
	Search(ctx context.Context, q state.SearchQuery) (state.SearchPage, error)
	// Relate fills in which objects those of a trace name, and which name them.
	Relate(ctx context.Context, t *state.Trace) error
}

// Found is a part of what a search has found: exact matches first, then the newest.
type Found struct {
	Query   string        `json:"query"`
	Objects []FoundObject `json:"objects"`
	// Next goes on behind these objects, as the parameter after; without it there are no more. A page may be empty and have a Next: it has looked through a
	// part alone.
	Next   string `json:"next,omitempty"`
	Looked Looked `json:"looked"`
}

// Looked says how far a search has looked.
type Looked struct {
	// Complete: nothing that fits is missing, but for what Next goes on with.
	Complete bool `json:"complete"`
	// Until is up to when everything in the journal is in the index; of the Behind (about so many) newer fates the keys and ids alone were looked at, and of no more
	// than the newest 1000.
	Until  *time.Time `json:"until,omitempty"`
	Behind int64      `json:"behind"`
	// Unread is since when the oldest delivery waits that nobody has read yet, so that it is not known whose it is.
	Unread *time.Time `json:"unread,omitempty"`
	// Underway is since when the oldest message is on its way that has no fate yet: of these the keys and ids alone were looked at.
	Underway *time.Time `json:"underway,omitempty"`
	// At is when the hub was asked.
	At time.Time `json:"at"`
	// Back is how far back this page has looked, where so many objects fit that it goes through them from the newest on.
	Back *time.Time `json:"back,omitempty"`
}

// FoundObject is an object that fits, with its ids in every system and how it stands.
type FoundObject struct {
	Entity string `json:"entity,omitempty"`
	Key    string `json:"key,omitempty"`
	Hub    string `json:"hub,omitempty"`
	// State is parked, waiting, held, drifting, delivered, skipped, discarded, or received; empty where only its ids are known. Reason says why.
	State  string `json:"state,omitempty"`
	Reason string `json:"reason,omitempty"`
	// Flow, System and Event are those of its newest fate, at Time; of one that is received, those of its delivery.
	Flow   string     `json:"flow,omitempty"`
	System string     `json:"system,omitempty"`
	Event  string     `json:"event,omitempty"`
	Time   *time.Time `json:"time,omitempty"`
	Refs   []Ref      `json:"refs"`
	// Fields are what it was found by: key, id, or a field of its document.
	Fields []string `json:"fields,omitempty"`
	// Message is the one in the stored queue that says how it stands.
	Message int64    `json:"message,omitempty"`
	Missing *Missing `json:"missing,omitempty"`
	// Run and Difference say where a reconciliation tells of its drift.
	Run        int64 `json:"run,omitempty"`
	Difference int   `json:"difference,omitempty"`
}

// Related is an object that the traced one's document names in a field, or, Backward, whose document names the traced one.
type Related struct {
	FoundObject
	Field    string `json:"field"`
	Backward bool   `json:"backward,omitempty"` // its document names the traced object in that field; else the traced one's names it
	// Through is the object between, as in "invoice INV-7": that one's document is meant then.
	Through string `json:"through,omitempty"`
}

// Reached reports whether everything that had come in by a time was looked at.
func (l *Looked) Reached(at time.Time) bool {
	indexed := l.Behind == 0 || l.Until != nil && l.Until.After(at)
	return indexed && (l.Unread == nil || l.Unread.After(at)) && (l.Underway == nil || l.Underway.After(at))
}

// TracedDifference is what a run of a reconciliation, or a rule, has found of the traced object; without documents, which the run has.
type TracedDifference struct {
	Name string    `json:"name"` // of the reconciliation or rule
	At   time.Time `json:"at"`   // when the run ended
	state.Difference
}

// Moment is one thing that has happened to the traced object.
type Moment struct {
	Time time.Time `json:"time"`
	// What is received; delivered, skipped, parked, waiting, held or discarded; what a person, or a repair, did (edit, replay, discard, resend, repair, …); reconciled
	// or violation where a run has found a difference; repaired.
	What   string `json:"what"`
	Flow   string `json:"flow,omitempty"`
	System string `json:"system,omitempty"`
	Event  string `json:"event,omitempty"`
	Text   string `json:"text,omitempty"`
	// Journal, Act and Difference are places in the trace's lists, from 0, where all that is known of it stands.
	Journal    *int `json:"journal,omitempty"`
	Act        *int `json:"act,omitempty"`
	Difference *int `json:"difference,omitempty"`
}

func (s *Server) find(w http.ResponseWriter, r *http.Request) {
	q := of(r)
	at := s.cfg.Clock.Now().UTC()
	page, err := s.hub.Search(r.Context(), state.SearchQuery{Text: q.text("q"), Entity: q.text("entity"), After: q.text("after"), Limit: int(q.number("limit"))})
	if err != nil {
		s.failed(w, r, err)
		return
	}
	s.guessed(access.Of(r.Context()), q.text("q"), &page)
	answer(w, http.StatusOK, foundView(q.text("q"), &page, at))
}

func foundView(query string, p *state.SearchPage, at time.Time) *Found {
	f := &Found{Query: query, Objects: []FoundObject{}, Next: p.Next, Looked: Looked{Complete: p.Complete(), Until: timeOrNil(p.Until), Behind: p.Behind, Unread: timeOrNil(p.Unread), Underway: timeOrNil(p.Underway), Back: timeOrNil(p.Back), At: at}}
	for i := range p.Objects {
		f.Objects = append(f.Objects, foundObjectView(&p.Objects[i]))
	}
	return f
}

func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func foundObjectView(o *state.SearchedObject) FoundObject {
	v := FoundObject{Entity: o.Entity, Key: o.Key, Hub: o.Hub, State: o.State(), Flow: o.Flow, System: o.System, Event: o.Event, Time: timeOrNil(o.Time), Refs: refViews(o.Refs), Fields: o.Fields}
	if v.Time == nil {
		v.Time = timeOrNil(o.Received)
	}
	switch {
	case o.Queued != nil:
		q := queuedView(o.Queued, false)
		v.Reason, v.Message, v.Missing = q.Reason, q.ID, q.Missing
		if q.Follower {
			v.Reason = "it queues behind an earlier message of its key"
		}
	case o.Drift != nil:
		v.Reason, v.Run, v.Difference = driftText(o.Drift), o.Drift.Run, o.Drift.N
	}
	return v
}

func driftText(d *state.Difference) string {
	text := d.Kind
	if d.Reason != "" {
		text += " (" + d.Reason + ")"
	}
	if d.Text != "" {
		text += ": " + d.Text
	}
	return text
}

func refViews(refs []state.Ref) []Ref {
	out := []Ref{}
	for _, r := range refs {
		out = append(out, Ref{System: r.System, Local: r.Local, Deleted: r.Deleted, Updated: r.Updated})
	}
	return out
}

func relatedViews(list []state.Related) []Related {
	out := []Related{}
	for i := range list {
		out = append(out, Related{FoundObject: foundObjectView(&list[i].SearchedObject), Field: list[i].Field, Backward: list[i].Backward, Through: list[i].Through})
	}
	return out
}

func tracedDifferences(list []state.TracedDifference) []TracedDifference {
	out := []TracedDifference{}
	for i := range list {
		d := list[i].Difference
		d.LeftDoc, d.RightDoc, d.Write = nil, nil, nil
		out = append(out, TracedDifference{Name: list[i].Name, At: list[i].At, Difference: d})
	}
	return out
}
