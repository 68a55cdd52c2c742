package rest

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/httpclient"
	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// do makes the call and reads a failure's body as the settings say.
func (s *system) do(ctx context.Context, r httpclient.Request) (*httpclient.Response, error) {
	resp, err := s.client.Do(ctx, r)
	if err != nil && resp != nil {
		s.explain(err, resp)
	}
	return resp, err
}

// explain puts the system's own code and text into a failure.
func (s *system) explain(err error, resp *httpclient.Response) {
	f, ok := fault.As(err)
	if !ok {
		return
	}
	es := &s.set.Errors
	status := strconv.Itoa(resp.Status)
	kind := es.Kinds[status]
	if doc, perr := jsondoc.Parse(resp.Body, jsondoc.Limits{}); perr == nil {
		if es.Code != "" {
			if code := text(at(doc.Root(), es.Code)); code != "" {
				f.Code = s.client.Scrub(shorten(status+" "+code, 80))
				if k := es.Kinds[code]; k != "" {
					kind = k
				}
			}
		}
		if es.Message != "" {
			if msg := text(at(doc.Root(), es.Message)); msg != "" {
				f.Err = errors.New(s.client.Scrub(shorten(msg, 300)))
			}
		}
	}
	if kind != "" {
		f.Kind, f.Duplicate = faultKinds[kind], kind == "duplicate"
	}
}

// parse reads an answer's body.
func (s *system) parse(op string, resp *httpclient.Response, safe bool) (jsondoc.Value, error) {
	doc, err := jsondoc.Parse(resp.Body, jsondoc.Limits{Bytes: len(resp.Body) + 1})
	if err == nil {
		return doc.Root(), nil
	}
	kind := fault.UnknownOutcome // something came of it, and this is not what
	if safe {
		kind = fault.Invalid
	}
	f := s.fail(kind, op, "the answer is no JSON: %s", err)
	f.Code = strconv.Itoa(resp.Status)
	return jsondoc.Value{}, f
}

// record makes a record of one object as the system shows it. A version that is a local time which comes twice is taken for the second
// one if that is not after now.
func (o *object) record(v jsondoc.Value, header string, now time.Time) connector.Record {
	r := connector.Record{Local: text(at(v, o.ID)), Doc: v.Raw(), Version: o.version(v), ETag: o.etag(v, header)}
	if _, second, ok := o.twice(v); ok && !second.After(now) {
		r.Version = o.written(second)
	}
	if o.Deleted != "" {
		d := at(v, o.Deleted)
		r.Deleted = truthy(d) && (o.DeletedValue == "" || text(d) == o.DeletedValue)
	}
	return r
}

// etag gives the concurrency token; header is the answer's ETag where the answer holds this one object.
func (o *object) etag(v jsondoc.Value, header string) string {
	switch o.ETag {
	case "header":
		return header
	case "field":
		return text(at(v, o.ETagField))
	case "body":
		return string(at(v, o.ETagField).Raw()) // a number goes back as a number
	}
	return ""
}

// version gives the object's version in a form that event.CompareVersions orders.
func (o *object) version(v jsondoc.Value) string {
	if o.Version == "" {
		return ""
	}
	return o.normal(text(at(v, o.Version)))
}

// twice gives the two instants of an object's version where it is a local time that comes twice.
func (o *object) twice(v jsondoc.Value) (first, second time.Time, ok bool) {
	if o.Version == "" {
		return first, second, false
	}
	first, second, ok = o.instants(text(at(v, o.Version)))
	return first, second, ok && first.Before(second)
}

func newer(a, b string) bool { return event.CompareVersions(a, b) > 0 }

func shorten(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-3]) + "..."
	}
	return s
}
