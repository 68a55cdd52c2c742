package httpclient

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve starts a server with a handler and gives a client of it.
func serve(t *testing.T, cfg Config, h http.HandlerFunc) (*Client, *httptest.Server) {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	if cfg.URL == "" {
		cfg.URL = srv.URL
	}
	return client(t, cfg), srv
}

func client(t *testing.T, cfg Config) *Client {
	t.Helper()
	cfg.System = "crm"
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func secret(s string) strictyaml.Secret { return strictyaml.NewSecret(s) }

func TestStatusKinds(t *testing.T) {
	cases := []struct {
		status      int
		write, read fault.Kind
	}{
		{200, fault.None, fault.None},
		{204, fault.None, fault.None},
		{302, fault.Invalid, fault.Invalid},
		{400, fault.Invalid, fault.Invalid},
		{401, fault.Auth, fault.Auth},
		{403, fault.Invalid, fault.Invalid},
		{404, fault.NotFound, fault.NotFound},
		{408, fault.UnknownOutcome, fault.Unavailable},
		{409, fault.Conflict, fault.Conflict},
		{410, fault.NotFound, fault.NotFound},
		{412, fault.Conflict, fault.Conflict},
		{413, fault.Invalid, fault.Invalid},
		{422, fault.Invalid, fault.Invalid},
		{423, fault.Unavailable, fault.Unavailable},
		{425, fault.Unavailable, fault.Unavailable},
		{428, fault.Conflict, fault.Conflict},
		{429, fault.RateLimited, fault.RateLimited},
		{500, fault.UnknownOutcome, fault.Unavailable},
		{501, fault.Invalid, fault.Invalid},
		{502, fault.UnknownOutcome, fault.Unavailable},
		{503, fault.Unavailable, fault.Unavailable},
		{504, fault.UnknownOutcome, fault.Unavailable},
		{524, fault.UnknownOutcome, fault.Unavailable},
	}
	c, _ := serve(t, Config{}, func(w http.ResponseWriter, r *http.Request) {
		var status int
		fmt.Sscanf(r.URL.Path, "/%d", &status)
		w.WriteHeader(status)
		if status != 204 {
			io.WriteString(w, `{"message": "as asked"}`)
		}
	})
	for _, tc := range cases {
		for method, want := range map[string]fault.Kind{"POST": tc.write, "GET": tc.read} {
			resp, err := c.Do(t.Context(), Request{Method: method, Path: fmt.Sprint(tc.status), Op: "try"})
			if got := fault.KindOf(err); got != want {
				t.Errorf("%s %d: %v, want %v", method, tc.status, got, want)
			}
			if resp == nil || resp.Status != tc.status {
				t.Errorf("%s %d: no response beside the failure", method, tc.status)
			}
			if f, ok := fault.As(err); ok && (f.Code != fmt.Sprint(tc.status) || f.System != "crm" || f.Op != "try") {
				t.Errorf("%s %d: %+v", method, tc.status, f)
			}
		}
	}
}

// A server that takes a connection and does something wicked with it.
func wicked(t *testing.T, behave func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			behave(conn)
			conn.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return "http://" + l.Addr().String()
}

func readRequest(c net.Conn) {
	buf := make([]byte, 64<<10)
	_, _ = c.Read(buf)
}

func reset(c net.Conn) {
	if tc, ok := c.(*net.TCPConn); ok {
		_ = tc.SetLinger(0)
	}
}

func TestTransportFailures(t *testing.T) {
	refused, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refusedURL := "http://" + refused.Addr().String()
	refused.Close()
	cases := []struct {
		name        string
		url         string
		timeout     time.Duration
		write, read fault.Kind
	}{
		{"refused", refusedURL, 0, fault.Unavailable, fault.Unavailable},
		{"no such name", "http://does-not-exist.invalid", 0, fault.Unavailable, fault.Unavailable},
		{"not TLS", strings.Replace(wicked(t, func(c net.Conn) { readRequest(c); io.WriteString(c, "HTTP/1.1 400 no\r\n\r\n") }), "http:", "https:", 1), 0,
			fault.Unavailable, fault.Unavailable},
		{"closed after the request", wicked(t, readRequest), 0, fault.UnknownOutcome, fault.Unavailable},
		{"reset after the request", wicked(t, func(c net.Conn) { readRequest(c); reset(c) }), 0, fault.UnknownOutcome, fault.Unavailable},
		{"half an answer", wicked(t, func(c net.Conn) {
			readRequest(c)
			io.WriteString(c, "HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\n{")
		}), 0, fault.UnknownOutcome, fault.Unavailable},
		{"no answer in time", wicked(t, func(c net.Conn) {
			readRequest(c)
			readRequest(c) // until the client gives up
		}), 50 * time.Millisecond, fault.UnknownOutcome, fault.Unavailable},
		{"not HTTP", wicked(t, func(c net.Conn) { readRequest(c); io.WriteString(c, "SSH-2.0-OpenSSH\r\n") }), 0, fault.UnknownOutcome, fault.Unavailable},
		{"link-local", "http://[fe80::1]", 0, fault.Invalid, fault.Invalid},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			c, err := New(Config{System: "crm", URL: tc.url, Timeout: tc.timeout})
			if tc.name == "link-local" {
				if !errors.Is(err, ErrAddress) {
					t.Fatalf("New: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			for method, want := range map[string]fault.Kind{"POST": tc.write, "GET": tc.read} {
				_, err := c.Do(t.Context(), Request{Method: method, Path: "orders", Body: []byte(`{"a":1}`), Op: "create order"})
				if got := fault.KindOf(err); got != want {
					t.Errorf("%s: %v, want %v: %v", method, got, want, err)
				}
				if tc.timeout > 0 && (!strings.Contains(err.Error(), "no whole answer within 50ms (timeout)") || !errors.Is(err, context.DeadlineExceeded)) {
					t.Errorf("%s: %v", method, err)
				}
			}
		})
	}
}

// What must not be sent again is not sent again by net/http either, on a kept connection that the server has closed, whatever its headers are.
func TestNoReplay(t *testing.T) {
	key := http.Header{"Idempotency-Key": {"k"}}
	for _, tc := range []struct {
		name string
		r    Request
		want fault.Kind
	}{
		{"a write", Request{Method: "POST", Path: "orders", Body: []byte(`{}`), Header: key}, fault.UnknownOutcome},
		{"a delete", Request{Method: "DELETE", Path: "orders/1", Header: key}, fault.UnknownOutcome},
		{"a read that moves the other side", Request{Method: "GET", Path: "orders", Once: true}, fault.Unavailable},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var seen atomic.Int32
			url := wicked(t, func(c net.Conn) {
				r, err := http.ReadRequest(bufio.NewReader(c))
				if err != nil || tc.r.Body == nil && (len(r.TransferEncoding) > 0 || r.ContentLength != 0) {
					t.Errorf("a body was announced: %+v %v", r, err)
				}
				if r != nil {
					_, _ = io.Copy(io.Discard, r.Body)
				}
				io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
				readRequest(c)
				seen.Add(1)
			})
			c := client(t, Config{URL: url})
			if _, err := c.Do(t.Context(), tc.r); err != nil {
				t.Fatal(err)
			}
			if _, err := c.Do(t.Context(), tc.r); fault.KindOf(err) != tc.want {
				t.Fatalf("got %v, want %v: the request was read, and then nothing", err, tc.want)
			}
			if n := seen.Load(); n != 1 {
				t.Errorf("the second request arrived %d times", n)
			}
		})
	}
}

