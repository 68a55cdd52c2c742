package sql

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/waybill-hub/waybill/internal/connector"
)

// postgresQuery is a statement with its parameters in binary.
type postgresQuery struct {
	strings.Builder
	values  [][]byte
	oids    []uint32
	formats []int16
}

// arg adds a parameter and gives its placeholder.
func (q *postgresQuery) arg(oid uint32, v []byte) string {
	q.values, q.oids, q.formats = append(q.values, v), append(q.oids, oid), append(q.formats, 1)
	return "$" + strconv.Itoa(len(q.values))
}

func (s *postgresSession) exec(ctx context.Context, q *postgresQuery, results int16) *pgconn.ResultReader {
	return s.conn.ExecParams(ctx, q.String(), q.values, q.oids, q.formats, []int16{results})
}

// keys are the expressions of the key.
func (s *postgresSession) keys() string {
	out := make([]string, len(s.key))
	for i, k := range s.key {
		out[i] = k.expr
	}
	return strings.Join(out, ", ")
}

// row writes several expressions as one that is compared column by column.
func rowOf(exprs ...string) string {
	if len(exprs) == 1 {
		return exprs[0]
	}
	return "(" + strings.Join(exprs, ", ") + ")"
}

// where begins the condition of a range whose ends are given as expressions; empty: open.
func (s *postgresSession) where(after, upto string) string {
	var and []string
	if s.filter != "" {
		and = append(and, s.filter)
	}
	key := s.keys()
	if len(s.key) > 1 {
		key = "(" + key + ")"
	}
	if after != "" {
		and = append(and, key+" > "+after)
	}
	if upto != "" {
		and = append(and, key+" <= "+upto)
	}
	if len(and) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(and, " AND ")
}

// end gives a key as the end of a range; empty for none.
func (s *postgresSession) end(q *postgresQuery, key [][]byte) string {
	if key == nil {
		return ""
	}
	out := make([]string, len(s.key))
	for i, k := range s.key {
		out[i] = q.arg(k.param, k.bind(key[i]))
	}
	return rowOf(out...)
}

// ends begins a FROM of many ranges, each a row of a: its ends are a1…, its ends z1…, its number n. It gives the expressions of the ends.
func (s *postgresSession) ends(q *postgresQuery, ranges []connector.KeyRange) (from, after, upto string) {
	first, last := names("a", len(s.key)), names("z", len(s.key))
	var arrays []string
	for _, of := range []func(connector.KeyRange) [][]byte{
		func(r connector.KeyRange) [][]byte { return r.After }, func(r connector.KeyRange) [][]byte { return r.Upto },
	} {
		for i, k := range s.key {
			values := make([][]byte, len(ranges))
			for j, r := range ranges {
				values[j] = k.bind(of(r)[i])
			}
			arrays = append(arrays, q.arg(postgresTypes[k.param].array, array(k.param, values)))
		}
	}
	columns := strings.Join(append(append([]string{}, first...), last...), ", ")
	from = "unnest(" + strings.Join(arrays, ", ") + ") WITH ORDINALITY AS r(" + columns + ", n)"
	for i := range first {
		first[i], last[i] = "r."+first[i], "r."+last[i]
	}
	return from, rowOf(first...), rowOf(last...)
}

// one reads a range, in order; limit 0: all of it.
func (s *postgresSession) one(r connector.KeyRange, limit int) *postgresQuery {
	q := &postgresQuery{}
	q.WriteString("SELECT " + strings.Join(s.values, ", ") + " FROM " + s.o.table + " AS t" + s.where(s.end(q, r.After), s.end(q, r.Upto)) + " ORDER BY " + s.keys())
	if limit > 0 {
		q.WriteString(" LIMIT " + strconv.Itoa(limit))
	}
	return q
}

// many reads closed ranges, one after the other.
func (s *postgresSession) many(ranges []connector.KeyRange) *postgresQuery {
	q := &postgresQuery{}
	from, after, upto := s.ends(q, ranges)
	columns, order := names("v", len(s.values)), names("k", len(s.key))
	var inner []string
	for i, v := range s.values {
		inner = append(inner, v+" AS "+columns[i])
	}
	for i, k := range s.key {
		inner = append(inner, k.expr+" AS "+order[i])
	}
	q.WriteString("SELECT " + strings.Join(columns, ", ") + " FROM " + from + " CROSS JOIN LATERAL (SELECT " + strings.Join(inner, ", ") + " FROM " + s.o.table + " AS t" +
		s.where(after, upto) + ") AS x ORDER BY r.n, " + strings.Join(order, ", "))
	return q
}

