package connector

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"html"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// Scrubber takes secrets out of texts: what a system answers, or a driver reports, may hold the password that was sent.
// It is safe for concurrent use; the zero value knows no secret.
type Scrubber struct {
	mu      sync.RWMutex
	secrets []string
}

// Forms gives a text as it is, and as it looks in a URL, in base64, inside a text of JSON and inside XML, always in the same order.
func Forms(text string) []string {
	query := url.QueryEscape(text)
	return []string{text, query, strings.ReplaceAll(query, "+", "%20"), url.PathEscape(text), base64.StdEncoding.EncodeToString([]byte(text)), inJSON(text), html.EscapeString(text)}
}

// inJSON is a text as JSON writes it, without the quotes.
func inJSON(text string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(text) // a text can be written
	return strings.TrimSuffix(strings.TrimPrefix(b.String(), `"`), "\"\n")
}

// Add makes the texts known as secrets, in each of their forms. Texts under 4 bytes are left out: to take them out would make every text unreadable.
func (s *Scrubber) Add(texts ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range texts {
		if len(t) < 4 {
			continue
		}
		for _, form := range Forms(t) {
			if !slices.Contains(s.secrets, form) {
				s.secrets = append(s.secrets, form)
			}
		}
	}
	// A secret that begins with another is replaced as a whole.
	slices.SortFunc(s.secrets, func(a, b string) int { return len(b) - len(a) })
}

// AddSettings makes every strictyaml.Secret known that settings, a struct or a pointer to one, holds.
func (s *Scrubber) AddSettings(settings any) {
	var walk func(v reflect.Value)
	walk = func(v reflect.Value) {
		switch v.Kind() {
		case reflect.Pointer:
			if !v.IsNil() {
				walk(v.Elem())
			}
		case reflect.Struct:
			if v.Type() == secretType {
				s.Add(v.Interface().(strictyaml.Secret).Reveal())
				return
			}
			for i := range v.NumField() {
				if f := v.Type().Field(i); f.IsExported() || f.Anonymous {
					walk(v.Field(i))
				}
			}
		case reflect.Slice:
			for i := range v.Len() {
				walk(v.Index(i))
			}
		case reflect.Map:
			for it := v.MapRange(); it.Next(); {
				walk(it.Value())
			}
		}
	}
	walk(reflect.ValueOf(settings))
}

// Text gives text with every known secret replaced by [secret].
func (s *Scrubber) Text(text string) string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, secret := range s.secrets {
		if strings.Contains(text, secret) {
			text = strings.ReplaceAll(text, secret, "[secret]")
		}
	}
	return text
}

// Error gives an error with err's text, scrubbed. errors.Is sees through it; errors.As does not, so that no one can print
// the cause.
func (s *Scrubber) Error(err error) error {
	if err == nil {
		return nil
	}
	return &scrubbed{s.Text(err.Error()), err}
}

type scrubbed struct {
	text  string
	cause error
}

func (e *scrubbed) Error() string        { return e.text }
func (e *scrubbed) Is(target error) bool { return errors.Is(e.cause, target) }
