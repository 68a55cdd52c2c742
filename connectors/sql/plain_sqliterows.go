package sql

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
)

// ended takes the end of rows for none.
func ended(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// errPageFull ends a page that is as large as one may be.
var errPageFull = errors.New("the page is full")

// A page of SQLite is in memory as a whole.
const (
	pageBytes     = 4 << 20
	pageRowsLite  = 20_000
	firstPageLite = 1_000
	pageTimeLite  = 200 * time.Millisecond
)

// sqlitePlace is a key as the database has it, as a parameter of a condition.
type sqlitePlace []any

// condition of a range, with its parameters.
func (s *sqliteSession) condition(after, upto sqlitePlace) (where string, args []driver.NamedValue) {
	and := []string{s.filter}
	key := rowOf(s.keys()...)
	for _, end := range []struct {
		op string
		at sqlitePlace
	}{{" > ", after}, {" <= ", upto}} {
		if end.at == nil {
			continue
		}
		marks := make([]string, len(end.at))
		for i, v := range end.at {
			marks[i] = "?"
			args = append(args, driver.NamedValue{Ordinal: len(args) + 1, Value: v})
		}
		and = append(and, key+end.op+rowOf(marks...))
	}
	return " WHERE " + strings.Join(and, " AND "), args
}

// bindKey gives a key as parameters.
func (s *sqliteSession) bindKey(key [][]byte) sqlitePlace {
	if key == nil {
		return nil
	}
	out := make(sqlitePlace, len(key))
	for i, k := range s.key {
		text := k.form.Text(key[i])
		switch k.form {
		case connector.PlainText:
			out[i] = text
		case connector.PlainNumber:
			out[i] = numeric(text)
		default:
			out[i] = intOf(key[i])
		}
	}
	return out
}

// numeric is a number as the database has it: an integer, or a float.
func numeric(text string) any {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return text
	}
	return f
}

// sqliteRows reads ranges in pages.
type sqliteRows struct {
	s      *sqliteSession
	ranges []connector.KeyRange
	// page has the rows that were read; at is the present one.
	page []sqliteRow
	at   int
	// after is behind the last row that was read of the present range.
	after sqlitePlace
	limit int
	// sorted is how many rows of the sorted copy were read, where there is one.
	sorted int64
}

type sqliteRow struct {
	values [][]byte
	err    error
}

// Rows reads ranges in order.
func (s *sqliteSession) Rows(ranges ...connector.KeyRange) connector.PlainRows {
	r := &sqliteRows{s: s, ranges: ranges, limit: firstPageLite}
	r.enter()
	return r
}

func (r *sqliteRows) enter() {
	if len(r.ranges) > 0 {
		r.after = r.s.bindKey(r.ranges[0].After)
	}
}

func (r *sqliteRows) Next(ctx context.Context) (bool, error) {
	for r.at++; r.at >= len(r.page); r.at = 0 {
		if len(r.ranges) == 0 {
			return false, nil
		}
		if err := r.turn(ctx); err != nil {
			return false, err
		}
		if len(r.page) == 0 {
			r.ranges = r.ranges[1:]
			r.enter()
		}
		if len(r.page) > 0 {
			r.at = 0
			return true, nil
		}
	}
	return true, nil
}

// turn reads the next page.
func (r *sqliteRows) turn(ctx context.Context) error {
	r.page = r.page[:0]
	query, args, err := r.query(ctx)
	if err != nil {
		return err
	}
	begun, size := r.s.db.clock.Elapsed(), 0
	var last sqlitePlace
	err = r.s.query(ctx, query, args, func(v []driver.Value) error {
		row := r.s.read.row(v)
		if row.err != nil {
			row.err = r.s.db.noForm(r.s.o, rawKey(v[:len(r.s.key)]), row.err)
		}
		r.page = append(r.page, row)
		r.sorted++
		last = rawPlace(last[:0], v[:len(r.s.key)])
		for _, b := range row.values {
			size += len(b)
		}
		if size > pageBytes {
			return errPageFull
		}
		return nil
	})
	if last != nil {
		r.after = last
	}
	if errors.Is(err, errPageFull) {
		return nil
	}
	r.limit = paced(r.limit, r.s.db.clock.Elapsed()-begun, pageTimeLite, pageRowsLite)
	return err
}

