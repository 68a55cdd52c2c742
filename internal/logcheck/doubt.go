package logcheck

import (
	"slices"

	"github.com/waybill-hub/waybill/internal/state"
)

// looksUntilSure is how often in a row something that may pass by itself must be seen until it is believed.
const looksUntilSure = 3

// mayPass reports whether a break may pass by itself: brokers that have just started know neither all topics nor all records.
func mayPass(b *state.Break) bool { return b.Cause == state.BreakMissing || b.Cause == state.BreakEnd }

// doubts count how often in a row something was seen that may pass, by topic and cause.
type doubts map[doubt]int

type doubt struct{ topic, cause string }

// certain gives the breaks that are believed, and the doubts after this look; sure is false while something is left out.
func (d doubts) certain(breaks []state.Break) (believed []state.Break, next doubts, sure bool) {
	next, sure = doubts{}, true
	for _, b := range breaks {
		if mayPass(&b) {
			k := doubt{b.Topic, b.Cause}
			next[k] = d[k] + 1
			if next[k] < looksUntilSure {
				sure = false
				continue
			}
		}
		believed = append(believed, b)
	}
	return believed, next, sure
}

// grown gives the logs to note: those that are what they were, as far as they reach now.
func grown(e *Evidence, found map[string]*state.Break, d doubts) []state.TopicLog {
	var note []state.TopicLog
	for topic, seen := range e.Seen {
		if b := found[topic]; b != nil && b.Whole || d[doubt{topic, state.BreakEnd}] > 0 {
			continue
		}
		known := e.Logs[topic]
		now := state.TopicLog{Topic: topic, Life: known.Life, Cluster: seen.Cluster, TopicID: seen.TopicID}
		for _, p := range seen.Parts {
			now.Ends = append(now.Ends, p.To)
		}
		if !slices.Equal(now.Ends, known.Ends) {
			note = append(note, now)
		}
	}
	return note
}
