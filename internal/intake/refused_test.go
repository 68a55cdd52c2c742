package intake

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/inbox/inboxtest"
	"github.com/waybill-hub/waybill/internal/lifecycle"
)

// refusedOf is what was refused for a reason, by flow; all: every one that there is.
func (b *bench) refusedFor(reason Reason) Refused {
	for _, r := range b.intake.Refused() {
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
		b.start(Source{Webhook: hook, Key: inboxtest.Field("k")})
		signed := func(at time.Time, body string) *http.Request {
			r := httptest.NewRequest(http.MethodPost, "/hooks/crm/orders", strings.NewReader(body))
			r.Header = standardHeaders(stdKey, fmt.Sprint(rand.Int()), at, body)
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
				r.Header = standardHeaders("another-key-of-24-bytes-or-more", "x", b.Clock.Now(), `{"k":"a"}`)
				return r
			}, 401, ReasonSignature, "orders"},
			{"too old", func() *http.Request { return signed(b.Clock.Now().Add(-time.Hour), `{"k":"a"}`) }, 401, ReasonTimestamp, "orders"},
			{"too large", func() *http.Request {
				return signed(b.Clock.Now(), `{"k":"`+strings.Repeat("a", 2000)+`"}`)
			}, 413, ReasonTooLarge, "orders"},
			{"no JSON", func() *http.Request { return signed(b.Clock.Now(), `{"k":`) }, 400, ReasonUnreadable, "orders"},
			{"no POST", func() *http.Request { return httptest.NewRequest(http.MethodGet, "/hooks/crm/orders", nil) }, 405, ReasonMethod, "orders"},
			{"unknown path", func() *http.Request {
				return httptest.NewRequest(http.MethodPost, "/hooks/crm/order-"+stdKey, strings.NewReader("{}"))
			}, 404, ReasonPath, ""},
			{"media", func() *http.Request {
				r := signed(b.Clock.Now(), `{"k":"a"}`)
				r.Header.Set("Content-Type", "text/plain")
				return r
			}, 415, ReasonMedia, "orders"},
		} {
			for n := range int64(2) {
				wantAnswer(t, b.serve(c.make()), c.status, "")
				got := b.refusedFor(c.reason)
				if got.Flow != c.flow || got.Count != n+1 || got.Hour != n+1 || !got.Since || !got.Last.Equal(b.Clock.Now()) || got.Detail == "" || strings.Contains(got.Detail, stdKey) {
					t.Errorf("%s: %+v", c.name, got)
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
		wantAnswer(t, b.serve(signed(b.Clock.Now(), `{"k":"b"}`)), 202, "")
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
		b.start(Source{Webhook: standardHook(), Key: inboxtest.Field("k")})
		const n = 20_000
		for i := range n {
			b.serve(httptest.NewRequest(http.MethodPost, fmt.Sprint("/hooks/", i, "/", rand.Int()), nil))
		}
		all := b.intake.Refused()
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

// health is a system's record that remembers.
type health struct {
	ok, failed, refused int
	backs               int
}

func (h *health) Success(string)        { h.ok++ }
func (h *health) Failure(string, error) { h.failed++ }
func (h *health) Refused(error)         { h.refused++ }
func (h *health) Backs() int            { return h.backs }

// Only what the system does is held against it.
func TestWhoseFaultAReadIs(t *testing.T) {
	of := func(system string, kind fault.Kind) error {
		return &fault.Error{Kind: kind, System: system, Err: fmt.Errorf("no")}
	}
	for name, c := range map[string]struct {
		err  error
		want health
	}{
		"the system":             {of("shop", fault.Unavailable), health{failed: 1}},
		"the system, wrapped":    {fmt.Errorf("page 3: %w", of("shop", fault.RateLimited)), health{failed: 1}},
		"what it sends is wrong": {of("shop", fault.Invalid), health{failed: 1}},
		"its credentials":        {of("shop", fault.Auth), health{refused: 1}},
		"the hub's store":        {fmt.Errorf("read the cursor: disk full"), health{}},
		"another system":         {of("", fault.Unavailable), health{}},
	} {
		t.Run(name, func(t *testing.T) {
			got := health{}
			s := Source{System: "shop", Flow: "f", Health: &got}
			if s.unread(c.err); got != c.want {
				t.Errorf("%+v, want %+v", got, c.want)
			}
		})
	}
}
