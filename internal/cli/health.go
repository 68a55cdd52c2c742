package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/waybill-hub/waybill/internal/access"
	"github.com/waybill-hub/waybill/internal/api"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// client is how commands reach the hub: with --ca, by the authorities in that file alone.
func (e *env) client() (*http.Client, error) {
	if e.ca == "" {
		return http.DefaultClient, nil
	}
	pem, err := strictyaml.ReadPath(e.ca, 1<<20)
	if err != nil {
		return nil, usage("--ca: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, usage("--ca: %s holds no certificate in PEM", e.ca)
	}
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}
	return &http.Client{Transport: t}, nil
}

// unreachable says why no hub answers; a certificate that is not trusted has a cure of its own.
func (e *env) unreachable(err error) error {
	hint := "is it running, and is --url right?"
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	switch {
	case errors.As(err, &unknown):
		hint = "give the authority of its certificate with --ca or in WAYBILL_CA"
	case errors.As(err, &name):
		hint = "ask it under a name that its certificate has"
	}
	return &exitError{exitUnreachable, fmt.Errorf("no hub answers at %s: %w; %s", e.url, errors.Unwrap(err), hint)}
}

// healthTimeout is shorter than any health check's own.
const healthTimeout = 5 * time.Second

// healthCommand is for containers, which have no other program to ask with.
func (e *env) healthCommand() *cobra.Command {
	var ready bool
	c := &cobra.Command{Use: "health", Short: "Ask whether the hub lives, or with --ready whether it takes webhooks; needs no token; exits 1 when it says no, 3 when nobody answers",
		Args: cobra.NoArgs, RunE: do(func(c *cobra.Command, _ []string) error {
			path := "/healthz"
			if ready {
				path = "/readyz"
			}
			ctx, cancel := context.WithTimeout(c.Context(), healthTimeout)
			defer cancel()
			return e.health(ctx, path)
		})}
	c.Flags().BoolVar(&ready, "ready", false, "whether it takes webhooks and its store answers")
	return c
}

func (e *env) health(ctx context.Context, path string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(e.url, "/")+path, nil)
	if err != nil {
		return usage("--url %q: %w", e.url, err)
	}
	client, err := e.client()
	if err != nil {
		return err
	}
	if req.URL.Scheme == "https" && e.ca == "" && access.Loopback(req.URL.Hostname()) {
		// The check of a hub on this machine asks by an address that its certificate need not have. Nothing secret is sent or believed.
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true}
		client = &http.Client{Transport: t}
	}
	resp, err := client.Do(req)
	if err != nil {
		return e.unreachable(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return &exitError{exitUnreachable, fmt.Errorf("the hub at %s broke off: %w", e.url, err)}
	}
	if resp.StatusCode != http.StatusOK {
		var p api.Problem
		if json.Unmarshal(data, &p) != nil || p.Detail == "" {
			return e.noHub(resp.Status)
		}
		return errors.New(p.Detail)
	}
	var ok struct {
		Status string `json:"status"`
	}
	if json.Unmarshal(data, &ok) != nil || ok.Status == "" {
		return fmt.Errorf("%s answers something else than a hub", e.url)
	}
	if e.output == "json" {
		return e.json(ok)
	}
	_, err = fmt.Fprintln(e.out, ok.Status)
	return err
}
