package store

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/state"
)

const comparisonCols = "id, kind, name, cause, who, why, options, state, attempt, wanted, started, updated, finished, cancel, detail, progress, summary, keep, last"

// Values of a run's column last, as its migration tells them.
const (
	lastFailed = iota + 1
	lastTold
	lastRepair
)

// comparison is a run with its row's place among the last ones.
type comparison struct {
	state.Comparison
	last int64
}

func scanComparison(r *sql.Rows) (c comparison, err error) {
	var options, progress, summary, st string
	var wanted, started, updated, finished, keep int64
	err = r.Scan(&c.ID, &c.Kind, &c.Name, &c.Trigger, &c.Who, &c.Why, &options, &st, &c.Attempt, &wanted, &started, &updated, &finished, &c.Cancel, &c.Detail, &progress, &summary, &keep, &c.last)
	if err != nil {
		return c, err
	}
	c.State, c.Keep = state.RunState(st), time.Duration(keep)
	c.Wanted, c.Started, c.Updated, c.Finished = unstamp(wanted), unstamp(started), unstamp(updated), unstamp(finished)
	for _, p := range []struct {
		text string
		into any
	}{{options, &c.Options}, {progress, &c.Progress}, {summary, &c.Summary}} {
		if err := json.Unmarshal([]byte(p.text), p.into); err != nil {
			return c, fmt.Errorf("run %d: %w: %w", c.ID, errTorn, err)
		}
	}
	return c, nil
}

// comparison is the row of a run, kept as it is until the transaction ends; state.ErrNotFound when there is none.
func (t *tx) comparison(id int64) (c comparison, err error) {
	err = t.each(func(r *sql.Rows) (err error) {
		c, err = scanComparison(r)
		return err
	}, "SELECT "+comparisonCols+" FROM comparisons WHERE id = ?"+t.d.forUpdate(), id)
	if err == nil && c.ID == 0 {
		err = refuse(state.ErrNotFound, "run %d", id)
	}
	return c, err
}

// worked is the row of a run whose lease is l; state.ErrFenced where the lease is another hub's, or another name's.
func (t *tx) worked(l *state.Lease, id int64) (comparison, error) {
	c, err := t.comparison(id)
	switch {
	case err != nil:
		return c, err
	case l.Name != state.RunLease(c.Kind, c.Name):
		return c, refuse(state.ErrFenced, "run %d is worked under the lease %s, not %s", id, state.RunLease(c.Kind, c.Name), l.Name)
	}
	return c, t.holds(l)
}

// underWay is worked for a run that is not over; state.ErrNotFound for one that is.
func (t *tx) underWay(l *state.Lease, id int64) (comparison, error) {
	c, err := t.worked(l, id)
	if err == nil && c.State.Over() {
		err = refuse(state.ErrNotFound, "run %d is over (%s): open run", id, c.State)
	}
	return c, err
}

// WantComparison stores that a run is wanted, with the act of the person who wants it. Where one of its kind and name is wanted or running already,
// that one is given back, with false.
func (s *Store) WantComparison(ctx context.Context, c state.Comparison) (state.Comparison, bool, error) {
	options, err := json.Marshal(&c.Options)
	if err != nil {
		return c, false, fmt.Errorf("store: want a run: %w", err)
	}
	type answer struct {
		run   state.Comparison
		fresh bool
	}
	a, err := ask(ctx, s, "want a run", func(t *tx) (a answer, err error) {
		err = t.each(func(r *sql.Rows) error {
			have, err := scanComparison(r)
			a.run = have.Comparison
			return err
		}, "SELECT "+comparisonCols+" FROM comparisons WHERE kind = ? AND name = ? AND finished = 0", c.Kind, c.Name)
		if err != nil || a.run.ID != 0 {
			return a, err
		}
		id, err := t.nextRun()
		if err != nil {
			return a, err
		}
		a.run, a.fresh = c, true
		a.run.ID, a.run.State, a.run.Wanted = id, state.RunWanted, unstamp(t.now)
		// Where another hub wants one at the same time, an index refuses one of the two, and the transaction is run again.
		_, err = t.exec("INSERT INTO comparisons ("+comparisonCols+", keep_until) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, ?, 0, 0, 0, '', '', '{}', '{}', ?, 0, 0)",
			id, c.Kind, c.Name, c.Trigger, c.Who, c.Why, string(options), string(state.RunWanted), t.now, int64(c.Keep))
		if err != nil || c.Trigger == state.TriggerSchedule { // a schedule is no person
			return a, err
		}
		return a, t.audit(c.Who, runAction(c.Kind), c.Kind+"/"+c.Name, fmt.Sprintf("run %d%s%s", id, aboutOptions(&c.Options), forReason(c.Why)))
	})
	return a.run, a.fresh, err
}

