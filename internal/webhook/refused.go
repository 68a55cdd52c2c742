package webhook

import (
	"cmp"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/waybill-hub/waybill/internal/lifecycle"
)

// Reason is why requests are refused at the door: one of a closed set, whatever senders make up.
type Reason string

// Reasons of refusals.
const (
	ReasonPath       Reason = "unknown-path"
	ReasonSignature  Reason = "signature"  // the request does not prove that it comes from this source
	ReasonTimestamp  Reason = "timestamp"  // what was signed is too old, or a clock is wrong
	ReasonRate       Reason = "rate"       // more than the source may send
	ReasonTooLarge   Reason = "too-large"  // a body, or a document for its topic
	ReasonMedia      Reason = "media-type" // no JSON, or in an encoding that is not read
	ReasonUnreadable Reason = "unreadable" // no acceptable JSON, or not to its end
	ReasonMethod     Reason = "method"     // no POST
	ReasonConflict   Reason = "conflict"   // a delivery id that came with another body
	ReasonBusy       Reason = "busy"       // the hub cannot take it now: its store, its memory, a reload
	ReasonOther      Reason = "other"
)

// reason is why a request was refused.
func (r *refusal) reason() Reason {
	switch {
	case errors.Is(r.err, errTimestamp):
		return ReasonTimestamp
	case r.status >= http.StatusInternalServerError:
		return ReasonBusy
	}
	switch r.status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return ReasonSignature
	case http.StatusTooManyRequests:
		return ReasonRate
	case http.StatusRequestEntityTooLarge:
		return ReasonTooLarge
	case http.StatusUnsupportedMediaType:
		return ReasonMedia
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		return ReasonUnreadable
	case http.StatusMethodNotAllowed:
		return ReasonMethod
	case http.StatusConflict:
		return ReasonConflict
	}
	return ReasonOther
}

// Refused is what was refused at the door of one source for one reason since the hub began.
type Refused struct {
	// Flow is empty for all paths at which nothing is received.
	Flow   string
	Reason Reason
	Count  int64
	// Hour counts those of the last hour.
	Hour  int64
	First time.Time
	Last  time.Time
	// Detail is what the last sender was told, and what the hub knows besides. It holds no secret.
	Detail string
	// Since: nothing was taken from the source after the last of them.
	Since bool
}

// refusals counts. What it holds is bounded by the sources and the reasons: all unknown paths are one source.
type refusals struct {
	clock lifecycle.Clock

	mu     sync.Mutex
	counts map[refusalKey]*refusalCount
	taken  map[string]time.Duration // by flow: when, by Elapsed, something was taken last
}

type refusalKey struct {
	flow   string
	reason Reason
}

// minutes are those of the last hour, and the one that runs.
const minutes = 61

type refusalCount struct {
	count       int64
	first, last time.Time
	at          time.Duration // of the last, by Elapsed
	detail      string
	per         [minutes]int64
	minute      int64 // the one that per was counted up to, since Elapsed began
}

func newRefusals(clock lifecycle.Clock) *refusals {
	return &refusals{clock: clock, counts: map[refusalKey]*refusalCount{}, taken: map[string]time.Duration{}}
}

// add counts one.
func (r *refusals) add(flow string, reason Reason, detail string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	k, now := refusalKey{flow, reason}, r.clock.Now()
	t := r.counts[k]
	if t == nil {
		t = &refusalCount{first: now}
		r.counts[k] = t
	}
	t.count++
	t.last, t.at, t.detail = now, r.clock.Elapsed(), detail
	t.turn(t.at)
	t.per[t.minute%minutes]++
}

// took notes that something of the flow was taken.
func (r *refusals) took(flow string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.taken[flow] = r.clock.Elapsed()
}

// turn leaves out the minutes that are more than an hour ago.
func (t *refusalCount) turn(now time.Duration) {
	m := int64(now / time.Minute)
	for n := max(t.minute+1, m-minutes+1); n <= m; n++ {
		t.per[n%minutes] = 0
	}
	t.minute = max(t.minute, m)
}

// keep forgets sources that are no more.
func (r *refusals) keep(flows map[string]bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for k := range r.counts {
		if k.flow != "" && !flows[k.flow] {
			delete(r.counts, k)
		}
	}
	for flow := range r.taken {
		if !flows[flow] {
			delete(r.taken, flow)
		}
	}
}

// list gives what was refused, by flow and reason.
func (r *refusals) list() []Refused {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.clock.Elapsed()
	out := make([]Refused, 0, len(r.counts))
	for k, t := range r.counts {
		t.turn(now)
		hour := int64(0)
		for _, n := range t.per {
			hour += n
		}
		took, any := r.taken[k.flow]
		out = append(out, Refused{Flow: k.flow, Reason: k.reason, Count: t.count, Hour: hour, First: t.first, Last: t.last, Detail: t.detail, Since: !any || took < t.at})
	}
	slices.SortFunc(out, func(a, b Refused) int { return cmp.Or(cmp.Compare(a.Flow, b.Flow), cmp.Compare(a.Reason, b.Reason)) })
	return out
}

// Refused tells what was refused at the webhooks, by flow and reason.
func (h *Handler) Refused() []Refused { return h.refusals.list() }

// shorten cuts a text to at most n letters.
func shorten(text string, n int) string {
	if r := []rune(text); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return text
}
