package httpclient

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// Login is a system's own request for a token or a session, where that is not OAuth's. Its texts may hold {id}, {user}, {secret}, {ms} and {signature}.
type Login struct {
	Path      string            `yaml:"path,required" doc:"where the hub asks for a token; a path is relative to url, one with a slash before it to its host"`
	Query     map[string]string `yaml:"query" doc:"query parameters. Here, in headers and in body, {id}, {user} and {secret} stand for the settings of those names, {ms} for the time in milliseconds since 1970, {signature} for what sign makes"`
	Headers   map[string]string `yaml:"headers" doc:"headers of that request, likewise"`
	Body      strictyaml.Node   `yaml:"body" doc:"the request is a POST with this JSON body; without it, it is a GET"`
	ID        string            `yaml:"id" doc:"the application's id or key"`
	User      string            `yaml:"user" doc:"the user's name"`
	Secret    strictyaml.Secret `yaml:"secret,required" doc:"the application's secret, or the user's password"`
	Sign      string            `yaml:"sign" doc:"a text, such as appKey{id}timestamp{ms}, whose HMAC-SHA256 by the secret, in base64, {signature} is"`
	Token     string            `yaml:"token,required" doc:"path of the token in the answer; an answer without one is a refusal"`
	Lifetime  string            `yaml:"lifetime" doc:"path of the seconds for which it holds; without it, it is used until it is refused"`
	Renew     time.Duration     `yaml:"renew" doc:"how long it is used at most, where the answer does not say how long it holds"`
	Message   string            `yaml:"message" doc:"path of the text that says why there is no token"`
	Header    string            `yaml:"header" doc:"name of the header in which requests carry the token; one of header and parameter is needed"`
	Parameter string            `yaml:"parameter" doc:"name of the query parameter that carries it"`
	Prefix    string            `yaml:"prefix" doc:"text before the token, such as 'Bearer '"`
}

func (l *Login) check(n strictyaml.Node, p *strictyaml.Problems) {
	if (l.Header == "") == (l.Parameter == "") {
		p.AddHint(n.Pos(), "name one of header and parameter", "login: where the token goes is not clear")
	}
	if _, err := url.Parse(l.Path); err != nil {
		p.Add(n.Get("path").Pos(), "path: this is no URL")
	}
	if n.Has("body") && l.Body.Kind() != strictyaml.Map {
		p.AddHint(n.Get("body").Pos(), "write what the body holds, for example {user: \"{user}\", password: \"{secret}\"}", "body: this is no mapping")
	}
	signed := func(text string) bool { return strings.Contains(text, "{signature}") }
	var body []byte
	if l.Body.Kind() == strictyaml.Map {
		body, _ = l.Body.AppendJSON(nil, p)
	}
	asked := signed(string(body))
	for _, said := range []map[string]string{l.Query, l.Headers} {
		for _, text := range said {
			asked = asked || signed(text)
		}
	}
	if asked != (l.Sign != "") {
		p.AddHint(n.Pos(), "sign and {signature} belong together", "login: there is one of sign and {signature} without the other")
	}
}

