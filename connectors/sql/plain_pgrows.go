package sql

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/waybill-hub/waybill/internal/connector"
)

// Pages of a range are bounded by time, so that no statement holds an old state of the database for long.
const (
	firstPage = 4_000
	pageRows  = 1_000_000
	pageTime  = time.Second
	// manyRanges is how many small ranges one statement reads.
	manyRanges = 1_000
)

// postgresRows reads ranges: one alone in pages, several small ones in one statement.
type postgresRows struct {
	s      *postgresSession
	ranges []connector.KeyRange
	reader *pgconn.ResultReader
	values [][]byte
	// last is the key of the last row; got counts the rows of the page, which has limit at most (0: it is no page), since begun.
	last       [][]byte
	got, limit int
	begun      time.Duration
	pages      int // of limit, the next time
	failed     error
}

// Rows reads ranges in order.
func (s *postgresSession) Rows(ranges ...connector.KeyRange) connector.PlainRows {
	s.live = &postgresRows{s: s, ranges: slices.Clone(ranges), last: make([][]byte, len(s.key)), pages: firstPage}
	return s.live
}

func (r *postgresRows) Next(ctx context.Context) (bool, error) {
	for r.failed == nil {
		if r.reader == nil && !r.begin(ctx) {
			r.over()
			return false, nil
		}
		if r.reader.NextRow() {
			r.values = r.reader.Values()
			r.s.normal(r.values)
			r.got++
			for i := range r.last {
				r.last[i] = append(r.last[i][:0], r.values[i]...)
			}
			return true, nil
		}
		r.failed = r.end()
	}
	return false, r.failed
}

// normal takes out of numbers how many of their digits are shown.
func (s *postgresSession) normal(values [][]byte) {
	for _, i := range s.numbers {
		if i < len(values) && len(values[i]) >= 8 {
			values[i][6], values[i][7] = 0, 0
		}
	}
}

// begin asks for the next page or ranges; false: all are read.
func (r *postgresRows) begin(ctx context.Context) bool {
	if len(r.ranges) == 0 {
		return false
	}
	r.got, r.limit, r.begun = 0, 0, r.s.db.clock.Elapsed()
	if n := min(closed(r.ranges), manyRanges); n > 1 {
		r.reader = r.s.exec(ctx, r.s.many(r.ranges[:n]), 1)
		r.ranges = r.ranges[n:]
		return true
	}
	one := r.ranges[0]
	if r.s.served.Ordered {
		r.limit = r.pages
	} else {
		r.ranges = r.ranges[1:]
	}
	r.reader = r.s.exec(ctx, r.s.one(one, r.limit), 1)
	return true
}

// end is at the end of a statement. Only an empty page ends a range: who gives fewer rows than were asked for may have more.
func (r *postgresRows) end() error {
	_, err := r.reader.Close()
	r.reader = nil
	if err != nil {
		return r.s.db.failure(r.s.o, err)
	}
	if r.limit == 0 {
		return nil
	}
	if r.got == 0 {
		r.ranges, r.pages = r.ranges[1:], firstPage
		return nil
	}
	after := make([][]byte, len(r.last))
	for i, v := range r.last {
		after[i] = append([]byte(nil), v...)
	}
	r.ranges[0].After = after
	r.pages = paced(r.limit, r.s.db.clock.Elapsed()-r.begun, pageTime, pageRows)
	return nil
}

// paced is how much to ask for so that it takes about as long as it is to take: at most four times as much as before, and a quarter of it.
func paced(before int, took, target time.Duration, most int) int {
	next := before * 4
	if took > target/4 {
		next = max(before/4, int(int64(before)*target.Microseconds()/max(took.Microseconds(), 1)))
	}
	return max(1, min(next, most))
}

func (r *postgresRows) Row() ([][]byte, error) { return r.values, nil }

func (r *postgresRows) over() { r.s.live = nil }

// Close leaves the rest unread: the session is of no use then, but to be closed.
func (r *postgresRows) Close() error { return nil }
