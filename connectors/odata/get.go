package odata

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/httpclient"
	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// item is one object of an answer. One that is no acceptable JSON is null, and bad says what is wrong with it.
type item struct {
	jsondoc.Value
	bad *jsondoc.Broken
	// lists are those of its lists that were cut, read apart.
	lists map[string][]jsondoc.Value
	// etag is that of the answer's header, where the answer is the object.
	etag string
}

// get reads one object; nil when there is none.
func (s *system) get(ctx context.Context, b *bound, local, op string) (*item, error) {
	path, err := b.path(local)
	if err != nil {
		return nil, nil //nolint:nilerr // no object has an id that cannot be a key of its set
	}
	if b.shape != "" {
		path += "?" + b.shape
	}
	resp, err := s.do(ctx, b.svc, b.m, httpclient.Request{Method: http.MethodGet, Path: b.svc.at(path), Header: b.accept(), Op: op, Judge: (&judge{s: s, reading: true}).answer})
	if err != nil {
		if fault.KindOf(err) == fault.NotFound {
			return nil, nil
		}
		return nil, err
	}
	root, err := s.parse(op, resp)
	if err != nil {
		return nil, err
	}
	it := &item{Value: b.m.inner(root), etag: resp.Header.Get("ETag")}
	if it.Kind() != jsondoc.Object {
		return nil, s.fail(fault.Invalid, op, "the answer holds no object: %s", s.client.Text(resp))
	}
	if _, err := b.keyIn(it.Value); err != nil {
		return nil, s.fail(fault.Invalid, op, "the answer is no %s: %s", short(b.typ.name), err)
	}
	return it, s.complete(ctx, b, it, op)
}

// parse reads the answer to a read. Something else in its place, such as a page for logging in, is in the way of every message alike.
func (s *system) parse(op string, resp *httpclient.Response) (jsondoc.Value, error) {
	root, err := resp.JSON()
	switch {
	case err == nil:
		return root, nil
	case len(strings.TrimSpace(string(resp.Body))) == 0:
		return jsondoc.Value{}, s.fail(fault.Unavailable, op, "the answer is empty")
	case webPage(resp.Body):
		return jsondoc.Value{}, s.fail(fault.Unavailable, op, "the answer is a web page: %s", s.client.Text(resp))
	}
	return jsondoc.Value{}, s.fail(fault.Invalid, op, "the answer is no JSON: %s", err)
}

// inner takes V2's outermost wrapper off.
func (m *metadata) inner(root jsondoc.Value) jsondoc.Value {
	if d := root.Get("d"); m.version == 2 && d.Kind() != jsondoc.Missing {
		return d
	}
	return root
}

// token is an object's concurrency token.
func (it *item) token() string {
	for _, v := range []jsondoc.Value{it.Get("@odata.etag"), it.Get("@etag"), it.Get("__metadata").Get("etag")} {
		if v.Kind() == jsondoc.String {
			return v.Str()
		}
	}
	return it.etag
}

// record makes a record of an object. One that cannot be read as it is holds why, and as much beside it as can be told.
func (s *system) record(b *bound, it *item, op string) connector.Record {
	if it.bad != nil {
		r := connector.Record{Local: b.peek(it.bad)}
		if doc, err := jsondoc.Parse(jsondoc.Repair(it.bad.Raw), jsondoc.Limits{Bytes: 2*len(it.bad.Raw) + 16}); err == nil {
			r = s.record(b, &item{Value: doc.Root()}, op)
		}
		r.Err = s.fail(fault.Invalid, op, "the object cannot be read: %s", it.bad.Err)
		return r
	}
	r := connector.Record{ETag: it.token(), Deleted: b.deleted != nil && it.Get(b.Deleted).Truthy()}
	k, err := b.keyIn(it.Value)
	if err == nil {
		r.Local = k.local()
	}
	if b.changed != nil {
		version, bad := b.m.text(b.changed, it.Get(b.Changed))
		if r.Version = b.normal(version); err == nil {
			err = bad
		}
	}
	if err == nil {
		r.Doc, err = b.m.document(make([]byte, 0, len(it.Raw())), it.Value, b.typ, it.lists)
	}
	if err != nil {
		r.Doc, r.Err = it.Raw(), s.refuse(op, err)
	}
	return r
}

// peek gives the id of an object that is no acceptable JSON, as far as it can be told.
func (b *bound) peek(bad *jsondoc.Broken) string {
	if k, ok := b.peekKey(bad); ok {
		return k.local()
	}
	return ""
}

func (b *bound) peekKey(bad *jsondoc.Broken) (key, bool) {
	k := key{m: b.m, parts: b.keys}
	for _, p := range b.keys {
		doc, err := jsondoc.Parse(jsondoc.AppendString(nil, jsondoc.Peek(bad.Raw, p.name)), jsondoc.Limits{})
		if err != nil {
			return k, false
		}
		text, err := b.m.text(p, doc.Root())
		if err != nil || text == "" {
			return k, false
		}
		k.values = append(k.values, text)
	}
	return k, true
}

// normal gives a version in a form that event.CompareVersions orders: digits, or RFC 3339 in UTC.
func (b *bound) normal(version string) string {
	if b.changed == nil {
		return ""
	}
	switch b.changed.kind {
	case dateType, clockType, instantType:
		if t, err := clock(version); err == nil {
			return t.Format(time.RFC3339Nano)
		}
	}
	return version
}

// stamp is the connector.Window's way to read versions as times.
func stamp(version string) (time.Time, connector.StampKind) {
	if t, err := time.Parse(time.RFC3339Nano, version); err == nil {
		return t, connector.TimeStamp
	}
	if version != "" && strings.Trim(version, "0123456789") == "" {
		return time.Time{}, connector.NumberStamp
	}
	return time.Time{}, connector.NoStamp
}

// newer reports whether a is a later version than b.
func newer(a, b string) bool { return event.CompareVersions(a, b) > 0 }
