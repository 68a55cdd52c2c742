package sql

import (
	"context"
	"database/sql/driver"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/timetext"
)

// rangesAtOnce is how many ranges one statement reads, or digests: each is a SELECT of its own in it.
const rangesAtOnce = 100

// bind gives a value of the key as a parameter beside its expression.
func (s *mysqlSession) bind(st *statement, k mysqlKey, v []byte) string {
	switch k.form {
	case connector.PlainInt, connector.PlainUnix, connector.PlainUnixMilli:
		return st.arg(int64(binary.BigEndian.Uint64(v)))
	case connector.PlainNumber:
		return s.db.dialect.value(st, "decimal", k.form.Text(v))
	}
	if k.native {
		return st.arg(k.form.Text(v))
	}
	return "CAST(" + st.arg(k.form.Text(v)) + " AS BINARY)"
}

// side is the condition that a key lies on one side of another: op is > or <=. Of several columns it is written out, with a condition on the first alone
// before it: for pairs no index is used.
func (s *mysqlSession) side(st *statement, op string, at [][]byte) string {
	strict := op[:1]
	last := len(s.key) - 1
	var from func(i int) string
	from = func(i int) string {
		if i == last {
			return s.key[i].expr + " " + op + " " + s.bind(st, s.key[i], at[i])
		}
		return "(" + s.key[i].expr + " " + strict + " " + s.bind(st, s.key[i], at[i]) + " OR " + s.key[i].expr + " = " + s.bind(st, s.key[i], at[i]) + " AND " + from(i+1) + ")"
	}
	if last == 0 {
		return from(0)
	}
	return s.key[0].expr + " " + strict + "= " + s.bind(st, s.key[0], at[0]) + " AND " + from(0)
}

// where is the condition of a range.
func (s *mysqlSession) where(st *statement, r connector.KeyRange) string {
	and := slices.Clone(s.filter)
	if r.After != nil {
		and = append(and, s.side(st, ">", r.After))
	}
	if r.Upto != nil {
		and = append(and, s.side(st, "<=", r.Upto))
	}
	if len(and) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(and, " AND ")
}

func (s *mysqlSession) keys() []string {
	out := make([]string, len(s.key))
	for i, k := range s.key {
		out[i] = k.expr
	}
	return out
}

func (s *mysqlSession) ordered() string { return " ORDER BY " + strings.Join(s.keys(), ", ") }

// named are expressions with their names: v1, v2, …
func named(prefix string, exprs []string) string {
	out := names(prefix, len(exprs))
	for i, e := range exprs {
		out[i] = e + " AS " + out[i]
	}
	return strings.Join(out, ", ")
}

func (s *mysqlSession) selected() []string {
	out := make([]string, len(s.columns))
	for i, c := range s.columns {
		out[i] = c.selected()
	}
	return out
}

// one reads a range, in order; limit 0: all of it.
func (s *mysqlSession) one(r connector.KeyRange, limit int) *statement {
	st := s.db.statement("SELECT " + strings.Join(s.selected(), ", ") + " FROM " + s.o.table + " AS t")
	st.WriteString(s.where(st, r) + s.ordered())
	if limit > 0 {
		st.WriteString(" LIMIT " + strconv.Itoa(limit))
	}
	return st
}

// many reads ranges, one after the other.
func (s *mysqlSession) many(ranges []connector.KeyRange) *statement {
	st := s.db.statement("SELECT " + strings.Join(names("v", len(s.columns)), ", ") + " FROM (")
	for i, r := range ranges {
		if i > 0 {
			st.WriteString(" UNION ALL ")
		}
		st.WriteString("SELECT " + strconv.Itoa(i) + " AS n, " + named("v", s.selected()) + ", " + named("k", s.keys()) + " FROM " + s.o.table + " AS t")
		st.WriteString(s.where(st, r))
	}
	st.WriteString(") AS x ORDER BY n, " + strings.Join(names("k", len(s.key)), ", "))
	return st
}

// mysqlRows reads ranges: one alone in pages, several small ones in one statement.
type mysqlRows struct {
	s      *mysqlSession
	ranges []connector.KeyRange
	result *mysqlResult
	values [][]byte
	bufs   [][]byte
	bad    error
	// last is the key of the last row; got counts the rows of the page, which has limit at most (0: it is no page), since begun.
	last       [][]byte
	got, limit int
	begun      time.Duration
	pages      int // of limit, the next time
	failed     error
}

