package storetest

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/state"
)

// recoveryModel is a hub in little on a broker that takes logs away at any moment: a relay, a chain of flows with guards as the engine has them,
// and a person who recovers.
type recoveryModel struct {
	*fakeBroker
	strict         bool // whoever must wait is told at once, and nothing is removed by retention: then nothing is ever out of order
	in, canon, out string
	a, b, m, c     string
	accepted       []string
	decided        map[string]map[string]state.Outcome // by flow and event
	newest         map[string]map[string]int           // by flow and key: the version guard
	held           map[string]bool
	stale          int
}

var recoveryModels atomic.Int64

func testRecoveryModel(t *testing.T, b *bench) {
	if f := flag.Lookup("rapid.checks"); b.shared && f.Value.String() == f.DefValue { // a database at the other end of a connection
		b.no(f.Value.Set("10"))
		defer func() { b.no(f.Value.Set(f.DefValue)) }()
	}
	for _, strict := range []bool{true, false} {
		t.Run(fmt.Sprintf("strict=%t", strict), func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) { runRecoveryModel(rt, b, strict) })
		})
	}
}

func runRecoveryModel(rt *rapid.T, b *bench, strict bool) {
	n := strconv.FormatInt(recoveryModels.Add(1), 10)
	v := &recoveryModel{fakeBroker: &fakeBroker{bench: b, logs: map[string]*fakeLog{}}, strict: strict, in: "in.v" + n, canon: "canon" + n, out: "out" + n,
		a: "v" + n, b: "b" + n, m: "m" + n, c: "c" + n, decided: map[string]map[string]state.Outcome{}, newest: map[string]map[string]int{}, held: map[string]bool{}}
	v.readings = []state.Reading{{Topic: v.in, Inbox: v.a, Readers: []string{v.a}}, {Topic: v.canon, Writers: []string{v.a}, Readers: []string{v.b, v.m}},
		{Topic: v.out, Writers: []string{v.m}, Readers: []string{v.c}}}
	for _, f := range []string{v.a, v.b, v.m, v.c} {
		v.decided[f], v.newest[f] = map[string]state.Outcome{}, map[string]int{}
	}
	for _, r := range v.readings {
		v.make(r.Topic, "cluster-0", 2)
	}
	v.note()
	v.assign()
	topic := rapid.SampledFrom([]string{v.in, v.canon, v.out})
	loss := func(f func(*rapid.T)) func(*rapid.T) {
		return func(rt *rapid.T) {
			v.note()
			f(rt)
			if v.strict {
				v.look()
			}
		}
	}
	acts := map[string]func(*rapid.T){
		"accept": func(rt *rapid.T) { v.acceptSome(rt) },
		"relay":  func(rt *rapid.T) { v.relaySome(rt) },
		"a":      func(rt *rapid.T) { v.step(rt, v.a, v.in, v.canon) },
		"b":      func(rt *rapid.T) { v.step(rt, v.b, v.canon, "") },
		"m":      func(rt *rapid.T) { v.step(rt, v.m, v.canon, v.out) },
		"c":      func(rt *rapid.T) { v.step(rt, v.c, v.out, "") },
		"prune":  func(*rapid.T) { v.prune() },
		"note":   func(*rapid.T) { v.note() },
		"look":   func(*rapid.T) { v.look() },
		"resend": func(rt *rapid.T) { v.resendSome(rt, topic.Draw(rt, "topic")) },
		"recover": func(rt *rapid.T) {
			if rapid.Bool().Draw(rt, "all") {
				v.recoverAll()
			} else {
				v.recoverAll(topic.Draw(rt, "topic"))
			}
		},
		"wipe": loss(func(*rapid.T) {
			cluster := fmt.Sprint("cluster-", v.made)
			for topic := range v.logs {
				v.make(topic, cluster, 2)
			}
		}),
		"topic made again": loss(func(rt *rapid.T) {
			topic := topic.Draw(rt, "topic")
			v.make(topic, v.logs[topic].cluster, rapid.IntRange(1, 3).Draw(rt, "partitions"))
		}),
		"cut off": loss(func(rt *rapid.T) {
			l := v.logs[topic.Draw(rt, "topic")]
			part := rapid.IntRange(0, len(l.parts)-1).Draw(rt, "part")
			keep := rapid.IntRange(int(l.first[part]), len(l.parts[part])).Draw(rt, "keep")
			l.parts[part] = slices.Clone(l.parts[part][:keep])
			v.look() // what is written to the same offsets before anybody has looked hides the loss for good
		}),
		"retention": func(rt *rapid.T) {
			if l := v.logs[topic.Draw(rt, "topic")]; !v.strict {
				part := rapid.IntRange(0, len(l.parts)-1).Draw(rt, "part")
				l.first[part] = int64(rapid.IntRange(int(l.first[part]), len(l.parts[part])).Draw(rt, "first"))
			}
		},
	}
	rt.Repeat(acts)
	v.arrive(rt)
}

