package api

import (
	"net/http"
)

// RewindRequest asks that the source of a polled flow be read again.
type RewindRequest struct {
	// To is a time in RFC 3339 with its zone, a version as the system writes it, or "start".
	To string `json:"to"`
	// Note is why; it goes to the audit.
	Note string `json:"note,omitempty"`
}

// Rewound is what was asked for, and what comes of it.
type Rewound struct {
	Flow  string `json:"flow"`
	To    string `json:"to"`
	State string `json:"state"` // "asked": the hub that reads the source does it before its next read, which it begins at once
	Text  string `json:"text"`
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
