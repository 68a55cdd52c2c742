package api

import (
	"context"
	"net/http"
	"time"

	"github.com/waybill-hub/waybill/internal/state"
)

// Backfilling is what the API asks about backfills. What it does not know is state.ErrNotFound, what cannot be done *Invalid.
type Backfilling interface {
	// Backfill asks for one of a flow; state.ErrBusy where one is wanted or running.
	Backfill(ctx context.Context, flow string, q BackfillRequest, who string) (*state.Backfill, error)
	// Backfills lists them, the newest first.
	Backfills(ctx context.Context, f state.BackfillFilter) ([]state.Backfill, error)
	BackfillByID(ctx context.Context, id int64) (*state.Backfill, error)
	// CancelBackfill asks for the end of one; state.ErrBusy where it is over.
	CancelBackfill(ctx context.Context, id int64, who, note string) (*state.Backfill, error)
}

// BackfillRequest asks that everything which a flow's source holds be loaded through the flow.
type BackfillRequest struct {
	// Since leaves out what has not changed since.
	Since time.Time `json:"since,omitzero"`
	// Note is why; it goes with each object, and to the audit.
	Note string `json:"note,omitempty"`
}

// Backfill is a load of everything that a flow's source holds.
type Backfill struct {
	ID   int64  `json:"id"`
	Flow string `json:"flow"`
	// State is wanted, running, done, failed or cancelled.
	State string `json:"state" enum:"wanted,running,done,failed,cancelled"`
	// Again: what is known to be in the target is sent, too, as `waybill resend ENTITY --all` asks.
	Again bool   `json:"again,omitempty"`
	By    string `json:"by,omitempty"`
	Why   string `json:"why,omitempty"`
	// Since is set where what has not changed since is left out.
	Since *time.Time `json:"since,omitempty"`
	// Attempt counts how often a hub has taken it up, where it was left.
	Attempt  int        `json:"attempt"`
	Wanted   time.Time  `json:"wanted"`             // when it was asked for
	Started  *time.Time `json:"started,omitempty"`  // when it was begun first
	Updated  *time.Time `json:"updated,omitempty"`  // when it was last heard of
	Finished *time.Time `json:"finished,omitempty"` // when it ended
	// Cancelled is who wants it to end, with the reason.
	Cancelled string `json:"cancelled,omitempty"`
	// Submitted are objects that have come through the flow, of Expect in all, where that is known; Unread those that could not be read or submitted as they are,
	// FirstUnread one of them.
	Submitted   int64  `json:"submitted"`
	Unread      int64  `json:"unread"`
	FirstUnread string `json:"first_unread,omitempty"`
	Expect      int64  `json:"expect,omitempty"`
	// Rate is how many objects a second have come through of late, LeftSeconds how long the rest takes at this rate, AtOnce how many are under way together.
	Rate        float64 `json:"rate,omitempty"`
	LeftSeconds float64 `json:"left_seconds,omitempty"`
	AtOnce      int     `json:"at_once,omitempty"`
	// Text says what is waited for, or what came of it.
	Text string `json:"text,omitempty"`
}

// BackfillView is a backfill as the API tells of it.
func BackfillView(b *state.Backfill) *Backfill {
	p := &b.Progress
	v := &Backfill{ID: b.ID, Flow: b.Flow, State: string(b.State), Again: b.Again, By: b.Who, Why: b.Why, Since: instant(b.Since), Attempt: b.Attempt, Wanted: b.Wanted, Started: instant(b.Started),
		Updated: instant(b.Updated), Finished: instant(b.Finished), Cancelled: b.Cancel, Submitted: p.Submitted, Unread: p.Unread, FirstUnread: p.FirstUnread, Expect: p.Expect, Text: b.Detail}
	if !b.State.Over() {
		v.Rate, v.LeftSeconds, v.AtOnce, v.Text = float64(p.PerHour)/3600, p.Left.Seconds(), p.AtOnce, p.Text
	}
	return v
}

// Backfills is a page of them, the newest first. Next is there where there are older ones: ask with before.
type Backfills struct {
	Backfills []Backfill `json:"backfills"`
	Next      int64      `json:"next,omitempty"` // ask for older ones with before
}

func (s *Server) wantBackfill(w http.ResponseWriter, r *http.Request, who string) {
	var q BackfillRequest
	if !body(w, r, &q, 4<<10) {
		return
	}
	b, err := s.hub.Backfill(r.Context(), r.PathValue("name"), q, who)
	if err != nil {
		s.failed(w, r, err)
		return
	}
	answer(w, http.StatusAccepted, BackfillView(b))
}

func (s *Server) backfills(w http.ResponseWriter, r *http.Request) {
	q := of(r)
	limit := int(q.number("limit"))
	list, err := s.hub.Backfills(r.Context(), state.BackfillFilter{Flow: q.text("flow"), Before: q.number("before"), Limit: limit + 1})
	if err != nil {
		s.failed(w, r, err)
		return
	}
	views, next := pageOf(list, limit, BackfillView, func(v *Backfill) int64 { return v.ID })
	answer(w, http.StatusOK, Backfills{Backfills: views, Next: next})
}

func (s *Server) backfill(w http.ResponseWriter, r *http.Request) {
	id, ok := pathID(w, r)
	if !ok {
		return
	}
	b, err := s.hub.BackfillByID(r.Context(), id)
	if err != nil {
		s.failed(w, r, err)
		return
	}
	answer(w, http.StatusOK, BackfillView(b))
}

func (s *Server) cancelBackfill(w http.ResponseWriter, r *http.Request, who string) {
	id, ok := pathID(w, r)
	if !ok {
		return
	}
	var q CancelRequest
	if !body(w, r, &q, 4<<10) {
		return
	}
	b, err := s.hub.CancelBackfill(r.Context(), id, who, q.Note)
	if err != nil {
		s.failed(w, r, err)
		return
	}
	answer(w, http.StatusAccepted, BackfillView(b))
}
