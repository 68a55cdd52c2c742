package api

import (
	"encoding/json"
	"net/http"

	"github.com/waybill-hub/waybill/internal/access"
)

// Preview is what a replay of a message would come to through today's files, as far as it can be told without asking the target. Personal data is masked.
type Preview struct {
	ID   int64  `json:"id"`
	Flow string `json:"flow"`
	Plan Plan   `json:"plan"`
	// Rehearsal is empty where nobody can tell: the flow is gone, or the message is a list that is yet to be split.
	Rehearsal Rehearsal `json:"rehearsal"`
	// Kind and Code say what would stop it; To is where it would go, Action what would be done there, to the object Local.
	Kind   string `json:"kind,omitempty"`
	Code   string `json:"code,omitempty"`
	Key    string `json:"key,omitempty"`
	To     string `json:"to,omitempty"`
	Action string `json:"action,omitempty"`
	Local  string `json:"id_there,omitempty"`
	// Mapped is the document behind the mapping, Sent what would be written: of an update, only the fields that the flow owns.
	Mapped     json.RawMessage `json:"mapped,omitempty"`
	MappedText string          `json:"mapped_text,omitempty"`
	Sent       json.RawMessage `json:"sent,omitempty"`
	SentText   string          `json:"sent_text,omitempty"`
}

// SetDocuments shows documents as JSON where they are JSON, else as text.
func (p *Preview) SetDocuments(mapped, sent []byte) {
	p.Mapped, p.MappedText = document(mapped)
	p.Sent, p.SentText = document(sent)
}

// PreviewRequest gives another document to look at in the place of the message's own.
type PreviewRequest struct {
	Data json.RawMessage `json:"data,omitempty"` // another document to look at, in the place of the message's own
}

func (s *Server) preview(w http.ResponseWriter, r *http.Request) {
	id, ok := pathID(w, r)
	if !ok {
		return
	}
	var q PreviewRequest
	if !body(w, r, &q, maxEdit) {
		return
	}
	if q.Data != nil { // of another document than its own, what is refused is told with the message's key
		v := access.Of(r.Context())
		if no := s.guard.Allow(&v, access.Need{Role: access.Operator, Scope: access.Messages}); no != nil {
			refuse(w, no)
			return
		}
	}
	p, err := s.hub.Preview(r.Context(), id, q.Data)
	if err != nil {
		s.failed(w, r, err)
		return
	}
	answer(w, http.StatusOK, p)
}
