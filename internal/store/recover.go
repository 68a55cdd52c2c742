package store

import (
	"cmp"
	"context"
	"database/sql"
	"maps"
	"reflect"
	"slices"

	"github.com/waybill-hub/waybill/internal/state"
)

// PreviewRecovery tells what Recover would do, and changes nothing.
func (s *Store) PreviewRecovery(ctx context.Context, rec *state.Recovery) (*state.Recovered, error) {
	out := &state.Recovered{}
	err := s.snapshot(ctx, func(db queryer) error {
		for i := range rec.Topics {
			r := &recoveryScan{topic: &rec.Topics[i], each: func(scan func(*sql.Rows) error, q string, args ...any) error {
				return eachOf(ctx, db, s.d, scan, q, args...)
			}}
			if err := r.scan(); err != nil {
				return err
			}
			out.Topics = append(out.Topics, r.report())
		}
		return nil
	})
	if err != nil {
		return nil, s.wrap("preview a recovery", err)
	}
	return out, nil
}

// Recover moves positions to where their flows go on, sends what has no fate and is not on its topic any more back to where the hub
// puts it there again from (inbox rows are unpublished again, rows of the sent log lost), and gives up by name what nobody can bring back; all
// of it together or nothing. Owners of the partitions are fenced. state.ErrLoss: something would be given up, and rec does not say
// so. state.ErrMoved: the recovery was planned on positions that have moved since.
func (s *Store) Recover(ctx context.Context, rec *state.Recovery) (*state.Recovered, error) {
	return ask(ctx, s, "recover", func(t *tx) (*state.Recovered, error) {
		out := &state.Recovered{}
		scans := make([]*recoveryScan, len(rec.Topics))
		// Positions are locked before logs, as commits do it.
		for i := range rec.Topics {
			scans[i] = &recoveryScan{topic: &rec.Topics[i], each: t.each, lock: t.d.forUpdate()}
			if err := scans[i].positions(); err != nil {
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
		for _, r := range scans {
			if err := r.scan(); err != nil {
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
		for i, r := range scans {
			if err := t.applyRecovery(r, rec, &out.Topics[i]); err != nil {
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

// counts is what a recoveryScan finds for a reader's partition.
type counts struct {
	again int64 // records without a fate that the reader gets again
	ours  int64 // records in the passed range that the hub knows and that the reader has not finished
}

// recoveryScan finds out what of a topic has no fate with some reader and will not be read where that one goes on.
type recoveryScan struct {
	topic *state.RecoverTopic
	each  func(scan func(*sql.Rows) error, q string, args ...any) error
	lock  string

	log    state.TopicLog
	stored map[flowPart]*stored
	moves  map[flowPart]*state.Move
	found  map[flowPart]*counts
	// ends are behind the last record that the hub knows of, by partition.
	ends map[int]int64

	rows    []any           // inbox rows whose one event is published again
	partly  map[int64][]int // lists, and the numbers of their events that are
	events  int64
	sent    []sentChange
	records int64
	readers []string
}

// sentChange is what a row of the sent log becomes.
type sentChange struct {
	id, lost int64
	places   []byte
}

// positions reads the stored positions on the topic.
func (r *recoveryScan) positions() error {
	r.stored = map[flowPart]*stored{}
	return r.each(func(rows *sql.Rows) error {
		p, err := scanPartition(rows)
		if err == nil {
			r.stored[flowPart{p.Flow, p.Partition.Partition}] = p
		}
		return err
	}, "SELECT "+partitionCols+" FROM partitions WHERE topic = ? ORDER BY flow, part"+r.lock, r.topic.Topic)
}

// scan finds everything out.
func (r *recoveryScan) scan() error {
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
	r.moves, r.found, r.ends, r.partly = map[flowPart]*state.Move{}, map[flowPart]*counts{}, map[int]int64{}, map[int64][]int{}
	for i := range r.topic.Moves {
		m := &r.topic.Moves[i]
		r.moves[flowPart{m.Flow, m.Partition}] = m
		r.found[flowPart{m.Flow, m.Partition}] = &counts{}
	}
	r.readers = slices.Sorted(slices.Values(r.topic.Readers))
	if r.topic.Inbox != "" {
		if err := r.inbox(); err != nil {
			return err
		}
	}
	return r.sentRows()
}

// inbox looks at the published rows of the flow whose inbox leads to the topic.
func (r *recoveryScan) inbox() error {
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

// sentRows looks at what the hub has put on the topic.
func (r *recoveryScan) sentRows() error {
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
			r.sent = append(r.sent, sentChange{id, n, encodeSpots(spots)})
		}
		return nil
	}, "SELECT id, life, lost, places FROM outbox WHERE topic = ? ORDER BY id", r.topic.Topic)
}

// gone reports whether a record has no fate with some reader and will not be there where that one goes on; it counts what it finds.
// open: it has no fate with some reader.
func (r *recoveryScan) gone(part int, life, offset int64) (gone, open bool) {
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
				f = &counts{}
				r.found[k] = f
			}
			f.again++
		}
	}
	return gone, open
}

// unmoved refuses a recovery that was planned on other positions.
func (r *recoveryScan) unmoved() error {
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
func (r *recoveryScan) report() state.RecoveredTopic {
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

func (r *recoveryScan) part(k flowPart) state.RecoveredPart {
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
