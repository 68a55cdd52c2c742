// Package topictest does for tests what a broker's administrator does. It is imported by tests only.
package topictest

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Delete deletes topics. What the broker refuses of them is an error.
func Delete(ctx context.Context, c *kgo.Client, names ...string) error {
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.TimeoutMillis = 20_000
	for _, name := range names {
		t := kmsg.NewDeleteTopicsRequestTopic()
		t.Topic = &name
		req.Topics, req.TopicNames = append(req.Topics, t), append(req.TopicNames, name) // newer brokers read the first, older ones the second
	}
	res, err := req.RequestWith(ctx, c)
	if err != nil {
		return err
	}
	for i := range res.Topics {
		t := &res.Topics[i]
		if failed := kerr.ErrorForCode(t.ErrorCode); failed != nil {
			name := ""
			if t.Topic != nil {
				name = *t.Topic
			}
			err = errors.Join(err, fmt.Errorf("delete the topic %s: %w", name, failed))
		}
	}
	return err
}
