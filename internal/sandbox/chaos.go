package sandbox

import (
	"strconv"
	"sync"
	"time"
)

// Chaos says how wicked a system is. Probabilities are in [0, 1]; zero is off. All of it can be switched at run time at
// the system's control endpoint. Decisions are made by the seed, what is asked and how often it was asked before, so
// that they do not depend on how calls interleave.
type Chaos struct {
	// Calls answered badly, before anything was applied.
	Error500   float64 `json:"error_500,omitempty"`
	Error503   float64 `json:"error_503,omitempty"` // with Retry-After
	TooMany    float64 `json:"too_many_429,omitempty"`
	RetryAfter int     `json:"retry_after_s,omitempty"` // seconds; default 1
	// Calls applied, and the caller does not learn it: the connection is reset, or a 500 is answered.
	DropApplied  float64 `json:"drop_applied,omitempty"`
	ErrorApplied float64 `json:"error_applied,omitempty"`
	// Hang is a call that is applied and whose answer never comes: the connection is held for HangMS, then reset.
	Hang   float64 `json:"hang,omitempty"`
	HangMS int     `json:"hang_ms,omitempty"` // default 35000
	Slow   float64 `json:"slow,omitempty"`
	SlowMS int     `json:"slow_ms,omitempty"` // default 1500
	// RateLimit is calls per second; more are answered 429. Zero: unlimited.
	RateLimit float64 `json:"rate_limit,omitempty"`
	// Webhooks of the CRM.
	DuplicateHooks float64 `json:"duplicate_hooks,omitempty"`
	LateHooks      float64 `json:"late_hooks,omitempty"` // delayed up to LateMS, so they overtake each other
	LateMS         int     `json:"late_ms,omitempty"`    // default 3000
	// Rows of the WMS's files that cannot be read: additional ones, no good row is spoilt.
	BadRows float64 `json:"bad_rows,omitempty"`
	// Documents.
	UnknownCodes float64 `json:"unknown_codes,omitempty"` // a code that no code table knows
	EarlyOrders  float64 `json:"early_orders,omitempty"`  // an order pushed before its new customer
	OrphanOrders float64 `json:"orphan_orders,omitempty"` // an order whose customer never comes
	Poison       float64 `json:"poison,omitempty"`        // a document that breaks its own schema
	// Lock is the chance, per second, that somebody holds the ERP's write lock for up to LockMS.
	Lock   float64 `json:"lock,omitempty"`
	LockMS int     `json:"lock_ms,omitempty"` // default 1500
}

// Wicked is the preset of `waybill demo --chaos`: everything at once, at rates at which a good hub still settles.
func Wicked() Chaos {
	return Chaos{
		Error500: .01, Error503: .02, TooMany: .01, RetryAfter: 1,
		DropApplied: .02, ErrorApplied: .01, Hang: .0005, Slow: .01, SlowMS: 1200,
		DuplicateHooks: .05, LateHooks: .10, LateMS: 2500,
		BadRows: .01, UnknownCodes: .003, EarlyOrders: .05, OrphanOrders: .02, Poison: .01,
		Lock: .05, LockMS: 1200,
	}
}

func orDefault(n, def int) int {
	if n <= 0 {
		return def
	}
	return n
}

func ms(n, def int) time.Duration { return time.Duration(orDefault(n, def)) * time.Millisecond }

// fate is what becomes of one call.
type fate string

const (
	fateFine         fate = ""
	fateError500     fate = "500"
	fateError503     fate = "503"
	fateTooMany      fate = "429"
	fateLimited      fate = "429-limit"
	fateDropApplied  fate = "applied-then-reset"
	fateErrorApplied fate = "applied-then-500"
	fateHang         fate = "applied-then-hang"
	fateSlow         fate = "slow"
)

// imp decides fates. It is safe for concurrent use.
type imp struct {
	seed   int64
	system string

	mu     sync.Mutex
	chaos  Chaos
	tries  map[string]int
	tokens float64
	filled time.Time
}

func newImp(seed int64, system string, c Chaos) *imp {
	return &imp{seed: seed, system: system, chaos: c, tries: map[string]int{}}
}

// Chaos is the current setting.
func (m *imp) Chaos() Chaos {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.chaos
}

// Set switches.
func (m *imp) Set(c Chaos) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.chaos = c
}

// fate decides about the next try of the call that what names.
func (m *imp) fate(what string, now time.Time) fate {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := &m.chaos
	if c.RateLimit > 0 {
		if m.filled.IsZero() {
			m.tokens = c.RateLimit
		} else {
			m.tokens = min(c.RateLimit, m.tokens+now.Sub(m.filled).Seconds()*c.RateLimit)
		}
		m.filled = now
		if m.tokens < 1 {
			return fateLimited
		}
		m.tokens--
	}
	p := roll(m.seed, m.system, "fate", what, strconv.Itoa(m.try(what)))
	for _, f := range []struct {
		rate float64
		fate fate
	}{
		{c.Error500, fateError500}, {c.Error503, fateError503}, {c.TooMany, fateTooMany},
		{c.DropApplied, fateDropApplied}, {c.ErrorApplied, fateErrorApplied}, {c.Hang, fateHang}, {c.Slow, fateSlow},
	} {
		if p < f.rate {
			return f.fate
		}
		p -= f.rate
	}
	return fateFine
}

// chance decides about the n-th thing of that kind.
func (m *imp) chance(rate float64, what string) bool {
	if rate <= 0 {
		return false
	}
	m.mu.Lock()
	n := m.try("chance " + what)
	m.mu.Unlock()
	return roll(m.seed, m.system, what, strconv.Itoa(n)) < rate
}

// try counts; the caller holds the lock. The counters are bounded: after many names they start again.
func (m *imp) try(what string) int {
	if len(m.tries) > 200_000 {
		clear(m.tries)
	}
	m.tries[what]++
	return m.tries[what]
}
