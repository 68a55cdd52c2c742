package storetest

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/logcheck"
	"github.com/waybill-hub/waybill/internal/state"
)

// fakeBroker is a broker in little that loses what it was given, with flows that read and write it.
type fakeBroker struct {
	*bench
	logs     map[string]*fakeLog
	readings []state.Reading
	made     int
	fromZero bool
}

// fakeLog is a topic's log.
type fakeLog struct {
	cluster, id string
	first       []int64
	parts       [][]event.Record
	committed   map[string][]int64 // by flow
}

func newFakeBroker(b *bench) *fakeBroker {
	s := &fakeBroker{bench: b, logs: map[string]*fakeLog{}, readings: []state.Reading{
		{Topic: "in.a", Inbox: "a", Readers: []string{"a"}},
		{Topic: "canon", Writers: []string{"a"}, Readers: []string{"b", "m"}},
		{Topic: "out", Writers: []string{"m"}, Readers: []string{"c"}},
		{Topic: "raw", Readers: []string{"r"}},
	}}
	for _, r := range s.readings {
		s.make(r.Topic, "cluster-1", 2)
	}
	s.note()
	return s
}

// make gives a topic an empty log.
func (s *fakeBroker) make(topic, cluster string, parts int) {
	s.made++
	s.logs[topic] = &fakeLog{cluster: cluster, id: fmt.Sprintf("%s-%d", topic, s.made), first: make([]int64, parts), parts: make([][]event.Record, parts), committed: map[string][]int64{}}
}

func assignPartition(key string, n int) int { return int(key[len(key)-1]) % n }

// put appends a record and gives its place.
func (s *fakeBroker) put(r event.Record) event.Record {
	l := s.logs[r.Topic]
	r.Partition = assignPartition(string(r.Key), len(l.parts))
	r.Offset = int64(len(l.parts[r.Partition]))
	l.parts[r.Partition] = append(l.parts[r.Partition], r)
	return r
}

func (s *fakeBroker) log(topic string, part int) event.Log {
	l := s.logs[topic]
	return event.Log{Cluster: l.cluster, TopicID: l.id, First: l.first[part], Last: int64(len(l.parts[part])), Committed: -1}
}

func (s *fakeBroker) seen() map[string]state.SeenLog {
	out := map[string]state.SeenLog{}
	for topic, l := range s.logs {
		seen := state.SeenLog{Cluster: l.cluster, TopicID: l.id}
		for i, p := range l.parts {
			seen.Parts = append(seen.Parts, event.Range{From: l.first[i], To: int64(len(p))})
		}
		out[topic] = seen
	}
	return out
}

// known gives what the store knows of the logs.
func (s *fakeBroker) known() map[string]state.TopicLog {
	s.t.Helper()
	logs, err := s.Logs(s.ctx())
	s.no(err)
	return logs
}

func (s *fakeBroker) life(topic string) int64 { return s.known()[topic].Life }

// note records the ends of the logs as the hub does from time to time, where they are what they were.
func (s *fakeBroker) note() {
	s.t.Helper()
	var logs []state.TopicLog
	known := s.known()
	for topic, l := range s.logs {
		n := state.TopicLog{Topic: topic, Life: known[topic].Life, Cluster: l.cluster, TopicID: l.id}
		for _, p := range l.parts {
			n.Ends = append(n.Ends, int64(len(p)))
		}
		logs = append(logs, n)
	}
	s.no(s.NoteLogs(s.ctx(), logs))
}

func (s *fakeBroker) survey() []state.Break {
	s.t.Helper()
	stored, err := s.Partitions(s.ctx(), "")
	s.no(err)
	return logcheck.Survey(s.readings, logcheck.Evidence{Logs: s.known(), Stored: stored, Seen: s.seen(), FromStart: s.fromZero, Committed: func(flow, topic string) []int64 {
		return s.logs[topic].committed[flow]
	}})
}

// recovery is what a person would decide, for all breaks or those of some topics.
func (s *fakeBroker) recovery(discard bool, topics ...string) *state.Recovery {
	s.t.Helper()
	rec := &state.Recovery{Who: "ann", Note: "the disk died", Discard: discard}
	for _, b := range s.survey() {
		if b.Plan != nil && (len(topics) == 0 || slices.Contains(topics, b.Topic)) {
			b.Plan.AssignPartition = assignPartition
			rec.Topics = append(rec.Topics, *b.Plan)
		}
	}
	return rec
}

// recover rehearses and recovers: both must say the same.
func (s *fakeBroker) recover(discard bool, topics ...string) *state.Recovered {
	s.t.Helper()
	rec := s.recovery(discard, topics...)
	would, err := s.PreviewRecovery(s.ctx(), rec)
	s.no(err)
	did, err := s.Recover(s.ctx(), rec)
	s.no(err)
	if !reflect.DeepEqual(would, did) {
		s.t.Errorf("the rehearsal said %+v,\nthe recovery did %+v", would, did)
	}
	for _, b := range s.survey() {
		if len(topics) == 0 || slices.Contains(topics, b.Topic) {
			s.t.Errorf("still broken: %s: %s", b.Topic, b.Text)
		}
	}
	return did
}

