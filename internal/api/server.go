package api

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/access"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/state"
)

//go:embed openapi.json
var openAPI []byte

// maxEdit bounds an edited document.
const maxEdit = 10 << 20

// Token is a bearer token and the name it acts under.
type Token = access.Token

// Config is what the server needs beside the hub.
type Config struct {
	// Access says who may ask.
	Access  access.Rules
	Metrics http.Handler
	// Pages makes the console, which asks the server for what it shows.
	Pages func(*Server) Pages
	Clock lifecycle.Clock
	Log   *slog.Logger
	// Refused, where it is not nil, is told why of every request that may not ask.
	Refused func(why string)
}

// Server answers the API.
type Server struct {
	hub Hub
	cfg Config
	mux *http.ServeMux
	// routed is everything that the mux has.
	routed []route
	guard  *access.Guard
	// allowed are the methods by path.
	allowed map[string][]string
	books   chan struct{} // holds one for each workbook that is made
	pages   Pages
	glance  glance
	streams streams
	life    context.Context // ends when streams are to end
	end     context.CancelFunc
}

// New makes the handler for everything under /.
func New(hub Hub, cfg Config) *Server {
	s := &Server{hub: hub, cfg: cfg, mux: http.NewServeMux(), books: make(chan struct{}, mostBooks)}
	s.life, s.end = context.WithCancel(context.Background())
	s.glance.init()
	s.pages = cfg.Pages(s)
	s.guard = access.NewGuard(access.Config{Clock: cfg.Clock, Log: cfg.Log, Refused: cfg.Refused}, cfg.Access)
	for _, r := range s.routes() {
		s.add(r)
	}
	s.allowed = allowed(s.routed)
	s.closeMethods()
	return s
}

// SetAccess puts other rules of who may ask in place.
func (s *Server) SetAccess(r access.Rules) { s.guard.Set(r) }

