// Package console is what people see of the hub in a browser: pages that the hub renders itself, in English and Chinese. They ask the API for everything
// they show and change, as any client does, and an event stream tells them when to look again. Everything that is chosen stands in a page's address.
package console

import (
	"crypto/rand"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/waybill-hub/waybill/internal/access"
	"github.com/waybill-hub/waybill/internal/api"
	"github.com/waybill-hub/waybill/internal/lifecycle"
)

//go:embed pages parts
var files embed.FS

// mostForm is how many bytes the form of a page holds: a document that is edited, as forms write it.
const mostForm = 32 << 20

// Hub is what the pages ask: the API itself, from inside.
type Hub interface {
	Ask(r *http.Request, method, path string, header http.Header, body []byte) *api.Answer
	// Glance is the status as the event stream has it, for all who look at the same time. It is not to be changed.
	Glance(r *http.Request) (*api.Status, error)
	// News grows each time that the hub has looked how it does, and each time that a person has changed something.
	News() int64
	SignIn(r *http.Request, token string) (*http.Cookie, *access.Refusal)
	SignOut(r *http.Request) *http.Cookie
	SignInUser(r *http.Request, name, password string) (*http.Cookie, *access.Refusal)
	// Leave sends a browser to the provider that signs people in, and Return begins the session of whom that sends back.
	Leave(r *http.Request, to string) (string, *http.Cookie, *access.Refusal)
	Return(r *http.Request) (cookies []*http.Cookie, to string, no *access.Refusal)
	// Ways are those by which a browser signs in; a hub that is open has none.
	Ways() access.Ways
}

// Console answers browsers.
type Console struct {
	hub    Hub
	clock  lifecycle.Clock
	mux    *http.ServeMux
	open   *http.ServeMux
	pages  map[string]*template.Template
	failed sync.Map // by flow: *shared[failedFiles]
	lately lately
	alike  alike
	needs  map[string]access.Need // by pattern
	// seal stands in pages where the visitor's own is to be; nobody is ever sent it.
	seal string
}

// New makes the console of a hub.
func New(hub Hub, clock lifecycle.Clock) *Console {
	c := &Console{hub: hub, clock: clock, mux: http.NewServeMux(), open: http.NewServeMux(), pages: parsePages(), needs: map[string]access.Need{}, seal: rand.Text()}
	for _, r := range c.routes() {
		switch {
		case r.need == access.Need{}:
			c.open.HandleFunc(r.pattern, c.showing(r.show))
			continue
		case strings.HasPrefix(r.pattern, http.MethodPost):
			c.mux.HandleFunc(r.pattern, c.showing(acting(r.show)))
		case r.alike:
			c.mux.HandleFunc(r.pattern, c.showingAlike(r.show))
		default:
			c.mux.HandleFunc(r.pattern, c.showing(r.show))
		}
		c.needs[r.pattern] = r.need
	}
	c.mux.HandleFunc(viewerPattern, c.viewing)
	c.mux.HandleFunc(viewerFilePattern, c.viewerFile)
	c.mux.HandleFunc("/", c.showing(func(p *page) error { return notFound }))
	parts, err := fs.Sub(files, "parts")
	if err != nil {
		panic(err) // the embedded directory has that name
	}
	served := http.StripPrefix("/console/parts/", http.FileServerFS(parts))
	c.open.HandleFunc(partsPattern, func(w http.ResponseWriter, r *http.Request) {
		if _, err := fs.Stat(parts, r.PathValue("file")); err != nil {
			http.Error(w, "the console has no such part", http.StatusNotFound) // the file server's own answer takes headers away
			return
		}
		served.ServeHTTP(w, r)
	})
	return c
}

// ServeHTTP answers a visitor that was let in.
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) { c.mux.ServeHTTP(w, r) }

// Open serves what needs no token.
func (c *Console) Open(w http.ResponseWriter, r *http.Request) { c.open.ServeHTTP(w, r) }

// parsePages reads the templates: each page stands within the layout.
func parsePages() map[string]*template.Template {
	names, err := fs.Glob(files, "pages/*.html")
	if err != nil {
		panic(err)
	}
	out := map[string]*template.Template{}
	for _, name := range names {
		if base := strings.TrimSuffix(strings.TrimPrefix(name, "pages/"), ".html"); base != "layout" {
			out[base] = template.Must(template.New("layout.html").Funcs(functions).ParseFS(files, "pages/layout.html", name))
		}
	}
	return out
}

// problem is an answer of the API that says no, or one of the console's own.
type problem struct{ api.Problem }

func (p *problem) Error() string { return p.Detail }

var notFound = &problem{api.Problem{Status: http.StatusNotFound}}

// redirect is the answer of a page that leads to another one.
type redirect struct{ to string }

func (r *redirect) Error() string { return "see " + r.to }

// showing answers with what a page makes, or with what is wrong.
func (c *Console) showing(show func(*page) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		p := c.page(w, r)
		p.made(show).answer(p)
	}
}

// made has the page made, or one that says what is wrong.
func (p *page) made(show func(*page) error) *made {
	err := show(p)
	var to *redirect
	var no *problem
	switch {
	case err == nil:
	case errors.As(err, &to):
		return &made{to: to.to}
	case errors.As(err, &no):
		p.fail(&no.Problem)
	default:
		p.fail(&api.Problem{Status: http.StatusInternalServerError, Detail: err.Error()})
	}
	return p.make()
}

