package intake

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/inbox/inboxtest"
	"github.com/waybill-hub/waybill/internal/schedule"
	"github.com/waybill-hub/waybill/internal/state"
)

// script is a system that is polled: it answers one step after the other, and nothing new after the last.
type script struct {
	mu    sync.Mutex
	steps []step
	asked []connector.PollRequest
}

type step struct {
	page   connector.Page
	err    error
	panics bool
	block  chan struct{}
}

func (s *script) Probe(context.Context) error { return nil }
func (s *script) Close() error                { return nil }

func (s *script) Poll(ctx context.Context, r connector.PollRequest) (connector.Page, error) {
	s.mu.Lock()
	s.asked = append(s.asked, r)
	if len(s.steps) == 0 {
		s.mu.Unlock()
		return connector.Page{Cursor: r.Cursor}, nil
	}
	st := s.steps[0]
	s.steps = s.steps[1:]
	s.mu.Unlock()
	if st.block != nil {
		select {
		case <-st.block:
		case <-ctx.Done():
			return connector.Page{}, context.Cause(ctx)
		}
	}
	if st.panics {
		panic("nil pointer")
	}
	return st.page, st.err
}

func (s *script) add(steps ...step) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.steps = append(s.steps, steps...)
}

func (s *script) requests() []connector.PollRequest {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked)
}

func (s *script) left() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.steps)
}

func rec(local, version, doc string) connector.Record {
	return connector.Record{Local: local, Version: version, Doc: []byte(doc)}
}

func page(cursor string, records ...connector.Record) step {
	return step{page: connector.Page{Cursor: cursor, Records: records}}
}

func more(cursor string, records ...connector.Record) step {
	return step{page: connector.Page{Cursor: cursor, Records: records, More: true}}
}

func polled(s *script) Source {
	return Source{Key: inboxtest.Field("k"), Poll: &Poll{Poller: s, Object: "sale", When: schedule.Every(10 * time.Second), Overlap: time.Minute, Limit: 50}}
}

// docs are the documents that were published, in order.
func (b *bench) docs() []string {
	var out []string
	for _, e := range b.Topic.Events() {
		out = append(out, string(e.Data))
	}
	return out
}

// settle turns the clock until the script is done and the inbox is empty.
func (b *bench) settle(s *script, events int) {
	b.T.Helper()
	b.Turn(fmt.Sprint(events, " events"), func() bool { return s.left() == 0 && b.Topic.Count() >= events && b.Unpublished() == 0 })
	polls := len(s.requests())
	b.Turn("two quiet polls", func() bool { return len(s.requests()) >= polls+2 && b.Unpublished() == 0 })
	if n := b.Topic.Count(); n != events {
		b.T.Errorf("%d events, want %d: %v", n, events, b.docs())
	}
}

func TestPollPagesAndCursor(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		s := &script{}
		s.add(more("c1", rec("1", "v1", `{"k":"a"}`), rec("2", "v1", `{"k":"b"}`)), page("c2", rec("3", "v2", `{"k":"c"}`)))
		b.start(polled(s))
		b.settle(s, 3)
		asked := s.requests()
		for i, want := range []string{"", "c1", "c2", "c2"} {
			if asked[i].Cursor != want || asked[i].Overlap != time.Minute || asked[i].Limit != 50 || asked[i].Object != "sale" {
				t.Errorf("request %d: %+v", i, asked[i])
			}
		}
		for _, e := range b.Topic.Events() {
			if e.Version == "" || e.Version[0] != 'v' || e.Trace == "" || !strings.Contains(e.ID, "@"+e.Version) {
				t.Errorf("event %+v", e)
			}
		}
		runs, err := b.Store.Runs(t.Context(), state.RunFilter{Kind: "poll", Name: "orders"})
		if err != nil || len(runs) != 1 || runs[0].State != "ok" || runs[0].Count != 3 {
			t.Errorf("runs %+v, %v: quiet polls leave no record", runs, err)
		}
	})
}

