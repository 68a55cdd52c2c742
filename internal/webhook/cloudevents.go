package webhook

import (
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/waybill-hub/waybill/internal/inbox"
	"github.com/waybill-hub/waybill/internal/jsondoc"
)

const (
	mediaEvent = "application/cloudevents+json"
	mediaBatch = "application/cloudevents-batch+json"
)

// newCloudEvents is the CloudEvents HTTP binding in its three modes. CloudEvents say nothing of who sent them: beside them goes
// a digest, where Header is set, or else a bearer token.
func newCloudEvents(v Verify) (*scheme, error) {
	build := newBearer
	if v.Header != "" && !strings.EqualFold(v.Header, "Authorization") {
		build = newHMAC
	}
	s, err := build(v)
	if err != nil {
		return nil, err
	}
	s.unpack = unpackEvents
	s.methods = []string{http.MethodOptions}
	s.greets = nil // the hook adds its own, because it knows the rate
	s.media = func(m string) bool { return m == mediaEvent || m == mediaBatch || isJSON(m) }
	return s, nil
}

// unpackEvents reads the mode from the media type and gives every event's data as a document, named by source and id, with
// the attributes as headers: ce-type, ce-subject, ….
func unpackEvents(r *request) ([]delivery, error) {
	switch r.media {
	case mediaEvent, mediaBatch:
		d := jsondoc.Get()
		defer jsondoc.Put(d)
		if err := d.Reset(r.body, inbox.DocumentLimits); err != nil {
			return nil, notJSON(err)
		}
		root := d.Root()
		if r.media == mediaEvent {
			one, err := structuredEvent(root)
			return []delivery{one}, err
		}
		if root.Kind() != jsondoc.Array {
			return nil, malformed("a batch of events is an array, not %s", root.Kind())
		}
		out := make([]delivery, 0, root.Len())
		for v := range root.Elements() {
			one, err := structuredEvent(v)
			if err != nil {
				return nil, fmt.Errorf("event %d: %w", len(out)+1, err)
			}
			out = append(out, one)
		}
		return out, nil
	}
	d, err := binaryEvent(r)
	return []delivery{d}, err
}

// binaryEvent is the mode with the attributes in headers.
func binaryEvent(r *request) (delivery, error) {
	attrs := map[string]string{}
	for name, values := range r.header {
		if len(name) <= 3 || !strings.EqualFold(name[:3], "ce-") {
			continue
		}
		if len(values) != 1 {
			return delivery{}, malformed("the header %s is given more than once", name)
		}
		value, err := decodeHeader(values[0])
		if err != nil {
			return delivery{}, malformed("the header %s: %v", name, err)
		}
		attrs[strings.ToLower(name[3:])] = value
	}
	return newEvent(attrs, r.body)
}

// structuredEvent is the mode with attributes and data in one JSON object.
func structuredEvent(v jsondoc.Value) (delivery, error) {
	if v.Kind() != jsondoc.Object {
		return delivery{}, malformed("an event is an object, not %s", v.Kind())
	}
	attrs := map[string]string{}
	var data []byte
	for name, value := range v.Members() {
		switch {
		case name == "data":
			data = value.Raw()
		case name == "data_base64":
			decoded, err := base64.StdEncoding.DecodeString(value.Str())
			if err != nil || value.Kind() != jsondoc.String {
				return delivery{}, malformed("data_base64 is not base64")
			}
			data = decoded
		case value.Kind() == jsondoc.String:
			attrs[name] = value.Str()
		case value.Kind() == jsondoc.Number, value.Kind() == jsondoc.Bool:
			attrs[name] = string(value.Raw())
		case value.Kind() == jsondoc.Null:
		default:
			return delivery{}, malformed("the attribute %.40q is %s; attributes are texts, numbers or booleans", name, value.Kind())
		}
	}
	if v.Get("data").Exists() && v.Get("data_base64").Exists() {
		return delivery{}, malformed("an event has data or data_base64, not both")
	}
	if media := attrs["datacontenttype"]; media != "" {
		if m, _, err := mime.ParseMediaType(media); err != nil || !isJSON(m) {
			return delivery{}, &refusal{status: http.StatusUnsupportedMediaType, detail: "the event's data must be JSON"}
		}
	}
	return newEvent(attrs, data)
}

// newEvent checks what the specification demands of the attributes. An event without data is the document null.
func newEvent(attrs map[string]string, data []byte) (delivery, error) {
	if v := attrs["specversion"]; v != "1.0" {
		return delivery{}, malformed("specversion is %.20q; only 1.0 is read", v)
	}
	for _, name := range []string{"id", "source", "type"} {
		if attrs[name] == "" {
			return delivery{}, malformed("the attribute %s is missing", name)
		}
	}
	for name := range maps.Keys(attrs) {
		if strings.ContainsFunc(name, func(c rune) bool { return (c < 'a' || c > 'z') && (c < '0' || c > '9') }) {
			return delivery{}, malformed("the attribute name %.40q has other characters than a-z and 0-9", name)
		}
	}
	data, err := utf8Text(data)
	if err != nil {
		return delivery{}, malformed("the event's data: %v", err)
	}
	if len(data) == 0 {
		data = []byte("null")
	}
	d := delivery{id: attrs["source"] + "/" + attrs["id"], body: data, trace: attrs["traceparent"], headers: make(map[string]string, len(attrs)+1)}
	for name, value := range attrs {
		d.headers["ce-"+name] = value
	}
	if at := attrs["time"]; at != "" {
		d.headers[inbox.HeaderTime] = at
	}
	return d, nil
}

// decodeHeader undoes the binding's encoding of header values: quotes, then percent signs, then UTF-8.
func decodeHeader(s string) (string, error) {
	s = strings.TrimSpace(s)
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
		var b strings.Builder
		for i := 1; i < len(s)-1; i++ {
			if s[i] == '\\' && i < len(s)-2 {
				i++
			}
			b.WriteByte(s[i])
		}
		s = b.String()
	}
	if strings.IndexByte(s, '%') >= 0 {
		b := make([]byte, 0, len(s))
		for i := 0; i < len(s); i++ {
			if s[i] != '%' {
				b = append(b, s[i])
				continue
			}
			if i+2 >= len(s) {
				return "", errors.New("a percent sign stands without its two digits")
			}
			hi, lo := unhex(s[i+1]), unhex(s[i+2])
			if hi > 15 || lo > 15 {
				return "", errors.New("a percent sign stands without its two digits")
			}
			b = append(b, hi<<4|lo)
			i += 2
		}
		s = string(b)
	}
	if !utf8.ValidString(s) {
		return "", errors.New("it is not UTF-8")
	}
	return s, nil
}

func unhex(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	}
	return 16
}
