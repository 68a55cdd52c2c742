// Package rows measures the comparison of two tables in PostgreSQL: merely reading both in order, and the two paths of a reconciliation of plain
// columns. `make bench-reconcile` runs each in a process of its own, beside other tools, on the same tables.
package rows

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/waybill-hub/waybill/connectors/sql"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/reconcile/plain"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// Modes of a part.
const (
	Reading  = "reading"
	Streamed = "streamed"
	Pushed   = "pushed"
	Expected = "expected"
)

// Options of a part: two databases with a table t of Rows rows, which Make has filled.
type Options struct {
	Mode, Left, Right string
	// Rows and Differences as Make had them.
	Rows, Differences int
	// Wide is how many bytes each row's text has beyond the ordinary; the rows are compared with those alone.
	Wide int
	// Unthrottled: the comparison does not look at how the databases do.
	Unthrottled bool
	Out         io.Writer
}

// columns of the table: about 100 bytes a row.
const columns = "id, code, name, amount, qty, changed"

// place is the number of the n-th of the rows that differ.
func (o *Options) place(n int) int {
	return 1 + int((int64(n)*2+1)*int64(o.Rows)/int64(2*o.Differences))
}

// kinds of differences, in turn: of ten rows six are changed, and two are missing on either side.
func kindOf(n int) plain.Kind {
	switch n % 10 {
	case 6, 7:
		return plain.MissingRight
	case 8, 9:
		return plain.MissingLeft
	}
	return plain.Different
}

// key is the id of a row: ids have gaps.
func key(row int) int64 { return int64(row) * 3 }

// Make fills a table t of a database: as the left or the right side has it.
func (o *Options) Make(ctx context.Context, url string, right bool) (err error) {
	c, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close(ctx)) }()
	name := "'Item number ' || md5(g::text)"
	if o.Wide > 0 {
		name = fmt.Sprintf("(SELECT string_agg(md5(g || ' ' || n), '') FROM generate_series(1, %d) n)", o.Wide/32)
	}
	var gone, changed []int64
	for n := range o.Differences {
		switch k := kindOf(n); {
		case k == plain.MissingLeft && !right, k == plain.MissingRight && right:
			gone = append(gone, key(o.place(n)))
		case k == plain.Different && right:
			changed = append(changed, key(o.place(n)))
		}
	}
	for _, q := range []struct {
		text string
		args []any
	}{
		{"BEGIN", nil}, // a table of its own transaction needs no log
		{"CREATE TABLE t (id bigint, code text NOT NULL, name text, amount numeric(12,2), qty integer, changed timestamptz)", nil},
		{"ALTER TABLE t ALTER name SET STORAGE EXTERNAL", nil},
		{fmt.Sprintf("INSERT INTO t SELECT g::bigint * 3, 'SKU-' || lpad((g %% 100000)::text, 8, '0'), %s, (g::bigint * 7919 %% 1000000) / 100.0, g %% 1000, timestamptz '2026-01-01' + (g %% 10000000) * interval '1 second' FROM generate_series(1, %d) g", name, o.Rows), nil},
		{"ALTER TABLE t ADD PRIMARY KEY (id)", nil},
		{"COMMIT", nil},
		{"DELETE FROM t WHERE id = ANY($1)", []any{gone}},
		{"UPDATE t SET amount = amount + 0.01 WHERE id = ANY($1)", []any{changed}},
		{"VACUUM (ANALYZE) t", nil},
	} {
		if _, err := c.Exec(ctx, q.text, q.args...); err != nil {
			return fmt.Errorf("%s: %w", q.text, err)
		}
	}
	return nil
}

