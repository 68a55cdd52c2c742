// Package topictest does for tests what a broker's administrator does. It is imported by tests only.
package topictest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Delete deletes those of the topics that are there, and returns when the broker shows them no more, which may be a moment after it has said that they are. What it refuses of them is an
// error.
func Delete(ctx context.Context, c *kgo.Client, names ...string) error {
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.TimeoutMillis = 20_000
	for _, name := range names {
		t := kmsg.NewDeleteTopicsRequestTopic()
		t.Topic = &name
		req.Topics, req.TopicNames = append(req.Topics, t), append(req.TopicNames, name) // newer brokers read the first, older ones the second
	}
	before, err := shown(ctx, c, names)
	if err != nil {
		return err
	}
	res, err := req.RequestWith(ctx, c)
	if err != nil {
		return err
	}
	for i := range res.Topics {
		t := &res.Topics[i]
		if failed := kerr.ErrorForCode(t.ErrorCode); failed != nil && !errors.Is(failed, kerr.UnknownTopicOrPartition) {
			name := ""
			if t.Topic != nil {
				name = *t.Topic
			}
			err = errors.Join(err, fmt.Errorf("delete the topic %s: %w", name, failed))
		}
	}
	if err != nil {
		return err
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		now, err := shown(ctx, c, names)
		if err != nil {
			return err
		}
		maps.DeleteFunc(now, func(id [16]byte, _ bool) bool { return !before[id] }) // somebody may have made one again
		if len(now) == 0 {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// shown gives the ids of those topics that the broker shows.
func shown(ctx context.Context, c *kgo.Client, names []string) (map[[16]byte]bool, error) {
	req := kmsg.NewPtrMetadataRequest()
	for _, name := range names {
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = &name
		req.Topics = append(req.Topics, t)
	}
	res, err := req.RequestWith(ctx, c)
	if err != nil {
		return nil, err
	}
	ids := map[[16]byte]bool{}
	for i := range res.Topics {
		if res.Topics[i].ErrorCode == 0 {
			ids[res.Topics[i].TopicID] = true
		}
	}
	return ids, nil
}
