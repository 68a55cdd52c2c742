package app

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/waybill-hub/waybill/internal/lease"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/notice"
	"github.com/waybill-hub/waybill/internal/state"
)

const (
	// wantedLook is how often it is looked whether something is wanted: others may have asked for it.
	wantedLook = time.Second
	// wantedBeat is how often work tells how far it has come, and hears whether it is to end.
	wantedBeat = time.Second
	// wantedAtOnce is how much of one kind a hub works on at the same time.
	wantedAtOnce = 2
)

var (
	// errCancelled: a person has ended the work.
	errCancelled = errors.New("it was cancelled")
	// errReloaded: the files have changed, so that the work is taken up anew.
	errReloaded = errors.New("the files were reloaded")
)

// cancelled is an errCancelled that says by whom.
type cancelled struct{ who string }

func (c *cancelled) Error() string     { return errCancelled.Error() + " by " + c.who }
func (c *cancelled) Is(err error) bool { return err == errCancelled }

// wanted is work of one kind that is asked for in the store, by whomever, and done beside everything else under a lease for each, wherever no other hub does it.
type wanted struct {
	nudge chan struct{}
	mu    sync.Mutex
	work  map[string]context.CancelCauseFunc // by lease
	none  bool                               // nothing is begun while the files change
	all   sync.WaitGroup
}

func (k *wanted) init() {
	k.nudge, k.work = make(chan struct{}, 1), map[string]context.CancelCauseFunc{}
}

// wake has what is wanted begun at once.
func (k *wanted) wake() {
	select {
	case k.nudge <- struct{}{}:
	default:
	}
}

// loop has begin look at what is wanted, again and again, until ctx ends, and waits for what is under way then. what names the kind in the log.
func (k *wanted) loop(ctx context.Context, h *Hub, what string, begin func(context.Context) error) {
	defer k.all.Wait() // it ends with ctx
	failures := notice.NewLimiter(h.clock, h.log)
	for ctx.Err() == nil {
		if err := begin(ctx); err != nil && ctx.Err() == nil {
			failures.Warn("cannot look whether "+what+" is wanted; trying again", err)
		}
		wait, cancel := lifecycle.WithTimeout(ctx, h.clock, wantedLook, context.DeadlineExceeded)
		select {
		case <-k.nudge:
		case <-wait.Done():
		}
		cancel()
	}
}

// begin does work beside the loop, under the lease of a name, unless it is done already. broken is told of an end that is none.
func (k *wanted) begin(ctx context.Context, h *Hub, name string, work func(context.Context, *lease.Held) error, broken func(error)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.none || k.work[name] != nil || len(k.work) >= wantedAtOnce {
		return
	}
	ctx, cancel := context.WithCancelCause(ctx)
	k.work[name] = cancel
	k.all.Go(func() {
		defer func() {
			cancel(nil)
			k.mu.Lock()
			delete(k.work, name)
			k.mu.Unlock()
		}()
		r := lease.Runner{Store: h.store, Clock: h.clock, Log: h.log, Name: name, Holder: h.holder(), TTL: h.leaseTTL()}
		if _, err := r.Once(ctx, work); err != nil && ctx.Err() == nil {
			broken(err)
			_ = lifecycle.Sleep(ctx, h.clock, wantedLook) // not at once
		}
	})
}

// hold ends what is under way, which is taken up anew after release: its systems are about to change.
func (k *wanted) hold() (release func()) {
	k.mu.Lock()
	k.none = true
	for _, cancel := range k.work {
		cancel(errReloaded)
	}
	k.mu.Unlock()
	k.all.Wait()
	return func() {
		k.mu.Lock()
		k.none = false
		k.mu.Unlock()
	}
}

// attended does work that tells at each beat how far it has come, and hears who wants it to end. by is who has ended it, and failed why it has failed. left: it has come to no end, and is
// taken up anew, here or elsewhere.
func (h *Hub) attended(ctx context.Context, beat func(context.Context) (who string, err error), do func(ctx context.Context, end context.CancelCauseFunc) error) (by string, failed, left error) {
	work, end := context.WithCancelCause(ctx)
	beats := lifecycle.NewBackground(ctx)
	beats.Go(func(ctx context.Context) error {
		for lifecycle.Sleep(ctx, h.clock, wantedBeat) == nil {
			who, err := beat(ctx)
			switch {
			case ctx.Err() != nil:
				return nil
			case errors.Is(err, state.ErrFenced), errors.Is(err, state.ErrNotFound):
				end(err)
				return nil
			case who != "":
				end(&cancelled{who})
				return nil
			}
		}
		return nil
	})
	err := lifecycle.Guard(func() error { return do(work, end) })
	cause := context.Cause(work)
	end(nil)
	_ = beats.Stop(context.Background(), nil) // it ends with its context
	var c *cancelled
	switch {
	case errors.As(cause, &c):
		return c.who, nil, nil
	case ctx.Err() != nil:
		return "", nil, context.Cause(ctx)
	case cause != nil && err != nil:
		return "", nil, fmt.Errorf("%w: %w", cause, err)
	case errors.Is(err, state.ErrFenced):
		return "", nil, err
	}
	return "", err, nil
}
