package api

import (
	"errors"
	"net/http"
	"strings"
	"time"
)

// Plan says which files the hub works by.
type Plan struct {
	// Hash is the beginning of a hash over all files.
	Hash     string    `json:"hash"`
	LoadedAt time.Time `json:"loaded_at"`
}

// Reload is what a reload has changed.
type Reload struct {
	Plan    Plan    `json:"plan"`
	Flows   Changes `json:"flows"`
	Systems Changes `json:"systems"`
	// Reconciliations and Rules also change where what they are read through does: a mapping, a system.
	Reconciliations Changes `json:"reconciliations"`
	Rules           Changes `json:"rules"`
	// Warnings tell what did not go as it should; the new plan runs all the same.
	Warnings []string `json:"warnings,omitempty"`
}

// Changes are names, and how many things were left alone.
type Changes struct {
	Added     []string `json:"added"`
	Changed   []string `json:"changed"`
	Removed   []string `json:"removed"`
	Unchanged int      `json:"unchanged"`
}

// FileProblem is one thing that is wrong in a file.
type FileProblem struct {
	File    string `json:"file"`
	Line    int    `json:"line,omitempty"`
	Column  int    `json:"column,omitempty"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

// BadFiles refuses a reload: the files have problems, and nothing was changed.
type BadFiles struct{ Problems []FileProblem }

func (e *BadFiles) Error() string {
	return "the files have problems; the hub goes on as before"
}

// NeedsRestart refuses a reload: these settings differ, and a running hub cannot change them. Nothing was changed.
type NeedsRestart struct{ Settings []string }

func (e *NeedsRestart) Error() string {
	return "these settings have changed and need a restart of the hub: " + strings.Join(e.Settings, ", ") + "; until then it goes on as before"
}

var (
	// ErrStopping refuses what a stopping hub does not begin any more.
	ErrStopping = errors.New("the hub is stopping")
	// ErrNoFiles refuses a reload of a hub that does not run from files on a disk.
	ErrNoFiles = errors.New("this hub does not run from files that could be loaded again")
)

// reloadTimeout bounds the answer to a reload: flows end what is under way first.
const reloadTimeout = 2 * time.Minute

func (s *Server) reload(w http.ResponseWriter, r *http.Request, who string) {
	if !body(w, r, &Nothing{}, 4<<10) {
		return
	}
	// The listener's own limit is for answers that are there at once. A writer that has none needs no other.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(reloadTimeout))
	done, err := s.hub.Reload(r.Context(), who)
	if err != nil {
		s.reloadFailed(w, r, err)
		return
	}
	answer(w, http.StatusOK, done)
}

// reloadFailed says why files were not loaded.
func (s *Server) reloadFailed(w http.ResponseWriter, r *http.Request, err error) {
	var bad *BadFiles
	var restart *NeedsRestart
	switch {
	case errors.As(err, &bad):
		problemOf(w, Problem{Status: http.StatusUnprocessableEntity, Detail: err.Error(), Problems: bad.Problems})
	case errors.As(err, &restart), errors.Is(err, ErrNoFiles):
		problem(w, http.StatusConflict, err.Error())
	default:
		s.failed(w, r, err)
	}
}