func TestCancelled(t *testing.T) {
	arrived := make(chan struct{})
	c, _ := serve(t, Config{}, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) // only then the server notices that the client is gone
		close(arrived)
		<-r.Context().Done()
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-arrived; cancel() }()
	_, err := c.Do(ctx, Request{Method: "POST", Path: "orders", Body: []byte(`{}`)})
	if fault.KindOf(err) != fault.UnknownOutcome || !errors.Is(err, context.Canceled) {
		t.Errorf("after sending: %v", err)
	}
	_, err = c.Do(ctx, Request{Method: "POST", Path: "orders", Body: []byte(`{}`)})
	if fault.KindOf(err) != fault.Unavailable || !errors.Is(err, context.Canceled) {
		t.Errorf("before sending: %v", err)
	}
}

func TestLargeAnswer(t *testing.T) {
	c, _ := serve(t, Config{MaxBody: 1000}, func(w http.ResponseWriter, r *http.Request) {
		w.Write(bytes.Repeat([]byte("x"), 1001))
	})
	if _, err := c.Do(t.Context(), Request{Method: "GET", Path: "x"}); fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "longer than 1000B, which max-body is: ask for less") {
		t.Errorf("GET: %v", err)
	}
	if _, err := c.Do(t.Context(), Request{Method: "POST", Path: "x"}); fault.KindOf(err) != fault.UnknownOutcome {
		t.Errorf("POST: %v", err)
	}
}

