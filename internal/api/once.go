package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/state"
)

// Remembering is what the API asks about requests that name themselves by an Idempotency-Key.
type Remembering interface {
	// BeginRequest notes a request before anything is done for it, and gives the one that was begun under its key before; nil: there was none.
	BeginRequest(ctx context.Context, r state.Request) (before *state.Request, err error)
	// EndRequest keeps what was answered; with the status 0 the request is forgotten.
	EndRequest(ctx context.Context, r state.Request) error
}

// KeyHeader names a request, so that the same again does nothing more.
const KeyHeader = "Idempotency-Key"

// ReplayedHeader says that an answer is that of the request's first time.
const ReplayedHeader = "Idempotency-Replayed"

// keyPattern is what a key is made of, as the description has it.
const keyPattern = `^[0-9A-Za-z._:-]{8,64}$`

var keys = regexp.MustCompile(keyPattern)

// once does what a request asks for once, however often it comes under one key from one person: the same again gets the answer of the first time. What was
// refused was not done, and may be asked again; of what may be done nevertheless, nobody says how it ended.
func (s *Server) once(next actor) actor {
	return func(w http.ResponseWriter, r *http.Request, who string) {
		given := r.Header.Values(KeyHeader)
		if len(given) == 0 {
			next(w, r, who)
			return
		}
		key := given[0]
		if quoted, ok := strings.CutPrefix(key, `"`); ok { // as the draft of the IETF has it
			key = strings.TrimSuffix(quoted, `"`)
		}
		if len(given) > 1 || !keys.MatchString(key) {
			problem(w, http.StatusBadRequest, KeyHeader+" stands there once, and has 8 to 64 letters, digits, dots, colons, - and _: a UUID for each request that is meant")
			return
		}
		sent, err := io.ReadAll(io.LimitReader(r.Body, maxEdit+1)) // what is larger is refused by who reads it
		if err != nil {
			problem(w, http.StatusBadRequest, "the body cannot be read: "+err.Error())
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(sent)) // the server closes its own
		asked := state.Request{Who: who, Key: key, Sum: sumOf(r, sent)}
		before, err := s.hub.BeginRequest(r.Context(), asked)
		switch {
		case err != nil:
			s.failed(w, r, err)
			return
		case before != nil:
			again(w, before, asked.Sum)
			return
		}
		kept := &keeper{recorder: recorder{a: &Answer{Status: http.StatusOK, Header: w.Header()}}, under: w}
		next(kept, r, who)
		if asked.Status, asked.Answer = kept.a.Status, string(kept.a.Body); asked.Status >= http.StatusBadRequest {
			asked.Status, asked.Answer = 0, ""
		}
		if !kept.doubt {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), noteFor) // whoever asked may have gone
			defer cancel()
			if err := s.hub.EndRequest(ctx, asked); err != nil {
				s.cfg.Log.Warn("what was answered to a request is not kept: under its key it is refused from now on", "path", r.URL.Path, "who", who, "error", err)
			}
		}
		w.WriteHeader(kept.a.Status)
		_, _ = w.Write(kept.a.Body) // the reader has gone: nothing to tell it
	}
}

// again answers a request whose key is known.
func again(w http.ResponseWriter, before *state.Request, sum string) {
	switch {
	case before.Sum != sum:
		problem(w, http.StatusUnprocessableEntity, "another request was made under this "+KeyHeader+" at "+before.Began.UTC().Format(time.RFC3339)+": give each request that is meant a key of its own")
	case before.Status == 0:
		problem(w, http.StatusConflict, fmt.Sprintf("this request was begun at %s and has not ended: it is under way, or its hub or the store has failed in the middle. Look in the audit whether it was done; if it was not, ask under another key",
			before.Began.UTC().Format(time.RFC3339)))
	default:
		w.Header().Set("Content-Type", mediaJSON) // all that is done is answered so
		w.Header().Set(ReplayedHeader, "true")
		w.WriteHeader(before.Status)
		_, _ = w.Write([]byte(before.Answer)) // the reader has gone: nothing to tell it
	}
}

// sumOf is a digest of what a request asks.
func sumOf(r *http.Request, body []byte) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s %s\n%s\n", r.Method, r.URL.RequestURI(), r.Header.Get("If-Match"))
	h.Write(body)
	return hex.EncodeToString(h.Sum(nil))
}

// keeper keeps an answer until it is stored. What is said of the connection goes through.
type keeper struct {
	recorder
	under http.ResponseWriter
	doubt bool // it was refused and may be done all the same
}

func (k *keeper) Unwrap() http.ResponseWriter { return k.under }
