package logcheck

import (
	"maps"
	"slices"

	"github.com/waybill-hub/waybill/internal/state"
)

// Flow is what counts of a flow here.
type Flow struct {
	Name  string
	Group string // its consumer group
	// Reads is the topic that it reads. FromInbox: what lies on that topic comes from the flow's own inbox.
	Reads     string
	FromInbox bool
	// Writes is the topic that it delivers to; empty where it delivers to a system.
	Writes string
}

// readings are the topics that flows read, with who writes them, in the order of their names.
func readings(flows []Flow) []state.Reading {
	byTopic := map[string]*state.Reading{}
	for _, f := range flows {
		r := byTopic[f.Reads]
		if r == nil {
			r = &state.Reading{Topic: f.Reads}
			byTopic[f.Reads] = r
		}
		r.Readers = append(r.Readers, f.Name)
		if f.FromInbox {
			r.Inbox = f.Name
		}
	}
	for _, f := range flows {
		if r := byTopic[f.Writes]; r != nil {
			r.Writers = append(r.Writers, f.Name)
		}
	}
	out := make([]state.Reading, 0, len(byTopic))
	for _, topic := range slices.Sorted(maps.Keys(byTopic)) {
		out = append(out, *byTopic[topic])
	}
	return out
}

// readers are the flows that read each topic.
func readers(flows []Flow) map[string][]string {
	out := map[string][]string{}
	for _, r := range readings(flows) {
		out[r.Topic] = r.Readers
	}
	return out
}