// Rows reads ranges in order.
func (s *mysqlSession) Rows(ranges ...connector.KeyRange) connector.PlainRows {
	r := &mysqlRows{s: s, ranges: slices.Clone(ranges), last: make([][]byte, len(s.key)), values: make([][]byte, len(s.columns)), bufs: make([][]byte, len(s.columns)), pages: firstPage}
	for i := range r.bufs {
		r.bufs[i] = make([]byte, 0, 32) // an empty text is not null
	}
	s.live = r
	return r
}

func (r *mysqlRows) Next(ctx context.Context) (bool, error) {
	for r.failed == nil {
		if err := ctx.Err(); err != nil {
			r.failed = r.s.db.failure(r.s.o, err)
			break
		}
		if r.result == nil {
			if len(r.ranges) == 0 {
				r.s.live = nil
				return false, nil
			}
			if err := r.begin(ctx); err != nil {
				r.failed = r.s.db.failure(r.s.o, err)
				break
			}
		}
		ok, err := r.result.next()
		switch {
		case err != nil:
			r.failed = r.s.db.failure(r.s.o, err)
		case ok:
			r.got++
			r.take()
			return true, nil
		default:
			r.failed = r.s.db.failure(r.s.o, r.end())
		}
	}
	return false, r.failed
}

// begin asks for the next page or ranges.
func (r *mysqlRows) begin(ctx context.Context) (err error) {
	r.got, r.limit, r.begun = 0, 0, r.s.db.clock.Elapsed()
	if n := min(closed(r.ranges), rangesAtOnce); n > 1 {
		r.result, err = r.s.open(ctx, r.s.many(r.ranges[:n]))
		r.ranges = r.ranges[n:]
		return err
	}
	one := r.ranges[0]
	if r.s.served.Ordered {
		r.limit = r.pages
	} else {
		r.ranges = r.ranges[1:]
	}
	r.result, err = r.s.open(ctx, r.s.one(one, r.limit))
	return err
}

// end is at the end of a statement. Only an empty page ends a range: who gives fewer rows than were asked for may have more.
func (r *mysqlRows) end() error {
	err := r.result.close()
	r.result = nil
	if err != nil || r.limit == 0 {
		return err
	}
	if r.got == 0 {
		r.ranges, r.pages = r.ranges[1:], firstPage
		return nil
	}
	after := make([][]byte, len(r.last))
	for i, v := range r.last {
		after[i] = slices.Clone(v)
	}
	r.ranges[0].After = after
	r.pages = paced(r.limit, r.s.db.clock.Elapsed()-r.begun, pageTime, pageRows)
	return nil
}

// take turns the row into its forms.
func (r *mysqlRows) take() {
	r.bad = nil
	for i, c := range r.s.columns {
		v := r.result.values[i]
		if v == nil {
			r.values[i] = nil
			continue
		}
		out, err := c.append(r.bufs[i][:0], v)
		if err != nil && r.bad == nil {
			r.bad = fmt.Errorf("column %s: %w", c.name, err)
		}
		r.bufs[i], r.values[i] = out, out
	}
	for i := range r.last {
		r.last[i] = append(r.last[i][:0], r.values[i]...)
	}
	if r.bad != nil {
		texts := make([]string, len(r.s.key))
		for i, k := range r.s.key {
			texts[i] = short(k.form.Text(r.values[i]))
		}
		r.bad = r.s.db.noForm(r.s.o, strings.Join(texts, ", "), r.bad)
	}
}

func (r *mysqlRows) Row() ([][]byte, error) { return r.values, r.bad }

// Close leaves the rest unread: the session is of no use then, but to be closed.
func (r *mysqlRows) Close() error { return nil }

