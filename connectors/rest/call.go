package rest

import (
	"bytes"
	"fmt"
	"strconv"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/httpclient"
	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// parse reads an answer's body.
func (s *system) parse(op string, resp *httpclient.Response, safe bool) (jsondoc.Value, error) {
	root, err := resp.JSON()
	if err == nil {
		return root, nil
	}
	kind := fault.UnknownOutcome // something came of it, and this is not what
	switch {
	case safe && (webPage(resp.Body) || len(bytes.TrimSpace(resp.Body)) == 0):
		kind = fault.Unavailable // a page for people, such as a login's or one of a maintenance, or nothing: no message is at fault
	case safe:
		kind = fault.Invalid
	}
	f := s.fail(kind, op, "the answer is no JSON: %s", err)
	if said := s.client.Text(resp); said != "" {
		f.Err = fmt.Errorf("%w: %s", f.Err, said)
	}
	f.Code = strconv.Itoa(resp.Status)
	return jsondoc.Value{}, f
}

// parseList reads an answer that holds a list at a path. Elements of it that are no acceptable JSON are null, and broken holds them by their index.
func (s *system) parseList(op string, resp *httpclient.Response, path string) (root jsondoc.Value, broken map[int]jsondoc.Broken, err error) {
	if _, bad := resp.JSON(); bad != nil {
		if doc, found, ok := jsondoc.Salvage(resp.Body, path, jsondoc.Limits{Bytes: len(resp.Body) + 1}); ok {
			if d, err := jsondoc.Parse(doc, jsondoc.Limits{Bytes: len(doc) + 1}); err == nil {
				return d.Root(), found, nil
			}
		}
	}
	root, err = s.parse(op, resp, true)
	return root, nil, err
}

// recordOf makes a record of an object of a list. What cannot be read as it is has an Err, and as much beside it as can be told.
func (s *system) recordOf(op string, o *object, v item, now time.Time) connector.Record {
	if v.bad == nil {
		rec := o.record(v.Value, "", now)
		if rec.Local == "" {
			rec.Err = s.fail(fault.Invalid, op, "an object of the list holds no id at %q", o.ID)
		} else {
			rec.Err = s.wrong(op, o, v.Value)
		}
		return rec
	}
	rec := connector.Record{Local: jsondoc.Peek(v.bad.Raw, o.ID), Doc: v.bad.Raw}
	if o.Version != "" {
		rec.Version = o.normal(jsondoc.Peek(v.bad.Raw, o.Version))
	}
	if doc, err := jsondoc.Parse(jsondoc.Repair(v.bad.Raw), jsondoc.Limits{Bytes: 2*len(v.bad.Raw) + 16}); err == nil {
		rec = o.record(doc.Root(), "", now)
	}
	rec.Err = s.fail(fault.Invalid, op, "%s", v.bad.Err)
	return rec
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
		if r.Deleted = d.Truthy(); o.DeletedValue != "" {
			r.Deleted = text(d) == o.DeletedValue // which may be false, or 0
		}
	}
	return r
}

// etag gives the concurrency token; header is the answer's ETag where the answer holds this one object.
func (o *object) etag(v jsondoc.Value, header string) string {
	switch o.ETag {
	case "header":
		return header
	case "field", etagPlaced:
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
