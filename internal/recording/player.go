package recording

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"sort"
	"strings"
	"sync"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// proves tells headers by which the hub proves itself; what they say is never kept.
var proves = regexp.MustCompile(`(?i)auth|key|token|secret|cookie|password`)

// matters are headers of requests that are kept and compared, where they are there.
var matters = []string{"If-Match", "If-None-Match", "Prefer", "Soapaction", "Content-Id", "Idempotency-Key"}

// mostBody bounds what is read of a request or an answer: the connectors' own bound of an answer.
const mostBody = 64 << 20

// asked is a request as it is compared.
type asked struct {
	method, target string
	headers        map[string]string
	proof          []string
	body           string
}

func askedBy(r *http.Request, body []byte) asked {
	a := asked{method: r.Method, target: target(r.URL), headers: map[string]string{}, body: lines(string(body))}
	for name, values := range r.Header {
		switch value := strings.Join(values, ", "); {
		case name == "Authorization":
			proof := "Authorization"
			if scheme, _, ok := strings.Cut(value, " "); ok { // without one, all of it is the token
				proof += ": " + scheme
			}
			a.proof = append(a.proof, proof)
		case proves.MatchString(name) && !slices.Contains(matters, name):
			a.proof = append(a.proof, name)
		case slices.Contains(matters, name):
			a.headers[name] = value
		case name == "Content-Type" && !strings.HasPrefix(value, "application/json"):
			a.headers[name] = value
		}
	}
	if at, query, ok := strings.Cut(a.target, "?"); ok {
		a.target = at + "?" + steady(query)
	}
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		a.body = steady(a.body)
	}
	sort.Strings(a.proof)
	if strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/") {
		a.body = unmeasured(a.body)
	}
	return a
}

// signed and signedAt are parameters that are others each time: signatures, and what they sign beside what is known.
var (
	signed   = regexp.MustCompile(`(^|&)(signature|client_assertion|oauth_signature)=[^&]*`)
	signedAt = regexp.MustCompile(`(^|&)(timestamp|nonce|oauth_timestamp|oauth_nonce)=[^&]*`)
)

// steady are parameters as they are kept: without signatures and their times.
func steady(query string) string {
	if !signed.MatchString(query) {
		return query
	}
	return signedAt.ReplaceAllString(signed.ReplaceAllString(query, "${1}${2}=*"), "${1}${2}=*")
}

var length = regexp.MustCompile(`(?im)^content-length: *[0-9]+\n`)

// unmeasured are the parts of a body without their lengths, which stand-ins change.
func unmeasured(body string) string { return length.ReplaceAllString(lines(body), "") }

// target is the address without the host, its query in the order in which it was written.
func target(u *url.URL) string {
	t := u.EscapedPath()
	if t == "" {
		t = "/"
	}
	if u.RawQuery != "" {
		t += "?" + u.RawQuery
	}
	return t
}

// lines has line feeds alone, and none at the end: what YAML keeps of a text.
func lines(s string) string {
	return strings.TrimRight(strings.ReplaceAll(s, "\r\n", "\n"), "\n")
}

// differs says where a request is another one than the exchange holds; empty: nowhere.
func (e *Exchange) differs(a asked) string {
	method, at, _ := strings.Cut(e.Ask, " ")
	switch {
	case method != a.method:
		return "the method is " + a.method
	case at != a.target:
		return "the address is " + a.target
	}
	for name, value := range e.Headers {
		if got := a.headers[http.CanonicalHeaderKey(name)]; got != value {
			return fmt.Sprintf("the header %s is %q", name, got)
		}
	}
	for name, value := range a.headers {
		if _, ok := e.Headers[name]; !ok {
			return fmt.Sprintf("there is a header %s: %s", name, value)
		}
	}
	if !slices.Equal(e.Proof, a.proof) {
		return fmt.Sprintf("the hub proves itself by %v", a.proof)
	}
	if !same(e.Body, a.body) {
		return "the body is " + a.body
	}
	return ""
}

// same compares bodies: JSON by what it says, anything else by its text.
func same(a, b string) bool {
	x, errX := jsondoc.Parse([]byte(a), jsondoc.Limits{})
	y, errY := jsondoc.Parse([]byte(b), jsondoc.Limits{})
	if errX == nil && errY == nil {
		return x.Root().Equal(y.Root())
	}
	return lines(a) == lines(b)
}

