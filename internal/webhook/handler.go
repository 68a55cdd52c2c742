// Package webhook is the front for senders: it verifies what comes in at a flow's path, holds it against what the flow's topic can carry, and
// says that it is accepted once the store has said so. It makes no requests, and knows nothing of what becomes of a row.
package webhook

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"github.com/waybill-hub/waybill/internal/failpoint"
	"github.com/waybill-hub/waybill/internal/xmldoc"
)

// PathPrefix is where webhooks are received.
const PathPrefix = "/hooks/"

const (
	defaultMaxDocuments  = 10_000
	defaultAcceptTimeout = 4 * time.Second // Shopify gives up after 5 s
	storeRetry           = 5 * time.Second
)

// Handler answers POST /hooks/PATH. It never says that something is accepted before the store has said so.
type Handler struct {
	c Config
	// routes are replaced as a whole, never changed.
	routes atomic.Pointer[routes]
	memory budget
	// refusals are counted, by source.
	refusals *refusals
}

// routes are the webhooks by their paths.
type routes map[string]*hook

// hook is one source's webhook, made ready.
type hook struct {
	Source
	scheme *scheme
	reply  replier
	greets []greet
	// methods are allowed besides POST, for handshakes.
	methods []string
	// without are the paths that do not count where two bodies of one delivery are compared.
	without [][]string
	rate    *bucket
	// busy counts the requests under way.
	busy atomic.Int64
	// closed: nothing is taken at the moment; the sender is to come again.
	closed bool
}

// New makes the handler of all sources that have a webhook. A path that is used twice, or a verification that could not
// refuse anybody, is an error.
func New(c Config, sources []Source) (*Handler, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Observer == nil {
		c.Observer = noObserver{}
	}
	if c.Memory <= 0 {
		c.Memory = defaultMemory
	}
	if c.AcceptTimeout <= 0 {
		c.AcceptTimeout = defaultAcceptTimeout
	}
	if c.Carries == nil {
		c.Carries = func(string) int64 { return 0 }
	}
	if c.Wake == nil {
		c.Wake = func(string) {}
	}
	if c.MinRate <= 0 {
		c.MinRate = defaultMinRate
	}
	h := &Handler{c: c, memory: budget{max: c.Memory, minRate: c.MinRate, clock: c.Clock}, refusals: newRefusals(c.Clock)}
	h.routes.Store(&routes{})
	all, err := h.prepare(sources, func(string) bool { return false })
	h.routes.Store(&all)
	return h, err
}

// prepare makes the routes of sources. Webhooks of flows that are the same as before go on as they are, with their rates.
func (h *Handler) prepare(sources []Source, same func(flow string) bool) (routes, error) {
	before := map[string]*hook{}
	for _, k := range *h.routes.Load() {
		before[k.Flow] = k
	}
	out := routes{}
	var errs []error
	for _, s := range sources {
		k := before[s.Flow]
		var err error
		if k == nil || !same(s.Flow) {
			k, err = h.hook(s)
		}
		path := strings.Trim(s.Path, "/")
		if other := out[path]; err == nil && other != nil {
			err = fmt.Errorf("flow %s receives at the path %q already", other.Flow, path)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("flow %s: webhook: %w", s.Flow, err))
			continue
		}
		out[path] = k
	}
	h.memory.shared(len(out))
	return out, errors.Join(errs...)
}

// hook makes a source's webhook ready.
func (h *Handler) hook(s Source) (*hook, error) {
	w := &s.Endpoint
	if w.MaxBody <= 0 {
		w.MaxBody = defaultMaxBody
	}
	if w.MaxDocuments <= 0 {
		w.MaxDocuments = defaultMaxDocuments
	}
	h.memory.fit(w.MaxBody)
	if strings.Trim(w.Path, "/") == "" {
		return nil, errors.New("a path is needed")
	}
	sch, err := newScheme(w.Verify)
	if err != nil {
		return nil, err
	}
	if w.Verify.Scheme == "cloudevents" {
		sch.greets = []greet{allowOrigin(w.Rate)}
	}
	if w.XML != nil {
		sch.media = isXML
	}
	if sch.media == nil {
		sch.media = isJSON
	}
	now := h.c.Clock.Now()
	k := &hook{Source: s, scheme: sch, reply: sch.reply, rate: newBucket(w.Rate, w.Burst, now)}
	k.greets, k.methods = greetsOf(sch, w)
	for _, path := range w.Ignore {
		k.without = append(k.without, strings.Split(path, "."))
	}
	switch {
	case k.reply != nil:
	case w.XML != nil && w.Answer != nil:
		k.reply = fixedXMLReplier{fixedReplier{*w.Answer}, xmlReplier{w.XML.Form == XMLSOAP}}
	case w.XML != nil:
		k.reply = xmlReplier{w.XML.Form == XMLSOAP}
	case w.Answer != nil:
		k.reply = fixedReplier{*w.Answer}
	default:
		k.reply = jsonReplier{}
	}
	return k, nil
}

