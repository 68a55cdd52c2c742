package intake

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"github.com/waybill-hub/waybill/internal/failpoint"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/state"
)

// PathPrefix is where webhooks are received.
const PathPrefix = "/hooks/"

const (
	defaultAcceptTimeout = 4 * time.Second // Shopify gives up after 5 s
	storeRetry           = 5 * time.Second
)

// HooksConfig is what the webhook handler needs.
type HooksConfig struct {
	Inbox    Inbox
	Clock    lifecycle.Clock
	Log      *slog.Logger // nil: silent
	Observer Observer     // nil: none
	// Memory bounds the bytes of bodies held at once, over all sources; 0: 64 MiB. Beyond it senders get 503.
	Memory int64
	// AcceptTimeout is how long the store may take before the sender gets 503; 0: 4 s.
	AcceptTimeout time.Duration
	// Wake is called with the flow after something of it has been accepted; nil: nobody is told.
	Wake func(flow string)
}

// Hooks answers POST /hooks/PATH. It never says that something is accepted before the store has said so.
type Hooks struct {
	c HooksConfig
	// routes are replaced as a whole, never changed.
	routes atomic.Pointer[routes]
	memory budget
}

// routes are the webhooks by their paths.
type routes map[string]*hook

// hook is one source's webhook, made ready.
type hook struct {
	Source
	scheme *scheme
	reply  replier
	rate   *bucket
	// grumble bounds how often a sender that cannot prove itself fills the log.
	grumble *bucket
	// busy counts the requests under way.
	busy atomic.Int64
	// closed: nothing is taken at the moment; the sender is to come again.
	closed bool
}

// NewHooks makes the handler of all sources that have a webhook. A path that is used twice, or a verification that could not
// refuse anybody, is an error.
func NewHooks(c HooksConfig, sources []Source) (*Hooks, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Observer == nil {
		c.Observer = NoObserver{}
	}
	if c.Memory <= 0 {
		c.Memory = defaultMemory
	}
	if c.AcceptTimeout <= 0 {
		c.AcceptTimeout = defaultAcceptTimeout
	}
	if c.Wake == nil {
		c.Wake = func(string) {}
	}
	h := &Hooks{c: c, memory: budget{max: c.Memory}}
	h.routes.Store(&routes{})
	all, err := h.prepare(sources, func(string) bool { return false })
	h.routes.Store(&all)
	return h, err
}

// prepare makes the routes of sources. Webhooks of flows that are the same as before go on as they are, with their rates.
func (h *Hooks) prepare(sources []Source, same func(flow string) bool) (routes, error) {
	before := map[string]*hook{}
	for _, k := range *h.routes.Load() {
		before[k.Flow] = k
	}
	out := routes{}
	var errs []error
	for _, s := range sources {
		if s.Webhook == nil {
			continue
		}
		k := before[s.Flow]
		var err error
		if k == nil || !same(s.Flow) {
			k, err = h.hook(s)
		}
		path := strings.Trim(s.Webhook.Path, "/")
		if other := out[path]; err == nil && other != nil {
			err = fmt.Errorf("flow %s receives at the path %q already", other.Flow, path)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("flow %s: webhook: %w", s.Flow, err))
			continue
		}
		out[path] = k
	}
	return out, errors.Join(errs...)
}

// hook makes a source's webhook ready.
func (h *Hooks) hook(s Source) (*hook, error) {
	w := *s.Webhook
	if w.MaxBody <= 0 {
		w.MaxBody = defaultMaxBody
	}
	s.Webhook = &w
	if strings.Trim(w.Path, "/") == "" {
		return nil, errors.New("a path is needed")
	}
	sch, err := newScheme(w.Verify)
	if err != nil {
		return nil, err
	}
	if w.Verify.Scheme == "cloudevents" {
		sch.handshake = func(rw http.ResponseWriter, r *http.Request) bool { return allowOrigin(rw, r, w.Rate) }
	}
	if sch.media == nil {
		sch.media = isJSON
	}
	now := h.c.Clock.Now()
	k := &hook{Source: s, scheme: sch, reply: sch.reply, rate: newBucket(w.Rate, w.Burst, now), grumble: newBucket(0.1, 5, now)}
	if k.reply == nil {
		k.reply = jsonReplier{}
	}
	return k, nil
}

// enter gives the webhook at a path with the request counted as one of its own; nil: there is none. Routes may be replaced in
// between: then the request is counted where it is answered, or the one who replaces them does not see it and it looks again.
func (h *Hooks) enter(path string) *hook {
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
func (h *Hooks) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	began := h.c.Clock.Now()
	w := &statusWriter{ResponseWriter: rw}
	flow := ""
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
		jsonReplier{}.refused(w, &refusal{status: http.StatusNotFound, detail: "nothing is received at this path"})
		return
	}
	defer k.busy.Add(-1)
	flow = k.Flow
	if k.closed {
		k.reply.refused(w, &refusal{status: http.StatusServiceUnavailable, detail: "the hub is changing who receives at this path; send it again", retry: storeRetry})
		return
	}
	if k.scheme.handshake != nil && k.scheme.handshake(w, r) {
		return
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", k.scheme.allow())
		k.reply.refused(w, &refusal{status: http.StatusMethodNotAllowed, detail: "deliveries are sent with POST"})
		return
	}
	t, err := h.receive(k, r)
	if err != nil {
		h.refuse(k, w, err)
		return
	}
	k.reply.taken(w, t)
	if failpoint.Enabled {
		_ = http.NewResponseController(w).Flush() // the sender has its answer
	}
	failpoint.Hit(failpoint.WebhookAnswered)
}

