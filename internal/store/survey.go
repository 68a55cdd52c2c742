package store

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/state"
)

// Evidence is what is held against each other: what the store remembers, and what the broker says.
type Evidence struct {
	Logs   map[string]state.TopicLog
	Stored []state.Partition
	Seen   map[string]state.SeenLog
	// Committed gives what a flow's group has committed in the partitions of a topic, -1 where nothing; it is asked about partitions that
	// have no stored position. May be nil.
	Committed func(flow, topic string) []int64
	// FromStart lets a flow whose position is lost begin with the log's first record instead of at what its group has committed.
	FromStart bool
}

// Survey finds the topics whose logs do not hold what the store remembers of them, and says how to go on with each. It changes
// nothing and asks nobody.
func Survey(readings []state.Reading, e Evidence) []state.Break {
	at := map[partKey]*state.Partition{}
	for i := range e.Stored {
		p := &e.Stored[i]
		at[partKey{p.Flow, p.Topic, p.Partition}] = p
	}
	var out []state.Break
	for _, r := range readings {
		if b := survey(&r, &e, at); b != nil {
			out = append(out, *b)
		}
	}
	slices.SortFunc(out, func(a, b state.Break) int { return cmp.Compare(a.Topic, b.Topic) })
	return out
}

func survey(r *state.Reading, e *Evidence, at map[partKey]*state.Partition) *state.Break {
	seen, there := e.Seen[r.Topic]
	log, known := e.Logs[r.Topic]
	if len(r.Readers) == 0 {
		return nil // nothing is promised of it but that it was published
	}
	if !there {
		b := &state.Break{Topic: r.Topic, Cause: state.BreakMissing, Whole: true, Text: "the topic does not exist"}
		for _, flow := range r.Readers {
			b.Flows = append(b.Flows, state.BrokenFlow{Flow: flow, Text: b.Text})
		}
		return b
	}
	if !known {
		log = state.TopicLog{Topic: r.Topic, Cluster: seen.Cluster, TopicID: seen.TopicID}
	}
	s := &surveyor{r: r, e: e, at: at, log: &log, seen: &seen, b: &state.Break{Topic: r.Topic}}
	s.plan = &state.RecoverTopic{Topic: r.Topic, Cluster: seen.Cluster, TopicID: seen.TopicID, Inbox: r.Inbox, Written: len(r.Writers) > 0, Readers: r.Readers}
	for _, p := range seen.Parts {
		s.plan.Ends = append(s.plan.Ends, p.To)
	}
	s.identity()
	s.ends()
	s.plan.NewLife = s.b.Whole
	for _, flow := range r.Readers {
		s.reader(flow)
	}
	if s.b.Cause == "" {
		return nil
	}
	if r.Inbox != "" && !s.b.Whole {
		s.together()
	}
	s.b.Plan = s.plan
	return s.b
}

// surveyor looks at one topic.
type surveyor struct {
	r    *state.Reading
	e    *Evidence
	at   map[partKey]*state.Partition
	log  *state.TopicLog
	seen *state.SeenLog
	b    *state.Break
	plan *state.RecoverTopic
}

func (s *surveyor) broken(cause, format string, args ...any) {
	if s.b.Cause == "" {
		s.b.Cause, s.b.Text = cause, fmt.Sprintf(format, args...)
	}
}

func differ(a, b string) bool { return a != "" && b != "" && a != b }

// identity compares the log's ids with those that are known.
func (s *surveyor) identity() {
	s.plan.Same = true
	switch {
	case differ(s.log.Cluster, s.seen.Cluster):
		s.broken(state.BreakCluster, "the hub's positions belong to broker cluster %s, and this one is %s: it was wiped, or is another one", s.log.Cluster, s.seen.Cluster)
	case differ(s.log.TopicID, s.seen.TopicID):
		s.broken(state.BreakTopic, "the topic was deleted and made again: its id was %s and is %s", s.log.TopicID, s.seen.TopicID)
	default:
		return
	}
	s.b.Whole, s.plan.Same = true, false
}

