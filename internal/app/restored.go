package app

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/waybill-hub/waybill/internal/api"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/state"
)

const (
	// beatEvery is how often the store is told that it lives; settleEvery how often it is looked whether a restoration is settled.
	beatEvery   = 10 * time.Second
	settleEvery = time.Second
	// committedEvery is how often the groups' offsets are held against the positions.
	committedEvery = time.Minute
	// restoredShown is how long a status tells of a restoration that is settled.
	restoredShown = 24 * time.Hour
)

// restored is what the hub knows of its store having gone back to an older state. It is the engine's deliver.Restored.
type restored struct {
	now                   atomic.Pointer[state.Restoration] // never changed, but replaced
	looked, found, untold atomic.Int64                      // since they were stored last
	kick                  chan struct{}
}

// InDoubt reports whether a message may stand for something that was done already.
func (r *restored) InDoubt(flow string, row int64) bool {
	now := r.now.Load()
	switch {
	case now == nil:
		return false
	case row > 0 && row <= now.Queue:
		return true
	case now.Phase == state.RestoredWatching:
		return now.Blind[flow] != ""
	}
	return now.Settling()
}

// Settling reports whether what is lost may still come again.
func (r *restored) Settling() bool { return r.now.Load().Settling() }

// Looked counts an object that was looked up, Untold one of which nobody can tell.
func (r *restored) Looked(found bool) {
	r.looked.Add(1)
	if found {
		r.found.Add(1)
	}
}

// Untold counts a message of which nobody can tell whether it was done.
func (r *restored) Untold() { r.untold.Add(1) }

// startRestored learns, before any flow begins, whether the store has gone back: from the store, and from what the consumer groups have committed.
func (h *Hub) startRestored(ctx context.Context) error {
	h.restored.kick = make(chan struct{}, 1)
	now, err := h.store.Restoration(ctx)
	if err != nil {
		return err
	}
	h.restored.now.Store(now)
	// The group coordinators of a broker that has just started are loading: that passes.
	if err := h.patiently(ctx, func() error { return h.noticeCommitted(ctx) }); err != nil {
		return err
	}
	if now := h.restored.now.Load(); now.Settling() {
		h.log.Warn("the store is an older state of itself: what it does not know of is looked up before it is created", "why", now.Why, "as_of", now.AsOf, "stopped", now.Stopped, "phase", now.Phase)
	}
	return nil
}

// noticeCommitted looks for groups that have committed more than the store knows to be finished. A position is stored before anything is committed, so
// that proves that the store has gone back.
func (h *Hub) noticeCommitted(ctx context.Context) error {
	ahead, again, err := h.committedAhead(ctx)
	if err != nil || len(ahead) == 0 {
		return err
	}
	now, err := h.store.ChangeRestoration(ctx, func(r *state.Restoration) (*state.Restoration, *state.Audit) {
		fresh := r == nil
		for k, n := range ahead {
			fresh = fresh || r.Committed[k] < n
		}
		if !fresh {
			return r, nil
		}
		why := fmt.Sprintf("consumer groups have committed %d records beyond the positions in the store", again)
		if !r.Settling() {
			old := r
			r = &state.Restoration{Since: h.clock.Now().UTC(), AsOf: h.store.LastAlive(), Phase: state.RestoredReading, Who: "hub"}
			if old != nil {
				r.Queue = old.Queue
			}
		}
		if !slices.Contains(r.Signs, state.SignLog) {
			r.Signs = append(r.Signs, state.SignLog)
		}
		if r.Why != "" {
			why = r.Why + "; " + why
		}
		r.Why, r.Committed, r.Again = why, ahead, again
		return r, &state.Audit{Who: "hub", Action: "restored", Object: "store", Detail: why}
	})
	if err == nil {
		h.restored.now.Store(now)
	}
	return err
}

