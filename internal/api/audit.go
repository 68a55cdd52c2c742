package api

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/access"
	"github.com/waybill-hub/waybill/internal/state"
)

// Auditing is what the API asks of the audit.
type Auditing interface {
	// Audits lists what people did, newest first.
	Audits(ctx context.Context, f state.AuditFilter) ([]state.Audit, error)
	// AuditByID is one act; of an edit with the document before and after, in which personal data is masked. state.ErrNotFound when there is none.
	AuditByID(ctx context.Context, id int64) (state.Audit, *state.Act, error)
	// Note writes an act that changes nothing by itself.
	Note(ctx context.Context, a state.Audit) error
}

// Audit is one act of a person. Before and After say in few words how it was and how it is then.
type Audit struct {
	ID     int64     `json:"id"`
	Time   time.Time `json:"time"`
	Who    string    `json:"who"`
	Action string    `json:"action"`
	Object string    `json:"object"`
	Detail string    `json:"detail,omitempty"`
	Before string    `json:"before,omitempty"` // how it was
	After  string    `json:"after,omitempty"`  // how it is then
}

// AuditEntry is one act with the documents that it has changed; what is no JSON stands in the field whose name ends in _text.
type AuditEntry struct {
	Audit
	Flow       string          `json:"flow,omitempty"`
	Message    int64           `json:"message,omitempty"`
	Event      string          `json:"event,omitempty"`
	BeforeDoc  json.RawMessage `json:"before_doc,omitempty"` // the document before, in which personal data is masked
	BeforeText string          `json:"before_text,omitempty"`
	AfterDoc   json.RawMessage `json:"after_doc,omitempty"` // the document that was made of it
	AfterText  string          `json:"after_text,omitempty"`
}

// Audits is a part of the audit, newest first.
type Audits struct {
	Audit []Audit `json:"audit"`
	// Next goes on behind these, as the parameter before; without it there are no more.
	Next int64 `json:"next,omitempty"`
}

func (s *Server) audit(w http.ResponseWriter, r *http.Request) {
	q := of(r)
	limit := int(q.number("limit"))
	rows, err := s.hub.Audits(r.Context(), state.AuditFilter{Who: q.text("who"), Action: q.text("action"), Object: q.text("object"), Before: q.number("before"), Limit: limit})
	if err != nil {
		s.failed(w, r, err)
		return
	}
	page := Audits{Audit: make([]Audit, len(rows))}
	for i := range rows {
		page.Audit[i] = s.auditView(access.Of(r.Context()), &rows[i])
	}
	if len(rows) == limit {
		page.Next = rows[len(rows)-1].ID
	}
	answer(w, http.StatusOK, page)
}

func (s *Server) auditOne(w http.ResponseWriter, r *http.Request) {
	id, ok := pathID(w, r)
	if !ok {
		return
	}
	a, act, err := s.hub.AuditByID(r.Context(), id)
	if err != nil {
		s.failed(w, r, err)
		return
	}
	e := AuditEntry{Audit: s.auditView(access.Of(r.Context()), &a)}
	if act != nil {
		e.Flow, e.Message, e.Event = act.Flow, act.Message, act.EventID
		e.BeforeDoc, e.BeforeText = document(act.Before)
		e.AfterDoc, e.AfterText = document(act.After)
	}
	answer(w, http.StatusOK, e)
}

const maskedText = "***"

// auditView is an act as its reader may see it: whoever may not see business keys that are personal data does not see them in what an act was about either.
func (s *Server) auditView(v access.Visitor, a *state.Audit) Audit {
	out := Audit{ID: a.ID, Time: a.Time, Who: a.Who, Action: a.Action, Object: a.Object, Detail: a.Detail, Before: a.Before, After: a.After}
	if v.SeesPersonal() || !s.hub.PersonalKey("", "") {
		return out
	}
	kind, name, _ := strings.Cut(a.Object, "/")
	switch {
	case strings.HasPrefix(a.Object, "messages where "):
		out.Object = "messages where " + maskedText
	case kind == "cross-reference":
		out.After = maskedText
	case (kind == state.RunReconciliation || kind == state.RunRule) && s.hub.PersonalKey("", s.hub.Compared(kind, name)):
		out.Detail = maskedText
	case kind == "flow" && a.Action != "pause" && a.Action != "resume" && s.hub.PersonalKey(name, ""): // it names what was sent, and why
		out.Detail = maskedText
	}
	return out
}
