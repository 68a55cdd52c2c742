package store

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/state"
)

// PreviewRecovery tells what Recover would do, and changes nothing.
func (s *Store) PreviewRecovery(ctx context.Context, rec *state.Recovery) (*state.Recovered, error) {
	out := &state.Recovered{}
	err := s.snapshot(ctx, func(db queryer) error {
		for i := range rec.Topics {
			r := &rescue{topic: &rec.Topics[i], each: func(scan func(*sql.Rows) error, q string, args ...any) error {
				return eachOf(ctx, db, s.d, scan, q, args...)
			}}
			if err := r.look(); err != nil {
				return err
			}
			out.Topics = append(out.Topics, r.report())
		}
		return nil
	})
	if err != nil {
		return nil, s.wrap("rehearse a recovery", err)
	}
	return out, nil
}

// Recover moves positions to where their flows go on, sends what has no fate and is not on its topic any more back to where the hub
// puts it there again from (inbox rows are unpublished again, outbox rows lost), and gives up by name what nobody can bring back; all
// of it together or nothing. Owners of the partitions are fenced. state.ErrLoss: something would be given up, and rec does not say
// so. state.ErrMoved: the recovery was planned on positions that have moved since.
func (s *Store) Recover(ctx context.Context, rec *state.Recovery) (*state.Recovered, error) {
	return ask(ctx, s, "recover", func(t *tx) (*state.Recovered, error) {
		out := &state.Recovered{}
		rescues := make([]*rescue, len(rec.Topics))
		// Positions are locked before logs, as commits do it.
		for i := range rec.Topics {
			rescues[i] = &rescue{topic: &rec.Topics[i], each: t.each, lock: t.d.forUpdate()}
			if err := rescues[i].positions(); err != nil {
				return nil, err
			}
		}
		topics := make([]string, len(rec.Topics))
		for i := range rec.Topics {
			topics[i] = rec.Topics[i].Topic
		}
		if err := t.lock(logLocks(topics, true)); err != nil {
			return nil, err
		}
		lost := int64(0)
		for _, r := range rescues {
			if err := r.look(); err != nil {
				return nil, err
			}
			if err := r.unmoved(); err != nil {
				return nil, err
			}
			rep := r.report()
			out.Topics = append(out.Topics, rep)
			for _, f := range rep.Flows {
				for _, p := range f.Parts {
					lost += p.Lost
				}
			}
		}
		if lost > 0 && !rec.Discard {
			return nil, refuse(state.ErrLoss, "%d records that no flow of this hub has written are gone from the broker unread, and nothing but their producers can bring them back", lost)
		}
		for i, r := range rescues {
			if err := t.rescue(r, rec, &out.Topics[i]); err != nil {
				return nil, err
			}
		}
		return out, nil
	})
}

// flowPart is a reader's partition.
type flowPart struct {
	flow string
	part int
}

// tally is what a rescue finds for a reader's partition.
type tally struct {
	again int64 // records without a fate that the reader gets again
	ours  int64 // records in the passed range that the hub knows and that the reader has not finished
}

// rescue finds out what of a topic has no fate with some reader and will not be read where that one goes on.
type rescue struct {
	topic *state.RecoverTopic
	each  func(scan func(*sql.Rows) error, q string, args ...any) error
	lock  string

	log    state.TopicLog
	stored map[flowPart]*stored
	moves  map[flowPart]*state.Move
	found  map[flowPart]*tally
	// ends are behind the last record that the hub knows of, by partition.
	ends map[int]int64

	rows    []any           // inbox rows whose one event is published again
	partly  map[int64][]int // lists, and the numbers of their events that are
	events  int64
	boxes   []boxChange
	records int64
	readers []string
}

// boxChange is what an outbox row becomes.
type boxChange struct {
	id, lost int64
	places   []byte
}

// positions reads the stored positions on the topic.
func (r *rescue) positions() error {
	r.stored = map[flowPart]*stored{}
	return r.each(func(rows *sql.Rows) error {
		p, err := scanPartition(rows)
		if err == nil {
			r.stored[flowPart{p.Flow, p.Partition.Partition}] = p
		}
		return err
	}, "SELECT "+partitionCols+" FROM partitions WHERE topic = ? ORDER BY flow, part"+r.lock, r.topic.Topic)
}

