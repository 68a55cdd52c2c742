package webhook

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/waybill-hub/waybill/internal/inbox"
	"github.com/waybill-hub/waybill/internal/jsondoc"
)

const mediaForm = "application/x-www-form-urlencoded"

// takes reports whether bodies of the media type are read at this webhook.
func (k *hook) takes(media string) bool {
	return k.scheme.media(media) || slices.Contains(k.ContentTypes, media)
}

func unwanted(media string) *refusal {
	return &refusal{status: http.StatusUnsupportedMediaType, detail: fmt.Sprintf(
		"the Content-Type %.80q is not one that this source sends: send application/json, or list it in the flow under from.webhook.content-types", media)}
}

// document is the JSON of a verified body: without a byte order mark, and out of the form that it may stand in.
func (k *hook) document(media string, body []byte) ([]byte, error) {
	body, err := utf8Text(body)
	if err != nil {
		return nil, &refusal{status: http.StatusUnsupportedMediaType, detail: err.Error()}
	}
	if media == mediaForm {
		return formDocument(body, k.FormField)
	}
	return body, nil
}

// byteOrderMark stands before the texts of .NET, SharePoint and others; JSON has none (RFC 8259 lets readers skip it).
var byteOrderMark = []byte("\xef\xbb\xbf")

var errUTF16 = errors.New("the body is UTF-16: send UTF-8")

// utf8Text gives the text without its byte order mark. UTF-16, with or without a mark, is an error by that name: what JSON begins
// with is ASCII, so that one of its first two bytes is zero there and nowhere else.
func utf8Text(b []byte) ([]byte, error) {
	if len(b) >= 2 && (b[0] == 0xfe && b[1] == 0xff || b[0] == 0xff && b[1] == 0xfe || (b[0] == 0) != (b[1] == 0)) {
		return nil, errUTF16
	}
	return bytes.TrimPrefix(b, byteOrderMark), nil
}

const maxFormFields = 1000

// formDocument is what a form holds: the JSON of one field, or all fields as an object of texts, and of lists of texts where a field
// is given more than once.
func formDocument(body []byte, field string) ([]byte, error) {
	if bytes.Count(body, []byte("&")) >= maxFormFields {
		return nil, malformed("the form has more than %d fields", maxFormFields)
	}
	form, err := url.ParseQuery(strings.TrimSpace(string(body)))
	if err != nil {
		return nil, malformed("the body is no form: %v", err)
	}
	if field != "" {
		if v := form[field]; len(v) == 1 {
			return []byte(v[0]), nil
		}
		return nil, malformed("the form has the field %s %d times: it is to hold the JSON once", field, len(form[field]))
	}
	out := []byte{'{'}
	for i, name := range slices.Sorted(maps.Keys(form)) {
		for _, text := range append([]string{name}, form[name]...) {
			if !utf8.ValidString(text) {
				return nil, malformed("the form's field %.40q is not UTF-8", name)
			}
		}
		if i > 0 {
			out = append(out, ',')
		}
		out = append(jsondoc.AppendString(out, name), ':')
		values := form[name]
		if len(values) == 1 {
			out = jsondoc.AppendString(out, values[0])
			continue
		}
		for j, v := range values {
			out = jsondoc.AppendString(append(out, "[,"[min(j, 1)]), v)
		}
		out = append(out, ']')
	}
	return append(out, '}'), nil
}

// fingerprint is what the bodies of two deliveries of one id are compared by: their values, so that neither the order of members nor blanks
// make another body of it, without the paths that a sender changes when it sends the same again.
func fingerprint(v jsondoc.Value, without [][]string) ([]byte, error) {
	if len(without) > 0 {
		d := jsondoc.Get()
		defer jsondoc.Put(d)
		if err := d.Reset(appendWithout(nil, v, without), inbox.DocumentLimits); err != nil {
			return nil, err
		}
		v = d.Root()
	}
	sum := jsondoc.Hash(v)
	return sum[:], nil
}

// appendWithout writes v without what stands at the paths. A path goes into every element of a list.
func appendWithout(dst []byte, v jsondoc.Value, paths [][]string) []byte {
	switch {
	case len(paths) == 0:
		return append(dst, v.Raw()...)
	case v.Kind() == jsondoc.Array:
		dst = append(dst, '[')
		i := 0
		for e := range v.Elements() {
			if i++; i > 1 {
				dst = append(dst, ',')
			}
			dst = appendWithout(dst, e, paths)
		}
		return append(dst, ']')
	case v.Kind() == jsondoc.Object:
		return appendMembers(dst, v, paths)
	}
	return append(dst, v.Raw()...)
}

func appendMembers(dst []byte, v jsondoc.Value, paths [][]string) []byte {
	dst = append(dst, '{')
	first := true
	for name, value := range v.Members() {
		var below [][]string
		gone := false
		for _, p := range paths {
			if p[0] != name {
				continue
			}
			if gone = gone || len(p) == 1; len(p) > 1 {
				below = append(below, p[1:])
			}
		}
		if gone {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = appendWithout(append(jsondoc.AppendString(dst, name), ':'), value, below)
	}
	return append(dst, '}')
}
