package api

import (
	"errors"
	"net/http"
	"strings"

	"github.com/waybill-hub/waybill/internal/state"
)

// ErrBroken: the flow cannot go on, because the broker does not hold what it has to read.
var ErrBroken = errors.New("the flow cannot go on")

// RecoverRequest says what to recover, and how.
type RecoverRequest struct {
	// Flows are the flows to recover; empty: all. What concerns a whole topic is recovered for all flows that read it.
	Flows []string `json:"flows,omitempty" text:"some"`
	Note  string   `json:"note,omitempty"`
	// DiscardLost gives up, in the name of who asks, what only its producers can send again.
	DiscardLost bool `json:"discard_lost,omitempty"`
	// From says where a flow goes on whose position the store has lost: at what its group has "committed" (the default), or at the
	// "start" of the log.
	From string `json:"from,omitempty" text:"some" enum:"committed,start"`
	// Plan, where it is given, is the plan of the Recovery that was looked at: another one is refused.
	Plan string `json:"plan,omitempty"`
}

// Recovery is what does not fit between the hub and its broker, and what a recovery does, or did, about it.
type Recovery struct {
	// Done: it was done; else it would be.
	Done bool `json:"done"`
	// Broken: something does not fit. Plan names exactly what would be done.
	Broken bool           `json:"broken"`
	Plan   string         `json:"plan,omitempty"`
	Topics []RecoverTopic `json:"topics"`
	// InboxEvents are published again from the inbox, Records put on their topics again as they were; Lost can only be given up; Copies
	// are offsets that the hub had written twice.
	InboxEvents int64 `json:"inbox_events"`
	Records     int64 `json:"records"`
	Lost        int64 `json:"lost"`
	Copies      int64 `json:"copies"`
	// Pending records of this or an earlier recovery are still to be put on their topics; until they are, nothing else is.
	Pending int64 `json:"pending"`
}

// RecoverTopic is one topic's part.
type RecoverTopic struct {
	Topic string `json:"topic"`
	Cause string `json:"cause" enum:"missing,another-broker,topic-made-again,cut-off,removed-unread,position-lost,position-of-another-log"`
	Text  string `json:"text"`
	// Writers are flows that wait before they write to it.
	Writers     []string      `json:"writers"`
	InboxRows   int64         `json:"inbox_rows"`
	InboxEvents int64         `json:"inbox_events"`
	Records     int64         `json:"records"`
	Flows       []RecoverFlow `json:"flows"`
}

// RecoverFlow is one reader's part.
type RecoverFlow struct {
	Flow       string             `json:"flow"`
	Text       string             `json:"text"`
	Again      int64              `json:"again"`
	Lost       int64              `json:"lost"`
	Copies     int64              `json:"copies"`
	Partitions []RecoverPartition `json:"partitions"`
}

// RecoverPartition is one partition's part: Expected is the offset that was to be read next, Found what the log holds, ReadsFrom where the
// flow goes on.
type RecoverPartition struct {
	Partition  int    `json:"partition"`
	Expected   *int64 `json:"expected"` // null: the store has lost it
	FoundFirst int64  `json:"found_first"`
	FoundEnd   int64  `json:"found_end"`
	ReadsFrom  int64  `json:"reads_from"`
	Again      int64  `json:"again"`
	Lost       int64  `json:"lost"`
	LostFrom   int64  `json:"lost_from,omitempty"`
	LostEnd    int64  `json:"lost_end,omitempty"`
	Copies     int64  `json:"copies"`
}

// recovery answers what does not fit, and what would be done about it.
func (s *Server) recovery(w http.ResponseWriter, r *http.Request) {
	q := RecoverRequest{From: of(r).text("from")}
	if flows := of(r).text("flow"); flows != "" {
		q.Flows = strings.Split(flows, ",")
	}
	got, err := s.hub.Recovery(r.Context(), q)
	if err != nil {
		s.failed(w, r, err)
		return
	}
	answer(w, http.StatusOK, got)
}

func (s *Server) recover(w http.ResponseWriter, r *http.Request, who string) {
	var q RecoverRequest
	if !body(w, r, &q, 64<<10) || !validFrom(w, q.From) {
		return
	}
	got, err := s.hub.Recover(r.Context(), q, who)
	switch {
	case errors.Is(err, state.ErrPlan), errors.Is(err, state.ErrLoss), errors.Is(err, state.ErrMoved):
		problem(w, http.StatusConflict, err.Error())
	case err != nil:
		s.failed(w, r, err)
	default:
		answer(w, http.StatusOK, got)
	}
}

func validFrom(w http.ResponseWriter, from string) bool {
	if from == "" || from == "committed" || from == "start" {
		return true
	}
	problem(w, http.StatusBadRequest, `from is "committed" or "start"`)
	return false
}