// TestOverlapRepeats: what the overlap shows again is not taken again, also after a restart.
func TestOverlapRepeats(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		s := &script{}
		again := []connector.Record{rec("1", "v1", `{"k":"a","n":1}`), rec("2", "v1", `{"k":"b"}`)}
		s.add(page("c", again...), page("c", rec("1", "v1", `{"n":1, "k":"a"}`), again[1]), page("c", again...)) // the order of members is no change
		b.start(polled(s))
		b.settle(s, 2)
		b.crash()
		s.add(page("c", append(again, rec("3", "v3", `{"k":"c"}`))...))
		b.start(polled(s))
		b.settle(s, 3)
	})
}

// TestChangeBackIsNotLost: A, then B, then A again.
func TestChangeBackIsNotLost(t *testing.T) {
	a, bb := `{"k":"x","s":"A"}`, `{"k":"x","s":"B"}`
	for _, c := range []struct {
		name  string
		steps []step
		want  []string
	}{
		{"each with its version", []step{page("c", rec("1", "1", a)), page("c", rec("1", "2", bb)), page("c", rec("1", "3", a))}, []string{a, bb, a}},
		{"within one second", []step{page("c", rec("1", "1", a)), page("c", rec("1", "1", bb)), page("c", rec("1", "1", a))}, []string{a, bb, a}},
		{"within one second, repeated", []step{page("c", rec("1", "1", a)), page("c", rec("1", "1", bb)), page("c", rec("1", "1", a)), page("c", rec("1", "1", a)), page("c", rec("1", "1", bb))}, []string{a, bb, a, bb}},
		{"without a version", []step{page("c", rec("1", "", a)), page("c", rec("1", "", bb)), page("c", rec("1", "", a)), page("c", rec("1", "", a))}, []string{a, bb, a}},
		{"all on one page", []step{page("c", rec("1", "1", a), rec("1", "1", bb), rec("1", "1", a))}, []string{a, bb, a}},
		{"all on one page, repeated", []step{
			page("c", rec("1", "1", a), rec("1", "1", bb), rec("1", "1", a)),
			page("c", rec("1", "1", a), rec("1", "1", bb), rec("1", "1", a)),
			page("c", rec("1", "1", a), rec("1", "1", bb), rec("1", "1", a))}, []string{a, bb, a}},
		{"a log that lists two states of one version", []step{
			page("c", rec("1", "1", a), rec("1", "1", bb)), page("c", rec("1", "1", a), rec("1", "1", bb)), page("c", rec("1", "1", a), rec("1", "1", bb))}, []string{a, bb}},
		{"an older version shown again", []step{page("c", rec("1", "1", a)), page("c", rec("1", "2", bb)), page("c", rec("1", "1", a)), page("c", rec("1", "2", bb))}, []string{a, bb}},
		{"a deletion is a change", []step{page("c", rec("1", "1", a)), page("c", connector.Record{Local: "1", Version: "1", Doc: []byte(a), Deleted: true})}, []string{a, a}},
	} {
		t.Run(c.name, func(t *testing.T) {
			onStores(t, func(t *testing.T, b *bench) {
				s := &script{}
				s.add(c.steps...)
				b.start(polled(s))
				b.settle(s, len(c.want))
				if got := b.docs(); !slices.Equal(got, c.want) {
					t.Errorf("got  %v\nwant %v", got, c.want)
				}
			})
		})
	}
}

func TestPolledDeletionWithoutDocument(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		s := &script{}
		s.add(page("c", connector.Record{Local: "17", Version: "5", Deleted: true}))
		b.start(polled(s))
		b.settle(s, 1)
		if e := b.Topic.Events()[0]; e.Key != "17" || e.Operation != "delete" || len(e.Data) != 0 {
			t.Errorf("event %+v", e)
		}
	})
}