// Bounds gives the key of every every-th row: it steps through the index, and looks at no row.
func (s *postgresSession) Bounds(ctx context.Context, after [][]byte, every, n int) ([][][]byte, error) {
	if err := s.indexed(); err != nil {
		return nil, err
	}
	q := &postgresQuery{}
	cols := names("k", len(s.key))
	var out, inner, previous []string
	for i, k := range s.key {
		out = append(out, "b."+cols[i]+castOf(k.param))
		inner = append(inner, k.expr+" AS "+cols[i])
		previous = append(previous, "b."+cols[i])
	}
	step := func(after string) string {
		return "SELECT " + strings.Join(inner, ", ") + " FROM " + s.o.table + " AS t" + s.where(after, "") + " ORDER BY " + s.keys() + fmt.Sprintf(" OFFSET %d LIMIT 1", every-1)
	}
	q.WriteString("WITH RECURSIVE b AS ((SELECT x.*, 1 AS n FROM (" + step(s.end(q, after)) + ") AS x) UNION ALL SELECT x.*, b.n + 1 FROM b CROSS JOIN LATERAL (" + step(rowOf(previous...)) +
		fmt.Sprintf(") AS x WHERE b.n < %d) SELECT %s FROM b ORDER BY b.n", n, strings.Join(out, ", ")))
	got := s.exec(ctx, q, 1).Read()
	if got.Err != nil {
		return nil, s.db.failure(s.o, got.Err)
	}
	for _, row := range got.Rows {
		s.normal(row)
	}
	return got.Rows, nil
}

// castOf is the type in which a bound is given: a padded text without its blanks, as its values are.
func castOf(oid uint32) string {
	if oid == oidBpchar {
		oid = oidText
	}
	return "::" + postgresTypes[oid].name
}

// indexed refuses what would read the whole table again and again.
func (s *postgresSession) indexed() error {
	if s.served.Ordered && s.served.Unique {
		return nil
	}
	return fmt.Errorf("%s: no unique index of %s serves the key: %s", s.db.name, s.o.Table, s.served.Hint)
}

// Digest gives the digests of ranges.
func (s *postgresSession) Digest(ctx context.Context, ranges []connector.KeyRange, most int) ([]connector.Digest, error) {
	if err := s.indexed(); err != nil {
		return nil, err
	}
	var out []connector.Digest
	for len(ranges) > 0 {
		part := closed(ranges)
		q := s.digestOf(ranges[:max(part, 1)], part > 0, most)
		got := s.exec(ctx, q, 0).Read()
		if got.Err != nil {
			return nil, s.db.failure(s.o, got.Err)
		}
		for _, row := range got.Rows {
			out = append(out, connector.Digest{Count: number(string(row[0])), Hash: string(row[1])})
		}
		ranges = ranges[max(part, 1):]
	}
	return out, nil
}

// closed counts the ranges at the beginning that have two ends.
func closed(ranges []connector.KeyRange) int {
	for i, r := range ranges {
		if r.After == nil || r.Upto == nil {
			return i
		}
	}
	return len(ranges)
}

func (s *postgresSession) digestOf(ranges []connector.KeyRange, many bool, most int) *postgresQuery {
	q := &postgresQuery{}
	rows := func(after, upto string) string {
		return "SELECT count(*) AS c, sum(x.h) AS s FROM (SELECT " + s.hash + " AS h FROM " + s.o.table + " AS t" + s.where(after, upto) + " ORDER BY " + s.keys() +
			fmt.Sprintf(" LIMIT %d) AS x", most+1)
	}
	if !many {
		q.WriteString(rows(s.end(q, ranges[0].After), s.end(q, ranges[0].Upto)))
		return q
	}
	from, after, upto := s.ends(q, ranges)
	q.WriteString("SELECT d.c, d.s FROM " + from + " CROSS JOIN LATERAL (" + rows(after, upto) + ") AS d ORDER BY r.n")
	return q
}
