package soak

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Two sources sign the time of what they send, each in its scheme's way; the hub gives them the tolerance that it has by default.
const signedFlows = `---
flow: %P%products
entity: product
from: {system: source, webhook: {path: soak/products, verify: {scheme: standard-webhooks, secret: "${file:../signed}"}}}
accept: soak/thing.v1
key: source.no
version: source.seq
map: soak-customer
to: {topic: %P%canonical.product}
---
flow: %P%products-to-alpha
entity: product
from: {topic: %P%canonical.product}
map: soak-customer
to: {system: alpha}
retry: {for: %FOR%, backoff: 50ms..2s}
---
flow: %P%invoices
entity: invoice
from: {system: source, webhook: {path: soak/invoices, verify: {scheme: stripe, secret: "${file:../signed}"}}}
accept: soak/thing.v1
key: source.no
version: source.seq
map: soak-customer
to: {topic: %P%canonical.invoice}
---
flow: %P%invoices-to-alpha
entity: invoice
from: {topic: %P%canonical.invoice}
map: soak-customer
to: {system: alpha}
retry: {for: %FOR%, backoff: 50ms..2s}
`

// signedSecret is one that both schemes take: to one of them it is base64.
const signedSecret = "c29hay1zZWNyZXQtMDEyMzQ1Njc4OQ=="

// whyRefused is what a sender must be told whose clock is not the hub's.
const whyRefused = "the signed timestamp is too far from the hub's clock"

// signedDoc is a document of a source that signs; the id is that of its delivery where the scheme has it in the body.
type signedDoc struct {
	thing
	ID string `json:"id"`
}

// signedRequest is a request as it was signed at a time, to be sent then or again.
type signedRequest struct {
	entity string
	header map[string]string
	body   []byte
}

// signAt signs a document as its source does.
func signAt(entity string, d signedDoc, at time.Time) signedRequest {
	body, _ := json.Marshal(d)
	stamp := fmt.Sprint(at.Unix())
	if entity == "invoice" {
		sum := hmac.New(sha256.New, []byte(signedSecret))
		sum.Write([]byte(stamp + "." + string(body)))
		return signedRequest{entity, map[string]string{"Stripe-Signature": "t=" + stamp + ",v1=" + hex.EncodeToString(sum.Sum(nil))}, body}
	}
	key, _ := base64.StdEncoding.DecodeString(signedSecret)
	sum := hmac.New(sha256.New, key)
	sum.Write([]byte(d.ID + "." + stamp + "." + string(body)))
	return signedRequest{entity, map[string]string{"webhook-id": d.ID, "webhook-timestamp": stamp, "webhook-signature": "v1," + base64.StdEncoding.EncodeToString(sum.Sum(nil))}, body}
}

func (r *signedRequest) send(ctx context.Context, hooks string) (int, string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+hooks+"/hooks/soak/"+r.entity+"s", bytes.NewReader(r.body))
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Content-Type", "application/json")
	for k, v := range r.header {
		req.Header.Set(k, v)
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 4096))
	return resp.StatusCode, string(text), err
}

// signer sends documents of one entity, each until it is taken and signed anew each time, as such sources do.
type signer struct {
	w       *world
	h       *hub
	clock   *wallClock
	entity  string
	taken   atomic.Int64
	refused atomic.Int64
}

// answer holds an answer against the clock at which it was given: one that is an hour off is told, one that is right believes.
func (s *signer) answer(asked clockStep, began time.Time, status int, text string) {
	if asked != s.clock.now() || began.Sub(asked.at) < noticed {
		return // the clock was set in between
	}
	switch {
	case asked.by == 0 && status != http.StatusAccepted && status/100 != 5 && status != http.StatusTooManyRequests:
		s.w.t.Errorf("%s: with the clock right, a sound delivery was answered %d %s", s.entity, status, text)
	case asked.by != 0 && (status != http.StatusUnauthorized || !strings.Contains(text, whyRefused)):
		s.w.t.Errorf("%s: with the clock off by %s, a delivery of this moment was answered %d %s", s.entity, asked.by, status, text)
	}
}

func (s *signer) run(ctx context.Context, worker int, pace time.Duration) {
	for n := 0; ctx.Err() == nil; n++ {
		d := signedDoc{thing: thing{No: fmt.Sprintf("%s%d-%d", strings.ToUpper(s.entity[:1]), worker, n), Seq: 1, Text: "signed with its time"}}
		d.ID = "evt-" + d.No
		s.w.ledger.try(s.entity, []thing{d.thing})
		// What is under way when the sender is stopped is brought to its end: who gives up has no promise.
		for s.w.t.Context().Err() == nil {
			asked, began := s.clock.now(), time.Now()
			r := signAt(s.entity, d, began)
			status, text, err := r.send(s.w.t.Context(), s.h.hooks)
			if err == nil {
				s.answer(asked, began, status, text)
			}
			if err == nil && status/100 == 2 {
				s.w.ledger.promise(s.entity, []thing{d.thing})
				s.taken.Add(1)
				break
			}
			s.refused.Add(1)
			time.Sleep(pace) // the pace of a sender that tries again
		}
		time.Sleep(pace) // the pace of a source
	}
}