// committedAhead gives, by flow, topic and partition, the committed offsets that lie beyond the stored positions in the log that these are of.
func (h *Hub) committedAhead(ctx context.Context) (ahead map[string]int64, again int64, err error) {
	plan := h.plan()
	at := map[string][]int64{}
	for _, f := range plan.Flows {
		n := 0
		h.ends.mu.Lock()
		if t, ok := h.ends.seen[f.Topic()]; ok {
			n = len(t.Partitions)
		}
		h.ends.mu.Unlock()
		if n == 0 {
			n = plan.Hub.Broker.Partitions
		}
		at[f.Name], err = h.cluster.Committed(ctx, f.Group(), f.Topic(), n)
		switch {
		case fault.KindOf(err) == fault.Auth: // a group that the hub may not see it cannot be in either: the flow reads nothing, and its status says so
			h.log.Warn("the broker does not tell what a flow's group has committed", "flow", f.Name, "error", err)
		case err != nil:
			return nil, 0, err
		}
	}
	// After what is committed: a position is stored first.
	stored, err := h.store.Partitions(ctx, "")
	if err != nil {
		return nil, 0, err
	}
	next := map[string]*state.Partition{}
	for i := range stored {
		p := &stored[i]
		next[placeKey(p.Flow, p.Topic, p.Partition)] = p
	}
	ahead = map[string]int64{}
	for _, f := range plan.Flows {
		// Offsets of a log that is not the one say nothing; and in a log that a person went over to, a group's may be of the log before.
		if !h.logs.First(f.Topic()) {
			continue
		}
		for part, committed := range at[f.Name] {
			k, stands := placeKey(f.Name, f.Topic(), part), int64(0)
			if p := next[k]; p != nil {
				if p.Gone || p.Life > 0 {
					continue
				}
				stands = p.Position.Next
			}
			if committed > stands {
				ahead[k] = committed
				again += committed - stands
			}
		}
	}
	return ahead, again, nil
}

func placeKey(flow, topic string, part int) string { return fmt.Sprintf("%s %s/%d", flow, topic, part) }

// startBeating tells the store that it lives, and settles what a restoration has left open, as long as the hub runs.
func (h *Hub) startBeating(context.Context) error { return h.beside("settling", h.beat) }

func (h *Hub) beat(ctx context.Context) {
	var beaten, asked time.Duration
	last := h.clock.Elapsed()
	for {
		pause := beatEvery
		if h.restored.Settling() {
			pause = settleEvery
		}
		if lifecycle.Wait(ctx, h.clock, pause, h.restored.kick) != nil {
			return
		}
		now := h.clock.Elapsed()
		watched := now - last
		last = now
		if now-beaten >= beatEvery {
			beaten = now
			if err := h.store.Beat(ctx); err != nil && ctx.Err() == nil {
				h.log.Debug("the store cannot be told that it lives", "error", err)
			}
		}
		if now-asked >= committedEvery {
			asked = now
			if err := h.noticeCommitted(ctx); err != nil && ctx.Err() == nil {
				h.log.Debug("the groups' offsets cannot be asked for", "error", err)
			}
		}
		if err := h.settle(ctx, watched); err != nil && ctx.Err() == nil {
			h.log.Debug("it cannot be told whether the restoration is settled; trying again", "error", err)
		}
	}
}

// settle takes the restoration as far as it has come. Of hubs that share a store, the holder of a lease does; each adds what it has read and counted.
func (h *Hub) settle(ctx context.Context, watched time.Duration) error {
	now, err := h.store.Restoration(ctx)
	if err != nil {
		return err
	}
	h.restored.now.Store(now)
	if !now.Settling() {
		return nil
	}
	lease, mine, err := h.store.AcquireLease(ctx, "restored", h.holder(), 30*time.Second)
	if err != nil {
		return err
	}
	s := &settling{h: h, watched: watched, lead: mine && lease.Name != ""}
	if err := s.look(ctx, now); err != nil {
		return err
	}
	looked, found, untold := h.restored.looked.Swap(0), h.restored.found.Swap(0), h.restored.untold.Swap(0)
	after, err := h.store.ChangeRestoration(ctx, func(r *state.Restoration) (*state.Restoration, *state.Audit) {
		if r == nil || !r.Since.Equal(now.Since) {
			return r, nil // another one has begun
		}
		r.Looked, r.Found, r.Parked = r.Looked+looked, r.Found+found, r.Parked+untold
		if r.Phase != now.Phase {
			return r, nil
		}
		return s.apply(r)
	})
	if err != nil {
		h.restored.looked.Add(looked)
		h.restored.found.Add(found)
		h.restored.untold.Add(untold)
		return err
	}
	h.restored.now.Store(after)
	if after != nil && after.Phase != now.Phase {
		h.log.Info("the restoration is on its way", "phase", after.Phase, "looked_up", after.Looked, "found", after.Found, "parked", after.Parked)
	}
	return nil
}

// Restored tells of the last restoration; nil where there was none.
func (h *Hub) Restored(ctx context.Context) (*api.Restored, error) {
	r, err := h.store.Restoration(ctx)
	if err != nil {
		return nil, err
	}
	return h.restoredView(r), nil
}

