package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/waybill-hub/waybill/internal/access"
	"github.com/waybill-hub/waybill/internal/state"
)

// Desk is what people see of stored queues and ask of them.
type Desk interface {
	// Select turns a selection into the store's filter; state.ErrNotFound for a system that is not there.
	Select(ctx context.Context, s Selection) (state.QueueFilter, error)
	Listed(ctx context.Context, f state.QueueFilter, followers int) ([]state.Listed, error)
	Causes(ctx context.Context, f state.QueueFilter) ([]state.CauseCount, error)
	// QueuedByID masks personal data in the documents unless clear is asked for.
	QueuedByID(ctx context.Context, id int64, clear bool, who string) (Shown, error)
	// Mark, Edit and Bulk give state.ErrNotFound, state.ErrChanged and state.ErrBusy; Edit also *Invalid.
	Mark(ctx context.Context, w state.Wish) error
	Edit(ctx context.Context, e state.Edit) (Rehearsal, error)
	// Preview says what a replay would come to; data: of this document instead of the message's own. state.ErrNotFound, and *Invalid as Edit has it.
	Preview(ctx context.Context, id int64, data []byte) (*Preview, error)
	Count(ctx context.Context, b state.Bulk) (n, behind int64, err error)
	Bulk(ctx context.Context, b state.Bulk) (state.BulkStep, error)
	// PaceSeconds is how long so many messages take at a rate; *Invalid for what is none. BeginPace begins a replay at one, Paces gives those of the last month,
	// and StopPace ends one: state.ErrNotFound where none of that number goes on.
	PaceSeconds(rate string, n int64) (float64, error)
	BeginPace(ctx context.Context, b state.Bulk, rate string) (state.Pace, error)
	Paces(ctx context.Context) ([]state.Pace, error)
	StopPace(ctx context.Context, act int64, who string) error
}

// Invalid refuses a document, and says where.
type Invalid struct {
	Detail string
	Places []Place
}

func (e *Invalid) Error() string { return e.Detail }

// Place is one place of a document, and what is wrong there.
type Place struct {
	Path    string `json:"path"`
	Message string `json:"message"`
}

// etag names a revision of a message.
func etag(id, rev int64) string { return fmt.Sprintf(`"%d-%d"`, id, rev) }

func (s *Server) parked(w http.ResponseWriter, r *http.Request) {
	f, ok := s.selection(w, r)
	if !ok {
		return
	}
	q := of(r)
	f.Heads = f.Heads || q.flag("heads")
	f.Marked, f.After, f.Limit = q.flag("marked"), q.number("after"), int(q.number("limit"))
	rows, err := s.hub.Listed(r.Context(), f, int(q.number("followers")))
	if err != nil {
		s.failed(w, r, err)
		return
	}
	page := Page{Parked: make([]Queued, len(rows))}
	for i := range rows {
		page.Parked[i] = listedView(&rows[i])
	}
	if len(rows) == f.Limit {
		page.Next = rows[len(rows)-1].ID
	}
	answer(w, http.StatusOK, page)
}

// Page is a part of the stored queues. A message keeps its id while it is there, so that going on behind Next shows each one once that
// is there all the while.
type Page struct {
	Parked []Queued `json:"parked"`
	// Next is what to give as after for the next page; absent on the last one.
	Next int64 `json:"next,omitempty"`
}

// Causes are what has stopped messages, the most frequent first.
type Causes struct {
	Causes []Cause `json:"causes"`
}

func (s *Server) causes(w http.ResponseWriter, r *http.Request) {
	f, ok := s.selection(w, r)
	if !ok {
		return
	}
	causes, err := s.hub.Causes(r.Context(), f)
	if err != nil {
		s.failed(w, r, err)
		return
	}
	views := make([]Cause, len(causes))
	for i := range causes {
		c := &causes[i]
		views[i] = Cause{Cause: c.Cause, Text: c.Text, State: string(c.State), Count: c.Count, Behind: c.Behind, Marked: c.Marked, Oldest: c.Oldest, Flows: c.Flows,
			Example: queuedView(&c.Example, false)}
	}
	answer(w, http.StatusOK, Causes{views})
}

