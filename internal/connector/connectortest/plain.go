package connectortest

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/waybill-hub/waybill/internal/connector"
)

// PlainSubject is an object that can be read as plain columns: Rows rows with a key, Unkeyed without one. Its key is unique and served in order.
type PlainSubject struct {
	Reader       connector.PlainReader
	Object       string
	Key, Columns []string
	// Other is a column that cannot be read plainly, or is not there.
	Other         string
	Rows, Unkeyed int
}

// Plain runs the suite of connector.PlainReader.
func Plain(t *testing.T, fresh func(t *testing.T) *PlainSubject) {
	for name, test := range map[string]func(t *testing.T, s *PlainSubject){
		"Order": plainOrder, "Ranges": plainRanges, "Digests": plainDigests, "Most": plainMost, "Refused": plainRefused, "Cancelled": plainCancelled, "Load": plainLoad,
	} {
		t.Run(name, func(t *testing.T) { test(t, fresh(t)) })
	}
}

func (s *PlainSubject) query(t *testing.T, salt int64) connector.PlainQuery {
	t.Helper()
	table, err := s.Reader.PlainTable(t.Context(), s.Object)
	if err != nil {
		t.Fatal(err)
	}
	if table.Group == "" {
		t.Error("the table is of no group")
	}
	if table.Rows > 0 && (table.Rows < int64(s.Rows)/2 || table.Rows > int64(s.Rows+s.Unkeyed)*2) {
		t.Errorf("%d rows are expected, of %d", table.Rows, s.Rows)
	}
	q := connector.PlainQuery{Salt: salt}
	column := func(name string) connector.PlainColumn {
		if len(table.Forms[name]) == 0 {
			t.Fatalf("%s has no form: %s", name, table.Others[name])
		}
		return connector.PlainColumn{Name: name, Form: table.Forms[name][0]}
	}
	for _, name := range s.Key {
		q.Key = append(q.Key, column(name))
	}
	for _, name := range s.Columns {
		q.Columns = append(q.Columns, column(name))
	}
	return q
}

func (s *PlainSubject) open(t *testing.T, salt int64) (connector.Digester, connector.PlainQuery) {
	t.Helper()
	q := s.query(t, salt)
	session, err := s.Reader.PlainOpen(t.Context(), s.Object, q)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := session.Close(); err != nil {
			t.Error(err)
		}
	})
	if k := session.Served(); !k.Ordered || !k.Unique {
		t.Fatalf("the key is not served: %+v", k)
	}
	return session.(connector.Digester), q
}

// read reads ranges to their end, and copies the rows.
func read(t *testing.T, s connector.PlainSession, ranges ...connector.KeyRange) (out [][][]byte) {
	t.Helper()
	rows := s.Rows(ranges...)
	defer rows.Close()
	for {
		ok, err := rows.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return out
		}
		values, err := rows.Row()
		if err != nil {
			t.Fatal(err)
		}
		row := make([][]byte, len(values))
		for i, v := range values {
			row[i] = bytes.Clone(v)
		}
		out = append(out, row)
	}
}

func compareKeys(q connector.PlainQuery, a, b [][]byte) int {
	for i, k := range q.Key {
		if c := k.Form.Compare(a[i], b[i]); c != 0 {
			return c
		}
	}
	return 0
}

func plainOrder(t *testing.T, s *PlainSubject) {
	session, q := s.open(t, 1)
	rows := read(t, session, connector.KeyRange{})
	if len(rows) != s.Rows {
		t.Fatalf("%d rows, of %d", len(rows), s.Rows)
	}
	for i := 1; i < len(rows); i++ {
		if compareKeys(q, rows[i-1], rows[i]) >= 0 {
			t.Fatalf("row %d: %q does not come before %q", i, rows[i-1], rows[i])
		}
	}
	if n, err := session.Unkeyed(t.Context()); err != nil || n != int64(s.Unkeyed) {
		t.Errorf("%d rows without a key (%v), of %d", n, err, s.Unkeyed)
	}
	if again := read(t, session, connector.KeyRange{}); len(again) != len(rows) {
		t.Errorf("the second time there are %d rows", len(again))
	}
}

// plainRanges: ranges between any bounds are all rows, each once, together or alone.
func plainRanges(t *testing.T, s *PlainSubject) {
	session, q := s.open(t, 1)
	all := read(t, session, connector.KeyRange{})
	nkey := len(q.Key)
	for _, every := range []int{1, 7, s.Rows / 3, s.Rows} {
		bounds, err := session.Bounds(t.Context(), nil, every, 5)
		if err != nil {
			t.Fatal(err)
		}
		if want := min(5, s.Rows/every); len(bounds) != want {
			t.Fatalf("%d bounds of every %d rows, not %d", len(bounds), every, want)
		}
		ranges, after := []connector.KeyRange{}, [][]byte(nil)
		for i, b := range bounds {
			if compareKeys(q, b, all[(i+1)*every-1]) != 0 {
				t.Errorf("bound %d of every %d rows is %q, and not %q", i, every, b, all[(i+1)*every-1][:nkey])
			}
			ranges, after = append(ranges, connector.KeyRange{After: after, Upto: b}), b
		}
		ranges = append(ranges, connector.KeyRange{After: after})
		if got := read(t, session, ranges...); !slices.EqualFunc(got, all, func(a, b [][]byte) bool { return slices.EqualFunc(a, b, bytes.Equal) }) {
			t.Errorf("%d ranges have %d rows, of %d", len(ranges), len(got), len(all))
		}
		if n := len(ranges); n > 2 {
			if got := read(t, session, ranges[1:n-1]...); len(got) != every*(n-2) {
				t.Errorf("closed ranges of %d rows have %d", every*(n-2), len(got))
			}
		}
		next, err := session.Bounds(t.Context(), all[len(all)-1][:nkey], 1, 5)
		if err != nil || len(next) != 0 {
			t.Errorf("behind the last row are bounds: %q, %v", next, err)
		}
	}
}

