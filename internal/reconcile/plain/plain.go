// Package plain compares two tables of databases of one kind as what they are: rows of columns, in the order of a key that both share. Nothing
// becomes a document but what differs. It streams both tables and merges them, or has the databases work out digests of ranges and reads only those
// ranges that differ.
package plain

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/compare"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/lifecycle"
)

// Table is an object of a system.
type Table struct {
	System connector.PlainReader
	Object string
}

// Column is a column by its name on either side. Within, where not nil, is how far its numbers may lie apart.
type Column struct {
	Left, Right string
	Within      *compare.Bound
}

// Spec says what is compared: rows of the same key, column by column.
type Spec struct {
	Key     []Column
	Columns []Column
}

// Path is how two tables are compared.
type Path string

const (
	// Pushed: digests in the databases, and then what differs.
	Pushed Path = "pushed"
	// Streamed: everything, in order.
	Streamed Path = "streamed"
)

// Options of a comparison. The zero value chooses the path itself.
type Options struct {
	// Stream reads everything even where digests could be asked for.
	Stream bool
	// AllowEmpty takes a side without any rows for empty; otherwise that is an EmptyError where the other side has rows.
	AllowEmpty bool
	// Progress hears now and then how far the comparison is.
	Progress func(Progress)
	Throttle Throttle
	// Clock is the machine's where nil.
	Clock lifecycle.Clock
}

// Progress is how far a comparison is: rows of either side that were compared or proved equal, and pairs that were found.
type Progress struct {
	Left, Right, Found int64
	// Waits says why nothing goes on; empty: it does.
	Waits string
}

// Kind is what is wrong with the rows of a key.
type Kind string

const (
	MissingLeft  Kind = "missing-left"
	MissingRight Kind = "missing-right"
	Different    Kind = "different"
	DoubledLeft  Kind = "doubled-left"
	DoubledRight Kind = "doubled-right"
	// NotCompared: a row cannot be read as the settings say.
	NotCompared Kind = "not-compared"
)

// Pair is a key whose rows are not the same.
type Pair struct {
	Kind Kind
	// Key as people read it, column by column; nil where the row of a NotCompared has none.
	Key []string
	// Left and Right are the values of Spec.Columns as documents show them; nil: the side has no such row. Of doubled rows they are the first ones.
	Left, Right []json.RawMessage
	// Fields are the places in Spec.Columns that differ.
	Fields []int
	// Rows is how many rows have the key on the side where it is doubled.
	Rows int
	// Err says why rows are not compared, and names the side's system and row.
	Err error
}

// Count is what was read of a side.
type Count struct {
	Rows int64
	// Unkeyed are rows that have no key, and were not compared.
	Unkeyed int64
	// Expected is about how many rows the system says that there are, or were when it counted last; -1: it does not know.
	Expected int64
}

// Result is what a comparison has found.
type Result struct {
	Left, Right Count
	// Compared counts keys of either side; Equal those that both sides have, once, with equal values.
	Compared, Equal int64
	// Read are rows that travelled, of both sides.
	Read int64
}

// EmptyError is an answer without any row from one side, while the other side has some: it proves nothing.
type EmptyError struct {
	Side     string // left or right
	Expected int64  // rows that the system says there are; -1: it does not know
}

func (e *EmptyError) Error() string {
	if e.Expected > 0 {
		return fmt.Sprintf("the %s side gave no rows, and says that it has about %d", e.Side, e.Expected)
	}
	return fmt.Sprintf("the %s side gave no rows, and the other side has some", e.Side)
}

// ErrOrder is wrapped where a side gives rows in another order than was asked for.
var ErrOrder = errors.New("gave rows that are not in the order of their keys")

// Comparison of two tables.
type Comparison struct {
	spec        Spec
	o           Options
	path        Path
	why         string
	hints       []string
	forms       []connector.PlainForm // of the key, then of the columns
	left, right *side
	gate        *gate
	result      Result
	yield       func(Pair) error
	// unique: both systems keep keys from coming twice.
	unique bool
	// buckets counts rows that were merged, by as many as a bucket has, and apart those in which something differed.
	buckets, apart int64
}

// Open asks both systems what their tables are, and chooses the path. A table or column that cannot be compared plainly wraps connector.ErrNotPlain.
func Open(ctx context.Context, left, right Table, spec Spec, o Options) (_ *Comparison, err error) {
	if o.Clock == nil {
		o.Clock = lifecycle.Real()
	}
	c := &Comparison{spec: spec, o: o, left: &side{name: "left", table: left}, right: &side{name: "right", table: right}}
	c.gate = newGate(o, left.System, right.System)
	if err := c.agree(ctx); err != nil {
		return nil, err
	}
	salt := rand.Int64()
	for _, s := range []*side{c.left, c.right} {
		if err := s.open(ctx, c, salt); err != nil {
			return nil, errors.Join(err, c.Close())
		}
	}
	c.choose()
	return c, nil
}

