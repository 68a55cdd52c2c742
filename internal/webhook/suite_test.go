package webhook

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/inbox/inboxtest"
	"github.com/waybill-hub/waybill/internal/webhook/webhooktest"
)

func TestMain(m *testing.M) { inboxtest.Main(m) }

// seen is an Observer that remembers the alarms.
type seen struct{ inboxtest.Alarms }

func (*seen) Answered(string, int, time.Duration) {}

func (*seen) Refused(string, Reason, string) {}

// bench is the front of one hub under test.
type bench struct {
	*inboxtest.Bench
	// between stands between the handler and the store; nil: nothing does.
	between func(Inbox) Inbox
	seen    *seen
	handler *Handler
}

// onStores runs a test on every store.
func onStores(t *testing.T, test func(t *testing.T, b *bench)) { inboxtest.OnStores(t, benched(test)) }

// onSQLite runs a test to which no difference between stores matters.
func onSQLite(t *testing.T, test func(t *testing.T, b *bench)) { inboxtest.OnSQLite(t, benched(test)) }

func benched(test func(t *testing.T, b *bench)) func(*testing.T, *inboxtest.Bench) {
	return func(t *testing.T, inner *inboxtest.Bench) { test(t, &bench{Bench: inner, seen: &seen{}}) }
}

// start makes the handler of one endpoint.
func (b *bench) start(e *Endpoint) {
	b.T.Helper()
	var in Inbox = b.Store
	if b.between != nil {
		in = b.between(in)
	}
	h, err := New(Config{Inbox: in, Clock: b.Clock, Log: inboxtest.Log(), Observer: b.seen}, []Source{{Flow: "orders", Topic: "in.orders", Endpoint: *e}})
	if err != nil {
		b.T.Fatal(err)
	}
	b.handler = h
}

func standardHook() *Endpoint {
	return &Endpoint{Path: "crm/orders", Verify: Verify{Scheme: "standard-webhooks", Secrets: webhooktest.Secrets(webhooktest.Whsec(webhooktest.Key))}}
}

// post sends a signed delivery straight to the handler.
func (b *bench) post(id, body string) *httptest.ResponseRecorder {
	return b.serve(webhooktest.Delivery("crm/orders", id, b.Clock.Now(), body))
}

func (b *bench) serve(r *http.Request) *httptest.ResponseRecorder {
	return webhooktest.Serve(b.handler, r)
}