// Run does one part, checks what it has found, and says in a line what it took.
func Run(ctx context.Context, o Options) error {
	if o.Mode == Expected {
		for _, id := range slices.Sorted(maps.Keys(o.expected())) {
			fmt.Fprintln(o.Out, id)
		}
		return nil
	}
	begun := time.Now()
	text := ""
	var err error
	if o.Mode == Reading {
		text, err = o.read(ctx)
	} else {
		text, err = o.compare(ctx)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(o.Out, "%s_seconds=%.2f %s_rss_mb=%d %s\n", o.Mode, time.Since(begun).Seconds(), o.Mode, peak()>>20, text)
	return err
}

// read reads both tables in order, at the same time, and looks at nothing.
func (o *Options) read(ctx context.Context) (string, error) {
	type answer struct {
		rows int
		err  error
	}
	answers := make(chan answer, 2)
	for _, url := range []string{o.Left, o.Right} {
		go func() {
			n, err := readTable(ctx, url)
			answers <- answer{n, err}
		}()
	}
	a, b := <-answers, <-answers
	return fmt.Sprintf("rows=%d", a.rows+b.rows), errors.Join(a.err, b.err)
}

func readTable(ctx context.Context, url string) (n int, err error) {
	c, err := pgx.Connect(ctx, url)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, c.Close(ctx)) }()
	rows, err := c.Query(ctx, "SELECT "+columns+" FROM t ORDER BY id", pgx.QueryResultFormats{pgx.BinaryFormatCode})
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	for rows.Next() {
		if len(rows.RawValues()) > 0 {
			n++
		}
	}
	return n, rows.Err()
}

// expected are the pairs to find, by key.
func (o *Options) expected() map[int64]plain.Kind {
	out := map[int64]plain.Kind{}
	for n := range o.Differences {
		out[key(o.place(n))] = kindOf(n)
	}
	return out
}

func (o *Options) compare(ctx context.Context) (_ string, err error) {
	l, err := system(ctx, "left", o.Left)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	r, err := system(ctx, "right", o.Right)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	spec := plain.Spec{Key: []plain.Column{{Left: "id", Right: "id"}}}
	for _, name := range []string{"code", "name", "amount", "qty", "changed"} {
		spec.Columns = append(spec.Columns, plain.Column{Left: name, Right: name})
	}
	c, err := plain.Open(ctx, plain.Table{System: l, Object: "t"}, plain.Table{System: r, Object: "t"}, spec, plain.Options{Stream: o.Mode == Streamed, Throttle: plain.Throttle{Off: o.Unthrottled}})
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	want, found := o.expected(), 0
	res, err := c.Run(ctx, func(p plain.Pair) error {
		id, err := strconv.ParseInt(p.Key[0], 10, 64)
		if err != nil || want[id] != p.Kind {
			return errors.Join(fmt.Errorf("%s %s is no difference that was made, or was found twice", p.Kind, p.Key), err)
		}
		delete(want, id)
		found++
		return nil
	})
	if err == nil && len(want) > 0 {
		err = fmt.Errorf("%d differences were not found", len(want))
	}
	if err == nil && string(c.Path()) != o.Mode {
		err = fmt.Errorf("the path is %s: %s", c.Path(), c.Why())
	}
	return fmt.Sprintf("compared=%d found=%d travelled=%d", res.Compared, found, res.Read), err
}

func system(ctx context.Context, name, url string) (connector.PlainReader, error) {
	variable := "WAYBILL_BENCH_ROWS_" + name
	if err := os.Setenv(variable, url); err != nil {
		return nil, err
	}
	yaml := fmt.Sprintf("connector: sql\ndriver: postgres\nurl: ${env:%s}\nobjects:\n  t: {table: t, columns: {id: integer, code: text, name: text, amount: decimal, qty: integer, changed: timestamp}}\n", variable)
	var p strictyaml.Problems
	docs := strictyaml.Parse("bench", []byte(yaml), &p)
	if err := p.Err(); err != nil {
		return nil, err
	}
	s, err := sql.Kind{}.Open(ctx, connector.Settings{Name: name, Node: docs[0]})
	if err != nil {
		return nil, err
	}
	return s.(connector.PlainReader), nil
}

// peak is the largest resident memory that this process has had, as Linux tells it; 0 where it does not.
func peak() (bytesMost int64) {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, rest, _ := bytes.Cut(b, []byte("VmHWM:"))
	var kb int64
	if _, err := fmt.Sscan(string(rest), &kb); err != nil {
		return 0
	}
	return kb << 10
}
