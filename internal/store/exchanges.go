package store

import (
	"context"
	"database/sql"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/state"
)

// mostUnanswered bounds what is told of one pair of partners.
const mostUnanswered = 100

// rejectedFor is how long a rejection is told after it came.
const rejectedFor = 7 * 24 * time.Hour

// NumberSent gives the control number of what sent.Token names: the one that it has, or the next one of its pair, at least from. Hubs of one store
// never give one twice, and leave none out. An answer is due so long after now; 0: none is awaited.
func (s *Store) NumberSent(ctx context.Context, sent state.Sent, from int64, due time.Duration) (int64, error) {
	return ask(ctx, s, "number an interchange", func(t *tx) (int64, error) {
		if err := t.lock([]lockKey{{hashKey("exchange", sent.Pair), true}}); err != nil { // two hubs may ask for the same next one
			return 0, err
		}
		var number int64
		err := t.each(func(r *sql.Rows) error { return r.Scan(&number) }, "SELECT number FROM exchange_sent WHERE pair = ? AND token = ?", sent.Pair, sent.Token)
		if err != nil || number > 0 {
			return number, err
		}
		if err := t.each(func(r *sql.Rows) error { return r.Scan(&number) }, "SELECT COALESCE(MAX(number), 0) + 1 FROM exchange_sent WHERE pair = ?", sent.Pair); err != nil {
			return 0, err
		}
		number = max(number, from)
		until := int64(0)
		if due > 0 {
			until = t.now + int64(due)
		}
		_, err = t.exec("INSERT INTO exchange_sent (pair, number, token, message, at, due) VALUES (?, ?, ?, ?, ?, ?)", sent.Pair, number, sent.Token, sent.Message, t.now, until)
		return number, err
	})
}

// unsettled stands before the file and the token of an interchange whose file is still being taken.
const unsettled = "open "

func openToken(c *state.Received) string { return unsettled + c.File + " " + c.Token }

// ours: what is noted was noted for this file. It may have been written to since, until it is settled; then only the same delivery is the same.
func ours(noted string, c *state.Received) bool {
	return noted == c.Token || strings.HasPrefix(noted, unsettled+c.File+" ")
}

// NoteReceived notes interchanges that came, all or none. known is the place of the first that came before under another token, and not in the same file before that
// was settled; none is noted then. -1: none came.
func (s *Store) NoteReceived(ctx context.Context, came []state.Received) (known int, err error) {
	return ask(ctx, s, "note interchanges", func(t *tx) (int, error) {
		if err := t.lockReceived(came); err != nil { // two hubs may note the same one, each for another file
			return 0, err
		}
		type reference struct{ pair, control string }
		seen := map[reference]bool{}
		for i := range came {
			c := &came[i]
			noted, err := t.noted(c)
			if err != nil {
				return 0, err
			}
			is := reference{c.Pair, c.Control}
			if noted != "" && !ours(noted, c) || seen[is] {
				return i, nil
			}
			seen[is] = true
		}
		for i := range came {
			c := &came[i]
			if _, err := t.exec("INSERT INTO exchange_received (pair, control, token, at) VALUES (?, ?, ?, ?) ON CONFLICT (pair, control) DO UPDATE SET token = excluded.token",
				c.Pair, c.Control, openToken(c), t.now); err != nil {
				return 0, err
			}
		}
		return -1, nil
	})
}

// SettleReceived notes that a file was taken, or has failed: from now on the same interchange in another delivery of its name is a duplicate.
func (s *Store) SettleReceived(ctx context.Context, came []state.Received) error {
	_, err := ask(ctx, s, "settle interchanges", func(t *tx) (struct{}, error) {
		if err := t.lockReceived(came); err != nil {
			return struct{}{}, err
		}
		for i := range came {
			c := &came[i]
			noted, err := t.noted(c)
			if err == nil && ours(noted, c) {
				_, err = t.exec("UPDATE exchange_received SET token = ? WHERE pair = ? AND control = ?", c.Token, c.Pair, c.Control)
			}
			if err != nil {
				return struct{}{}, err
			}
		}
		return struct{}{}, nil
	})
	return err
}

func (t *tx) lockReceived(came []state.Received) error {
	var keys []lockKey
	for _, c := range came {
		keys = append(keys, lockKey{hashKey("received", c.Pair), true})
	}
	return t.lock(keys)
}

// noted is what an interchange was noted under; empty: it was not.
func (t *tx) noted(c *state.Received) (token string, err error) {
	err = t.each(func(r *sql.Rows) error { return r.Scan(&token) }, "SELECT token FROM exchange_received WHERE pair = ? AND control = ?", c.Pair, c.Control)
	return token, err
}

// AnswerSent keeps what a partner says of what was sent; known is false where nothing of the number was. The same answer again changes nothing; another one is the one that counts.
func (s *Store) AnswerSent(ctx context.Context, pair string, number int64, answer string) (known bool, err error) {
	return ask(ctx, s, "keep an answer", func(t *tx) (bool, error) {
		// One that nobody waited for is due now: what is in trouble is found by its index.
		if _, err := t.exec("UPDATE exchange_sent SET answered = ?, answer = ?, due = CASE WHEN due = 0 THEN CAST(? AS BIGINT) ELSE due END WHERE pair = ? AND number = ? AND answer <> ?",
			t.now, answer, t.now, pair, number, answer); err != nil {
			return false, err
		}
		known := false
		err := t.each(func(r *sql.Rows) error { var n int64; known = true; return r.Scan(&n) }, "SELECT number FROM exchange_sent WHERE pair = ? AND number = ?", pair, number)
		return known, err
	})
}

// TroubledSent gives what was sent to a pair and was not answered in time, or was not accepted in the last seven days; at most 100, oldest first.
func (s *Store) TroubledSent(ctx context.Context, pair string) ([]state.Sent, error) {
	now := s.now()
	var out []state.Sent
	err := s.each(ctx, func(r *sql.Rows) error {
		one := state.Sent{Pair: pair}
		var at, due, answered int64
		err := r.Scan(&one.Number, &one.Token, &one.Message, &at, &due, &answered, &one.Answer)
		one.At, one.Due, one.Answered = unstamp(at), unstamp(due), unstamp(answered)
		out = append(out, one)
		return err
	}, "SELECT number, token, message, at, due, answered, answer FROM exchange_sent WHERE pair = ? AND due > 0 AND answer <> 'accepted' AND (answer = '' AND due < ? OR answer <> '' AND answered > ?) ORDER BY number LIMIT CAST(? AS INTEGER)",
		pair, now, now-int64(rejectedFor), mostUnanswered)
	return out, s.wrap("what was sent", err)
}
