package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/waybill-hub/waybill/internal/bus"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/lifecycle"
)

// leastFetch is the least that a partition is asked for at once, in bytes.
const leastFetch = 64 << 10

// Poll reads a topic from where the cursor says. There is no consumer group: where the hub is stands in its own store alone, committed with what was read
// before, and the cluster need give the hub's user READ and DESCRIBE on the topic and nothing else.
func (s *system) Poll(ctx context.Context, r connector.PollRequest) (connector.Page, error) {
	op := "poll " + r.Object
	o, err := s.object(op, r.Object)
	if err != nil {
		return connector.Page{}, err
	}
	if err := ctx.Err(); err != nil {
		return connector.Page{}, s.classify(op, err)
	}
	at, err := parseCursor(r.Cursor)
	if err != nil {
		return connector.Page{}, s.fail(fault.Invalid, op, "%s: read the topic anew with waybill rewind", err)
	}
	info, err := s.look(ctx, op, o)
	if err == nil {
		info, err = s.place(ctx, op, o, at, info)
	}
	if err != nil {
		return connector.Page{}, err
	}
	limit := r.Limit
	if limit <= 0 {
		limit = o.Read.Records
	}
	round := &round{s: s, op: op, o: o, at: at, info: info, limit: min(limit, mostRecords), bytes: int(o.Read.Bytes)}
	if err := round.read(ctx); err != nil {
		return connector.Page{}, err
	}
	return connector.Page{Records: round.records, Cursor: at.String(), More: round.more(), Remarks: at.remarks(s.clock.Now())}, nil
}

// look asks for the topic's id and the offsets that it holds.
func (s *system) look(ctx context.Context, op string, o *object) (bus.TopicInfo, error) {
	found, refused, err := s.cluster.Ends(ctx, o.Topic)
	switch info, ok := found[o.Topic]; {
	case err != nil:
		return info, s.classify(op, err)
	case refused[o.Topic] != nil:
		return info, s.classify(op, fault.Wrap(fault.Unavailable, "look up topic "+o.Topic, refused[o.Topic]))
	case !ok || len(info.Partitions) == 0:
		return info, s.classify(op, fault.Wrap(fault.Unavailable, "look up topic "+o.Topic, bus.ErrNoTopic))
	default:
		return info, nil
	}
}

// place makes the cursor one of the topic as it is there now: it begins, goes back as far as it was told to, and takes partitions in that are new. What it
// cannot go on from is told, or passed over as the settings say, and then it is told as well.
func (s *system) place(ctx context.Context, op string, o *object, c *cursor, info bus.TopicInfo) (bus.TopicInfo, error) {
	if !c.began() {
		return info, s.begin(ctx, op, o, c, info)
	}
	if c.Topic != o.Topic {
		return info, s.fail(fault.Invalid, op, "what was read last is topic %s, and the settings say %s now: read that anew with waybill rewind FLOW --to start", c.Topic, o.Topic)
	}
	if c.ID != info.ID || len(c.Next) > len(info.Partitions) {
		if err := s.anew(op, o, c, "topic %s was deleted and made anew since it was read last", o.Topic); err != nil {
			return info, err
		}
		c.ID, c.Next = info.ID, nil
	}
	for len(c.Next) < len(info.Partitions) {
		c.Next = append(c.Next, 0) // whatever comes to a partition that is added is news
	}
	if !c.From.IsZero() {
		if err := s.goBack(ctx, op, o, c); err != nil {
			return info, err
		}
	}
	info, err := s.settled(ctx, op, o, c, info)
	if err != nil {
		return info, err
	}
	return info, s.held(op, o, c, info)
}

// begin sets the first position.
func (s *system) begin(ctx context.Context, op string, o *object, c *cursor, info bus.TopicInfo) error {
	next := make([]int64, len(info.Partitions))
	at, word, _ := startOf(o.Read.Start) // checked
	var from []int64
	if word == "" {
		var err error
		if from, err = s.cluster.OffsetsAt(ctx, o.Topic, at); err != nil {
			return s.classify(op, err)
		}
	}
	for i, p := range info.Partitions {
		switch {
		case word == startEarliest:
			next[i] = p.First
		case word == "" && i < len(from) && from[i] >= 0:
			next[i] = max(from[i], p.First)
		default:
			next[i] = p.Last
		}
	}
	*c = cursor{Topic: o.Topic, ID: info.ID, Next: next}
	return nil
}

// goBack carries out what a person has asked for: it never goes ahead.
func (s *system) goBack(ctx context.Context, op string, o *object, c *cursor) error {
	from, err := s.cluster.OffsetsAt(ctx, o.Topic, c.From)
	if err != nil {
		return s.classify(op, err)
	}
	for i := range c.Next {
		if i < len(from) && from[i] >= 0 {
			c.Next[i] = min(c.Next[i], from[i])
		}
	}
	c.From = time.Time{}
	return nil
}

// After a change of leaders a log may seem shorter than it is for a moment.
const (
	shorterTries = 10
	shorterPause = 300 * time.Millisecond
)

