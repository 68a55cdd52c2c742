package httpclient

import (
	"strings"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// maxAnswer is how much of an answer is kept for people who want to know later what a system said.
const maxAnswer = 64 << 10

// Answer is what is kept of an answer: its body, without secrets, up to 64 KiB.
func (c *Client) Answer(r *Response) []byte {
	if r == nil || len(r.Body) == 0 {
		return nil
	}
	text := c.Scrub(strings.ToValidUTF8(string(r.Body), "\uFFFD")) // before it is cut: half a secret would not be found
	if len(text) > maxAnswer {
		text = strings.ToValidUTF8(text[:maxAnswer], "") + "…"
	}
	return []byte(text)
}

// fieldNames are where JSON services name the field that they do not take, and fieldLists where they name several; the first is told.
var (
	fieldNames = []string{"field", "fieldName", "field_name", "propertyPath", "property", "param", "target", "pointer", "path", "attribute", "loc"}
	errorLists = []string{"errors", "error", "details", "violations", "invalid-params", "invalidParams", "fieldErrors", "field_errors", "validationErrors", "innererror",
		"errordetails", "source", "detail", "issues", "0"}
)

// refusedField is the field that an answer names as the one that was refused; empty where it names none. It knows the forms of OData, JSON:API, RFC
// 9457, Salesforce, Stripe, Django, Laravel and those like them.
func (r *Response) refusedField() string {
	if r == nil || r.Status >= 200 && r.Status < 300 && len(r.Body) > maxRead {
		return ""
	}
	root, err := r.JSON()
	if err != nil {
		return ""
	}
	return fieldIn(root, 0, false)
}

// fieldIn looks in v, and in what tells more of the error below it. inside: v stands where errors do.
func fieldIn(v jsondoc.Value, depth int, inside bool) string {
	if depth > 5 {
		return ""
	}
	switch v.Kind() {
	case jsondoc.Array:
		n := 0
		for e := range v.Elements() {
			if f := fieldIn(e, depth+1, true); f != "" {
				return f
			}
			if n++; n == 20 {
				break
			}
		}
		return ""
	case jsondoc.Object:
	default:
		return ""
	}
	if inside {
		for _, name := range fieldNames {
			if f := fieldText(v.Get(name)); f != "" {
				return f
			}
		}
		if f := v.Get("fields"); f.Kind() == jsondoc.Array && f.Index(0).Kind() == jsondoc.String {
			return f.Index(0).Str()
		}
	}
	for _, name := range errorLists {
		if f := fieldIn(v.Get(name), depth+1, true); f != "" {
			return f
		}
	}
	for _, name := range []string{"errors", "fieldErrors", "field_errors", "validationErrors"} {
		if f := fieldOfMap(v.Get(name)); f != "" {
			return f
		}
	}
	return ""
}

// fieldOfMap reads {"email": ["is not valid"]}.
func fieldOfMap(v jsondoc.Value) string {
	if v.Kind() != jsondoc.Object {
		return ""
	}
	for name, m := range v.Members() {
		said := m.Kind() == jsondoc.String || m.Kind() == jsondoc.Array && (m.Index(0).Kind() == jsondoc.String || m.Index(0).Get("message").Kind() == jsondoc.String)
		if said && name != "message" && name != "code" && name != "title" && name != "detail" && name != "status" {
			return name
		}
	}
	return ""
}

// fieldText is a field's name as text; Python services write a list of steps.
func fieldText(v jsondoc.Value) string {
	switch v.Kind() {
	case jsondoc.String:
		if s := v.Str(); len(s) <= 200 && !strings.Contains(s, "://") && !strings.ContainsAny(s, " \t\n") {
			return s
		}
	case jsondoc.Array:
		var steps []string
		for e := range v.Elements() {
			if e.Kind() == jsondoc.String {
				steps = append(steps, e.Str())
			} else {
				steps = append(steps, string(e.Raw()))
			}
		}
		if s := strings.Join(steps, "."); len(steps) > 0 && len(s) <= 200 && !strings.ContainsAny(s, " {[") {
			return s
		}
	}
	return ""
}
