package cli

import (
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/api"
)

// TestTroubleLines: a trouble is shown for some minutes after its last time, so that the line says when that was.
func TestTroubleLines(t *testing.T) {
	since := time.Date(2026, 11, 29, 14, 45, 44, 0, time.Local)
	got := strings.Join(troubleLines([]api.Trouble{
		{Flow: "orders", What: "retry", Cause: "erp unavailable", Text: "erp: connection refused", Since: since, Last: since.Add(15 * time.Second), Count: 7},
		{Flow: "orders", What: "park", Cause: "x", Since: since, Last: since, Count: 1},
	}), "\n")
	if want := "orders: tried again since 2026-11-29 14:45:44, 7 times so far, the last at 2026-11-29 14:45:59, for erp unavailable: connection refused"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
