package sandbox

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// merge checks the given fields and writes them into doc as the system stores them: text trimmed, numbers rounded.
func (m *remote) merge(c call, t *table, doc, in map[string]any, creating bool) error {
	if c.loose {
		for k, v := range in {
			doc[k] = v
		}
		return nil
	}
	for k, v := range in {
		f := t.spec.field(k)
		if f == nil {
			return refuse("INVALID_FIELD", k, "No such column '%s' on %s", k, t.spec.Name)
		}
		if f.Access == readOnly && c.actor == "api" {
			return refuse("INVALID_FIELD_FOR_INSERT_UPDATE", k, "%s is set by the system and cannot be written", k)
		}
		stored, err := f.store(k, v)
		if err != nil {
			return err
		}
		doc[k] = stored
	}
	for i := range t.spec.Fields {
		f := &t.spec.Fields[i]
		if f.Kind == kList && doc[f.Name] == nil {
			doc[f.Name] = []any{}
		}
		if creating && f.Access == required && empty(doc[f.Name]) {
			return refuse("REQUIRED_FIELD_MISSING", f.Name, "Required fields are missing: [%s]", f.Name)
		}
		if id, ok := doc[f.Name].(string); ok && f.Ref != "" && id != "" {
			if r := m.tables[f.Ref].rows[id]; r == nil || r.deleted {
				return refuse("INVALID_CROSS_REFERENCE_KEY", f.Name, "%s: no %s with id %s", f.Name, f.Ref, id)
			}
		}
	}
	return nil
}

func refuse(code, name, format string, args ...any) *apiError {
	return &apiError{status: 400, code: code, field: name, msg: fmt.Sprintf(format, args...)}
}

func empty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case []any:
		return len(v) == 0
	}
	return false
}

// store checks one value and gives the form in which it is kept. path names it in refusals.
func (f *field) store(path string, v any) (any, error) {
	bad := func(want string) error {
		return refuse("INVALID_TYPE", path, "%s: want %s, got %s", path, want, shorten(v))
	}
	if v == nil {
		if f.Access == required || !f.Null && f.Default != nil {
			return nil, refuse("REQUIRED_FIELD_MISSING", path, "%s must not be null", path)
		}
		return nil, nil
	}
	switch f.Kind {
	case kNumber, kDec:
		r, ok := rat(v)
		if !ok {
			return nil, bad("a number")
		}
		if f.Kind == kNumber {
			return number(r, f.Scale), nil
		}
		return string(number(r, orDefault(f.Scale, 6))), nil
	case kInt:
		n, err := strconv.ParseInt(strings.TrimSuffix(text(v), ".0"), 10, 64)
		if err != nil {
			return nil, bad("an integer")
		}
		return json.Number(strconv.FormatInt(n, 10)), nil
	case kBool:
		if _, ok := v.(bool); !ok {
			return nil, bad("true or false")
		}
		return v, nil
	case kList:
		return f.storeList(path, v, bad)
	case kObject:
		in, ok := v.(map[string]any)
		if !ok {
			return nil, bad("an object")
		}
		return storeFields(path, f.Fields, in)
	}
	s, ok := v.(string)
	if !ok {
		return nil, bad("a string")
	}
	return f.storeText(path, s)
}

func (f *field) storeList(path string, v any, bad func(string) error) (any, error) {
	list, ok := v.([]any)
	if !ok {
		return nil, bad("a list")
	}
	out := make([]any, len(list))
	for i, e := range list {
		in, ok := e.(map[string]any)
		if !ok {
			return nil, bad("a list of objects")
		}
		o, err := storeFields(path+"["+strconv.Itoa(i)+"]", f.Fields, in)
		if err != nil {
			return nil, err
		}
		out[i] = o
	}
	return out, nil
}

func storeFields(path string, fields []field, in map[string]any) (map[string]any, error) {
	for k := range in {
		if !slices.ContainsFunc(fields, func(f field) bool { return f.Name == k }) {
			return nil, refuse("INVALID_FIELD", path, "No such field '%s' in %s", k, path)
		}
	}
	out := make(map[string]any, len(fields))
	for i := range fields {
		f := &fields[i]
		v, err := f.store(path+"."+f.Name, in[f.Name])
		if err != nil {
			return nil, err
		}
		out[f.Name] = v
	}
	return out, nil
}

func (f *field) storeText(path, s string) (any, error) {
	switch f.Kind {
	case kDate:
		if _, err := time.Parse(time.DateOnly, s); err != nil {
			return nil, refuse("INVALID_TYPE", path, "%s: want a date such as 2026-11-21, got %s", path, shorten(s))
		}
		return s, nil
	case kTime:
		t, err := time.Parse(time.RFC3339, s)
		if err != nil {
			return nil, refuse("INVALID_TYPE", path, "%s: want a time such as 2026-11-21T10:00:00Z, got %s", path, shorten(s))
		}
		return stampText(t), nil
	}
	s = strings.TrimSpace(s)
	if n := utf8.RuneCountInString(s); n > orDefault(f.Max, 255) {
		return nil, refuse("STRING_TOO_LONG", path, "%s: %d characters are more than %d", path, n, orDefault(f.Max, 255))
	}
	if s == "" && f.Null {
		return nil, nil // as the CRM keeps empty text
	}
	if s == "" && f.Access == required {
		return nil, refuse("REQUIRED_FIELD_MISSING", path, "Required fields are missing: [%s]", path)
	}
	if s != "" && len(f.Enum) > 0 && !slices.Contains(f.Enum, s) {
		return nil, refuse("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", path, "%s: bad value for restricted picklist field: %s", path, shorten(s))
	}
	return s, nil
}

func shorten(v any) string {
	raw, err := marshal(v)
	if err != nil {
		return "?"
	}
	if r := []rune(string(raw)); len(r) > 60 {
		return string(r[:60]) + "…"
	}
	return string(raw)
}
