package cli

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/api"
)

// A code that is added with --replay has the messages replayed that it has stopped, and no others; where there are none, that is said.
func TestCodesAddReplays(t *testing.T) {
	var asked []string
	hub := hubServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.URL.Path)
		w.Header().Set("Content-Type", "application/json")
		var a any
		switch asked[len(asked)-1] {
		case "GET /api/v1/parked/codes":
			a = map[string]any{"codes": []api.UnknownCode{{Map: "units", System: "shop", Code: "crate", Direction: api.CodeOfSystem, Cause: "c0de", Count: 3}}}
		case "POST /api/v1/parked/codes":
			a = api.AddedCode{File: "units.yaml", Line: 4}
		default:
			a = api.BulkAnswer{Done: true, Total: 3, Act: 9}
		}
		_ = json.NewEncoder(w).Encode(a)
	}))
	defer hub.Close()
	for _, tt := range []struct {
		code, says string
		asks       int
	}{{"crate", "3 messages to be replayed, as bulk 9", 3}, {"box", "no message was stopped by it", 2}} {
		asked = nil
		code, out, errs := command(t, "parked", "codes", "add", "units", "shop", tt.code, "--to", "pallet", "--replay", "--url", hub.URL)
		if code != 0 || !strings.Contains(out, tt.says) || len(asked) != tt.asks {
			t.Errorf("%s: exit %d, %q %q, asked %q", tt.code, code, out, errs, asked)
		}
	}
}
