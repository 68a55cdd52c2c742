package store

import (
	"context"
	"database/sql"
	"time"

	"github.com/waybill-hub/waybill/internal/state"
)

// requestKept is how long a request is known by its key: as long as a delivery by its id.
const requestKept = 7 * 24 * time.Hour

// BeginRequest notes a request under its key, before anything is done for it. Where there is one under that key, nothing is noted, and it is given.
func (s *Store) BeginRequest(ctx context.Context, r state.Request) (before *state.Request, err error) {
	return ask(ctx, s, "begin a request", func(t *tx) (*state.Request, error) {
		if err := t.lock([]lockKey{{hashKey("request", r.Who+"\x00"+r.Key), true}}); err != nil { // two hubs may be asked the same
			return nil, err
		}
		var known *state.Request
		err := t.each(func(rows *sql.Rows) error {
			one := state.Request{Who: r.Who, Key: r.Key}
			var began int64
			err := rows.Scan(&one.Sum, &began, &one.Status, &one.Answer)
			one.Began = unstamp(began)
			known = &one
			return err
		}, "SELECT sum, began, status, answer FROM requests WHERE who = ? AND token = ?", r.Who, r.Key)
		if err != nil || known != nil {
			return known, err
		}
		if _, err := t.exec("DELETE FROM requests WHERE began < ?", t.now-requestKept.Nanoseconds()); err != nil {
			return nil, err
		}
		_, err = t.exec("INSERT INTO requests (who, token, sum, began) VALUES (?, ?, ?, ?)", r.Who, r.Key, r.Sum, t.now)
		return nil, err
	})
}

// EndRequest keeps what was answered. A request of which nothing was done, which has the status 0, is forgotten: it may be asked again.
func (s *Store) EndRequest(ctx context.Context, r state.Request) error {
	return s.do(ctx, "end a request", func(t *tx) error {
		var err error
		if r.Status == 0 {
			_, err = t.exec("DELETE FROM requests WHERE who = ? AND token = ? AND status = 0", r.Who, r.Key)
		} else {
			_, err = t.exec("UPDATE requests SET status = ?, answer = ? WHERE who = ? AND token = ?", r.Status, cleanText(r.Answer), r.Who, r.Key)
		}
		return err
	})
}
