package logcheck

import (
	"context"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/state"
)

// Each cause, from the facts to where the reader goes on.
func TestSurvey(t *testing.T) {
	at := func(next int64, done ...event.Range) []state.Partition {
		return []state.Partition{{Flow: "f", Topic: "t", Position: event.Position{Next: next, Done: done}, Cluster: "c", TopicID: "1"}}
	}
	log := func(ends ...int64) map[string]state.TopicLog {
		return map[string]state.TopicLog{"t": {Topic: "t", Cluster: "c", TopicID: "1", Ends: ends}}
	}
	seen := func(cluster, id string, from, to int64) map[string]state.SeenLog {
		return map[string]state.SeenLog{"t": {Cluster: cluster, TopicID: id, Parts: []event.Range{{From: from, To: to}}}}
	}
	committed := func(string, string) []int64 { return []int64{6} }
	for _, c := range []struct {
		name   string
		e      Evidence
		cause  string
		whole  bool
		next   int64
		passed event.Range
	}{
		{name: "it fits", e: Evidence{Logs: log(9), Stored: at(4), Seen: seen("c", "1", 2, 9)}},
		{name: "missing", e: Evidence{Logs: log(9), Stored: at(4), Seen: map[string]state.SeenLog{}}, cause: state.BreakMissing, whole: true},
		{name: "wiped", e: Evidence{Logs: log(9), Stored: at(4), Seen: seen("d", "1", 0, 3)}, cause: state.BreakCluster, whole: true, next: 0, passed: event.Range{From: 4, To: 9}},
		{name: "made again", e: Evidence{Logs: log(9), Stored: at(4), Seen: seen("c", "2", 0, 3)}, cause: state.BreakTopic, whole: true, next: 0, passed: event.Range{From: 4, To: 9}},
		{name: "cut off behind the position", e: Evidence{Logs: log(9), Stored: at(4), Seen: seen("c", "1", 0, 6)}, cause: state.BreakEnd, whole: true, next: 4, passed: event.Range{From: 6, To: 9}},
		{name: "cut off before it", e: Evidence{Logs: log(9), Stored: at(8), Seen: seen("c", "1", 0, 6)}, cause: state.BreakEnd, whole: true, next: 6, passed: event.Range{From: 8, To: 9}},
		{name: "cut off, by what was finished alone", e: Evidence{Logs: log(), Stored: at(2, event.Range{From: 7, To: 8}), Seen: seen("c", "1", 0, 6)}, cause: state.BreakEnd, whole: true, next: 2, passed: event.Range{From: 6, To: 8}},
		{name: "removed unread, the next is finished", e: Evidence{Logs: log(9), Stored: at(1, event.Range{From: 5, To: 7}), Seen: seen("c", "1", 5, 9)}, cause: state.BreakStart, next: 7, passed: event.Range{From: 1, To: 5}},
		{name: "position lost", e: Evidence{Logs: log(9), Seen: seen("c", "1", 2, 9), Committed: committed}, cause: state.BreakPosition, next: 6},
		{name: "position lost, from the start", e: Evidence{Logs: log(9), Seen: seen("c", "1", 2, 9), Committed: committed, FromStart: true}, cause: state.BreakPosition, next: 2},
		{name: "position of another log", e: Evidence{Logs: map[string]state.TopicLog{"t": {Topic: "t", Life: 1, Cluster: "c", TopicID: "1"}}, Stored: at(4), Seen: seen("c", "1", 0, 9)}, cause: state.BreakLog, next: 0, passed: event.Range{From: 4, To: 4}},
	} {
		t.Run(c.name, func(t *testing.T) {
			breaks := Survey([]state.Reading{{Topic: "t", Readers: []string{"f"}}}, c.e)
			if c.cause == "" {
				if len(breaks) > 0 {
					t.Fatalf("%+v", breaks)
				}
				return
			}
			if len(breaks) != 1 || breaks[0].Cause != c.cause || breaks[0].Whole != c.whole || len(breaks[0].Flows) != 1 {
				t.Fatalf("%+v", breaks)
			}
			if b := breaks[0]; b.Plan == nil {
				if c.cause != state.BreakMissing {
					t.Error("no plan")
				}
			} else if m := b.Plan.Moves; len(m) != 1 || m[0].New.Next != c.next || m[0].Passed != c.passed || b.Plan.NewLife != c.whole {
				t.Errorf("%+v", b.Plan)
			}
		})
	}
}

