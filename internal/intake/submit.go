package intake

import (
	"context"
	"slices"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/relay"
	"github.com/waybill-hub/waybill/internal/submit"
)

// Submit takes events that the hub itself has made, for any flow: see submit.Door.
func (in *Intake) Submit(ctx context.Context, flow string, events []event.Event, by event.Submission) (submit.Receipt, error) {
	return in.door.Submit(ctx, flow, events, by)
}

// AsOf gives the version of an object that is about to be read, for a flow that computes none: see submit.Door.
func (in *Intake) AsOf(ctx context.Context) (string, error) { return in.door.AsOf(ctx) }

// carrier carries what is submitted to flows that read a topic.
type carrier struct {
	work   *work
	relays *relay.Group
}

// submissions is the lease of carriers, one for all flows that read topics.
const submissions = "submissions"

func (in *Intake) carrier(sources []Source) *carrier {
	c := &in.c
	relays := make([]*relay.Relay, len(sources))
	for i, s := range sources {
		relays[i] = relay.New(relay.Config{Source: relay.Source{Flow: s.Flow, Entity: s.Entity, Topic: s.Topic, Shared: true}, Store: c.Store, Publisher: c.Publisher, Clock: c.Clock,
			Log: c.Log, Observer: c.Observer, Logs: c.Logs})
	}
	g := &carrier{work: &work{src: Source{Flow: submissions}}, relays: relay.NewGroup(c.Store, c.Clock, c.Log, relays)}
	if len(sources) > 0 {
		g.work.leased = append(g.work.leased, in.under(submissions, c.Log, g.relays.Run))
	}
	return g
}

// ofTopic: the flow reads a topic that others fill.
func (s *Source) ofTopic() bool {
	return s.System == "" && s.Webhook == nil && s.Poll == nil && s.Files == nil
}

// ofTopics are the sources of flows that do.
func ofTopics(sources []Source) []Source {
	return slices.DeleteFunc(slices.Clone(sources), func(s Source) bool { return !s.ofTopic() })
}

// submitted is the source as those who submit see it.
func submitted(s *Source) submit.Flow {
	return submit.Flow{Name: s.Flow, Entity: s.Entity, System: s.System, Topic: s.Topic, Onward: s.Onward, Keyed: s.Key != nil, Known: s.Known,
		MaxEvents: s.MaxEvents, MaxBytes: s.MaxBytes}
}
