package tryton

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/httpclient"
	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// A call is a POST to the database's address of exactly {id, method, params}: with more in it, such as JSON-RPC 2.0's version, Tryton answers failures with
// other shapes and statuses. The last parameter of a model's method is the context. A failure is an answer of 200 with "error": a list of the type, the
// message and what belongs to it.

// maxWarnings bounds how many questions of one call are confirmed.
const maxWarnings = 10

// request is one call.
type request struct {
	method string
	params []string // as JSON, without the context
	op     string
	// safe: nothing changes there. beside: it goes beside the system's limit.
	safe, beside bool
	// context as JSON; empty: no context belongs to the method.
	context string
	// creating: a text that says that something must be unique says that the object is there.
	creating bool
	// list is the path of the list in the answer whose elements are salvaged where they are no acceptable JSON.
	list string
}

// answer is what came of a call.
type answer struct {
	jsondoc.Value
	resp   *httpclient.Response
	broken map[int]jsondoc.Broken // of the list that the request names
}

// body writes the request.
func (r *request) body() []byte {
	b := append([]byte(`{"id":1,"method":`), quote(r.method)...)
	b = append(b, `,"params":[`...)
	params := r.params
	if r.context != "" {
		params = append(params[:len(params):len(params)], r.context)
	}
	b = append(b, strings.Join(params, ",")...)
	return append(b, "]}"...)
}

func quote(s string) []byte { return jsondoc.AppendString(nil, s) }

// call makes a call, and gives its result. What Tryton asks is confirmed, where the settings say so.
func (s *system) call(ctx context.Context, r request) (*answer, error) {
	for n := 0; ; n++ {
		a, err := s.once(ctx, &r)
		var w *warning
		if !errors.As(err, &w) {
			return a, err
		}
		if s.set.Warnings != "acknowledge" || r.safe || n == maxWarnings {
			return nil, s.fail(fault.Invalid, r.op, "Tryton wants a person to confirm: %s", w.text)
		}
		if err := s.acknowledge(ctx, w, r.op); err != nil {
			return nil, err
		}
	}
}

// warning is a question that Tryton wants confirmed before it goes on. Nothing was done.
type warning struct{ name, text string }

func (w *warning) Error() string { return w.text }

// acknowledge confirms it, once. The log names the question without what it is about.
func (s *system) acknowledge(ctx context.Context, w *warning, op string) error {
	kind := strings.TrimRight(strings.TrimFunc(w.name, func(r rune) bool { return r >= '0' && r <= '9' || r == ',' || r == ' ' }), "_.,")
	s.log.Info("a warning of Tryton is acknowledged", "system", s.name, "op", op, "warning", httpclient.Shorten(s.client.Scrub(kind), 80))
	values := fmt.Sprintf(`[{"user":%d,"name":%s,"always":false}]`, s.user.Load(), quote(w.name))
	_, err := s.once(ctx, &request{method: "model.res.user.warning.create", params: []string{values}, op: op + ": acknowledge", context: "{}"})
	var again *warning
	if errors.As(err, &again) {
		return s.fail(fault.Invalid, op, "Tryton wants a person to confirm: %s", again.text)
	}
	return err
}

// once makes a call as it is. A *warning is its error where Tryton has a question.
func (s *system) once(ctx context.Context, r *request) (*answer, error) {
	var asked *warning
	resp, err := s.client.Do(ctx, httpclient.Request{Method: http.MethodPost, Path: httpclient.Escape(s.set.Database) + "/", Body: r.body(), Op: r.op, Safe: r.safe, Beside: r.beside,
		Bare: strings.HasPrefix(r.method, "common.db.login"),
		Judge: func(resp *httpclient.Response, failed *fault.Error) *fault.Error {
			if failed != nil {
				return notThere(failed)
			}
			f, w := s.judge(r, resp)
			asked = w
			return f
		}})
	if asked != nil && err != nil {
		return nil, asked
	}
	if err != nil {
		return nil, err
	}
	a := &answer{resp: resp}
	body := resp.Body
	if r.list != "" {
		if mended, broken, ok := jsondoc.Salvage(body, r.list, jsondoc.Limits{}); ok {
			body, a.broken = mended, broken
		}
	}
	doc, err := jsondoc.Parse(body, jsondoc.Limits{Bytes: len(body) + 1})
	if err != nil { // judge has read it
		return nil, s.fail(fault.Invalid, r.op, "the answer is no JSON: %s", err)
	}
	a.Value = doc.Root().Get("result")
	return a, nil
}

// notThere: an address that nobody serves is in the way of every message alike.
func notThere(f *fault.Error) *fault.Error {
	if f.Code == "404" || f.Code == "405" || f.Code == "410" {
		f.Kind = fault.Unavailable
		f.Err = fmt.Errorf("%w (is url the server's, and database one of its databases?)", f.Err)
	}
	return f
}

// judge reads what a 200 says.
func (s *system) judge(r *request, resp *httpclient.Response) (*fault.Error, *warning) {
	lost := fault.UnknownOutcome
	if r.safe {
		lost = fault.Unavailable
	}
	body := resp.Body
	if r.list != "" {
		if mended, _, ok := jsondoc.Salvage(body, r.list, jsondoc.Limits{}); ok {
			body = mended
		}
	}
	doc, err := jsondoc.Parse(body, jsondoc.Limits{Bytes: len(body) + 1})
	switch {
	case err != nil:
		return fault.New(lost, "the answer is none of Tryton's (is url the server's?): %s", s.client.Text(resp)), nil
	case !doc.Root().Get("error").Exists() && doc.Root().Get("result").Kind() == jsondoc.Missing:
		return fault.New(lost, "the answer holds neither a result nor an error: %s", s.client.Text(resp)), nil
	case !doc.Root().Get("error").Exists():
		return nil, nil
	}
	return s.meaning(r, doc.Root().Get("error"))
}

