package publish

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/waybill-hub/waybill/internal/event"
)

var errDown = errors.New("the broker is down")

// topic is a topic of some partitions; behind a record that fails, nothing of its partition is written in the same call.
type topic struct {
	parts int
	log   [][]string
	calls []string
	fails func(r event.Record) error
}

func (p *topic) Send(_ context.Context, records []event.Record) []event.Sent {
	if p.log == nil {
		p.log = make([][]string, p.parts)
	}
	out := make([]event.Sent, len(records))
	failed := map[int]bool{}
	call := ""
	for i, r := range records {
		call += string(r.Value) + " "
		part := int(r.Key[0]) % p.parts
		if !failed[part] {
			out[i].Err = p.fails(r)
		} else {
			out[i].Err = errors.New("not sent: behind one that failed")
		}
		if failed[part] = failed[part] || out[i].Err != nil; failed[part] {
			continue
		}
		p.log[part] = append(p.log[part], string(r.Value))
		out[i].Partition, out[i].Offset = part, int64(len(p.log[part])-1)
	}
	p.calls = append(p.calls, strings.TrimSpace(call))
	return out
}

// untilDone tries without a wait, most times.
func untilDone(most int) func(try func() error) error {
	return func(try func() error) error {
		err := try()
		for range most {
			if err == nil {
				return nil
			}
			err = try()
		}
		return err
	}
}

func records(values ...string) func(int) event.Record {
	return func(i int) event.Record { return event.Record{Key: []byte{values[i][0]}, Value: []byte(values[i])} }
}

func TestBatch(t *testing.T) {
	values := []string{"a1", "b1", "a2", "b2"}
	for name, c := range map[string]struct {
		fails  func(calls int, value string) error
		fate   func(value string) Fate // of one that failed
		ready  func(calls int) error
		tries  int
		asked  int      // whether anything may be sent
		want   []string // what was sent, call by call
		failed error
	}{
		"all at once": {want: []string{"a1 b1 a2 b2"}},
		"one fails, and what is behind it is sent again with it, in order": {
			fails: func(calls int, v string) error { return when(calls == 0 && v == "a1") }, tries: 1, want: []string{"a1 b1 a2 b2", "a1 a2"}},
		"one is changed, and is sent at once with what failed": {
			fails: func(calls int, v string) error { return when(calls == 0 && (v == "a1" || v == "b2")) },
			fate:  func(v string) Fate { return map[bool]Fate{true: Changed, false: Failed}[v == "a1"] }, want: []string{"a1 b1 a2 b2", "a1 a2 b2"}},
		"one is refused, and what is behind it is sent at once": {
			fails: func(_ int, v string) error { return when(v == "a1") },
			fate:  func(v string) Fate { return map[bool]Fate{true: Refused, false: Failed}[v == "a1"] }, want: []string{"a1 b1 a2 b2", "a2"}},
		"the last one is refused": {
			fails: func(_ int, v string) error { return when(v == "b2") },
			fate:  func(string) Fate { return Refused }, want: []string{"a1 b1 a2 b2"}},
		"nothing may be sent for a while": {
			ready: func(n int) error { return when(n == 0) }, tries: 1, want: []string{"a1 b1 a2 b2"}, asked: 2},
		"nothing may be sent any more when one was changed": {
			fails: func(calls int, v string) error { return when(calls == 0 && v == "a1") }, fate: func(string) Fate { return Changed },
			ready: func(n int) error { return when(n > 0) }, want: []string{"a1 b1 a2 b2"}, failed: errDown, asked: 2},
		"enough": {fails: func(int, string) error { return errDown }, tries: 1, want: []string{"a1 b1 a2 b2", "a1 b1 a2 b2"}, failed: errDown},
	} {
		t.Run(name, func(t *testing.T) {
			p := &topic{parts: 2}
			p.fails = func(r event.Record) error {
				if c.fails == nil {
					return nil
				}
				return c.fails(len(p.calls), string(r.Value))
			}
			asked := 0
			b := Batch{Len: len(values), Record: records(values...), Retry: untilDone(c.tries), Settle: func(i int, s event.Sent) Fate {
				switch {
				case s.Err == nil:
					return Settled
				case c.fate != nil:
					return c.fate(values[i])
				}
				return Failed
			}}
			if c.ready != nil {
				b.Ready = func() error { asked++; return c.ready(asked - 1) }
			}
			if err := b.Send(t.Context(), p); !errors.Is(err, c.failed) {
				t.Errorf("error %v, want %v", err, c.failed)
			}
			if asked != c.asked {
				t.Errorf("asked %d times whether anything may be sent, want %d", asked, c.asked)
			}
			if !slices.Equal(p.calls, c.want) {
				t.Errorf("sent %q, want %q", p.calls, c.want)
			}
		})
	}
}

