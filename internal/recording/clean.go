package recording

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// cleaner replaces what must not stay in a recording. The same text has the same stand-in everywhere, so that what belongs together stays together.
type cleaner struct {
	personal []string
	stand    map[string]string // texts that are replaced wherever they stand
	whole    map[string]string // values that are replaced where they are a whole value
	tokens   int
}

// leastSecret is the length from which a text is replaced wherever it stands: shorter ones stand everywhere.
const leastSecret = 4

// settings replaces what the real system's settings say by what the recording's say in the same place.
func (c *cleaner) settings(real, played strictyaml.Node) {
	for _, f := range real.Fields() {
		c.settings(f.Value, played.Get(f.Key))
	}
	if real.Kind() != strictyaml.Scalar {
		return
	}
	var from, to string
	real.Decode(&from, &strictyaml.Problems{})
	played.Decode(&to, &strictyaml.Problems{})
	if from != to && len(from) >= leastSecret && to != "" {
		c.stand[from] = to
	}
}

// address replaces the real system's host.
func (c *cleaner) address(real, played *url.URL) {
	if real == nil || played == nil || real.Host == "" {
		return
	}
	c.stand[real.Scheme+"://"+real.Host+real.Path] = played.Scheme + "://" + played.Host + played.Path
	c.stand[real.Scheme+"://"+real.Host] = played.Scheme + "://" + played.Host
	c.stand[real.Host] = played.Host
	if real.Port() != "" {
		c.stand[real.Scheme+"://localhost:"+real.Port()] = played.Scheme + "://" + played.Host
		c.stand["localhost:"+real.Port()] = played.Host // as some servers call themselves, whatever they are called
	}
}

// token replaces a token by a stand-in of its own.
func (c *cleaner) token(text string) {
	if _, known := c.stand[text]; known || len(text) < 8 || strings.HasPrefix(text, "stand-in") || strings.EqualFold(text, "required") { // of which a token is
		return
	}
	c.tokens++
	c.stand[text] = fmt.Sprintf("stand-in-token-%d", c.tokens)
}

// unpacked gives credentials and what is packed in them: base64 of parts with colons between them.
func unpacked(credentials string) []string {
	out := []string{credentials}
	if plain, err := base64.StdEncoding.DecodeString(credentials); err == nil && len(credentials) > 0 {
		out = append(out, strings.Split(string(plain), ":")...)
	}
	return out
}

var (
	tokenField = regexp.MustCompile(`(?i)^(access_token|refresh_token|id_token|(kdsvc)?session_?id|client_secret|app_?secret|password)$`)
	// tokenParameter is a token in an address: some systems take it there.
	tokenParameter = regexp.MustCompile(`(?i)[?&](?:access_?)?(?:token|session_?id)=([^&\s]+)`)
	mail           = regexp.MustCompile(`[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+`)
	standingIn     = regexp.MustCompile(`(?i)@([a-z0-9.-]+\.)?example(\.com|\.org|\.net)?$|^Person \d+$|^Text \d+$|^\+1 555 01\d+$|^stand-in-`)
)

// clean replaces everything in a recording.
func (c *cleaner) clean(r *Recording) {
	c.whole = map[string]string{}
	r.texts(func(text string) string { c.collect(text); return text })
	r.texts(c.replaced)
}

// collect looks for tokens and personal data in a text.
func (c *cleaner) collect(text string) {
	if doc, err := jsondoc.Parse([]byte(text), jsondoc.Limits{}); err == nil {
		c.walk("", doc.Root())
	}
	for _, m := range tokenParameter.FindAllStringSubmatch(text, -1) {
		if token, err := url.QueryUnescape(m[1]); err == nil {
			c.token(token)
		}
	}
	for _, m := range mail.FindAllString(text, -1) {
		c.person("mail", m)
	}
}