func TestPlanFor(t *testing.T) {
	breaks := []state.Break{
		{Topic: "canonical.order", Flows: []state.BrokenFlow{{Flow: "to-erp"}}, Plan: &state.RecoverTopic{Topic: "canonical.order", Ends: []int64{1, 1}}},
		{Topic: "in.orders", Cause: state.BreakMissing, Flows: []state.BrokenFlow{{Flow: "orders"}}},
	}
	assign := func(string, int) int { return 0 }
	for _, c := range []struct {
		name, topics string
		flows        []string
		missing      bool
	}{
		{"all", "canonical.order in.orders", nil, true},
		{"a reader", "canonical.order", []string{"to-erp"}, false},
		{"a writer, and what it reads", "canonical.order in.orders", []string{"orders"}, true},
		{"nobody concerned", "", []string{"to-wms"}, false},
	} {
		p := planFor(breaks, shop, c.flows, nil, assign)
		var got []string
		for _, b := range p.Breaks {
			got = append(got, b.Topic)
		}
		if strings.Join(got, " ") != c.topics || p.Missing != c.missing {
			t.Errorf("%s: %v, missing %v", c.name, got, p.Missing)
		}
	}
	for had, moves := range map[int]bool{0: false, 2: false, 4: true} {
		breaks[0].Plan.AssignPartition = nil
		p := planFor(breaks, shop, nil, map[string]int{"canonical.order": had}, assign)
		if got := p.Recovery.Topics[0].AssignPartition != nil; got != moves {
			t.Errorf("%d partitions before: stored queues move: %v", had, got)
		}
	}
}

// The digest is of where flows go on; the end of an inbox's topic rises while a person looks at the plan.
func TestDigest(t *testing.T) {
	digest := func(inbox string, next int64) string {
		return (&Plan{Recovery: state.Recovery{Topics: []state.RecoverTopic{{Topic: "t", Inbox: inbox, Moves: []state.Move{{Flow: "f", New: event.Position{Next: next}}}}}}}).Digest()
	}
	if digest("", 1) == digest("", 2) || digest("f", 1) != digest("f", 2) || (&Plan{}).Digest() != "" {
		t.Error(digest("", 1), digest("", 2), digest("f", 1), digest("f", 2))
	}
}

// opening is a store in which a flow opens its partition, and a broker to which its group commits, while the logs are looked at.
type opening struct {
	Store
	Broker
	asked bool
}

func (o *opening) Logs(context.Context) (map[string]state.TopicLog, error) {
	return map[string]state.TopicLog{}, nil
}
func (o *opening) NoteLogs(context.Context, []state.TopicLog) error { return nil }
func (o *opening) Look(context.Context, ...string) (map[string]state.SeenLog, error) {
	return map[string]state.SeenLog{"t": {Parts: []event.Range{{To: 5}, {To: 5}}}}, nil
}

func (o *opening) Committed(context.Context, string, string, int) ([]int64, error) {
	o.asked = true
	return []int64{3, 3}, nil
}

func (o *opening) Partitions(context.Context, string) ([]state.Partition, error) {
	if !o.asked {
		return nil, nil
	}
	return []state.Partition{{Flow: "f", Topic: "t", Position: event.Position{Next: 3}}}, nil
}

// A position that is stored while the logs are looked at is no lost one: the group commits only behind it.
func TestPositionsOpenedMeanwhile(t *testing.T) {
	o := &opening{}
	flows := []Flow{{Name: "f", Reads: "t"}}
	e, err := New(Options{Store: o, Broker: o}).gather(t.Context(), flows)
	if err != nil {
		t.Fatal(err)
	}
	breaks := Survey(readings(flows), *e)
	if len(breaks) != 1 || len(breaks[0].Plan.Moves) != 1 || breaks[0].Plan.Moves[0].Partition != 1 {
		t.Errorf("only partition 1 has lost its position: %+v", breaks)
	}
}
