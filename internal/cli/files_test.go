package cli

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/api"
)

// The list shows each failed file with its reason; retake names them to the hub, or all.
func TestFiles(t *testing.T) {
	var asked []string
	failed := api.FailedFiles{Files: []api.FailedFile{{Name: "a.csv", As: "a.csv", Bytes: 24, Modified: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), Why: "no line holds sku"}}, More: true}
	hub := hubServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent, _ := io.ReadAll(r.Body)
		asked = append(asked, r.Method+" "+r.URL.Path+" "+string(sent))
		w.Header().Set("Content-Type", "application/json")
		var a any = failed
		switch {
		case r.Method == http.MethodPost:
			a = api.Retaken{Flow: "stock", Files: []string{"a.csv", "b.csv"}, State: "asked", Text: "the files go back"}
		case strings.Contains(r.URL.Path, "calm"):
			a = api.FailedFiles{Files: []api.FailedFile{}}
		}
		_ = json.NewEncoder(w).Encode(a)
	}))
	defer hub.Close()
	for _, tt := range []struct{ args, asks, says string }{
		{"files list stock", "GET /api/v1/flows/stock/files ", "no line holds sku"}, {"files list stock", "GET /api/v1/flows/stock/files ", "there are more"},
		{"files list calm", "GET /api/v1/flows/calm/files ", "calm: no file has failed"}, {"files list stock --output json", "GET /api/v1/flows/stock/files ", `"bytes": 24`},
		{"files retake stock a.csv b.csv --note mended", `POST /api/v1/flows/stock/files/retake {"files":["a.csv","b.csv"],"note":"mended"}`, "stock: a.csv, b.csv: the files go back"},
		{"files retake stock --all", `POST /api/v1/flows/stock/files/retake {"all":true}`, "the files go back"},
		{"files retake stock --all --output json", `POST /api/v1/flows/stock/files/retake {"all":true}`, `"state": "asked"`},
	} {
		asked = nil
		code, out, errs := command(t, append(strings.Fields(tt.args), "--url", hub.URL)...)
		if code != 0 || !strings.Contains(out, tt.says) || len(asked) != 1 || strings.TrimSpace(asked[0]) != strings.TrimSpace(tt.asks) {
			t.Errorf("%s: exit %d, %q %q, asked %q", tt.args, code, out, errs, asked)
		}
	}
}
