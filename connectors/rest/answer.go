package rest

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/httpclient"
	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// judge tells from an answer's content whether a call was carried out. Many services answer 200 and say in the body that they did nothing.
type judge struct {
	s     *system
	rules []rule
	// reading: the call changes nothing.
	reading bool
	// creating: a 409 means that the object is there, and a 404 that the collection is not.
	creating bool
	// sent is the document of a write: what it has a field for, an answer may have too.
	sent []byte
	// there reports whether an answer holds the list or object to read.
	there func(root jsondoc.Value) bool
	// call is what was asked, where a dialect reads the answer.
	call *Call
	// bare: the answer is the object or list itself, so that a code found in it where an error's would stand may be the object's own.
	bare bool
}

// writing makes the judge of a change.
func (s *system) writing(o *object, own *successRules, sent []byte) *judge {
	return &judge{s: s, rules: s.success(o, own), sent: sent}
}

// reader makes the judge of a read that expects a value of a kind at a path.
func (s *system) reader(o *object, path string, kind jsondoc.Kind, id string) *judge {
	return &judge{s: s, rules: s.success(o, nil), reading: true, bare: path == "", there: func(root jsondoc.Value) bool {
		v := at(root, path)
		return v.Kind() == kind && v.Index(0).Kind() != jsondoc.Array && (id == "" || at(v, id).Exists()) // lists of lists are no list of objects
	}}
}

// answer is the httpclient.Request's Judge.
func (j *judge) answer(resp *httpclient.Response, failed *fault.Error) *fault.Error {
	unread := j.read(resp, failed != nil)
	if failed != nil {
		if j.creating {
			failed.Duplicate = resp.Status == http.StatusConflict
			if failed.Kind == fault.NotFound {
				failed.Kind = fault.Invalid
			}
		}
		if f := j.spoken(resp, rootOf(resp), failed); f != nil {
			return f
		}
		j.s.explain(failed, resp)
		return failed
	}
	switch {
	case unread != nil:
		return unread
	case resp.Status < 200 || resp.Status > 299, resp.Status == http.StatusNoContent, resp.Status == http.StatusResetContent:
		return nil // there is no content, and the status stands
	}
	root, err := resp.JSON()
	if err != nil {
		return j.unread(resp)
	}
	return j.content(resp, root)
}

// content judges the content of an answer whose status is that of a success.
func (j *judge) content(resp *httpclient.Response, root jsondoc.Value) *fault.Error {
	if f := j.spoken(resp, root, nil); f != nil {
		return f
	}
	code, kind := j.s.meaning(resp.Status, root)
	if j.reading && j.bare && j.there(root) {
		kind = ""
	}
	if kind != "" {
		return j.refused(resp, root, code, kind, "")
	}
	if r, v := broken(j.rules, root, j.reading); r != nil {
		return j.refused(resp, root, code, cmp.Or(j.s.told(resp, root), "invalid"), fmt.Sprintf("the answer holds %s at %q", shown(v), r.path))
	}
	if why, kind := j.envelope(root); why != "" {
		return j.refused(resp, root, code, cmp.Or(j.s.told(resp, root), kind), why)
	}
	return nil
}

// unread judges an answer that is no JSON. Reads, and writes whose answer must be read, fail over it anyway.
func (j *judge) unread(resp *httpclient.Response) *fault.Error {
	if j.reading {
		return nil
	}
	said := bytes.TrimSpace(resp.Body)
	if r, _ := broken(j.rules, jsondoc.Value{}, false); r != nil {
		why := fmt.Sprintf("the answer is empty, and nothing says at %q whether it was done", r.path)
		if len(said) > 0 {
			why = fmt.Sprintf("the answer is no JSON, and nothing says at %q whether it was done: %s", r.path, j.s.client.Text(resp))
		}
		return fault.New(fault.UnknownOutcome, "%s", why)
	}
	if webPage(resp.Body) {
		return fault.New(fault.UnknownOutcome, "the answer is a web page: %s", j.s.client.Text(resp))
	}
	return nil
}