// assign gives every flow the partitions of its topic.
func (v *recoveryModel) assign() {
	v.t.Helper()
	for _, r := range v.readings {
		for _, flow := range r.Readers {
			for part := range v.logs[r.Topic].parts {
				if _, err := v.OpenPartition(v.ctx(), flow, r.Topic, part, v.log(r.Topic, part)); err != nil && !errors.Is(err, state.ErrBroker) {
					v.t.Fatal(err)
				}
			}
		}
	}
}

func (v *recoveryModel) acceptSome(rt *rapid.T) {
	id := strconv.Itoa(len(v.accepted) + 1)
	var keys []string
	for i := range rapid.IntRange(1, 3).Draw(rt, "events") {
		keys = append(keys, fmt.Sprint("k", rapid.IntRange(0, 3).Draw(rt, "key")))
		v.accepted = append(v.accepted, fmt.Sprintf("%s.%d", id, i))
	}
	if rapid.Bool().Draw(rt, "bundle") {
		v.accept(bundle(v.a, id, keys...))
		return
	}
	v.accept(inbound(v.a, id, strings.Join(keys, " ")))
}

// keysIn are the keys of a row's events: of a list, or of a bundle.
func keysIn(row *state.Inbound) (keys []string) {
	if row.Bundle == nil {
		return strings.Fields(string(row.Body))
	}
	for i := range row.Bundle {
		keys = append(keys, string(row.Bundle[i].Body))
	}
	return keys
}

// look is the hub's watch: it finds out whose writers have to wait.
func (v *recoveryModel) look() {
	v.t.Helper()
	clear(v.held)
	for _, b := range v.survey() {
		v.held[b.Topic] = b.Whole
	}
	left, err := v.Resending(v.ctx())
	v.no(err)
	for topic := range left {
		v.held[topic] = true
	}
}

// same is what the relay and the pruning ask the broker.
func (v *recoveryModel) same(topic string) bool {
	l, known := v.logs[topic], v.known()[topic]
	return l.cluster == known.Cluster && l.id == known.TopicID
}

func (v *recoveryModel) relaySome(rt *rapid.T) {
	crash := rapid.IntRange(0, 4).Draw(rt, "crash") == 0
	if v.held[v.in] {
		return
	}
	l := v.lease("relay/"+v.a, "hub")
	rows, err := v.Unpublished(v.ctx(), v.a, rapid.IntRange(1, 5).Draw(rt, "rows"), 0)
	v.no(err)
	life := v.life(v.in)
	var done []state.Published
	for _, row := range rows {
		p := state.Published{Seq: row.Seq, Bundle: row.Bundle != nil}
		for i, key := range keysIn(&row) {
			if row.Again != nil && !slices.Contains(row.Again, i) {
				continue
			}
			at := v.put(event.Record{Topic: v.in, Key: []byte(key), Value: fmt.Appendf(nil, "%s.%d", row.ID, i)})
			p.Positions = append(p.Positions, state.PublishedAt{Topic: v.in, Partition: at.Partition, Offset: at.Offset, Life: life, Index: i})
		}
		done = append(done, p)
	}
	if !crash && v.same(v.in) {
		v.no(v.MarkPublished(v.ctx(), l, done, nil))
	}
}

