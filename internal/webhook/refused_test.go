package webhook

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/webhook/webhooktest"
)

// refusedOf is what was refused for a reason, by flow; all: every one that there is.
func (b *bench) refusedFor(reason Reason) Refused {
	for _, r := range b.handler.Refused() {
		if r.Reason == reason {
			return r
		}
	}
	return Refused{}
}

// What is refused at a webhook is counted by its source and reason, and says what the last sender was told; never a secret.
func TestRefusedWebhooksAreCounted(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		hook := standardHook()
		hook.MaxBody, hook.Rate, hook.Burst = 1000, 1, 3
		b.start(hook)
		signed := func(at time.Time, body string) *http.Request {
			r := webhooktest.Delivery("crm/orders", fmt.Sprint(rand.Int()), at, body)
			return r
		}
		for _, c := range []struct {
			name   string
			make   func() *http.Request
			status int
			reason Reason
			flow   string
		}{
			{"wrong signature", func() *http.Request {
				r := signed(b.Clock.Now(), `{"k":"a"}`)
				r.Header = webhooktest.Headers("another-key-of-24-bytes-or-more", "x", b.Clock.Now(), `{"k":"a"}`)
				return r
			}, 401, ReasonSignature, "orders"},
			{"too old", func() *http.Request { return signed(b.Clock.Now().Add(-time.Hour), `{"k":"a"}`) }, 401, ReasonTimestamp, "orders"},
			{"too large", func() *http.Request {
				return signed(b.Clock.Now(), `{"k":"`+strings.Repeat("a", 2000)+`"}`)
			}, 413, ReasonTooLarge, "orders"},
			{"no JSON", func() *http.Request { return signed(b.Clock.Now(), `{"k":`) }, 400, ReasonUnreadable, "orders"},
			{"no POST", func() *http.Request { return httptest.NewRequest(http.MethodGet, "/hooks/crm/orders", nil) }, 405, ReasonMethod, "orders"},
			{"unknown path", func() *http.Request {
				return httptest.NewRequest(http.MethodPost, "/hooks/crm/order-"+webhooktest.Key, strings.NewReader("{}"))
			}, 404, ReasonPath, ""},
			{"media", func() *http.Request {
				r := signed(b.Clock.Now(), `{"k":"a"}`)
				r.Header.Set("Content-Type", "text/plain")
				return r
			}, 415, ReasonMedia, "orders"},
		} {
			for n := range int64(2) {
				webhooktest.WantAnswer(t, b.serve(c.make()), c.status, "")
				got := b.refusedFor(c.reason)
				if got.Flow != c.flow || got.Count != n+1 || got.Hour != n+1 || !got.Since || !got.Last.Equal(b.Clock.Now()) || got.Detail == "" || strings.Contains(got.Detail, webhooktest.Key) {
					t.Errorf("%s: %+v", c.name, got)
				}
				if parts := strings.Split(got.Detail, ": "); strings.Count(got.Detail, parts[len(parts)-1]) != 1 {
					t.Errorf("%s: it is said twice: %s", c.name, got.Detail)
				}
			}
		}
		for range 20 {
			b.serve(signed(b.Clock.Now(), `{"k":"a"}`))
		}
		if got := b.refusedFor(ReasonRate); got.Count < 10 || got.Detail == "" {
			t.Errorf("over its rate: %+v", got)
		}
		b.Clock.Advance(time.Minute)
		webhooktest.WantAnswer(t, b.serve(signed(b.Clock.Now(), `{"k":"b"}`)), 202, "")
		if got := b.refusedFor(ReasonSignature); got.Since || got.Hour != 2 {
			t.Errorf("after one was taken: %+v", got)
		}
		b.Clock.Advance(time.Hour)
		if got := b.refusedFor(ReasonSignature); got.Hour != 0 || got.Count != 2 {
			t.Errorf("an hour later: %+v", got)
		}
	})
}

// Whatever paths an attacker makes up, they are one source.
func TestUnknownPathsAreOneSource(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		b.start(standardHook())
		const n = 20_000
		for i := range n {
			b.serve(httptest.NewRequest(http.MethodPost, fmt.Sprint("/hooks/", i, "/", rand.Int()), nil))
		}
		all := b.handler.Refused()
		if len(all) != 1 || all[0].Count != n || all[0].Hour != n || all[0].Flow != "" {
			t.Errorf("%+v", all)
		}
	})
}

// The count of the last hour goes by time that passes, whatever the clock is set to, and forgets in time.
func TestRefusedInTheLastHour(t *testing.T) {
	clock := lifecycle.NewManual(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	r := newRefusals(clock)
	for range 90 { // one a minute
		r.add("f", ReasonSignature, "")
		clock.Advance(time.Minute)
	}
	if got := r.list()[0]; got.Count != 90 || got.Hour < 59 || got.Hour > 61 {
		t.Errorf("%+v", got)
	}
	clock.Step(-5 * time.Hour)
	r.add("f", ReasonSignature, "")
	if got := r.list()[0]; got.Hour < 60 || got.Hour > 62 {
		t.Errorf("after a step: %+v", got)
	}
	clock.Advance(300 * time.Hour)
	if got := r.list()[0]; got.Hour != 0 || got.Count != 91 {
		t.Errorf("much later: %+v", got)
	}
	r.keep(map[string]bool{})
	if n := len(r.list()); n != 0 {
		t.Errorf("%d are kept of a source that is gone", n)
	}
}
