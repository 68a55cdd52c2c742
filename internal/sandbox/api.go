package sandbox

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// api serves a remote's collections over HTTP.
type api struct {
	m           *remote
	imp         *imp
	allow       func(token string) bool
	idempotency bool
	// How lists are asked for and answered.
	sinceParam string
	page       func(items []json.RawMessage, next string, done bool, total int) any
}

func (a *api) routes(mux *http.ServeMux) {
	p := strings.TrimSuffix(a.m.d.prefix, "/")
	mux.HandleFunc("GET "+p+"/{collection}", a.handle(a.list))
	mux.HandleFunc("POST "+p+"/{collection}", a.handle(a.create))
	mux.HandleFunc("GET "+p+"/{collection}/{id}", a.handle(a.get))
	mux.HandleFunc("PATCH "+p+"/{collection}/{id}", a.handle(a.patch))
	mux.HandleFunc("DELETE "+p+"/{collection}/{id}", a.handle(a.remove))
}

// operation answers one kind of call. A change it made is in the log; everything else is noted by handle.
type operation func(r *http.Request, c *call, t *table, in map[string]any) (status int, r2 *row, body any, err error)

func (a *api) handle(op operation) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		raw, in, err := readBody(r)
		c := call{actor: "api", method: r.Method, path: r.URL.RequestURI(), hash: bodyHash(raw)}
		object, id := r.PathValue("collection"), r.PathValue("id")
		fail := func(e *apiError) {
			c.status = e.status
			external, _ := in[a.m.d.ext].(string)
			a.m.note(c, object, orText(id, e.id), external)
			answer(w, e.status, a.m.d.fail(e))
		}
		if !authorised(r, a.allow) {
			fail(&apiError{status: 401, code: "INVALID_SESSION_ID", msg: "session expired or invalid"})
			return
		}
		t := a.m.tables[object]
		if t == nil {
			fail(&apiError{status: 404, code: "NOT_FOUND", msg: "no collection " + object})
			return
		}
		if err != nil {
			fail(asAPIError(err))
			return
		}
		chaos := a.imp.Chaos()
		c.fate = a.imp.fate(identity(r, in, a.m.d.ext), a.m.now())
		if e, ok := refusal(w, c.fate, chaos); ok {
			fail(e)
			return
		}
		c.request = r.Header.Get("Idempotency-Key")
		// The log is written before the answer, so the fate is known by then and the log says what the caller will see.
		seen := func(status int) int {
			switch c.fate {
			case fateDropApplied, fateHang:
				return 0
			case fateErrorApplied:
				return 500
			}
			return status
		}
		status, row, body, err := op(r, &c, t, in)
		if err != nil {
			e := asAPIError(err)
			c.status = seen(e.status)
			external, _ := in[a.m.d.ext].(string)
			a.m.note(c, object, orText(id, e.id), external)
			status, row, body = e.status, nil, a.m.d.fail(e)
		} else if r.Method == http.MethodGet || c.status == 0 && seen(status) != 0 {
			c.status = seen(status)
			a.m.note(c, object, id, "")
		}
		if befall(w, r, c.fate, chaos) {
			return
		}
		if c.fate == fateErrorApplied {
			answer(w, 500, a.m.d.fail(&apiError{status: 500, code: "UNKNOWN_EXCEPTION", msg: "an unexpected error occurred"}))
			return
		}
		if row != nil {
			w.Header().Set("ETag", row.etag())
			body = json.RawMessage(row.raw)
		}
		if status == http.StatusCreated {
			w.Header().Set("Location", a.m.d.prefix+object+"/"+row.id)
		}
		if status == http.StatusNoContent {
			w.WriteHeader(status)
			return
		}
		answer(w, status, body)
	}
}

// identity names a call for the dice: what it is about, not how it is interleaved with others.
func identity(r *http.Request, in map[string]any, ext string) string {
	external, _ := in[ext].(string)
	return r.Method + " " + r.URL.Path + " " + r.URL.Query().Get(ext) + external
}

