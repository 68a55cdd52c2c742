package webhook

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func listen(t *testing.T, connections int, h http.HandlerFunc) *Server {
	t.Helper()
	s, err := Listen(ServerConfig{Listen: "127.0.0.1:0", Connections: connections})
	if err != nil {
		t.Fatal(err)
	}
	if h != nil {
		s.Handle(h)
	}
	return s
}

func dial(t *testing.T, s *Server, text string) (net.Conn, *bufio.Reader) {
	t.Helper()
	c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	return c, bufio.NewReader(c)
}

const get = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"

func TestServerBeforeItsHandler(t *testing.T) {
	s := listen(t, 0, nil)
	_, r := dial(t, s, get)
	res, err := http.ReadResponse(r, nil)
	if err != nil || res.StatusCode != 503 || res.Header.Get("Retry-After") == "" {
		t.Errorf("answer %v, %v", res, err)
	}
	_ = res.Body.Close()
	if err := s.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := Listen(ServerConfig{Listen: "256.0.0.1:0"}); err == nil {
		t.Error("an address that does not exist is listened on")
	}
}

// TestConnectionCap: connections beyond the number wait, and idle ones make room for them.
func TestConnectionCap(t *testing.T) {
	inside, leave := make(chan struct{}, 10), make(chan struct{})
	s := listen(t, 2, func(w http.ResponseWriter, _ *http.Request) {
		inside <- struct{}{}
		<-leave
	})
	_, first := dial(t, s, get)
	_, second := dial(t, s, get)
	<-inside
	<-inside
	_, third := dial(t, s, get) // in the system's queue
	select {
	case <-inside:
		t.Fatal("a third connection was served")
	default:
	}
	leave <- struct{}{}
	leave <- struct{}{}
	<-inside // although neither of the first two has hung up
	leave <- struct{}{}
	for i, r := range []*bufio.Reader{first, second, third} {
		res, err := http.ReadResponse(r, nil)
		if err != nil || res.StatusCode != 200 {
			t.Errorf("connection %d: %v", i+1, err)
			continue
		}
		_ = res.Body.Close()
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestConnectionsAtATime: however many come, no more requests are worked on together than there are slots.
func TestConnectionsAtATime(t *testing.T) {
	inside, leave := make(chan int32, 12), make(chan struct{})
	var together atomic.Int32
	s := listen(t, 2, func(http.ResponseWriter, *http.Request) {
		inside <- together.Add(1)
		<-leave
		together.Add(-1)
	})
	for range cap(inside) {
		dial(t, s, get)
	}
	for range cap(inside) {
		if n := <-inside; n > 2 {
			t.Errorf("%d requests at a time", n)
		}
		leave <- struct{}{}
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestSlowConnectionsMakeRoom: senders that only begin a request, or its body, keep nobody out; a request that is complete is
// answered, however long that takes.
func TestSlowConnectionsMakeRoom(t *testing.T) {
	inside, leave := make(chan struct{}, 10), make(chan struct{})
	s := listen(t, 3, func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(r.Body); err != nil { // its time was over before room was needed
			w.WriteHeader(http.StatusBadRequest)
		} else if r.Method == http.MethodPost {
			inside <- struct{}{}
			<-leave
		}
	})
	_, worked := dial(t, s, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
	<-inside
	_, slowHeader := dial(t, s, "GET / HT")
	_, slowBody := dial(t, s, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\n{")
	for range 5 { // each connects anew
		c, r := dial(t, s, get)
		res, err := http.ReadResponse(r, nil)
		if err != nil || res.StatusCode != 200 {
			t.Fatalf("a good request among slow ones: %v %v", res, err)
		}
		_ = res.Body.Close()
		_ = c
	}
	for name, r := range map[string]*bufio.Reader{"header": slowHeader, "body": slowBody} {
		if res, err := http.ReadResponse(r, nil); err == nil && res.StatusCode != http.StatusBadRequest {
			t.Errorf("the slow %s was answered %d", name, res.StatusCode)
		}
	}
	leave <- struct{}{}
	res, err := http.ReadResponse(worked, nil)
	if err != nil || res.StatusCode != 200 {
		t.Errorf("the complete request was cut: %v", err)
	} else {
		_ = res.Body.Close()
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestServerStops(t *testing.T) {
	inside := make(chan struct{})
	s := listen(t, 0, func(_ http.ResponseWriter, r *http.Request) {
		close(inside)
		<-r.Context().Done()
	})
	dial(t, s, get)
	<-inside
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Stop(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("a request that never ends: %v", err)
	}
}

func TestServerLimits(t *testing.T) {
	s := listen(t, 0, func(http.ResponseWriter, *http.Request) {})
	const before, behind = "GET / HTTP/1.1\r\nHost: x\r\nX-Long: ", "\r\n\r\n"
	for size, want := range map[int]int{maxHeaderBytes: http.StatusOK, maxHeaderBytes + 8<<10: http.StatusRequestHeaderFieldsTooLarge} { // net/http reads 4 KiB more than it is told
		_, r := dial(t, s, before+strings.Repeat("x", size-len(before)-len(behind))+behind)
		res, err := http.ReadResponse(r, nil)
		if err != nil || res.StatusCode != want {
			t.Errorf("headers of %d bytes: %v %v, want %d", size, res, err, want)
		} else {
			_ = res.Body.Close()
		}
	}
	for name, d := range map[string]time.Duration{"header": s.http.ReadHeaderTimeout, "read": s.http.ReadTimeout, "write": s.http.WriteTimeout, "idle": s.http.IdleTimeout} {
		if d <= 0 || d > time.Minute {
			t.Errorf("the %s timeout is %v", name, d)
		}
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestTooLargeIsNotRead: a body that is announced as too large is refused without being read.
func TestTooLargeIsNotRead(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		b.start(standardHook())
		s := listen(t, 0, b.handler.ServeHTTP)
		_, r := dial(t, s, fmt.Sprintf("POST /hooks/crm/orders HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n", 1<<40))
		res, err := http.ReadResponse(r, nil)
		if err != nil || res.StatusCode != http.StatusRequestEntityTooLarge {
			t.Fatalf("answer %v, %v", res, err)
		}
		_ = res.Body.Close()
		if err := s.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
