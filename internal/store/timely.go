package store

import (
	"context"
	"database/sql"
	"slices"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/state"
)

const (
	// timelySlot is the step in which deliveries are counted, and timelyKept how long the counts stay: a day and the hour before it.
	timelySlot = 5 * time.Minute
	timelyKept = 25 * time.Hour
)

func slotOf(t time.Time) int64 { return t.Unix() / int64(timelySlot/time.Second) }

// AddTimely adds to what flows have delivered at now; several hubs add to the same counts.
func (s *Store) AddTimely(ctx context.Context, now time.Time, counts []state.Timely) error {
	counts = slices.Clone(counts)
	slices.SortFunc(counts, func(a, b state.Timely) int { return strings.Compare(a.Flow, b.Flow) }) // so that hubs do not lock each other out
	values := make([]any, 0, 4*len(counts))
	for _, c := range counts {
		values = append(values, c.Flow, slotOf(now), c.Delivered, c.Late)
	}
	if len(values) == 0 {
		return nil
	}
	return s.do(ctx, "add to what was delivered in time", func(t *tx) error {
		return t.insert("INSERT INTO timely (flow, slot, delivered, late)", 4, values,
			" ON CONFLICT (flow, slot) DO UPDATE SET delivered = timely.delivered + excluded.delivered, late = timely.late + excluded.late")
	})
}

// Timely is what each flow has delivered in the hour and the day before now. A count of a clock that is ahead is not in it.
func (s *Store) Timely(ctx context.Context, now time.Time) (map[string]state.Timeliness, error) {
	out := map[string]state.Timeliness{}
	hour, day, last := slotOf(now.Add(-time.Hour)), slotOf(now.Add(-24*time.Hour)), slotOf(now)
	err := s.each(ctx, func(r *sql.Rows) error {
		var flow string
		var t state.Timeliness
		err := r.Scan(&flow, &t.Hour.Delivered, &t.Hour.Late, &t.Day.Delivered, &t.Day.Late)
		t.Hour.Flow, t.Day.Flow = flow, flow
		out[flow] = t
		return err
	}, `SELECT flow, CAST(SUM(CASE WHEN slot >= ? THEN delivered ELSE 0 END) AS BIGINT), CAST(SUM(CASE WHEN slot >= ? THEN late ELSE 0 END) AS BIGINT),
		CAST(SUM(delivered) AS BIGINT), CAST(SUM(late) AS BIGINT) FROM timely WHERE slot >= ? AND slot <= ? GROUP BY flow`, hour, hour, day, last)
	return out, s.wrap("what was delivered in time", err)
}

// TimelySteps is what flows have delivered, step by step, from the step that holds from until that of to; flow: "" stands for all. from is given as the begin
// of its step.
func (s *Store) TimelySteps(ctx context.Context, flow string, from, to time.Time) (begin time.Time, step time.Duration, out []state.TimelyStep, err error) {
	w := where{}
	w.text("flow", flow)
	w.add("slot >= ?", slotOf(from))
	w.add("slot <= ?", slotOf(to))
	at := func(slot int64) time.Time { return time.Unix(slot*int64(timelySlot/time.Second), 0).UTC() }
	err = s.each(ctx, func(r *sql.Rows) error {
		var t state.TimelyStep
		var slot int64
		err := r.Scan(&t.Flow, &slot, &t.Delivered, &t.Late)
		t.Begin = at(slot)
		out = append(out, t)
		return err
	}, "SELECT flow, slot, delivered, late FROM timely"+w.String()+" ORDER BY flow, slot", w.args...)
	return at(slotOf(from)), timelySlot, out, s.wrap("what was delivered, step by step", err)
}

func (s *Store) pruneTimely(ctx context.Context, now time.Time) (int64, error) {
	return ask(ctx, s, "prune what was delivered in time", func(t *tx) (int64, error) {
		return t.exec("DELETE FROM timely WHERE slot < ?", slotOf(now.Add(-timelyKept)))
	})
}
