package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/intake"
	"github.com/waybill-hub/waybill/internal/reconcile"
	"github.com/waybill-hub/waybill/internal/submit"
)

// compareHub is what runs ask of the hub.
type compareHub struct{ h *Hub }

func (c compareHub) Mark(ctx context.Context) (*reconcile.Mark, error) {
	n, err := c.h.store.NextInbox(ctx)
	return &reconcile.Mark{Inbox: n}, err
}

// Late looks first whether what was accepted is on its topics, and then whether the flows have come to the ends that these had by then.
func (c compareHub) Late(ctx context.Context, flows []string, m *reconcile.Mark) (map[string]reconcile.Lateness, error) {
	late, err := c.unread(ctx, flows, m.Looked)
	if err != nil || len(late) > 0 {
		return late, err
	}
	if m.Ends == nil {
		for _, f := range flows {
			n, err := c.h.store.UnpublishedUpTo(ctx, f, m.Inbox)
			if err != nil {
				return nil, err
			}
			if n > 0 {
				late[f] = c.lateness(f, "%d accepted events are not on its topic yet", int64(n))
			}
		}
		if len(late) > 0 {
			return late, nil
		}
	}
	topics := map[string]bool{}
	for _, name := range flows {
		if f := c.h.plan().Flow(name); f != nil {
			topics[f.Topic()] = true
		}
	}
	if m.Ends == nil {
		ends, refused, err := c.h.cluster.Ends(ctx, sortedKeys(topics)...)
		if err != nil {
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			return map[string]reconcile.Lateness{"(broker)": {Why: "the broker does not answer: " + err.Error()}}, nil
		}
		m.Ends = map[string][]int64{}
		for topic, info := range ends {
			for _, p := range info.Partitions {
				m.Ends[topic] = append(m.Ends[topic], p.Last)
			}
		}
		for topic, why := range refused {
			m.Ends = nil
			return map[string]reconcile.Lateness{"(" + topic + ")": {Why: "the broker does not tell of the topic: " + why.Error()}}, nil
		}
	}
	for _, name := range flows {
		f := c.h.plan().Flow(name)
		if f == nil {
			continue
		}
		n, err := c.behind(ctx, f, m.Ends[f.Topic()])
		if err != nil {
			return nil, err
		}
		if n > 0 {
			late[name] = c.lateness(name, "%d events on its topic are not decided", n)
		}
	}
	return late, nil
}

// unread gives the flows whose source was not read since: what has changed there is not known yet.
func (c compareHub) unread(ctx context.Context, flows []string, since time.Time) (map[string]reconcile.Lateness, error) {
	late := map[string]reconcile.Lateness{}
	states := c.h.intake.States()
	for _, name := range flows {
		f := c.h.plan().Flow(name)
		if f == nil || f.From.Poll == nil || f.From.Poll.Every == 0 || since.IsZero() { // by the clock, nobody expects it before its time
			continue
		}
		st := states[name]
		if st.Read.After(since) {
			continue
		}
		if st.State == intake.SourceWaiting || st.State == "" { // another hub reads it
			cur, err := c.h.store.Cursor(ctx, name)
			if err != nil {
				return nil, err
			}
			if cur.Updated.After(since) {
				continue
			}
		}
		l := reconcile.Lateness{Why: fmt.Sprintf("%s was not read since %s", f.From.System, since.UTC().Format(time.RFC3339))}
		if st.Error != "" {
			l.Why += ": " + st.Error
		}
		l.Stands = st.State == intake.SourcePaused
		late[name] = l
	}
	return late, nil
}

// behind counts what lies before the ends of a flow's topic and is not decided.
func (c compareHub) behind(ctx context.Context, f *config.Flow, ends []int64) (n int64, err error) {
	if lag, broken := c.h.logs.Lag(f.Name); broken {
		return max(lag, 1), nil
	}
	parts, err := c.h.store.Partitions(ctx, f.Name)
	if err != nil {
		return 0, err
	}
	known := map[int]event.Position{}
	for _, p := range parts {
		if p.Topic == f.Topic() && !p.Gone {
			known[p.Partition] = p.Position
		}
	}
	for i, end := range ends {
		at, read := known[i]
		if !read && end > 0 {
			n += end // nobody has read it yet
			continue
		}
		lag := end - at.Next
		for _, r := range at.Done {
			lag -= max(0, min(r.To, end)-min(r.From, end))
		}
		n += max(lag, 0)
	}
	return n, nil
}

func (c compareHub) lateness(flow, format string, n int64) reconcile.Lateness {
	l := reconcile.Lateness{Why: fmt.Sprintf(format, n), Behind: n}
	c.h.pausing.Lock()
	paused := c.h.paused[flow]
	c.h.pausing.Unlock()
	c.h.mu.Lock()
	r := c.h.runners[flow]
	c.h.mu.Unlock()
	switch {
	case paused:
		l.Why, l.Stands = l.Why+", and it is paused", true
	case r != nil && r.Alarmed() != nil:
		l.Why, l.Stands = l.Why+", and it stands still: `waybill status` says why", true
	}
	return l
}

func (c compareHub) Object(ctx context.Context, flow string, l connector.Lookup) ([]event.Event, error) {
	got, err := c.h.intake.Object(ctx, flow, l)
	if errors.Is(err, intake.ErrNotAsked) {
		err = fmt.Errorf("%w: %w", connector.ErrNoLookup, err)
	}
	return got, err
}

func (c compareHub) Submit(ctx context.Context, flow string, events []event.Event, by event.Submission) (submit.Receipt, error) {
	return c.h.intake.Submit(ctx, flow, events, by)
}
