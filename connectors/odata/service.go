package odata

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/httpclient"
)

// service is one OData service below the system's URL: it has a $metadata document, and a token and cookies for writing.
type service struct {
	path string
	// turn is held by the one who reads $metadata or fetches a token; others wait for what comes of it.
	turn chan struct{}
	meta atomic.Pointer[known]
	pass atomic.Pointer[pass]
	// stops: a $batch ends at its first failure, although the hub asks for more.
	stops atomic.Bool
}

// known is a $metadata document as it was read, and what the objects of the settings are by it.
type known struct {
	m     *metadata
	bound map[string]*bound // by the object's name
}

// pass is what a write needs where a service guards against forged requests.
type pass struct{ token, cookies string }

func newService(path string) *service { return &service{path: path, turn: make(chan struct{}, 1)} }

// at gives the path of something below the service.
func (svc *service) at(path string) string {
	if svc.path == "" {
		return path
	}
	return svc.path + "/" + path
}

// take waits for the turn.
func (s *system) take(ctx context.Context, svc *service, op string) (release func(), err error) {
	select {
	case svc.turn <- struct{}{}:
		return func() { <-svc.turn }, nil
	case <-ctx.Done():
		return nil, &fault.Error{Kind: fault.Unavailable, System: s.name, Op: op, Err: fmt.Errorf("waiting for the service's $metadata or token: %w", ctx.Err())}
	}
}

// metadata gives what the service says of itself; it is read once.
func (s *system) metadata(ctx context.Context, svc *service) (*known, error) {
	if r := svc.meta.Load(); r != nil {
		return r, nil
	}
	const op = "read $metadata"
	release, err := s.take(ctx, svc, op)
	if err != nil {
		return nil, err
	}
	defer release()
	if r := svc.meta.Load(); r != nil {
		return r, nil
	}
	r, err := s.readMetadata(ctx, svc, op)
	if err == nil {
		svc.meta.Store(r)
	}
	return r, err
}

// readMetadata reads the document. What cannot be read as one is in the way of every message alike, and no message can be blamed for it.
func (s *system) readMetadata(ctx context.Context, svc *service, op string) (*known, error) {
	resp, err := s.client.Do(ctx, httpclient.Request{Method: http.MethodGet, Path: svc.at("$metadata"), Query: s.parameters(), Op: op,
		Header: http.Header{"Accept": {"application/xml"}}})
	if err != nil {
		if kind := fault.KindOf(err); kind == fault.NotFound || kind == fault.Invalid {
			f, _ := fault.As(err)
			f.Kind = fault.Unavailable
		}
		return nil, err
	}
	m, err := parseMetadata(resp.Body)
	if err != nil {
		return nil, s.fail(fault.Unavailable, op, "$metadata cannot be read: %s (is url the service's?)", err)
	}
	switch {
	case s.set.Version == "2" && m.version != 2, s.set.Version == "4" && m.version != 4:
		return nil, s.fail(fault.Unavailable, op, "the service speaks OData V%d, and version says %s", m.version, s.set.Version)
	case s.set.Batch.Format == "json" && m.version == 2:
		return nil, s.fail(fault.Unavailable, op, "the service speaks OData V2, which knows no $batch in JSON: set batch.format to multipart")
	}
	return &known{m: m, bound: s.bind(svc, m)}, nil
}

// do makes a request of a service: with the headers of its version, and with the token and the cookies of the service where it changes something.
// A service that wants another token has done nothing, so that it is asked once more.
func (s *system) do(ctx context.Context, svc *service, m *metadata, r httpclient.Request) (*httpclient.Response, error) {
	if r.Header == nil {
		r.Header = http.Header{}
	}
	m.headers(r.Header, r.Body != nil)
	if q := s.parameters().Beside(r.Path).Encode(); q != "" {
		r.Path += sign(r.Path) + q
	}
	if r.Method == http.MethodGet {
		return s.client.Do(ctx, r)
	}
	used := svc.pass.Load()
	used.apply(r.Header)
	resp, err := s.client.Do(ctx, r)
	if resp == nil || resp.Status != http.StatusForbidden || !strings.EqualFold(resp.Header.Get("X-Csrf-Token"), "required") {
		return resp, err
	}
	fresh, err := s.renew(ctx, svc, m, used, r.Op)
	if err != nil {
		return nil, err
	}
	fresh.apply(r.Header)
	return s.client.Do(ctx, r)
}

func sign(path string) string {
	if strings.Contains(path, "?") {
		return "&"
	}
	return "?"
}

// headers are those of the protocol's version.
func (m *metadata) headers(h http.Header, body bool) {
	if m.version == 2 {
		h.Set("MaxDataServiceVersion", "2.0")
		if body {
			h.Set("DataServiceVersion", "2.0")
		}
	} else {
		h.Set("OData-MaxVersion", "4.0")
		if body {
			h.Set("OData-Version", "4.0")
		}
	}
	if h.Get("Accept") == "" {
		h.Set("Accept", "application/json")
	}
}

// form is the type of bodies, and of the answers that are asked for: in V4 with numbers as texts, whose digits nobody rounds on their way.
func (b *bound) form() string {
	if b.m.version == 4 && b.Numbers == "text" {
		return "application/json;IEEE754Compatible=true"
	}
	return "application/json"
}

// accept are the headers of a read.
func (b *bound) accept() http.Header { return http.Header{"Accept": {b.form()}} }

func (p *pass) apply(h http.Header) {
	if p == nil {
		return
	}
	h.Set("X-Csrf-Token", p.token)
	if p.cookies != "" {
		h.Set("Cookie", p.cookies)
	}
}

// renew fetches a token in place of one that was refused; many that were refused at once share it.
func (s *system) renew(ctx context.Context, svc *service, m *metadata, refused *pass, op string) (*pass, error) {
	release, err := s.take(ctx, svc, op)
	if err != nil {
		return nil, err
	}
	defer release()
	if now := svc.pass.Load(); now != refused {
		return now, nil
	}
	h := http.Header{"X-Csrf-Token": {"fetch"}}
	m.headers(h, false)
	resp, err := s.client.Do(ctx, httpclient.Request{Method: http.MethodGet, Path: svc.at(""), Query: s.parameters(), Header: h, Op: op + ": fetch a token"})
	if resp == nil {
		return nil, err
	}
	token := resp.Header.Get("X-Csrf-Token")
	switch kind := fault.KindOf(err); {
	case token != "" && !strings.EqualFold(token, "required"): // also beside an answer that shows nothing
	case kind == fault.None, kind == fault.Invalid, kind == fault.NotFound, kind == fault.Conflict:
		return nil, s.fail(fault.Unavailable, op, "the service wants a token for writes (x-csrf-token), and gives none")
	default:
		return nil, err
	}
	fresh := &pass{token: token}
	for _, c := range (&http.Response{Header: resp.Header}).Cookies() {
		if c.MaxAge < 0 || !c.Expires.IsZero() && c.Expires.Before(time.Unix(1, 0)) {
			continue
		}
		fresh.cookies += suffix(fresh.cookies != "", "; ") + c.Name + "=" + c.Value
	}
	svc.pass.Store(fresh)
	return fresh, nil
}
