package api

import (
	"net/http"
	"time"
)

// RewindRequest asks that the source of a polled flow be read again.
type RewindRequest struct {
	// To is a time in RFC 3339 with its zone, a version as the system writes it, or "start".
	To string `json:"to" min:"1"`
	// Note is why; it goes to the audit.
	Note string `json:"note,omitempty"`
}

// Rewound is what was asked for, and what comes of it.
type Rewound struct {
	Flow  string `json:"flow"`
	To    string `json:"to"`
	State string `json:"state" enum:"asked"` // "asked": the hub that reads the source does it before its next read, which it begins at once
	Text  string `json:"text"`               // what comes of it, as a sentence
}

// SweepRequest asks that the source of a flow with from.poll.deletes be swept now.
type SweepRequest struct {
	// AtMost is how many objects may be deleted: a share or a number, in place of the flow's own bound; empty: the flow's own.
	AtMost string `json:"at_most,omitempty" pattern:"^(100%|[0-9]{1,2}%|[0-9]{1,9})?$"`
	// Note is why; it goes to the audit.
	Note string `json:"note,omitempty"`
}

// SweepAsked is what was asked for, and what comes of it.
type SweepAsked struct {
	Flow   string `json:"flow"`
	State  string `json:"state" enum:"asked"` // "asked": the hub that reads the source begins at once
	AtMost string `json:"at_most"`            // the bound
	Text   string `json:"text"`               // what comes of it, as a sentence
}

// States of a sweep.
const (
	SweepNever = "never-run"
	SweepHeld  = "held" // more was missing than may be deleted: a person is asked
)

// Sweep is the last sweep of a flow's source.
type Sweep struct {
	State    string     `json:"state" enum:"never-run,running,ok,held,failed,interrupted"` // "never-run", "running", "ok", "held", "failed" or "interrupted"
	Started  *time.Time `json:"started,omitempty"`
	Finished *time.Time `json:"finished,omitempty"`
	Deleted  int64      `json:"deleted"`        // objects of which a delete was taken
	Text     string     `json:"text,omitempty"` // what it found, or why it did nothing
}

func (s *Server) sweep(w http.ResponseWriter, r *http.Request, who string) {
	var q SweepRequest
	if !body(w, r, &q, 4<<10) {
		return
	}
	done, err := s.hub.Sweep(r.Context(), r.PathValue("name"), q, who)
	if err != nil {
		s.failed(w, r, err)
		return
	}
	answer(w, http.StatusAccepted, done)
}

func (s *Server) rewind(w http.ResponseWriter, r *http.Request, who string) {
	var q RewindRequest
	if !body(w, r, &q, 4<<10) {
		return
	}
	if q.To == "" {
		problem(w, http.StatusBadRequest, `give to: a time such as 2026-11-01T00:00:00Z, a version as the system writes it, or "start"`)
		return
	}
	done, err := s.hub.Rewind(r.Context(), r.PathValue("name"), q, who)
	if err != nil {
		s.failed(w, r, err)
		return
	}
	answer(w, http.StatusAccepted, done)
}
