package api

import (
	"net/http"
	"slices"
	"strings"
)

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
