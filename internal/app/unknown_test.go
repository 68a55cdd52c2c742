package app

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/api"
	"github.com/waybill-hub/waybill/internal/state"
)

// Whoever misspells a flow is told which one may be meant, whatever is asked of it.
func TestMisspeltFlow(t *testing.T) {
	t.Parallel()
	hub := newProject(t, "http://127.0.0.1:9").start(io.Discard)
	for what, ask := range map[string]func() error{
		"pause":  func() error { return hub.Pause(t.Context(), "orders-to-rep", "ann") },
		"resume": func() error { return hub.Resume(t.Context(), "orders-to-rep", "ann") },
		"rewind": func() error {
			_, err := hub.Rewind(t.Context(), "orders-to-rep", api.RewindRequest{To: "start"}, "ann")
			return err
		},
		"files":      func() error { _, err := hub.FailedFiles(t.Context(), "orders-to-rep"); return err },
		"definition": func() error { _, err := hub.Definition(t.Context(), "orders-to-rep"); return err },
		"deliveries": func() error { _, err := hub.Deliveries(t.Context(), "orders-to-rep", time.Hour); return err },
	} {
		if err := ask(); !errors.Is(err, state.ErrNotFound) || !strings.Contains(err.Error(), `did you mean "orders-to-erp"?`) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