// signedSteps: the hub's clock is set an hour forward, and back, while senders sign what they send with the true time. It is refused with
// its reason, never taken and never half believed; nothing is lost, because senders try again, and seconds after the clock is right
// they are heard. Who sends an old request again is refused at any time, or known where the clock shows the time of back then.
func signedSteps(b *budget) {
	var clock *wallClock
	w := newWorld(b.T, b.setup, func(p *project) {
		p.Extra += signedFlows
		p.Entities = append(p.Entities, "product", "invoice")
		clock = newClock(b.T, p)
	})
	w.p.write(b.T, "signed", signedSecret)
	h := w.hub()

	// An hour ago, by everybody's clock, one delivery of each was taken: somebody has kept a copy of it.
	clock.step(-time.Hour)
	h.start()
	var old []signedRequest
	for _, entity := range []string{"product", "invoice"} {
		d := signedDoc{thing: thing{No: "OLD-" + entity, Seq: 1, Text: "an hour old"}, ID: "evt-old-" + entity}
		r := signAt(entity, d, time.Now().Add(-time.Hour))
		w.ledger.try(entity, []thing{d.thing})
		if status, text, err := r.send(b.Context(), h.hooks); err != nil || status != http.StatusAccepted || !strings.Contains(text, `"accepted"`) {
			b.Fatalf("%s: a sound delivery was answered %d %s %v", entity, status, text, err)
		}
		w.ledger.promise(entity, []thing{d.thing})
		old = append(old, r)
	}
	replay := func(when string, want int, says string) {
		b.Helper()
		for _, r := range old {
			if status, text, err := r.send(b.Context(), h.hooks); err != nil || status != want || !strings.Contains(text, says) {
				b.Errorf("%s: an old request that is sent again %s is answered %d %s %v rather than %d %s", r.entity, when, status, text, err, want, says)
			}
		}
	}
	settle := func() { time.Sleep(noticed) } // until every look at the clock is a new one
	clock.step(0)
	settle()
	replay("with the clock right", http.StatusUnauthorized, whyRefused)

	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	var wg sync.WaitGroup
	var all []*signer
	for _, entity := range []string{"product", "invoice"} {
		s := &signer{w: w, h: h, clock: clock, entity: entity}
		all = append(all, s)
		for n := range 4 {
			wg.Go(func() { s.run(ctx, n, 50*time.Millisecond) })
		}
	}
	end := w.background(load{Rate: float64(b.size(100, 500)), Keys: 50}) // of a source that signs no time
	// after waits until each of the senders has had so many more of something.
	after := func(what string, counter func(*signer) *atomic.Int64, n int64) time.Duration {
		b.Helper()
		began := time.Now()
		for _, s := range all {
			before := counter(s).Load()
			h.await(fmt.Sprintf("%s: %s", s.entity, what), time.Minute, func() bool { return counter(s).Load() >= before+n })
		}
		return time.Since(began)
	}
	refused, taken := func(s *signer) *atomic.Int64 { return &s.refused }, func(s *signer) *atomic.Int64 { return &s.taken }
	for n := 0; b.more(2); n++ {
		after("deliveries before the step", taken, 10)
		by := []time.Duration{time.Hour, -time.Hour}[n%2]
		clock.step(by)
		settle()
		after("refusals behind the step", refused, 10)
		w.delivered(20, time.Minute) // who signs no time is not concerned
		if by > 0 {
			replay("with the clock an hour ahead", http.StatusUnauthorized, whyRefused)
		} else {
			replay("with the clock at the time of back then", http.StatusAccepted, `"duplicate"`)
			for i, r := range old { // and with another body, or under another id, it proves nothing
				r.body = bytes.Replace(r.body, []byte("an hour old"), []byte("of somebody else"), 1)
				if status, text, err := r.send(b.Context(), h.hooks); err != nil || status != http.StatusUnauthorized {
					b.Errorf("%s: an old request with another body is answered %d %s %v", old[i].entity, status, text, err)
				}
			}
		}
		clock.step(0)
		took := after("deliveries with the clock right again", taken, 4)
		b.within("senders to be heard again", took, 5*time.Second)
		replay("with the clock right again", http.StatusUnauthorized, whyRefused)
		b.happened(took)
	}
	end()
	cancel()
	wg.Wait()
	w.quiet(time.Minute)
	b.judge(w, rules{Targets: map[string][]string{"alpha": {"customer", "order", "product", "invoice"}, "beta": {"customer"}}})
	b.notPoisoned(w, h)
	if code := h.stop(); code != 0 {
		b.Errorf("an orderly stop exits %d", code)
	}
}
