package rest

import (
	"strconv"
	"strings"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// at follows a dotted path: names of members, and numbers in lists. A member whose name holds the dots wins
// (@odata.etag); the empty path is the value itself.
func at(v jsondoc.Value, path string) jsondoc.Value {
	for path != "" {
		if w := v.Get(path); w.Kind() != jsondoc.Missing {
			return w
		}
		step, rest, _ := strings.Cut(path, ".")
		if v.Kind() == jsondoc.Array {
			i, err := strconv.Atoi(step)
			if err != nil {
				return jsondoc.Value{}
			}
			v = v.Index(i)
		} else {
			v = v.Get(step)
		}
		path = rest
	}
	return v
}

// text gives a string's text, or a number or boolean as it stands; "" for everything else.
func text(v jsondoc.Value) string {
	switch v.Kind() {
	case jsondoc.String:
		return v.Str()
	case jsondoc.Number, jsondoc.Bool:
		return string(v.Raw())
	}
	return ""
}

// merge appends base with patch laid over it: objects member by member, everything else replaced. Members named in omit
// are left out of the result; they are looked for at the top only.
func merge(dst []byte, base, patch jsondoc.Value, omit map[string]bool) []byte {
	if base.Kind() != jsondoc.Object || patch.Kind() != jsondoc.Object {
		return append(dst, patch.Raw()...)
	}
	dst = append(dst, '{')
	member := func(name string) {
		if dst[len(dst)-1] != '{' {
			dst = append(dst, ',')
		}
		dst = append(jsondoc.AppendString(dst, name), ':')
	}
	for name, v := range base.Members() {
		if omit[name] {
			continue
		}
		w := patch.Get(name)
		member(name)
		if w.Kind() == jsondoc.Missing {
			dst = append(dst, v.Raw()...)
			continue
		}
		dst = merge(dst, v, w, nil)
	}
	for name, w := range patch.Members() {
		if base.Get(name).Kind() == jsondoc.Missing && !omit[name] {
			member(name)
			dst = append(dst, w.Raw()...)
		}
	}
	return append(dst, '}')
}

// withText gives doc with a text at a dotted path.
func withText(doc []byte, path, value string) ([]byte, error) {
	return withValue(doc, path, jsondoc.AppendString(nil, value))
}

// withValue gives doc with a JSON value at a dotted path.
func withValue(doc []byte, path string, patch []byte) ([]byte, error) {
	steps := strings.Split(path, ".")
	for i := len(steps) - 1; i >= 0; i-- {
		patch = append(append(append(jsondoc.AppendString([]byte{'{'}, steps[i]), ':'), patch...), '}')
	}
	base, err := jsondoc.Parse(doc, jsondoc.Limits{})
	if err != nil {
		return nil, err
	}
	over, err := jsondoc.Parse(patch, jsondoc.Limits{})
	if err != nil {
		return nil, err
	}
	return merge(make([]byte, 0, len(doc)+len(patch)), base.Root(), over.Root(), nil), nil
}
