package api

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/state"
)

// Selection says which messages of the stored queues are meant; an empty field selects all.
type Selection struct {
	Flow   string `json:"flow,omitempty" text:"some"`   // of one flow
	System string `json:"system,omitempty" text:"some"` // of flows from or to it
	Entity string `json:"entity,omitempty" text:"some"` // of the flows of one kind of object
	Key    string `json:"key,omitempty" text:"some"`    // of one business key
	// State is parked, waiting, held, or follower for what queues behind another message.
	State string `json:"state,omitempty" text:"some" enum:"parked,waiting,held,follower"`
	Cause string `json:"cause,omitempty" text:"some"` // its id, as the causes are listed
	Code  string `json:"code,omitempty" text:"some"`  // of one code
	// OlderThan is an age: 90s, 15m, 2h30m, 3d.
	OlderThan string `json:"older_than,omitempty" text:"some" pattern:"^([0-9]{1,4}d([0-9]{1,5}h)?([0-9]{1,6}m)?([0-9]{1,8}s)?|[0-9]{1,5}h([0-9]{1,6}m)?([0-9]{1,8}s)?|[0-9]{1,6}m([0-9]{1,8}s)?|[0-9]{1,8}s)$"`
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

// agePattern is age without groups, as the description has it: an age of something.
const agePattern = `^([0-9]{1,4}d([0-9]{1,5}h)?([0-9]{1,6}m)?([0-9]{1,8}s)?|[0-9]{1,5}h([0-9]{1,6}m)?([0-9]{1,8}s)?|[0-9]{1,6}m([0-9]{1,8}s)?|[0-9]{1,8}s)$`

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

// selectionParams are a selection as parameters of a query.
var selectionParams = params{text("flow", "of one flow"), text("system", "of the flows from or to one system"), text("entity", "of the flows of one kind of object"), text("key", "of one business key"),
	oneOf("state", "parked, waiting or held, and what queues behind such messages; follower: only what queues behind another message", "parked", "waiting", "held", "follower"),
	text("cause", "of one cause: its id, as /api/v1/parked/causes lists them"), text("code", "of one code"), text("older_than", "queued at least so long ago: 90s, 15m, 2h30m, 3d").form(agePattern)}

// selection reads a selection from a query.
func (s *Server) selection(w http.ResponseWriter, r *http.Request) (state.QueueFilter, bool) {
	var sel Selection
	for _, f := range sel.fields() {
		*f.at = of(r).text(f.name)
	}
	return s.resolve(w, r, sel)
}

func (s *Server) resolve(w http.ResponseWriter, r *http.Request, sel Selection) (state.QueueFilter, bool) {
	if err := sel.check(); err != nil {
		problem(w, http.StatusBadRequest, err.Error())
		return state.QueueFilter{}, false
	}
	f, err := s.hub.Select(r.Context(), sel)
	if err != nil {
		s.failed(w, r, err)
		return f, false
	}
	return f, true
}