func TestPollFailures(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		s := &script{}
		bad := step{err: fault.New(fault.Unavailable, "connection refused")}
		s.add(bad, step{panics: true}, step{err: errors.New("who knows")}, step{err: &fault.Error{Kind: fault.RateLimited, RetryAfter: 42 * time.Second, Err: errors.New("429")}})
		in := b.start(polled(s))
		b.Turn("the alarm", func() bool { return b.seen.Text(AlarmSource) != "" })
		if st := in.States()["orders"]; st.State != SourceFailing || st.Error == "" {
			t.Errorf("state %+v", st)
		}
		b.Turn("the 429", func() bool { return s.left() == 0 })
		at := b.Clock.Now()
		s.add(page("c", rec("1", "1", `{"k":"a"}`)))
		b.Turn("recovery", func() bool { return b.Topic.Count() == 1 && b.seen.Text(AlarmSource) == "" })
		if waited := b.Clock.Now().Sub(at); waited < 41*time.Second {
			t.Errorf("Retry-After of 42 s was not heeded: %v", waited)
		}
		b.Turn("the state", func() bool { return in.States()["orders"].State == SourceOK })
		runs, err := b.Store.Runs(t.Context(), state.RunFilter{Kind: "poll", Name: "orders"})
		if err != nil || len(runs) != 5 {
			t.Errorf("%d runs, %v", len(runs), err)
		}
	})
}

// TestStoreThatTakesNothing: a source that was read is not blamed for the hub's own store, however long that takes nothing.
func TestStoreThatTakesNothing(t *testing.T) {
	onSQLite(t, func(t *testing.T, b *bench) {
		var away atomic.Bool
		away.Store(true)
		b.between = func(s Store) Store { return &absent{s, &away} }
		s := &script{}
		for range 2 * alarmTries {
			s.add(page("c", rec("1", "1", `{"k":"a"}`)))
		}
		in := b.start(polled(s))
		b.Turn("the tries", func() bool { return s.left() <= 1 })
		if st := in.States()["orders"]; st.State != SourceFailing || b.seen.Text(AlarmSource) != "" || b.seen.told() > 0 {
			t.Errorf("state %+v, alarm %q, %d times told of the source", st, b.seen.Text(AlarmSource), b.seen.told())
		}
		away.Store(false)
		b.Turn("the event", func() bool { return b.Topic.Count() == 1 })
	})
}

// absent accepts nothing for a while.
type absent struct {
	Store
	away *atomic.Bool
}

func (a *absent) Accept(ctx context.Context, rows []state.Inbound, cur *state.Cursor, lease *state.Lease) ([]state.Accepted, []int64, error) {
	if a.away.Load() {
		return nil, nil, &fault.Error{Kind: fault.Unavailable, System: "store", Err: errors.New("accept: connection refused")}
	}
	return a.Store.Accept(ctx, rows, cur, lease)
}

// TestAuthPauses: after a 401 the system is not asked again until a person says so.
func TestAuthPauses(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		s := &script{}
		s.add(step{err: &fault.Error{Kind: fault.Auth, Code: "401", Err: errors.New("bad credentials")}}, page("c", rec("1", "1", `{"k":"a"}`)))
		in := b.start(polled(s))
		b.Await("the pause and its alarm", func() bool { return in.States()["orders"].State == SourcePaused && b.seen.Text(AlarmAuth) != "" })
		for range 100 {
			b.Clock.Advance(time.Second)
			yield()
		}
		if n := len(s.requests()); n != 1 {
			t.Errorf("asked %d times", n)
		}
		if !in.ReadNow("orders") || in.ReadNow("other") {
			t.Error("ReadNow does not tell whether there is a source")
		}
		b.Turn("the event", func() bool { return b.Topic.Count() == 1 && b.seen.Text(AlarmAuth) == "" })
	})
}

func TestCursorThatStands(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		s := &script{}
		s.add(more("c1", rec("1", "1", `{"k":"a"}`)), more("c1", rec("1", "1", `{"k":"a"}`)))
		in := b.start(polled(s))
		b.Await("the failure", func() bool { return strings.Contains(in.States()["orders"].Error, "does not move its cursor") })
	})
}

// TestPollCommitLost: a commit whose answer was lost is looked up, not repeated.
func TestPollCommitLost(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		lost := false
		b.between = func(s Store) Store { return &forgetful{s, &lost} }
		s := &script{}
		s.add(page("c1", rec("1", "1", `{"k":"a"}`), rec("2", "", `{"k":"b"}`)), page("c2", rec("3", "1", `{"k":"c"}`)))
		b.start(polled(s))
		b.settle(s, 3)
		if asked := s.requests(); asked[1].Cursor != "c1" {
			t.Errorf("after the lost answer: %+v", asked[1])
		}
	})
}

