package webhook

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/inbox"
	"github.com/waybill-hub/waybill/internal/inbox/inboxtest"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/webhook/webhooktest"
)

// BenchmarkHook is one signed delivery, from the parsed request to the answer, with as many senders as keep the store busy.
func BenchmarkHook(b *testing.B) {
	h, err := New(Config{Inbox: inboxtest.BenchStore(b), Clock: lifecycle.Real()}, []Source{{Flow: "orders", Endpoint: *standardHook()}})
	if err != nil {
		b.Fatal(err)
	}
	b.SetParallelism(64)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			body := fmt.Sprintf(inboxtest.BenchOrder, 1)
			r := webhooktest.Delivery("crm/orders", inbox.MintID(), time.Now(), body)
			if w := webhooktest.Serve(h, r); w.Code != http.StatusAccepted {
				b.Errorf("answer %d", w.Code)
			}
		}
	})
}