// high is behind the last offset that is known to have been in a partition.
func (s *surveyor) high(part int) int64 {
	high := int64(0)
	if part < len(s.log.Ends) {
		high = s.log.Ends[part]
	}
	for _, flow := range s.r.Readers {
		if p := s.at[partKey{flow, s.r.Topic, part}]; p != nil && !p.Gone && p.Life == s.log.Life {
			high = max(high, top(&p.Position))
		}
	}
	return high
}

// top is behind the last finished offset.
func top(p *event.Position) int64 {
	if n := len(p.Done); n > 0 {
		return p.Done[n-1].To
	}
	return p.Next
}

// ends looks for what is missing at the ends of a log that is the one that is known.
func (s *surveyor) ends() {
	if s.b.Whole {
		return
	}
	for part, held := range s.seen.Parts {
		if high := s.high(part); held.To < high {
			s.broken(state.BreakEnd, "partition %d ends at offset %d and was known up to %d: %d records were cut off", part, held.To, high, high-held.To)
			s.b.Whole = true
		}
	}
}

// reader finds out where one flow can go on.
func (s *surveyor) reader(flow string) {
	var lines []string
	var committed []int64
	asked := false
	for part := range max(len(s.seen.Parts), s.stored(flow)) {
		p := s.at[partKey{flow, s.r.Topic, part}]
		if p == nil || p.Gone {
			if s.b.Whole || p != nil || s.e.Committed == nil || part >= len(s.seen.Parts) {
				continue
			}
			if !asked {
				committed, asked = s.e.Committed(flow, s.r.Topic), true
			}
			if part < len(committed) {
				if line := s.lost(flow, part, committed[part]); line != "" {
					lines = append(lines, line)
				}
			}
			continue
		}
		if line := s.move(p); line != "" {
			lines = append(lines, line)
		}
	}
	switch {
	case len(lines) == 0 && s.b.Whole:
		s.b.Flows = append(s.b.Flows, state.BrokenFlow{Flow: flow, Text: s.b.Text})
	case len(lines) > 0:
		text := strings.Join(lines[:min(len(lines), 4)], "; ")
		if n := len(lines) - 4; n > 0 {
			text += fmt.Sprintf("; and %d partitions more", n)
		}
		if s.b.Whole {
			text = s.b.Text + "; " + text
		}
		s.b.Flows = append(s.b.Flows, state.BrokenFlow{Flow: flow, Text: text})
	}
}

// stored is how many partitions the flow has positions in.
func (s *surveyor) stored(flow string) (n int) {
	for k := range s.at {
		if k.flow == flow && k.topic == s.r.Topic {
			n = max(n, k.part+1)
		}
	}
	return n
}

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
		settle(&m.New)
		m.Passed = event.Range{From: max(p.Position.Next, held.To), To: max(p.Position.Next, held.To, s.high(p.Partition))}
	case other:
		s.broken(state.BreakLog, "the position of %s is in a log that the topic had before", p.Flow)
		m.New.Next = held.From
		m.Passed = event.Range{From: p.Position.Next, To: p.Position.Next}
	case held.From > p.Position.Next:
		s.broken(state.BreakStart, "records were removed before %s had read them (retention)", p.Flow)
		m.New = event.Position{Next: held.From, Done: clip(p.Position.Done, held.From, held.To)}
		settle(&m.New)
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
	moved := map[flowPart]bool{}
	for _, m := range s.plan.Moves {
		moved[flowPart{m.Flow, m.Partition}] = true
	}
	for _, flow := range s.r.Readers {
		for part, held := range s.seen.Parts {
			if moved[flowPart{flow, part}] {
				continue
			}
			m := state.Move{Flow: flow, Partition: part, New: event.Position{Next: held.To}}
			if p := s.at[partKey{flow, s.r.Topic, part}]; p != nil && !p.Gone {
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
