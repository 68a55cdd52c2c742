package intake

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/inbox/inboxtest"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/webhook"
	"github.com/waybill-hub/waybill/internal/webhook/webhooktest"
)

var noon = time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC)

func standardHook() *webhook.Endpoint {
	return &webhook.Endpoint{Path: "crm/orders", Verify: webhook.Verify{Scheme: "standard-webhooks", Secrets: webhooktest.Secrets(webhooktest.Whsec(webhooktest.Key))}}
}

// post sends a signed delivery straight to the handler.
func (b *bench) post(id, body string) *httptest.ResponseRecorder {
	return b.serve(webhooktest.Delivery("crm/orders", id, b.Clock.Now(), body))
}

func (b *bench) serve(r *http.Request) *httptest.ResponseRecorder {
	return webhooktest.Serve(b.intake.Webhooks(), r)
}

// TestAnswersWithoutTheBroker: a sender is answered although the relay cannot publish.
func TestAnswersWithoutTheBroker(t *testing.T) {
	onSQLite(t, func(t *testing.T, b *bench) {
		b.start(Source{Webhook: standardHook(), Key: inboxtest.Field("id")})
		b.Topic.Mu.Lock()
		defer b.Topic.Mu.Unlock()
		for _, id := range []string{"msg_1", "msg_2"} {
			webhooktest.WantAnswer(t, b.post(id, `{"id":"SO-1"}`), http.StatusAccepted, "accepted")
		}
		if n := b.Unpublished(); n != 2 {
			t.Errorf("%d rows in the inbox, want 2", n)
		}
	})
}

// TestManyAtOnce: 2,000 deliveries at the same time, every fourth of them a repetition, through a real listener.
func TestManyAtOnce(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		b.start(Source{Webhook: standardHook(), Key: inboxtest.Field("id")})
		server, err := webhook.Listen(webhook.ServerConfig{Listen: "127.0.0.1:0", Connections: 64})
		if err != nil {
			t.Fatal(err)
		}
		server.Handle(b.intake.Webhooks())
		client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
		const total, distinct = 2000, 1500
		var mu sync.Mutex
		answers := map[string]int{}
		gate := make(chan struct{}, 256)
		var wg sync.WaitGroup
		for i := range total {
			gate <- struct{}{}
			wg.Go(func() {
				defer func() { <-gate }()
				n := i % distinct
				body := `{"id":"SO-` + strconv.Itoa(n) + `"}`
				var res *http.Response
				err := lifecycle.Retry(t.Context(), lifecycle.Real(), lifecycle.Backoff{Min: time.Millisecond, Max: 100 * time.Millisecond}, func() error {
					r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+server.Addr()+"/hooks/crm/orders", strings.NewReader(body))
					if err == nil {
						r.Header = webhooktest.Headers(webhooktest.Key, "msg_"+strconv.Itoa(n), b.Clock.Now(), body)
						res, err = client.Do(r) //nolint:bodyclose // it is read below
					}
					return err
				}, nil) // a crowded server closes idle connections; senders come again
				if err != nil {
					t.Error(err)
					return
				}
				text, _ := io.ReadAll(res.Body)
				_ = res.Body.Close()
				var a webhooktest.Answer
				_ = json.Unmarshal(text, &a)
				mu.Lock()
				answers[strconv.Itoa(res.StatusCode)+" "+a.Status]++
				mu.Unlock()
			})
		}
		wg.Wait()
		client.CloseIdleConnections()
		if err := server.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		// A delivery whose answer was cut off is a duplicate when it comes again; nothing else may differ.
		if answers["202 accepted"]+answers["202 duplicate"] != total || answers["202 duplicate"] < total-distinct {
			t.Errorf("answers %v", answers)
		}
		b.Turn("all events", func() bool { return b.Topic.Count() >= distinct && b.Unpublished() == 0 })
		ids := map[string]bool{}
		for _, id := range b.Topic.IDs() {
			if ids[id] {
				t.Errorf("%s was published twice", id)
			}
			ids[id] = true
		}
		if len(ids) != distinct {
			t.Errorf("%d events, want %d", len(ids), distinct)
		}
	})
}
