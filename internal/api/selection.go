package api

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/state"
)

// Selection says which messages of the stored queues are meant; an empty field selects all.
type Selection struct {
	Flow   string `json:"flow,omitempty" text:"some"`
	System string `json:"system,omitempty" text:"some"` // of flows from or to it
	Entity string `json:"entity,omitempty" text:"some"`
	Key    string `json:"key,omitempty" text:"some"`
	// State is parked, waiting, held, or follower for what queues behind another message.
	State string `json:"state,omitempty" text:"some"`
	Cause string `json:"cause,omitempty" text:"some"` // its id, as the causes are listed
	Code  string `json:"code,omitempty" text:"some"`
	// OlderThan is an age: 90s, 15m, 2h30m, 3d.
	OlderThan string `json:"older_than,omitempty" text:"some"`
}

// String names the selection for the audit.
func (s Selection) String() string {
	var parts []string
	for _, f := range s.fields() {
		if *f.at != "" {
			parts = append(parts, f.name+"="+*f.at)
		}
	}
	if len(parts) == 0 {
		return "all"
	}
	return strings.Join(parts, " ")
}

// Query is the selection as a request's query.
func (s Selection) Query() url.Values {
	q := url.Values{}
	for _, f := range s.fields() {
		if *f.at != "" {
			q.Set(f.name, *f.at)
		}
	}
	return q
}

type field struct {
	name string
	at   *string
}

func (s *Selection) fields() []field {
	return []field{{"flow", &s.Flow}, {"system", &s.System}, {"entity", &s.Entity}, {"key", &s.Key}, {"state", &s.State}, {"cause", &s.Cause},
		{"code", &s.Code}, {"older_than", &s.OlderThan}}
}

// Age is what OlderThan says.
func (s *Selection) Age() (time.Duration, error) {
	m := age.FindStringSubmatch(s.OlderThan)
	switch {
	case s.OlderThan == "":
		return 0, nil
	case m == nil:
		return 0, fmt.Errorf("older_than %q is no age: write it like 90s, 15m, 2h30m or 3d", s.OlderThan)
	}
	var d time.Duration
	for i, unit := range []time.Duration{24 * time.Hour, time.Hour, time.Minute, time.Second} {
		if n, err := strconv.Atoi(m[i+1]); err == nil { // else it is not there
			d += time.Duration(n) * unit
		}
	}
	return d, nil
}

// age has few enough digits for no sum to be too large.
var age = regexp.MustCompile(`^(?:(\d{1,4})d)?(?:(\d{1,5})h)?(?:(\d{1,6})m)?(?:(\d{1,8})s)?$`)

// check says what is wrong with the selection itself.
func (s *Selection) check() error {
	switch s.State {
	case "", "parked", "waiting", "held", "follower":
	default:
		return fmt.Errorf("state %q: a message is parked, waiting or held, or a follower of one that is", s.State)
	}
	_, err := s.Age()
	return err
}

// selection reads a selection from a query whose other names are also.
func (s *Server) selection(w http.ResponseWriter, r *http.Request, also ...string) (state.QueueFilter, bool) {
	var sel Selection
	known := slices.Clone(also)
	for _, f := range sel.fields() {
		known = append(known, f.name)
	}
	q, ok := query(w, r, known...)
	if !ok {
		return state.QueueFilter{}, false
	}
	for _, f := range sel.fields() {
		*f.at = q.Get(f.name)
	}
	return s.resolve(w, r, sel)
}

func (s *Server) resolve(w http.ResponseWriter, r *http.Request, sel Selection) (state.QueueFilter, bool) {
	if err := sel.check(); err != nil {
		problem(w, http.StatusBadRequest, err.Error())
		return state.QueueFilter{}, false
	}
	f, err := s.hub.Select(sel)
	if err != nil {
		s.failed(w, r, err)
		return f, false
	}
	return f, true
}

// number reads a whole number from 0 to most; def where the query has none.
func number(w http.ResponseWriter, r *http.Request, name string, def, least, most int64) (int64, bool) {
	v := r.URL.Query().Get(name)
	if v == "" {
		return def, true
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || n < least || n > most || v[0] == '+' {
		problem(w, http.StatusBadRequest, fmt.Sprintf("%s must be a number from %d to %d", name, least, most))
		return 0, false
	}
	return n, true
}