func (s *Server) routes() []route {
	all := operations()
	does := func(p string) *operation {
		if o, ok := all[p]; ok {
			return &o
		}
		return nil
	}
	open := func(p string, h http.HandlerFunc) route {
		return route{pattern: p, open: true, does: does(p), handler: h}
	}
	of := func(role access.Role, scope access.Scope) access.Need { return access.Need{Role: role, Scope: scope} }
	read := func(need access.Need, p string, h http.HandlerFunc, more ...also) route {
		r := route{pattern: p, need: need, also: more, does: does(p)}
		next := http.Handler(h)
		if r.does != nil && strings.HasPrefix(p, "GET /api/") {
			next = r.does.reading(h)
		}
		r.handler = s.authenticated(&r, next)
		return r
	}
	changes := func(need access.Need, p string, h actor) route {
		r := route{pattern: p, need: need, does: does(p)}
		r.handler = s.authenticated(&r, s.writing(h))
		return r
	}
	// What follows a key is masked for those who may not see personal data.
	keyed := func(need access.Need, p string, about func(*http.Request) string, h http.HandlerFunc, more ...also) route {
		return read(need, p, s.veiled(about, h), more...)
	}
	write := func(need access.Need, p string, h actor) route {
		r := changes(need, p, s.writesOf(s.once(h)))
		r.acts = true
		return r
	}
	status, messages, comparisons := of(access.Viewer, access.Status), of(access.Viewer, access.Messages), of(access.Viewer, access.Comparisons)
	repair, compare := of(access.Operator, access.Messages), of(access.Operator, access.Comparisons)
	turn := of(access.Operator, access.Flows)
	files, lost := of(access.Engineer, access.Hub), of(access.Admin, access.Hub)
	return append(s.pageRoutes(does), []route{
		open("GET /healthz", s.health), open("GET /readyz", s.ready),
		read(of(access.Viewer, access.Metrics), "GET /metrics", s.cfg.Metrics.ServeHTTP),
		read(of(access.Viewer, ""), "GET /openapi.json", s.openapi),
		read(status, "GET /api/v1/status", s.status),
		read(status, "GET /api/v1/events", s.events),
		read(status, "GET /api/v1/deliveries", s.deliveries),
		read(status, "GET /api/v1/flows", s.flows),
		read(status, "GET /api/v1/flows/{name}", s.definition),
		keyed(messages, "GET /api/v1/flows/{name}/journal", nil, s.fates),
		read(status, "GET /api/v1/flows/{name}/files", s.failedFiles),
		write(turn, "POST /api/v1/flows/{name}/files/retake", s.retake),
		read(status, "GET /api/v1/systems", s.systems),
		read(comparisons, "GET /api/v1/reconciliations", s.reconciliations),
		write(compare, "POST /api/v1/reconciliations/{name}/run", s.want(state.RunReconciliation)),
		keyed(comparisons, "GET /api/v1/reconciliations/{name}/runs", s.named(state.RunReconciliation), s.runs(state.RunReconciliation)),
		read(comparisons, "GET /api/v1/rules", s.rules),
		write(compare, "POST /api/v1/rules/{name}/run", s.want(state.RunRule)),
		keyed(comparisons, "GET /api/v1/rules/{name}/runs", s.named(state.RunRule), s.runs(state.RunRule)),
		write(of(access.Engineer, access.Comparisons), "POST /api/v1/rules/{name}/forget", s.forget),
		keyed(comparisons, "GET /api/v1/runs/{id}", s.named(""), s.run),
		keyed(comparisons, "GET /api/v1/runs/{id}/differences", s.named(""), s.differences),
		read(comparisons, "GET /api/v1/runs/{id}/report", s.report),
		write(compare, "POST /api/v1/runs/{id}/cancel", s.cancelRun),
		write(compare, "POST /api/v1/runs/{id}/repair", s.repairRun),
		keyed(messages, "GET /api/v1/messages", nil, s.messages),
		keyed(messages, "GET /api/v1/find", nil, s.find),
		keyed(messages, "GET /api/v1/xref", nil, s.xref),
		keyed(messages, "GET /api/v1/parked", nil, s.parked),
		keyed(messages, "GET /api/v1/parked/causes", nil, s.causes),
		keyed(messages, "GET /api/v1/parked/codes", nil, s.codes),
		write(files, "POST /api/v1/parked/codes", s.addCode),
		keyed(messages, "GET /api/v1/parked/{id}", nil, s.parkedOne, also{"clear", "true", repair}),
		read(of(access.Viewer, access.Audit), "GET /api/v1/audit", s.audit),
		keyed(of(access.Viewer, access.Audit), "GET /api/v1/audit/{id}", nil, s.auditOne),
		read(messages, "GET /api/v1/replays", s.replays),
		write(repair, "POST /api/v1/replays/{id}/stop", s.stopReplay),
		write(repair, "POST /api/v1/parked/replay", s.bulk(state.MarkReplay)),
		write(repair, "POST /api/v1/parked/discard", s.bulk(state.MarkDiscard)),
		write(repair, "POST /api/v1/parked/{id}/replay", s.mark(state.MarkReplay)),
		write(repair, "POST /api/v1/parked/{id}/discard", s.mark(state.MarkDiscard)),
		write(repair, "PUT /api/v1/parked/{id}", s.edit),
		changes(messages, "POST /api/v1/parked/{id}/preview", func(w http.ResponseWriter, r *http.Request, _ string) { s.veiled(nil, s.preview)(w, r) }), // it changes nothing
		write(turn, "POST /api/v1/flows/{name}/pause", s.pause),
		write(turn, "POST /api/v1/flows/{name}/resume", s.resume),
		write(readsAgain, "POST /api/v1/flows/{name}/rewind", s.rewind),
		write(readsAgain, "POST /api/v1/flows/{name}/sweep", s.sweep),
		write(readsAgain, "POST /api/v1/flows/{name}/backfill", s.wantBackfill),
		write(repair, "POST /api/v1/resend", s.resend),
		read(status, "GET /api/v1/backfills", s.backfills),
		read(status, "GET /api/v1/backfills/{id}", s.backfill),
		write(readsAgain, "POST /api/v1/backfills/{id}/cancel", s.cancelBackfill),
		read(files, "GET /api/v1/recover", s.recovery),
		write(lost, "POST /api/v1/recover", s.recover),
		read(status, "GET /api/v1/alerts", s.alerts),
		write(of(access.Operator, access.Hub), "POST /api/v1/alerts/{receiver}/test", s.testAlert),
		read(status, "GET /api/v1/backups", s.backups),
		write(lost, "POST /api/v1/backups", s.backup),
		read(status, "GET /api/v1/restored", s.restored),
		write(lost, "POST /api/v1/restored", s.sayRestored),
		write(files, "POST /api/v1/reload", s.reload),
		write(files, "POST /api/v1/links", s.links),
	}...)
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	access.Headers(w.Header(), shown(r.URL.Path))
	w.Header().Set(HubHeader, "1")
	if _, pattern := s.mux.Handler(r); pattern == "" {
		s.unknown(w, r)
		return
	}
	s.mux.ServeHTTP(w, r)
}