// acting lets a write through that comes from one of the hub's own pages.
func acting(act func(*page) error) func(*page) error {
	return func(p *page) error {
		p.r.Body = http.MaxBytesReader(p.w, p.r.Body, mostForm)
		if err := p.r.ParseForm(); err != nil {
			return &problem{api.Problem{Status: http.StatusBadRequest, Detail: p.T("form.unreadable") + " " + err.Error()}}
		}
		if !p.visitor.Own(p.r.PostForm.Get("csrf")) {
			return &problem{api.Problem{Status: http.StatusForbidden, Detail: p.T("form.foreign")}}
		}
		return act(p)
	}
}

// page is one answer on its way.
type page struct {
	c       *Console
	w       http.ResponseWriter
	r       *http.Request
	visitor access.Visitor
	status  int
	name    string // of its template
	still   bool   // it is not looked at again while it is open
	news    int64  // of the hub, from which it is made; 0: it has not looked yet
	// What templates see.
	Lang  string
	Title string
	Now   time.Time
	// Here is the page's own address, and Said what it says of an act that led to it.
	Here string
	Said string
	Body any
	// Inner is what was made of the body, for the page around it.
	Inner template.HTML
}

func (c *Console) page(w http.ResponseWriter, r *http.Request) *page {
	p := &page{c: c, w: w, r: r, visitor: api.Visitor(r), status: http.StatusOK, Now: c.clock.Now(), Here: r.URL.RequestURI(), Lang: language(r)}
	if want := r.URL.Query().Get("lang"); want != "" && want == p.Lang {
		http.SetCookie(w, &http.Cookie{Name: langCookie, Value: want, Path: "/", MaxAge: 365 * 24 * 3600, HttpOnly: true, SameSite: http.SameSiteStrictMode})
	}
	if said := r.URL.Query().Get("said"); said != "" && texts["said."+said] != nil {
		p.Said = p.T("said." + said)
	}
	return p
}

// show chooses the page's template.
func (p *page) show(name, title string, body any) error {
	p.name, p.Title, p.Body = name, title, body
	return nil
}

// fail turns the page into one that says what is wrong.
func (p *page) fail(no *api.Problem) {
	p.status = no.Status
	title := p.T("error.other")
	if texts[fmt.Sprintf("error.%d", no.Status)] != nil {
		title = p.T(fmt.Sprintf("error.%d", no.Status))
	}
	_ = p.show("error", title, no)
}

// glance is the status. Whoever may see the page may see it, or the page asks before.
func (p *page) glance() (*api.Status, error) {
	st, err := p.c.hub.Glance(p.r)
	if err != nil {
		return nil, &problem{api.Problem{Status: http.StatusServiceUnavailable, Detail: err.Error()}}
	}
	return st, nil
}

// get asks the API and reads what it answers.
func (p *page) get(path string, query url.Values, into any) error {
	if q := query.Encode(); q != "" {
		path += "?" + q
	}
	return p.ask(http.MethodGet, path, nil, nil, into)
}

// ask has the API do something, and reads what it answers. An answer that says no is a *problem.
func (p *page) ask(method, path string, header http.Header, body, into any) error {
	var sent []byte
	if body != nil {
		var err error
		if sent, err = json.Marshal(body); err != nil {
			return err
		}
	}
	a := p.c.hub.Ask(p.r, method, path, header, sent)
	if a.Status >= http.StatusBadRequest {
		no := &problem{}
		if err := json.Unmarshal(a.Body, &no.Problem); err != nil || no.Status == 0 {
			no.Status, no.Detail = a.Status, string(a.Body)
		}
		return no
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(a.Body, into)
}

// CSRF is what the page's forms send with a write: what stands for it until the page is sent.
func (p *page) CSRF() string { return p.c.seal }

// Who is whom the page is for; SignedIn: by a session, which can be ended.
func (p *page) Who() string    { return p.visitor.Name }
func (p *page) SignedIn() bool { return p.visitor.Session }

// Role is what whoever has signed in may do, in a word.
func (p *page) Role() string { return p.T("role." + p.visitor.Role.String()) }

// Finds and Measures report whether the page's visitor may search, and see the metrics.
func (p *page) Finds() bool { return p.Known() && p.May("GET /console/find") }
func (p *page) Measures() bool {
	return p.visitor.May(access.Need{Role: access.Viewer, Scope: access.Metrics})
}

// Live reports whether the page is one that is looked at again while it is open.
func (p *page) Live() bool { return p.Known() && p.r.Method == http.MethodGet && !p.still }

// Known reports whether the page is for somebody who was let in.
func (p *page) Known() bool { return p.visitor.CSRF != "" || p.visitor.Name != "" }

// At is the path of a page of the console, with what is chosen there: pairs of names and values, of which empty ones are left out.
func At(path string, pairs ...any) string {
	q := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if v := fmt.Sprint(pairs[i+1]); v != "" && v != "0" {
			q.Set(fmt.Sprint(pairs[i]), v)
		}
	}
	if e := q.Encode(); e != "" {
		return path + "?" + e
	}
	return path
}