// forgetful commits once without saying so.
type forgetful struct {
	Store
	lost *bool
}

func (f *forgetful) Accept(ctx context.Context, rows []state.Inbound, cur *state.Cursor, lease *state.Lease) ([]state.Accepted, []int64, error) {
	outcome, seqs, err := f.Store.Accept(ctx, rows, cur, lease)
	if len(rows) > 0 && !*f.lost {
		*f.lost = true
		return nil, nil, errors.New("timeout on commit")
	}
	return outcome, seqs, err
}

// TestPollIsDueAfterRestart: a timetable goes on where it was; what was missed is read at once.
func TestPollIsDueAfterRestart(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		s := &script{}
		source := func() Source {
			src := polled(s)
			src.Poll.When = schedule.Every(50 * time.Second)
			return src
		}
		b.start(source())
		var first time.Time
		b.Await("the first poll", func() bool {
			c, err := b.Store.Cursor(t.Context(), "orders")
			first = c.Updated
			return err == nil && !first.IsZero()
		})
		b.crash()
		b.start(source())
		b.turnAtRest("the second poll", func() bool { return len(s.requests()) == 2 })
		if at := b.Clock.Now().Sub(first); at < 50*time.Second || at > 60*time.Second {
			t.Errorf("polled again after %v", at)
		}
		b.crash()
		b.Clock.Advance(10 * time.Hour)
		b.start(source())
		b.Await("the third poll, at once", func() bool { return len(s.requests()) == 3 })
	})
}

// TestPollAfterSetBack: a clock that is set back an hour makes nothing rest for an hour, and one that is corrected a little repeats
// nothing.
func TestPollAfterSetBack(t *testing.T) {
	cron := func(line string) *schedule.Timetable {
		when, err := schedule.Parse(line, "UTC")
		if err != nil {
			t.Fatal(err)
		}
		return when
	}
	for name, when := range map[string]*schedule.Timetable{"a cron line": cron("* * * * *"), "a distance": schedule.Every(50 * time.Second)} {
		t.Run(name, func(t *testing.T) {
			onStores(t, func(t *testing.T, b *bench) {
				s := &script{}
				source := func() Source {
					src := polled(s)
					src.Poll.When = when
					return src
				}
				polls := 0
				again := func(what string) {
					t.Helper()
					polls++
					began := b.Clock.Now()
					b.turnAtRest(what, func() bool { return len(s.requests()) >= polls })
					if took := b.Clock.Now().Sub(began); took > 2*time.Minute || len(s.requests()) != polls {
						t.Errorf("%s: %d polls, %s after", what, len(s.requests()), took)
					}
				}
				b.start(source())
				again("the first poll")
				again("the second poll")
				b.Clock.Step(-time.Hour)
				again("the poll after the step")
				again("the poll after that")
				b.Await("the cursor", func() bool {
					c, err := b.Store.Cursor(t.Context(), "orders")
					return err == nil && !c.Updated.IsZero() && b.Clock.Now().Sub(c.Updated) < time.Minute && !c.Updated.After(b.Clock.Now())
				})
				b.crash()
				b.start(source())
				b.Await("the wait", func() bool { return b.intake.States()["orders"].State == SourceOK })
				b.Clock.Step(-time.Hour)
				again("the poll after a restart and a step")
			})
		})
	}
	for _, during := range []string{"between two reads", "during a read"} {
		t.Run("corrected "+during, func(t *testing.T) {
			onStores(t, func(t *testing.T, b *bench) {
				s := &script{}
				now := b.Clock.Now().UTC()
				due := now.Truncate(time.Minute).Add(2 * time.Minute)
				source := func() Source {
					src := polled(s)
					src.Poll.When = cron(fmt.Sprintf("%d %d * * *", due.Minute(), due.Hour()))
					return src
				}
				second := step{block: make(chan struct{})}
				s.add(step{}, second)
				b.start(source())
				b.turnAtRest("the first poll, and the due one", func() bool { return len(s.requests()) == 2 })
				committed := func() bool {
					c, err := b.Store.Cursor(t.Context(), "orders")
					return err == nil && !c.Updated.Before(due.Add(-5*time.Second))
				}
				ended := func() bool { return !b.intake.States()["orders"].Read.Before(due.Add(-5 * time.Second)) }
				if during == "during a read" {
					b.Clock.Step(-5 * time.Second)
					close(second.block)
					b.Await("its end", func() bool { return committed() && ended() })
				} else {
					close(second.block)
					b.Await("its end", func() bool { return committed() && ended() })
					b.Clock.Step(-5 * time.Second)
				}
				rest := func(what string) {
					t.Helper()
					at := b.Clock.Now()
					b.turnAtRest("30 seconds", func() bool { return b.Clock.Now().Sub(at) >= 30*time.Second })
					if n := len(s.requests()); n != 2 {
						t.Errorf("%s: a correction of five seconds repeats a poll: %d", what, n)
					}
				}
				if during == "between two reads" {
					b.crash() // the cursor is of the time before the correction
					b.start(source())
					rest("after a restart")
				} else {
					rest("at the due time that comes again")
				}
			})
		})
	}
}

