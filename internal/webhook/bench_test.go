package webhook

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/inbox"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/store"
	"github.com/waybill-hub/waybill/internal/webhook/webhooktest"
)

const benchOrder = `{"id":"SO-%d","customer":"C-17","lines":[{"sku":"A","quantity":"2","price":"10.50"},{"sku":"B","quantity":"1","price":"3.25"}],"note":"deliver to the back door"}`

func benchStore(b *testing.B) *store.Store {
	b.Helper()
	s, err := store.Open(b.Context(), store.Config{SQLite: filepath.Join(b.TempDir(), "waybill.db")})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	return s
}

// BenchmarkHook is one signed delivery, from the parsed request to the answer, with as many senders as keep the store busy.
func BenchmarkHook(b *testing.B) {
	h, err := New(Config{Inbox: benchStore(b), Clock: lifecycle.Real()}, []Source{{Flow: "orders", Endpoint: *standardHook()}})
	if err != nil {
		b.Fatal(err)
	}
	b.SetParallelism(64)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			body := fmt.Sprintf(benchOrder, 1)
			r := httptest.NewRequest(http.MethodPost, "/hooks/crm/orders", strings.NewReader(body))
			r.Header = webhooktest.Headers(webhooktest.Key, inbox.MintID(), time.Now(), body)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != http.StatusAccepted {
				b.Errorf("answer %d", w.Code)
			}
		}
	})
}
