package odata

import (
	"bytes"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/httpclient"
	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// said is what an answer tells of a failure, in the forms of V2 and V4.
type said struct {
	codes []string // the service's own, the outermost first
	texts []string
	field string
}

// maxSaid is how many of a failure's details are told.
const maxSaid = 5

// tells reads the error in an answer; ok is false where it holds none.
func tells(root jsondoc.Value) (s said, ok bool) {
	e := root.Get("error")
	if e.Kind() != jsondoc.Object {
		return s, false
	}
	s.add(e)
	for _, list := range []jsondoc.Value{e.Get("details"), e.GetPath("innererror.errordetails")} {
		switch list.Kind() {
		case jsondoc.Array:
			for i := range min(list.Len(), maxSaid) {
				s.add(list.Index(i))
			}
		case jsondoc.Object: // some services put one alone there, or wrap the list once more
			if one := list.Get("errordetail"); one.Kind() != jsondoc.Missing {
				list = one
			}
			for i := range min(list.Len(), maxSaid) {
				s.add(list.Index(i))
			}
			s.add(list)
		}
	}
	return s, true
}

// add reads one error or one of its details. A message is a text, or in V2 an object with the language and the text.
func (s *said) add(e jsondoc.Value) {
	if e.Kind() != jsondoc.Object {
		return
	}
	if code := scalar(e.Get("code")); code != "" && !slices.Contains(s.codes, code) {
		s.codes = append(s.codes, code)
	}
	text := e.Get("message")
	if text.Kind() == jsondoc.Object {
		text = text.Get("value")
	}
	t := strings.Join(strings.Fields(text.Str()), " ")
	field := strings.TrimPrefix(scalar(e.Get("target")), "/#TRANSIENT#")
	for _, other := range []string{"propertyref", "target"} {
		if field == "" {
			field = strings.TrimPrefix(scalar(e.Get(other)), "/#TRANSIENT#")
		}
	}
	if field = strings.Trim(field, "/"); s.field == "" {
		s.field = field
	}
	if t != "" && !slices.Contains(s.texts, t) {
		s.texts = append(s.texts, t)
	}
}

func scalar(v jsondoc.Value) string {
	switch v.Kind() {
	case jsondoc.String:
		return v.Str()
	case jsondoc.Number:
		return string(v.Raw())
	}
	return ""
}

// exists are codes of services for "there is such an object".
var exists = []string{"ENTITY_ALREADY_EXISTS", "UNIQUE_CONSTRAINT_VIOLATION", "DuplicateKey", "RecordExists"}

// judge tells whether a call was carried out.
type judge struct {
	s *system
	// reading: the call changes nothing. creating: a refusal may mean that the object is there, and a 404 that the set is not.
	reading, creating bool
	// line: the call is about a line of an object, so that what is wrong with the line is nothing that is wrong with the object.
	line bool
}

// answer is the httpclient.Request's Judge.
func (j *judge) answer(resp *httpclient.Response, failed *fault.Error) *fault.Error {
	root, err := resp.JSON()
	told, is := tells(root)
	if failed == nil {
		switch {
		case is: // in an answer whose status is that of a success
			failed = fault.New(fault.Invalid, "the answer is an error all the same")
		case resp.Status == http.StatusAccepted && !j.reading:
			return fault.New(fault.UnknownOutcome, "the service has put the change off (202), and nobody knows what becomes of it")
		case err != nil && !j.reading && webPage(resp.Body):
			return fault.New(fault.UnknownOutcome, "the answer is a web page: %s", j.s.client.Text(resp))
		default:
			return nil
		}
	}
	if is && len(told.texts) > 0 {
		failed.Err = errors.New(httpclient.Shorten(j.s.client.Scrub(strings.Join(told.texts, "; ")), 300))
	} else if is {
		failed.Err = errors.New(j.s.client.Text(resp))
	}
	if told.field != "" {
		failed.Field = httpclient.Shorten(j.s.client.Scrub(told.field), 200)
	}
	status := strconv.Itoa(resp.Status)
	failed.Code = status
	if len(told.codes) > 0 && told.codes[0] != status {
		failed.Code = httpclient.Shorten(j.s.client.Scrub(status+" "+told.codes[0]), 80)
	}
	j.means(failed, resp.Status, told.codes)
	return failed
}

// means gives a failure its kind: what the settings say of its codes, or else of its status, or else what the protocol says.
func (j *judge) means(failed *fault.Error, status int, codes []string) {
	kinds := j.s.set.Errors.Kinds
	for _, code := range append(slices.Clone(codes), strconv.Itoa(status)) {
		if kind := kinds[code]; kind != "" {
			failed.Kind, failed.Duplicate = faultKinds[kind], kind == "duplicate"
			return
		}
	}
	switch {
	case j.creating && (status == http.StatusConflict || status == http.StatusPreconditionFailed || slices.ContainsFunc(codes, func(c string) bool { return slices.Contains(exists, c) })):
		failed.Kind, failed.Duplicate = fault.Conflict, true
	case j.creating && failed.Kind == fault.NotFound:
		failed.Kind = fault.Invalid
	}
	if j.line { // the object is there, and has changed since its lines were read
		if failed.Kind == fault.NotFound || failed.Duplicate {
			failed.Kind, failed.Duplicate = fault.Conflict, false
		}
	}
}

// webPage reports whether a body is a page for people.
func webPage(body []byte) bool {
	body = bytes.TrimSpace(body)
	page := bytes.ToLower(body[:min(len(body), 14)])
	return bytes.HasPrefix(page, []byte("<!doctype html")) || bytes.HasPrefix(page, []byte("<html"))
}