// look finds everything out.
func (r *rescue) look() error {
	if r.stored == nil {
		if err := r.positions(); err != nil {
			return err
		}
	}
	r.log = state.TopicLog{Topic: r.topic.Topic}
	err := r.each(func(rows *sql.Rows) (err error) { r.log, err = scanLog(rows); return err }, "SELECT "+logCols+" FROM logs WHERE topic = ?", r.topic.Topic)
	if err != nil {
		return err
	}
	r.moves, r.found, r.ends, r.partly = map[flowPart]*state.Move{}, map[flowPart]*tally{}, map[int]int64{}, map[int64][]int{}
	for i := range r.topic.Moves {
		m := &r.topic.Moves[i]
		r.moves[flowPart{m.Flow, m.Partition}] = m
		r.found[flowPart{m.Flow, m.Partition}] = &tally{}
	}
	r.readers = slices.Sorted(slices.Values(r.topic.Readers))
	if r.topic.Inbox != "" {
		if err := r.inbox(); err != nil {
			return err
		}
	}
	return r.outbox()
}

// inbox looks at the published rows of the flow whose inbox leads to the topic.
func (r *rescue) inbox() error {
	return r.each(func(rows *sql.Rows) error {
		var seq int64
		var text string
		if err := rows.Scan(&seq, &text); err != nil {
			return err
		}
		at, err := decodePlaces(text)
		if err != nil {
			return err
		}
		var again []int
		for _, a := range at {
			if a.Topic != r.topic.Topic {
				continue
			}
			if gone, _ := r.gone(a.Partition, a.Life, a.Offset); gone {
				again = append(again, a.Index)
			}
		}
		r.events += int64(len(again))
		switch {
		case len(again) == 0:
		case len(again) == 1 && again[0] == 0:
			r.rows = append(r.rows, seq)
		default:
			r.partly[seq] = again
		}
		return nil
	}, "SELECT seq, places FROM inbox WHERE flow = ? AND places IS NOT NULL ORDER BY seq", r.topic.Inbox)
}

// outbox looks at what the hub has put on the topic.
func (r *rescue) outbox() error {
	var spots []spot
	return r.each(func(rows *sql.Rows) error {
		var id, life, lost int64
		var places []byte
		if err := rows.Scan(&id, &life, &lost, &places); err != nil {
			return err
		}
		var err error
		if spots, err = decodeSpots(places, spots); err != nil {
			return err
		}
		n, kept := int64(0), false
		for i := range spots {
			s := &spots[i]
			if !s.lost && s.offset >= 0 {
				gone, open := r.gone(s.part, life, s.offset)
				switch {
				case gone:
					s.lost = true
					r.records++
				case open:
					kept = true
				default:
					s.offset = over
				}
			}
			n += b2i(s.lost)
		}
		// A row that has something left in the log goes over into its next life.
		if n != lost || kept && r.topic.NewLife {
			r.boxes = append(r.boxes, boxChange{id, n, encodeSpots(spots)})
		}
		return nil
	}, "SELECT id, life, lost, places FROM outbox WHERE topic = ? ORDER BY id", r.topic.Topic)
}

// gone reports whether a record has no fate with some reader and will not be there where that one goes on; it counts what it finds.
// open: it has no fate with some reader.
func (r *rescue) gone(part int, life, offset int64) (gone, open bool) {
	if life == r.log.Life {
		r.ends[part] = max(r.ends[part], offset+1)
	}
	there := r.topic.Same && part < len(r.topic.Ends) && offset < r.topic.Ends[part] && life == r.log.Life
	for _, flow := range r.readers {
		k := flowPart{flow, part}
		p := r.stored[k]
		if p != nil && settledAt(&p.Partition, life, offset) {
			continue
		}
		open = true
		m, f := r.moves[k], r.found[k]
		if m != nil && offset >= m.Passed.From && (offset < m.Passed.To || !r.topic.Same) && life == r.log.Life {
			f.ours++
		}
		if !there || m != nil && finished(&m.New, offset) {
			gone = true
			if f == nil {
				f = &tally{}
				r.found[k] = f
			}
			f.again++
		}
	}
	return gone, open
}

// unmoved refuses a recovery that was planned on other positions.
func (r *rescue) unmoved() error {
	for k, m := range r.moves {
		p := r.stored[k]
		known := p != nil && !p.Gone
		if known != m.Known || known && (p.Position.Next != m.Old.Next || len(p.Position.Done)+len(m.Old.Done) > 0 && !reflect.DeepEqual(p.Position.Done, m.Old.Done)) {
			return refuse(state.ErrMoved, "flow %s, %s/%d", m.Flow, r.topic.Topic, m.Partition)
		}
	}
	return nil
}

