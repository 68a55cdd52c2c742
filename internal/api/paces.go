package api

import (
	"net/http"
	"time"

	"github.com/waybill-hub/waybill/internal/access"
	"github.com/waybill-hub/waybill/internal/state"
)

// Replay is a replay of what was selected, at a rate.
type Replay struct {
	// Act is its number, as that of a bulk.
	Act   int64     `json:"act"`
	Who   string    `json:"who"`
	Note  string    `json:"note,omitempty"`
	About string    `json:"about"`
	Rate  string    `json:"rate"`
	Began time.Time `json:"began"`
	// State is running, done, or stopped: by StoppedBy.
	State     string     `json:"state" enum:"running,done,stopped"`
	Ended     *time.Time `json:"ended,omitempty"`
	StoppedBy string     `json:"stopped_by,omitempty"`
	// Matched is how many messages it selected when it began, Marked how many of them were replayed so far: what has gone by other ways meanwhile is not among them.
	Matched int64 `json:"matched"`
	Marked  int64 `json:"marked"`
	// SecondsLeft is how long it still takes at most.
	SecondsLeft float64 `json:"seconds_left,omitempty"`
}

// Replays are those of the last month, the newest first.
type Replays struct {
	Replays []Replay `json:"replays"`
}

// StoppedReplay is a replay that has ended before it had marked all.
type StoppedReplay struct {
	Act   int64  `json:"act"`
	State string `json:"state" enum:"stopped"`
}

func (s *Server) beginPace(w http.ResponseWriter, r *http.Request, b state.Bulk, rate string) {
	p, err := s.hub.BeginPace(r.Context(), b, rate)
	if err != nil {
		s.failed(w, r, err)
		return
	}
	a := BulkAnswer{Act: p.Bulk.From.Act, Matched: p.Matched}
	if a.Seconds, err = s.hub.PaceSeconds(p.Rate, p.Matched); err != nil {
		s.failed(w, r, err)
		return
	}
	answer(w, http.StatusAccepted, a)
}

func (s *Server) replays(w http.ResponseWriter, r *http.Request) {
	list, err := s.hub.Paces(r.Context())
	if err != nil {
		s.failed(w, r, err)
		return
	}
	v := access.Of(r.Context())
	out := make([]Replay, len(list))
	for i := range list {
		p := &list[i]
		x := Replay{Act: p.Bulk.From.Act, Who: p.Bulk.Who, Note: p.Bulk.Note, About: p.Bulk.About, Rate: p.Rate, Began: p.Began, State: p.State, StoppedBy: p.EndedBy, Matched: p.Matched, Marked: p.Marked}
		if !p.Ended.IsZero() {
			x.Ended = &p.Ended
		} else if x.SecondsLeft, err = s.hub.PaceSeconds(p.Rate, max(0, p.Matched-p.Marked)); err != nil {
			s.failed(w, r, err)
			return
		}
		if p.Bulk.Filter.Key != "" && !v.SeesPersonal() && s.hub.PersonalKey("", "") { // as in the audit: it says which key was chosen
			x.About = maskedText
		}
		out[i] = x
	}
	answer(w, http.StatusOK, Replays{out})
}

func (s *Server) stopReplay(w http.ResponseWriter, r *http.Request, who string) {
	if !body(w, r, &Nothing{}, 4<<10) {
		return
	}
	id, ok := pathID(w, r)
	if !ok {
		return
	}
	if err := s.hub.StopPace(r.Context(), id, who); err != nil {
		s.failed(w, r, err)
		return
	}
	answer(w, http.StatusOK, StoppedReplay{id, state.PaceStopped})
}
