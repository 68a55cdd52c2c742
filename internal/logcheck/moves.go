package logcheck

import (
	"fmt"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/state"
)

// lost plans for a partition of which only the flow's group at the broker knows how far it was read.
func (s *surveyor) lost(flow string, part int, committed int64) string {
	held := s.seen.Parts[part]
	if committed <= held.From {
		return ""
	}
	s.broken(state.BreakPosition, "the store knows no position where the group of %s has committed one: the store is new, or lacks what it knew", flow)
	m := state.Move{Flow: flow, Partition: part, New: event.Position{Next: min(committed, held.To)}}
	if s.e.FromStart {
		m.New.Next = held.From
	}
	s.plan.Moves = append(s.plan.Moves, m)
	return fmt.Sprintf("partition %d: no position is stored, the group has committed offset %d, and the log holds %d to %d", part, committed, held.From, held.To)
}

// move plans where a stored position goes on; empty where it can stay as it is.
func (s *surveyor) move(p *state.Partition) string {
	m := state.Move{Flow: p.Flow, Partition: p.Partition, Old: p.Position, Known: true}
	if p.Partition >= len(s.seen.Parts) {
		if !s.b.Whole {
			return ""
		}
		m.Gone = true
		m.Passed = event.Range{From: p.Position.Next, To: max(p.Position.Next, s.high(p.Partition))}
		s.plan.Moves = append(s.plan.Moves, m)
		return fmt.Sprintf("partition %d: offset %d was to be read next, and there is no such partition", p.Partition, p.Position.Next)
	}
	held := s.seen.Parts[p.Partition]
	line := fmt.Sprintf("partition %d: offset %d was to be read next, and the log holds %d to %d", p.Partition, p.Position.Next, held.From, held.To)
	other := differ(p.Cluster, s.seen.Cluster) || differ(p.TopicID, s.seen.TopicID) || p.Life != s.log.Life
	switch {
	case s.b.Whole && !s.plan.Same:
		m.New.Next = held.From
		m.Passed = event.Range{From: p.Position.Next, To: max(p.Position.Next, s.high(p.Partition))}
	case s.b.Whole:
		next := max(min(p.Position.Next, held.To), held.From)
		m.New = event.Position{Next: next, Done: clip(p.Position.Done, next, held.To)}
		m.New.Settle()
		m.Passed = event.Range{From: max(p.Position.Next, held.To), To: max(p.Position.Next, held.To, s.high(p.Partition))}
	case other:
		s.broken(state.BreakLog, "the position of %s is in a log that the topic had before", p.Flow)
		m.New.Next = held.From
		m.Passed = event.Range{From: p.Position.Next, To: p.Position.Next}
	case held.From > p.Position.Next:
		s.broken(state.BreakStart, "records were removed before %s had read them (retention)", p.Flow)
		m.New = event.Position{Next: held.From, Done: clip(p.Position.Done, held.From, held.To)}
		m.New.Settle()
		m.Passed = event.Range{From: p.Position.Next, To: held.From}
		line += fmt.Sprintf(": %d records were removed unread", unread(p.Position, held.From))
	default:
		return ""
	}
	if s.r.Inbox != "" {
		// The inbox holds everything that has no fate, and publishes it again in its order, behind whatever is there.
		m.New = event.Position{Next: held.To}
	}
	s.plan.Moves = append(s.plan.Moves, m)
	return line
}

// together moves all readers of an inbox's topic in all partitions where one has to move in one of them. A row may hold several events, and
// it is either on the topic, with all the places that count, or to be published again: those of its events that one partition has lost must
// not come again alone, or nobody would know any more where the others lie.
func (s *surveyor) together() {
	moved := map[partition]bool{}
	for _, m := range s.plan.Moves {
		moved[partition{m.Flow, s.r.Topic, m.Partition}] = true
	}
	for _, flow := range s.r.Readers {
		for part, held := range s.seen.Parts {
			if moved[partition{flow, s.r.Topic, part}] {
				continue
			}
			m := state.Move{Flow: flow, Partition: part, New: event.Position{Next: held.To}}
			if p := s.at[partition{flow, s.r.Topic, part}]; p != nil && !p.Gone {
				m.Old, m.Known = p.Position, true
			}
			s.plan.Moves = append(s.plan.Moves, m)
		}
	}
}

// clip gives the parts of ranges that lie in [from, to).
func clip(rs []event.Range, from, to int64) []event.Range {
	var out []event.Range
	for _, r := range rs {
		if r.From, r.To = max(r.From, from), min(r.To, to); r.From < r.To {
			out = append(out, r)
		}
	}
	return out
}

// unread counts the offsets below to that are not finished.
func unread(p event.Position, to int64) int64 {
	n := to - p.Next
	for _, d := range p.Done {
		n -= max(0, min(d.To, to)-d.From)
	}
	return n
}
