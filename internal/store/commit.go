package store

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/failpoint"
	"github.com/waybill-hub/waybill/internal/state"
)

// commitment is one call of Commit, with all texts made in the caller's goroutine.
type commitment struct {
	c       *state.Commit
	appends []*appending // per result; nil where nothing is appended
	drained []int64
	again   map[int]*arrival          // the inbox rows of results that hand their message back, by result
	sent    *sentRow                  // what the results have put on a topic; nil for nothing
	docs    map[*state.Journal][]byte // the documents of journal rows, as they are stored
}

// Commit stores what became of a lane batch: finished offsets, totals, queue, cross-references, versions, intents, journal and what goes
// back to the inbox move together or not at all. Under an old epoch it is refused with state.ErrFenced. An offset that is finished already, or a queue row that is
// gone, was settled before: that Result is ignored as a whole.
func (s *Store) Commit(ctx context.Context, c *state.Commit) error {
	w := &commitment{c: c}
	m := &member{op: "commit", kind: aCommit, commit: w, rows: 1}
	var sent []*event.Record
	for i := range c.Results {
		r := &c.Results[i]
		if err := w.check(i, r); err != nil {
			return err
		}
		if r.Queue != nil || r.Ref != nil || r.Journal != nil {
			m.rows += 2
		}
		if r.Queue != nil {
			m.bytes += len(r.Queue.Event.Data)
		}
		if r.Resubmit != nil {
			m.rows++
			m.bytes += len(r.Resubmit.Body)
		}
		if r.Sent != nil {
			sent = append(sent, r.Sent)
		}
		s.keepFor(w, r.Journal)
	}
	var err error
	if w.sent, err = newSentRow(c.Flow, c.Life, sent); err != nil {
		return err
	}
	m.rows += len(w.docs)
	for _, body := range w.docs {
		m.bytes += len(body)
	}
	if w.sent != nil {
		m.rows += 2
		m.bytes += len(w.sent.records)
	}
	return s.submit(ctx, m)
}

// keepFor compresses a journal row's documents, in the caller's goroutine.
func (s *Store) keepFor(w *commitment, j *state.Journal) {
	if j == nil || j.Documents == nil {
		return
	}
	if bodies, _ := s.encodeDocs([]*state.Journal{j}); bodies != nil {
		if w.docs == nil {
			w.docs = map[*state.Journal][]byte{}
		}
		w.docs[j] = bodies[0]
	}
}

func rests(o state.Outcome) bool { return o == state.Parked || o == state.Waiting || o == state.Held }

// check refuses what could never be stored, before it can trouble the members of other callers.
func (w *commitment) check(i int, r *state.Result) error {
	if r.Resubmit != nil {
		return w.checkAgain(i, r)
	}
	switch r.Outcome {
	case state.Delivered, state.Skipped, state.Discarded, state.Parked, state.Waiting, state.Held:
	default:
		return fmt.Errorf("store: commit: result %d has no outcome (%q)", i, r.Outcome)
	}
	if r.Drained != 0 {
		w.drained = append(w.drained, r.Drained)
		return nil
	}
	if !rests(r.Outcome) {
		return nil
	}
	if r.Queue == nil {
		return fmt.Errorf("store: commit: result %d is %s but has nothing to queue", i, r.Outcome)
	}
	q := *r.Queue
	q.Flow, q.Topic, q.Partition, q.State = w.c.Flow, w.c.Topic, w.c.Partition, r.Outcome
	a, err := newAppending(&q)
	if err != nil {
		return err
	}
	if w.appends == nil {
		w.appends = make([]*appending, len(w.c.Results))
	}
	w.appends[i] = a
	return nil
}

// checkAgain is check for a result that hands a drained message back to the inbox.
func (w *commitment) checkAgain(i int, r *state.Result) error {
	if r.Drained == 0 || r.Outcome != "" {
		return fmt.Errorf("store: commit: result %d hands back to the inbox what is no stored message, or has a fate (%q)", i, r.Outcome)
	}
	a, err := newArrival(*r.Resubmit)
	if err != nil {
		return fmt.Errorf("store: commit: result %d: %w", i, err)
	}
	if w.again == nil {
		w.again = map[int]*arrival{}
	}
	w.again[i] = a
	w.drained = append(w.drained, r.Drained)
	return nil
}

type partKey struct {
	flow, topic string
	part        int
}

func comparePartKeys(a, b partKey) int {
	return cmp.Or(cmp.Compare(a.flow, b.flow), cmp.Compare(a.topic, b.topic), cmp.Compare(a.part, b.part))
}

// changes is all that a merged transaction of commits is going to write. Statements run per table, in one order of tables for
// every hub, so that hubs seldom lock each other out.
type changes struct {
	refs    refChanges
	applied map[appliedKey]*state.Applied
	closes  map[intentKey]bool
	leaves  map[intentKey]bool
	queue   queueChanges
	journal []*state.Journal
	docs    [][]byte // their documents, row by row
	totals  totals
	sent    []*sentRow
	inbox   []*arrival
}