// sortedCopy holds the rows in the order of a key that no index serves: a page of the table itself would sort it anew, and a statement that stays
// open would keep writers away.
const sortedCopy = "temp.waybill_sorted"

// query is that of the next page.
func (r *sqliteRows) query(ctx context.Context) (string, []driver.NamedValue, error) {
	s := r.s
	where, args := s.condition(r.after, s.bindKey(r.ranges[0].Upto))
	if s.served.Ordered {
		return "SELECT " + strings.Join(s.values, ", ") + " FROM " + s.o.table + " AS t" + where + s.ordered() + " LIMIT " + strconv.Itoa(r.limit), args, nil
	}
	if r.sorted == 0 {
		none := func([]driver.Value) error { return nil }
		if err := s.query(ctx, "DROP TABLE IF EXISTS "+sortedCopy, nil, none); err != nil {
			return "", nil, err
		}
		if err := s.query(ctx, "CREATE TABLE "+sortedCopy+" AS SELECT "+s.named()+" FROM "+s.o.table+" AS t"+where+s.ordered(), args, none); err != nil {
			return "", nil, err
		}
	}
	after := []driver.NamedValue{{Ordinal: 1, Value: r.sorted}}
	return "SELECT " + strings.Join(names("v", len(s.values)), ", ") + " FROM " + sortedCopy + " WHERE rowid > ? ORDER BY rowid LIMIT " + strconv.Itoa(r.limit), after, nil
}

func (s *sqliteSession) ordered() string { return " ORDER BY " + strings.Join(s.keys(), ", ") }

// named are the values that are selected, as v1, v2, …
func (s *sqliteSession) named() string {
	out := names("v", len(s.values))
	for i, v := range s.values {
		out[i] = v + " AS " + out[i]
	}
	return strings.Join(out, ", ")
}

// rawPlace is a key as it stands in the database.
func rawPlace(dst sqlitePlace, key []driver.Value) sqlitePlace {
	for _, v := range key {
		if b, is := v.([]byte); is {
			v = append([]byte(nil), b...)
		}
		dst = append(dst, v)
	}
	return dst
}

func rawKey(key []driver.Value) string {
	out := make([]string, len(key))
	for i, v := range key {
		out[i] = short(fmt.Sprint(v))
	}
	return strings.Join(out, ", ")
}

func (r *sqliteRows) Row() ([][]byte, error) { return r.page[r.at].values, r.page[r.at].err }

func (r *sqliteRows) Close() error { return nil }

// Bounds steps through the index.
func (s *sqliteSession) Bounds(ctx context.Context, after [][]byte, every, n int) (out [][][]byte, err error) {
	if err := s.indexed(); err != nil {
		return nil, err
	}
	at := s.bindKey(after)
	for len(out) < n {
		where, args := s.condition(at, nil)
		query := "SELECT " + strings.Join(s.keys(), ", ") + " FROM " + s.o.table + " AS t" + where + s.ordered() + " LIMIT 1 OFFSET " + strconv.Itoa(every-1)
		var key [][]byte
		err := s.query(ctx, query, args, func(v []driver.Value) error {
			key = s.read.key(v)
			return nil
		})
		if err != nil || key == nil {
			return out, err
		}
		out, at = append(out, key), s.bindKey(key)
	}
	return out, nil
}

func (s *sqliteSession) indexed() error {
	if s.served.Ordered && s.served.Unique {
		return nil
	}
	return fmt.Errorf("%s: no unique index of %s serves the key: %s", s.db.name, s.o.Table, s.served.Hint)
}

// Digest gives the digests of ranges, one after the other: the database is in this process.
func (s *sqliteSession) Digest(ctx context.Context, ranges []connector.KeyRange, most int) (out []connector.Digest, err error) {
	if err := s.indexed(); err != nil {
		return nil, err
	}
	for _, r := range ranges {
		where, args := s.condition(s.bindKey(r.After), s.bindKey(r.Upto))
		query := "SELECT " + digestFunction + "('" + s.read.plan() + "', " + strings.Join(names("v", len(s.values)), ", ") + ") FROM (SELECT " + s.named() + " FROM " + s.o.table + " AS t" + where + s.ordered() + " LIMIT " + strconv.Itoa(most+1) + ")"
		var d connector.Digest
		err := s.query(ctx, query, args, func(v []driver.Value) (err error) {
			d, err = readDigest(v[0])
			return err
		})
		if err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	return out, nil
}
