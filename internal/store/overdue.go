package store

import (
	"context"
	"database/sql"
	"time"

	"github.com/waybill-hub/waybill/internal/state"
)

// Overdue counts the flow's messages that have been waiting for another object since before or longer and began to wait after after, and gives the oldest head of a
// queue among them; nil: there is none.
func (s *Store) Overdue(ctx context.Context, flow string, after, before time.Time) (n int64, oldest *state.Queued, err error) {
	err = s.each(ctx, func(r *sql.Rows) error { return r.Scan(&n) },
		"SELECT COUNT(*) FROM queue WHERE flow = ? AND state = 'waiting' AND since > ? AND since <= ?", flow, stamp(after), stamp(before))
	if err != nil || n == 0 {
		return n, nil, s.wrap("overdue", err)
	}
	heads, err := s.queued(ctx, "SELECT "+queueCols+" FROM queue WHERE flow = ? AND state = 'waiting' AND since > ? AND since <= ? AND follower = 0 ORDER BY since, id LIMIT 1",
		flow, stamp(after), stamp(before))
	if err == nil && len(heads) > 0 {
		oldest = &heads[0]
	}
	return n, oldest, s.wrap("overdue", err)
}
