package api

import (
	"bufio"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/waybill-hub/waybill/internal/access"
	"github.com/waybill-hub/waybill/internal/report"
	"github.com/waybill-hub/waybill/internal/state"
)

// reportStall is how long a reader of a report may take for a piece of it: a large one takes longer than other answers may.
const (
	reportStall = time.Minute
	reportPiece = 64 << 10
)

// mostBooks is how many workbooks are made at once: each takes tens of megabytes.
const mostBooks = 2

// ReportFile is what a run has found, as JSON.
type ReportFile struct {
	Run         Run                `json:"run"`
	Differences []state.Difference `json:"differences"`
}

// report streams what a run has found as a file. Where that breaks off, so does the connection: half of a report is none.
func (s *Server) report(w http.ResponseWriter, r *http.Request) {
	id, ok := pathID(w, r)
	if !ok {
		return
	}
	form := of(r).text("format")
	if form == "" {
		form = "json"
	}
	run, err := s.hub.RunByID(r.Context(), id)
	if err == nil && !run.State.Over() {
		err = fmt.Errorf("run %d is not over (%s): its report is there when it is: %w", id, run.State, state.ErrBusy)
	}
	if err != nil {
		s.failed(w, r, err)
		return
	}
	visitor := access.Of(r.Context())
	head, err := veilOf(s, visitor, run, RunView(run))
	if err != nil {
		s.failed(w, r, err)
		return
	}
	shown := *run
	shown.Detail = head.Detail // which may name the one object that was looked at
	rep := &report.Report{Run: &shown, Head: head, Next: func(after int) ([]state.Difference, error) {
		list, err := s.hub.Differences(r.Context(), state.DifferenceFilter{Run: id, After: after, Limit: 1000})
		if err != nil {
			return nil, err
		}
		return veilOf(s, visitor, run, list)
	}}
	if form == "xlsx" {
		select {
		case s.books <- struct{}{}:
			defer func() { <-s.books }()
		case <-r.Context().Done():
			return // nobody waits for it any more
		}
	}
	to := &patient{w: w, control: http.NewResponseController(w)}
	to.begin = func() {
		w.Header().Set("Content-Type", report.MediaType(form))
		w.Header().Set("Content-Disposition", `attachment; filename="`+rep.FileName(form)+`"`)
	}
	buffer := bufio.NewWriterSize(to, reportPiece)
	err = rep.Write(buffer, form)
	if err == nil {
		err = buffer.Flush()
	}
	if err != nil {
		if !to.begun {
			s.failed(w, r, err)
			return
		}
		if r.Context().Err() == nil {
			s.cfg.Log.Warn("a report broke off", "run", id, "format", form, "error", err)
		}
		panic(http.ErrAbortHandler) // which net/http takes as it is meant: the reader must not take this for the whole
	}
}

// patient writes an answer that may take long, as long as the reader takes it.
type patient struct {
	w       http.ResponseWriter
	control *http.ResponseController
	begin   func()
	begun   bool
}

func (p *patient) Write(b []byte) (n int, err error) {
	if !p.begun {
		p.begun = true
		p.begin()
	}
	for piece := range slices.Chunk(b, reportPiece) {
		// A writer that knows no deadlines, as a test's, has none that would pass.
		_ = p.control.SetWriteDeadline(time.Now().Add(reportStall))
		k, err := p.w.Write(piece)
		if n += k; err != nil {
			return n, err
		}
	}
	return n, nil
}
