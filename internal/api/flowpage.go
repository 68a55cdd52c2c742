package api

import (
	"context"
	"net/http"
	"time"

	"github.com/waybill-hub/waybill/internal/state"
)

// FlowDefinition is a flow as its files have it, as far as operators ask for it.
type FlowDefinition struct {
	Name string `json:"name"`
	// File and Line are where it stands; Sum changes with everything that its work depends on: definition, schemas, mapping, value maps, systems.
	File string `json:"file"`
	Line int    `json:"line"`
	Sum  string `json:"sum"`
	// By is how events come: "topic", "webhook", "poll" or "files". Topic is the one that the flow reads, Path that of the webhook.
	By    string `json:"by" enum:"topic,webhook,poll,files"`
	Topic string `json:"topic"`
	Path  string `json:"path,omitempty"`
	// Every and Schedule say when a source is read, Sweep when it is looked for what was deleted.
	Every    string `json:"every,omitempty"`
	Schedule string `json:"schedule,omitempty"`
	Sweep    string `json:"sweep,omitempty"`
	Accept   string `json:"accept,omitempty"`
	Mapping  string `json:"mapping,omitempty"`
	// Requires are entities that must be in the target first.
	Requires  []string `json:"requires,omitempty"`
	Operation string   `json:"operation,omitempty"`
	OnDelete  string   `json:"on_delete,omitempty"`
	Order     string   `json:"order"`
	// JournalAll: what goes from topic to topic is in the journal, too.
	JournalAll          bool    `json:"journal_all"`
	RetrySeconds        float64 `json:"retry_seconds"`
	LateAfterSeconds    float64 `json:"late_after_seconds"`
	SilentAfterSeconds  float64 `json:"silent_after_seconds"`
	WaitingAfterSeconds float64 `json:"waiting_after_seconds"`
}

// Fates is a page of what became of a flow's messages, newest first. One request looks at the newest twenty thousand fates of all flows, or at those before
// the place that it is given: Next is from where to look on, with before, and is there also where few or none were found. Without it there are no older ones.
type Fates struct {
	Journal []Journal `json:"journal"`
	Next    int64     `json:"next,omitempty"`
}

// Flowing is what the API asks about single flows. What it does not know is state.ErrNotFound.
type Flowing interface {
	// Deliveries are those of the last hours, of one flow or, where it is "", of all.
	Deliveries(ctx context.Context, flow string, last time.Duration) (*Deliveries, error)
	Definition(ctx context.Context, flow string) (*FlowDefinition, error)
	// Fates gives journal rows of a flow, newest first, without documents, and from where to look on; 0: there are no older ones.
	Fates(ctx context.Context, f state.JournalFilter) ([]state.Journal, int64, error)
}

func (s *Server) definition(w http.ResponseWriter, r *http.Request) {
	d, err := s.hub.Definition(r.Context(), r.PathValue("name"))
	if err != nil {
		s.failed(w, r, err)
		return
	}
	answer(w, http.StatusOK, d)
}

// outcomes are those by which a flow's journal is asked.
var outcomes = []string{string(state.Delivered), string(state.Skipped), string(state.Parked), string(state.Waiting), string(state.Discarded), string(state.Held)}

func (s *Server) fates(w http.ResponseWriter, r *http.Request) {
	q := of(r)
	if _, err := s.hub.Definition(r.Context(), r.PathValue("name")); err != nil {
		s.failed(w, r, err)
		return
	}
	rows, next, err := s.hub.Fates(r.Context(), state.JournalFilter{Flow: r.PathValue("name"), Outcome: state.Outcome(q.text("outcome")), Before: q.number("before"), Limit: int(q.number("limit"))})
	if err != nil {
		s.failed(w, r, err)
		return
	}
	page := Fates{Journal: []Journal{}, Next: next}
	for i := range rows {
		page.Journal = append(page.Journal, journalView(&rows[i]))
	}
	answer(w, http.StatusOK, page)
}