// enter gives the webhook at a path with the request counted as one of its own; nil: there is none. Routes may be replaced in
// between: then the request is counted where it is answered, or the one who replaces them does not see it and it looks again.
func (h *Handler) enter(path string) *hook {
	for {
		now := h.routes.Load()
		k := (*now)[path]
		if k == nil {
			return nil
		}
		k.busy.Add(1)
		if h.routes.Load() == now {
			return k
		}
		k.busy.Add(-1)
	}
}

// ServeHTTP answers one request.
func (h *Handler) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	began := h.c.Clock.Now()
	w := &statusWriter{ResponseWriter: rw}
	flow := ""
	defer func() { // the last of all: it counts for nothing
		if w.status == http.StatusRequestEntityTooLarge {
			linger(w, r)
		}
	}()
	defer func() {
		if p := recover(); p != nil {
			if p == http.ErrAbortHandler {
				panic(p)
			}
			h.c.Log.Error("a webhook request panicked", "flow", flow, "panic", p, "stack", string(debug.Stack()))
			if w.status == 0 {
				jsonReplier{}.refused(w, &refusal{status: http.StatusInternalServerError, detail: "the hub failed; nothing is known to be accepted"})
			}
		}
		h.c.Observer.Answered(flow, w.status, h.c.Clock.Now().Sub(began))
	}()
	path, ok := strings.CutPrefix(r.URL.Path, PathPrefix)
	var k *hook
	if ok {
		k = h.enter(path)
	}
	if k == nil {
		ref := &refusal{status: http.StatusNotFound, detail: "nothing is received at this path"}
		h.count("", ReasonPath, ref)
		jsonReplier{}.refused(w, ref)
		return
	}
	defer k.busy.Add(-1)
	flow = k.Flow
	if k.closed {
		h.refuse(k, w, &refusal{status: http.StatusServiceUnavailable, detail: "the hub is changing who receives at this path; send it again", retry: storeRetry})
		return
	}
	if r.Method != http.MethodPost {
		if a := k.greeting(r, "", nil); a != nil {
			a.write(w)
			return
		}
		w.Header().Set("Allow", k.allow())
		h.refuse(k, w, &refusal{status: http.StatusMethodNotAllowed, detail: "deliveries are sent with POST"})
		return
	}
	t, err := h.receive(k, w, r)
	if err != nil {
		h.refuse(k, w, err)
		return
	}
	if t.reply != nil {
		t.reply.write(w)
		return
	}
	h.refusals.took(k.Flow)
	k.reply.taken(w, t)
	if failpoint.Enabled {
		_ = http.NewResponseController(w).Flush() // the sender has its answer
	}
	failpoint.Hit(failpoint.WebhookAnswered)
}

// refuse answers with what err says; an error that says nothing of an answer is the request's.
func (h *Handler) refuse(k *hook, w http.ResponseWriter, err error) {
	var ref *refusal
	if !errors.As(err, &ref) {
		ref = malformed("%v", err)
	}
	if ref.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", map[bool]string{true: "Bearer", false: "Signature"}[k.Verify.Scheme == "bearer"])
	}
	h.count(k.Flow, ref.reason(), ref)
	k.reply.refused(w, ref)
}

// mostLingered is what is still read of a body whose sender was told that it is too large.
const mostLingered = 16 << 20

// linger reads on, and keeps nothing of it. A sender that writes all of its body before it reads, as many do, would find its connection reset in place of the
// answer, and send the same for ever. The server's time for a request goes on meanwhile, and the connection makes room for others as ever.
func linger(w http.ResponseWriter, r *http.Request) {
	if r.Body == nil || r.Header.Get("Expect") != "" || http.NewResponseController(w).Flush() != nil { // who waits for leave to send sends no more
		return
	}
	_, _ = io.CopyN(io.Discard, r.Body, mostLingered) // how it ends is the sender's affair
}

// count keeps, and tells, that a request was refused. What the sender was told holds nothing secret; the error behind it says more.
func (h *Handler) count(flow string, reason Reason, ref *refusal) {
	detail := ref.detail
	if ref.err != nil && !strings.HasSuffix(detail, ref.err.Error()) { // it may have been told to the sender as well
		detail += ": " + ref.err.Error()
	}
	detail = shorten(detail, 300)
	h.refusals.add(flow, reason, detail)
	h.c.Observer.Refused(flow, reason, detail)
}

