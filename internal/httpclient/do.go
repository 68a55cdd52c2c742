package httpclient

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/failpoint"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/tracing"
)

// Request is one call.
type Request struct {
	Method string
	// Path is relative to the client's base; its variable parts are escaped (see Escape). It may be a complete URL of the same
	// origin, with its query. Empty: the configured URL itself.
	Path  string
	Query Query
	// Header adds to, and replaces, the client's headers.
	Header http.Header
	Body   []byte
	// ContentType of Body; empty: application/json.
	ContentType string
	// Safe: nothing changes on the other side, so that no failure has an unknown outcome. GET and HEAD are always safe.
	Safe bool
	// Once: even a request that changes nothing is not sent again on another connection, as net/http does with a GET whose connection was
	// closed before its answer: the other side may have moved on with the first one.
	Once bool
	// Beside goes beside the system's limit: a probe says how the system is, not how busy the hub is with it. While the system wants no calls, none
	// is made all the same.
	Beside bool
	// Bare goes without credentials: it asks for some.
	Bare bool
	// Op says what is tried, for people: "create order".
	Op string
	// Accept lists statuses besides 2xx that are no failure, such as 304.
	Accept []int
	// Judge, where set, reads an answer's content, because a status alone does not say whether the request was carried out. failed is what the
	// status means, nil where that is no failure; what Judge gives back stands, nil for carried out. System, Op, Code, RetryAfter and
	// the scrubbing of Err are filled in.
	Judge func(resp *Response, failed *fault.Error) *fault.Error
}

// Response is an answer, read to its end.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
	// URL is where the answer came from, after redirects.
	URL *url.URL

	read readBody
}

// readBody is what JSON has made of a body.
type readBody struct {
	body []byte
	root jsondoc.Value
	err  error
}

// JSON is the body as a document, which is read once; the error is a *jsondoc.SyntaxError. A Body that is put in its place is read anew; its bytes must not change.
func (r *Response) JSON() (jsondoc.Value, error) {
	if read := &r.read; len(r.Body) == 0 || len(read.body) != len(r.Body) || &read.body[0] != &r.Body[0] {
		*read = readBody{body: r.Body}
		var doc *jsondoc.Doc
		if doc, read.err = jsondoc.Parse(r.Body, jsondoc.Limits{Bytes: len(r.Body) + 1}); read.err == nil {
			read.root = doc.Root()
		}
	}
	return r.read.root, r.read.err
}

// Do makes the call. An answer outside 2xx is a *fault.Error together with the Response, so that its body can be looked
// at; no answer is a *fault.Error alone.
func (c *Client) Do(ctx context.Context, r Request) (*Response, error) {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		r.Safe = true
	}
	at, err := c.Resolve(r.Path)
	if err != nil {
		return nil, c.fail(&r, fault.Invalid, "", err)
	}
	return c.attempt(ctx, &r, at, !r.Bare)
}

// Part judges one part of an answer, such as that to one of many documents of a request, as an answer of its own: nil, or what Do would have given.
func (c *Client) Part(r Request, part *Response) error {
	if f := c.judged(&r, part, c.statusFault(&r, part)); f != nil {
		return f
	}
	return nil
}

// attempt sends the request, and again once after a 401, or an answer that means one, where a new token may help.
func (c *Client) attempt(ctx context.Context, r *Request, at *url.URL, auth bool) (*Response, error) {
	resp, token, err := c.once(ctx, r, at, auth)
	if token != "" && denied(resp, err) {
		c.tokens.reject(token)
		resp, token, err = c.once(ctx, r, at, auth)
		if token != "" && denied(resp, err) {
			c.tokens.reject(token)
		}
	}
	return resp, err
}

// denied: the system answered that it does not know who asks, in the status or in the body.
func denied(resp *Response, err error) bool {
	return resp != nil && (resp.Status == http.StatusUnauthorized || fault.KindOf(err) == fault.Auth)
}

