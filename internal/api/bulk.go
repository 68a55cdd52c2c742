package api

import (
	"fmt"
	"net/http"
	"time"

	"github.com/waybill-hub/waybill/internal/state"
)

// BulkRequest asks for a replay or discard of all messages that are selected.
type BulkRequest struct {
	Filter Selection `json:"filter,omitzero"` // without a state: parked
	// All must be said where the filter is empty.
	All bool `json:"all,omitempty"`
	// Behind takes what queues behind the selected messages too; of a discard.
	Behind bool   `json:"behind,omitempty"`
	Note   string `json:"note,omitempty"` // why
	// Rate is how fast a replay goes on, such as 5/s or 100/m: the hub keeps it, also over a restart. Without one all are marked at once.
	Rate   string `json:"rate,omitempty"`
	DryRun bool   `json:"dry_run,omitempty"` // only count
	// Continue is what the last answer gave.
	Continue string `json:"continue,omitempty" pattern:"^[1-9][0-9]{0,17}\\.(0|[1-9][0-9]{0,17})\\.(0|[1-9][0-9]{0,17})\\.(0|[1-9][0-9]{0,17})$"`
}

// BulkAnswer tells how far a bulk has come.
type BulkAnswer struct {
	// Matched and Behind are the answer to a dry run: how many messages are selected, and how many more are released after them.
	DryRun  bool  `json:"dry_run,omitempty"`
	Matched int64 `json:"matched"`
	Behind  int64 `json:"behind"`
	// Seconds is how long a replay at the rate takes.
	Seconds float64 `json:"seconds,omitempty"`
	// Act is the bulk's number, Marked what this request has marked, Total what all have.
	Act    int64 `json:"act,omitempty"`
	Marked int64 `json:"marked"`
	Total  int64 `json:"total"`
	Done   bool  `json:"done"`
	// Continue is to be given with the next request, of the same content, until the bulk is done.
	Continue string `json:"continue,omitempty"`
}

// bulkMost is how many messages one request marks: few enough for an answer in a moment.
const bulkMost = 2000

func (s *Server) bulk(m state.Mark) actor {
	return func(w http.ResponseWriter, r *http.Request, who string) {
		var q BulkRequest
		if !body(w, r, &q, mostNote) {
			return
		}
		switch {
		case q.Filter == (Selection{}) && !q.All:
			problem(w, http.StatusBadRequest, `select messages in "filter", or say "all": true`)
			return
		case m == state.MarkReplay && q.Behind:
			problem(w, http.StatusConflict, "what queues behind a message is released in order when that one has been replayed: it cannot be replayed as well")
			return
		case m == state.MarkDiscard && q.Rate != "":
			problem(w, http.StatusBadRequest, "a discard has no rate: nothing is sent for it")
			return
		case q.Rate != "" && q.Continue != "":
			problem(w, http.StatusBadRequest, "a replay at a rate goes on by itself: there is nothing to continue")
			return
		case m == state.MarkDiscard && !q.DryRun && !said(w, q.Note):
			return
		case q.Filter.State == "":
			q.Filter.State = string(state.Parked)
		}
		f, ok := s.resolve(w, r, q.Filter)
		if !ok {
			return
		}
		b := state.Bulk{Mark: m, Filter: f, Behind: q.Behind, About: q.Filter.String(), Who: who, Note: q.Note, Most: bulkMost}
		if q.Behind {
			b.About += " and what is behind"
		}
		if q.DryRun {
			n, behind, err := s.hub.Count(r.Context(), b)
			if err != nil {
				s.failed(w, r, err)
				return
			}
			a := BulkAnswer{DryRun: true, Matched: n, Behind: behind}
			if q.Rate != "" {
				if a.Seconds, err = s.hub.PaceSeconds(q.Rate, n); err != nil {
					s.failed(w, r, err)
					return
				}
			}
			answer(w, http.StatusOK, a)
			return
		}
		if q.Rate != "" {
			s.beginPace(w, r, b, q.Rate)
			return
		}
		if !bulkFrom(w, q.Continue, &b) {
			return
		}
		step, err := s.hub.Bulk(r.Context(), b)
		if err != nil {
			s.failed(w, r, err)
			return
		}
		a := BulkAnswer{Act: step.Next.Act, Marked: step.Marked, Total: step.Total, Done: step.Done}
		if !step.Done {
			a.Continue = bulkPlace(&step.Next, b.Filter.Since)
		}
		answer(w, http.StatusAccepted, a)
	}
}

// bulkPlace is where a bulk goes on, and as of when its messages are old enough.
func bulkPlace(p *state.BulkPlace, since time.Time) string {
	var at int64
	if !since.IsZero() {
		at = since.UnixNano()
	}
	return fmt.Sprintf("%d.%d.%d.%d", p.Act, p.Top, p.At, at)
}

func bulkFrom(w http.ResponseWriter, text string, b *state.Bulk) bool {
	if text == "" {
		return true
	}
	var since int64
	p := &b.From
	if n, err := fmt.Sscanf(text, "%d.%d.%d.%d", &p.Act, &p.Top, &p.At, &since); err != nil || n != 4 || p.Act <= 0 || p.Top < 0 || p.At < 0 ||
		text != fmt.Sprintf("%d.%d.%d.%d", p.Act, p.Top, p.At, since) {
		problem(w, http.StatusBadRequest, `"continue" must be what the last answer gave`)
		return false
	}
	if since != 0 {
		b.Filter.Since = time.Unix(0, since)
	}
	return true
}