func (t *tx) commit(members []*member) error {
	parts, err := t.partitions(members)
	if err != nil {
		return err
	}
	var drained []any
	live := members[:0:0]
	for _, m := range members {
		c := m.commit.c
		p := parts[partKey{c.Flow, c.Topic, c.Partition}]
		if p == nil || p.Epoch != c.Epoch {
			m.err = refuse(state.ErrFenced, "flow %s, %s/%d", c.Flow, c.Topic, c.Partition)
			continue
		}
		live = append(live, m)
		for _, id := range m.commit.drained {
			drained = append(drained, id)
		}
	}
	ch := &changes{applied: map[appliedKey]*state.Applied{}, closes: map[intentKey]bool{}, leaves: map[intentKey]bool{}, totals: totals{}}
	if ch.queue.rows, err = t.queueRows(drained); err != nil {
		return err
	}
	for _, m := range live {
		c := m.commit.c
		ch.collect(m.commit, parts[partKey{c.Flow, c.Topic, c.Partition}], t.now)
	}
	if err := t.save(ch); err != nil {
		return err
	}
	var dirty []*stored
	for _, k := range sortedKeys(parts, comparePartKeys) {
		if parts[k].dirty {
			dirty = append(dirty, parts[k])
		}
	}
	return t.savePartitions(dirty)
}

// partitions reads, and on PostgreSQL locks, the positions of all members.
func (t *tx) partitions(members []*member) (map[partKey]*stored, error) {
	keys := make([]partKey, 0, len(members))
	for _, m := range members {
		keys = append(keys, partKey{m.commit.c.Flow, m.commit.c.Topic, m.commit.c.Partition})
	}
	slices.SortFunc(keys, comparePartKeys)
	keys = slices.Compact(keys)
	args := make([]any, 0, 3*len(keys))
	for _, k := range keys {
		args = append(args, k.flow, k.topic, k.part)
	}
	out := make(map[partKey]*stored, len(keys))
	l := looking{cols: partitionCols, table: "partitions", key: []string{"flow", "topic", "part"}, keys: args, lock: true}
	err := t.look(l, func(r *sql.Rows) error {
		p, err := scanPartition(r)
		if err == nil {
			out[partKey{p.Flow, p.Topic, p.Partition.Partition}] = p
		}
		return err
	})
	return out, err
}

// collect turns results into changes, and leaves out what was settled before.
func (ch *changes) collect(w *commitment, p *stored, now int64) {
	c := w.c
	total := func(outcome, reason string, n int64) {
		ch.totals.add(totalKey{c.Flow, c.Topic, c.Partition, outcome, reason}, n, now)
	}
	sent := false
	for i := range c.Results {
		r := &c.Results[i]
		if r.Drained != 0 {
			if !ch.queue.drain(r, c) {
				continue
			}
			if a := w.again[i]; a != nil { // it counts where it is read anew
				p.finished--
				p.dirty = true
				ch.inbox = append(ch.inbox, a)
				continue
			}
		} else {
			if !finish(&p.Position, r.Offset) {
				continue
			}
			p.finished++
			p.dirty = true
			if w.appends != nil && w.appends[i] != nil {
				ch.queue.appends = append(ch.queue.appends, w.appends[i])
			}
		}
		if !rests(r.Outcome) {
			reason := ""
			if r.Outcome == state.Skipped {
				reason = r.Reason
			}
			total(string(r.Outcome), reason, 1)
		}
		sent = sent || r.Sent != nil
		if r.Retried > 0 {
			total(outcomeRetried, "", int64(r.Retried))
		}
		ch.refs.add(r)
		if r.Applied != nil {
			ch.applied[appliedKey{r.Applied.Entity, r.Applied.Hub, r.Applied.System, r.Applied.Origin}] = r.Applied
		}
		for j := range r.Close {
			ch.closes[intentKeyOf(&r.Close[j])] = true
		}
		for j := range r.Leave {
			ch.leaves[intentKeyOf(&r.Leave[j])] = true
		}
		if r.Journal != nil {
			ch.journal = append(ch.journal, r.Journal)
			ch.docs = append(ch.docs, w.docs[r.Journal])
		}
	}
	// Where some results were settled before, their records are on the topic twice, and kept twice.
	if sent {
		ch.sent = append(ch.sent, w.sent)
	}
	for _, g := range c.Gaps {
		pass(&p.Position, g)
		p.dirty = true
	}
}

// save writes the changes. The order matters: a reference is there before a waiter is asked whether it still has to wait.
func (t *tx) save(ch *changes) error {
	if err := t.lock(ch.locks()); err != nil {
		return err
	}
	if err := t.saveRefs(&ch.refs); err != nil {
		return err
	}
	if err := t.saveApplied(ch.applied); err != nil {
		return err
	}
	created, err := t.closeIntents(ch.closes)
	if err != nil {
		return err
	}
	ended := map[pair]bool{}
	for p := range created {
		ended[p] = false
	}
	if err := t.lock(pairLocks(ofCreates, ended)); err != nil {
		return err
	}
	if err := t.leaveClaims(ch.leaves); err != nil {
		return err
	}
	if err := t.saveQueue(&ch.queue); err != nil {
		return err
	}
	if err := t.markReady(ch.refs.rows(), created); err != nil {
		return err
	}
	if len(ch.refs.byKey) > 0 {
		failpoint.Hit(failpoint.WaitersMarked)
	}
	if err := t.saveJournal(ch.journal, ch.docs); err != nil {
		return err
	}
	if err := t.saveTotals(ch.totals); err != nil {
		return err
	}
	if err := t.saveSent(ch.sent); err != nil {
		return err
	}
	return t.arrive(ch.inbox)
}

func sortedKeys[K comparable, V any](m map[K]V, compare func(a, b K) int) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, compare)
	return keys
}
