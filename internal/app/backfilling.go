package app

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/waybill-hub/waybill/internal/api"
	"github.com/waybill-hub/waybill/internal/backfill"
	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/lease"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/submit"
)

// backfillShown is how long the status tells of one that is over.
const backfillShown = 24 * time.Hour

// startBackfilling carries out the backfills that are wanted, whoever has asked for them, wherever no other hub does.
func (h *Hub) startBackfilling(context.Context) error {
	h.backfilling.init()
	return h.beside("backfills", func(ctx context.Context) { h.backfilling.loop(ctx, h, "a backfill", h.beginBackfilling) })
}

// beginBackfilling works on the backfills that are wanted.
func (h *Hub) beginBackfilling(ctx context.Context) error {
	open, err := h.store.Backfills(ctx, state.BackfillFilter{Open: true})
	for i := len(open) - 1; i >= 0; i-- { // the oldest first
		b := open[i]
		h.backfilling.begin(ctx, h, state.BackfillLease(b.Flow), func(ctx context.Context, held *lease.Held) error { return h.backfillUnder(ctx, held, b.ID) }, func(err error) {
			h.log.Warn("a backfill was broken off; it is gone on with", "backfill", b.ID, "flow", b.Flow, "error", err)
		})
	}
	return err
}

// backfillUnder goes on with a backfill under its lease, to its end.
func (h *Hub) backfillUnder(ctx context.Context, held *lease.Held, id int64) error {
	b, err := h.store.BeginBackfill(ctx, held.Lease(), id)
	if errors.Is(err, state.ErrNotFound) { // it has ended meanwhile
		return nil
	}
	if err != nil {
		return err
	}
	log := h.log.With("backfill", b.ID, "flow", b.Flow)
	log.Info("a backfill is taken up", "by", b.Who, "attempt", b.Attempt, "submitted", b.Progress.Submitted)
	k := &backfillKeeper{h: h, held: held, id: b.ID}
	k.Told(b.Progress)
	by, failed, left := h.attended(ctx, k.beat, func(ctx context.Context, end context.CancelCauseFunc) error {
		k.end = end
		return h.backfill(ctx, k, &b)
	})
	if left != nil {
		return left
	}
	b.Progress = *k.told.Load()
	b.Progress.Text, b.Progress.Left, b.Progress.AtOnce = "", 0, 0
	switch {
	case by != "":
		b.State, b.Detail = state.BackfillCancelled, "cancelled by "+by
	case failed != nil:
		b.State, b.Detail = state.BackfillFailed, failed.Error()
	default:
		b.State, b.Detail = state.BackfillDone, leftOut(&b.Progress, h.plan().Flow(b.Flow))
	}
	if err := h.store.EndBackfill(ctx, held.Lease(), b); err != nil {
		return fmt.Errorf("note how the backfill has ended: %w", err)
	}
	args := []any{"state", string(b.State), "submitted", b.Progress.Submitted, "unread", b.Progress.Unread}
	if b.State == state.BackfillFailed || b.Detail != "" {
		log.Warn("a backfill has ended", append(args, "detail", b.Detail)...)
	} else {
		log.Info("a backfill has ended", args...)
	}
	return nil
}

// leftOut says what was not submitted, and how to see why.
func leftOut(p *state.BackfillProgress, f *config.Flow) string {
	if p.Unread == 0 || f == nil {
		return ""
	}
	text := fmt.Sprintf("%d objects cannot be read or submitted as they are", p.Unread)
	if p.FirstUnread != "" {
		text += fmt.Sprintf(", one of them %s: `waybill resend %s %s --flow %s` says why", p.FirstUnread, f.Entity, shellWord(p.FirstUnread), f.Name)
	}
	return text
}

// backfill does what is left of it.
func (h *Hub) backfill(ctx context.Context, k *backfillKeeper, b *state.Backfill) error {
	f := h.plan().Flow(b.Flow)
	if f == nil {
		return fmt.Errorf("the files name no flow %s any more", b.Flow)
	}
	if no := h.cannotList(f); no != "" {
		return fmt.Errorf("flow %s cannot be backfilled: %s", f.Name, no)
	}
	l, err := h.intake.Listing(f.Name, b.Since)
	if err != nil {
		return err
	}
	defer l.Close()
	about := f.From.System + "/" + f.Name
	if s := h.plan().Systems[f.From.System]; s != nil {
		about += "/" + s.Sum // under other settings the same place may be another one
	}
	return backfill.New(backfill.Config{Source: l, Hub: &backfillHub{h: h, flow: f, way: h.wayOf(f)}, Keeper: k, Clock: h.clock, About: about}, *b).Do(ctx)
}