// nextRun gives the number of a run. People type these: they count on without holes, over restarts and on both databases, where sequences and blocks of numbers skip
// some. The counter ends with its transaction; numbers that were given before there was one, or by a hub that has none, are not given again.
func (t *tx) nextRun() (id int64, err error) {
	const newest = "(SELECT COALESCE(MAX(id), 0) FROM comparisons)"
	err = t.each(func(r *sql.Rows) error { return r.Scan(&id) }, "INSERT INTO counters (name, value) VALUES ('run', "+newest+" + 1) ON CONFLICT (name) DO UPDATE SET "+
		"value = CASE WHEN counters.value > "+newest+" THEN counters.value ELSE "+newest+" END + 1 RETURNING value")
	return id, err
}

// runAction is what the audit calls a person's wish to run something.
func runAction(kind string) string {
	if kind == state.RunRule {
		return "rule"
	}
	return "reconcile"
}

func forReason(why string) string {
	if why == "" {
		return ""
	}
	return ": " + why
}

// aboutOptions says in words what a run was asked for.
func aboutOptions(o *state.CompareOptions) string {
	var b strings.Builder
	add := func(on bool, format string, args ...any) {
		if on {
			b.WriteString(", ")
			fmt.Fprintf(&b, format, args...)
		}
	}
	add(o.Key != "", "of %s alone", o.Key)
	add(!o.Since.IsZero(), "of what has changed since %s", o.Since.UTC().Format(time.RFC3339))
	add(o.Repair && !o.DryRun, "with repair")
	add(o.DryRun, "with a dry run of the repair")
	add(o.From != 0, "of the differences of run %d", o.From)
	add(len(o.Reasons) > 0, "for the reasons %s", strings.Join(o.Reasons, ", "))
	add(len(o.Numbers) > 0, "of the numbers %s", listed(o.Numbers))
	add(o.Deletes, "deletions too")
	add(o.AtMost != 0, "at most %d", o.AtMost)
	return b.String()
}

// listed puts the first numbers in words.
func listed(numbers []int) string {
	const most = 20
	text := strings.Trim(fmt.Sprint(numbers[:min(len(numbers), most)]), "[]")
	if len(numbers) > most {
		text += fmt.Sprintf(" and %d more", len(numbers)-most)
	}
	return text
}

// BeginComparison begins a run, or begins it anew where a hub has left it: what it found before is forgotten. state.ErrFenced where the lease is not
// the caller's, state.ErrNotFound where there is no such run, or it is over.
func (s *Store) BeginComparison(ctx context.Context, lease state.Lease, id int64) (state.Comparison, error) {
	for {
		n, err := ask(ctx, s, "begin a run", func(t *tx) (int64, error) {
			if _, err := t.underWay(&lease, id); err != nil {
				return 0, err
			}
			return t.exec(forgetDifferences, id, id, pruneRows)
		})
		if err != nil {
			return state.Comparison{}, err
		}
		if n < pruneRows {
			break
		}
	}
	return ask(ctx, s, "begin a run", func(t *tx) (state.Comparison, error) {
		c, err := t.underWay(&lease, id)
		if err != nil {
			return state.Comparison{}, err
		}
		c.State, c.Started, c.Updated, c.Detail = state.RunRunning, unstamp(t.now), unstamp(t.now), ""
		c.Attempt++
		c.Progress, c.Summary = state.CompareProgress{}, state.CompareSummary{}
		_, err = t.exec("UPDATE comparisons SET state = ?, attempt = ?, started = ?, updated = ?, detail = '', progress = '{}', summary = '{}' WHERE id = ?",
			string(c.State), c.Attempt, t.now, t.now, id)
		return c.Comparison, err
	})
}