// agree finds for each column a form that both sides have.
func (c *Comparison) agree(ctx context.Context) error {
	l, err := c.left.table.System.PlainTable(ctx, c.left.table.Object)
	if err != nil {
		return err
	}
	r, err := c.right.table.System.PlainTable(ctx, c.right.table.Object)
	if err != nil {
		return err
	}
	if l.Group != r.Group {
		return fmt.Errorf("%s and %s are not of one kind: they %w", l.Group, r.Group, connector.ErrNotPlain)
	}
	if len(c.spec.Key) == 0 {
		return fmt.Errorf("without a key rows %w", connector.ErrNotPlain)
	}
	c.result.Left.Expected, c.result.Right.Expected = l.Rows, r.Rows
	for i, col := range append(append([]Column{}, c.spec.Key...), c.spec.Columns...) {
		f, err := common(l, r, col)
		if err != nil {
			return err
		}
		if col.Within != nil && i >= len(c.spec.Key) && f != connector.PlainNumber && f != connector.PlainInt {
			return fmt.Errorf("the column %s holds no numbers: with a tolerance it %w", col.Left, connector.ErrNotPlain)
		}
		c.forms = append(c.forms, f)
	}
	return nil
}

func common(l, r connector.PlainTable, col Column) (connector.PlainForm, error) {
	for _, f := range l.Forms[col.Left] {
		for _, g := range r.Forms[col.Right] {
			if f == g {
				return f, nil
			}
		}
	}
	why := "the sides hold values of different kinds"
	switch {
	case len(l.Forms[col.Left]) == 0:
		why = "on the left it " + reason(l.Others[col.Left])
	case len(r.Forms[col.Right]) == 0:
		why = "on the right it " + reason(r.Others[col.Right])
	}
	return "", fmt.Errorf("the column %s %w: %s", col.Left, connector.ErrNotPlain, why)
}

func reason(why string) string {
	if why == "" {
		return "is not listed in the settings"
	}
	return why
}

// choose says which path is taken.
func (c *Comparison) choose() {
	c.path = Streamed
	c.unique = c.left.session.Served().Unique && c.right.session.Served().Unique
	for _, s := range []*side{c.left, c.right} {
		if k := s.session.Served(); !k.Ordered {
			c.hints = append(c.hints, fmt.Sprintf("%s: no index serves the order of the key, so that the database sorts the whole table; %s would", s.name, k.Hint))
		} else if !k.Unique {
			c.hints = append(c.hints, fmt.Sprintf("%s: no unique index keeps the key from being there twice; %s would", s.name, k.Hint))
		}
	}
	l, lcan := c.left.session.(connector.Digester)
	r, rcan := c.right.session.(connector.Digester)
	switch {
	case c.o.Stream:
		c.why = "digests are not wanted"
	case !lcan || !rcan:
		c.why = "the systems cannot work out digests"
	case len(c.hints) > 0:
		c.why = "digests need a unique index on the key on both sides: " + strings.Join(c.hints, "; ")
	default:
		c.left.digester, c.right.digester = l, r
		c.path, c.why = Pushed, "both sides have a unique index on the key: only ranges that differ travel"
	}
}

// Path is how the tables are compared, and Why the reason for it.
func (c *Comparison) Path() Path  { return c.path }
func (c *Comparison) Why() string { return c.why }

// Hints say what would make the comparison cheaper.
func (c *Comparison) Hints() []string { return c.hints }

// Close ends the sessions.
func (c *Comparison) Close() error {
	var errs []error
	for _, s := range []*side{c.left, c.right} {
		if s.session != nil {
			errs = append(errs, s.session.Close())
		}
	}
	return errors.Join(errs...)
}

// Run compares once, and hands every pair that is not equal to yield, in the order of the keys; an error of yield ends it. After an error the pairs
// that were handed over are true of what had been read, and nothing is said of the rest.
func (c *Comparison) Run(ctx context.Context, yield func(Pair) error) (Result, error) {
	c.yield = yield
	err := c.gate.pass(ctx, c.tell)
	if err == nil {
		err = c.unkeyed(ctx)
	}
	if err == nil {
		if c.path == Pushed {
			err = c.push(ctx)
		} else {
			err = c.merge(ctx, connector.KeyRange{})
		}
	}
	c.tell("")
	return c.result, err
}

func (c *Comparison) unkeyed(ctx context.Context) (err error) {
	if c.result.Left.Unkeyed, err = c.left.session.Unkeyed(ctx); err != nil {
		return err
	}
	c.result.Right.Unkeyed, err = c.right.session.Unkeyed(ctx)
	return err
}

func (c *Comparison) tell(waits string) {
	if c.o.Progress != nil {
		c.o.Progress(Progress{Left: c.result.Left.Rows, Right: c.result.Right.Rows, Found: c.result.Compared - c.result.Equal, Waits: waits})
	}
}

// telling is how often Progress hears.
const telling = time.Second
