package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/state"
)

// PaceLease is the lease under which replays go on at their rates.
const PaceLease = "paces"

// paceKept is how long replays that have ended are told of.
const paceKept = 30 * 24 * time.Hour

// BeginPace stores a replay at a rate, and gives it with its number. It marks nothing yet.
func (s *Store) BeginPace(ctx context.Context, p state.Pace) (state.Pace, error) {
	if p.Bulk.Mark != state.MarkReplay || p.Bulk.Filter.Followers || p.Bulk.Behind {
		return p, fmt.Errorf("store: pace: heads are replayed at a rate, and nothing else is done so")
	}
	filter, err := json.Marshal(p.Bulk.Filter)
	if err != nil {
		return p, fmt.Errorf("store: pace: %w", err)
	}
	if p.Matched, _, err = s.Count(ctx, p.Bulk); err != nil {
		return p, err
	}
	p.Bulk.From, err = s.beginBulk(ctx, &p.Bulk, func(t *tx, act, top int64) error {
		if _, err := t.exec("DELETE FROM paces WHERE ended > 0 AND ended < ?", t.now-paceKept.Nanoseconds()); err != nil {
			return err
		}
		p.State, p.Began = state.PaceRunning, unstamp(t.now)
		_, err := t.exec("INSERT INTO paces (act, filter, note, rate, matched, top, at, state, ended, ended_by) VALUES (?, ?, ?, ?, ?, ?, 0, ?, 0, '')",
			act, cleanText(string(filter)), cleanText(p.Bulk.Note), p.Rate, p.Matched, top, p.State)
		return err
	})
	return p, err
}

// Paces gives replays at a rate, the newest first: those that go on, or those of the last month.
func (s *Store) Paces(ctx context.Context, running bool) ([]state.Pace, error) {
	q := "SELECT p.act, p.filter, p.note, p.rate, p.matched, p.top, p.at, p.state, p.ended, p.ended_by, b.time, b.who, b.about, b.n FROM paces p JOIN bulks b ON b.id = p.act"
	if running {
		q += " WHERE p.ended = 0"
	}
	var out []state.Pace
	err := s.each(ctx, func(r *sql.Rows) error {
		p := state.Pace{Bulk: state.Bulk{Mark: state.MarkReplay}}
		var filter string
		var ended, began int64
		b := &p.Bulk
		if err := r.Scan(&b.From.Act, &filter, &b.Note, &p.Rate, &p.Matched, &b.From.Top, &b.From.At, &p.State, &ended, &p.EndedBy, &began, &b.Who, &b.About, &p.Marked); err != nil {
			return err
		}
		b.About = strings.TrimPrefix(b.About, bulkObject(&state.Bulk{})) // as it was given
		p.Ended, p.Began = unstamp(ended), unstamp(began)
		if err := json.Unmarshal([]byte(filter), &b.Filter); err != nil {
			return fmt.Errorf("replay %d: what it selects: %w", b.From.Act, err)
		}
		out = append(out, p)
		return nil
	}, q+" ORDER BY p.act DESC LIMIT 100")
	return out, s.wrap("paces", err)
}

// PaceStep marks up to b.Most messages of a replay at a rate, and notes in the same commit where it is. Done: it has ended. state.ErrFenced where the lease
// is another's, state.ErrNotFound where a person has stopped it.
func (s *Store) PaceStep(ctx context.Context, lease state.Lease, b state.Bulk) (state.BulkStep, error) {
	step := state.BulkStep{Next: b.From}
	for !step.Done && step.Marked < int64(b.Most) {
		err := s.bulkStep(ctx, &b, &step, min(bulkRows, b.Most-int(step.Marked)), func(t *tx, at int64, done bool) error {
			if lease.Name != PaceLease {
				return refuse(state.ErrFenced, "replays go on under the lease %s, not %s", PaceLease, lease.Name)
			}
			if err := t.holds(&lease); err != nil {
				return err
			}
			how, ended := state.PaceRunning, int64(0)
			if done {
				how, ended = state.PaceDone, t.now
			}
			n, err := t.exec("UPDATE paces SET at = ?, state = ?, ended = ? WHERE act = ? AND ended = 0", at, how, ended, b.From.Act)
			if err == nil && n == 0 {
				err = refuse(state.ErrNotFound, "replay %d goes on no more", b.From.Act)
			}
			return err
		})
		if err != nil {
			return step, s.wrap("pace", err)
		}
	}
	return step, nil
}

// StopPace ends a replay: what it has not marked is left as it is. state.ErrNotFound where none of that number goes on.
func (s *Store) StopPace(ctx context.Context, act int64, who string) error {
	return s.do(ctx, "pace", func(t *tx) error {
		n, err := t.exec("UPDATE paces SET state = ?, ended = ?, ended_by = ? WHERE act = ? AND ended = 0", state.PaceStopped, t.now, cleanText(who), act)
		if err != nil {
			return err
		}
		if n == 0 {
			return refuse(state.ErrNotFound, "replay %d, or it goes on no more", act)
		}
		return t.audit(who, "stop replay", fmt.Sprintf("bulk %d", act), "")
	})
}
