package api

import (
	"net/http"
	"slices"
	"strings"

	"github.com/waybill-hub/waybill/internal/access"
)

// route is a path with a method, and who may ask it. One without a need would be nobody's: the server does not start with it.
type route struct {
	pattern string
	need    access.Need
	// open: it is answered to everybody; load balancers, and the page that asks who somebody is.
	open bool
	// also are parameters that need more.
	also []also
	// does is what the description says of it; nothing for pages.
	does *operation
	// acts: it changes something, once for each Idempotency-Key.
	acts    bool
	handler http.Handler
}

// also is a parameter, name=value, that needs more than its route.
type also struct {
	name, value string
	need        access.Need
}

// needs is who may ask a request: of the route, or of what it asks for there.
func (r *route) needs(req *http.Request) access.Need {
	for _, a := range r.also {
		if req.URL.Query().Get(a.name) == a.value {
			return a.need
		}
	}
	return r.need
}

// add routes what may be asked, and by whom.
func (s *Server) add(r route) {
	if (r.need.Role == access.Nobody) != r.open {
		panic("the route " + r.pattern + " does not say who may ask it")
	}
	if r.does == nil && !strings.Contains(r.pattern, " /console/") {
		panic("nothing is said of the route " + r.pattern + " in operations")
	}
	s.mux.Handle(r.pattern, r.handler)
	s.routed = append(s.routed, r)
}

// answers are those that the operation names, and those that every route of its kind has.
func (r *route) answers() answers {
	all := answers{}
	if !r.open {
		all[http.StatusUnauthorized] = no("no or wrong token")
		all[http.StatusForbidden] = no("not from here (another site, or, without tokens, a proxy or a name that is not this machine's), or the role or the scope is not enough")
		all[http.StatusServiceUnavailable] = no("the hub cannot answer now")
	}
	if strings.HasPrefix(r.pattern, "GET /api/") {
		all[http.StatusBadRequest] = wrongParameter
	}
	if r.does.body != nil {
		all[http.StatusBadRequest], all[http.StatusRequestEntityTooLarge], all[http.StatusUnsupportedMediaType] = notUnderstood, no("the body is too large"), no("the body is not JSON")
	}
	if r.acts {
		all[http.StatusConflict] = no("a request under the same " + KeyHeader + " has not ended")
		all[http.StatusUnprocessableEntity] = no("another request was made under the same " + KeyHeader)
	}
	for code, a := range r.does.answers {
		if base, ok := all[code]; ok && r.acts && (code == http.StatusConflict || code == http.StatusUnprocessableEntity) {
			a.says += "; or " + base.says
		}
		all[code] = a
	}
	return all
}

// Route is what may be asked, and by whom; With is a parameter, name=value, that needs more. Open: everybody may.
type Route struct {
	Pattern, With string
	Need          access.Need
	Open          bool
}

// Routes are all that the server answers.
func (s *Server) Routes() (out []Route) {
	for _, r := range s.routed {
		out = append(out, Route{Pattern: r.pattern, Need: r.need, Open: r.open})
		for _, a := range r.also {
			out = append(out, Route{Pattern: r.pattern, With: a.name + "=" + a.value, Need: a.need})
		}
	}
	return out
}

// methods are those that any route has.
var methods = []string{http.MethodGet, http.MethodPost, http.MethodPut}

// allowed are the methods of every path that is routed.
func allowed(routes []route) map[string][]string {
	out := map[string][]string{}
	for _, r := range routes {
		method, path, _ := strings.Cut(r.pattern, " ")
		out[path] = append(out[path], method)
	}
	for path, ms := range out {
		if slices.Contains(ms, http.MethodGet) {
			ms = append(ms, http.MethodHead)
		}
		slices.Sort(ms)
		out[path] = ms
	}
	return out
}

// unknown answers a path or method that is not there.
func (s *Server) unknown(w http.ResponseWriter, r *http.Request) {
	if !plainText(r.URL.Path) {
		problem(w, http.StatusNotFound, "nothing is at this path; /openapi.json lists what is")
		return
	}
	for _, m := range methods {
		probe := &http.Request{Method: m, URL: r.URL, Host: r.Host}
		_, pattern := s.mux.Handler(probe)
		_, path, _ := strings.Cut(pattern, " ")
		ms, there := s.allowed[path]
		if !there {
			continue
		}
		w.Header().Set("Allow", strings.Join(ms, ", "))
		said := slices.DeleteFunc(slices.Clone(ms), func(m string) bool { return m == http.MethodHead })
		problem(w, http.StatusMethodNotAllowed, "use "+strings.Join(said, " or ")+" for "+r.URL.Path)
		return
	}
	problem(w, http.StatusNotFound, "nothing is at "+r.URL.Path+"; /openapi.json lists what is")
}

// closeMethods has a path that is written out refuse the methods that it has not: /api/v1/parked/causes is not the message "causes".
func (s *Server) closeMethods() {
	for path, ms := range s.allowed {
		if strings.Contains(path, "{") {
			continue
		}
		for _, m := range methods {
			if !slices.Contains(ms, m) {
				s.mux.HandleFunc(m+" "+path, s.unknown)
			}
		}
	}
}
