package api

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/waybill-hub/waybill/internal/access"
	"github.com/waybill-hub/waybill/internal/lifecycle"
)

// moving is a hub whose status a test changes.
type moving struct {
	stub
	mu     sync.Mutex
	parked int64
	failed error
	asked  int
}

func (m *moving) Status(context.Context) (*Status, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked++
	if m.failed != nil {
		return nil, m.failed
	}
	st := &Status{Time: time.Unix(int64(m.asked), 0), Totals: Totals{Parked: m.parked}, Flows: []Flow{{Name: "a", State: StateRunning, Totals: Totals{Parked: m.parked}}}, Systems: []System{{Name: "erp", State: "up"}},
		Broker: Broker{State: BrokerUp}, Hub: Self{State: StateRunning}}
	st.Summarize()
	return st, nil
}

func (m *moving) set(parked int64, failed error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.parked, m.failed = parked, failed
}

type listener struct {
	t *testing.T
	*bufio.Scanner
	end func()
}

func listen(t *testing.T, url, token string) *listener {
	t.Helper()
	ctx, end := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, "GET", url+"/api/v1/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%d %v", resp.StatusCode, resp.Header)
	}
	return &listener{t, bufio.NewScanner(resp.Body), func() { end(); _ = resp.Body.Close() }}
}

// next is the next event, "" at the end of the stream.
func (l *listener) next() (name, data string) {
	for l.Scan() {
		switch line := l.Text(); {
		case line == "" && name != "":
			return name, data
		case strings.HasPrefix(line, ":"):
			name = line
		default:
			if v, ok := strings.CutPrefix(line, "event: "); ok {
				name = v
			}
			if v, ok := strings.CutPrefix(line, "data: "); ok {
				data = v
			}
		}
	}
	return "", ""
}

func (l *listener) wants(name, contains string) string {
	l.t.Helper()
	n, data := l.next()
	if n != name || !strings.Contains(data, contains) {
		l.t.Fatalf("%s %s, want %s with %s", n, data, name, contains)
	}
	return data
}