// BeatComparison tells how far a run has come, and gives who wants it to end; empty: nobody.
func (s *Store) BeatComparison(ctx context.Context, lease state.Lease, id int64, p state.CompareProgress) (cancelledBy string, err error) {
	progress, err := json.Marshal(&p)
	if err != nil {
		return "", fmt.Errorf("store: progress of run %d: %w", id, err)
	}
	return ask(ctx, s, "progress of a run", func(t *tx) (string, error) {
		c, err := t.underWay(&lease, id)
		if err != nil {
			return "", err
		}
		_, err = t.exec("UPDATE comparisons SET updated = ?, progress = ? WHERE id = ?", t.now, string(progress), id)
		return c.Cancel, err
	})
}

// EndComparison ends the run c.ID: State, Detail, Summary and Finished, which is now when zero. Summary.Oldest is filled in from the differences where it
// is zero. To end it again in the same way changes nothing.
func (s *Store) EndComparison(ctx context.Context, lease state.Lease, c state.Comparison) error {
	if !c.State.Over() {
		return fmt.Errorf("store: run %d cannot end as %s", c.ID, c.State)
	}
	return s.do(ctx, "end a run", func(t *tx) error {
		have, err := t.worked(&lease, c.ID)
		switch {
		case err != nil:
			return err
		case have.State == c.State:
			return nil
		case have.State.Over():
			return refuse(state.ErrNotFound, "run %d is over (%s): open run", c.ID, have.State)
		}
		sum := c.Summary
		if sum.Oldest.IsZero() {
			if sum.Oldest, err = t.oldestDrift(c.ID); err != nil {
				return err
			}
		}
		summary, err := json.Marshal(&sum)
		if err != nil {
			return fmt.Errorf("store: summary of run %d: %w", c.ID, err)
		}
		have.Comparison.State, have.Finished = c.State, c.Finished
		last, err := t.last(&have)
		if err != nil {
			return err
		}
		return t.endComparison(&have, c.Detail, string(summary), last)
	})
}

func (t *tx) endComparison(c *comparison, detail, summary string, last int64) error {
	finished := cmp.Or(stamp(c.Finished), t.now)
	keep := cmp.Or(c.Keep, t.s.cfg.KeepJournal)
	_, err := t.exec("UPDATE comparisons SET state = ?, finished = ?, updated = ?, cancel = ?, detail = ?, summary = ?, keep_until = ?, last = ? WHERE id = ?",
		string(c.State), finished, t.now, c.Cancel, detail, summary, finished+int64(keep), last, c.ID)
	return err
}

// last is the place of a run that ends now among the last ones of its name; it takes that of others.
func (t *tx) last(c *comparison) (int64, error) {
	told, failed := c.State.Tells(), c.State == state.RunFailed
	switch {
	case c.Options.Whole() && told:
		_, err := t.exec("UPDATE comparisons SET last = 0 WHERE kind = ? AND name = ? AND last > 0", c.Kind, c.Name)
		return lastTold, err
	case c.Options.Whole() && failed:
		_, err := t.exec("UPDATE comparisons SET last = 0 WHERE kind = ? AND name = ? AND last = ?", c.Kind, c.Name, lastFailed)
		return lastFailed, err
	case c.Options.From != 0 && told:
		of := int64(0)
		err := t.each(func(r *sql.Rows) error { return r.Scan(&of) },
			"SELECT last FROM comparisons WHERE id = ? AND kind = ? AND name = ?", c.Options.From, c.Kind, c.Name)
		if of == lastTold || of == lastRepair {
			return lastRepair, err
		}
		return 0, err
	}
	return 0, nil
}