// refuse answers with what err says; an error that says nothing of an answer is the request's.
func (h *Hooks) refuse(k *hook, w http.ResponseWriter, err error) {
	var ref *refusal
	if !errors.As(err, &ref) {
		ref = malformed("%v", err)
	}
	if ref.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", map[bool]string{true: "Bearer", false: "Signature"}[k.Webhook.Verify.Scheme == "bearer"])
	}
	switch {
	case ref.status >= http.StatusInternalServerError:
		h.c.Log.Warn("a delivery could not be accepted", "flow", k.Flow, "status", ref.status, "error", err)
	default:
		if _, ok := k.grumble.take(h.c.Clock.Now()); ok {
			h.c.Log.Info("a delivery was refused", "flow", k.Flow, "status", ref.status, "error", err)
		}
	}
	k.reply.refused(w, ref)
}

// receive reads, verifies, unpacks and accepts one request.
func (h *Hooks) receive(k *hook, r *http.Request) (taken, error) {
	media, ref := mediaType(r.Header)
	if ref == nil && !k.scheme.media(media) {
		ref = &refusal{status: http.StatusUnsupportedMediaType, detail: "the Content-Type is not one that this source sends"}
	}
	if ref != nil {
		return taken{}, ref
	}
	held := claim{b: &h.memory}
	defer held.release()
	b, ref := readBody(r, k.Webhook.MaxBody, &held)
	if ref != nil {
		return taken{}, ref
	}
	req := &request{header: r.Header, media: media, body: b.plain, now: h.c.Clock.Now()}
	if err := k.verify(req, b); err != nil {
		return taken{}, err
	}
	deliveries := []delivery{{body: req.body}}
	if k.scheme.unpack != nil {
		var err error
		if deliveries, err = k.scheme.unpack(req); err != nil {
			return taken{}, err
		}
	}
	if wait, ok := k.rate.take(req.now); !ok {
		return taken{}, &refusal{status: http.StatusTooManyRequests, detail: "this source sends more than its rate", retry: max(wait, time.Second)}
	}
	if len(deliveries) == 0 {
		return taken{status: statusIgnored}, nil
	}
	rows, err := k.rows(r, req, deliveries)
	if err != nil {
		return taken{}, err
	}
	return h.accept(k, r, rows)
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

// rows turns verified documents into rows of the inbox.
func (k *hook) rows(r *http.Request, req *request, deliveries []delivery) ([]state.Inbound, error) {
	doc := jsondoc.Get()
	defer jsondoc.Put(doc)
	rows := make([]state.Inbound, 0, len(deliveries))
	for _, d := range deliveries {
		if err := doc.Reset(d.body, bodyLimits); err != nil {
			return nil, notJSON(err)
		}
		headers := storedHeaders(r.Header, k.scheme.private, d.headers)
		id := d.id
		if k.Webhook.DeliveryID != nil {
			var err error
			if id, err = k.Webhook.DeliveryID(r.Context(), Input{Doc: doc, Headers: headers}); err != nil {
				return nil, malformed("the delivery id cannot be read: %v", err)
			}
		}
		row := state.Inbound{
			Flow:     k.Flow,
			Headers:  headers,
			Body:     d.body,
			Trace:    traceOf(d.trace, one(r.Header, "traceparent")),
			Received: req.now,
		}
		if row.DeliveryID = cleanID(id); row.DeliveryID != "" {
			row.ID = row.DeliveryID
		} else {
			row.ID = mintID()
		}
		rows = append(rows, row)
	}
	return rows, nil
}

var errSlowStore = errors.New("the store did not answer in time")

// accept commits the rows. Once begun it is not ended by the sender's going away: half of the hub's promise would be left.
func (h *Hooks) accept(k *hook, r *http.Request, rows []state.Inbound) (taken, error) {
	ctx, cancel := lifecycle.WithTimeout(context.WithoutCancel(r.Context()), h.c.Clock, h.c.AcceptTimeout, errSlowStore)
	defer cancel()
	outcome, _, err := h.c.Inbox.Accept(ctx, rows, nil, nil)
	if err == nil && len(outcome) != len(rows) {
		err = fmt.Errorf("the store answered for %d of %d rows", len(outcome), len(rows))
	}
	if err != nil {
		if cause := context.Cause(ctx); cause != nil && !errors.Is(err, cause) {
			err = fmt.Errorf("%w: %w", cause, err)
		}
		ref := &refusal{status: http.StatusServiceUnavailable, detail: "the hub cannot store the delivery now; send it again", retry: storeRetry, err: err}
		if f, ok := fault.As(err); ok && f.RetryAfter > 0 {
			ref.retry = f.RetryAfter
		}
		return taken{}, ref
	}
	failpoint.Hit(failpoint.WebhookStored)
	t := taken{id: rows[0].ID, status: string(state.AcceptedDuplicate), events: len(rows)}
	conflict := ""
	for i, o := range outcome {
		switch o {
		case state.AcceptedNew:
			t.status = string(state.AcceptedNew)
		case state.AcceptedDuplicate:
		default:
			conflict = rows[i].ID
		}
	}
	if t.status == string(state.AcceptedNew) {
		h.c.Wake(k.Flow)
	}
	if conflict != "" {
		text := fmt.Sprintf("delivery %s came again with another body; it was refused", conflict)
		h.c.Log.Error("a delivery id came again with another body", "flow", k.Flow, "delivery", conflict)
		h.c.Observer.Alarm(k.Flow, AlarmConflict, text)
		return taken{}, &refusal{status: http.StatusConflict, detail: "a delivery with this id was received before, with another body"}
	}
	return t, nil
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