// wayOf are the flows that an event of f passes, f first, by how far they are from it.
func (h *Hub) wayOf(f *config.Flow) [][]*config.Flow {
	way, seen := [][]*config.Flow{{f}}, map[string]bool{f.Name: true}
	for {
		var next []*config.Flow
		for _, last := range way[len(way)-1] {
			for _, on := range h.plan().Flows {
				if last.To.Topic != "" && on.From.Topic == last.To.Topic && !seen[on.Name] {
					seen[on.Name] = true
					next = append(next, on)
				}
			}
		}
		if len(next) == 0 {
			return way
		}
		way = append(way, next)
	}
}

// backfillKeeper keeps how far a backfill has come, under its lease.
type backfillKeeper struct {
	h    *Hub
	held *lease.Held
	id   int64
	end  context.CancelCauseFunc
	told atomic.Pointer[state.BackfillProgress]
}

func (k *backfillKeeper) Told(p state.BackfillProgress) { k.told.Store(&p) }

// Save is tried until the store answers: what comes after it depends on it.
func (k *backfillKeeper) Save(ctx context.Context, place state.BackfillPlace, p state.BackfillProgress) error {
	k.Told(p)
	return lifecycle.Retry(ctx, k.h.clock, lifecycle.Backoff{Min: time.Second, Max: 10 * time.Second}, func() error {
		who, err := k.h.store.SaveBackfill(ctx, k.held.Lease(), k.id, &place, p)
		if err == nil && who != "" {
			k.end(&cancelled{who})
			return context.Cause(ctx)
		}
		return err
	}, func(err error, _ time.Duration) error {
		if kind := fault.KindOf(err); kind == fault.Unavailable || kind == fault.UnknownOutcome {
			if f, ok := fault.As(err); ok && !errors.Is(f, state.ErrFenced) {
				return nil
			}
		}
		return err
	})
}

// beat tells how far it has come, and hears who wants it to end.
func (k *backfillKeeper) beat(ctx context.Context) (who string, err error) {
	return k.h.store.SaveBackfill(ctx, k.held.Lease(), k.id, nil, *k.told.Load())
}

// backfillHub is what a backfill asks of the hub.
type backfillHub struct {
	h    *Hub
	flow *config.Flow
	way  [][]*config.Flow
}

func (b *backfillHub) Now(ctx context.Context) (int64, error) { return b.h.store.NextInbox(ctx) }

func (b *backfillHub) Submit(ctx context.Context, events []event.Event, by event.Submission) (submit.Receipt, error) {
	return b.h.intake.Submit(ctx, b.flow.Name, events, by)
}

// mostHeld is how many messages on the way may rest for their target before nothing more is sent after them.
const mostHeld = 1

func (b *backfillHub) Clear(ctx context.Context) (string, error) {
	var names []string
	for _, level := range b.way {
		for _, f := range level {
			if s := b.h.systems()[f.To.System]; s != nil && s.Breaker.Health().Down {
				return fmt.Sprintf("%s, to which flow %s delivers, is down", f.To.System, f.Name), nil
			}
			names = append(names, f.Name)
		}
	}
	if still := b.h.standing(names); len(still) > 0 {
		return "flows stand still: " + strings.Join(still, ", "), nil
	}
	n, err := b.h.store.CountHeld(ctx, names, mostHeld)
	if err == nil && n > 0 {
		return "messages rest because their target could not be reached: `waybill status` says which", nil
	}
	return "", err
}

// Through looks level by level: what one flow has decided lies on the topic of the next by then.
func (b *backfillHub) Through(ctx context.Context, m *backfill.Mark) (bool, string, error) {
	c := compareHub{b.h}
	for ; m.Level < len(b.way); m.Level, m.Ends = m.Level+1, nil {
		level := b.way[m.Level]
		if m.Level == 0 && m.Ends == nil {
			n, err := b.h.store.UnpublishedUpTo(ctx, b.flow.Name, m.Inbox)
			if err != nil || n > 0 {
				return false, "", err
			}
		}
		if m.Ends == nil {
			ends, err := b.ends(ctx, level[0].Topic())
			if err != nil {
				return false, "waits for the broker: " + err.Error(), nil
			}
			m.Ends = ends
		}
		for _, f := range level {
			n, err := c.behind(ctx, f, m.Ends[f.Topic()])
			if err != nil {
				return false, "", err
			}
			if n > 0 {
				if still := b.h.standing([]string{f.Name}); len(still) > 0 {
					return false, "waits for flow " + still[0], nil
				}
				return false, "", nil
			}
		}
	}
	return true, "", nil
}

