package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/waybill-hub/waybill/internal/access"
	"github.com/waybill-hub/waybill/internal/api"
	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/console"
	"github.com/waybill-hub/waybill/internal/lifecycle"
)

// listenAPI serves the API and the console.
func (h *Hub) listenAPI(context.Context) error {
	cfg := api.Config{Access: apiAccess(h.plan(), h.clock), Metrics: h.freshMetrics(), Pages: func(s *api.Server) api.Pages { return console.New(s, h.clock) }, Clock: h.clock, Log: h.log, Refused: h.metrics.RequestRefused}
	h.api = api.New(h, cfg)
	srv := api.HTTPServer(h.api)
	srv.RegisterOnShutdown(h.api.Close)                                // a stream would hold it up
	srv.ErrorLog = slog.NewLogLogger(h.log.Handler(), slog.LevelDebug) // strangers who do not speak TLS
	var err error
	if srv.TLSConfig, err = h.certify("http", h.plan().Hub.HTTP.TLS); err != nil {
		return err
	}
	h.apiAddr, err = h.serve("API", h.plan().Hub.HTTP.Listen, srv)
	return err
}

// certify reads a listener's certificate, which then follows its files; nil where it has none.
func (h *Hub) certify(listener string, files *config.ServerTLS) (*tls.Config, error) {
	if files == nil {
		return nil, nil
	}
	c, err := access.LoadCertificate(files.Cert, files.Key, h.clock, h.log)
	if err != nil {
		return nil, fmt.Errorf("%s.tls: %w", listener, err)
	}
	h.certificates = append(h.certificates, certificate{listener, c})
	return c.Config(), nil
}

// certificate is what a listener proves itself by.
type certificate struct {
	listener string
	*access.Certificate
}

// certificateViews show the certificates in the status.
func (h *Hub) certificateViews() (out []api.Certificate) {
	for _, c := range h.certificates {
		v := api.Certificate{Listener: c.listener}
		v.File, v.NotAfter, v.Why = c.State()
		out = append(out, v)
	}
	return out
}

// URL is where the API and the console are; HooksURL where webhooks are sent.
func (h *Hub) URL() string      { return scheme(h.plan().Hub.HTTP.TLS) + h.apiAddr.String() }
func (h *Hub) HooksURL() string { return scheme(h.plan().Hub.Hooks.TLS) + h.hooksAddr }

func scheme(t *config.ServerTLS) string {
	if t == nil {
		return "http://"
	}
	return "https://"
}

// serve listens and serves until the stack stops it.
func (h *Hub) serve(name, listen string, srv *http.Server) (net.Addr, error) {
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", listen, err)
	}
	serve := func() error { return srv.Serve(l) }
	if srv.TLSConfig != nil {
		serve = func() error { return srv.ServeTLS(l, "", "") }
	}
	serving := lifecycle.NewBackground(context.Background())
	serving.Go(func(context.Context) error { // ended by the stack
		if err := serve(); !errors.Is(err, http.ErrServerClosed) {
			h.log.Error("a listener has ended", "listener", name, "error", err)
			return err
		}
		return nil
	})
	return l.Addr(), h.stack.Push(name+" listener", 10*time.Second, func(ctx context.Context) error {
		err := srv.Shutdown(ctx)
		if err != nil {
			err = errors.Join(err, srv.Close())
		}
		return errors.Join(err, serving.Wait())
	})
}
