package store

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/state"
)

const partitionCols = "flow, topic, part, cluster, topic_id, first_off, epoch, next_off, done, finished, forgotten, life"

// stored is a row of partitions.
type stored struct {
	state.Partition
	finished int64
	dirty    bool
}

func scanPartition(r *sql.Rows) (*stored, error) {
	var p stored
	var done []byte
	var forgotten int64
	err := r.Scan(&p.Flow, &p.Topic, &p.Partition.Partition, &p.Cluster, &p.TopicID, &p.First, &p.Epoch, &p.Position.Next, &done, &p.finished, &forgotten, &p.Life)
	if err != nil {
		return nil, err
	}
	p.Gone = forgotten != 0
	p.Position.Done, err = decodeRanges(p.Position.Next, done)
	return &p, err
}

// OpenPartition takes the partition over: the epoch rises, and commits of the last owner are fenced from here on. A
// partition that is not known yet begins at the log's first offset. An error that wraps state.ErrBroker means that the broker is not
// the one, or no longer holds what is to be read next, or knows of a position that this store has lost.
func (s *Store) OpenPartition(ctx context.Context, flow, topic string, partition int, log event.Log) (state.Partition, error) {
	return ask(ctx, s, "open partition", func(t *tx) (state.Partition, error) {
		p, err := t.partition(flow, topic, partition)
		if err != nil {
			return state.Partition{}, err
		}
		known, err := t.topicLog(topic)
		if err != nil {
			return state.Partition{}, err
		}
		if known == nil {
			known = &state.TopicLog{Cluster: log.Cluster, TopicID: log.TopicID}
		}
		switch {
		case p == nil || p.Gone:
			fresh := &stored{Partition: state.Partition{Flow: flow, Topic: topic, Partition: partition, Cluster: known.Cluster, TopicID: known.TopicID,
				First: log.First, Life: known.Life, Position: event.Position{Next: log.First}}}
			if err := sameBroker(fresh, log); err != nil {
				return state.Partition{}, err
			}
			if p == nil && log.Committed > log.First {
				return state.Partition{}, refuse(state.ErrBroker, "flow %s, %s/%d: the store knows no position, but the flow's group has committed offset %d "+
					"(the log holds %d to %d): the store is new, or lacks what it knew: %s", flow, topic, partition, log.Committed, log.First, log.Last, todo)
			}
			if p != nil {
				fresh.Epoch, fresh.finished = p.Epoch, p.finished
			}
			p = fresh
		default:
			if err := sameBroker(p, log); err != nil {
				return state.Partition{}, err
			}
		}
		p.Cluster, p.TopicID = cmp.Or(p.Cluster, log.Cluster), cmp.Or(p.TopicID, log.TopicID)
		p.Epoch++
		p.Base = known.Base
		return p.Partition, t.savePartitions([]*stored{p})
	})
}

// todo is what a person can do about a broker that does not fit.
const todo = "start the hub on the right broker, or see what `waybill recover --dry-run` would do"

// sameBroker compares what the broker says with what is stored. An id that either side does not know is not compared.
func sameBroker(p *stored, log event.Log) error {
	where := fmt.Sprintf("flow %s, %s/%d", p.Flow, p.Topic, p.Partition.Partition)
	high := p.Position.Next
	if n := len(p.Position.Done); n > 0 {
		high = p.Position.Done[n-1].To
	}
	switch {
	case log.Cluster != "" && p.Cluster != "" && log.Cluster != p.Cluster:
		return refuse(state.ErrBroker, "%s: the positions belong to broker cluster %s, this one is %s; offset %d was to be read next, and it holds %d to %d: %s",
			where, p.Cluster, log.Cluster, p.Position.Next, log.First, log.Last, todo)
	case log.TopicID != "" && p.TopicID != "" && log.TopicID != p.TopicID:
		return refuse(state.ErrBroker, "%s: the topic was deleted and made again (its id was %s and is %s); offset %d was to be read next, and it holds %d to %d: %s",
			where, p.TopicID, log.TopicID, p.Position.Next, log.First, log.Last, todo)
	case log.Last < high:
		return refuse(state.ErrBroker, "%s: the topic ends at offset %d, but %d was finished: the broker has lost records: %s", where, log.Last, high-1, todo)
	case log.First > p.Position.Next:
		return refuse(state.ErrBroker, "%s: offset %d is to be read next, but the topic begins at %d: %d records were removed unread (retention): %s",
			where, p.Position.Next, log.First, log.First-p.Position.Next, todo)
	}
	return nil
}

func (t *tx) partition(flow, topic string, partition int) (p *stored, err error) {
	err = t.each(func(r *sql.Rows) error { p, err = scanPartition(r); return err },
		"SELECT "+partitionCols+" FROM partitions WHERE flow = ? AND topic = ? AND part = ?"+t.d.forUpdate(), flow, topic, partition)
	return p, err
}

func (t *tx) savePartitions(ps []*stored) error {
	values := make([]any, 0, 12*len(ps))
	for _, p := range ps {
		values = append(values, p.Flow, p.Topic, p.Partition.Partition, p.Cluster, p.TopicID, p.First, p.Epoch, p.Position.Next,
			encodeRanges(p.Position.Next, p.Position.Done), p.finished, b2i(p.Gone), p.Life)
	}
	return t.insert("INSERT INTO partitions ("+partitionCols+")", 12, values, ` ON CONFLICT (flow, topic, part) DO UPDATE SET cluster = excluded.cluster,
		topic_id = excluded.topic_id, first_off = excluded.first_off, epoch = excluded.epoch, next_off = excluded.next_off, done = excluded.done,
		finished = excluded.finished, forgotten = excluded.forgotten, life = excluded.life`)
}

// Partitions are the stored positions of a flow, or of all flows when it is empty.
func (s *Store) Partitions(ctx context.Context, flow string) ([]state.Partition, error) {
	out, err := s.partitionsOf(ctx, s.read, flow)
	return out, s.wrap("partitions", err)
}

func (s *Store) partitionsOf(ctx context.Context, db queryer, flow string) (out []state.Partition, err error) {
	err = eachOf(ctx, db, s.d, func(r *sql.Rows) error {
		p, err := scanPartition(r)
		if err == nil {
			out = append(out, p.Partition)
		}
		return err
	}, "SELECT "+partitionCols+" FROM partitions WHERE flow = ? OR ? = '' ORDER BY flow, topic, part", flow, flow)
	return out, err
}