// plainDigests: two sessions agree on the digests of the same rows, and with another salt they do not.
func plainDigests(t *testing.T, s *PlainSubject) {
	a, _ := s.open(t, 7)
	b, _ := s.open(t, 7)
	c, _ := s.open(t, 8)
	bounds, err := a.Bounds(t.Context(), nil, s.Rows/4, 3)
	if err != nil {
		t.Fatal(err)
	}
	ranges := []connector.KeyRange{{Upto: bounds[0]}, {After: bounds[0], Upto: bounds[1]}, {After: bounds[1], Upto: bounds[2]}, {After: bounds[2]}, {After: bounds[2], Upto: bounds[2]}}
	of := func(d connector.Digester) []connector.Digest {
		out, err := d.Digest(t.Context(), ranges, s.Rows)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	da, db, dc := of(a), of(b), of(c)
	if !slices.Equal(da, db) || len(da) != len(ranges) {
		t.Errorf("the digests are %v and %v", da, db)
	}
	total := int64(0)
	for i := range da {
		total += da[i].Count
		if da[i].Count > 0 && da[i].Hash == dc[i].Hash {
			t.Errorf("digest %d is the same with another salt: %v", i, da[i])
		}
	}
	if total != int64(s.Rows) || da[4].Count != 0 {
		t.Errorf("%v count %d rows, of %d", da, total, s.Rows)
	}
	if da[1].Hash == da[2].Hash {
		t.Errorf("other rows have the same digest: %v", da)
	}
}

// plainMost: a range with too many rows is given up, whether it has ends or not.
func plainMost(t *testing.T, s *PlainSubject) {
	session, _ := s.open(t, 1)
	bounds, err := session.Bounds(t.Context(), nil, s.Rows/4, 3)
	if err != nil {
		t.Fatal(err)
	}
	got, err := session.Digest(t.Context(), []connector.KeyRange{{}, {After: bounds[0], Upto: bounds[1]}, {After: bounds[1], Upto: bounds[2]}}, 5)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range got {
		if d.Count != 6 {
			t.Errorf("of a range with more than 5 rows, %d were counted", d.Count)
		}
	}
}

// plainRefused: what is not plain is said to be so, so that documents can be compared instead.
func plainRefused(t *testing.T, s *PlainSubject) {
	q := s.query(t, 1)
	table, err := s.Reader.PlainTable(t.Context(), s.Object)
	if err != nil {
		t.Fatal(err)
	}
	if len(table.Forms[s.Other]) > 0 {
		t.Errorf("%s has forms: %v", s.Other, table.Forms[s.Other])
	}
	odd := q
	odd.Columns = append(slices.Clone(q.Columns), connector.PlainColumn{Name: s.Other, Form: connector.PlainText})
	formless := q
	formless.Key = slices.Clone(q.Key)
	formless.Key[0].Form = "smoke signals"
	for _, bad := range []connector.PlainQuery{odd, formless} {
		if session, err := s.Reader.PlainOpen(t.Context(), s.Object, bad); !errors.Is(err, connector.ErrNotPlain) {
			t.Errorf("%v: %v", bad, err)
			if err == nil {
				session.Close()
			}
		}
	}
	if _, err := s.Reader.PlainTable(t.Context(), "no-such-object"); err == nil {
		t.Error("an object that is not there has a table")
	}
}

// plainCancelled: a reading that was ended by its caller is an error and no end.
func plainCancelled(t *testing.T, s *PlainSubject) {
	session, err := s.Reader.PlainOpen(t.Context(), s.Object, s.query(t, 1))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	rows := session.Rows(connector.KeyRange{})
	if ok, err := rows.Next(ctx); !ok || err != nil {
		t.Fatalf("%v %v", ok, err)
	}
	cancel()
	n := 1
	for ; n <= s.Rows; n++ {
		ok, err := rows.Next(ctx)
		if err != nil {
			break
		}
		if !ok {
			t.Fatalf("after %d rows it says that there are no more", n)
		}
	}
	if n > s.Rows {
		t.Error("it reads on")
	}
	_ = rows.Close()
	_ = session.Close() // its connection may be cut off
}

func plainLoad(t *testing.T, s *PlainSubject) {
	for range 2 {
		l, err := s.Reader.PlainLoad(t.Context())
		if err != nil || l.Latency <= 0 || l.Lag != 0 {
			t.Errorf("%+v %v", l, err)
		}
	}
}