func (c *Client) once(ctx context.Context, r *Request, at *url.URL, auth bool) (*Response, string, error) {
	token := ""
	hr, err := c.build(r, at)
	if err != nil {
		return nil, "", c.fail(r, fault.Invalid, "", err)
	}
	if auth {
		if token, err = c.apply(ctx, hr); err != nil {
			if f, ok := fault.As(err); ok && f.System == "" {
				g := *f // many may wait for one token
				g.System = c.cfg.System
				err = &g
			}
			return nil, "", err
		}
	}
	if trace := tracing.From(ctx); trace != "" && hr.Header.Get("traceparent") == "" && !r.Safe {
		hr.Header.Set("traceparent", trace)
	}
	enter := c.limit.acquire
	if r.Beside {
		enter = c.limit.beside
	}
	release, err := enter(ctx)
	if held := (*heldError)(nil); errors.As(err, &held) {
		f := c.fail(r, fault.RateLimited, "", held)
		f.RetryAfter = time.Until(held.until)
		return nil, token, f
	}
	if err != nil {
		return nil, token, c.fail(r, fault.Unavailable, "", &waitError{err})
	}
	defer release()
	if !r.Safe {
		if err := connector.Fence(ctx); err != nil {
			return nil, token, c.fail(r, fault.Unavailable, "", err)
		}
	}
	slow := &timeoutError{c.cfg.Timeout}
	ctx, cancel := context.WithTimeoutCause(ctx, c.cfg.Timeout, slow)
	defer cancel()
	if r.Once {
		ctx = context.WithValue(ctx, onceKey{}, true)
	}

	var sent sentWatch
	lost := func(err error) error {
		if errors.Is(err, context.DeadlineExceeded) && errors.Is(context.Cause(ctx), slow) {
			err = slow
		}
		return c.transportFault(r, &sent, err)
	}
	trace := sent.trace()
	if failpoint.Enabled && !r.Safe {
		trace.WroteRequest = func(info httptrace.WroteRequestInfo) {
			if info.Err == nil {
				failpoint.Hit(failpoint.RequestWritten)
			}
		}
	}
	began := time.Now()
	resp, err := c.http.Do(hr.WithContext(httptrace.WithClientTrace(ctx, trace)))
	if err != nil {
		return nil, token, lost(err)
	}
	if hr.URL.Host == c.base.Host { // and not of whoever gives out tokens
		c.tell(resp.Header, time.Since(began))
	}
	defer resp.Body.Close()
	if !r.Safe {
		if err := failpoint.Fail(failpoint.RequestAnswered); err != nil {
			return nil, token, lost(err)
		}
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, int64(c.cfg.MaxBody)+1))
	body = bytes.TrimPrefix(body, byteOrderMark)
	if err == nil && len(body) > int(c.cfg.MaxBody) {
		err = fmt.Errorf("the answer is longer than %s, which max-body is: ask for less at a time, or raise it", c.cfg.MaxBody)
		if r.Safe {
			return nil, token, c.fail(r, fault.Invalid, strconv.Itoa(resp.StatusCode), err)
		}
	}
	out := &Response{Status: resp.StatusCode, Header: resp.Header, Body: body, URL: resp.Request.URL}
	failed := c.statusFault(r, out)
	if failed == nil && err != nil { // it was applied, and what came of it is lost
		return nil, token, lost(err)
	}
	if failed = c.judged(r, out, failed); failed != nil {
		return out, token, failed
	}
	return out, token, nil
}

// timeoutError says in plain words that a call was given up: it is what an operator reads most.
type timeoutError struct{ after time.Duration }

func (e *timeoutError) Error() string {
	return "no whole answer within " + e.after.String() + " (timeout)"
}

func (e *timeoutError) Unwrap() error { return context.DeadlineExceeded }

// tell tells what the system's clock shows, where the answer is its own: one that a cache gives again has the time of its making.
func (c *Client) tell(h http.Header, passed time.Duration) {
	if c.cfg.Told == nil || h.Get("Age") != "" {
		return
	}
	if at, err := http.ParseTime(h.Get("Date")); err == nil {
		c.cfg.Told(at, passed)
	}
}

// byteOrderMark stands before the JSON of some services, though RFC 8259 forbids it.
var byteOrderMark = []byte("\xef\xbb\xbf")

// judged asks the request's Judge, and acts on what concerns the whole system.
func (c *Client) judged(r *Request, resp *Response, failed *fault.Error) *fault.Error {
	if r.Judge != nil {
		failed = r.Judge(resp, failed)
	}
	if failed == nil {
		return nil
	}
	if failed.Code == "" {
		failed.Code = strconv.Itoa(resp.Status)
	}
	switch {
	case failed.RetryAfter > 0:
	case failed.Kind == fault.RateLimited:
		failed.RetryAfter = limitReset(resp.Header, c.now())
	default:
		failed.RetryAfter = RetryAfter(resp.Header, c.now())
	}
	if failed.Kind == fault.RateLimited && failed.RetryAfter > 0 {
		c.limit.hold(failed.RetryAfter) // it concerns every call alike
	}
	cause := failed.Err
	if cause != nil && failed.RetryAfter >= toldFrom {
		cause = fmt.Errorf("%w; %v", cause, &heldError{c.now().Add(failed.RetryAfter)})
	}
	whole := c.fail(r, failed.Kind, c.Scrub(failed.Code), cause)
	whole.RetryAfter, whole.Duplicate = failed.RetryAfter, failed.Duplicate
	whole.Field, whole.Answer = failed.Field, c.Answer(resp)
	if whole.Field == "" {
		whole.Field = c.Scrub(resp.refusedField())
	}
	return whole
}

// waitError says that the request never left.
type waitError struct{ error }

func (e *waitError) Error() string { return "waiting for the system's limit: " + e.error.Error() }
func (e *waitError) Unwrap() error { return e.error }

