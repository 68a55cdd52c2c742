package bus

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/segmentio/kafka-go"

	"github.com/waybill-hub/waybill/internal/failpoint"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/notice"
)

// subscription is one member of a group, reading one topic.
type subscription struct {
	s     *Subscriber
	topic string
	log   *slog.Logger
	out   chan *message.Message
	group *kafka.ConsumerGroup
	ctx   context.Context // ends when reading must stop
	stop  context.CancelFunc
	base  context.Context // values for messages
	gone  chan struct{}
	gates map[int][]chan struct{}
	// client is this member's own client id, by which it finds itself in the group again.
	client string
	left   chan struct{} // closed: kafka-go has left the group

	// Of the goroutine that runs generations: which log was read last, and how many generations in a row have ended as soon as they began.
	cluster, topicID string
	short            int

	member   membership
	opening  ailment         // of finding out where to begin
	failures *notice.Limiter // what the log is told of what is tried again

	news chan struct{} // has an element when a low watermark may have moved

	mu    sync.Mutex
	parts []*partition
}

// moved tells the generation that there may be something to commit.
func (sub *subscription) moved() {
	select {
	case sub.news <- struct{}{}:
	default:
	}
}

// joinBackoff is the rest between two attempts to join a group.
const joinBackoff = 300 * time.Millisecond

const (
	// shortLived: a generation that ended so soon has read nothing.
	shortLived = time.Second
	// shortTimes is how many of these may follow each other at once: members that come together form a group a few times.
	shortTimes = 4
)

// restAfterShort spaces generations that end as soon as they begin: kafka-go ends one at once whose topic is gone, and joins again without a rest.
func restAfterShort() lifecycle.Backoff {
	return lifecycle.Backoff{Min: 50 * time.Millisecond, Max: 2 * time.Second}
}

func newSubscription(ctx context.Context, s *Subscriber, topic string) (*subscription, error) {
	c := s.c
	client := c.cfg.ClientID + "-" + strings.ToLower(rand.Text()[:10])
	dialer := &kafka.Dialer{ClientID: client, Timeout: min(c.cfg.Timeout, 5*time.Second), DualStack: true, TLS: c.cfg.TLS, SASLMechanism: c.mechanism}
	log := s.log.With("topic", topic)
	sub := &subscription{s: s, topic: topic, log: log, failures: notice.NewLimiter(lifecycle.Real(), log), out: make(chan *message.Message),
		base: context.WithoutCancel(ctx), gone: make(chan struct{}), gates: map[int][]chan struct{}{}, client: client, left: make(chan struct{}), news: make(chan struct{}, 1)}
	group, err := kafka.NewConsumerGroup(kafka.ConsumerGroupConfig{
		ID:                     s.cfg.Group,
		Brokers:                c.cfg.Brokers,
		Topics:                 []string{topic},
		Dialer:                 dialer,
		Timeout:                c.cfg.Timeout,
		HeartbeatInterval:      s.cfg.Heartbeat,
		SessionTimeout:         s.cfg.Session,
		RebalanceTimeout:       2*s.cfg.Grace + 10*time.Second,
		JoinGroupBackoff:       joinBackoff,
		WatchPartitionChanges:  true,
		PartitionWatchInterval: s.cfg.WatchPartitions,
		StartOffset:            kafka.FirstOffset,
		ErrorLogger:            &sub.member,
	})
	if err != nil {
		return nil, err
	}
	sub.group = group
	sub.ctx, sub.stop = context.WithCancel(ctx)
	// The group is told to close while a generation still runs: its end then leaves the group instead of joining it again.
	context.AfterFunc(sub.ctx, func() {
		defer close(sub.left)
		_ = group.Close()
	})
	return sub, nil
}

// run lives through generations of the group until the subscription is stopped or an alarm ends it.
func (sub *subscription) run() {
	defer close(sub.out)
	defer close(sub.gone)
	defer func() {
		failpoint.Hit(failpoint.GroupLeave)
		sub.leave()
	}()
	var member string // of the last generation, while it may still be in the group
	var leaving sync.WaitGroup
	defer leaving.Wait()
	left := func() {}
	defer func() { left() }()
	rest := restAfterShort()
	for {
		sub.member.wait()
		if sub.short > shortTimes && lifecycle.Sleep(sub.ctx, lifecycle.Real(), rest.Next()) != nil {
			return
		}
		gen, err := sub.group.Next(sub.ctx)
		if sub.ctx.Err() != nil || errors.Is(err, kafka.ErrGroupClosed) {
			return
		}
		if errors.Is(err, kafka.RebalanceInProgress) {
			continue // another member came in between
		}
		if err != nil {
			sub.member.joining.note(joinFailed(err))
			if errors.Is(err, kafka.UnknownTopicOrPartition) { // who leads the group asks for the partitions that it deals out
				sub.missing()
			}
			if member != "" {
				ctx, cancel := context.WithCancel(sub.ctx)
				id := member
				member, left = "", cancel
				leaving.Go(func() { sub.takeOut(ctx, id) })
			}
			sub.failures.Warn("joining the consumer group failed and is tried again", err)
			continue
		}
		left()
		member = gen.MemberID
		sub.member.begin()
		ended, began := make(chan error, 1), time.Now()
		gen.Start(func(ctx context.Context) { ended <- sub.generation(ctx, gen) })
		err = <-ended
		if sub.short++; time.Since(began) >= shortLived {
			sub.short, rest = 0, restAfterShort()
		}
		if err != nil {
			sub.log.Error("reading has stopped: an operator must look at it", "error", err)
			sub.s.cfg.OnAlarm(fmt.Errorf("group %s, topic %s: %w", sub.s.cfg.Group, sub.topic, err))
			return
		}
	}
}

