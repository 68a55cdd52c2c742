package sandbox

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"
)

// traffic is what goes on in a system by itself: actions are new business at a rate, life is what follows from what is
// there already. Quiesce stops the first, Freeze both.
type traffic struct {
	seed   int64
	system string
	every  time.Duration // between actions; 0: none
	beat   time.Duration // between looks at what is to be done
	act    func(ctx context.Context, n int64, r *rand.Rand) error
	live   func(ctx context.Context) error
	chores func(ctx context.Context) error // done also when frozen
	first  int64
	log    *slog.Logger

	mu     sync.Mutex // held during an action or a beat of life
	acting bool
	living bool
	n      int64

	stop context.CancelFunc
	wg   sync.WaitGroup
}

func newTraffic(o Options, system string, share float64, act func(context.Context, int64, *rand.Rand) error, live func(context.Context) error) *traffic {
	t := &traffic{seed: o.Seed, system: system, act: act, live: live, acting: !o.Hold, living: true, log: o.Log, beat: max(o.pace(100*time.Millisecond), time.Millisecond)}
	if o.Rate > 0 {
		t.every = time.Duration(float64(time.Second) / (o.Rate * share))
	}
	return t
}

func (t *traffic) start() {
	ctx, cancel := context.WithCancel(context.Background())
	t.stop = cancel
	t.n = t.first
	if t.every > 0 {
		t.wg.Add(1)
		go t.actions(ctx)
	}
	t.wg.Add(1)
	go t.lives(ctx)
}

func (t *traffic) close() {
	if t.stop != nil {
		t.stop()
		t.wg.Wait()
	}
}

// actions keeps the rate on average: what a slow moment missed is made up for, up to a second's worth.
func (t *traffic) actions(ctx context.Context) {
	defer t.wg.Done()
	tick := time.NewTicker(max(t.every, 5*time.Millisecond))
	defer tick.Stop()
	next := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := time.Now()
		if now.Sub(next) > time.Second {
			next = now.Add(-time.Second)
		}
		for ; !next.After(now) && ctx.Err() == nil; next = next.Add(t.every) {
			t.mu.Lock()
			if t.acting {
				t.step(ctx)
			}
			t.mu.Unlock()
		}
	}
}

// step does the next action; the caller holds the lock.
func (t *traffic) step(ctx context.Context) {
	t.n++
	if err := t.act(ctx, t.n, rng(t.seed, t.system, "action", strconv.FormatInt(t.n, 10))); err != nil && ctx.Err() == nil {
		t.log.Warn("sandbox action failed", "system", t.system, "error", err)
	}
}

func (t *traffic) lives(ctx context.Context) {
	defer t.wg.Done()
	tick := time.NewTicker(t.beat)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		t.mu.Lock()
		for _, do := range []func(context.Context) error{t.lively(), t.chores} {
			if do == nil {
				continue
			}
			if err := do(ctx); err != nil && ctx.Err() == nil {
				t.log.Warn("sandbox life failed", "system", t.system, "error", err)
			}
		}
		t.mu.Unlock()
	}
}

// lively is what is to be done unless frozen; the caller holds the lock.
func (t *traffic) lively() func(context.Context) error {
	if !t.living {
		return nil
	}
	return t.live
}

// set switches actions and life; it returns when none is under way that is switched off.
func (t *traffic) set(acting, living bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.acting, t.living = acting, living
}
