package sql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/lifecycle"
)

// handClock gives the database a clock that the test moves.
func handClock(db *database) *lifecycle.Manual {
	clock := lifecycle.NewManual(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	db.clock = clock
	return clock
}

// What waits when a transaction has been filled for long enough goes in the next, beside what waits there.
func TestTogetherIsFilledForAMoment(t *testing.T) {
	both(t, func(t *testing.T, p *place) {
		p.tables(t)
		db := open(t, p, "limit: {concurrency: 1}\n"+orders)
		clock, c := handClock(db), newCrowd(db)
		var changes []func(context.Context, *sql.Tx) error
		for i := range 5 {
			changes = append(changes, adding(fmt.Sprint(i), func(context.Context) { clock.Advance(filling * 2 / 3) }))
		}
		errs := c.change(t, changes...)
		if got := answers(errs); got != "made made made made made" || fmt.Sprint(c.sets) != "[5 3 1]" {
			t.Errorf("answers: %s (%v) in %v", got, errors.Join(errs...), c.sets)
		}
		if got := p.text(t, "SELECT count(*) FROM orders"); got != "5" {
			t.Errorf("%s rows", got)
		}
	})
}

// What goes together has less time than what goes alone, and ends when one of its callers goes: it is not for the others to wait.
func TestTogetherHasLessTime(t *testing.T) {
	both(t, func(t *testing.T, p *place) {
		p.tables(t)
		db := open(t, p, "limit: {concurrency: 1}\n"+orders)
		c := newCrowd(db)
		var beside, alone time.Duration
		var ended error
		going, goes := context.WithCancel(t.Context())
		errs := make([]error, 3)
		call := func(i int, ctx context.Context, fn func(context.Context, *sql.Tx) error) func() {
			return func() { errs[i] = db.change(ctx, "create order", nil, true, fn) }
		}
		left := func(ctx context.Context) time.Duration {
			until, _ := ctx.Deadline()
			return time.Until(until)
		}
		c.together([]func(){
			call(0, t.Context(), adding("A", func(ctx context.Context) {
				if beside == 0 {
					beside = left(ctx)
				} else {
					alone = left(ctx)
				}
			})),
			call(1, going, adding("B", func(ctx context.Context) {
				goes()
				<-ctx.Done()
				ended = ctx.Err()
			})),
			call(2, t.Context(), adding("C")),
		})
		if got := answers(errs); got != "made unavailable made" || !errors.Is(ended, context.Canceled) {
			t.Errorf("answers: %s (%v); the transaction ended by %v", got, errors.Join(errs...), ended)
		}
		if beside > batchTime || alone <= batchTime || alone > db.set.Timeout {
			t.Errorf("beside others there were %s, and alone %s", beside, alone)
		}
	})
}

// Before the commit it is asked for each whether it may still be made, and asked for all again where that took long: by the last answer, the first may
// be another one.
func TestTogetherAsksAgainWhereTheAnswersTakeLong(t *testing.T) {
	replaced := errors.New("replaced")
	for name, tt := range map[string]struct {
		slow    int // so many times the second answer takes long
		refuses int // so many times the first is asked and says yes; 0: always
		answers string
		sets    string
		asked   int64 // the first, in all
	}{
		"at once":                      {0, 0, "made made made", "[3]", 1},
		"slow once":                    {1, 0, "made made made", "[3]", 2},
		"slow always":                  {9, 0, "made made made", "[3 1 1 1]", 3},
		"slow, and replaced meanwhile": {1, 1, "unavailable made made", "[3 1 1]", 2},
	} {
		t.Run(name, func(t *testing.T) {
			p := newSQLite(t)
			p.tables(t)
			db := open(t, p, "limit: {concurrency: 1}\n"+orders)
			clock, c := handClock(db), newCrowd(db)
			var asked, slept atomic.Int64
			first := connector.WithFence(t.Context(), func(context.Context) error {
				if n := asked.Add(1); tt.refuses > 0 && int(n) > tt.refuses {
					return replaced
				}
				return nil
			})
			second := connector.WithFence(t.Context(), func(context.Context) error {
				if int(slept.Add(1)) <= tt.slow {
					clock.Advance(fencing + time.Millisecond)
				}
				return nil
			})
			_, errs := c.make(t, map[int]context.Context{0: first, 1: second}, []connector.Write{creating("A"), creating("B"), creating("C")})
			if got := answers(errs); got != tt.answers || fmt.Sprint(c.sets) != tt.sets || asked.Load() != tt.asked {
				t.Errorf("answers: %s (%v) in %v; the first was asked %d times", got, errors.Join(errs...), c.sets, asked.Load())
			}
			if got, want := p.text(t, "SELECT count(*) FROM orders"), fmt.Sprint(strings.Count(tt.answers, "made")); got != want || tt.refuses > 0 && !errors.Is(errs[0], replaced) {
				t.Errorf("%s rows, want %s (%v)", got, want, errs[0])
			}
		})
	}
}

// One whose caller goes while it is asked whether the others may be made is not made, and the others are.
func TestTogetherWithOneThatGivesUpLate(t *testing.T) {
	both(t, func(t *testing.T, p *place) {
		p.tables(t)
		db := open(t, p, "limit: {concurrency: 1}\n"+orders)
		going, goes := context.WithCancel(t.Context())
		first := connector.WithFence(t.Context(), func(context.Context) error { goes(); return nil })
		_, errs := newCrowd(db).make(t, map[int]context.Context{0: first, 1: going}, []connector.Write{creating("A"), creating("B"), creating("C")})
		if got := answers(errs); got != "made unavailable made" {
			t.Errorf("answers: %s (%v)", got, errors.Join(errs...))
		}
		if got := p.text(t, "SELECT count(*) FROM orders WHERE code = 'B'"); got != "0" {
			t.Errorf("%s rows of the one that gave up", got)
		}
	})
}

// The time of a transaction that ends before the commit makes nothing doubtful: nothing was applied, and each is made alone.
func TestTogetherOutOfTimeBeforeTheCommit(t *testing.T) {
	both(t, func(t *testing.T, p *place) {
		p.tables(t)
		db := open(t, p, "limit: {concurrency: 1}\n"+orders)
		db.set.Timeout = time.Second
		c, asked := newCrowd(db), false
		slow := connector.WithFence(t.Context(), func(ctx context.Context) error {
			if !asked {
				asked = true
				passed, cancel := context.WithTimeout(ctx, db.set.Timeout+db.set.Timeout/10)
				defer cancel()
				<-passed.Done()
			}
			return nil
		})
		handClock(db) // so that the answers count as quick
		_, errs := c.make(t, map[int]context.Context{0: slow}, []connector.Write{creating("A"), creating("B")})
		if got := answers(errs); got != "made made" || fmt.Sprint(c.sets) != "[2 1 1]" {
			t.Errorf("answers: %s (%v) in %v", got, errors.Join(errs...), c.sets)
		}
	})
}

// A change whose caller goes before its commit was certainly not applied, and what is not to be applied is not asked for.
func TestGivenUpBeforeTheCommit(t *testing.T) {
	both(t, func(t *testing.T, p *place) {
		p.tables(t)
		db := open(t, p, orders)
		for name, duringTheFence := range map[string]bool{"while it is written": false, "while it is asked whether it may": true} {
			ctx, goes := context.WithCancel(t.Context())
			asked := 0
			fenced := connector.WithFence(ctx, func(context.Context) error {
				if asked++; duringTheFence {
					goes()
				}
				return nil
			})
			err := db.change(fenced, "create order", nil, true, func(_ context.Context, tx *sql.Tx) error {
				_, err := tx.Exec("INSERT INTO orders (code) VALUES ('A')")
				if !duringTheFence {
					goes()
				}
				return err
			})
			goes()
			if fault.KindOf(err) != fault.Unavailable || (asked > 0) != duringTheFence {
				t.Errorf("%s: %v; asked %d times", name, err, asked)
			}
			if got := p.text(t, "SELECT count(*) FROM orders"); got != "0" {
				t.Errorf("%s: %s rows", name, got)
			}
		}
	})
}

// A panic outside of a change, too, is an answer, and the lane goes on.
func TestLaneOutlivesAPanic(t *testing.T) {
	both(t, func(t *testing.T, p *place) {
		p.tables(t)
		db := open(t, p, "limit: {concurrency: 1}\n"+orders)
		for _, n := range []int{1, 2} {
			writes := []connector.Write{creating("A"), creating("B")}[:n]
			panics := connector.WithFence(t.Context(), func(context.Context) error { panic("a mistake") })
			_, errs := newCrowd(db).make(t, map[int]context.Context{0: panics}, writes)
			for _, err := range errs {
				if fault.KindOf(err) != fault.UnknownOutcome || !strings.Contains(err.Error(), "a fault of Waybill") || strings.Contains(err.Error(), "\n") {
					t.Errorf("%d together: %v", n, err)
				}
			}
		}
		if _, err := db.Write(t.Context(), creating("A")); err != nil {
			t.Errorf("afterwards: %v", err)
		}
		if got := p.text(t, "SELECT count(*) FROM orders"); got != "1" {
			t.Errorf("%s rows", got)
		}
	})
}

// Changes are made in as many lanes as the setting says, and what could not begin because all are at work is taken back by whoever does not wait for it.
func TestLanesOfChanges(t *testing.T) {
	p := newPostgres(t)
	p.tables(t)
	db := open(t, p, "limit: {concurrency: 2, batch: 1}\n"+orders)
	var busy, most atomic.Int64
	begun, let := make(chan struct{}, 3), make(chan struct{})
	working := func(context.Context, *sql.Tx) error {
		most.Store(max(most.Load(), busy.Add(1)))
		defer busy.Add(-1)
		begun <- struct{}{}
		<-let
		return nil
	}
	done := make(chan error, 3)
	for range 3 {
		go func() { done <- db.change(t.Context(), "create order", nil, true, working) }()
	}
	<-begun
	<-begun
	ctx, goes := context.WithCancel(t.Context())
	goes()
	err := db.change(ctx, "create order", nil, true, func(context.Context, *sql.Tx) error {
		t.Error("what was taken back is made")
		return nil
	})
	if fault.KindOf(err) != fault.Unavailable {
		t.Errorf("what was taken back: %v", err)
	}
	close(let)
	for range 3 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if most.Load() != 2 {
		t.Errorf("%d at once, want 2", most.Load())
	}
}

// What is made again alone has all lanes.
func TestMadeAloneInAllLanes(t *testing.T) {
	p := newPostgres(t)
	p.tables(t)
	db := open(t, p, "limit: {concurrency: 2}\n"+orders)
	begun, let := make(chan struct{}, 3), make(chan struct{})
	var changes []func(context.Context, *sql.Tx) error
	for range 3 {
		again := false
		changes = append(changes, func(context.Context, *sql.Tx) error {
			if !again {
				again = true
				return errors.New("not beside others")
			}
			begun <- struct{}{}
			<-let
			return nil
		})
	}
	done := make(chan []error)
	go func() { done <- newCrowd(db).change(t, changes...) }()
	for range 2 {
		select {
		case <-begun:
		case <-time.After(20 * time.Second):
			t.Error("one waits for the other")
		}
	}
	close(let)
	if errs := <-done; answers(errs) != "made made made" {
		t.Error(errs)
	}
}

// A commit that finds its transaction rolled back has applied nothing.
func TestCommitOfWhatWasRolledBack(t *testing.T) {
	both(t, func(t *testing.T, p *place) {
		p.tables(t)
		db := open(t, p, orders)
		tx, err := db.sql.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := tx.Rollback(); err != nil {
			t.Fatal(err)
		}
		if err := db.committed("create order", commit(tx)); fault.KindOf(err) != fault.Unavailable {
			t.Errorf("%v is %s", err, fault.KindOf(err))
		}
	})
}

// What PostgreSQL says of a transaction that it has ended by itself: nothing is wrong with the message. Its transaction_timeout is of version 17.
func TestEndedByPostgres(t *testing.T) {
	db := &database{name: "erp"}
	for _, code := range []string{"25P03", "25P04", "57014", "57P05"} {
		err := db.classify("create order", nil, true, &pgconn.PgError{Code: code, Message: "terminating connection"})
		if fault.KindOf(err) != fault.Unavailable {
			t.Errorf("%s: %v is %s", code, err, fault.KindOf(err))
		}
	}
}