// step lets a flow decide some records of one partition, in lanes, and store it, or not.
func (v *recoveryModel) step(rt *rapid.T, flow, from, to string) {
	part := rapid.IntRange(0, len(v.logs[from].parts)-1).Draw(rt, "part")
	most := rapid.IntRange(1, 6).Draw(rt, "records")
	idle := fmt.Sprint("k", rapid.IntRange(0, 5).Draw(rt, "idle")) // a key whose lane does nothing this time
	crash := rapid.IntRange(0, 4).Draw(rt, "crash") == 0
	if v.held[from] && v.strict || v.held[to] {
		return
	}
	v.workSome(flow, from, to, part, most, idle, crash)
}

// workSome reports whether anything was stored.
func (v *recoveryModel) workSome(flow, from, to string, part, most int, idle string, crash bool) bool {
	v.t.Helper()
	p, err := v.OpenPartition(v.ctx(), flow, from, part, v.log(from, part))
	if errors.Is(err, state.ErrBroker) {
		return false
	}
	v.no(err)
	c := &state.Commit{Flow: flow, Topic: from, Partition: part, Epoch: p.Epoch}
	if to != "" {
		c.Life = v.life(to)
	}
	decided, newest := map[string]state.Outcome{}, map[string]int{}
	for o := p.Position.Next; o < int64(len(v.logs[from].parts[part])) && len(c.Results) < most; o++ {
		if slices.ContainsFunc(p.Position.Done, func(r event.Range) bool { return r.From <= o && o < r.To }) {
			continue
		}
		rec := v.logs[from].parts[part][o]
		id, key := string(rec.Value), string(rec.Key)
		if key == idle {
			continue
		}
		res := state.Result{Offset: o, Outcome: state.Delivered}
		version := slices.Index(v.accepted, id)
		_, known := v.decided[flow][id]
		switch {
		case known || decided[id] != "":
			res.Outcome, res.Reason = state.Skipped, state.Duplicate
		case version < max(v.newest[flow][key], newest[key]):
			res.Outcome, res.Reason = state.Skipped, state.Stale
			decided[id] = state.Skipped
		default:
			decided[id], newest[key] = state.Delivered, version
			if to != "" {
				sent := v.put(event.Record{Topic: to, Key: rec.Key, Value: rec.Value})
				res.Sent = &sent
			}
		}
		c.Results = append(c.Results, res)
	}
	if crash || len(c.Results) == 0 {
		return false
	}
	v.no(v.Commit(v.ctx(), c))
	for _, r := range c.Results {
		if r.Reason == state.Stale {
			v.stale++
		}
	}
	for id, out := range decided {
		v.decided[flow][id] = out
	}
	for key, version := range newest {
		v.newest[flow][key] = max(v.newest[flow][key], version)
	}
	return true
}

func (v *recoveryModel) resendSome(rt *rapid.T, topic string) {
	crash := rapid.IntRange(0, 4).Draw(rt, "crash") == 0
	for _, b := range v.survey() {
		if b.Topic == topic && b.Whole {
			return
		}
	}
	lease := v.lease("resend", "hub")
	batches, err := v.Lost(v.ctx(), topic, 1)
	v.no(err)
	for _, l := range batches {
		life := v.life(topic)
		var at []state.PublishedAt
		for _, r := range l.Records {
			r = v.put(r)
			at = append(at, state.PublishedAt{Topic: topic, Partition: r.Partition, Offset: r.Offset})
		}
		if !crash {
			v.no(v.Resent(v.ctx(), lease, l.ID, life, at))
		}
	}
	if v.strict {
		v.look()
	}
}

func (v *recoveryModel) recoverAll(topics ...string) {
	v.t.Helper()
	if rec := v.recovery(false, topics...); len(rec.Topics) > 0 {
		v.recover(false, topics...)
	}
	v.assign()
	v.look()
}