// A stream tells what has changed and nothing else, of trouble, that the hub lives, and ends where its token is taken away, where it has lasted long
// enough, and with the hub.
func TestEvents(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	defer http.DefaultClient.CloseIdleConnections()
	hub, clock := &moving{}, lifecycle.NewManual(time.Date(2026, 11, 30, 9, 0, 0, 0, time.UTC))
	s := New(hub, Config{Access: access.Rules{Tokens: []Token{{Name: "ann", Value: "s3cret", Role: access.Admin}}}, Metrics: http.NotFoundHandler(), Pages: func(s *Server) Pages { return pages{s} }, Clock: clock, Log: slog.New(slog.DiscardHandler)})
	srv := httptest.NewServer(s)
	defer srv.Close()
	step := func(d time.Duration) {
		t.Helper()
		if err := clock.BlockUntil(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		clock.Advance(d)
	}
	l := listen(t, srv.URL, "s3cret")
	defer l.end()
	first := l.wants("pulse", `"text":"Nothing is late`)
	var p Pulse
	if err := json.Unmarshal([]byte(first), &p); err != nil || p.Flows[0].Name != "a" || p.Systems[0].State != "up" || p.Time.IsZero() {
		t.Errorf("%s %v", first, err)
	}
	step(pulseEvery) // nothing has changed but the time
	if err := clock.BlockUntil(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	hub.set(3, nil)
	step(pulseEvery)
	l.wants("pulse", `"parked":3`)
	hub.set(3, errors.New("the disk is full"))
	step(pulseEvery)
	l.wants("trouble", "the disk is full")
	hub.set(3, nil)
	step(pulseEvery)
	l.wants("pulse", `"parked":3`)
	step(beatEvery)
	l.wants(": the hub lives", "")
	s.SetAccess(access.Rules{Tokens: []Token{{Name: "eve", Value: "n3w", Role: access.Admin}}})
	step(beatEvery)
	l.wants("", "")

	l = listen(t, srv.URL, "n3w") // one that always hears something is asked for its token all the same
	defer l.end()
	l.wants("pulse", "")
	s.SetAccess(access.Rules{Tokens: []Token{{Name: "eve", Value: "n3wer", Role: access.Admin}}})
	hub.set(4, nil)
	step(beatEvery - pulseEvery)
	l.wants("pulse", `"parked":4`)
	hub.set(5, nil)
	step(pulseEvery)
	l.wants("pulse", `"parked":5`)
	over, end := context.WithCancel(t.Context())
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		if clock.BlockUntil(over, 1) == nil {
			t.Error("a stream goes on without its token")
			s.Close()
		}
	}()
	l.wants("", "")
	end()
	if <-watched; t.Failed() {
		return
	}

	s.SetAccess(access.Rules{Tokens: []Token{{Name: "eve", Value: "n3w", Role: access.Admin}}})
	l = listen(t, srv.URL, "n3w")
	defer l.end()
	l.wants("pulse", "")
	step(streamLasts)
	l.wants("", "")

	l = listen(t, srv.URL, "n3w")
	defer l.end()
	l.wants("pulse", "")
	s.Close()
	l.wants("", "")
}

// streaming is a server of a hub that changes, whose streams leave nothing behind.
func streaming(t *testing.T) (hub *moving, clock *lifecycle.Manual, s *Server, at string) {
	t.Helper()
	before := goleak.IgnoreCurrent()
	hub, clock = &moving{}, lifecycle.NewManual(time.Date(2026, 11, 30, 9, 0, 0, 0, time.UTC))
	s = New(hub, Config{Metrics: http.NotFoundHandler(), Pages: func(s *Server) Pages { return pages{s} }, Clock: clock, Log: slog.New(slog.DiscardHandler)})
	srv := httptest.NewServer(s)
	t.Cleanup(func() {
		s.Close()
		srv.Close()
		http.DefaultClient.CloseIdleConnections()
		goleak.VerifyNone(t, before)
	})
	return hub, clock, s, srv.URL
}

// Listeners share what is asked, and there are only so many.
func TestListeners(t *testing.T) {
	hub, _, s, at := streaming(t)
	for range 3 {
		l := listen(t, at, "")
		defer l.end()
		l.wants("pulse", "")
	}
	if hub.asked != 1 {
		t.Errorf("three listeners asked %d times", hub.asked)
	}
	if w := call(s, "POST", "/api/v1/flows/a/pause", "", nil); w.Code != 200 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	l := listen(t, at, "")
	defer l.end()
	l.wants("pulse", "")
	if hub.asked != 2 {
		t.Errorf("after a write the hub was asked %d times", hub.asked)
	}
	for s.streams.enter() {
	}
	if w := call(s, "GET", "/api/v1/events", "", nil); w.Code != 503 || !strings.Contains(w.Body.String(), "256 listen already") {
		t.Errorf("one more: %d %s", w.Code, w.Body)
	}
}

// All listeners look at the same time, from whichever time on they listen; so what has changed is told to all at once, and the hub asked once for it.
func TestListenersLookTogether(t *testing.T) {
	hub, clock, s, at := streaming(t)
	wait := func(n int) {
		t.Helper()
		if err := clock.BlockUntil(t.Context(), n); err != nil {
			t.Fatal(err)
		}
	}
	const late = pulseEvery / 3
	first := listen(t, at, "")
	defer first.end()
	first.wants("pulse", "")
	wait(1)
	clock.Advance(late)
	second := listen(t, at, "")
	defer second.end()
	second.wants("pulse", "")
	wait(2)
	hub.set(3, nil)
	news := s.News()
	clock.Advance(pulseEvery - late)
	first.wants("pulse", `"parked":3`)
	second.wants("pulse", `"parked":3`)
	if wait(2); hub.asked != 2 || s.News() != news+1 {
		t.Errorf("the hub was asked %d times; news %d after %d", hub.asked, s.News(), news)
	}
}

// slow is a hub whose status takes a while.
type slow struct {
	moving
	clock *lifecycle.Manual
	takes time.Duration
}

func (s *slow) Status(ctx context.Context) (*Status, error) {
	s.clock.Advance(s.takes)
	return s.moving.Status(ctx)
}

// A hub that takes long to tell how it does is not asked all the time; what it has told is not old for all that.
func TestSlowStatus(t *testing.T) {
	clock := lifecycle.NewManual(time.Date(2026, 11, 30, 9, 0, 0, 0, time.UTC))
	hub := &slow{clock: clock}
	s := New(hub, Config{Metrics: http.NotFoundHandler(), Pages: func(s *Server) Pages { return pages{s} }, Clock: clock, Log: slog.New(slog.DiscardHandler)})
	for takes, want := range map[time.Duration]time.Duration{0: steady, steady / 4: steady * 3 / 4, steady * 3 / 4: steady * 3 / 4, 10 * steady: steady} { // how long it is of now, once it is told
		s.forgetGlance()
		hub.takes = takes
		seen := s.see(t.Context())
		told := clock.Elapsed()
		if got := s.glance.until - told; got != want || seen.next-told != want+pulseEvery-steady {
			t.Errorf("what took %v is of now for %v, and looked at again after %v", takes, got, seen.next-told)
		}
		if clock.Advance(want - 1); s.see(t.Context()).told != seen.told || clock.Elapsed() != told+want-1 {
			t.Errorf("what took %v is asked for again too soon", takes)
		}
		if clock.Advance(1); s.see(t.Context()).told.number != seen.told.number || clock.Elapsed() != told+want+takes {
			t.Errorf("what took %v is not asked for again", takes)
		}
	}
}

// The pages ask as who was let in, under the bounds of the API; a session's write needs what its page has sent, and a hub without tokens the same.
func TestPagesAsk(t *testing.T) {
	hub := &stub{}
	s := server(hub, Token{Name: "ann", Value: "s3cret", Role: access.Admin})
	if w := call(s, "GET", "/console/parked", "", nil); w.Code != 401 || w.Body.String() != "who are you?" {
		t.Errorf("nobody: %d %s", w.Code, w.Body)
	}
	if w := call(s, "GET", "/console/parked", "", func(r *http.Request) { r.Header.Set("Authorization", "Bearer wrong") }); w.Code != 401 || w.Header().Get("Content-Type") != "application/problem+json" {
		t.Errorf("a wrong token: %d %s", w.Code, w.Body)
	}
	cookie, no := s.SignIn(httptest.NewRequest("POST", "http://127.0.0.1:8080/console/sign-in", nil), "s3cret")
	if no != nil {
		t.Fatal(no)
	}
	signed := func(r *http.Request) { r.AddCookie(cookie) }
	if w := call(s, "GET", "/", "", signed); w.Code != 200 || w.Body.String() != "a page for ann" {
		t.Errorf("signed in: %d %s", w.Code, w.Body)
	}
	if w := call(s, "GET", "/api/v1/flows", "", signed); w.Code != 200 {
		t.Errorf("a signed-in browser reads: %d", w.Code)
	}
	if w := call(s, "POST", "/api/v1/flows/a/pause", "", signed); w.Code != 403 || !strings.Contains(w.Body.String(), access.CSRFHeader) {
		t.Errorf("a signed-in browser writes: %d %s", w.Code, w.Body)
	}
	if w := call(s, "POST", "/console/asks?what=pause", "", signed); w.Code != 200 {
		t.Errorf("a page writes: %d %s", w.Code, w.Body)
	}
	if w := call(s, "POST", "/console/asks?what=pause", "", func(r *http.Request) { signed(r); r.Header.Set("Origin", "https://evil.example") }); w.Code != 403 {
		t.Errorf("a page of another site writes: %d", w.Code)
	}
	if w := call(s, "POST", "/console/asks?what=nothing", "", signed); w.Code != 404 {
		t.Errorf("a page asks for what is not there: %d", w.Code)
	}
	if got := strings.Join(hub.acts, "; "); got != "sign-in by ann: by token, as admin; pause by ann" {
		t.Errorf("acts: %s", got)
	}
	cookie = s.SignOut(func() *http.Request {
		r := httptest.NewRequest("POST", "http://127.0.0.1:8080/", nil)
		r.AddCookie(cookie)
		return r
	}())
	if cookie.MaxAge >= 0 {
		t.Errorf("signed out: %+v", cookie)
	}
}

// A summary fails exactly where `waybill status` exits with 1; what drifts is told of while it runs again, too.
func TestSummaryAgreesWithFailing(t *testing.T) {
	for _, st := range []Status{
		{Flows: []Flow{{Name: "a", State: StateLate}}}, {Flows: []Flow{{Name: "a", State: StateAttention}}, Totals: Totals{Parked: 1}}, {Broker: Broker{State: BrokerDown}}, {Totals: Totals{Duplicates: 1}},
		{Reconciliations: []Reconciliation{{Name: "c", Standing: Standing{State: StateRunning, Stands: StateDrift}}}}, {Rules: []Rule{{Name: "r", Standing: Standing{State: StateOverdue, Stands: StateOverdue}}}},
		{Systems: []System{{Name: "erp", State: "down"}}}, {},
	} {
		st.Summarize()
		if (st.Summary.State == StateFailing) != st.Failing() {
			t.Errorf("%+v", st.Summary)
		}
	}
}

// stuck is a hub whose status takes until a test lets it go.
type stuck struct {
	moving
	begun, release chan struct{}
}

func (s *stuck) Status(ctx context.Context) (*Status, error) {
	s.begun <- struct{}{}
	<-s.release
	return s.moving.Status(ctx)
}

// TestLookIsShared: who waits for a status that another one asks for need not wait longer than he wants to, a trouble is the same for all who look at the same time, and what a
// person changes is seen by the next.
func TestLookIsShared(t *testing.T) {
	hub := &stuck{begun: make(chan struct{}), release: make(chan struct{})}
	clock := lifecycle.NewManual(time.Date(2026, 11, 30, 9, 0, 0, 0, time.UTC)) // it stands still
	s := New(hub, Config{Metrics: http.NotFoundHandler(), Pages: func(s *Server) Pages { return pages{s} }, Clock: clock, Log: slog.New(slog.DiscardHandler)})
	hub.set(0, errors.New("the store does not answer"))
	type answer struct {
		st  *Status
		err error
	}
	first := make(chan answer, 1)
	go func() {
		st, err := s.look(t.Context())
		first <- answer{st, err}
	}()
	<-hub.begun
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.look(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("who does not want to wait is told %v", err)
	}
	hub.release <- struct{}{}
	if a := <-first; a.err == nil {
		t.Error("no trouble is told")
	}
	if _, err := s.look(t.Context()); err == nil || hub.asked != 1 { // it would wait for ever if it asked
		t.Errorf("%v after %d questions", err, hub.asked)
	}
	hub.set(3, nil)
	s.forgetGlance()
	go func() { <-hub.begun; hub.release <- struct{}{} }()
	if st, err := s.look(t.Context()); err != nil || st.Totals.Parked != 3 {
		t.Errorf("%v %v", st, err)
	}
}

// A listener that comes late is told the time of now, though nothing has changed but the time since others were told.
func TestLateListenerHearsTheTime(t *testing.T) {
	_, clock, _, at := streaming(t)
	l := listen(t, at, "")
	defer l.end()
	l.wants("pulse", `"time":"`+time.Unix(1, 0).UTC().Format("2006"))
	if err := clock.BlockUntil(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	clock.Advance(pulseEvery)
	if err := clock.BlockUntil(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	late := listen(t, at, "")
	defer late.end()
	var p Pulse
	if err := json.Unmarshal([]byte(late.wants("pulse", "")), &p); err != nil || p.Time.Unix() < 2 {
		t.Errorf("it was told the time %v: %v", p.Time.Unix(), err)
	}
}
