package recording

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// answered are headers of answers that are kept.
var answered = regexp.MustCompile(`(?i)^(content-type|etag|location|link|retry-after|odata-.*|set-cookie|x-csrf-token|www-authenticate|preference-applied|dataserviceversion|x-.*total.*|x-.*pages.*|sforce-limit-info)$`)

// Record makes the steps of a recording on a real system, whose settings are node, as the plan has them, and puts what was exchanged and what came of it in
// the place of what the recording held. Secrets, tokens, what the system is called, and personal data are replaced.
func (w World) Record(ctx context.Context, r *Recording, kind connector.Kind, s connector.Settings) error {
	var p strictyaml.Problems
	played, _ := w.resolved(r, &p)
	if err := p.Err(); err != nil {
		return err
	}
	hook, err := w.hook(r)
	if err != nil {
		return err
	}
	t := &taker{real: base(s.Node), played: base(played)}
	s.Via, s.Log = t.via, slog.New(slog.DiscardHandler)
	sys, err := kind.Open(ctx, s)
	if err != nil {
		return err
	}
	_, err = run(ctx, sys, hook, r, t.begin, func(step *Step, got want) []string { step.Want = got; return nil })
	if err = errors.Join(err, sys.Close(), t.err); err != nil {
		return err
	}
	c := &cleaner{stand: map[string]string{}}
	if m := w.Manifests.Get(r.Manifest, standIns{}, &p); m != nil {
		c.personal = m.Personal
	}
	c.settings(s.Node, played)
	c.address(t.real, t.played)
	for _, secret := range s.Node.Filled() { // of which the recording's settings have none, such as those of another way to log in
		c.token(secret.Reveal())
	}
	for token := range t.tokens {
		c.token(token)
	}
	c.clean(r)
	return p.Err()
}

// base is the address of a system; nil where its settings have none.
func base(n strictyaml.Node) *url.URL {
	text := ""
	n.Get("url").Decode(&text, &strictyaml.Problems{})
	u, err := url.Parse(strings.TrimSuffix(text, "/"))
	if err != nil {
		return nil
	}
	return u
}

// taker notes what goes over the line.
type taker struct {
	real, played *url.URL

	mu     sync.Mutex
	step   *Step
	tokens map[string]bool
	err    error
}

func (t *taker) begin(s *Step) []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.step = s; s != nil {
		s.Exchanges = nil
	}
	return nil
}

func (t *taker) via(next http.RoundTripper) http.RoundTripper { return taking{next, t} }

type taking struct {
	http.RoundTripper
	t *taker
}

// CloseIdleConnections closes those of the transport behind it.
func (k taking) CloseIdleConnections() { closeIdle(k.RoundTripper) }

// RoundTrip makes the request and notes it with its answer.
func (k taking) RoundTrip(r *http.Request) (*http.Response, error) {
	var sent []byte
	if r.Body != nil {
		var err error
		if sent, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
		_ = r.Body.Close()
		r = r.Clone(r.Context())
		r.Body = io.NopCloser(bytes.NewReader(sent))
	}
	resp, err := k.RoundTripper.RoundTrip(r)
	if err != nil {
		k.t.fail(fmt.Errorf("%s %s was not answered, and what was not answered is no recording: %w", r.Method, r.URL.Path, err))
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, mostBody))
	_ = resp.Body.Close()
	if err != nil {
		k.t.fail(fmt.Errorf("the answer to %s %s was cut off: %w", r.Method, r.URL.Path, err))
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	k.t.take(r, sent, resp, body)
	return resp, err
}

func (t *taker) fail(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.err = errors.Join(t.err, err)
}

func (t *taker) take(r *http.Request, sent []byte, resp *http.Response, body []byte) {
	a := askedBy(r, sent)
	e := &Exchange{Ask: a.method + " " + t.moved(a.target), Headers: a.headers, Proof: a.proof, Body: a.body, Times: 1, Status: resp.StatusCode, Answer: string(body)}
	for name := range resp.Header {
		if value := resp.Header.Get(name); answered.MatchString(name) && (name != "Content-Type" || value != "application/json") {
			if e.AnswerHeaders == nil {
				e.AnswerHeaders = map[string]string{}
			}
			e.AnswerHeaders[name] = value
		}
	}
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "multipart/") {
		e.Answer = unmeasured(e.Answer)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.known(r, resp)
	if t.step == nil {
		return // the end of a session: nothing depends on it
	}
	if n := len(t.step.Exchanges); n > 0 && t.step.Exchanges[n-1].is(e) {
		t.step.Exchanges[n-1].Times++
		return
	}
	t.step.Exchanges = append(t.step.Exchanges, e)
}

// is reports whether the same was asked and answered again.
func (e *Exchange) is(o *Exchange) bool {
	return e.Ask == o.Ask && e.Body == o.Body && e.Status == o.Status && e.Answer == o.Answer && fmt.Sprint(e.Headers, e.Proof, e.AnswerHeaders) == fmt.Sprint(o.Headers, o.Proof, o.AnswerHeaders)
}

// known notes what proves who asks: it must not stay in a file.
func (t *taker) known(r *http.Request, resp *http.Response) {
	if t.tokens == nil {
		t.tokens = map[string]bool{}
	}
	credentials := r.Header.Get("Authorization")
	if _, behind, ok := strings.Cut(credentials, " "); ok { // else it has no scheme, and all of it is the token
		credentials = behind
	}
	for _, part := range unpacked(credentials) {
		t.tokens[part] = true
	}
	for _, h := range []http.Header{r.Header, resp.Header} {
		for name, values := range h {
			if name == "Authorization" || name == "Cookie" || !proves.MatchString(name) {
				continue
			}
			for _, v := range values {
				if name == "Set-Cookie" {
					v, _, _ = strings.Cut(v, ";")
					_, v, _ = strings.Cut(v, "=")
				}
				t.tokens[v] = true
			}
		}
	}
}

// moved gives an address below the real system's as one below the recording's.
func (t *taker) moved(target string) string {
	if t.real == nil || t.played == nil {
		return target
	}
	if rest, ok := strings.CutPrefix(target, t.real.EscapedPath()); ok {
		if rest = t.played.EscapedPath() + rest; strings.HasPrefix(rest, "/") {
			return rest
		}
	}
	return target
}
