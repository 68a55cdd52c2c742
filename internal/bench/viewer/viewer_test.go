package viewer

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// A page that is loaded no more ends the watch with the reason, while its stream goes on; an end that was asked for is none.
func TestWatchEnds(t *testing.T) {
	var loads atomic.Int64
	var shown atomic.Int64 // of loads, how many are answered
	shown.Store(2)
	heard := make(chan struct{}, 1)
	hears := func(time.Time, *Pulse) {
		select {
		case heard <- struct{}{}:
		default:
		}
	}
	hub := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/v1/events" {
			if loads.Add(1) > shown.Load() {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
			return
		}
		for { // the next one when this one is heard
			fmt.Fprint(w, "event: pulse\ndata: {}\n\n")
			if err := http.NewResponseController(w).Flush(); err != nil {
				return
			}
			select {
			case <-heard:
			case <-r.Context().Done():
				return
			}
		}
	}))
	t.Cleanup(hub.Close)
	ctx, end := context.WithCancelCause(t.Context())
	v := &Viewer{Base: hub.URL, Path: "/", Client: hub.Client(), Pulsed: hears, Looked: func(time.Time, time.Time) {
		if loads.Load() > 1 {
			end(errors.New("it was seen twice"))
		}
	}}
	if err := v.Watch(ctx); err != nil || v.Looks() != 2 {
		t.Errorf("%d looks: %v", v.Looks(), err)
	}
	shown.Store(loads.Load() + 1)
	bound, done := context.WithTimeout(t.Context(), 20*time.Second)
	defer done()
	v = &Viewer{Base: hub.URL, Path: "/", Client: hub.Client(), Pulsed: hears}
	if err := v.Watch(bound); err == nil || !strings.Contains(err.Error(), "/ is answered 503") || v.Looks() != 1 {
		t.Errorf("%d looks: %v", v.Looks(), err)
	}
}
