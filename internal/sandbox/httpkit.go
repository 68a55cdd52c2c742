package sandbox

import (
	"context"
	"crypto/subtle"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const maxBody = 4 << 20

// endpoint is one HTTP server.
type endpoint struct {
	addr   string
	url    string
	server *http.Server
	done   chan struct{}
	stop   context.CancelFunc
}

// serve starts an HTTP server. Handlers that hold a connection give up when the endpoint closes.
func serve(listen string, h http.Handler) (*endpoint, error) {
	ln, err := net.Listen("tcp", listen)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	e := &endpoint{addr: ln.Addr().String(), url: "http://" + ln.Addr().String(), done: make(chan struct{}), stop: cancel, server: &http.Server{
		Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute,
		BaseContext: func(net.Listener) context.Context { return ctx },
	}}
	go func() {
		defer close(e.done)
		_ = e.server.Serve(ln)
	}()
	return e, nil
}

// Close waits a moment for calls under way.
func (e *endpoint) Close() error {
	e.stop()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	err := e.server.Shutdown(ctx)
	if err != nil {
		err = e.server.Close()
	}
	<-e.done
	return err
}

func answer(w http.ResponseWriter, status int, v any) {
	body, err := marshal(v)
	if err != nil {
		status, body = http.StatusInternalServerError, []byte(`{"error":"cannot encode the answer"}`)
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n'))
}

// authorised compares the caller's bearer token or API key with what allow accepts.
func authorised(r *http.Request, allow func(token string) bool) bool {
	token := r.Header.Get("X-Api-Key")
	if scheme, rest, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "bearer") {
		token = strings.TrimSpace(rest)
	}
	return token != "" && allow(token)
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// readBody reads a JSON object.
func readBody(r *http.Request) (raw []byte, doc map[string]any, err error) {
	raw, err = io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil {
		return nil, nil, err
	}
	if len(raw) > maxBody {
		return raw, nil, &apiError{status: 413, code: "REQUEST_TOO_LARGE", msg: "the body is larger than 4 MiB"}
	}
	if len(raw) == 0 {
		return raw, nil, nil
	}
	doc, err = decode(raw)
	if err != nil {
		return raw, nil, &apiError{status: 400, code: "JSON_PARSER_ERROR", msg: err.Error()}
	}
	return raw, doc, nil
}

// befall carries out the fate of a call whose change, if any, is made. It reports whether the answer was swallowed.
func befall(w http.ResponseWriter, r *http.Request, f fate, c Chaos) bool {
	switch f {
	case fateSlow:
		pause(r.Context(), ms(c.SlowMS, 1500))
	case fateHang:
		pause(r.Context(), ms(c.HangMS, 35000))
		reset(w)
		return true
	case fateDropApplied:
		reset(w)
		return true
	}
	return false
}

// pause waits for d or until the call is given up.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// reset breaks the connection without an answer.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// refusal is the answer to a call that befell a fate before it was applied; ok says whether there is one.
func refusal(w http.ResponseWriter, f fate, c Chaos) (e *apiError, ok bool) {
	switch f {
	case fateError500:
		return &apiError{status: 500, code: "UNKNOWN_EXCEPTION", msg: "an unexpected error occurred"}, true
	case fateError503:
		w.Header().Set("Retry-After", strconv.Itoa(orDefault(c.RetryAfter, 1)))
		return &apiError{status: 503, code: "SERVER_UNAVAILABLE", msg: "the server is down for maintenance, try again"}, true
	case fateTooMany, fateLimited:
		w.Header().Set("Retry-After", strconv.Itoa(orDefault(c.RetryAfter, 1)))
		return &apiError{status: 429, code: "REQUEST_LIMIT_EXCEEDED", msg: "too many requests, try again"}, true
	}
	return nil, false
}

func asAPIError(err error) *apiError {
	var e *apiError
	if errors.As(err, &e) {
		return e
	}
	return &apiError{status: 500, code: "UNKNOWN_EXCEPTION", msg: err.Error()}
}