func orText(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// will sets what the caller of a change is going to see.
func (c *call) will(status int) {
	switch c.fate {
	case fateDropApplied, fateHang:
		c.status = 0
	case fateErrorApplied:
		c.status = 500
	default:
		c.status = status
	}
}

func (a *api) create(_ *http.Request, c *call, t *table, in map[string]any) (int, *row, any, error) {
	if t.spec.Closed {
		return 0, nil, nil, &apiError{status: 405, code: "METHOD_NOT_ALLOWED", msg: t.spec.Name + " are made by the system alone"}
	}
	if in == nil {
		return 0, nil, nil, refuse("JSON_PARSER_ERROR", "", "a JSON object is needed")
	}
	if c.request != "" && a.idempotency {
		a.m.mu.RLock()
		r := t.rows[a.m.keys[c.request]]
		a.m.mu.RUnlock()
		if r != nil {
			return http.StatusOK, r, nil, nil
		}
	}
	c.will(http.StatusCreated)
	r, err := a.m.create(*c, t.spec.Name, in)
	return http.StatusCreated, r, nil, err
}

func (a *api) patch(r *http.Request, c *call, t *table, in map[string]any) (int, *row, any, error) {
	if t.spec.Closed {
		return 0, nil, nil, &apiError{status: 405, code: "METHOD_NOT_ALLOWED", msg: t.spec.Name + " are changed by the system alone"}
	}
	c.will(http.StatusOK)
	out, err := a.m.patch(*c, t.spec.Name, r.PathValue("id"), in, r.Header.Get("If-Match"))
	return http.StatusOK, out, nil, err
}

func (a *api) remove(r *http.Request, c *call, t *table, _ map[string]any) (int, *row, any, error) {
	if t.spec.Closed {
		return 0, nil, nil, &apiError{status: 405, code: "METHOD_NOT_ALLOWED", msg: t.spec.Name + " are deleted by the system alone"}
	}
	c.will(http.StatusNoContent)
	return http.StatusNoContent, nil, nil, a.m.remove(*c, t.spec.Name, r.PathValue("id"), r.Header.Get("If-Match"))
}

func (a *api) get(r *http.Request, _ *call, t *table, _ map[string]any) (int, *row, any, error) {
	a.m.mu.RLock()
	defer a.m.mu.RUnlock()
	out, err := a.m.current(t, r.PathValue("id"), "")
	return http.StatusOK, out, nil, err
}

// list answers a search by equal fields, or a page of changes by stamp.
func (a *api) list(r *http.Request, _ *call, t *table, _ map[string]any) (int, *row, any, error) {
	q, err := a.query(r, t)
	if err != nil {
		return 0, nil, nil, err
	}
	a.m.mu.RLock()
	defer a.m.mu.RUnlock()
	items := []json.RawMessage{}
	var at stamped
	if len(q.fields) > 0 {
		rows := t.find(q.fields, a.m.d)
		total := len(rows)
		for _, row := range rows {
			if row.stamp.Before(q.since) || len(items) == q.limit {
				continue
			}
			items = append(items, row.raw)
		}
		return http.StatusOK, nil, a.page(items, "", true, total), nil
	}
	done := true
	t.changed(q.since, q.after, func(row *row) bool {
		if row.deleted && !q.deleted {
			return true
		}
		if len(items) == q.limit {
			done = false
			return false
		}
		items = append(items, row.raw)
		at = stamped{row.stamp, row.id}
		return true
	})
	next := ""
	if !done {
		next = base64.RawURLEncoding.EncodeToString([]byte(stampText(at.at) + "|" + at.id))
	}
	return http.StatusOK, nil, a.page(items, next, done, len(t.ids)), nil
}

type listQuery struct {
	since   time.Time
	after   stamped
	limit   int
	deleted bool
	fields  map[string]string
}

func (a *api) query(r *http.Request, t *table) (listQuery, error) {
	q := listQuery{limit: 200, fields: map[string]string{}}
	for name, values := range r.URL.Query() {
		v := values[0]
		var err error
		switch name {
		case a.sinceParam:
			q.since, err = time.Parse(time.RFC3339, v)
		case "cursor":
			if v != "" {
				q.after, err = cursor(v)
			}
		case "limit":
			q.limit, err = strconv.Atoi(v)
			q.limit = min(max(q.limit, 1), 1000)
		case "includeDeleted":
			q.deleted, err = strconv.ParseBool(v)
		default:
			f := t.spec.field(name)
			if f == nil || f.Kind == kList || f.Kind == kObject {
				return q, refuse("INVALID_FIELD", name, "No such column '%s' on %s to search by", name, t.spec.Name)
			}
			q.fields[name] = v
		}
		if err != nil {
			return q, refuse("INVALID_QUERY_PARAMETER", name, "%s: %s cannot be read", name, shorten(v))
		}
	}
	return q, nil
}

func cursor(v string) (stamped, error) {
	raw, err := base64.RawURLEncoding.DecodeString(v)
	if err != nil {
		return stamped{}, err
	}
	stamp, id, _ := strings.Cut(string(raw), "|")
	at, err := time.Parse(time.RFC3339, stamp)
	return stamped{at, id}, err
}