// settled looks whether the topic ends before what was read of it, and goes on doing so.
func (s *system) settled(ctx context.Context, op string, o *object, c *cursor, info bus.TopicInfo) (bus.TopicInfo, error) {
	for try := 0; ; try++ {
		at := shorter(c, info)
		if at < 0 {
			return info, nil
		}
		if try == shorterTries {
			err := s.anew(op, o, c, "partition %d of topic %s was read up to offset %d and ends at %d now: records were cut off", at, o.Topic, c.Next[at], info.Partitions[at].Last)
			if err != nil {
				return info, err
			}
			for i, p := range info.Partitions {
				if c.Next[i] > p.Last {
					c.Next[i] = p.First
				}
			}
			return info, nil
		}
		if err := lifecycle.Sleep(ctx, s.clock, shorterPause); err != nil {
			return info, s.classify(op, err)
		}
		again, err := s.look(ctx, op, o)
		if err != nil {
			return info, err
		}
		if again.ID != c.ID || len(again.Partitions) < len(c.Next) {
			return info, s.fail(fault.Unavailable, op, "topic %s was made anew at this moment", o.Topic)
		}
		info = again
		for len(c.Next) < len(info.Partitions) {
			c.Next = append(c.Next, 0)
		}
	}
}

// shorter is the first partition that ends before what was read of it; -1: none does.
func shorter(c *cursor, info bus.TopicInfo) int {
	for i, p := range info.Partitions {
		if c.Next[i] > p.Last {
			return i
		}
	}
	return -1
}

// anew says that a topic is not the one that was read, or notes that it is read from its beginning.
func (s *system) anew(op string, o *object, c *cursor, format string, args ...any) error {
	text := fmt.Sprintf(format, args...)
	if o.Read.Anew != anewStart {
		return s.fail(fault.Invalid, op, "%s: waybill rewind FLOW --to start reads it from its beginning, and read.anew: start does so whenever it happens", text)
	}
	s.log.Warn(text+": it is read from its beginning", "system", s.name, "topic", o.Topic)
	c.Anew = s.clock.Now()
	return nil
}

// held looks whether the cluster still holds what comes next.
func (s *system) held(op string, o *object, c *cursor, info bus.TopicInfo) error {
	lost, where := int64(0), ""
	for i, p := range info.Partitions {
		if gone := p.First - c.Next[i]; gone > 0 {
			lost += gone
			if where != "" {
				where += ", "
			}
			where += fmt.Sprintf("%d of partition %d (from %d to %d)", gone, i, c.Next[i], p.First-1)
		}
	}
	if lost > 0 && !c.Asked {
		text := fmt.Sprintf("topic %s: %d offsets were deleted before they were read: %s", o.Topic, lost, where)
		if o.Read.Lost != lostContinue {
			return s.fail(fault.Invalid, op, "%s: the records there are lost to this flow. read.lost: continue goes on behind them; waybill rewind FLOW --to start reads what is there", text)
		}
		s.log.Error(text+": it goes on behind them", "system", s.name, "topic", o.Topic)
		c.Lost, c.LostAt = c.Lost+lost, s.clock.Now()
	}
	for i, p := range info.Partitions {
		c.Next[i] = max(c.Next[i], p.First)
	}
	c.Asked = false
	return nil
}

// round reads one page.
type round struct {
	s       *system
	op      string
	o       *object
	at      *cursor
	info    bus.TopicInfo
	limit   int // of records
	bytes   int
	records []connector.Record
	moved   bool
}

// read takes from every partition that has something its share, so that none waits for the end of another. What fails is told once nothing else is to
// be read: a partition without a leader holds up no other.
func (r *round) read(ctx context.Context) error {
	var behind []int
	for i, p := range r.info.Partitions {
		if r.at.Next[i] < p.Last {
			behind = append(behind, i)
		}
	}
	var failed error
	for k, i := range behind {
		left := r.limit - len(r.records)
		if left <= 0 || r.bytes <= 0 {
			break
		}
		others := len(behind) - k
		got, err := r.s.cluster.ReadFrom(ctx, r.o.Topic, i, r.at.Next[i], (left+others-1)/others, max(leastFetch, r.bytes/others))
		if err != nil {
			if errors.Is(err, bus.ErrNotHeld) {
				err = fmt.Errorf("%w: it is looked at again", err)
			}
			failed = errors.Join(failed, err)
			continue
		}
		if err := r.take(ctx, i, &got); err != nil {
			failed = errors.Join(failed, err)
		}
	}
	if failed != nil && !r.moved {
		return r.s.classify(r.op, failed)
	}
	return nil
}

// take adds what was read of a partition, as far as it could be understood: an error is no record's fault, and what is behind it is read again.
func (r *round) take(ctx context.Context, partition int, got *bus.Stretch) error {
	if got.Unreadable != nil {
		r.records = append(r.records, r.s.unreadable(r.o, r.at, partition, got))
	}
	for i := range got.Records {
		rec := &got.Records[i]
		rec.Partition = partition
		out, err := r.s.record(ctx, r.o, r.at.ID, rec)
		if err != nil {
			r.moveTo(partition, rec.Offset)
			return err
		}
		r.bytes -= len(rec.Key) + len(rec.Value)
		r.records = append(r.records, out)
	}
	r.moveTo(partition, got.Next)
	return nil
}

func (r *round) moveTo(partition int, next int64) {
	r.moved = r.moved || next > r.at.Next[partition]
	r.at.Next[partition] = max(next, r.at.Next[partition])
}

// more: there was more when the round began, and something was read: a transaction that is open lets nobody read on.
func (r *round) more() bool {
	if !r.moved {
		return false
	}
	for i, p := range r.info.Partitions {
		if r.at.Next[i] < p.Last {
			return true
		}
	}
	return false
}