func (c *cleaner) walk(key string, v jsondoc.Value) {
	switch v.Kind() {
	case jsondoc.Object:
		for name, member := range v.Members() {
			c.walk(name, member)
		}
	case jsondoc.Array:
		for item := range v.Elements() {
			c.walk(key, item)
		}
	case jsondoc.String:
		if text := v.Str(); tokenField.MatchString(key) {
			c.token(text)
		} else if slices.Contains(c.personal, key) {
			c.person(key, text)
		}
	}
}

// person gives personal data a stand-in of its form.
func (c *cleaner) person(key, text string) {
	if text == "" || c.whole[text] != "" || standingIn.MatchString(text) {
		return
	}
	n := len(c.whole) + 1
	switch key = strings.ToLower(key); {
	case strings.Contains(text, "@"):
		c.whole[text] = fmt.Sprintf("person-%d@example.com", n)
	case strings.Contains(key, "phone"), strings.Contains(key, "mobile"), strings.Contains(key, "fax"):
		c.whole[text] = fmt.Sprintf("+1 555 01%02d", n)
	case strings.Contains(key, "name"):
		c.whole[text] = fmt.Sprintf("Person %d", n)
	default:
		c.whole[text] = fmt.Sprintf("Text %d", n)
	}
}

// replaced gives a text with stand-ins, the longest originals first.
func (c *cleaner) replaced(text string) string {
	longest := func(m map[string]string) []string {
		var out []string
		for from := range m {
			out = append(out, from)
		}
		slices.SortFunc(out, func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
		return out
	}
	for _, from := range longest(c.stand) {
		to := connector.Forms(c.stand[from])
		for i, form := range connector.Forms(from) {
			text = strings.ReplaceAll(text, form, to[i])
		}
	}
	for _, from := range longest(c.whole) {
		to := c.whole[from]
		quoted := string(jsondoc.AppendString(nil, from))
		text = replaceValues(text, quoted, string(jsondoc.AppendString(nil, to)))
		text = strings.ReplaceAll(text, ">"+from+"<", ">"+to+"<")
		if text == from {
			text = to
		}
		if len(from) >= 6 && strings.ContainsAny(from, "@ 0123456789") { // a word alone may mean something else elsewhere
			text = strings.ReplaceAll(text, from, to)
			text = strings.ReplaceAll(text, url.PathEscape(from), url.PathEscape(to))
			text = strings.ReplaceAll(text, url.QueryEscape(from), url.QueryEscape(to))
		}
	}
	return text
}

// replaceValues replaces JSON texts where they are values, and no names.
func replaceValues(text, from, to string) string {
	var b strings.Builder
	for {
		i := strings.Index(text, from)
		if i < 0 {
			break
		}
		b.WriteString(text[:i])
		text = text[i+len(from):]
		if strings.HasPrefix(strings.TrimLeft(text, " \n"), ":") {
			b.WriteString(from)
		} else {
			b.WriteString(to)
		}
	}
	b.WriteString(text)
	return b.String()
}

// texts gives every text of a recording to a function, which gives what stands there from now on.
func (r *Recording) texts(of func(string) string) {
	each := func(texts ...*string) {
		for _, t := range texts {
			*t = of(*t)
		}
	}
	for _, s := range r.Steps {
		for _, w := range []*writeStep{s.Create, s.Update, s.Delete} {
			if w != nil {
				each(&w.Doc, &w.Local)
			}
		}
		if s.Receive != nil {
			each(&s.Receive.Body)
		}
		if s.Find != nil {
			each(&s.Find.Local)
			inMap(s.Find.Natural, of)
		}
		for _, e := range s.Exchanges {
			each(&e.Ask, &e.Body, &e.Answer)
			inMap(e.Headers, of)
			inMap(e.AnswerHeaders, of)
		}
		each(&s.Want.Local, &s.Want.Doc)
		for i := range s.Want.Records {
			rec := &s.Want.Records[i]
			each(&rec.Local, &rec.Doc, &rec.Unreadable)
		}
		if s.Want.Fault != nil {
			each(&s.Want.Fault.Text)
		}
	}
}

func inMap(m map[string]string, of func(string) string) {
	for k, v := range m {
		m[k] = of(v)
	}
}