// webPage reports whether a body is a page for people.
func webPage(body []byte) bool {
	body = bytes.TrimSpace(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")))
	page := bytes.ToLower(body[:min(len(body), 14)])
	return bytes.HasPrefix(page, []byte("<!doctype html")) || bytes.HasPrefix(page, []byte("<html"))
}

// refused makes the failure of an answer whose status is that of a success.
func (j *judge) refused(resp *httpclient.Response, root jsondoc.Value, code, kind, why string) *fault.Error {
	f := fault.New(faultKinds[kind], "%s", j.s.words(resp, root))
	if why != "" {
		f.Err = fmt.Errorf("%w (%s)", f.Err, why)
	}
	f.Duplicate = kind == "duplicate"
	f.Code = j.s.codeOf(resp, code)
	return f
}

// envelope reads the forms of a refusal that stand in no doubt, also where no settings say how the service tells one: JSON-RPC, GraphQL, and a
// success or ok that is false.
func (j *judge) envelope(root jsondoc.Value) (why, kind string) {
	if root.Kind() != jsondoc.Object {
		return "", ""
	}
	if e := root.Get("error"); e.Exists() && root.Get("jsonrpc").Str() == "2.0" && !j.asks("error") {
		return "a JSON-RPC error", "invalid"
	}
	if list := root.Get("errors"); list.Len() > 0 && !j.asks("errors") && graphqlErrors(root, list) {
		for _, v := range root.Get("data").Members() {
			if v.Exists() && !j.reading {
				return "GraphQL errors beside data: a part may be done", "unknown-outcome"
			}
		}
		return "GraphQL errors", "invalid"
	}
	for _, name := range []string{"success", "ok"} {
		v := root.Get(name)
		if v.Kind() == jsondoc.Bool && !v.Bool() && !j.asks(name) && !j.own(root, name) {
			return name + " is false", "invalid"
		}
	}
	if j.reading && !j.there(root) && failing(root) {
		return "an error in place of what was asked for", "invalid"
	}
	return "", ""
}

// own reports whether a member of an answer can be the object's own field.
func (j *judge) own(root jsondoc.Value, name string) bool {
	if j.reading {
		return j.bare && j.there(root)
	}
	doc, err := jsondoc.Parse(j.sent, jsondoc.Limits{})
	return err == nil && doc.Root().Get(name).Kind() != jsondoc.Missing
}

// asks reports whether a rule of the settings judges a member: then that decides.
func (j *judge) asks(member string) bool {
	for _, r := range j.rules {
		if first, _, _ := strings.Cut(r.path, "."); first == member {
			return true
		}
	}
	return false
}

// graphqlErrors: an answer as the specification of GraphQL describes it, with errors that have a message.
func graphqlErrors(root, list jsondoc.Value) bool {
	for name := range root.Members() {
		if name != "data" && name != "errors" && name != "extensions" {
			return false
		}
	}
	return list.Kind() == jsondoc.Array && list.Index(0).Get("message").Kind() == jsondoc.String
}

// failing: the answer tells of an error, by the names that most services give one.
func failing(root jsondoc.Value) bool {
	for _, name := range []string{"error", "errors", "error_code", "errorCode", "error_message", "errorMessage"} {
		switch v := root.Get(name); v.Kind() {
		case jsondoc.Array, jsondoc.Object:
			if v.Len() > 0 {
				return true
			}
		default:
			if v.Truthy() {
				return true
			}
		}
	}
	return false
}

// rootOf reads an answer that may be no JSON.
func rootOf(resp *httpclient.Response) jsondoc.Value {
	root, _ := resp.JSON()
	return root
}

// explain puts the system's own code and text into a failure.
func (s *system) explain(f *fault.Error, resp *httpclient.Response) {
	root := rootOf(resp)
	code, kind := s.meaning(resp.Status, root)
	if s.set.Errors.Kinds[code] == "" { // a text says more than the status does
		kind = cmp.Or(s.told(resp, root), kind)
	}
	f.Code = s.codeOf(resp, code)
	if s.set.Errors.Message != "" && root.Kind() != jsondoc.Missing {
		f.Err = errors.New(s.words(resp, root))
	}
	if kind != "" {
		f.Kind, f.Duplicate = faultKinds[kind], kind == "duplicate"
	}
}

// meaning gives the system's own code, and the kind of failure that the settings give it, or else its status. Of several codes the first that has
// a meaning counts.
func (s *system) meaning(status int, root jsondoc.Value) (code, kind string) {
	es := &s.set.Errors
	for _, c := range es.codes(root) {
		if kind = es.Kinds[c]; c != "" && kind != "" {
			return c, kind
		}
		def(&code, c)
	}
	return code, es.Kinds[strconv.Itoa(status)]
}

// empty reports whether the settings read an answer as: there is nothing.
func (s *system) empty(status int, root jsondoc.Value) bool {
	_, kind := s.meaning(status, root)
	return kind == "empty"
}

// told is the kind of failure that the settings give a part of a refusal's text; empty: none of it has one.
func (s *system) told(resp *httpclient.Response, root jsondoc.Value) string {
	if len(s.set.Errors.Texts) == 0 {
		return ""
	}
	return s.set.Errors.told(s.words(resp, root))
}

// told is the kind of the first row of texts that fits.
func (es *errorSettings) told(said string) string {
	for _, row := range es.Texts {
		if strings.Contains(strings.ToLower(said), strings.ToLower(row.Text)) {
			return row.Kind
		}
	}
	return ""
}

// codeOf is a failure's code: the status, and the system's own.
func (s *system) codeOf(resp *httpclient.Response, code string) string {
	if code == "" {
		return strconv.Itoa(resp.Status)
	}
	return httpclient.Shorten(s.client.Scrub(strconv.Itoa(resp.Status)+" "+code), 80)
}

// words gives the system's own words: what stands at errors.message, or else what the answer says.
func (s *system) words(resp *httpclient.Response, root jsondoc.Value) string {
	var said []string
	if path := s.set.Errors.Message; path != "" {
		for _, v := range either(root, path) {
			msg := text(v)
			if (v.Kind() == jsondoc.Array || v.Kind() == jsondoc.Object) && v.Len() > 0 {
				msg = string(v.Raw())
			}
			if msg != "" {
				said = append(said, msg)
			}
		}
	}
	if len(said) > 0 {
		return httpclient.Shorten(s.client.Scrub(oneLine(strings.Join(said, "; "))), 300)
	}
	if text := s.client.Text(resp); text != "" {
		return text
	}
	return http.StatusText(resp.Status)
}

// oneLine gives text without line ends and runs of blanks.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// shown tells a value to people.
func shown(v jsondoc.Value) string {
	if v.Kind() == jsondoc.Missing {
		return "nothing"
	}
	return httpclient.Shorten(string(v.Raw()), 80)
}