// append appends what the driver gives for a column, in its form.
func (c mysqlPlain) append(dst []byte, v driver.Value) ([]byte, error) {
	switch c.form {
	case connector.PlainInt, connector.PlainUnix, connector.PlainUnixMilli:
		n, err := wholeOf(v)
		return connector.AppendInt(dst, n), err
	case connector.PlainNumber:
		out, ok := connector.AppendNumber(dst, driverText(v))
		if !ok {
			return out, fmt.Errorf("%q is no number", short(driverText(v)))
		}
		return out, nil
	case connector.PlainBool:
		n, err := wholeOf(v)
		if err == nil && n != 0 && n != 1 {
			err = fmt.Errorf("%d is no truth value", n)
		}
		return append(dst, byte(n)), err
	case connector.PlainText:
		return append(dst, driverText(v)...), nil
	case connector.PlainUUID:
		b, err := hex.DecodeString(strings.ReplaceAll(driverText(v), "-", ""))
		return append(dst, b...), err
	}
	layout := "2006-01-02 15:04:05.999999999"
	if c.form == connector.PlainDate {
		layout = time.DateOnly
	}
	t, err := time.Parse(layout, driverText(v))
	switch {
	case err != nil:
		if _, why := timetext.Parse(driverText(v)); why != nil {
			err = fmt.Errorf("%q %w", short(driverText(v)), why)
		}
		return dst, err
	case c.form == connector.PlainDate:
		return connector.AppendDate(dst, t), nil
	}
	return connector.AppendInstant(dst, t), nil
}

func driverText(v driver.Value) string {
	switch v := v.(type) {
	case []byte:
		return string(v)
	case string:
		return v
	}
	return fmt.Sprint(v)
}

func wholeOf(v driver.Value) (int64, error) {
	if n, ok := v.(int64); ok {
		return n, nil
	}
	return strconv.ParseInt(driverText(v), 10, 64)
}

// Bounds gives the key of every every-th row: the server numbers them along the index.
func (s *mysqlSession) Bounds(ctx context.Context, after [][]byte, every, n int) (out [][][]byte, err error) {
	if err := s.indexed(); err != nil {
		return nil, err
	}
	keys := make([]string, len(s.key))
	for i, k := range s.key {
		keys[i] = k.selected()
	}
	values, order := strings.Join(names("v", len(s.key)), ", "), strings.Join(names("k", len(s.key)), ", ")
	st := s.db.statement("SELECT " + values + " FROM (SELECT " + values + ", ROW_NUMBER() OVER (ORDER BY " + order + ") AS n FROM (SELECT " + named("v", keys) + ", " + named("k", s.keys()) + " FROM " + s.o.table + " AS t")
	st.WriteString(s.where(st, connector.KeyRange{After: after}) + s.ordered() + " LIMIT " + strconv.Itoa(every*n) + ") AS y) AS x WHERE n % " + strconv.Itoa(every) + " = 0 ORDER BY n")
	err = s.each(ctx, st, func(v []driver.Value) error {
		key := make([][]byte, len(s.key))
		for i := range s.key {
			var err error
			if key[i], err = s.columns[i].append(nil, v[i]); err != nil {
				return err
			}
		}
		out = append(out, key)
		return nil
	})
	return out, err
}

// indexed refuses what would read the whole table again and again.
func (s *mysqlSession) indexed() error {
	if s.served.Ordered && s.served.Unique {
		return nil
	}
	return fmt.Errorf("%s: no unique index of %s serves the key: %s", s.db.name, s.o.Table, s.served.Hint)
}

var errNoHash = errors.New("the server gives no MD5 of a row: it may be larger than max_allowed_packet, or the server may know no MD5")

// Digest gives the digests of ranges.
func (s *mysqlSession) Digest(ctx context.Context, ranges []connector.KeyRange, most int) ([]connector.Digest, error) {
	if err := s.indexed(); err != nil {
		return nil, err
	}
	out := make([]connector.Digest, len(ranges))
	for from := 0; from < len(ranges); from += rangesAtOnce {
		st := s.db.statement("")
		for i, r := range ranges[from:min(from+rangesAtOnce, len(ranges))] {
			if i > 0 {
				st.WriteString(" UNION ALL ")
			}
			st.WriteString("SELECT " + strconv.Itoa(from+i) + " AS n, count(*) AS c, count(x.h) AS hashed, COALESCE(sum(x.o), 0) AS odd, COALESCE(sum(x.h), 0) AS s FROM (SELECT " + s.hash + " AS h, " + s.odd + " AS o FROM " + s.o.table + " AS t")
			st.WriteString(s.where(st, r) + s.ordered() + " LIMIT " + strconv.Itoa(most+1) + ") AS x")
		}
		err := s.each(ctx, st, func(v []driver.Value) error {
			var n [4]int64
			for i := range n {
				var err error
				if n[i], err = wholeOf(v[i]); err != nil {
					return err
				}
			}
			if n[1] != n[2] {
				return errNoHash
			}
			out[n[0]] = connector.Digest{Count: n[1], Odd: n[3], Hash: driverText(v[4])}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}