// relay publishes what is not published, as the relay does, and marks it unless the topic's log has changed meanwhile.
func (s *fakeBroker) relay() []string {
	s.t.Helper()
	l := s.lease("relay/a", "hub")
	rows, err := s.Unpublished(s.ctx(), "a", 1000, 0)
	s.no(err)
	life := s.life("in.a")
	var ids []string
	var done []state.Published
	for _, row := range rows {
		p := state.Published{Seq: row.Seq}
		for i, key := range keysIn(&row) {
			if row.Again != nil && !slices.Contains(row.Again, i) {
				continue
			}
			id := fmt.Sprintf("%s.%d", row.ID, i)
			ids = append(ids, id)
			at := s.put(event.Record{Topic: "in.a", Key: []byte(key), Value: []byte(id)})
			p.Positions = append(p.Positions, state.PublishedAt{Topic: "in.a", Partition: at.Partition, Offset: at.Offset, Life: life, Index: i})
		}
		done = append(done, p)
	}
	s.no(s.MarkPublished(s.ctx(), l, done, nil))
	return ids
}

// work lets a flow finish up to n records of a partition and gives their values.
func (s *fakeBroker) work(flow, from, to string, part, n int) []string {
	s.t.Helper()
	p, err := s.OpenPartition(s.ctx(), flow, from, part, s.log(from, part))
	s.no(err)
	c := &state.Commit{Flow: flow, Topic: from, Partition: part, Epoch: p.Epoch}
	if to != "" {
		c.Life = s.life(to)
	}
	var got []string
	for o := p.Position.Next; o < int64(len(s.logs[from].parts[part])) && len(got) < n; o++ {
		rec := s.logs[from].parts[part][o]
		got = append(got, string(rec.Value))
		res := state.Result{Offset: o, Outcome: state.Delivered}
		if to != "" {
			sent := s.put(event.Record{Topic: to, Key: rec.Key, Value: rec.Value, Headers: []event.Header{{Key: "h", Value: rec.Value}}, Time: rec.Time})
			res.Sent = &sent
		}
		c.Results = append(c.Results, res)
	}
	s.no(s.Commit(s.ctx(), c))
	return got
}

// drain works both partitions to their ends.
func (s *fakeBroker) drain(flow, from, to string) []string {
	s.t.Helper()
	var got []string
	for part := range s.logs[from].parts {
		got = append(got, s.work(flow, from, to, part, 1000)...)
	}
	return got
}

// resend puts on a topic again what is lost.
func (s *fakeBroker) resend(topic string) []string {
	s.t.Helper()
	lease := s.lease("resend", "hub")
	var got []string
	for {
		batches, err := s.Lost(s.ctx(), topic, 1)
		s.no(err)
		if len(batches) == 0 {
			return got
		}
		var at []state.PublishedAt
		for _, r := range batches[0].Records {
			r := s.put(r)
			got = append(got, string(r.Value))
			at = append(at, state.PublishedAt{Topic: topic, Partition: r.Partition, Offset: r.Offset})
		}
		s.no(s.Resent(s.ctx(), lease, batches[0].ID, s.life(topic), at))
	}
}

// accept takes rows whose bodies are lists of keys.
func (s *fakeBroker) take(ids string, keys ...string) {
	s.t.Helper()
	for i, id := range strings.Fields(ids) {
		s.accept(inbound("a", id, keys[i%len(keys)]))
	}
}

func (s *fakeBroker) want(what string, got []string, want string) {
	s.t.Helper()
	if g := strings.Join(got, " "); g != want {
		s.t.Errorf("%s: %s, want %s", what, g, want)
	}
}

// counts checks the equation of every flow.
func (s *fakeBroker) counts(want map[string]string) {
	s.t.Helper()
	for flow, w := range want {
		n := s.totals(flow)
		if got := fmt.Sprintf("finished %d delivered %d discarded %d unpublished %d", n.Finished, n.Delivered, n.Discarded, n.Unpublished); got != w {
			s.t.Errorf("%s: %s, want %s", flow, got, w)
		}
	}
}

// pruned removes from the sent log what every reader has finished, and gives how many rows went.
func (s *fakeBroker) pruned(readers map[string][]string) int64 {
	s.t.Helper()
	if readers == nil {
		readers = map[string][]string{}
		for _, r := range s.readings {
			readers[r.Topic] = r.Readers
		}
	}
	n, err := s.PruneSent(s.ctx(), readers, func(context.Context) error { return nil })
	s.no(err)
	return n
}
