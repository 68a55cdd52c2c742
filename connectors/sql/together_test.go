package sql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
)

// crowd holds a database's changes up until all that are asked for wait, and counts its transactions.
type crowd struct {
	db   *database
	mu   sync.Mutex
	sets []int // changes of each transaction
}

func newCrowd(db *database) *crowd {
	c := &crowd{db: db}
	run := db.changes.Run
	db.changes.Run = func(batch []*pending) {
		c.mu.Lock()
		c.sets = append(c.sets, len(batch))
		c.mu.Unlock()
		run(batch)
	}
	return c
}

// make carries writes out that wait together, and gives each one's answer.
func (c *crowd) make(t *testing.T, ctxs map[int]context.Context, writes []connector.Write) ([]connector.Result, []error) {
	t.Helper()
	results, errs := make([]connector.Result, len(writes)), make([]error, len(writes))
	calls := make([]func(), len(writes))
	for i := range writes {
		ctx := ctxs[i]
		if ctx == nil {
			ctx = t.Context()
		}
		calls[i] = func() { results[i], errs[i] = c.db.Write(ctx, writes[i]) }
	}
	c.together(calls)
	return results, errs
}

// change carries changes out that wait together, and gives each one's answer.
func (c *crowd) change(t *testing.T, changes ...func(context.Context, *sql.Tx) error) []error {
	t.Helper()
	errs, calls := make([]error, len(changes)), make([]func(), len(changes))
	for i, fn := range changes {
		calls[i] = func() { errs[i] = c.db.change(t.Context(), "create order", nil, true, fn) }
	}
	c.together(calls)
	return errs
}

// together makes calls, each of which asks for one change, and lets the first change begin when all wait, in their order.
func (c *crowd) together(calls []func()) {
	release := c.db.changes.Hold()
	var all sync.WaitGroup
	for i, call := range calls {
		all.Go(call)
		for c.db.changes.Waiting() <= i {
			runtime.Gosched()
		}
	}
	release()
	all.Wait()
}

func creating(code string) connector.Write {
	return connector.Write{Object: "order", Action: connector.Create, External: "ext-" + code, Doc: fmt.Appendf(nil, `{"code":%q,"name":"n"}`, code)}
}

// adding is a change that adds a row, and does something else besides.
func adding(code string, besides ...func(context.Context)) func(context.Context, *sql.Tx) error {
	return func(ctx context.Context, tx *sql.Tx) error {
		for _, do := range besides {
			do(ctx)
		}
		_, err := tx.ExecContext(ctx, "INSERT INTO orders (code) VALUES ('"+code+"')")
		return err
	}
}

func answers(errs []error) string {
	out := ""
	for _, err := range errs {
		word := "made"
		if err != nil {
			word = fault.KindOf(err).String()
			if e, ok := fault.As(err); ok && e.Duplicate {
				word = "double"
			}
		}
		if out != "" {
			out += " "
		}
		out += word
	}
	return out
}

// What waits goes together; each has its own answer.
func TestTogether(t *testing.T) {
	both(t, func(t *testing.T, p *place) {
		p.tables(t)
		db := open(t, p, orders)
		c := newCrowd(db)
		if _, err := db.Write(t.Context(), creating("there")); err != nil {
			t.Fatal(err)
		}
		bad := creating("bad")
		bad.Doc = []byte(`{"code":"bad","name":"forbidden"}`)
		twin := creating("twin")
		twin.External = "ext-A"
		unknown := connector.Write{Object: "order", Action: connector.Update, Local: "99999", Doc: []byte(`{"name":"x"}`)}
		results, errs := c.make(t, nil, []connector.Write{creating("A"), bad, creating("there"), creating("B"), twin, unknown, creating("C")})
		if got, want := answers(errs), "made invalid double made double not-found made"; got != want {
			t.Errorf("answers: %s, want %s", got, want)
		}
		// What fails beside others is made again alone, and says then what is wrong.
		if fmt.Sprint(c.sets) != "[1 7 1 1 1 1]" {
			t.Errorf("changes of each transaction: %v", c.sets)
		}
		if got := p.text(t, "SELECT count(*) FROM orders"); got != "4" {
			t.Errorf("%s rows", got)
		}
		for i, code := range map[int]string{0: "A", 3: "B", 6: "C"} {
			if got := p.text(t, "SELECT code FROM orders WHERE id = "+results[i].Local); got != code {
				t.Errorf("%s is told to be row %q, which is %q", code, results[i].Local, got)
			}
		}
	})
}

// No more go together than the setting says, and with 1 none do.
func TestTogetherAtMost(t *testing.T) {
	for batch, want := range map[int]string{1: "[1 1 1 1 1]", 2: "[2 2 1]"} {
		p := newSQLite(t)
		p.tables(t)
		db := open(t, p, fmt.Sprintf("limit: {batch: %d}\n", batch)+orders)
		c := newCrowd(db)
		_, errs := c.make(t, nil, []connector.Write{creating("A"), creating("B"), creating("C"), creating("D"), creating("E")})
		if got := answers(errs); got != "made made made made made" || fmt.Sprint(c.sets) != want {
			t.Errorf("batch %d: %s in %v, want %s", batch, got, c.sets, want)
		}
	}
}

