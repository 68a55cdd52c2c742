package httpclient

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/waybill-hub/waybill/internal/connector"
)

// The fence is asked before a request that changes something leaves, and not before one that reads.
func TestFence(t *testing.T) {
	var came atomic.Int64
	c, _ := serve(t, Config{}, func(http.ResponseWriter, *http.Request) { came.Add(1) })
	replaced := errors.New("replaced")
	ctx := connector.WithFence(t.Context(), func(context.Context) error { return replaced })
	for _, tt := range []struct {
		method string
		want   error
		calls  int64
	}{{http.MethodPost, replaced, 0}, {http.MethodPatch, replaced, 0}, {http.MethodGet, nil, 1}} {
		came.Store(0)
		_, err := c.Do(ctx, Request{Method: tt.method, Path: "x"})
		if !errors.Is(err, tt.want) || came.Load() != tt.calls {
			t.Errorf("%s: %v, %d requests came", tt.method, err, came.Load())
		}
	}
}