// TestOnePollerAmongHubs: a source is read under its lease; the page of a hub that lost it is refused.
func TestOnePollerAmongHubs(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		s := &script{}
		block := make(chan struct{})
		st := page("stolen", rec("1", "1", `{"k":"a"}`))
		st.block = block
		s.add(st)
		b.start(polled(s))
		b.Turn("the request", func() bool { return len(s.requests()) == 1 })
		if _, ok, err := b.Store.AcquireLease(t.Context(), "poll/orders", "another", time.Hour); ok || err != nil {
			t.Fatalf("a second hub got the lease: %v %v", ok, err)
		}
		lease, ok, err := b.Store.AcquireLease(t.Context(), "poll/orders", "hub-1", time.Hour) // as after a takeover
		if !ok || err != nil {
			t.Fatal(err)
		}
		if err := b.Store.ReleaseLease(t.Context(), lease); err != nil {
			t.Fatal(err)
		}
		// Another one has it from now on, or the old one would soon work under it again.
		if _, ok, err := b.Store.AcquireLease(t.Context(), "poll/orders", "another", time.Hour); !ok || err != nil {
			t.Fatal(ok, err)
		}
		close(block)
		b.Turn("the end of the old one's work", func() bool { return b.intake.States()["orders"].State == SourceWaiting })
		if c, err := b.Store.Cursor(t.Context(), "orders"); err != nil || c.Value != "" {
			t.Errorf("the fenced poller moved the cursor to %q (%v)", c.Value, err)
		}
		if n := b.Unpublished() + b.Topic.Count(); n != 0 {
			t.Errorf("the fenced poller stored %d rows", n)
		}
	})
}

// TestNamedChanges: what a source names as changes of their own are taken once each, whatever they say, also after a crash between their commit and the
// cursor's, and where a place is given a second time to another change.
func TestNamedChanges(t *testing.T) {
	named := func(change, local, version, doc string) connector.Record {
		r := rec(local, version, doc)
		r.Change = change
		return r
	}
	const a = `{"k":"x","s":"A"}`
	onStores(t, func(t *testing.T, b *bench) {
		s := &script{}
		all := []connector.Record{named("log/0/1", "1", "v", a), named("log/0/2", "1", "v", a), named("log/0/3", "", "v", a), named("log/0/4", "", "v", a), named("log/1/1", "", "v", a)}
		s.add(more("c1", all...), page("c2"))
		b.start(polled(s))
		b.settle(s, 5)
		if e := b.Topic.Events()[0]; !strings.HasPrefix(e.ID, "log/0/1#") || e.Version != "v" {
			t.Errorf("event %+v", e)
		}
		s.add(page("c2", all...)) // read again
		b.settle(s, 5)
		b.crash()
		s.add(page("c2", append(all, named("log/0/1", "1", "v", `{"k":"x","s":"B"}`))...)) // the log was cut off
		b.start(polled(s))
		b.settle(s, 6)
	})
}
