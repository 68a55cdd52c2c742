package api

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/waybill-hub/waybill/internal/access"
	"github.com/waybill-hub/waybill/internal/state"
)

// Veiling is what the API asks of the hub for those who may not see personal data. Documents are masked for everybody; this is about business keys that are made of such.
type Veiling interface {
	// PersonalKey reports whether the business keys of a flow, or of some flow of an entity, are personal data; of neither, whether any are.
	PersonalKey(flow, entity string) bool
	// Veil masks in an answer business keys that are personal data; of what names neither flow nor entity, about is the entity. False: it cannot be read.
	Veil(answer []byte, about string) ([]byte, bool)
	// Compared is the entity of a reconciliation or a rule; of one that there is not, one whose keys are taken for personal data where any are.
	Compared(kind, name string) string
}

// veiled answers those who may not see personal data with an answer in which business keys that are such are masked. about is the entity of what says none.
func (s *Server) veiled(about func(*http.Request) string, next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if v := access.Of(r.Context()); v.SeesPersonal() || !s.hub.PersonalKey("", "") {
			next(w, r)
			return
		}
		a := &Answer{Status: http.StatusOK, Header: w.Header()}
		next(&recorder{a: a}, r)
		entity := ""
		if about != nil {
			entity = about(r)
		}
		body, ok := s.hub.Veil(a.Body, entity)
		if !ok {
			problem(w, http.StatusServiceUnavailable, "the answer holds what cannot be masked; ask for less at once")
			return
		}
		w.WriteHeader(a.Status)
		_, _ = w.Write(body) // the reader has gone: nothing to tell it
	}
}

// named is the entity of the reconciliation or rule that a path names, or whose run it names.
func (s *Server) named(kind string) func(*http.Request) string {
	return func(r *http.Request) string {
		if kind != "" {
			return s.hub.Compared(kind, r.PathValue("name"))
		}
		run := &state.Comparison{} // which is nobody's, where it cannot be told: what was answered may be about personal data
		if id, ok := pathID(&recorder{a: &Answer{Header: http.Header{}}}, r); ok {
			if found, err := s.hub.RunByID(r.Context(), id); err == nil {
				run = found
			}
		}
		return s.hub.Compared(run.Kind, run.Name)
	}
}

// veilOf masks what is told of a run, or of its differences, for those who may not see their keys.
func veilOf[T any](s *Server, v access.Visitor, run *state.Comparison, of T) (out T, err error) {
	if v.SeesPersonal() || !s.hub.PersonalKey("", "") {
		return of, nil
	}
	data, err := json.Marshal(of)
	if err != nil {
		return out, err
	}
	data, ok := s.hub.Veil(data, s.hub.Compared(run.Kind, run.Name))
	if !ok {
		return out, &Invalid{Detail: "the report holds what cannot be masked"}
	}
	return out, json.Unmarshal(data, &out)
}

// guessed takes out of a search what was found by the beginning of a key that is personal data: by more and more letters of it somebody would learn the whole.
func (s *Server) guessed(v access.Visitor, text string, p *state.SearchPage) {
	if v.SeesPersonal() {
		return
	}
	p.Objects = slices.DeleteFunc(p.Objects, func(o state.SearchedObject) bool {
		if !s.hub.PersonalKey(o.Flow, o.Entity) || slices.ContainsFunc(o.Fields, func(f string) bool { return f != "key" && f != "id" }) {
			return false
		}
		whole := strings.EqualFold(o.Key, text) || strings.EqualFold(o.Hub, text) || strings.EqualFold(o.Event, text) ||
			slices.ContainsFunc(o.Refs, func(r state.Ref) bool { return strings.EqualFold(r.Local, text) })
		return !whole
	})
}

// guessedTrace is guessed for a trace, which finds a key by its beginning as well.
func (s *Server) guessedTrace(v access.Visitor, asked string, t *state.Trace) {
	if v.SeesPersonal() || !s.hub.PersonalKey("", "") {
		return
	}
	t.Keys = nil
	if strings.EqualFold(t.Key, asked) {
		return
	}
	personal := false
	for i := range t.Objects { // an id there is may be a key
		personal = personal || s.hub.PersonalKey("", t.Objects[i].Entity)
	}
	for i := range t.Journal {
		personal = personal || s.hub.PersonalKey(t.Journal[i].Flow, t.Journal[i].Entity)
	}
	for i := range t.Queued {
		personal = personal || s.hub.PersonalKey(t.Queued[i].Flow, t.Queued[i].Event.Entity)
	}
	for i := range t.Inbox {
		personal = personal || s.hub.PersonalKey(t.Inbox[i].Flow, "")
	}
	for i := range t.Acts {
		personal = personal || s.hub.PersonalKey(t.Acts[i].Flow, "")
	}
	if personal {
		*t = state.Trace{Key: asked}
	}
}
