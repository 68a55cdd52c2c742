package app

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/state"
)

// settling is one look at how far a restoration has come, and what it makes of it.
type settling struct {
	h       *Hub
	watched time.Duration
	lead    bool // this hub takes the steps

	read  map[string]bool // sources that this hub has read to their end since it started
	waits []string
	inbox int64
	queue int64
	ends  map[string][]int64
	over  bool // what the phase waits for has come
	blind map[string]string
}

// look asks sources, store and broker for what the phase needs to know.
func (s *settling) look(ctx context.Context, now *state.Restoration) (err error) {
	if s.inbox, s.queue, err = s.h.store.LastRow(ctx); err != nil {
		return err
	}
	switch now.Phase {
	case state.RestoredReading:
		s.lookAtSources(now)
	case state.RestoredPassing:
		return s.lookAtLogs(ctx, now)
	case state.RestoredWatching:
		left := s.h.plan().Hub.Backup.Resent - now.Watched - s.watched
		if s.over = left <= 0; !s.over {
			for _, f := range slices.Sorted(maps.Keys(now.Blind)) {
				s.waits = append(s.waits, fmt.Sprintf("%s for %s more, or until `waybill restored --done`: %s", f, left.Round(time.Second), now.Blind[f]))
			}
		}
	}
	return nil
}

// lookAtSources: what a source held when it was read to its end is in the inbox.
func (s *settling) lookAtSources(now *state.Restoration) {
	s.read = map[string]bool{}
	states := s.h.intake.States()
	for _, f := range s.h.plan().Flows {
		if f.From.Poll == nil && f.From.Files == nil || now.Read[f.Name] {
			continue
		}
		if st := states[f.Name]; !st.Read.IsZero() {
			s.read[f.Name] = true
			continue
		}
		s.waits = append(s.waits, f.Name+" reads its source to the end")
	}
	s.over = len(s.waits) == 0
}

// lookAtLogs: first the inbox as it was is on its topics, then the topics are worked off up to where they ended.
func (s *settling) lookAtLogs(ctx context.Context, now *state.Restoration) error {
	for _, f := range s.h.plan().Flows {
		if f.From.System == "" {
			continue
		}
		n, err := s.h.store.UnpublishedUpTo(ctx, f.Name, now.Inbox)
		if err != nil {
			return err
		}
		if n > 0 {
			s.waits = append(s.waits, fmt.Sprintf("%d accepted messages of %s are on their way to its topic", n, f.Name))
		}
	}
	if len(s.waits) > 0 {
		return nil
	}
	if now.Ends == nil {
		return s.takeEnds(ctx)
	}
	stored, err := s.h.store.Partitions(ctx, "")
	if err != nil {
		return err
	}
	next := map[string]int64{}
	for i := range stored {
		p := &stored[i]
		next[placeKey(p.Flow, p.Topic, p.Partition)] = p.Position.Next
	}
	for _, f := range s.h.plan().Flows {
		left := int64(0)
		for part, end := range now.Ends[f.Topic()] {
			left += max(0, end-next[placeKey(f.Name, f.Topic(), part)])
		}
		if left > 0 {
			s.waits = append(s.waits, fmt.Sprintf("%s works off %d records of %s", f.Name, left, f.Topic()))
		}
	}
	if s.over = len(s.waits) == 0; s.over && now.Rounds <= 1 {
		return s.lookForBlind(ctx)
	}
	return nil
}

func (s *settling) takeEnds(ctx context.Context) error {
	topics := map[string]bool{}
	for _, f := range s.h.plan().Flows {
		topics[f.Topic()] = true
	}
	s.ends = map[string][]int64{}
	if len(topics) == 0 {
		return nil
	}
	_, found, err := s.h.cluster.Look(ctx, sortedKeys(topics)...)
	for topic, info := range found {
		for _, p := range info.Partitions {
			s.ends[topic] = append(s.ends[topic], p.Last)
		}
	}
	return err
}

// lookForBlind finds the flows whose targets cannot be asked, and that senders feed who may send again what they have sent before.
func (s *settling) lookForBlind(ctx context.Context) error {
	s.blind = map[string]string{}
	for _, r := range s.h.flows() {
		f := r.Flow()
		if f.To.System == "" || !pushed(s.h.plan(), f, map[string]bool{}) {
			continue
		}
		asks, why, err := r.Asks(ctx)
		if err != nil {
			s.over = false
			s.waits = append(s.waits, fmt.Sprintf("%s has to tell whether it can be asked for objects: %v", f.To.System, err))
			continue
		}
		if !asks {
			s.blind[f.Name] = why
		}
	}
	return nil
}

// pushed reports whether senders push what the flow gets, maybe over other flows: webhooks, and programs that write to its topic.
func pushed(plan *config.Plan, f *config.Flow, seen map[string]bool) bool {
	if f.From.System != "" {
		return f.From.Webhook != nil
	}
	if seen[f.Name] {
		return false
	}
	seen[f.Name] = true
	written := false
	for _, w := range plan.Flows {
		if w.To.Topic == f.From.Topic {
			if written = true; pushed(plan, w, seen) {
				return true
			}
		}
	}
	return !written
}

// hops is how many topics lie on the longest way through the plan, without going in a circle.
func hops(plan *config.Plan) int {
	depth := map[string]int{}
	for _, f := range plan.Flows {
		depth[f.Topic()] = 1
	}
	longest := 1
	for range depth {
		for _, f := range plan.Flows {
			if at, read := depth[f.To.Topic]; read {
				depth[f.To.Topic] = min(len(depth), max(at, depth[f.Topic()]+1))
				longest = max(longest, depth[f.To.Topic])
			}
		}
	}
	return longest
}

// apply takes the step that was found.
func (s *settling) apply(r *state.Restoration) (*state.Restoration, *state.Audit) {
	if len(s.read) > 0 {
		if r.Read == nil {
			r.Read = map[string]bool{}
		}
		maps.Copy(r.Read, s.read)
	}
	if !s.lead {
		return r, nil
	}
	// Until it is over, every stored message may be one of before.
	r.Waits, r.Queue = s.waits, max(r.Queue, s.queue)
	switch {
	case r.Phase == state.RestoredWatching:
		r.Watched += s.watched
	case s.ends != nil:
		r.Ends = s.ends
	}
	if !s.over {
		return r, nil
	}
	switch {
	case r.Phase == state.RestoredReading:
		r.Phase, r.Inbox, r.Rounds, r.Ends = state.RestoredPassing, s.inbox, hops(s.h.plan()), nil
		return r, nil
	case r.Phase == state.RestoredPassing && r.Rounds > 1:
		r.Rounds--
		r.Ends = nil
		return r, nil
	case r.Phase == state.RestoredPassing && len(s.blind) > 0:
		r.Phase, r.Blind, r.Ends = state.RestoredWatching, s.blind, nil
		return r, nil
	}
	r.Phase, r.Ended, r.EndedBy, r.Ends = state.RestoredSettled, s.h.clock.Now().UTC(), byHub, nil
	return r, &state.Audit{Who: "hub", Action: "restored", Object: "store", Detail: fmt.Sprintf("settled: %d looked up, %d of them were there, %d parked", r.Looked, r.Found, r.Parked)}
}