func (s *Server) parkedOne(w http.ResponseWriter, r *http.Request) {
	id, ok := pathID(w, r)
	if !ok {
		return
	}
	q, err := s.hub.QueuedByID(r.Context(), id, of(r).flag("clear"), access.NameOf(r.Context()))
	if err != nil {
		s.failed(w, r, err)
		return
	}
	v := queuedView(&q.Queued, true)
	if v.Behind = q.Behind; q.Head != q.ID {
		v.Head, v.Behind = q.Head, 0
	}
	v.Acts = actViews(q.Acts)
	w.Header().Set("ETag", v.ETag)
	answer(w, http.StatusOK, v)
}

// MarkRequest is what a person says to a mark.
type MarkRequest struct {
	Note string `json:"note,omitempty"` // why
}

// Marked is a message that is to be replayed or discarded.
type Marked struct {
	ID   int64      `json:"id"`
	Mark state.Mark `json:"mark" enum:"replay,discard"`
}

// mostNote bounds what people write.
const mostNote = 64 << 10

func (s *Server) mark(m state.Mark) actor {
	return func(w http.ResponseWriter, r *http.Request, who string) {
		id, ok := pathID(w, r)
		if !ok {
			return
		}
		var n MarkRequest
		if !body(w, r, &n, mostNote) || m == state.MarkDiscard && !said(w, n.Note) {
			return
		}
		rev, ok := ifMatch(w, r, id, false)
		if !ok {
			return
		}
		if err := s.hub.Mark(r.Context(), state.Wish{ID: id, Mark: m, Rev: rev, Who: who, Note: n.Note}); err != nil {
			s.failed(w, r, err)
			return
		}
		answer(w, http.StatusAccepted, Marked{id, m})
	}
}

// said refuses an act without a reason.
func said(w http.ResponseWriter, note string) bool {
	if strings.TrimSpace(note) == "" {
		problem(w, http.StatusBadRequest, `say why: give a "note"; it is kept with the message`)
		return false
	}
	return true
}

// ifMatch reads the revision that the request is about; nil stands for any.
func ifMatch(w http.ResponseWriter, r *http.Request, id int64, required bool) (*int64, bool) {
	v := strings.TrimSpace(r.Header.Get("If-Match"))
	switch {
	case v == "" && len(r.Header.Values("If-Match")) > 0:
		problem(w, http.StatusBadRequest, "If-Match is empty: leave it out, or give the message's ETag")
		return nil, false
	case v == "" && required:
		problem(w, http.StatusPreconditionRequired, "give the message's ETag as If-Match, so that nobody's edit is overwritten unseen; If-Match: * takes whatever is there")
		return nil, false
	case v == "" || v == "*":
		return nil, true
	case !strings.HasSuffix(v, `"`) || !strings.HasPrefix(strings.TrimPrefix(v, "W/"), `"`):
		problem(w, http.StatusBadRequest, "If-Match: "+v+` is no ETag: they are written in quotes, "1-4"`)
		return nil, false
	}
	var of, rev int64
	if n, err := fmt.Sscanf(v, `"%d-%d"`, &of, &rev); err != nil || n != 2 || of != id || v != etag(of, rev) {
		problem(w, http.StatusPreconditionFailed, "If-Match: "+v+" is no ETag of this message")
		return nil, false
	}
	return &rev, true
}

// EditRequest gives a message another document.
type EditRequest struct {
	Data   json.RawMessage `json:"data"` // the new document
	Note   string          `json:"note"` // why
	Replay bool            `json:"replay,omitempty"`
}

func (s *Server) edit(w http.ResponseWriter, r *http.Request, who string) {
	id, ok := pathID(w, r)
	if !ok {
		return
	}
	var e EditRequest
	if !body(w, r, &e, maxEdit) {
		return
	}
	rev, ok := ifMatch(w, r, id, true)
	if !ok {
		return
	}
	if len(e.Data) == 0 {
		problem(w, http.StatusBadRequest, `give the new document as "data"`)
		return
	}
	if !said(w, e.Note) {
		return
	}
	would, err := s.hub.Edit(r.Context(), state.Edit{ID: id, Data: e.Data, Rev: rev, Replay: e.Replay, Who: who, Note: e.Note})
	if err != nil {
		s.failed(w, r, err)
		return
	}
	answer(w, http.StatusOK, Edited{ID: id, EditedBy: who, Replay: e.Replay, Rehearsal: would})
}

// Edited tells what became of an edit.
type Edited struct {
	ID       int64  `json:"id"`
	EditedBy string `json:"edited_by"`
	Replay   bool   `json:"replay"`
	// Rehearsal is what the hub knows of a replay before it is made.
	Rehearsal Rehearsal `json:"rehearsal"`
}
