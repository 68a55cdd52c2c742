package api

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// Filing is what the API asks about the files of a flow's source. state.ErrNotFound for an unknown flow, *Invalid for one that reads no files.
type Filing interface {
	// FailedFiles are those that could not be taken and that nobody has dealt with, by name, at most MostFailed.
	FailedFiles(ctx context.Context, flow string) (*FailedFiles, error)
	// Retake has files that have failed taken again; *Invalid where one of them is none.
	Retake(ctx context.Context, flow string, q RetakeRequest, who string) (*Retaken, error)
}

// MostFailed is how many failed files of a flow are told of, and taken again by one request.
const MostFailed = 100

// FailedFiles are the files of a flow's source that could not be taken, by name. More: there are others, which are told of when these are dealt with.
type FailedFiles struct {
	Files []FailedFile `json:"files"`
	More  bool         `json:"more,omitempty"`
}

// FailedFile is a file that could not be taken.
type FailedFile struct {
	// Name is its name in the folder for what failed, As that under which it came and is taken again.
	Name     string    `json:"name"`
	As       string    `json:"as"`
	Bytes    int64     `json:"bytes"`
	Modified time.Time `json:"modified"`
	// Why is what was wrong with it.
	Why string `json:"why,omitempty"`
}

// RetakeRequest asks that files which have failed be taken again, as if they had just come: when what they failed for is mended.
type RetakeRequest struct {
	Files []string `json:"files,omitempty" text:"some" minitems:"1" maxitems:"100"` // by their names
	All   bool     `json:"all,omitempty"`                                           // all that are told of
	Note  string   `json:"note,omitempty"`                                          // why; it goes to the audit
}

// Retaken is what was asked for, and what comes of it.
type Retaken struct {
	Flow  string   `json:"flow"`
	Files []string `json:"files"`
	State string   `json:"state" enum:"asked"` // "asked": the hub that reads the source does it before its next read, which it begins at once
	Text  string   `json:"text"`               // what comes of it, as a sentence
}

func (s *Server) failedFiles(w http.ResponseWriter, r *http.Request) {
	got, err := s.hub.FailedFiles(r.Context(), r.PathValue("name"))
	if err != nil {
		s.failed(w, r, err)
		return
	}
	answer(w, http.StatusOK, got)
}

func (s *Server) retake(w http.ResponseWriter, r *http.Request, who string) {
	var q RetakeRequest
	if !body(w, r, &q, 64<<10) {
		return
	}
	switch {
	case (len(q.Files) == 0) != q.All:
		problem(w, http.StatusBadRequest, `say which files are to be taken again: their names as files, or "all": true`)
		return
	case len(q.Files) > MostFailed:
		problem(w, http.StatusBadRequest, fmt.Sprintf("at most %d files: name the rest in another request", MostFailed))
		return
	}
	got, err := s.hub.Retake(r.Context(), r.PathValue("name"), q, who)
	if err != nil {
		s.failed(w, r, err)
		return
	}
	answer(w, http.StatusAccepted, got)
}
