package app

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestLargestBodyIsCarried: a body of hooks.max-body goes all the way to the target, one byte more is refused at the door; and so is
// what a topic that is not the hub's cannot carry, until somebody lets it.
func TestLargestBodyIsCarried(t *testing.T) {
	t.Parallel()
	onBrokers(t, func(t *testing.T, s *shore) {
		s.p.edit("mappings/orders.yaml", `mark?: value("marks", "shop", source.mark)`, "mark?: source.mark")
		s.p.edit("mappings/orders.yaml", "  by: \"first\"\n", "  by: \"first\"\n  mark?: source.mark\n")
		note := s.name("canonical.note")
		if s.kafka != "" {
			s.createTopics(s.name("in.notes"), note) // as somebody else would, with what the broker takes
		}
		s.start()
		const largest = 4 << 20
		sized := func(no string, n int) document {
			d := document{No: no, Seq: 1, Mark: "x"}
			b, err := json.Marshal(d)
			if err != nil {
				t.Fatal(err)
			}
			d.Mark = strings.Repeat("x", 1+n-len(b))
			return d
		}
		want := func(path, id string, doc document, status int) {
			t.Helper()
			if got, err := push(t.Context(), s.hub, path, id, doc); got != status {
				t.Errorf("%s: answered %d, want %d (%v)", id, got, status, err)
			}
		}
		parked := func() int64 {
			st, err := s.hub.Status(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if st.Totals.Unaccounted != 0 {
				t.Errorf("%d unaccounted", st.Totals.Unaccounted)
			}
			return st.Totals.Parked
		}
		remarks := func() string {
			st, err := s.hub.Status(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return strings.Join(st.Broker.Remarks, "\n")
		}
		want("shop/orders", "o-1", sized("SO-1", largest), 202)
		want("shop/orders", "o-2", sized("SO-2", largest+1), 413)
		if s.kafka != "" {
			want("shop/notes", "n-1", sized("N-1", 2<<20), 413)
			if got := remarks(); !strings.Contains(got, "topic "+note+" takes batches of 1048588 bytes") || strings.Contains(got, "in.notes") {
				t.Errorf("remarks: %s", got)
			}
			s.setTopic(note, "max.message.bytes", fmt.Sprint(topicBytes(largest)))
			// A broker tells of a setting a moment after it has taken it.
			await(t, "the broker to tell of it", func() bool { s.hub.fitTopics(t.Context(), s.hub.plan()); return remarks() == "" })
		}
		want("shop/notes", "n-2", sized("N-2", largest), 202)
		if got := remarks(); got != "" {
			t.Errorf("remarks: %s", got)
		}
		await(t, "both bodies", func() bool {
			st, err := s.hub.Status(t.Context())
			return err == nil && st.AtRest() && len(s.g.newest(t)) == 1
		})
		if d := s.g.newest(t)["SO-1"]; len(d.Mark) < largest-200 {
			t.Errorf("the target has %d bytes", len(d.Mark))
		}
		if n := parked(); n != 0 {
			t.Errorf("%d parked", n)
		}
	})
}

func (s *shore) setTopic(topic, name, value string) {
	s.t.Helper()
	s.admin(func(ctx context.Context, c *kgo.Client) error {
		req := kmsg.NewPtrIncrementalAlterConfigsRequest()
		r := kmsg.NewIncrementalAlterConfigsRequestResource()
		r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeTopic, topic
		conf := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
		conf.Name, conf.Value = name, &value
		r.Configs = append(r.Configs, conf)
		req.Resources = append(req.Resources, r)
		_, err := req.RequestWith(ctx, c)
		return err
	})
}