// transient are parts of what databases say of locks and of transactions that met. Tryton has tried again by itself before, and rolled back.
var transient = []string{"could not serialize", "could not obtain lock", "deadlock detected", "database is locked", "canceling statement due to", "lock timeout",
	"too many clients", "remaining connection slots", "connection pool exhausted", "the database system is"}

// broken off: whether the commit was reached is not known.
var brokenOff = []string{"server closed the connection", "connection already closed", "terminating connection", "connection to server", "could not connect"}

// meaning classifies an error of Tryton's. It rolls back what it fails of.
func (s *system) meaning(r *request, e jsondoc.Value) (*fault.Error, *warning) {
	typ, text := e.Index(0).Str(), saidIn(e)
	f := &fault.Error{Kind: fault.Invalid, Code: httpclient.Shorten(typ, 60), Err: errors.New(httpclient.Shorten(s.client.Scrub(text), 600))}
	says := func(parts []string) bool {
		for _, part := range parts {
			if part != "" && strings.Contains(text, part) {
				return true
			}
		}
		return false
	}
	switch typ {
	case "UserWarning":
		return f, &warning{e.Index(1).Index(0).Str(), f.Err.Error()}
	case "ConcurrencyException":
		f.Kind = fault.Conflict
		f.Err = errors.New("the object was changed meanwhile")
		return f, nil
	case "LoginException":
		f.Kind = fault.Auth
		f.Err = errors.New("more than a password is wanted of the hub's user: " + f.Err.Error())
		return f, nil
	case "UserError":
	default: // its type is its text
		f.Code = "error"
	}
	switch {
	case says(s.set.Errors.Unavailable), f.Code == "error" && says(transient):
		f.Kind = fault.Unavailable
	case f.Code == "error" && says(brokenOff):
		if f.Kind = fault.UnknownOutcome; r.safe {
			f.Kind = fault.Unavailable
		}
	case r.creating && typ == "UserError" && says(s.set.Errors.Duplicate):
		f.Kind, f.Duplicate = fault.Conflict, true
	}
	return f, nil
}

// saidIn gives the words of an error: [type, [message, description, …]], or [text, trace].
func saidIn(e jsondoc.Value) string {
	if e.Kind() == jsondoc.String {
		return e.Str()
	}
	var parts []string
	add := func(v jsondoc.Value) {
		if v.Kind() == jsondoc.String && v.Str() != "" {
			parts = append(parts, v.Str())
		}
	}
	detail := e.Index(1)
	switch {
	case detail.Kind() != jsondoc.Array:
		add(e.Index(0)) // what stands behind it is a trace
	case e.Index(0).Str() == "UserWarning": // the name of the question comes first
		add(detail.Index(1))
		add(detail.Index(2))
	default:
		add(detail.Index(0))
		add(detail.Index(1))
	}
	if len(parts) == 0 {
		return string(bytes.ToValidUTF8(e.Raw(), nil))
	}
	return strings.Join(parts, " ")
}

// login begins a session. A wrong password is a 401, too many of them a 429.
func (s *system) login(ctx context.Context) (string, error) {
	secret, err := json.Marshal(map[string]string{"password": s.set.Password.Reveal()})
	if err != nil {
		return "", s.fail(fault.Invalid, "log in", "%s", err)
	}
	a, err := s.once(ctx, &request{method: "common.db.login", params: []string{string(quote(s.set.User)), string(secret), string(quote(s.set.Language))}, op: "log in", safe: true, beside: true})
	if err != nil {
		if f, ok := fault.As(err); ok && f.Code == strconv.Itoa(http.StatusUnauthorized) {
			g := *f
			g.Err = errors.New("the user is not known to Tryton, or its password is another one")
			return "", &g
		}
		return "", err
	}
	id, ok := integer(a.Index(0))
	if !ok || a.Index(1).Kind() != jsondoc.String {
		return "", s.fail(fault.Auth, "log in", "the answer holds no session")
	}
	key := a.Index(1).Str()
	s.client.Conceal(key)
	s.user.Store(id)
	return "Session " + base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%s:%d:%s", s.set.User, id, key)), nil
}

// logout ends the session. One that cannot be ended ends by itself after some time.
func (s *system) logout(ctx context.Context, authorization string) {
	r := request{method: "common.db.logout"}
	_, err := s.client.Do(ctx, httpclient.Request{Method: http.MethodPost, Path: httpclient.Escape(s.set.Database) + "/", Body: r.body(), Op: "log out", Safe: true, Beside: true, Bare: true,
		Header: http.Header{"Authorization": {authorization}}})
	if err != nil {
		s.log.Debug("the session could not be ended", "system", s.name, "error", err)
	}
}

// integer reads a whole number.
func integer(v jsondoc.Value) (int64, bool) {
	if v.Kind() != jsondoc.Number {
		return 0, false
	}
	d, err := v.Decimal()
	if err != nil {
		return 0, false
	}
	return d.Int64()
}