// fill puts what the request's texts stand for in its place.
func (l *Login) fill(now time.Time) *strings.Replacer {
	pairs := []string{"{id}", l.ID, "{user}", l.User, "{secret}", l.Secret.Reveal(), "{ms}", strconv.FormatInt(now.UnixMilli(), 10)}
	if l.Sign != "" {
		mac := hmac.New(sha256.New, []byte(l.Secret.Reveal()))
		mac.Write([]byte(strings.NewReplacer(pairs...).Replace(l.Sign)))
		pairs = append(pairs, "{signature}", base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	return strings.NewReplacer(pairs...)
}

// request is the one that asks for a token.
func (l *Login) request(now time.Time) (Request, error) {
	r := Request{Method: http.MethodGet, Safe: true, Op: "log in"}
	fill := l.fill(now)
	for _, name := range sorted(l.Query) {
		r.Query = append(r.Query, Param{name, fill.Replace(l.Query[name])})
	}
	if len(l.Headers) > 0 {
		r.Header = http.Header{}
		for _, name := range sorted(l.Headers) {
			r.Header.Set(name, fill.Replace(l.Headers[name]))
		}
	}
	if l.Body.Kind() != strictyaml.Map {
		return r, nil
	}
	var p strictyaml.Problems
	plain, _ := l.Body.AppendJSON(nil, &p)
	doc, err := jsondoc.Parse(plain, jsondoc.Limits{})
	if err := errors.Join(err, p.Err()); err != nil {
		return r, err
	}
	r.Method, r.Body = http.MethodPost, filledJSON(nil, doc.Root(), fill)
	return r, nil
}

func sorted(m map[string]string) []string {
	out := make([]string, 0, len(m))
	for name := range m {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// filledJSON appends a value whose texts are filled: what is put in stays a part of its text, whatever it holds.
func filledJSON(dst []byte, v jsondoc.Value, fill *strings.Replacer) []byte {
	switch v.Kind() {
	case jsondoc.String:
		return jsondoc.AppendString(dst, fill.Replace(v.Str()))
	case jsondoc.Array:
		dst = append(dst, '[')
		for e := range v.Elements() {
			if dst[len(dst)-1] != '[' {
				dst = append(dst, ',')
			}
			dst = filledJSON(dst, e, fill)
		}
		return append(dst, ']')
	case jsondoc.Object:
		dst = append(dst, '{')
		for name, e := range v.Members() {
			if dst[len(dst)-1] != '{' {
				dst = append(dst, ',')
			}
			dst = filledJSON(append(jsondoc.AppendString(dst, name), ':'), e, fill)
		}
		return append(dst, '}')
	}
	return append(dst, v.Raw()...)
}

// fetchLogin asks for a token by the settings' own request.
func (c *Client) fetchLogin(ctx context.Context) (string, time.Time, error) {
	l := c.cfg.Auth.Login
	refuse := func(kind fault.Kind, err error) (string, time.Time, error) {
		return "", time.Time{}, &fault.Error{Kind: kind, System: c.cfg.System, Op: "log in", Err: err}
	}
	at, err := c.base.Parse(l.Path)
	if err != nil {
		return refuse(fault.Invalid, errors.New("path is no URL"))
	}
	start := c.now()
	req, err := l.request(start)
	if err != nil {
		return refuse(fault.Invalid, err)
	}
	resp, err := c.attempt(ctx, &req, at, false)
	if err != nil {
		return "", time.Time{}, denial(err)
	}
	root, err := resp.JSON()
	if err != nil {
		return refuse(fault.Unavailable, errors.New("the answer is no JSON"))
	}
	token := valueAt(root, l.Token)
	if token.Kind() != jsondoc.String || token.Str() == "" {
		said := ""
		if m := valueAt(root, l.Message); l.Message != "" && m.Kind() == jsondoc.String {
			said = ": " + Shorten(m.Str(), 200)
		}
		return refuse(fault.Auth, errors.New(c.scrub.Text(fmt.Sprintf("the answer holds no token at %s%s", l.Token, said))))
	}
	c.scrub.Add(token.Str())
	seconds := valueAt(root, l.Lifetime)
	if l.Lifetime == "" || seconds.Kind() != jsondoc.Number {
		return token.Str(), until(start, l.Renew.Seconds()), nil
	}
	s, err := strconv.ParseFloat(string(seconds.Raw()), 64)
	if err != nil {
		s = 0
	}
	return token.Str(), until(start, s), nil
}

// valueAt is the value at a dotted path.
func valueAt(v jsondoc.Value, path string) jsondoc.Value {
	for step := range strings.SplitSeq(path, ".") {
		if i, err := strconv.Atoi(step); err == nil && v.Kind() == jsondoc.Array {
			v = v.Index(i)
		} else {
			v = v.Get(step)
		}
	}
	return v
}
