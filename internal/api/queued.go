package api

import (
	"encoding/json"
	"time"

	"github.com/waybill-hub/waybill/internal/state"
)

// Shown is one message of a stored queue with all that is known of it.
type Shown struct {
	state.Queued
	// Head is the message that it queues behind; the message itself where it is the first.
	Head   int64
	Behind int64
	Acts   []state.Act
}

// Rehearsal is what a replay would come to, as far as it can be told without asking the target.
type Rehearsal struct {
	Outcome string `json:"outcome"`
	Reason  string `json:"reason,omitempty"`
}

// Queued is a message of the stored queue as JSON.
type Queued struct {
	ID       int64  `json:"id"`
	Flow     string `json:"flow"`
	State    string `json:"state" enum:"parked,waiting,held"`
	Follower bool   `json:"follower,omitempty"`
	// Head is the id of the message that this one queues behind; Behind how many queue behind this one, and Followers the first of them.
	Head      int64    `json:"head,omitempty"`
	Behind    int64    `json:"behind,omitempty"`
	Followers []Queued `json:"followers,omitempty"`
	Kind      string   `json:"kind,omitempty"`
	Code      string   `json:"code,omitempty"`
	Reason    string   `json:"reason,omitempty"`
	// Cause is the same for all messages that one thing has stopped.
	Cause     string `json:"cause,omitempty"`
	Key       string `json:"key"`
	Hub       string `json:"hub,omitempty"`
	Event     string `json:"event"`
	Entity    string `json:"entity,omitempty"`
	Operation string `json:"operation" enum:"upsert,delete"`
	Version   string `json:"version,omitempty"`
	Origin    string `json:"origin,omitempty"`
	// Submitted says who had the hub make the event, where nobody outside has sent it: "person by ann: why".
	Submitted string     `json:"submitted,omitempty"`
	Attempts  int        `json:"attempts"`
	Since     time.Time  `json:"since"`
	NotBefore *time.Time `json:"not_before,omitempty"`
	Missing   *Missing   `json:"missing,omitempty"`
	Mark      string     `json:"mark,omitempty"` // replay, discard or ready: asked for and not carried out yet
	MarkedBy  string     `json:"marked_by,omitempty"`
	MarkNote  string     `json:"mark_note,omitempty"`
	EditedBy  string     `json:"edited_by,omitempty"`
	EditNote  string     `json:"edit_note,omitempty"`
	Edits     int64      `json:"edits,omitempty"`
	// ETag changes with every edit and mark: give it as If-Match.
	ETag       string          `json:"etag"`
	Data       json.RawMessage `json:"data,omitempty"`      // the document; data_text where it is not JSON
	DataText   string          `json:"data_text,omitempty"` // where the data is not JSON
	Original   json.RawMessage `json:"original,omitempty"`  // the document as it came, where it was edited
	OriginText string          `json:"original_text,omitempty"`
	Acts       []Act           `json:"acts,omitempty"`
}

// Missing names what a waiting message waits for.
type Missing struct {
	Entity string `json:"entity"`
	System string `json:"system"`
	Hub    string `json:"hub,omitempty"`
	Local  string `json:"local,omitempty"`
}

// Act is what a person did to a message.
type Act struct {
	Time    time.Time `json:"time"`
	Flow    string    `json:"flow"`
	Message int64     `json:"message"`
	Event   string    `json:"event"`
	// Action is edit, replay or discard, or discarded once the message has gone; of an event that the hub was told to make (message 0) resend, repair or backfill.
	Action string `json:"action" enum:"edit,replay,discard,discarded,resend,repair,backfill"`
	Who    string `json:"who"`
	Note   string `json:"note,omitempty"`
	// Bulk is the number of the bulk that the act was part of.
	Bulk       int64           `json:"bulk,omitempty"`
	Before     json.RawMessage `json:"before,omitempty"` // the document that was replaced first, or given up
	BeforeText string          `json:"before_text,omitempty"`
	After      json.RawMessage `json:"after,omitempty"` // the document of an edit
	AfterText  string          `json:"after_text,omitempty"`
}

func actViews(acts []state.Act) []Act {
	out := make([]Act, len(acts))
	for i := range acts {
		a := &acts[i]
		out[i] = Act{Time: a.Time, Flow: a.Flow, Message: a.Message, Event: a.EventID, Action: a.Action, Who: a.Who, Note: a.Note, Bulk: a.Bulk}
		out[i].Before, out[i].BeforeText = document(a.Before)
		out[i].After, out[i].AfterText = document(a.After)
	}
	return out
}

// Cause counts the messages that one thing has stopped.
type Cause struct {
	Cause   string    `json:"cause"`
	Text    string    `json:"text"`
	State   string    `json:"state"`
	Count   int64     `json:"count"`
	Behind  int64     `json:"behind"`
	Marked  int64     `json:"marked"`
	Oldest  time.Time `json:"oldest"`
	Flows   []string  `json:"flows"`
	Example Queued    `json:"example"`
}

func queuedView(q *state.Queued, withData bool) Queued {
	v := Queued{ID: q.ID, Flow: q.Flow, State: string(q.State), Follower: q.Follower, Kind: q.Kind, Code: q.Code, Reason: q.Reason, Cause: q.Cause,
		Key: q.Event.Key, Hub: q.Event.Hub, Event: q.Event.ID, Entity: q.Event.Entity, Operation: string(q.Event.Operation),
		Version: q.Event.Version, Origin: q.Event.Origin, Attempts: q.Attempts, Since: q.Since, Mark: string(q.Mark),
		EditedBy: q.EditedBy, EditNote: q.EditNote, Edits: q.Edits, ETag: etag(q.ID, q.Rev)}
	if v.Reason == "" && v.State == string(state.Held) && !v.Follower {
		v.Reason = "what it queued behind has gone: it is tried next"
	}
	if q.Mark != state.MarkNone { // of a mark that was carried out the acts tell
		v.MarkedBy, v.MarkNote = q.MarkedBy, q.MarkNote
	}
	if !q.NotBefore.IsZero() {
		v.NotBefore = &q.NotBefore
	}
	if q.Event.Submitted != nil {
		v.Submitted = q.Event.Submitted.String()
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

func listedView(l *state.Listed) Queued {
	v := queuedView(&l.Queued, false)
	v.Behind = l.Behind
	for i := range l.Followers {
		f := queuedView(&l.Followers[i], false)
		f.Head = l.ID
		v.Followers = append(v.Followers, f)
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
