package store

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/state"
)

const partitionCols = "flow, topic, part, cluster, topic_id, first_off, epoch, next_off, done, finished, forgotten"

// stored is a row of partitions.
type stored struct {
	state.Partition
	finished  int64
	forgotten bool
	dirty     bool
}

func scanPartition(r *sql.Rows) (*stored, error) {
	var p stored
	var done []byte
	var forgotten int64
	err := r.Scan(&p.Flow, &p.Topic, &p.Partition.Partition, &p.Cluster, &p.TopicID, &p.First, &p.Epoch, &p.Position.Next, &done, &p.finished, &forgotten)
	if err != nil {
		return nil, err
	}
	p.forgotten = forgotten != 0
	p.Position.Done, err = decodeRanges(p.Position.Next, done)
	return &p, err
}

// OpenPartition takes the partition over: the epoch rises, and commits of the last owner are fenced from here on. A
// partition that is not known yet begins at first. first and last are the broker's oldest offset and the one behind its
// newest. An error that wraps state.ErrBroker means that the broker is not the one, or no longer holds what is to be read next.
func (s *Store) OpenPartition(ctx context.Context, flow, topic string, partition int, cluster, topicID string, first, last int64) (state.Partition, error) {
	return ask(ctx, s, "open partition", func(t *tx) (state.Partition, error) {
		p, err := t.partition(flow, topic, partition)
		if err != nil {
			return state.Partition{}, err
		}
		switch {
		case p == nil:
			p = &stored{Partition: state.Partition{Flow: flow, Topic: topic, Partition: partition, Cluster: cluster, TopicID: topicID,
				First: first, Position: event.Position{Next: first}}}
		case p.forgotten:
			p.Cluster, p.TopicID, p.First, p.Position, p.forgotten = cluster, topicID, first, event.Position{Next: first}, false
		default:
			if err := sameBroker(p, cluster, topicID, first, last); err != nil {
				return state.Partition{}, err
			}
			p.Cluster, p.TopicID = cmp.Or(p.Cluster, cluster), cmp.Or(p.TopicID, topicID)
		}
		p.Epoch++
		return p.Partition, t.savePartitions([]*stored{p})
	})
}

// sameBroker compares what the broker says with what is stored. An id that either side does not know is not compared.
func sameBroker(p *stored, cluster, topicID string, first, last int64) error {
	where := fmt.Sprintf("flow %s, %s/%d", p.Flow, p.Topic, p.Partition.Partition)
	const todo = "start the hub on the right broker, or, where the loss is understood, let the flow forget its positions"
	high := p.Position.Next
	if n := len(p.Position.Done); n > 0 {
		high = p.Position.Done[n-1].To
	}
	switch {
	case cluster != "" && p.Cluster != "" && cluster != p.Cluster:
		return refuse(state.ErrBroker, "%s: the positions belong to broker cluster %s, this one is %s: %s", where, p.Cluster, cluster, todo)
	case topicID != "" && p.TopicID != "" && topicID != p.TopicID:
		return refuse(state.ErrBroker, "%s: the topic was deleted and made again (its id was %s and is %s): %s", where, p.TopicID, topicID, todo)
	case last < high:
		return refuse(state.ErrBroker, "%s: the topic ends at offset %d, but %d was finished: the broker has lost records: %s", where, last, high-1, todo)
	case first > p.Position.Next:
		return refuse(state.ErrBroker, "%s: offset %d is to be read next, but the topic begins at %d: %d records were removed unread (retention): %s",
			where, p.Position.Next, first, first-p.Position.Next, todo)
	}
	return nil
}

func (t *tx) partition(flow, topic string, partition int) (p *stored, err error) {
	err = t.each(func(r *sql.Rows) error { p, err = scanPartition(r); return err },
		"SELECT "+partitionCols+" FROM partitions WHERE flow = ? AND topic = ? AND part = ?"+t.d.forUpdate(), flow, topic, partition)
	return p, err
}

func (t *tx) savePartitions(ps []*stored) error {
	values := make([]any, 0, 11*len(ps))
	for _, p := range ps {
		values = append(values, p.Flow, p.Topic, p.Partition.Partition, p.Cluster, p.TopicID, p.First, p.Epoch, p.Position.Next,
			encodeRanges(p.Position.Next, p.Position.Done), p.finished, b2i(p.forgotten))
	}
	return t.insert("INSERT INTO partitions ("+partitionCols+")", 11, values, ` ON CONFLICT (flow, topic, part) DO UPDATE SET cluster = excluded.cluster,
		topic_id = excluded.topic_id, first_off = excluded.first_off, epoch = excluded.epoch, next_off = excluded.next_off, done = excluded.done,
		finished = excluded.finished, forgotten = excluded.forgotten`)
}

// ForgetBroker lets a flow's positions begin anew at the next OpenPartition, by a person's decision after state.ErrBroker: what the
// broker lost stays unread, what it holds is read (again). The counts stay, and the stored queues too.
func (s *Store) ForgetBroker(ctx context.Context, flow, who, note string) error {
	return s.do(ctx, "forget positions", func(t *tx) error {
		if _, err := t.exec("UPDATE partitions SET forgotten = 1, epoch = epoch + 1 WHERE flow = ?", flow); err != nil {
			return err
		}
		return t.audit(who, "forget-broker", "flow/"+flow, note)
	})
}

// Partitions are the stored positions of a flow, or of all flows when it is empty.
func (s *Store) Partitions(ctx context.Context, flow string) ([]state.Partition, error) {
	var out []state.Partition
	err := s.each(ctx, func(r *sql.Rows) error {
		p, err := scanPartition(r)
		if err == nil {
			out = append(out, p.Partition)
		}
		return err
	}, "SELECT "+partitionCols+" FROM partitions WHERE flow = ? OR ? = '' ORDER BY flow, topic, part", flow, flow)
	return out, s.wrap("partitions", err)
}