// takeOut takes a member out of the group whose id was given up: kafka-go joins under a new id when the broker was away, and a broker that
// comes back waits for the old one until its session ends. The id is nobody's any more, so that nothing else can be hit.
func (sub *subscription) takeOut(ctx context.Context, id string) {
	again := lifecycle.Backoff{Min: joinBackoff, Max: joinBackoff}
	_ = lifecycle.Retry(ctx, lifecycle.Real(), again, func() error {
		ask, cancel := context.WithTimeout(ctx, 3*time.Second)
		defer cancel()
		res, err := sub.s.c.client.LeaveGroup(ask, &kafka.LeaveGroupRequest{GroupID: sub.s.cfg.Group, Members: []kafka.LeaveGroupRequestMember{{ID: id}}})
		if err == nil {
			err = res.Error
		}
		if err == nil && len(res.Members) > 0 {
			err = res.Members[0].Error
		}
		if errors.Is(err, kafka.UnknownMemberId) {
			return nil
		}
		return err
	}, nil) // what keeps it from leaving keeps it from joining, which is told
}

// leave waits until kafka-go has left the group, with a deadline because its Close can wait for ever. Closed in the middle
// of a rebalance it does not leave at all, and the member would hold the others up until its session ends: so what is left
// of us in the group is taken out.
func (sub *subscription) leave() {
	sub.stop()
	ctx, cancel := context.WithTimeout(context.Background(), min(sub.s.c.cfg.Timeout, 3*time.Second))
	defer cancel()
	select {
	case <-sub.left:
	case <-ctx.Done():
		sub.log.Warn("leaving the consumer group takes too long and is left to itself: its partitions move when its session ends")
		return
	}
	members, err := sub.s.c.members(ctx, sub.s.cfg.Group)
	if err != nil {
		sub.log.Info("could not look whether the consumer group was left", "error", err)
		return
	}
	for _, m := range members {
		if m.client != sub.client {
			continue
		}
		_, err := sub.s.c.client.LeaveGroup(ctx, &kafka.LeaveGroupRequest{GroupID: sub.s.cfg.Group, Members: []kafka.LeaveGroupRequestMember{{ID: m.id}}})
		if err != nil {
			sub.log.Info("leaving the consumer group failed: its partitions move when its session ends", "error", err)
		}
	}
}

func (sub *subscription) current() []*partition {
	sub.mu.Lock()
	defer sub.mu.Unlock()
	return sub.parts
}

// generation reads the partitions that one generation of the group assigns to us. It returns when the generation has
// ended, or reading must stop; an error is an alarm.
func (sub *subscription) generation(ctx context.Context, gen *kafka.Generation) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(sub.ctx, cancel)()

	parts, err := sub.open(ctx, gen.Assignments[sub.topic])
	sub.s.assigned.Add(int64(len(parts)))
	defer sub.s.assigned.Add(-int64(len(parts)))
	defer sub.revoke(parts)
	if err != nil || ctx.Err() != nil {
		if err != nil {
			sub.stop()
		}
		return err
	}
	sub.mu.Lock()
	sub.parts = parts
	sub.mu.Unlock()
	level := slog.LevelInfo
	if sub.short > shortTimes {
		level = slog.LevelDebug // as the ones before, which nobody has to read a thousand times
	}
	sub.log.Log(ctx, level, "partitions assigned", "generation", gen.ID, "partitions", len(parts))

	var readers sync.WaitGroup
	alarm := make(chan error, len(parts))
	for _, p := range parts {
		readers.Go(func() {
			if err := p.read(ctx); err != nil {
				alarm <- err
			}
		})
	}
	commits := &committer{gen: gen, topic: sub.topic, parts: parts, timeout: sub.s.c.cfg.Timeout, log: sub.log, failures: sub.failures}
	// Nothing is looked at while nothing is acknowledged: a hub has hundreds of flows at rest.
	due := time.After(sub.s.cfg.CommitEvery) // what an earlier generation, or another hub, has not committed
	look := time.NewTicker(sub.s.cfg.lookEvery)
	defer look.Stop()
	for err == nil && ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case err = <-alarm:
		case <-sub.news:
			if due == nil {
				due = time.After(sub.s.cfg.CommitEvery)
			}
		case <-due:
			if due = nil; commits.tick() {
				due = time.After(sub.s.cfg.CommitEvery)
			}
		case <-look.C:
			if len(parts) == 0 {
				sub.openNone() // or what was said of the topic once would stay
			}
			if e := sub.checkSame(ctx); errors.Is(e, ErrPosition) {
				err = e
			}
			sub.member.meet(sub.strangers(ctx))
		}
	}
	cancel()
	if err != nil {
		sub.stop()
	}
	readers.Wait()
	sub.drain(parts)
	commits.last()
	return err
}

// drain waits for the batches that are with handlers, then stops counting on them.
func (sub *subscription) drain(parts []*partition) {
	done := make(chan struct{})
	for _, p := range parts {
		close(p.stopping)
	}
	go func() {
		defer close(done)
		for _, p := range parts {
			p.lanes.Wait()
		}
	}()
	t := time.NewTimer(sub.s.cfg.Grace)
	defer t.Stop()
	select {
	case <-done:
	case <-t.C:
	}
	for _, p := range parts {
		close(p.fence)
		p.cancel()
	}
	<-done
}

// revoke forgets the partitions.
func (sub *subscription) revoke(parts []*partition) {
	sub.mu.Lock()
	sub.parts = nil
	sub.mu.Unlock()
	for _, p := range parts {
		p.cancel()
		if sub.s.cfg.Positions != nil {
			sub.s.cfg.Positions.Revoked(sub.s.cfg.Group, sub.topic, p.number)
		}
	}
}