// CancelComparison asks for the end of a run, with the act: one that nobody has begun ends at once, another when the hub that works it looks.
// state.ErrNotFound when there is no such run, state.ErrBusy when it is over.
func (s *Store) CancelComparison(ctx context.Context, id int64, who, why string) error {
	return s.do(ctx, "cancel a run", func(t *tx) error {
		c, err := t.comparison(id)
		switch {
		case err != nil:
			return err
		case c.State.Over():
			return busy("run %d is over already (%s)", id, c.State)
		case c.Cancel != "": // it is asked for already
			return nil
		}
		was := string(c.State)
		if c.Cancel = state.Why(who, why); c.State == state.RunWanted {
			c.State = state.RunCancelled
			err = t.endComparison(&c, "cancelled by "+c.Cancel, "{}", 0)
		} else {
			_, err = t.exec("UPDATE comparisons SET cancel = ? WHERE id = ?", c.Cancel, id)
		}
		if err != nil {
			return err
		}
		return t.audit(who, "cancel", c.Kind+"/"+c.Name, fmt.Sprintf("run %d%s", id, forReason(why)), was, string(state.RunCancelled))
	})
}

// openOrder is the order of runs that are not over, which are few: as an expression, so that they are found by their own index, and not among all that
// are kept by the order of ids. Hubs look every second.
const openOrder = "id + 0"

// lastQuery finds the runs that say how their names stand, by their own index as well.
const lastQuery = "SELECT " + comparisonCols + " FROM comparisons WHERE last > 0 ORDER BY id + 0"

// Comparisons lists runs, newest first.
func (s *Store) Comparisons(ctx context.Context, f state.ComparisonFilter) ([]state.Comparison, error) {
	w, order := where{}, "id"
	w.text("kind", f.Kind)
	w.text("name", f.Name)
	if f.Open {
		w.add("finished = 0")
		order = openOrder
	}
	if f.Before > 0 {
		w.add("id < ?", f.Before)
	}
	var out []state.Comparison
	err := s.each(ctx, func(r *sql.Rows) error {
		c, err := scanComparison(r)
		out = append(out, c.Comparison)
		return err
	}, "SELECT "+comparisonCols+" FROM comparisons"+w.String()+" ORDER BY "+order+" DESC LIMIT CAST(? AS INTEGER)", append(w.args, bound(f.Limit))...)
	return out, s.wrap("runs of comparisons", err)
}

// ComparisonByID is one run; state.ErrNotFound when there is none.
func (s *Store) ComparisonByID(ctx context.Context, id int64) (state.Comparison, error) {
	var c comparison
	err := s.each(ctx, func(r *sql.Rows) (err error) {
		c, err = scanComparison(r)
		return err
	}, "SELECT "+comparisonCols+" FROM comparisons WHERE id = ?", id)
	if err == nil && c.ID == 0 {
		err = refuse(state.ErrNotFound, "run %d", id)
	}
	return c.Comparison, s.wrap("run of a comparison", err)
}

// LastComparisons tells of every reconciliation and rule what its last runs say; one that has never ended is left out.
func (s *Store) LastComparisons(ctx context.Context) (map[state.RunName]state.LastComparison, error) {
	out := map[state.RunName]state.LastComparison{}
	err := s.each(ctx, func(r *sql.Rows) error {
		c, err := scanComparison(r)
		name := state.RunName{Kind: c.Kind, Name: c.Name}
		l := out[name]
		switch c.last { // by id: what failed since, and repairs, come behind what they are about
		case lastTold:
			l.Told, l.Ended = &c.Comparison, c.Comparison
		case lastFailed:
			l.Ended = c.Comparison
		case lastRepair:
			l.Repairs = append(l.Repairs, c.Comparison)
		}
		out[name] = l
		return err
	}, lastQuery)
	return out, s.wrap("last runs", err)
}
