package webhook

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/waybill-hub/waybill/internal/lifecycle"
)

const (
	defaultConnections = 1024
	headerTimeout      = 5 * time.Second
	readTimeout        = 15 * time.Second
	writeTimeout       = 30 * time.Second
	idleTimeout        = 30 * time.Second // an idle connection holds one of the slots
	maxHeaderBytes     = 32 << 10
)

// ServerConfig is what a Server needs.
type ServerConfig struct {
	// Listen is the address, such as 127.0.0.1:8081.
	Listen string
	// Connections bounds those that are open at a time; 0: 1,024.
	Connections int
	// TLS is how the listener proves itself; nil: it does not, and what is sent can be read on its way.
	TLS *tls.Config
	Log *slog.Logger
}

// Server is the listener for webhooks. It may face the internet: every phase of a request has a time limit, and of more connections
// than a number, those that do nothing make room for others.
type Server struct {
	listener net.Listener
	http     *http.Server
	handler  atomic.Pointer[http.Handler]
	leaving  atomic.Bool
	serving  *lifecycle.Background
}

// Listen opens the address and serves it. Until Handle is called, requests get 503.
func Listen(c ServerConfig) (*Server, error) {
	if c.Connections <= 0 {
		c.Connections = defaultConnections
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	l, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen for webhooks: %w", err)
	}
	s := &Server{serving: lifecycle.NewBackground(context.Background())}
	s.http = &http.Server{
		Handler:                      http.HandlerFunc(s.serve),
		DisableGeneralOptionsHandler: true,
		ReadHeaderTimeout:            headerTimeout,
		ReadTimeout:                  readTimeout,
		WriteTimeout:                 writeTimeout,
		IdleTimeout:                  idleTimeout,
		MaxHeaderBytes:               maxHeaderBytes,
		ErrorLog:                     slog.NewLogLogger(c.Log.Handler(), slog.LevelDebug),
	}
	s.http.ConnState, s.http.ConnContext = follow, withConn
	s.listener = newLimitListener(l, c.Connections)
	serve := func() error { return s.http.Serve(s.listener) }
	if s.http.TLSConfig = c.TLS; c.TLS != nil {
		// One request a connection at a time: slots are counted so, and so are those who send none.
		s.http.Protocols = new(http.Protocols)
		s.http.Protocols.SetHTTP1(true)
		serve = func() error { return s.http.ServeTLS(s.listener, "", "") }
	}
	s.serving.Go(func(context.Context) error { // ended by Stop
		if err := serve(); !errors.Is(err, http.ErrServerClosed) {
			c.Log.Error("the listener for webhooks has ended", "error", err)
			return err
		}
		return nil
	})
	return s, nil
}

// Handle makes h answer from now on: a reload puts the new sources in place without closing the listener.
func (s *Server) Handle(h http.Handler) { s.handler.Store(&h) }

// Addr is the address that is listened on.
func (s *Server) Addr() string { return s.listener.Addr().String() }

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; sandbox")
	h := s.handler.Load()
	if h == nil {
		jsonReplier{}.refused(w, &refusal{status: http.StatusServiceUnavailable, detail: "the hub is starting", retry: time.Second})
		return
	}
	if s.leaving.Load() {
		w.Header().Set("Connection", "close") // the sender's next request goes to a hub that stays
	}
	(*h).ServeHTTP(w, watch(r))
}

// Leave goes on taking deliveries, but answers each as the last of its connection: whoever asks this hub whether it is ready has
// been told that it is not, and has until Stop to send elsewhere.
func (s *Server) Leave() { s.leaving.Store(true) }

// Stop takes no more connections, answers what has been asked, and closes; when ctx ends, connections are cut.
func (s *Server) Stop(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(fmt.Errorf("webhooks still being answered were cut: %w", err), s.http.Close())
	}
	return errors.Join(err, s.serving.Wait())
}