// TestFailedWithoutReason: what is to be sent again is never taken for sent, also where the caller makes the mistake.
func TestFailedWithoutReason(t *testing.T) {
	p := &topic{parts: 1, fails: func(event.Record) error { return nil }}
	b := Batch{Len: 1, Record: records("a"), Retry: untilDone(0), Settle: func(int, event.Sent) Fate { return Failed }}
	if err := b.Send(t.Context(), p); err == nil {
		t.Error("a record that is to be sent again passes for sent")
	}
}

func when(broken bool) error {
	if broken {
		return errDown
	}
	return nil
}

// A publisher that answers for fewer records than it was given leaves nobody in the belief that the rest is on its topic.
func TestShortAnswer(t *testing.T) {
	short := publisherFunc(func(r []event.Record) []event.Sent { return make([]event.Sent, len(r)-1) })
	b := Batch{Len: 2, Record: records("a1", "a2"), Retry: untilDone(0), Settle: func(int, event.Sent) Fate { t.Error("settled"); return Settled }}
	if err := b.Send(t.Context(), short); err == nil || !strings.Contains(err.Error(), "1 of 2") {
		t.Errorf("error %v", err)
	}
	if err := (&Batch{}).Send(t.Context(), short); err != nil {
		t.Errorf("of nothing: %v", err)
	}
}

type publisherFunc func([]event.Record) []event.Sent

func (f publisherFunc) Send(_ context.Context, r []event.Record) []event.Sent { return f(r) }

// Whatever fails, changes or is refused, each key's records are on the topic once and in order, but those that were refused.
func TestOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		keys := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c", "d"}), 0, 20).Draw(t, "keys")
		values, want := make([]string, len(keys)), map[byte][]string{}
		bad, changed := map[string]bool{}, map[string]bool{}
		for i, k := range keys {
			values[i] = fmt.Sprintf("%s%02d", k, i)
			switch rapid.IntRange(0, 4).Draw(t, values[i]) {
			case 0:
				bad[values[i]] = true
				continue
			case 1:
				changed[values[i]] = true
			}
			want[k[0]] = append(want[k[0]], values[i])
		}
		p := &topic{parts: rapid.IntRange(1, 4).Draw(t, "partitions")}
		p.fails = func(r event.Record) error {
			return when(bad[string(r.Value)] || changed[string(r.Value)] || rapid.IntRange(0, 3).Draw(t, "fails") == 0)
		}
		b := Batch{Len: len(values), Record: records(values...), Retry: untilDone(10_000), Settle: func(i int, s event.Sent) Fate {
			switch v := values[i]; {
			case s.Err == nil:
				return Settled
			case !errors.Is(s.Err, errDown):
				return Failed // it was not tried
			case bad[v]:
				return Refused
			case changed[v]:
				delete(changed, v)
				return Changed
			}
			return Failed
		}}
		if err := b.Send(context.Background(), p); err != nil {
			t.Fatal(err)
		}
		got := map[byte][]string{}
		for _, log := range p.log {
			for _, v := range log {
				got[v[0]] = append(got[v[0]], v)
			}
		}
		for k := range want {
			if !slices.Equal(got[k], want[k]) {
				t.Fatalf("on the topic %v, want %v", got[k], want[k])
			}
		}
		if len(got) != len(want) {
			t.Fatalf("on the topic %v, want %v", got, want)
		}
	})
}
