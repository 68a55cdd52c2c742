package api

import (
	"net/http"
	"time"
)

// BackupRequest names a copy: a name in the folder of copies, or its whole path.
type BackupRequest struct {
	Name string `json:"name" like:"2026-11-29"` // a name in the folder of copies, or its whole path
}

// States of a copy.
const (
	BackupRunning = "running"
	BackupDone    = "done"
	BackupFailed  = "failed"
)

// Backup is one copy of the hub, or the writing of one.
type Backup struct {
	Name string `json:"name"`
	Path string `json:"path"`
	ID   string `json:"id"`
	// State is "running", "done" or "failed"; Step says what a running one is at, Error why one has failed.
	State string `json:"state" enum:"running,done,failed"`
	Step  string `json:"step,omitempty"`
	Error string `json:"error,omitempty"`
	// Copied of All bytes are written; All rises while it is learnt what there is.
	Copied int64     `json:"copied_bytes"`
	All    int64     `json:"all_bytes"`
	Began  time.Time `json:"began"`
	// AsOf is the moment of which its store is.
	AsOf  *time.Time `json:"as_of,omitempty"`
	Ended *time.Time `json:"ended,omitempty"`
}

// Backups are the copies in the folder, newest first, and the one that is written, or was written last, by this hub.
type Backups struct {
	Dir    string   `json:"dir"`
	Last   *Backup  `json:"last"`
	Copies []Backup `json:"copies"`
}

// RestoredRequest says that the store is an older state of itself, or, with Done, that this is settled.
type RestoredRequest struct {
	// AsOf is the moment that it is of, where that is known.
	AsOf time.Time `json:"as_of,omitzero" like:"2026-11-29T10:00:00Z"`
	Note string    `json:"note,omitempty"` // why; it goes to the audit
	Done bool      `json:"done,omitempty"` // it is settled
}

// Restored is what follows from the store having gone back to an older state.
type Restored struct {
	// State is "reading", "passing" or "watching" while it is being settled, and "settled" then.
	State string `json:"state" enum:"never,reading,passing,watching,settled"`
	// Signs are how it was noticed: copy, file, folder, database, log, person. Why says it for people.
	Signs []string  `json:"signs" enum:"copy,file,folder,database,log,person"`
	Why   string    `json:"why"`
	Since time.Time `json:"since,omitzero"` // when it was noticed; not where it never was
	// AsOf is the moment that the store is of, Stopped when a later state was alive last; null where nothing tells.
	AsOf    *time.Time `json:"as_of"`
	Stopped *time.Time `json:"stopped"`
	// Copy is the id of the copy that was put back, where waybill backup has written it.
	Copy string `json:"copy,omitempty"`
	Who  string `json:"who"`
	Note string `json:"note,omitempty"`
	// Lost says what was promised in the time between and is not in the store.
	Lost string `json:"lost"`
	// Again counts records that had a fate and are worked off again.
	Again int64 `json:"again"`
	// LookedUp counts what was looked up because of it before it was created, Found what was there, Parked what nobody can tell.
	LookedUp int64 `json:"looked_up"`
	Found    int64 `json:"found"`
	Parked   int64 `json:"parked"`
	// Waits says what it waits for, Blind which flows write to targets that cannot be asked.
	Waits   []string   `json:"waits"`
	Blind   []string   `json:"blind,omitempty"`
	Ended   *time.Time `json:"ended"`
	EndedBy string     `json:"ended_by,omitempty"`
}

// NeverRestored is the State where the store never went back.
const NeverRestored = "never"

func (s *Server) backups(w http.ResponseWriter, r *http.Request) {
	got, err := s.hub.Backups(r.Context())
	if err != nil {
		s.failed(w, r, err)
		return
	}
	answer(w, http.StatusOK, got)
}

func (s *Server) backup(w http.ResponseWriter, r *http.Request, who string) {
	var q BackupRequest
	if !body(w, r, &q, 4<<10) {
		return
	}
	got, err := s.hub.Backup(r.Context(), q, who)
	if err != nil {
		s.failed(w, r, err)
		return
	}
	answer(w, http.StatusAccepted, got)
}

func (s *Server) restored(w http.ResponseWriter, r *http.Request) {
	got, err := s.hub.Restored(r.Context())
	if err != nil {
		s.failed(w, r, err)
		return
	}
	if got == nil {
		got = &Restored{State: NeverRestored, Signs: []string{}, Waits: []string{}}
	}
	answer(w, http.StatusOK, got)
}

func (s *Server) sayRestored(w http.ResponseWriter, r *http.Request, who string) {
	var q RestoredRequest
	if !body(w, r, &q, 16<<10) {
		return
	}
	got, err := s.hub.SayRestored(r.Context(), q, who)
	if err != nil {
		s.failed(w, r, err)
		return
	}
	answer(w, http.StatusOK, got)
}
