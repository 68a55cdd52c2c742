package logcheck

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

// partition is one reader's partition of a topic.
type partition struct {
	flow, topic string
	part        int
}

// Survey finds the topics whose logs do not hold what the store remembers of them, and says how to go on with each. It changes
// nothing and asks nobody.
func Survey(readings []state.Reading, e Evidence) []state.Break {
	at := map[partition]*state.Partition{}
	for i := range e.Stored {
		p := &e.Stored[i]
		at[partition{p.Flow, p.Topic, p.Partition}] = p
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

func survey(r *state.Reading, e *Evidence, at map[partition]*state.Partition) *state.Break {
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
	at   map[partition]*state.Partition
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
		if p := s.at[partition{flow, s.r.Topic, part}]; p != nil && !p.Gone && p.Life == s.log.Life {
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
		p := s.at[partition{flow, s.r.Topic, part}]
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