// ends are the ends of the topics of a level, all of which are filled by the level before.
func (b *backfillHub) ends(ctx context.Context, topic string) (map[string][]int64, error) {
	infos, refused, err := b.h.cluster.Ends(ctx, topic)
	if err == nil && refused[topic] != nil {
		err = refused[topic]
	}
	if err != nil {
		return nil, err
	}
	out := map[string][]int64{topic: {}}
	for _, p := range infos[topic].Partitions {
		out[topic] = append(out[topic], p.Last)
	}
	return out, nil
}

// Backfill asks for one. Whichever hub has the lease works it.
func (h *Hub) Backfill(ctx context.Context, name string, q api.BackfillRequest, who string) (*state.Backfill, error) {
	f := h.plan().Flow(name)
	if f == nil {
		return nil, h.unknownFlow(name)
	}
	return h.wantBackfill(ctx, f, state.Backfill{Flow: name, Who: who, Why: q.Note, Since: q.Since})
}

func (h *Hub) wantBackfill(ctx context.Context, f *config.Flow, b state.Backfill) (*state.Backfill, error) {
	if no := h.cannotList(f); no != "" {
		return nil, &api.Invalid{Detail: fmt.Sprintf("flow %s cannot be backfilled: %s", f.Name, no)}
	}
	if now := h.clock.Now(); b.Since.After(now) {
		return nil, &api.Invalid{Detail: fmt.Sprintf("since %s has not been yet: it is %s", b.Since.Format(time.RFC3339), now.UTC().Format(time.RFC3339))}
	}
	got, fresh, err := h.store.WantBackfill(ctx, b)
	switch {
	case err != nil:
		return nil, err
	case !fresh:
		return nil, fmt.Errorf("backfill %d of flow %s is under way already (%s): wait for its end, or `waybill backfill cancel %d`: %w", got.ID, got.Flow, got.State, got.ID, state.ErrBusy)
	}
	h.backfilling.wake()
	return &got, nil
}

// cannotList says why everything that a flow's source holds cannot be read, and what to do instead; empty: it can be.
func (h *Hub) cannotList(f *config.Flow) string {
	switch {
	case f.From.System == "":
		fill := h.filling(f.From.Topic)
		if len(fill) == 0 {
			return fmt.Sprintf("it reads the topic %s, which another program fills: have that one write everything again", f.From.Topic)
		}
		return fmt.Sprintf("it reads the topic %s: do it with a flow that fills it: %s", f.From.Topic, strings.Join(fill, ", "))
	case f.From.Files != nil:
		return "it reads files: put what is to be loaded into the drop"
	case h.intake.CanList(f.Name):
		return ""
	case f.From.Poll != nil:
		return fmt.Sprintf("%s cannot list what it holds: read it again with `waybill rewind %s --to start`", f.From.System, f.Name)
	}
	return fmt.Sprintf("%s cannot list what it holds (it has no object type %s to list): let %s send it again", f.From.System, f.Entity, f.From.System)
}

// Backfills lists backfills, the newest first.
func (h *Hub) Backfills(ctx context.Context, f state.BackfillFilter) ([]state.Backfill, error) {
	if f.Flow != "" && h.plan().Flow(f.Flow) == nil {
		return nil, h.unknownFlow(f.Flow)
	}
	return h.store.Backfills(ctx, f)
}

// BackfillByID is one.
func (h *Hub) BackfillByID(ctx context.Context, id int64) (*state.Backfill, error) {
	b, err := h.store.BackfillByID(ctx, id)
	if err != nil {
		return nil, err
	}
	return &b, nil
}

// CancelBackfill asks for the end of one.
func (h *Hub) CancelBackfill(ctx context.Context, id int64, who, note string) (*state.Backfill, error) {
	if err := h.store.CancelBackfill(ctx, id, who, note); err != nil {
		return nil, err
	}
	return h.BackfillByID(ctx, id)
}
