package logcheck

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/state"
)

// Request says what to recover, and how.
type Request struct {
	// Flows are the flows to recover; empty: all. What concerns a whole topic is recovered for all flows that read it.
	Flows []string
	// FromStart lets a flow whose position the store has lost begin with the log's first record.
	FromStart bool
	// Plan, where it is given, is the digest of the plan that was looked at: another one is refused with state.ErrPlan.
	Plan string
	// Who decides, with a note; Discard gives up what only its producers can send again.
	Who, Note string
	Discard   bool
}

// Plan is what is to be recovered.
type Plan struct {
	Breaks   []state.Break
	Recovery state.Recovery
	Seen     map[string]state.SeenLog
	// Missing: a topic does not exist, so that nothing can be planned for it.
	Missing bool
}

// Preview tells what does not fit between the hub and its broker, and what Recover would do about it.
func (c *Checker) Preview(ctx context.Context, q Request) (*Plan, *state.Recovered, error) {
	c.look.Lock()
	defer c.look.Unlock()
	p, err := c.plan(ctx, q)
	if err != nil {
		return nil, nil, err
	}
	would, err := c.preview(ctx, &p.Recovery)
	return p, would, err
}

// Recover goes on with the logs that the broker has now, and looks at them again. Errors wrap state.ErrPlan, state.ErrLoss or state.ErrMoved
// where it was refused and nothing was done.
func (c *Checker) Recover(ctx context.Context, q Request) (*Plan, *state.Recovered, error) {
	c.look.Lock()
	defer c.look.Unlock()
	if err := c.o.MakeTopics(ctx); err != nil {
		return nil, nil, err
	}
	p, did, err := c.recover(ctx, q)
	if err != nil || len(p.Recovery.Topics) == 0 {
		return p, did, err
	}
	c.o.Log.Warn("recovered", "by", q.Who, "note", q.Note, "topics", len(did.Topics))
	if _, err := c.lookLocked(context.WithoutCancel(ctx)); err != nil {
		c.o.Log.Warn("it is done, and the logs could not be looked at after it; that comes later", "error", err)
		c.LookSoon()
	}
	return p, did, nil
}

// recover plans, and has the store do it; anew where positions move meanwhile.
func (c *Checker) recover(ctx context.Context, q Request) (*Plan, *state.Recovered, error) {
	const tries = 4
	for try := 1; ; try++ {
		p, err := c.plan(ctx, q)
		if err != nil {
			return nil, nil, err
		}
		if q.Plan != "" && q.Plan != p.Digest() {
			return nil, nil, state.ErrPlan
		}
		if len(p.Recovery.Topics) == 0 {
			return p, &state.Recovered{}, nil
		}
		p.Recovery.Who, p.Recovery.Note, p.Recovery.Discard = q.Who, q.Note, q.Discard
		did, err := c.o.Store.Recover(ctx, &p.Recovery)
		switch {
		case err == nil:
			return p, did, nil
		case errors.Is(err, state.ErrLoss):
			return nil, nil, fmt.Errorf("%w: have them sent again, then give up the lost ones by name (--discard-lost)", err)
		case !errors.Is(err, state.ErrMoved) || try == tries:
			return nil, nil, err
		}
	}
}

// plan looks at the logs anew, until it is sure of what it sees, and plans for what was asked.
func (c *Checker) plan(ctx context.Context, q Request) (*Plan, error) {
	flows := c.o.Flows()
	for _, name := range q.Flows {
		if !slices.ContainsFunc(flows, func(f Flow) bool { return f.Name == name }) {
			return nil, fmt.Errorf("flow %q: %w", name, state.ErrNotFound)
		}
	}
	breaks, seen, err := c.surelyBroken(ctx, flows, q.FromStart)
	if err != nil {
		return nil, err
	}
	p := planFor(breaks, flows, q.Flows, c.partitionCounts(), c.o.AssignPartition)
	p.Seen = seen
	return p, nil
}

// surelyBroken surveys until what it finds cannot pass by itself, or was seen often enough.
func (c *Checker) surelyBroken(ctx context.Context, flows []Flow, fromStart bool) (breaks []state.Break, seen map[string]state.SeenLog, err error) {
	for look := range looksUntilSure {
		if look > 0 {
			if err := lifecycle.Sleep(ctx, c.o.Clock, 300*time.Millisecond); err != nil {
				return nil, nil, err
			}
		}
		e, err := c.patientEvidence(ctx, flows)
		if err != nil {
			return nil, nil, err
		}
		e.FromStart = fromStart
		breaks, seen = Survey(readings(flows), *e), e.Seen
		if !slices.ContainsFunc(breaks, func(b state.Break) bool { return mayPass(&b) }) {
			break
		}
	}
	return breaks, seen, nil
}

// planFor makes a plan of the breaks that concern the flows named, or of all where none is. counts are the numbers of partitions that
// topics had: where there is another now, stored queues move with assign.
func planFor(breaks []state.Break, flows []Flow, names []string, counts map[string]int, assign func(key string, n int) int) *Plan {
	p := &Plan{}
	for _, b := range breaks {
		if len(names) > 0 && !concerns(&b, flows, names) {
			continue
		}
		if b.Plan == nil {
			p.Missing = true
		} else {
			if n := counts[b.Topic]; n > 0 && n != len(b.Plan.Ends) {
				b.Plan.AssignPartition = assign
			}
			p.Recovery.Topics = append(p.Recovery.Topics, *b.Plan)
		}
		p.Breaks = append(p.Breaks, b)
	}
	return p
}

// concerns reports whether one of the flows named reads what is broken, or writes to it.
func concerns(b *state.Break, flows []Flow, names []string) bool {
	return slices.ContainsFunc(b.Flows, func(f state.BrokenFlow) bool { return slices.Contains(names, f.Flow) }) ||
		slices.ContainsFunc(flows, func(f Flow) bool { return f.Writes == b.Topic && slices.Contains(names, f.Name) })
}

// Digest names what would be done: which logs, and where flows go on. What is accepted meanwhile changes nothing of it. Empty: nothing.
func (p *Plan) Digest() string {
	if len(p.Recovery.Topics) == 0 {
		return ""
	}
	type move struct {
		Flow        string
		Partition   int
		Old, New    int64
		Known, Gone bool
	}
	hash := sha256.New()
	enc := json.NewEncoder(hash)
	for _, t := range p.Recovery.Topics {
		_ = enc.Encode([]any{t.Topic, t.Cluster, t.TopicID, t.Same, t.NewLife})
		for _, m := range t.Moves {
			n := move{m.Flow, m.Partition, m.Old.Next, m.New.Next, m.Known, m.Gone}
			if t.Inbox != "" {
				n.New = 0 // the end of the log, wherever that is by then
			}
			_ = enc.Encode(n)
		}
	}
	return hex.EncodeToString(hash.Sum(nil)[:8])
}
