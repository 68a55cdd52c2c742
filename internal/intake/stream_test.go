package intake

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/inbox/inboxtest"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/schedule"
	"github.com/waybill-hub/waybill/internal/state"
)

// ledger is a system with one log, of which each poll gives the next place to each reader.
type ledger struct {
	mu      sync.Mutex
	polls   map[string]int // by reader
	early   bool           // somebody read before it was told what is stored
	stored  []map[string]string
	left    int
	reading bool
}

func (l *ledger) Probe(context.Context) error { return nil }
func (l *ledger) Close() error                { return nil }
func (l *ledger) Stream(string) string        { return "log" }

func (l *ledger) Poll(_ context.Context, r connector.PollRequest) (connector.Page, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.early = l.early || !l.reading
	l.polls[r.Reader]++
	cursor := r.Cursor + "+"
	return connector.Page{Cursor: cursor, Records: []connector.Record{{Local: "1", Change: r.Object + cursor, Doc: []byte(`{"k":"1"}`)}}}, nil
}

func (l *ledger) Stored(_ string, cursors map[string]string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reading = true
	l.stored = append(l.stored, maps.Clone(cursors))
}

func (l *ledger) Leave(string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reading = false
	l.left++
}

func (l *ledger) read(flow string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.polls[flow]
}

func (l *ledger) source(flow string) Source {
	return Source{Flow: flow, Entity: "order", System: "erp", Topic: "in." + flow, Key: inboxtest.Field("k"),
		Poll: &Poll{Poller: l, Object: flow, Stream: "log", When: schedule.Every(time.Second)}}
}

// TestStreamIsReadByOneHub: the flows of a log are read under one lease; the log's system is told what is stored, of all of them, before and while they
// are read; and one that joins, or goes, does not end the reading of others for good.
func TestStreamIsReadByOneHub(t *testing.T) {
	onSQLite(t, func(t *testing.T, b *bench) {
		begin := func(holder string, l *ledger, flows ...string) *Intake {
			var sources []Source
			for _, f := range flows {
				sources = append(sources, l.source(f))
			}
			in, err := Start(Config{Store: b.Store, Publisher: b.Topic, Clock: b.Clock, Log: inboxtest.Log(), Observer: b.seen, Holder: holder, LeaseTTL: leaseTTL, Sources: sources})
			if err != nil {
				t.Fatal(err)
			}
			return in
		}
		one, two := &ledger{polls: map[string]int{}}, &ledger{polls: map[string]int{}}
		first := begin("one", one, "a", "b")
		b.Turn("both flows are read", func() bool { return one.read("a") >= 3 && one.read("b") >= 3 })
		told := func() map[string]string {
			one.mu.Lock()
			defer one.mu.Unlock()
			return one.stored[len(one.stored)-1]
		}
		b.Turn("the system is told what is stored", func() bool { return len(told()["a"]) >= 3 && len(told()["b"]) >= 3 })
		if one.early || one.stored[0]["a"] != "" {
			t.Errorf("it was read before what is stored was told: %v", one.stored[0])
		}
		// Another flow joins: the reading of all begins anew, where it was.
		c, err := first.Prepare([]Source{one.source("a"), one.source("b"), one.source("c")}, func(flow string) bool { return flow != "c" })
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		before := one.read("a")
		c.Open()
		// A read that the change cut short is made once more, and is stored then.
		b.Turn("all three are read", func() bool {
			return one.read("a") > before && one.read("c") > 0 && len(told()) == 3 && strings.Count(told()["a"], "+") >= before
		})
		if one.left != 1 {
			t.Errorf("left %d times", one.left)
		}
		// A change that concerns none of them leaves them alone.
		if c, err = first.Prepare([]Source{one.source("a"), one.source("b"), one.source("c")}, func(string) bool { return true }); err != nil || len(c.begin)+len(c.end) != 0 {
			t.Error(c.begin, c.end, err)
		}
		if c, err = first.Prepare([]Source{one.source("b"), one.source("c")}, func(string) bool { return true }); err != nil || len(c.begin) != 2 || len(c.end) != 3 {
			t.Error(c.begin, slices.Sorted(slices.Values(c.end)), err)
		}
		second := begin("two", two, "a", "b")
		before = one.read("a")
		b.Turn("the first hub goes on", func() bool { return one.read("a") >= before+5 })
		if n := two.read("a") + two.read("b"); n != 0 {
			t.Errorf("another hub has read %d times", n)
		}
		if err := first.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		b.Turn("the other hub reads", func() bool { return two.read("a") > 0 && two.read("b") > 0 })
		if one.left != 2 {
			t.Errorf("left %d times", one.left)
		}
		if err := second.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

// TestSweepOfALog: a log names its changes itself, and lists have other versions each time: what is the same is no news, and the same news are named alike.
func TestSweepOfALog(t *testing.T) {
	src := Source{Flow: "orders", System: "erp", Poll: &Poll{Object: "sale", Stream: "log"}}
	p := &poller{reader: &reader{src: src, clock: lifecycle.Real()}, poll: *src.Poll}
	s := &sweeper{poller: p}
	doc := jsondoc.Get()
	defer jsondoc.Put(doc)
	change := p.candidate(doc, &connector.Record{Local: "1", Change: "log/1F/0", Version: "~1.31", Doc: []byte(`{"a":1}`)})
	known := map[string]state.KnownObject{"1": {Local: "1", EventID: change.row.ID}}
	news := func(version, text string) (string, bool) {
		row, is := s.news(doc, &connector.Record{Local: "1", Version: version, Doc: []byte(text)}, known, "1")
		return row.ID, is
	}
	if _, is := news("~1.99", `{"a": 1}`); is {
		t.Error("what is the same is news")
	}
	first, is := news("~1.99", `{"a":2}`)
	second, again := news("~1.120", `{"a":2}`)
	if !is || !again || first != second {
		t.Errorf("%v %q, %v %q", is, first, again, second)
	}
	known["1"] = state.KnownObject{Local: "1", EventID: change.row.ID, Deleted: true}
	if _, is := news("~1.99", `{"a":1}`); !is {
		t.Error("what is there again is no news")
	}
	// Once the news is known, it is none.
	known["1"] = state.KnownObject{Local: "1", EventID: first}
	if _, is := news("~1.130", `{"a":2}`); is {
		t.Error("what a sweep has brought is news again")
	}
}
