package logcheck

import (
	"fmt"

	"github.com/waybill-hub/waybill/internal/state"
)

// standing is what findings mean for flows.
type standing struct {
	why   map[string]string // what the status says of a flow that stands still, by flow
	lag   map[string]int64  // what a flow has still to get, where offsets do not tell, by flow
	waits map[string]bool   // flows that stand still only until what comes first is on its topic: a recovery has let them go on already
}

// consequences says, by flow, why it stands still, and what it has still to get. would is what a recovery of all breaks would do,
// pending how many records are to be put on a topic again.
func consequences(flows []Flow, breaks []state.Break, would *state.Recovered, pending map[string]int64) standing {
	s := standing{why: map[string]string{}, lag: map[string]int64{}, waits: map[string]bool{}}
	for i := range breaks {
		s.reads(&breaks[i], would)
	}
	for _, f := range flows {
		s.writes(f, breaks, pending[f.Writes])
	}
	return s
}

// reads is what a break means for the flows that read the topic.
func (s *standing) reads(b *state.Break, would *state.Recovered) {
	again, lost := concerned(b.Topic, would)
	for _, f := range b.Flows {
		s.why[f.Flow] = fmt.Sprintf("%s: %s; %s; start the hub on the right broker, or see what `waybill recover %s --dry-run` would do",
			b.Topic, f.Text, concernedText(again[f.Flow], lost[f.Flow]), f.Flow)
		s.lag[f.Flow] = again[f.Flow] + lost[f.Flow] + readable(b, f.Flow)
	}
}

// writes is what breaks, and records that come before, mean for a flow that writes to a topic.
func (s *standing) writes(f Flow, breaks []state.Break, pending int64) {
	for i := range breaks {
		if b := &breaks[i]; b.Topic == f.Writes && b.Whole && s.why[f.Name] == "" {
			s.why[f.Name] = fmt.Sprintf("it waits before it writes to %s: %s; see what `waybill recover --dry-run` would do", b.Topic, b.Text)
		}
	}
	if pending > 0 && s.why[f.Name] == "" {
		s.why[f.Name] = fmt.Sprintf("it waits until %d records are on %s again that come before", pending, f.Writes)
		s.waits[f.Name] = true
	}
}

// concerned counts, by flow, the records of a topic that a recovery would bring again, and those that are lost.
func concerned(topic string, would *state.Recovered) (again, lost map[string]int64) {
	again, lost = map[string]int64{}, map[string]int64{}
	for _, t := range would.Topics {
		if t.Topic != topic {
			continue
		}
		for _, f := range t.Flows {
			for _, p := range f.Parts {
				again[f.Flow] += p.Again
				lost[f.Flow] += p.Lost
			}
		}
	}
	return again, lost
}

func concernedText(again, lost int64) string {
	switch {
	case lost > 0:
		return fmt.Sprintf("%d records without a fate can be had again, %d are gone that only their producers can send again", again, lost)
	case again > 0:
		return fmt.Sprintf("%d records without a fate can be had again, none is lost", again)
	}
	return "no record is known that would be lost"
}

// readable counts what a flow finds in the log where it goes on.
func readable(b *state.Break, flow string) (n int64) {
	if b.Plan == nil {
		return 0
	}
	for _, m := range b.Plan.Moves {
		if m.Flow == flow && m.Partition < len(b.Plan.Ends) {
			n += max(0, b.Plan.Ends[m.Partition]-m.New.Next)
			for _, d := range m.New.Done {
				n -= d.To - d.From
			}
		}
	}
	return n
}
