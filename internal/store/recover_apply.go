package store

import (
	"cmp"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/state"
)

// applyRecovery stores what a scan has found.
func (t *tx) applyRecovery(r *recoveryScan, rec *state.Recovery, rep *state.RecoveredTopic) error {
	if err := t.nextLog(r); err != nil {
		return err
	}
	if err := t.movePositions(r, rec, rep); err != nil {
		return err
	}
	if err := t.publishAgain(r); err != nil {
		return err
	}
	for _, b := range r.sent {
		if _, err := t.exec("UPDATE outbox SET lost = ?, places = ?, life = ? WHERE id = ?", b.lost, b.places, r.log.Life, b.id); err != nil {
			return err
		}
	}
	if err := t.assignQueues(r); err != nil {
		return err
	}
	return t.audit(rec.Who, "recover", "topic/"+r.topic.Topic, summary(rep, rec.Note))
}

// nextLog stores which log the topic has from here on.
func (t *tx) nextLog(r *recoveryScan) error {
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
func (t *tx) movePositions(r *recoveryScan, rec *state.Recovery, rep *state.RecoveredTopic) error {
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
func (t *tx) publishAgain(r *recoveryScan) error {
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

// assignQueues puts stored queues where the records of their keys come now, where the topic has another number of partitions: only the
// owner of a key's partition may work its queue.
func (t *tx) assignQueues(r *recoveryScan) error {
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
	return t.relink(touched)
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