// receive reads, verifies, unpacks and accepts one request.
func (h *Handler) receive(k *hook, w http.ResponseWriter, r *http.Request) (taken, error) {
	media, ref := mediaType(r.Header)
	limit := k.MaxBody
	if ref == nil && !k.takes(media) {
		ref = unwanted(media)
	}
	if ref == nil && r.ContentLength > limit {
		return taken{}, tooLarge(limit)
	}
	if ref == nil {
		ref = k.unproven(r, media, h.c.Clock.Now())
	}
	if ref != nil { // only a handshake could be in it
		if len(k.greets) == 0 || r.ContentLength > maxGreeting {
			return taken{}, ref
		}
		limit = min(limit, maxGreeting)
	}
	held := claim{b: &h.memory, flow: k.Flow, stop: func() {
		// A time that is over: the request that reads the body gets an error at once. Where the server cannot do that, it sees that it was cut when more comes.
		_ = http.NewResponseController(w).SetReadDeadline(time.Unix(1, 0))
	}}
	defer held.release()
	b, unread := readBody(r, limit, &held)
	if unread == nil {
		if a := k.greeting(r, media, b.plain); a != nil {
			return taken{reply: a}, nil
		}
	}
	if ref == nil {
		ref = unread
	}
	if ref != nil {
		return taken{}, ref
	}
	req := &request{header: r.Header, media: media, body: b.plain, now: h.c.Clock.Now()}
	if err := k.verify(req, b); err != nil {
		return taken{}, err
	}
	deliveries, err := k.unpack(media, req, &held)
	if err != nil {
		return taken{}, err
	}
	if wait, ok := k.rate.take(req.now); !ok {
		return taken{}, &refusal{status: http.StatusTooManyRequests, detail: "this source sends more than its rate", retry: max(wait, time.Second)}
	}
	if len(deliveries) == 0 {
		return taken{status: statusIgnored}, nil
	}
	rows, err := h.rows(k, r, req, deliveries)
	if err != nil {
		return taken{}, err
	}
	if len(rows) == 0 {
		return taken{status: statusIgnored}, nil
	}
	return h.accept(k, r, rows)
}

// unpack gives the documents of a verified body.
func (k *hook) unpack(media string, req *request, held *claim) (out []delivery, err error) {
	switch {
	case k.XML != nil:
		if !held.take(xmldoc.Memory(req.body)) {
			return nil, busy()
		}
		if out, err = k.XML.unpack(req.body); err != nil {
			return nil, err
		}
		for _, d := range out { // documents of their own, beside the body
			if !held.take(int64(len(d.body)) + parsedBytes(d.body)) {
				return nil, busy()
			}
		}
		return out, nil
	case req.unpacked == nil:
		if req.body, err = k.document(media, req.body); err != nil {
			return nil, err
		}
	}
	if !held.take(parsedBytes(req.body)) {
		return nil, busy()
	}
	if k.scheme.unpack != nil {
		return k.scheme.unpack(req)
	}
	return []delivery{{body: req.body}}, nil
}

// unproven refuses what the headers alone show to be no delivery of this source: nothing is read of its body. A handshake, which proves
// nothing, is short.
func (k *hook) unproven(r *http.Request, media string, now time.Time) *refusal {
	if k.scheme.inBody {
		return nil
	}
	err := k.verify(&request{header: r.Header, media: media, now: now}, body{})
	if err == nil || errors.Is(err, errBadSignature) {
		return nil
	}
	ref := (*refusal)(nil)
	if !errors.As(err, &ref) {
		ref = malformed("%v", err)
	}
	return ref
}

// verify checks the body without its content encoding, which is what most senders sign, and then as it was sent.
func (k *hook) verify(req *request, b body) error {
	err := k.scheme.verify(req)
	if err != nil && len(b.raw) != len(b.plain) {
		req.body = b.raw
		if k.scheme.verify(req) == nil {
			err = nil
		}
		req.body = b.plain
	}
	if ref := (*refusal)(nil); err == nil || errors.As(err, &ref) {
		return err
	}
	detail := "the request does not prove that it comes from this source"
	if errors.Is(err, errTimestamp) { // it is told whether or not the signature fits, so that it says nothing about a secret
		detail = "the signed timestamp is too far from the hub's clock: sign it anew, and look at both clocks"
	}
	return &refusal{status: http.StatusUnauthorized, detail: detail, err: err}
}

// statusWriter remembers the status of the answer.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