func TestRedirects(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("the other server was asked, with %q", r.Header.Get("Authorization"))
	}))
	defer other.Close()
	c, _ := serve(t, Config{Auth: Auth{Bearer: secret("tok-12345")}}, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/away":
			http.Redirect(w, r, other.URL+"/x?token=abc", http.StatusTemporaryRedirect)
		case "/here":
			http.Redirect(w, r, "/there", http.StatusFound)
		case "/moved":
			http.Redirect(w, r, "/there", http.StatusPermanentRedirect)
		case "/there":
			io.WriteString(w, r.Method+" "+r.Header.Get("Authorization"))
		}
	})
	if _, err := c.Do(t.Context(), Request{Method: "GET", Path: "away"}); fault.KindOf(err) != fault.Invalid || strings.Contains(err.Error(), "abc") {
		t.Errorf("to another server: %v", err)
	}
	for _, r := range []Request{{Path: "here"}, {Path: "here", Once: true}, {Path: "moved"}, {Path: "moved", Once: true}} {
		r.Method = "GET"
		resp, err := c.Do(t.Context(), r)
		if err != nil || string(resp.Body) != "GET Bearer tok-12345" || resp.URL.Path != "/there" {
			t.Errorf("within the server, from %s, once: %v: %v %v", r.Path, r.Once, resp, err)
		}
	}
	if _, err := c.Do(t.Context(), Request{Method: "POST", Path: "here", Body: []byte("{}")}); fault.KindOf(err) != fault.Invalid {
		t.Errorf("a POST must not become a GET: %v", err)
	}
}

func TestQueryAndPaths(t *testing.T) {
	var got string
	c, srv := serve(t, Config{Headers: map[string]string{"X-Tenant": "acme"}}, func(w http.ResponseWriter, r *http.Request) {
		got = r.RequestURI + " " + r.Header.Get("X-Tenant")
	})
	c.base, _ = BaseURL(srv.URL + "/api/v1")
	for _, tc := range []struct {
		path string
		q    Query
		want string
	}{
		{"orders", Query{{"$filter", "Name eq 'A+B & C'"}}, "/api/v1/orders?%24filter=Name%20eq%20%27A%2BB%20%26%20C%27 acme"},
		{"/orders/" + Escape("a/b c"), nil, "/api/v1/orders/a%2Fb%20c acme"},
		{srv.URL + "/api/v1/orders?page=2", nil, "/api/v1/orders?page=2 acme"},
		{"a:b", nil, "/api/v1/a:b acme"},
	} {
		if _, err := c.Do(t.Context(), Request{Method: "GET", Path: tc.path, Query: tc.q}); err != nil {
			t.Fatal(err)
		}
		if got != tc.want {
			t.Errorf("%s: %s, want %s", tc.path, got, tc.want)
		}
	}
	for _, path := range []string{"http://169.254.169.254/latest", "//evil.example/x", "https://evil.example"} {
		if _, err := c.Do(t.Context(), Request{Method: "GET", Path: path}); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestResolveNextDropsTheKey(t *testing.T) {
	c := client(t, Config{URL: "https://crm.example/api", Auth: Auth{APIKey: &APIKey{Query: "key", Value: secret("s3cr3t")}}})
	from, _ := c.Resolve("orders?key=s3cr3t")
	u, err := c.ResolveNext(from, "?page=2&key=s3cr3t&x=1")
	if err != nil || u.String() != "https://crm.example/api/orders?page=2&x=1" {
		t.Errorf("%v %v", u, err)
	}
	byToken := client(t, Config{URL: "https://crm.example/api", Auth: Auth{Login: &Login{Parameter: "access_token", Secret: secret("s3cr3t")}}})
	if u, err := byToken.ResolveNext(from, "?page=2&access_token=t-1&x=1"); err != nil || u.String() != "https://crm.example/api/orders?page=2&x=1" {
		t.Errorf("a token: %v %v", u, err)
	}
	if _, err := c.ResolveNext(from, "https://other.example/api?page=2"); fault.KindOf(err) != fault.Invalid {
		t.Errorf("another server: %v", err)
	}
}

// Whatever a server answers, secrets do not come back out of the client.
func TestSecretsAreScrubbed(t *testing.T) {
	const pw = "pa ss/w0rd+"
	var logged bytes.Buffer
	auths := map[string]Auth{
		"basic":  {Basic: &Basic{User: "hub", Password: secret(pw)}},
		"bearer": {Bearer: secret(pw)},
		"header": {APIKey: &APIKey{Header: "X-Key", Value: secret(pw)}},
		"query":  {APIKey: &APIKey{Query: "key", Value: secret(pw)}},
	}
	for name, auth := range auths {
		t.Run(name, func(t *testing.T) {
			c, _ := serve(t, Config{Auth: auth, Log: slog.New(slog.NewTextHandler(&logged, nil))}, func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(400)
				fmt.Fprintf(w, "you sent %v to %s, which is %s", r.Header, r.RequestURI, pw)
			})
			_, err := c.Do(t.Context(), Request{Method: "POST", Path: "x"})
			text := fmt.Sprintf("%v %+v %#v %s", err, err, err.Error(), logged.String())
			for _, leak := range []string{pw, "pa%20ss", "pa+ss", "cGEgc3Mvdz", "OnBhIHNzL3c"} {
				if strings.Contains(text, leak) {
					t.Errorf("%q leaks in %s", leak, text)
				}
			}
			if !strings.Contains(text, "[secret]") {
				t.Errorf("the test shows nothing: %s", text)
			}
		})
	}
}
