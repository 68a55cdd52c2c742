package httpclient_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/httpclient"
)

// TestSession: many calls share one login; a session that is gone is begun anew, once for each call; the last one is ended at the close, and its key shows nowhere.
func TestSession(t *testing.T) {
	var logins, logouts, calls atomic.Int64
	var valid sync.Map
	mux := http.NewServeMux()
	mux.HandleFunc("/login", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			t.Error("a login goes with credentials")
		}
		key := fmt.Sprintf("Session key-%d", logins.Add(1))
		valid.Store(key, true)
		fmt.Fprint(w, key)
	})
	mux.HandleFunc("/logout", func(w http.ResponseWriter, r *http.Request) {
		logouts.Add(1)
		valid.Delete(r.Header.Get("Authorization"))
	})
	mux.HandleFunc("/work", func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		if _, ok := valid.Load(r.Header.Get("Authorization")); !ok {
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(w, "unknown: ", r.Header.Get("Authorization"))
		}
	})
	srv := httptest.NewServer(mux)
	defer srv.Close()
	var c *httpclient.Client
	refused := false
	c, err := httpclient.New(httpclient.Config{System: "erp", URL: srv.URL, Session: &httpclient.Session{
		Login: func(ctx context.Context) (string, error) {
			if refused {
				return "", fault.New(fault.Auth, "no")
			}
			resp, err := c.Do(ctx, httpclient.Request{Method: http.MethodPost, Path: "login", Bare: true, Safe: true})
			if err != nil {
				return "", err
			}
			return string(resp.Body), nil
		},
		Logout: func(ctx context.Context, authorization string) {
			_, _ = c.Do(ctx, httpclient.Request{Method: http.MethodPost, Path: "logout", Bare: true, Safe: true, Header: http.Header{"Authorization": {authorization}}})
		},
	}})
	if err != nil {
		t.Fatal(err)
	}
	work := func() error {
		_, err := c.Do(t.Context(), httpclient.Request{Method: http.MethodPost, Path: "work"})
		return err
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if err := work(); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := logins.Load(); n != 1 {
		t.Errorf("%d logins for eight calls", n)
	}
	valid.Clear()
	if err := work(); err != nil || logins.Load() != 2 {
		t.Errorf("after the session was gone: %v, %d logins", err, logins.Load())
	}
	valid.Clear()
	refused = true
	if err := work(); fault.KindOf(err) != fault.Auth {
		t.Errorf("a login that is refused: %v", err)
	}
	refused = false
	if err := work(); err != nil {
		t.Errorf("the next call logs in again: %v", err)
	}
	if err := c.Close(); err != nil || logouts.Load() != 1 {
		t.Errorf("close: %v, %d logouts", err, logouts.Load())
	}
	before := calls.Load()
	err = work()
	if f, ok := fault.As(err); !ok || f.System != "erp" || calls.Load() != before {
		t.Errorf("after the close: %v", err)
	}
	if err := errors.Join(err, errors.New(c.Scrub("Session key-1"))); strings.Contains(err.Error(), "key-1") {
		t.Errorf("a session's key shows: %v", err)
	}
}
