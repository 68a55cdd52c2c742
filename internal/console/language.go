package console

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// languages are what the console speaks; the first is taken where a browser asks for none of them.
var languages = []string{"en", "zh"}

// langCookie holds the language that a person has chosen.
const langCookie = "waybill-lang"

// language is that of the address, else the chosen one, else the browser's.
func language(r *http.Request) string {
	if l := r.URL.Query().Get("lang"); slices.Contains(languages, l) {
		return l
	}
	if c, err := r.Cookie(langCookie); err == nil && slices.Contains(languages, c.Value) {
		return c.Value
	}
	best, weight := languages[0], 0.0
	for part := range strings.SplitSeq(r.Header.Get("Accept-Language"), ",") {
		tag, params, _ := strings.Cut(strings.TrimSpace(part), ";")
		q := 1.0
		if v, ok := strings.CutPrefix(strings.TrimSpace(params), "q="); ok {
			var err error
			if q, err = strconv.ParseFloat(v, 64); err != nil {
				continue
			}
		}
		base, _, _ := strings.Cut(strings.ToLower(tag), "-")
		if q > weight && slices.Contains(languages, base) {
			best, weight = base, q
		}
	}
	return best
}

// T is a text in the page's language.
func (p *page) T(key string, args ...any) string {
	t := texts[key]
	if t == nil {
		panic("the console has no text " + key) // a test asks for every one
	}
	text := t[slices.Index(languages, p.Lang)]
	if len(args) == 0 {
		return text
	}
	for i, a := range args {
		switch n := a.(type) {
		case int64:
			args[i] = number(n)
		case int:
			args[i] = number(int64(n))
		}
	}
	return fmt.Sprintf(text, args...)
}

// Tag is the page's language as HTML names it.
func (p *page) Tag() string { return map[string]string{"en": "en", "zh": "zh-Hans"}[p.Lang] }

// Other is the language that the page can be had in besides, and its own name for itself.
func (p *page) Other() (other struct{ Lang, Tag, Name string }) {
	if other.Lang, other.Tag, other.Name = "zh", "zh-Hans", "中文"; p.Lang == "zh" {
		other.Lang, other.Tag, other.Name = "en", "en", "English"
	}
	return other
}

// InOther is the page's own address in the other language.
func (p *page) InOther() string {
	u := *p.r.URL
	q := u.Query()
	q.Set("lang", p.Other().Lang)
	q.Del("said")
	if u.RawQuery = q.Encode(); p.r.Method != http.MethodGet {
		return At("/", "lang", p.Other().Lang)
	}
	return u.RequestURI()
}
