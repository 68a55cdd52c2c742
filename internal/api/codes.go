package api

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"
)

// The directions of a code, as causes have them before their code: the system's, for which there is no canonical one, and the other way about.
const (
	CodeOfSystem = "value"
	CodeOfMap    = "code"
)

// UnknownCode is a code that a value map does not know, and the messages that it has stopped.
type UnknownCode struct {
	Map    string `json:"map"`
	System string `json:"system"`
	// Direction is "value" where Code is the system's and has no canonical one, "code" where it is canonical and has none of the system's.
	Direction string `json:"direction" enum:"value,code"`
	Code      string `json:"code"`
	// Cause selects the messages; Count are those that were stopped, Behind those that queue behind them.
	Cause  string    `json:"cause"`
	Count  int64     `json:"count"`
	Behind int64     `json:"behind"`
	Oldest time.Time `json:"oldest"`
	Flows  []string  `json:"flows"`
	// Known: the map knows it by now, and the messages are only to be replayed.
	Known bool `json:"known,omitempty"`
	// File and Line are where the map stands; no file: it is in none of the hub's files any more.
	File string `json:"file,omitempty"`
	Line int    `json:"line,omitempty"`
	// Choices are what the other side has codes for: canonical ones of a value, the system's of a code.
	Choices []string `json:"choices"`
}

// UnknownCodeOf tells which code has stopped the messages of a cause, by its code ("value:units/shop/crate"); ok is false where none has.
func UnknownCodeOf(code string) (u UnknownCode, ok bool) {
	direction, rest, _ := strings.Cut(code, ":")
	parts := strings.SplitN(rest, "/", 3)
	if direction != CodeOfSystem && direction != CodeOfMap || len(parts) < 3 {
		return u, false
	}
	return UnknownCode{Map: parts[0], System: parts[1], Direction: direction, Code: parts[2]}, true
}

// UnknownCodes are all that have stopped messages.
type UnknownCodes struct {
	Codes []UnknownCode `json:"codes"`
}

// CodeRequest is a pair that a value map is to know: To is the canonical code of the system's Code, or, where Direction is "code", the system's code of the
// canonical Code.
type CodeRequest struct {
	Map       string `json:"map" min:"1"`
	System    string `json:"system" min:"1"`
	Direction string `json:"direction,omitempty" enum:"value,code"` // "value", the default, or "code"
	Code      string `json:"code" min:"1"`
	To        string `json:"to" min:"1"`
	Note      string `json:"note,omitempty"`
}

// AddedCode is where the pair stands now, and the files that the hub works by since.
type AddedCode struct {
	File string `json:"file"`
	Line int    `json:"line"`
	Plan Plan   `json:"plan"`
}

// Unwritable refuses to write a value map: the hub runs from no folder, may not write there, or does not change a file that is written in such a way. Nothing was
// changed; the error names the line that a person is to add.
type Unwritable struct {
	Why  error
	Line string
}

func (e *Unwritable) Error() string {
	return "the hub does not write this value map (" + e.Why.Error() + "): add the line yourself under codes, and load the files again: " + e.Line
}
func (e *Unwritable) Unwrap() error { return e.Why }

// Coder knows unknown codes.
type Coder interface {
	// UnknownCodes are those that have stopped messages, by map, system and code.
	UnknownCodes(ctx context.Context) ([]UnknownCode, error)
	// AddCode writes a pair into its value map's file and loads the files; *Unwritable, *Invalid, and what Reload gives, refuse it, and the file is as it was.
	AddCode(ctx context.Context, q CodeRequest, who string) (*AddedCode, error)
}

func (s *Server) codes(w http.ResponseWriter, r *http.Request) {
	list, err := s.hub.UnknownCodes(r.Context())
	if err != nil {
		s.failed(w, r, err)
		return
	}
	answer(w, http.StatusOK, UnknownCodes{list})
}

func (s *Server) addCode(w http.ResponseWriter, r *http.Request, who string) {
	var q CodeRequest
	if !body(w, r, &q, mostNote) {
		return
	}
	switch {
	case q.Map == "" || q.System == "" || q.Code == "" || q.To == "":
		problem(w, http.StatusBadRequest, "give map, system, code and to: which code of which system stands for which one")
		return
	case q.Direction != "" && q.Direction != CodeOfSystem && q.Direction != CodeOfMap:
		problem(w, http.StatusBadRequest, `direction is "value" (code is the system's) or "code" (code is the canonical one)`)
		return
	}
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(reloadTimeout)) // as for a reload
	done, err := s.hub.AddCode(r.Context(), q, who)
	var no *Unwritable
	switch {
	case err == nil:
		answer(w, http.StatusOK, done)
	case errors.As(err, &no):
		problem(w, http.StatusConflict, err.Error())
	default:
		s.reloadFailed(w, r, err)
	}
}
