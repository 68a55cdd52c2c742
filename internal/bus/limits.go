package bus

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/segmentio/kafka-go"

	"github.com/waybill-hub/waybill/internal/bus/recordbatch"
	"github.com/waybill-hub/waybill/internal/fault"
)

const (
	maxMessageBytes = "max.message.bytes"
	// mostRecord bounds what is written however much a topic takes: a broker's socket.request.max.bytes is 100 MiB.
	mostRecord = 90 << 20
	// sourceTopic is the source of a setting that was made on the topic itself.
	sourceTopic = 1
)

// Misfit is a topic that takes less than it should, and is not to be, or cannot be, changed by the hub.
type Misfit struct {
	Topic string
	// Takes and Wanted are values of max.message.bytes; Takes is 0 where the broker does not tell.
	Takes, Wanted int
	Why           string
}

// String says what to do.
func (m Misfit) String() string {
	takes := fmt.Sprintf("takes batches of %d bytes", m.Takes)
	if m.Takes == 0 {
		takes = "does not tell how large a batch it takes"
	}
	return fmt.Sprintf("topic %s %s, and %d are wanted for hooks.max-body: %s. Set max.message.bytes=%d on it (kafka-configs.sh --alter --topic %s --add-config max.message.bytes=%d), or a smaller hooks.max-body",
		m.Topic, takes, m.Wanted, m.Why, m.Wanted, m.Topic, m.Wanted)
}

// MaxRecord is the largest record, in bytes of key, value and headers with their lengths, that is written to the topic: what the topic
// was found to take, less what a batch has besides, and what a broker that compresses anew may add; else a size that every broker takes
// unless it was told not to.
func (c *Cluster) MaxRecord(topic string) int {
	c.mu.Lock()
	limit := c.limits[topic]
	c.mu.Unlock()
	if limit <= 0 {
		return MaxRecord
	}
	return max(1, min(limit, mostRecord)-limit/128-recordbatch.HeaderSize)
}

// Takes is the topic's max.message.bytes, as far as it is known; 0: it is not.
func (c *Cluster) Takes(topic string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.limits[topic]
}

// LeaveLimit leaves it to the broker whether a record is too large for a topic of which it does not tell what it takes.
func (c *Cluster) LeaveLimit(topic string) { c.setLimit(topic, mostRecord) }

func (c *Cluster) setLimit(topic string, limit int) {
	c.mu.Lock()
	c.limits[topic] = limit
	c.mu.Unlock()
}

// LearnLimits asks what topics take. Of a topic that the broker does not tell of, what was known stays.
func (c *Cluster) LearnLimits(ctx context.Context, topics ...string) error {
	_, err := c.describeTopics(ctx, topics)
	return err
}

// topicConfig are settings of a topic, and which of them were made on it.
type topicConfig struct {
	limit  int
	values map[string]string
	err    error
}

func (c *Cluster) describeTopics(ctx context.Context, topics []string, names ...string) (map[string]*topicConfig, error) {
	out := map[string]*topicConfig{}
	if len(topics) == 0 {
		return out, nil
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	req := &kafka.DescribeConfigsRequest{}
	for _, t := range topics {
		req.Resources = append(req.Resources, kafka.DescribeConfigRequestResource{
			ResourceType: kafka.ResourceTypeTopic, ResourceName: t, ConfigNames: append([]string{maxMessageBytes}, names...),
		})
	}
	res, err := c.client.DescribeConfigs(ctx, req)
	if err != nil {
		return nil, fault.Wrap(callKind(err), "ask what topics take", err)
	}
	for _, r := range res.Resources {
		t := &topicConfig{values: map[string]string{}, err: r.Error}
		out[r.ResourceName] = t
		for _, e := range r.ConfigEntries {
			if e.ConfigName == maxMessageBytes {
				t.limit, _ = strconv.Atoi(e.ConfigValue)
			}
			if e.ConfigSource == sourceTopic {
				t.values[e.ConfigName] = e.ConfigValue
			}
		}
		if t.err == nil && t.limit > 0 {
			c.setLimit(r.ResourceName, t.limit)
		}
	}
	return out, nil
}

// FitTopics sees to it that the topics take what their max.message.bytes in Config says, and learns what they take. A topic that exists
// is raised where it is the hub's: mine says so, or it carries all the other settings that the hub makes topics with. Topics of
// others are never changed. What stays too small is given back, for a person.
func (c *Cluster) FitTopics(ctx context.Context, topics []Topic, mine func(topic string) bool) ([]Misfit, error) {
	wanted := map[string]int{}
	var names, settings []string
	for _, t := range topics {
		n, err := strconv.Atoi(t.Config[maxMessageBytes])
		if err != nil {
			continue
		}
		wanted[t.Name], names = n, append(names, t.Name)
		for name := range t.Config {
			settings = append(settings, name)
		}
	}
	found, err := c.describeTopics(ctx, names, settings...)
	if err != nil {
		return nil, err
	}
	var out []Misfit
	for _, t := range topics {
		want, has := wanted[t.Name], found[t.Name]
		if want == 0 || has == nil || has.err == nil && has.limit >= want {
			continue
		}
		m := Misfit{Topic: t.Name, Takes: has.limit, Wanted: want}
		switch {
		case has.err != nil:
			m.Takes, m.Why = 0, "the broker does not let the hub ask ("+has.err.Error()+")"
		case !mine(t.Name) && !made(t, has):
			m.Why = "it was not made by the hub, which therefore does not change it"
		default:
			err := c.raise(ctx, t.Name, want)
			if err == nil {
				c.cfg.Log.Info("a topic takes larger records now", "topic", t.Name, maxMessageBytes, want, "before", has.limit)
				continue
			}
			m.Why = "the broker does not let the hub change it (" + err.Error() + ")"
		}
		out = append(out, m)
	}
	return out, nil
}

// made reports whether the topic has the settings that the hub gives its topics.
func made(t Topic, has *topicConfig) bool {
	for name, value := range t.Config {
		if name != maxMessageBytes && has.values[name] != value {
			return false
		}
	}
	return true
}

func (c *Cluster) raise(ctx context.Context, topic string, limit int) error {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	res, err := c.client.IncrementalAlterConfigs(ctx, &kafka.IncrementalAlterConfigsRequest{Resources: []kafka.IncrementalAlterConfigsRequestResource{{
		ResourceType: kafka.ResourceTypeTopic, ResourceName: topic,
		Configs: []kafka.IncrementalAlterConfigsRequestConfig{{Name: maxMessageBytes, Value: strconv.Itoa(limit), ConfigOperation: kafka.ConfigOperationSet}},
	}}})
	if err != nil {
		return err
	}
	var errs []error
	for _, r := range res.Resources {
		errs = append(errs, r.Error)
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	c.setLimit(topic, limit)
	return nil
}
