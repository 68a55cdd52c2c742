package api

import (
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/waybill-hub/waybill/internal/access"
)

// ResendRequest asks that one object be read from its source now, and sent through the flow that takes it from there.
type ResendRequest struct {
	Entity string `json:"entity" min:"1"`
	// Key is the business key, or any id by which the hub or the source knows the object.
	Key string `json:"key,omitempty" min:"1"`
	// System is where it is read, and Flow by which it is sent: needed where several can be.
	System string `json:"system,omitempty"`
	Flow   string `json:"flow,omitempty"`
	// ID names this wish: the same again, within seven days, sends nothing more. Empty: it is one of its own.
	ID string `json:"id,omitempty"`
	// Note is why; it goes with the event, and to the audit.
	Note string `json:"note,omitempty"`
	// DryRun shows what would be sent, and stores nothing.
	DryRun bool `json:"dry_run,omitempty"`
	// All sends everything that the source holds, in place of one key, also what is known to be in the target: as a backfill, which goes on beside. Since
	// leaves out what has not changed since.
	All   bool      `json:"all,omitempty"`
	Since time.Time `json:"since,omitzero"`
}

// ErrOtherWish: the id of a resend was given before to another object, or the object has changed since.
var ErrOtherWish = errors.New("under this id another object, or another state of it, was sent before, and that stands: ask under another id")

// States of a resend.
const (
	ResendAccepted  = "accepted"
	ResendDuplicate = "duplicate" // the same was wished before: nothing more is sent
	ResendDry       = "dry-run"
	ResendWanted    = "wanted" // everything: the backfill tells how far it is
)

// Resent is what is sent again, or would be.
type Resent struct {
	State  string `json:"state" enum:"accepted,duplicate,dry-run,wanted"`
	Flow   string `json:"flow"`
	System string `json:"system"`
	// To is the topic or the system that the flow delivers to.
	To     string `json:"to"`
	Entity string `json:"entity"`
	Key    string `json:"key"`
	// Local is the object's id in the source.
	Local string `json:"id"`
	// Event is the id by which a trace finds it; empty for a dry run.
	Event   string `json:"event,omitempty"`
	Version string `json:"version,omitempty"`
	// Rehearsal is what the flow makes of it, as far as that can be told without asking the target.
	Rehearsal Rehearsal `json:"rehearsal"`
	// Document is the object as the source shows it now, and Mapped what the flow makes of it; personal data is masked.
	Document json.RawMessage `json:"document,omitempty"`
	Mapped   json.RawMessage `json:"mapped,omitempty"`
	// Backfill is the number of the backfill that sends everything.
	Backfill int64 `json:"backfill,omitempty"`
	// Text says what comes of it, as a sentence.
	Text string `json:"text"`
}

// readsAgain is who may have everything read from a source again.
var readsAgain = access.Need{Role: access.Engineer, Scope: access.Flows}

func (s *Server) resend(w http.ResponseWriter, r *http.Request, who string) {
	var q ResendRequest
	if !body(w, r, &q, 8<<10) {
		return
	}
	switch {
	case q.Entity == "" || q.Key == "" && !q.All:
		problem(w, http.StatusBadRequest, "give entity and key: which object is to be sent again, or all")
		return
	case q.All && (q.Key != "" || q.DryRun || q.ID != ""):
		problem(w, http.StatusUnprocessableEntity, "all stands for every object: leave key, id and dry_run out")
		return
	case !q.All && !q.Since.IsZero():
		problem(w, http.StatusUnprocessableEntity, "since goes with all")
		return
	}
	if q.All { // it is a backfill, and more than one: who may not have that may not have this
		v := access.Of(r.Context())
		if no := s.guard.Allow(&v, readsAgain); no != nil {
			refuse(w, no)
			return
		}
	}
	done, err := s.hub.Resend(r.Context(), q, who)
	if err != nil {
		s.failed(w, r, err)
		return
	}
	code := http.StatusAccepted
	if q.DryRun {
		code = http.StatusOK
	}
	answer(w, code, done)
}
