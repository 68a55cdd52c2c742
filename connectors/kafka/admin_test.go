package kafka

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/waybill-hub/waybill/internal/bus/embedded/brokertest"
	"github.com/waybill-hub/waybill/internal/lifecycle"
)

// What an administrator does to a topic.

func brokerOnly(t testing.TB) string { return brokertest.Start(t).Addr() }

func codes(t testing.TB, err error, list ...int16) {
	t.Helper()
	for _, code := range list {
		err = errors.Join(err, kerr.ErrorForCode(code))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// more gives the topic more partitions.
func more(t testing.TB, o *other, n int) {
	t.Helper()
	topic := kmsg.NewCreatePartitionsRequestTopic()
	topic.Topic, topic.Count = o.topic, int32(n)
	req := kmsg.NewPtrCreatePartitionsRequest()
	req.TimeoutMillis, req.Topics = 10_000, append(req.Topics, topic)
	res, err := req.RequestWith(t.Context(), o.client)
	codes(t, err)
	codes(t, nil, res.Topics[0].ErrorCode)
	o.await(n)
	o.client = o.connect() // it knows of the new partitions
}

// remake deletes the topic and makes it anew.
func remake(t testing.TB, o *other, partitions int) {
	t.Helper()
	topic := kmsg.NewDeleteTopicsRequestTopic()
	topic.Topic = &o.topic
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.TimeoutMillis, req.TopicNames, req.Topics = 10_000, []string{o.topic}, append(req.Topics, topic)
	res, err := req.RequestWith(t.Context(), o.client)
	codes(t, err)
	codes(t, nil, res.Topics[0].ErrorCode)
	before := time.Now()
	retry(t, func(ctx context.Context) error {
		found, err := o.cluster.Describe(ctx, o.topic)
		if _, there := found[o.topic]; err == nil && there {
			err = errors.New("it is still there after " + time.Since(before).String())
		}
		return err
	})
	o.make(partitions)
	o.client = o.connect()
}

// deleteBefore deletes the records before an offset, as retention does.
func deleteBefore(t testing.TB, o *other, partition int32, offset int64) {
	t.Helper()
	p := kmsg.NewDeleteRecordsRequestTopicPartition()
	p.Partition, p.Offset = partition, offset
	topic := kmsg.NewDeleteRecordsRequestTopic()
	topic.Topic, topic.Partitions = o.topic, append(topic.Partitions, p)
	req := kmsg.NewPtrDeleteRecordsRequest()
	req.TimeoutMillis, req.Topics = 10_000, append(req.Topics, topic)
	for _, shard := range o.client.RequestSharded(t.Context(), req) {
		codes(t, shard.Err)
		codes(t, nil, shard.Resp.(*kmsg.DeleteRecordsResponse).Topics[0].Partitions[0].ErrorCode)
	}
}

// retry tries again until it works, for half a minute.
func retry(t testing.TB, try func(ctx context.Context) error) {
	t.Helper()
	ctx, end := context.WithTimeout(context.Background(), 30*time.Second)
	defer end()
	if err := lifecycle.Retry(ctx, lifecycle.Real(), lifecycle.Backoff{Min: 10 * time.Millisecond, Max: 100 * time.Millisecond}, func() error { return try(ctx) }, nil); err != nil {
		t.Fatal(err)
	}
}

// await waits until so many partitions can be read: a new one's leader is known before it leads.
func (o *other) await(partitions int) {
	o.t.Helper()
	retry(o.t, func(ctx context.Context) error {
		found, err := o.cluster.Describe(ctx, o.topic)
		if err == nil && len(found[o.topic].Partitions) != partitions {
			err = errors.New("not all partitions are there")
		}
		return err
	})
}
