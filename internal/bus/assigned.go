package bus

// Where a member begins to read each partition that it was given.

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/failpoint"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/lifecycle"
)

// open finds out where each assigned partition is to be read from, and checks that the broker can continue there.
func (sub *subscription) open(ctx context.Context, assigned []kafka.PartitionAssignment) ([]*partition, error) {
	if len(assigned) == 0 {
		sub.openNone()
		return nil, nil
	}
	var cluster string
	var info TopicInfo
	err := lifecycle.Retry(ctx, lifecycle.Real(), askAgain, func() (err error) {
		cluster, info, err = sub.look(ctx)
		return err
	}, func(err error, _ time.Duration) error {
		if errors.Is(err, ErrNoTopic) {
			sub.missing()
		} else {
			sub.opening.note(fmt.Errorf("the topic %s cannot be looked up: %w", sub.topic, err))
		}
		sub.failures.Warn("looking up the topic failed and is tried again", err)
		return nil
	})
	if err != nil { // ctx has ended
		return nil, nil
	}
	if sub.topicID != "" {
		if err := sub.same(cluster, info.ID); err != nil {
			return nil, err
		}
	}
	sub.cluster, sub.topicID = cluster, info.ID
	var parts []*partition
	for _, a := range assigned {
		if a.ID >= len(info.Partitions) {
			return parts, fmt.Errorf("%w: partition %s/%d is assigned and does not exist", ErrPosition, sub.topic, a.ID)
		}
		held := info.Partitions[a.ID]
		epoch, pos, ok, err := sub.position(ctx, a, held)
		if err != nil || !ok {
			return parts, err
		}
		p := sub.partition(a.ID, epoch, pos)
		p.committed = a.Offset
		p.end.Store(held.Last)
		parts = append(parts, p)
		if err := inRange(p.name, pos.Next, held.First, held.Last); err != nil {
			return parts, err
		}
	}
	sub.opening.heal()
	return parts, nil
}

// openNone: a member is given no partition where there are more members than partitions, and where the topic is gone. It looks also where the generation has
// ended already, as one of a topic that is gone does at once.
func (sub *subscription) openNone() {
	ctx, cancel := context.WithTimeout(sub.ctx, min(sub.s.c.cfg.Timeout, 2*time.Second))
	defer cancel()
	switch _, _, err := sub.look(ctx); {
	case err == nil:
		sub.opening.heal()
	case errors.Is(err, ErrNoTopic):
		sub.missing()
	}
}

func (sub *subscription) missing() {
	sub.opening.note(fmt.Errorf("the topic %s does not exist", sub.topic))
}

// same checks that what is read now is what was read before.
func (sub *subscription) same(cluster, topicID string) error {
	if cluster == sub.cluster && topicID == sub.topicID {
		return nil
	}
	return fmt.Errorf("%w: topic %s of cluster %s with topic id %s was read until now, and is of cluster %s with topic id %s: it was wiped or is another one",
		ErrPosition, sub.topic, sub.cluster, sub.topicID, cluster, topicID)
}

// checkSame asks the broker whether the topic is still the one that is read; only an ErrPosition means that it is not.
func (sub *subscription) checkSame(ctx context.Context) error {
	m, err := sub.s.c.metadata(ctx, sub.topic)
	if err != nil {
		return err
	}
	if err := m.topicError(); err != nil {
		return err
	}
	return sub.same(m.cluster, m.topics[0].id)
}

func (sub *subscription) look(ctx context.Context) (string, TopicInfo, error) {
	cluster, topics, err := sub.s.c.Look(ctx, sub.topic)
	if err != nil {
		return "", TopicInfo{}, err
	}
	info, ok := topics[sub.topic]
	if !ok {
		return "", TopicInfo{}, ErrNoTopic
	}
	return cluster, info, nil
}

// askAgain is how what belongs to reading is asked for again until it is answered.
var askAgain = lifecycle.Backoff{Min: 50 * time.Millisecond, Max: 2 * time.Second}

// position is where to begin: what Positions keeps, else what is committed in Kafka, else the first record. ok is false
// when ctx ended first.
func (sub *subscription) position(ctx context.Context, a kafka.PartitionAssignment, held PartitionInfo) (epoch int64, pos event.Position, ok bool, err error) {
	known := false
	log := event.Log{Cluster: sub.cluster, TopicID: sub.topicID, First: held.First, Last: held.Last, Committed: a.Offset}
	if a.Offset < 0 {
		log.Committed = -1
	}
	if ps := sub.s.cfg.Positions; ps != nil {
		err = lifecycle.Retry(ctx, lifecycle.Real(), askAgain, func() (err error) {
			epoch, pos, known, err = ps.Assigned(ctx, sub.s.cfg.Group, sub.topic, a.ID, log)
			return err
		}, func(err error, _ time.Duration) error {
			if fault.KindOf(err) != fault.Unavailable {
				return err
			}
			sub.opening.note(fmt.Errorf("the stored position of %s/%d cannot be read: %w", sub.topic, a.ID, err))
			sub.failures.Warn("the stored position cannot be read and is asked for again", err, "partition", a.ID)
			return nil
		})
		switch {
		case ctx.Err() != nil:
			return 0, pos, false, nil
		case err != nil:
			return 0, pos, false, err
		}
		failpoint.Hit(failpoint.PositionTaken)
	}
	if !known {
		pos = event.Position{Next: a.Offset}
		if a.Offset < 0 {
			pos.Next = held.First
		}
	}
	return epoch, pos, true, nil
}

func (sub *subscription) partition(number int, epoch int64, pos event.Position) *partition {
	s := sub.s
	p := &partition{s: s, sub: sub, cfg: &s.cfg, failures: sub.failures, topic: sub.topic, number: number, name: fmt.Sprintf("%s/%d", sub.topic, number), epoch: epoch,
		done: pos.Done, out: sub.out, fetcher: fetcher{c: s.c, topic: sub.topic, partition: number},
		stopping: make(chan struct{}), fence: make(chan struct{}), gone: sub.gone, freed: make(chan struct{}, 1), deal: dealer{per: make([]laneDeal, s.cfg.Lanes)}}
	p.ctx, p.cancel = context.WithCancel(sub.base)
	p.next.Store(pos.Next)
	gates := sub.gates[number]
	if gates == nil {
		gates = make([]chan struct{}, s.cfg.Lanes)
		for i := range gates {
			gates[i] = make(chan struct{}, 1)
		}
		sub.gates[number] = gates
	}
	for i := range s.cfg.Lanes {
		p.lane = append(p.lane, &lane{p: p, number: i, gate: gates[i]})
	}
	return p
}
