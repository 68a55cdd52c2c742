package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"mime"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// body reads a JSON object of at most limit bytes; an empty body is an empty object.
func body(w http.ResponseWriter, r *http.Request, into any, limit int64) bool {
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			problem(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is too large: at most %d bytes", limit))
			return false
		}
		problem(w, http.StatusBadRequest, "the body cannot be read: "+err.Error())
		return false
	}
	if len(data) == 0 {
		return true
	}
	if !isJSON(r.Header.Get("Content-Type")) {
		w.Header().Set("Accept", "application/json")
		problem(w, http.StatusUnsupportedMediaType, "the body must be JSON: send the header Content-Type: application/json")
		return false
	}
	if err := read(data, into); err != nil {
		problem(w, http.StatusBadRequest, "the body is not the JSON that is expected: "+err.Error())
		return false
	}
	return true
}

// isJSON takes a body that says nothing of itself as what is expected.
func isJSON(contentType string) bool {
	if contentType == "" {
		return true
	}
	media, params, err := mime.ParseMediaType(contentType)
	if charset := params["charset"]; charset != "" && !strings.EqualFold(charset, "utf-8") {
		return false
	}
	return err == nil && (media == "application/json" || strings.HasPrefix(media, "application/") && strings.HasSuffix(media, "+json"))
}

// read decodes a body exactly as it is described. The library alone takes names in any case and twice, and null for everything: a filter that
// says nothing then would select everything.
func read(data []byte, into any) error {
	if !utf8.Valid(data) {
		return errors.New("it is no UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := fits(d, reflect.TypeOf(into).Elem(), false, ""); errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	} else if err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("it is more than one JSON value")
	}
	return json.Unmarshal(data, into)
}

var (
	rawMessage = reflect.TypeFor[json.RawMessage]()
	moment     = reflect.TypeFor[time.Time]()
)

// fits compares the next value with the type that it is read into. some: a text must not be empty (the tag text:"some").
func fits(d *json.Decoder, t reflect.Type, some bool, at string) error {
	if t == rawMessage {
		var any json.RawMessage
		return d.Decode(&any)
	}
	token, err := d.Token()
	if err != nil {
		return err
	}
	want := map[reflect.Kind]string{reflect.Struct: "an object", reflect.Slice: "a list", reflect.String: "a text", reflect.Bool: "true or false", reflect.Int: "a whole number"}[t.Kind()]
	if t == moment {
		want = "a time as 2026-11-29T10:00:00Z"
	}
	switch v := token.(type) {
	case json.Delim:
		switch {
		case v == '{' && t.Kind() == reflect.Struct && t != moment:
			return members(d, t, at)
		case v == '[' && t.Kind() == reflect.Slice:
			for i := 0; d.More(); i++ {
				if err := fits(d, t.Elem(), some, fmt.Sprintf("%s[%d]", at, i)); err != nil {
					return err
				}
			}
			_, err := d.Token()
			return err
		}
	case string:
		if t == moment {
			if _, err := time.Parse(time.RFC3339, v); err != nil {
				return fmt.Errorf("%s is no time: write for example 2026-11-29T10:00:00Z", named(at))
			}
			return nil
		}
		if strings.ContainsRune(v, 0) {
			return fmt.Errorf("%s holds a character of the code 0", named(at))
		}
		if v == "" && some {
			return fmt.Errorf("%s is empty: leave it out, or say which", named(at))
		}
		if t.Kind() == reflect.String {
			return nil
		}
	case bool:
		if t.Kind() == reflect.Bool {
			return nil
		}
	case json.Number:
		if _, ok := whole(v.String()); ok && t.Kind() == reflect.Int {
			return nil
		}
	case nil:
		return fmt.Errorf("%s is null: leave it out, or give %s", named(at), want)
	}
	return fmt.Errorf("%s must be %s", named(at), want)
}

// Whole is a whole number in a body, however JSON writes it: 7, 7.0 and 0.7e1 are the same to JSON, and not to the library.
type Whole int

// UnmarshalJSON reads it.
func (n *Whole) UnmarshalJSON(b []byte) error {
	v, ok := whole(string(b))
	if !ok {
		return fmt.Errorf("%s is no whole number", b)
	}
	*n = Whole(v)
	return nil
}

// whole reads a number that is whole and has 32 bits at most.
func whole(text string) (int32, bool) {
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || f != math.Trunc(f) || f < math.MinInt32 || f > math.MaxInt32 {
		return 0, false
	}
	return int32(f), true
}

// members compares an object's members with a struct's.
func members(d *json.Decoder, t reflect.Type, at string) error {
	known := map[string]reflect.StructField{}
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		known[name] = t.Field(i)
	}
	seen := map[string]bool{}
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return err
		}
		name, _ := token.(string)
		of, ok := known[name]
		switch {
		case !ok: // a misspelt filter would select everything
			return fmt.Errorf("unknown field %q", name)
		case seen[name]:
			return fmt.Errorf("%q stands twice", name)
		}
		seen[name] = true
		if err := fits(d, of.Type, of.Tag.Get("text") == "some", strings.TrimPrefix(at+"."+name, ".")); err != nil {
			return err
		}
	}
	_, err := d.Token()
	return err
}

func named(at string) string {
	if at == "" {
		return "it"
	}
	return at
}