// report puts what was found in order.
func (r *rescue) report() state.RecoveredTopic {
	out := state.RecoveredTopic{Topic: r.topic.Topic, Rows: int64(len(r.rows) + len(r.partly)), Events: r.events, Records: r.records}
	byFlow := map[string][]state.RecoveredPart{}
	keys := slices.SortedFunc(maps.Keys(r.found), func(a, b flowPart) int { return cmp.Or(cmp.Compare(a.flow, b.flow), cmp.Compare(a.part, b.part)) })
	for _, k := range keys {
		byFlow[k.flow] = append(byFlow[k.flow], r.part(k))
	}
	for _, flow := range slices.Sorted(maps.Keys(byFlow)) {
		out.Flows = append(out.Flows, state.RecoveredFlow{Flow: flow, Parts: byFlow[flow]})
	}
	return out
}

func (r *rescue) part(k flowPart) state.RecoveredPart {
	f, m := r.found[k], r.moves[k]
	out := state.RecoveredPart{Partition: k.part, Again: f.again}
	if m == nil || r.topic.Inbox != "" { // what is on an inbox's topic is in the inbox, also what is there twice
		return out
	}
	gap := m.Passed
	if !r.topic.Same {
		gap.To = max(gap.To, r.ends[k.part])
	}
	n := gap.To - gap.From
	for _, d := range m.Old.Done {
		n -= max(0, min(d.To, gap.To)-max(d.From, gap.From))
	}
	if n -= f.ours; n <= 0 {
		return out
	}
	if r.topic.Written && !r.log.Foreign {
		out.Copies = n
		return out
	}
	out.Lost, out.LostFrom, out.LostTo = n, gap.From, gap.To
	return out
}

// rescue stores what was found.
func (t *tx) rescue(r *rescue, rec *state.Recovery, rep *state.RecoveredTopic) error {
	if err := t.nextLog(r); err != nil {
		return err
	}
	if err := t.movePositions(r, rec, rep); err != nil {
		return err
	}
	if err := t.publishAgain(r); err != nil {
		return err
	}
	for _, b := range r.boxes {
		if _, err := t.exec("UPDATE outbox SET lost = ?, places = ?, life = ? WHERE id = ?", b.lost, b.places, r.log.Life, b.id); err != nil {
			return err
		}
	}
	if err := t.dealQueue(r); err != nil {
		return err
	}
	return t.audit(rec.Who, "recover", "topic/"+r.topic.Topic, summary(rep, rec.Note))
}

// nextLog stores which log the topic has from here on.
func (t *tx) nextLog(r *rescue) error {
	l := &r.log
	if r.topic.NewLife {
		high := int64(0)
		for _, end := range l.Ends {
			high = max(high, end)
		}
		for _, end := range r.ends {
			high = max(high, end)
		}
		for _, p := range r.stored {
			high = max(high, p.Position.Next)
			if n := len(p.Position.Done); n > 0 {
				high = max(high, p.Position.Done[n-1].To)
			}
		}
		l.Life, l.Base, l.Ends = l.Life+1, l.Base+high, nil
	}
	l.Cluster, l.TopicID = cmp.Or(r.topic.Cluster, l.Cluster), cmp.Or(r.topic.TopicID, l.TopicID)
	if l.Ends == nil {
		l.Ends = slices.Clone(r.topic.Ends)
	}
	return t.saveLog(l)
}

