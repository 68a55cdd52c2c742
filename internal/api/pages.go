package api

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/access"
	"github.com/waybill-hub/waybill/internal/state"
)

// Pages are the console: what people see of the hub in a browser. They ask the API for everything they show, through Server.Ask.
type Pages interface {
	// ServeHTTP answers a visitor that was let in.
	http.Handler
	// Stranger answers a browser that gives no token with the page that asks for one; it writes the status that no says.
	Stranger(w http.ResponseWriter, r *http.Request, no *access.Refusal)
	// Forbidden answers one that was let in, and may not see what it asks for.
	Forbidden(w http.ResponseWriter, r *http.Request, no *access.Refusal)
	// Open serves what needs no token: styles, scripts, and what the form of that page is sent to.
	Open(w http.ResponseWriter, r *http.Request)
	// Routes are its paths.
	Routes() []PageRoute
}

// PageRoute is a path of the console, and who may see it, or do what a form there does. One without a need is open.
type PageRoute struct {
	Pattern string
	Need    access.Need
	// Edits is who may see it as a form with personal data, which the address asks for by edit=true.
	Edits access.Need
}

// pageRoutes are the console's.
func (s *Server) pageRoutes(does func(pattern string) *operation) (out []route) {
	for _, p := range s.pages.Routes() {
		r := route{pattern: p.Pattern, need: p.Need, open: p.Need == access.Need{}, does: does(p.Pattern)}
		if p.Edits != (access.Need{}) {
			r.also = []also{{"edit", "true", p.Edits}}
		}
		if r.handler = http.HandlerFunc(s.pages.Open); !r.open {
			r.handler = s.authenticatedPage(&r)
		}
		out = append(out, r)
	}
	return out
}

// authenticatedPage lets a browser in as the API does, but asks for a token with a page, where it gives none.
func (s *Server) authenticatedPage(of *route) http.Handler {
	needs := of.needs
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v, no := s.guard.Enter(r)
		switch {
		case no != nil && no.Challenge && r.Header.Get("Authorization") == "":
			s.pages.Stranger(w, r, no)
			return
		case no != nil:
			refuse(w, no)
			return
		}
		if r.Method == http.MethodPost {
			if no := s.guard.Foreign(r); no != nil {
				refuse(w, no)
				return
			}
		}
		in := r.WithContext(s.visitor(r, v))
		if no := s.guard.Allow(&v, needs(r)); no != nil {
			s.pages.Forbidden(w, in, no)
			return
		}
		s.pages.ServeHTTP(w, in)
	})
}

// visitor gives a request's context who it is from.
func (s *Server) visitor(r *http.Request, v access.Visitor) context.Context {
	if v.Name == "" {
		v.Name = localName(r.Header.Get(UserHeader))
	}
	return access.With(r.Context(), v)
}

// SignIn begins a browser's session for whoever gives a token.
func (s *Server) SignIn(r *http.Request, token string) (*http.Cookie, *access.Refusal) {
	c, v, no := s.guard.SignIn(r, token)
	return s.signedIn(r, c, v, "by token", no)
}

// SignInUser begins a browser's session for whoever gives a user's name and password.
func (s *Server) SignInUser(r *http.Request, name, password string) (*http.Cookie, *access.Refusal) {
	c, v, no := s.guard.SignInUser(r, name, password)
	return s.signedIn(r, c, v, "by password", no)
}

// Leave sends a browser to the provider that signs people in; it is to see the page to afterwards.
func (s *Server) Leave(r *http.Request, to string) (string, *http.Cookie, *access.Refusal) {
	return s.guard.Leave(r, to)
}

// Return begins a browser's session for whom the provider has sent back.
func (s *Server) Return(r *http.Request) (cookies []*http.Cookie, to string, no *access.Refusal) {
	cookies, v, to, no := s.guard.Return(r)
	_, no = s.signedIn(r, nil, v, "by the provider", no)
	return cookies, to, no
}

// signedIn notes in the audit that somebody has signed in. A store that takes nothing keeps nobody out: whoever is to mend it comes this way.
func (s *Server) signedIn(r *http.Request, c *http.Cookie, v access.Visitor, how string, no *access.Refusal) (*http.Cookie, *access.Refusal) {
	if no != nil {
		return nil, no
	}
	ctx, cancel := context.WithTimeout(r.Context(), noteFor)
	defer cancel()
	if err := s.hub.Note(ctx, state.Audit{Who: v.Name, Action: "sign-in", Object: "console", Detail: how + ", as " + v.Role.String()}); err != nil {
		s.cfg.Log.Warn("a sign-in is not in the audit", "who", v.Name, "error", err)
	}
	return c, nil
}

// noteFor is how long a sign-in waits for the audit.
const noteFor = 3 * time.Second

// SignOut ends a browser's session.
func (s *Server) SignOut(r *http.Request) *http.Cookie { return s.guard.SignOut(r) }

// Ways are those by which a browser signs in; a hub that is open has none.
func (s *Server) Ways() access.Ways { return s.guard.Ways() }

// Answer is what the API has answered to its own pages.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

type insideKey struct{}

// Ask has the API answer its own pages: as the visitor of r, who was let in and, for a write, has shown that it comes from the hub's own page.
func (s *Server) Ask(r *http.Request, method, path string, header http.Header, body []byte) *Answer {
	ctx := context.WithValue(r.Context(), insideKey{}, true)
	a := &Answer{Status: http.StatusOK, Header: http.Header{}}
	in, err := http.NewRequestWithContext(ctx, method, path, bytes.NewReader(body))
	if err != nil {
		problem(&recorder{a: a}, http.StatusNotFound, "nothing is at "+path)
		return a
	}
	for name, values := range header {
		in.Header[name] = values
	}
	if len(body) > 0 {
		in.Header.Set("Content-Type", "application/json")
	}
	in.Header.Set(access.CSRFHeader, access.Of(ctx).CSRF)
	s.ServeHTTP(&recorder{a: a}, in)
	return a
}

// inside reports whether a request is one of the hub's own pages: no request from outside has that in its context.
func inside(r *http.Request) bool {
	is, _ := r.Context().Value(insideKey{}).(bool)
	return is
}

// recorder writes an answer for Ask.
type recorder struct {
	a       *Answer
	written bool
}

func (w *recorder) Header() http.Header { return w.a.Header }

func (w *recorder) WriteHeader(status int) {
	if !w.written {
		w.a.Status, w.written = status, true
	}
}

func (w *recorder) Write(b []byte) (int, error) {
	w.written = true
	w.a.Body = append(w.a.Body, b...)
	return len(b), nil
}

// ViewerPath is where the console shows the API's description.
const ViewerPath = "/console/api"

// shown is how what is at a path is seen.
func shown(path string) access.Shown {
	switch {
	case path == ViewerPath:
		return access.AsViewer
	case path == "/" || strings.HasPrefix(path, "/console/"):
		return access.AsPage
	}
	return access.AsData
}