func (c *Client) build(r *Request, at *url.URL) (*http.Request, error) {
	u := *at
	if len(r.Query) > 0 {
		q := r.Query.Encode()
		if u.RawQuery != "" {
			q = u.RawQuery + "&" + q
		}
		u.RawQuery = q
	}
	hr := &http.Request{Method: r.Method, URL: &u, Host: u.Host, Header: make(http.Header, 8), ProtoMajor: 1, ProtoMinor: 1, Proto: "HTTP/1.1"}
	hr.Header.Set("Accept", "application/json")
	hr.Header.Set("User-Agent", "waybill")
	if SameOrigin(&u, c.base) { // a token may come from elsewhere, whom the headers do not concern
		for name, value := range c.cfg.Headers {
			hr.Header.Set(name, value)
		}
	}
	if r.Body != nil {
		contentType := r.ContentType
		if contentType == "" {
			contentType = "application/json"
		}
		hr.Header.Set("Content-Type", contentType)
		hr.ContentLength = int64(len(r.Body))
		hr.Body = io.NopCloser(bytes.NewReader(r.Body))
		// GetBody stays nil: with it, net/http sends a request with an Idempotency-Key again by itself.
	}
	if r.Body == nil && r.Method == http.MethodDelete {
		hr.Body = emptyBody() // net/http cannot send it again; nothing of it is on the wire
	}
	for name, values := range r.Header {
		hr.Header[http.CanonicalHeaderKey(name)] = values
	}
	return hr, nil
}

// sentWatch knows whether any byte of the request left the hub.
type sentWatch struct {
	conn  *countingConn
	start int64
	taken bool // a connection was taken at all
}

func (s *sentWatch) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
		s.taken = true
		if s.conn = counter(info.Conn); s.conn != nil {
			s.start = s.conn.written.Load()
		}
	}}
}

// any reports whether bytes may have left.
func (s *sentWatch) any() bool {
	return s.taken && (s.conn == nil || s.conn.written.Load() > s.start)
}

// transportFault classifies a failure without a usable answer.
func (c *Client) transportFault(r *Request, sent *sentWatch, err error) error {
	var ue *url.Error
	if errors.As(err, &ue) {
		err = ue.Err // its text holds the URL, whose query may hold a key
	}
	if errors.Is(err, ErrAddress) {
		return c.fail(r, fault.Invalid, "", err)
	}
	kind := fault.Unavailable
	if !r.Safe && sent.any() {
		kind = fault.UnknownOutcome
	}
	return c.fail(r, kind, "", err)
}

// statusKind is the class of an answer; None for one that is no failure.
func statusKind(status int, r *Request) fault.Kind {
	if status >= 200 && status < 300 {
		return fault.None
	}
	for _, ok := range r.Accept {
		if status == ok {
			return fault.None
		}
	}
	switch status {
	case http.StatusUnauthorized:
		return fault.Auth
	case http.StatusNotFound, http.StatusGone:
		return fault.NotFound
	case http.StatusConflict, http.StatusPreconditionFailed, http.StatusPreconditionRequired:
		return fault.Conflict
	case http.StatusTooManyRequests:
		return fault.RateLimited
	case http.StatusServiceUnavailable, http.StatusLocked, http.StatusTooEarly:
		return fault.Unavailable
	case http.StatusNotImplemented, http.StatusHTTPVersionNotSupported:
		return fault.Invalid
	case http.StatusRequestTimeout:
	default:
		if status < 500 {
			return fault.Invalid // 1xx and 3xx too: a redirect that is not followed
		}
	}
	if r.Safe {
		return fault.Unavailable
	}
	return fault.UnknownOutcome
}

// statusFault is what an answer's status means; nil for one that is no failure.
func (c *Client) statusFault(r *Request, resp *Response) *fault.Error {
	kind := statusKind(resp.Status, r)
	if kind == fault.None {
		return nil
	}
	if kind == fault.Invalid && resp.Status == http.StatusForbidden && limitReached(resp.Header, c.now()) {
		kind = fault.RateLimited // GitHub and others
	}
	text := c.Text(resp)
	if resp.Status >= 300 && resp.Status < 400 {
		text = "the system redirects to " + Shorten(withoutQuery(resp.Header.Get("Location")), 200) + ": set its url to where it is"
	}
	if text == "" {
		text = http.StatusText(resp.Status)
	}
	return &fault.Error{Kind: kind, Code: strconv.Itoa(resp.Status), Err: errors.New(text)}
}

// fail makes the failure; its text is scrubbed.
func (c *Client) fail(r *Request, kind fault.Kind, code string, err error) *fault.Error {
	op := r.Op
	if op == "" {
		op = r.Method + " " + Shorten(withoutQuery(r.Path), 200)
	}
	return &fault.Error{Kind: kind, System: c.cfg.System, Op: c.Scrub(op), Code: code, Err: c.scrub.Error(err)}
}

func withoutQuery(u string) string {
	u, _, _ = strings.Cut(u, "?")
	return u
}

// Shorten cuts a text to n characters, the last three of which then are dots; n is at least three.
func Shorten(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-3]) + "..."
	}
	return s
}