// movePositions stores where flows go on, and counts what is given up as discarded by who decided it.
func (t *tx) movePositions(r *rescue, rec *state.Recovery, rep *state.RecoveredTopic) error {
	given := map[flowPart]state.RecoveredPart{}
	for _, f := range rep.Flows {
		for _, p := range f.Parts {
			given[flowPart{f.Flow, p.Partition}] = p
		}
	}
	for _, k := range slices.SortedFunc(maps.Keys(r.moves), func(a, b flowPart) int { return cmp.Or(cmp.Compare(a.flow, b.flow), cmp.Compare(a.part, b.part)) }) {
		if r.stored[k] == nil {
			r.stored[k] = &stored{Partition: state.Partition{Flow: k.flow, Topic: r.topic.Topic, Partition: k.part}}
		}
	}
	var save []*stored
	tt := totals{}
	var journal []*state.Journal
	for _, k := range slices.SortedFunc(maps.Keys(r.stored), func(a, b flowPart) int { return cmp.Or(cmp.Compare(a.flow, b.flow), cmp.Compare(a.part, b.part)) }) {
		p, m := r.stored[k], r.moves[k]
		switch {
		case m != nil:
			p.Position, p.First = m.New, m.New.Next
			p.Gone = m.Gone
		case r.topic.NewLife: // of a flow that is not in the plan any more: should it come back, it begins with this log
			p.Position, p.Gone = event.Position{}, true
		default:
			continue
		}
		p.Cluster, p.TopicID, p.Life = r.log.Cluster, r.log.TopicID, r.log.Life
		p.Epoch++
		if g := given[k]; g.Lost > 0 {
			p.finished += g.Lost
			tt.add(totalKey{k.flow, r.topic.Topic, k.part, string(state.Discarded), ""}, g.Lost, t.now)
			where := fmt.Sprintf("%s/%d", r.topic.Topic, k.part)
			reason := fmt.Sprintf("%s: %d records of %s, from offset %d to %d, were gone from the broker unread", rec.Who, g.Lost, where, g.LostFrom, g.LostTo-1)
			if rec.Note != "" {
				reason += ": " + rec.Note
			}
			journal = append(journal, &state.Journal{Flow: k.flow, EventID: fmt.Sprintf("%s/%d-%d", where, g.LostFrom, g.LostTo-1), Key: where, Outcome: state.Discarded, Reason: reason})
		}
		save = append(save, p)
	}
	if err := t.savePartitions(save); err != nil {
		return err
	}
	if err := t.saveTotals(tt); err != nil {
		return err
	}
	return t.saveJournal(journal, nil)
}

// publishAgain hands inbox rows back to their relay. Each says which of its events: the others have their fate.
func (t *tx) publishAgain(r *rescue) error {
	if err := t.execIn("UPDATE inbox SET places = NULL, again = '[0]' WHERE ", "seq", 1, r.rows, ""); err != nil {
		return err
	}
	for _, seq := range slices.Sorted(maps.Keys(r.partly)) {
		again, err := json.Marshal(r.partly[seq])
		if err != nil {
			return err
		}
		if _, err := t.exec("UPDATE inbox SET places = NULL, again = ? WHERE seq = ?", string(again), seq); err != nil {
			return err
		}
	}
	return nil
}

// dealQueue puts stored queues where the records of their keys come now, where the topic has another number of partitions: only the
// owner of a key's partition may work its queue.
func (t *tx) dealQueue(r *rescue) error {
	n := len(r.topic.Ends)
	if r.topic.AssignPartition == nil || n == 0 {
		return nil
	}
	moved, touched := map[laneKey]int{}, map[laneKey]bool{}
	err := t.each(func(rows *sql.Rows) error {
		k := laneKey{partKey: partKey{topic: r.topic.Topic}}
		if err := rows.Scan(&k.flow, &k.lane, &k.part); err != nil {
			return err
		}
		if now := r.topic.AssignPartition(k.lane, n); now != k.part {
			moved[k] = now
			touched[laneKey{partKey{k.flow, k.topic, now}, k.lane}] = true
		}
		return nil
	}, "SELECT DISTINCT flow, lane, part FROM queue WHERE topic = ?", r.topic.Topic)
	if err != nil {
		return err
	}
	for _, k := range slices.SortedFunc(maps.Keys(moved), compareLaneKeys) {
		_, err := t.exec("UPDATE queue SET part = ? WHERE flow = ? AND lane = ? AND topic = ? AND part = ?", moved[k], k.flow, k.lane, k.topic, k.part)
		if err != nil {
			return err
		}
	}
	return t.mend(touched)
}

// summary is what the audit says of a topic's recovery.
func summary(rep *state.RecoveredTopic, note string) string {
	var lost, copies int64
	flows := ""
	for _, f := range rep.Flows {
		flows = flows + ", " + f.Flow
		for _, p := range f.Parts {
			lost += p.Lost
			copies += p.Copies
		}
	}
	text := fmt.Sprintf("%d events of %d inbox rows published again, %d records put on the topic again, %d given up", rep.Events, rep.Rows, rep.Records, lost)
	if copies > 0 {
		text += fmt.Sprintf(", %d copies dropped", copies)
	}
	if len(flows) > 0 {
		text += "; flows " + flows[2:]
	}
	if note != "" {
		text += "; " + note
	}
	return text
}