// What the database refuses only at the commit is found out one by one, and what failed because of it is tried again. MariaDB looks at no constraint as late as that.
func TestTogetherFailsAtTheCommit(t *testing.T) {
	but(t, "mysql", func(t *testing.T, p *place) {
		p.tables(t)
		p.exec(t, "CREATE TABLE parent (id integer PRIMARY KEY)")
		p.exec(t, "INSERT INTO parent VALUES (1)")
		p.exec(t, "CREATE TABLE item (id integer PRIMARY KEY, external_id text UNIQUE, parent integer REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED)")
		db := open(t, p, "limit: {concurrency: 1}\nobjects: {item: {table: item, external-id: external_id, columns: {id: integer, external_id: text, parent: integer}}}")
		item := func(id, parent int, ext string) connector.Write {
			return connector.Write{Object: "item", Action: connector.Create, External: ext, Doc: fmt.Appendf(nil, `{"id":%d,"parent":%d}`, id, parent)}
		}
		// The last is the double of the orphan, which is never there.
		_, errs := newCrowd(db).make(t, nil, []connector.Write{item(1, 1, "a"), item(2, 7, "orphan"), item(3, 1, "b"), item(4, 1, "orphan")})
		if got, want := answers(errs), "made invalid made made"; got != want {
			t.Errorf("answers: %s, want %s (%v)", got, want, errors.Join(errs...))
		}
		if got := p.text(t, "SELECT count(*) FROM item"); got != "3" {
			t.Errorf("%s rows", got)
		}
	})
}

// A change that is not the hub's to make any more is not made, and those beside it are.
func TestTogetherWithOneThatIsFenced(t *testing.T) {
	both(t, func(t *testing.T, p *place) {
		p.tables(t)
		db := open(t, p, orders)
		replaced := errors.New("replaced")
		fenced := connector.WithFence(t.Context(), func(context.Context) error { return replaced })
		_, errs := newCrowd(db).make(t, map[int]context.Context{1: fenced}, []connector.Write{creating("A"), creating("B"), creating("C")})
		if errs[0] != nil || !errors.Is(errs[1], replaced) || errs[2] != nil {
			t.Errorf("answers: %v", errs)
		}
		if got := p.text(t, "SELECT count(*) FROM orders WHERE code = 'B'") + " " + p.text(t, "SELECT count(*) FROM orders"); got != "0 2" {
			t.Errorf("rows of the fenced one, and in all: %s", got)
		}
	})
}

// A row that somebody else has locked keeps nobody else waiting.
func TestTogetherWithALockedRow(t *testing.T) {
	p := newPostgres(t)
	p.tables(t)
	db := open(t, p, orders)
	var ids []string
	for _, code := range []string{"A", "B", "C"} {
		res, err := db.Write(t.Context(), creating(code))
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, res.Local)
	}
	tx, err := p.db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback() //nolint:errcheck // where the test has failed before
	if _, err := tx.Exec("SELECT 1 FROM orders WHERE code = 'A' FOR UPDATE"); err != nil {
		t.Fatal(err)
	}
	renaming := func(i int) connector.Write {
		return connector.Write{Object: "order", Action: connector.Update, Local: ids[i], Doc: []byte(`{"name":"new"}`)}
	}
	go func() {
		// The others are there while the first still waits.
		for ctx := t.Context(); ctx.Err() == nil; time.Sleep(time.Millisecond) {
			if p.text(t, "SELECT count(*) FROM orders WHERE name = 'new'") == "2" {
				break
			}
		}
		_ = tx.Commit()
	}()
	c := newCrowd(db)
	_, errs := c.make(t, nil, []connector.Write{renaming(0), renaming(1), renaming(2)})
	if got := answers(errs); got != "made made made" || fmt.Sprint(c.sets) != "[3 1]" { // it has not waited until nothing of it could be kept
		t.Errorf("answers: %s (%v) in %v", got, errors.Join(errs...), c.sets)
	}
}

// One whose caller waits no longer does not keep the others, and is not made.
func TestTogetherWithOneThatGivesUp(t *testing.T) {
	both(t, func(t *testing.T, p *place) {
		p.tables(t)
		db := open(t, p, "limit: {concurrency: 1}\n"+orders)
		ctx, cancel := context.WithCancel(t.Context())
		asked := 0
		giving := connector.WithFence(ctx, func(context.Context) error { asked++; return nil })
		run := db.changes.Run
		db.changes.Run = func(batch []*pending) {
			if len(batch) == 3 {
				cancel()
			}
			run(batch)
		}
		_, errs := newCrowd(db).make(t, map[int]context.Context{1: giving}, []connector.Write{creating("A"), creating("B"), creating("C")})
		if got := answers(errs); got != "made unavailable made" || asked != 0 {
			t.Errorf("answers: %s (%v); the fence was asked %d times", got, errors.Join(errs...), asked)
		}
		if got := p.text(t, "SELECT count(*) FROM orders WHERE code = 'B'"); got != "0" {
			t.Errorf("%s rows of the one that gave up", got)
		}
	})
}

// A fault of the connector fails one change, not the hub, and not those beside it.
func TestTogetherWithOneThatPanics(t *testing.T) {
	both(t, func(t *testing.T, p *place) {
		p.tables(t)
		db := open(t, p, "limit: {concurrency: 1}\n"+orders)
		errs := newCrowd(db).change(t, func(context.Context, *sql.Tx) error { panic("a mistake") }, adding("A"))
		if got := p.text(t, "SELECT count(*) FROM orders"); errs[0] == nil || errs[1] != nil || got != "1" {
			t.Errorf("answers: %v; %s rows", errs, got)
		}
	})
}