// authenticated lets a request through that may ask.
func (s *Server) authenticated(of *route, next http.Handler) http.Handler {
	needs := of.needs
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		in, no := s.admit(r, needs(r))
		if no != nil {
			refuse(w, no)
			return
		}
		next.ServeHTTP(w, in)
	})
}

// admit gives a request with who it is from, if that one may ask for what needs this.
func (s *Server) admit(r *http.Request, need access.Need) (*http.Request, *access.Refusal) {
	if !inside(r) { // the page's visitor was let in
		v, no := s.guard.Enter(r)
		if no != nil {
			return nil, no
		}
		r = r.WithContext(s.visitor(r, v))
	}
	v := access.Of(r.Context())
	return r, s.guard.Allow(&v, need)
}

// refuse answers a request that may not ask.
func refuse(w http.ResponseWriter, no *access.Refusal) {
	if no.Challenge {
		// The second is for browsers: they ask for a password, which is the token.
		w.Header()["Www-Authenticate"] = []string{`Bearer realm="waybill"`, `Basic realm="waybill: any user, a token as password", charset="UTF-8"`}
	}
	if no.Retry > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(no.Retry.Seconds())))
	}
	if no.Close {
		w.Header().Set("Connection", "close")
	}
	problem(w, no.Status, no.Detail)
}

type actor func(w http.ResponseWriter, r *http.Request, who string)

// writing lets a request through that may change something.
func (s *Server) writing(next actor) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if no := s.guard.Write(r); no != nil {
			refuse(w, no)
			return
		}
		next(w, r, access.NameOf(r.Context()))
	}
}

func (s *Server) health(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, Health{"ok"})
}

func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	if err := s.hub.Ready(r.Context()); err != nil {
		problem(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	answer(w, http.StatusOK, Health{"ready"})
}

// openapi describes the API as this hub answers: without tokens it asks for none.
func (s *Server) openapi(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	doc := openAPI
	if s.guard.Open() {
		doc = bytes.Replace(doc, []byte(` "security": [`), []byte(` "security": [
  {},`), 1)
	}
	_, _ = w.Write(doc) // the reader has gone: nothing to tell it
}

// newStatus is the status of now, with what the server alone knows.
func (s *Server) newStatus(ctx context.Context) (*Status, error) {
	st, err := s.hub.Status(ctx)
	if err != nil {
		return nil, err
	}
	wrong := s.guard.Wrong()
	st.Access.WrongTokens, st.Access.LastWrongFrom = wrong.Count, wrong.From
	if wrong.Count > 0 {
		st.Access.LastWrong = &wrong.Last
	}
	return st, nil
}

// withStatus answers a part of the status.
func (s *Server) withStatus(w http.ResponseWriter, r *http.Request, part func(*Status) any) {
	st, err := s.newStatus(r.Context())
	if err != nil {
		s.failed(w, r, err)
		return
	}
	answer(w, http.StatusOK, part(st))
}

func (s *Server) status(w http.ResponseWriter, r *http.Request) {
	s.withStatus(w, r, func(st *Status) any { return st })
}

// Flows are all, as the status has them.
type Flows struct {
	Flows []Flow `json:"flows"`
}

func (s *Server) flows(w http.ResponseWriter, r *http.Request) {
	s.withStatus(w, r, func(st *Status) any { return Flows{st.Flows} })
}

// Systems are all, as the status has them.
type Systems struct {
	Systems []System `json:"systems"`
}

func (s *Server) systems(w http.ResponseWriter, r *http.Request) {
	s.withStatus(w, r, func(st *Status) any { return Systems{st.Systems} })
}

func (s *Server) messages(w http.ResponseWriter, r *http.Request) {
	t, ok := s.trace(w, r)
	if !ok {
		return
	}
	if n := min(int(of(r).number("documents")), len(t.Journal)); n > 0 {
		if err := s.hub.Documents(r.Context(), t.Journal[:n]); err != nil {
			s.failed(w, r, err)
			return
		}
		boundDocuments(t.Journal)
	}
	if err := s.hub.Relate(r.Context(), &t); err != nil {
		s.failed(w, r, err)
		return
	}
	answer(w, http.StatusOK, traceView(&t))
}

// mostDocuments is how many bytes of documents one answer holds: the newest.
const mostDocuments = 16 << 20

func boundDocuments(rows []state.Journal) {
	size := 0
	for i := range rows {
		if d := rows[i].Documents; d != nil {
			if size += len(d.Source) + len(d.Mapped) + len(d.Sent) + len(d.Answer); size > mostDocuments {
				rows[i].Documents = nil
			}
		}
	}
}

// Xref are the ids of the objects that a key names.
type Xref struct {
	Key     string   `json:"key"`
	Objects []Object `json:"objects"`
}

func (s *Server) xref(w http.ResponseWriter, r *http.Request) {
	t, ok := s.trace(w, r)
	if !ok {
		return
	}
	if key := of(r).text("key"); !strings.EqualFold(t.Key, key) { // its beginning is not enough: scripts act on what they get
		t = state.Trace{Key: key}
	}
	answer(w, http.StatusOK, Xref{t.Key, traceView(&t).Objects})
}

func (s *Server) trace(w http.ResponseWriter, r *http.Request) (state.Trace, bool) {
	key := of(r).text("key")
	t, err := s.hub.Trace(r.Context(), key)
	if err != nil {
		s.failed(w, r, err)
		return state.Trace{}, false
	}
	s.guessedTrace(access.Of(r.Context()), key, &t)
	return t, true
}

// Turned is a flow that was held, or goes on.
type Turned struct {
	Flow  string `json:"flow"`
	State string `json:"state" enum:"paused,running"`
}

func (s *Server) pause(w http.ResponseWriter, r *http.Request, who string) {
	s.turn(w, r, "paused", who, s.hub.Pause)
}

func (s *Server) resume(w http.ResponseWriter, r *http.Request, who string) {
	s.turn(w, r, "running", who, s.hub.Resume)
}

func (s *Server) turn(w http.ResponseWriter, r *http.Request, now, who string, turn func(ctx context.Context, flow, who string) error) {
	if !body(w, r, &Nothing{}, 4<<10) {
		return
	}
	if err := turn(r.Context(), r.PathValue("name"), who); err != nil {
		s.failed(w, r, err)
		return
	}
	answer(w, http.StatusOK, Turned{r.PathValue("name"), now})
}

func pathID(w http.ResponseWriter, r *http.Request) (int64, bool) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil || id < 0 || strings.HasPrefix(r.PathValue("id"), "+") {
		problem(w, http.StatusBadRequest, "the id must be a number")
		return 0, false
	}
	return id, true
}

