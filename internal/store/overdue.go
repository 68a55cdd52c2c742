package store

import (
	"context"
	"database/sql"
	"time"

	"github.com/waybill-hub/waybill/internal/state"
)

// Overdue counts the flow's messages that have been waiting for another object since before or longer, and gives the first limit heads of
// queues among them, oldest first, that began to wait after after.
func (s *Store) Overdue(ctx context.Context, flow string, after, before time.Time, limit int) (n int64, heads []state.Queued, err error) {
	err = s.each(ctx, func(r *sql.Rows) error { return r.Scan(&n) },
		"SELECT COUNT(*) FROM queue WHERE flow = ? AND state = 'waiting' AND since <= ?", flow, stamp(before))
	if err != nil || n == 0 {
		return n, nil, s.wrap("overdue", err)
	}
	heads, err = s.queued(ctx, "SELECT "+queueCols+" FROM queue WHERE flow = ? AND state = 'waiting' AND since > ? AND since <= ? AND follower = 0 ORDER BY since, id LIMIT CAST(? AS INTEGER)",
		flow, stamp(after), stamp(before), bound(limit))
	return n, heads, s.wrap("overdue", err)
}