// player is an HTTP server that answers to what was recorded, and to nothing else.
type player struct {
	server *http.Server
	host   string
	of     *Recording
	// update: requests take the answers in their order, and are noted as those that were asked.
	update bool

	mu       sync.Mutex
	step     *Step
	next     int
	problems []string
}

func play(of *Recording, update bool) (*player, error) {
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &player{of: of, host: l.Addr().String(), update: update}
	p.server = &http.Server{Handler: p}
	go func() { _ = p.server.Serve(l) }() // it ends with close
	return p, nil
}

func (p *player) close() { _ = p.server.Close() }

// begin makes a step the one whose exchanges are answered, and gives what is wrong with the one before.
func (p *player) begin(s *Step) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.step != nil && p.update {
		p.step.Exchanges = slices.DeleteFunc(p.step.Exchanges, func(e *Exchange) bool { return e.left == e.Times })
	} else if p.step != nil {
		for _, e := range p.step.Exchanges {
			if e.left > 0 {
				p.problems = append(p.problems, fmt.Sprintf("%s: %s was recorded, and not asked %s", p.step.Name, e.Ask, map[bool]string{true: "so often", false: "for"}[e.Times > e.left]))
			}
		}
	}
	out := p.problems
	p.step, p.next, p.problems = s, 0, nil
	return out
}

// ServeHTTP answers one request.
func (p *player) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, mostBody))
	if err != nil {
		http.Error(w, "the request was not read", http.StatusBadRequest)
		return
	}
	e, text := p.answerTo(askedBy(r, body))
	if e == nil {
		http.Error(w, "not recorded", http.StatusNotImplemented)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	for name, value := range e.AnswerHeaders {
		w.Header().Set(name, value)
	}
	if strings.HasPrefix(w.Header().Get("Content-Type"), "multipart/") {
		text = strings.ReplaceAll(lines(text)+"\n", "\n", "\r\n")
	}
	w.WriteHeader(e.Status)
	if e.Status != http.StatusNoContent && e.Status != http.StatusNotModified {
		_, _ = io.WriteString(w, text) // a client that is gone needs none
	}
}

func (p *player) answerTo(a asked) (*Exchange, string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.step == nil {
		return nil, ""
	}
	e := p.pick(a)
	if e == nil {
		return nil, ""
	}
	e.left--
	text, err := p.of.answer(e)
	if err != nil {
		p.problems = append(p.problems, err.Error())
		return nil, ""
	}
	return e, text
}

// pick chooses the exchange that a request is.
func (p *player) pick(a asked) *Exchange {
	if p.update {
		for p.next < len(p.step.Exchanges) && p.step.Exchanges[p.next].left <= 0 {
			p.next++
		}
		if p.next == len(p.step.Exchanges) {
			p.problems = append(p.problems, fmt.Sprintf("%s: there is no answer left for %s %s %s", p.step.Name, a.method, a.target, a.body))
			return nil
		}
		e := p.step.Exchanges[p.next]
		e.Ask, e.Headers, e.Proof, e.Body = a.method+" "+a.target, a.headers, a.proof, a.body
		return e
	}
	var near []string
	for _, e := range p.step.Exchanges {
		if e.left <= 0 {
			continue
		}
		d := e.differs(a)
		if d == "" {
			return e
		}
		near = append(near, "not "+e.Ask+": "+d)
	}
	p.problems = append(p.problems, strings.Join(append([]string{fmt.Sprintf("%s: the connector asks %s %s, which was not recorded", p.step.Name, a.method, a.target)}, near...), "\n    "))
	return nil
}

// via sends what goes to the system to the player. The address of the request, and with it what the connector takes for the system's own, stays.
func (p *player) via(next http.RoundTripper) http.RoundTripper { return playing{next, p.host} }

type playing struct {
	http.RoundTripper
	host string
}

// RoundTrip sends a request to the player.
func (p playing) RoundTrip(r *http.Request) (*http.Response, error) {
	there := r.Clone(r.Context())
	there.Host = r.URL.Host
	there.URL.Scheme, there.URL.Host = "http", p.host
	resp, err := p.RoundTripper.RoundTrip(there)
	if resp != nil {
		resp.Request = r
	}
	return resp, err
}

// CloseIdleConnections closes those of the transport behind it.
func (p playing) CloseIdleConnections() { closeIdle(p.RoundTripper) }

func closeIdle(rt http.RoundTripper) {
	if c, ok := rt.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}