// SayRestored begins a restoration because a person says that the store is an older state of itself, or ends one.
func (h *Hub) SayRestored(ctx context.Context, q api.RestoredRequest, who string) (*api.Restored, error) {
	_, queue, err := h.store.LastRow(ctx)
	if err != nil {
		return nil, err
	}
	at := h.clock.Now().UTC()
	var bad error
	now, err := h.store.ChangeRestoration(ctx, func(r *state.Restoration) (*state.Restoration, *state.Audit) {
		if bad = nil; q.Done && !r.Settling() {
			bad = &api.Invalid{Detail: "no restoration is being settled: there is nothing to end"}
			return r, nil
		}
		if q.Done {
			r.Phase, r.Ended, r.EndedBy, r.Waits, r.Queue = state.RestoredSettled, at, who, nil, 0
			return r, &state.Audit{Who: who, Action: "restored", Object: "store", Detail: because("ended: creates are not looked up because of it any more", q.Note)}
		}
		fresh := r.Said(at, q.AsOf, because("a person says so", q.Note), who, q.Note)
		fresh.Queue = queue
		return fresh, &state.Audit{Who: who, Action: "restored", Object: "store", Detail: fresh.Why}
	})
	if err == nil {
		err = bad
	}
	if err != nil {
		return nil, err
	}
	h.restored.now.Store(now)
	select {
	case h.restored.kick <- struct{}{}:
	default:
	}
	return h.restoredView(now), nil
}

// byHub is who has ended a restoration that nobody else has.
const byHub = "hub"

func because(what, note string) string {
	if note == "" {
		return what
	}
	return what + ": " + note
}

// restoredView is what people see of a restoration.
func (h *Hub) restoredView(r *state.Restoration) *api.Restored {
	if r == nil {
		return nil
	}
	v := &api.Restored{State: r.Phase, Signs: append([]string{}, r.Signs...), Why: r.Why, Since: r.Since, Copy: r.CopyID, Who: r.Who, Note: r.Note, Again: r.Again,
		LookedUp: r.Looked + h.restored.looked.Load(), Found: r.Found + h.restored.found.Load(), Parked: r.Parked + h.restored.untold.Load(), Waits: append([]string{}, r.Waits...), EndedBy: r.EndedBy}
	known := func(at time.Time) *time.Time {
		if at.IsZero() {
			return nil
		}
		return &at
	}
	v.AsOf, v.Stopped, v.Ended = known(r.AsOf), known(r.Stopped), known(r.Ended)
	for _, f := range slices.Sorted(maps.Keys(r.Blind)) {
		v.Blind = append(v.Blind, f+": "+r.Blind[f])
	}
	v.Lost = h.lostText(r)
	return v
}

// lostUntil is when the later state can have accepted something last: it lived on after its last beat, and the next one may have been late. It is
// rounded up to the second in which it is told.
func lostUntil(r *state.Restoration) time.Time {
	until := r.Since
	if end := r.Stopped.Add(2 * beatEvery); !r.Stopped.IsZero() && end.Before(until) {
		until = end
	}
	return until.Add(time.Second - 1).Truncate(time.Second)
}

// lostText names what was promised and is not in the store, with the time. Where only the file is another one, the folder may just as well have been
// moved: then nothing is lost, and a person who has ended it knows.
func (h *Hub) lostText(r *state.Restoration) string {
	if moved := slices.Equal(r.Signs, []string{state.SignFile}) && r.Again == 0; moved && !r.Ended.IsZero() && r.EndedBy != byHub {
		return ""
	} else if moved {
		return "nothing if it was only moved (say so: `waybill restored --done --note moved`); else " + h.lostBetween(r)
	}
	return h.lostBetween(r)
}

func (h *Hub) lostBetween(r *state.Restoration) string {
	var pushed, files, polled []string
	for _, f := range h.plan().Flows {
		switch from := &f.From; {
		case from.Webhook != nil:
			pushed = append(pushed, f.Name)
		case from.Files != nil:
			files = append(files, f.Name)
		case from.Poll != nil:
			polled = append(polled, f.Name)
		}
	}
	from, to := "the time of the copy", lostUntil(r).Format(time.RFC3339)
	if !r.AsOf.IsZero() {
		from = r.AsOf.Format(time.RFC3339)
	}
	var parts []string
	span := "between " + from + " and " + to
	if len(pushed) > 0 {
		text := "webhooks answered 202 " + span + " are not in the store (" + strings.Join(pushed, ", ") + "): have their senders send that time again"
		if r.Again > 0 {
			text += fmt.Sprintf("; %d records of that time lie on their topics, and are worked off again", r.Again)
		}
		parts = append(parts, text)
	}
	if len(files) > 0 {
		parts = append(parts, "files moved to done "+span+" are not in it ("+strings.Join(files, ", ")+"): put them back into the drop")
	}
	if len(polled) > 0 {
		parts = append(parts, "polled sources are read again from the place in it ("+strings.Join(polled, ", ")+")")
	}
	parts = append(parts, "what people decided "+span+" about parked messages is to be decided again")
	return strings.Join(parts, "; ")
}