// failed answers an error of the hub.
func (s *Server) failed(w http.ResponseWriter, r *http.Request, err error) {
	var invalid *Invalid
	var underWay *UnderWay
	switch {
	case errors.As(err, &underWay):
		problemOf(w, Problem{Status: http.StatusConflict, Detail: err.Error(), Run: RunView(&underWay.Run)})
	case errors.Is(err, state.ErrNotFound):
		problem(w, http.StatusNotFound, err.Error())
	case errors.Is(err, state.ErrCursor):
		problem(w, http.StatusUnprocessableEntity, err.Error()+": give the next of an answer as after, or leave it out")
	case errors.Is(err, state.ErrChanged):
		problem(w, http.StatusPreconditionFailed, err.Error())
	case errors.Is(err, state.ErrBusy), errors.Is(err, ErrBroken), errors.Is(err, ErrOtherWish):
		problem(w, http.StatusConflict, err.Error())
	case errors.As(err, &invalid):
		problemOf(w, Problem{Status: http.StatusUnprocessableEntity, Detail: invalid.Detail, Places: invalid.Places})
	default:
		if f, ok := fault.As(err); ok && f.Kind == fault.UnknownOutcome { // the store may have it
			if k, ok := w.(*keeper); ok {
				k.doubt = true
			}
		}
		if r.Context().Err() == nil {
			s.cfg.Log.Warn("a request failed", "path", r.URL.Path, "error", err)
		}
		problem(w, http.StatusServiceUnavailable, err.Error())
	}
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	_ = e.Encode(v) // the reader has gone: nothing to tell it
}

func problem(w http.ResponseWriter, status int, detail string) {
	problemOf(w, Problem{Status: status, Detail: detail})
}

func problemOf(w http.ResponseWriter, p Problem) {
	w.Header().Set("Content-Type", "application/problem+json")
	if p.Status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "5")
	}
	p.Type, p.Title = "about:blank", http.StatusText(p.Status)
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // the reader has gone: nothing to tell it
}

// HTTPServer wraps a handler with the time-outs that a listener facing people needs.
func HTTPServer(h http.Handler) *http.Server {
	return &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: 60 * time.Second,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10}
}