func (v *recoveryModel) prune() {
	v.t.Helper()
	readers := map[string][]string{}
	for _, r := range v.readings {
		readers[r.Topic] = r.Readers
	}
	for i := 1; i < int(recoveryModels.Load()); i++ { // the sent logs of other models are not ours
		readers["canon"+strconv.Itoa(i)], readers["out"+strconv.Itoa(i)] = []string{"nobody"}, []string{"nobody"}
	}
	another := errors.New("another log")
	_, err := v.PruneSent(v.ctx(), readers, func(context.Context) error {
		for _, b := range v.survey() {
			if b.Whole {
				return another
			}
		}
		return nil
	})
	if err != nil && !errors.Is(err, another) {
		v.t.Fatal(err)
	}
	_, err = v.Prune(v.ctx(), v.clock.Now())
	v.no(err)
}

// arrive lets everything come to its end and looks at what has become of every event.
func (v *recoveryModel) arrive(rt *rapid.T) {
	v.recoverAll()
	for moved := true; moved; {
		moved = false
		for topic := range v.logs {
			moved = len(v.resend(topic)) > 0 || moved
		}
		v.look()
		left := 0
		for {
			rows, err := v.Unpublished(v.ctx(), v.a, 1000, 0)
			v.no(err)
			if left = len(rows); left == 0 {
				break
			}
			v.relayAll(rows)
		}
		for _, f := range [][3]string{{v.a, v.in, v.canon}, {v.b, v.canon, ""}, {v.m, v.canon, v.out}, {v.c, v.out, ""}} {
			for part := range v.logs[f[1]].parts {
				moved = v.workSome(f[0], f[1], f[2], part, 1000, "", false) || moved
			}
		}
	}
	for _, id := range v.accepted {
		for _, hop := range [][2]string{{"", v.a}, {v.a, v.b}, {v.a, v.m}, {v.m, v.c}} {
			before, now := v.decided[hop[0]][id], v.decided[hop[1]][id]
			if hop[0] != "" && before != state.Delivered {
				continue
			}
			if now == "" {
				rt.Errorf("event %s has no fate in %s", id, hop[1])
			}
		}
	}
	for key, version := range v.newest[v.a] {
		for _, flow := range []string{v.b, v.c} {
			if v.newest[flow][key] != version {
				rt.Errorf("%s ends with version %d of %s, want %d", flow, v.newest[flow][key], key, version)
			}
		}
	}
	if v.strict && v.stale > 0 {
		rt.Errorf("%d events came out of order", v.stale)
	}
	for _, flow := range []string{v.a, v.b, v.m, v.c} {
		if n := v.totals(flow); n.Unpublished != 0 || n.Discarded != 0 {
			rt.Errorf("totals of %s: %+v", flow, n)
		}
	}
	// In the end nothing is kept for anybody.
	v.prune()
	if tops, err := v.Tops(v.ctx()); err != nil || len(tops[v.in])+len(tops[v.canon])+len(tops[v.out]) > 0 {
		rt.Errorf("still kept: %v, %v", tops, err)
	}
}

func (v *recoveryModel) relayAll(rows []state.Inbound) {
	v.t.Helper()
	var done []state.Published
	for _, row := range rows {
		p := state.Published{Seq: row.Seq, Bundle: row.Bundle != nil}
		for i, key := range keysIn(&row) {
			if row.Again == nil || slices.Contains(row.Again, i) {
				at := v.put(event.Record{Topic: v.in, Key: []byte(key), Value: fmt.Appendf(nil, "%s.%d", row.ID, i)})
				p.Positions = append(p.Positions, state.PublishedAt{Topic: v.in, Partition: at.Partition, Offset: at.Offset, Life: v.life(v.in), Index: i})
			}
		}
		done = append(done, p)
	}
	v.no(v.MarkPublished(v.ctx(), v.lease("relay/"+v.a, "hub"), done, nil))
}
