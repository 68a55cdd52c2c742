package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/state"
)

// audit records who did what; changes may say how it was before, and how it is then.
func (t *tx) audit(who, action, object, detail string, changes ...string) error {
	a := state.Audit{Who: who, Action: action, Object: object, Detail: detail}
	if len(changes) == 2 {
		a.Before, a.After = changes[0], changes[1]
	}
	return t.writeAudit(&a)
}

// mostChange bounds how an audit row says it was, and is.
const mostChange = 16 << 10

func (t *tx) writeAudit(a *state.Audit) error {
	ids, err := t.ids("audit", 1)
	if err != nil {
		return err
	}
	_, err = t.exec("INSERT INTO audit (id, time, who, action, object, detail, was, became, act) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
		ids[0], cmp.Or(stamp(a.Time), t.now), a.Who, a.Action, a.Object, a.Detail, short(a.Before), short(a.After), a.Act)
	return err
}

func short(text string) string {
	if len(text) <= mostChange {
		return text
	}
	return strings.ToValidUTF8(text[:mostChange], "") + "…"
}

// WriteAudit records an act of a person. The store itself records marks, edits, pauses and forgotten brokers, each with the act.
func (s *Store) WriteAudit(ctx context.Context, a state.Audit) error {
	return s.do(ctx, "audit", func(t *tx) error { return t.writeAudit(&a) })
}

// Audits lists acts, newest first.
func (s *Store) Audits(ctx context.Context, f state.AuditFilter) ([]state.Audit, error) {
	w := where{}
	w.text("who", f.Who)
	w.text("action", f.Action)
	w.text("object", f.Object)
	if f.Before > 0 {
		w.add("id < ?", f.Before)
	}
	out, err := s.audits(ctx, w.String()+" ORDER BY id DESC LIMIT CAST(? AS INTEGER)", append(w.args, bound(f.Limit))...)
	return out, s.wrap("audits", err)
}

func (s *Store) audits(ctx context.Context, rest string, args ...any) ([]state.Audit, error) {
	var out []state.Audit
	err := s.each(ctx, func(r *sql.Rows) error {
		var a state.Audit
		var at int64
		err := r.Scan(&a.ID, &at, &a.Who, &a.Action, &a.Object, &a.Detail, &a.Before, &a.After, &a.Act)
		a.Time = unstamp(at)
		out = append(out, a)
		return err
	}, "SELECT id, time, who, action, object, detail, was, became, act FROM audit"+rest, args...)
	return out, err
}

// AuditByID is one act; of one that has changed a message's document, with the act that holds it before and after. state.ErrNotFound when there is none, or it is forgotten.
func (s *Store) AuditByID(ctx context.Context, id int64) (state.Audit, *state.Act, error) {
	rows, err := s.audits(ctx, " WHERE id = ?", id)
	if err != nil || len(rows) == 0 {
		return state.Audit{}, nil, s.wrap("audit", errors.Join(err, notFound(err, "act %d", id)))
	}
	a := rows[0]
	if a.Act == 0 {
		return a, nil, nil
	}
	// Of several edits of a message, each holds what it made, and the first what there was.
	acts, err := actsOf(ctx, s.read, s.d, "SELECT "+actCols+`, prior, edited FROM acts WHERE id IN (
		SELECT id FROM acts WHERE message = (SELECT message FROM acts WHERE id = ?) AND id <= ? AND action = 'edit' ORDER BY id DESC LIMIT 2) ORDER BY id`, a.Act, a.Act)
	if err != nil || len(acts) == 0 { // it is pruned
		return a, nil, s.wrap("audit", err)
	}
	last := &acts[len(acts)-1]
	if len(acts) == 2 && last.Before == nil {
		last.Before = acts[0].After
	}
	return a, last, nil
}

// StartRun records a run and gives its id: one that has begun, or, with Finished, one that is over. A zero Started is now; an empty State is
// "running".
func (s *Store) StartRun(ctx context.Context, r state.Run) (int64, error) {
	return ask(ctx, s, "record run", func(t *tx) (int64, error) {
		ids, err := t.ids("runs", 1)
		if err != nil {
			return 0, err
		}
		_, err = t.exec("INSERT INTO runs (id, kind, name, started, finished, state, detail, n) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
			ids[0], r.Kind, r.Name, cmp.Or(stamp(r.Started), t.now), stamp(r.Finished), cmp.Or(r.State, "running"), r.Detail, r.Count)
		return ids[0], err
	})
}

// EndRun records how the run r.ID ended: State, Detail, Count and Finished, which is now when zero. state.ErrNotFound when there is no such run.
func (s *Store) EndRun(ctx context.Context, r state.Run) error {
	return s.do(ctx, "end run", func(t *tx) error {
		n, err := t.exec("UPDATE runs SET finished = ?, state = ?, detail = ?, n = ? WHERE id = ?", cmp.Or(stamp(r.Finished), t.now), r.State, r.Detail, r.Count, r.ID)
		if err == nil && n == 0 {
			return refuse(state.ErrNotFound, "run %d", r.ID)
		}
		return err
	})
}

// Runs lists runs, newest first.
func (s *Store) Runs(ctx context.Context, f state.RunFilter) ([]state.Run, error) {
	w := where{}
	w.text("kind", f.Kind)
	w.text("name", f.Name)
	w.text("state", f.State)
	var out []state.Run
	err := s.each(ctx, func(r *sql.Rows) error {
		var run state.Run
		var started, finished int64
		err := r.Scan(&run.ID, &run.Kind, &run.Name, &started, &finished, &run.State, &run.Detail, &run.Count)
		run.Started, run.Finished = unstamp(started), unstamp(finished)
		out = append(out, run)
		return err
	}, "SELECT id, kind, name, started, finished, state, detail, n FROM runs"+w.String()+" ORDER BY id DESC LIMIT CAST(? AS INTEGER)", append(w.args, bound(f.Limit))...)
	return out, s.wrap("runs", err)
}

// LastRun is the newest run of a kind and name; state.ErrNotFound when it never ran.
func (s *Store) LastRun(ctx context.Context, kind, name string) (state.Run, error) {
	runs, err := s.Runs(ctx, state.RunFilter{Kind: kind, Name: name, Limit: 1})
	if err != nil || len(runs) == 0 {
		return state.Run{}, s.wrap("last run", errors.Join(err, notFound(err, "%s %s", kind, name)))
	}
	return runs[0], nil
}

// Pause stops a flow until it is resumed; restarts included. Pausing again changes nothing.
func (s *Store) Pause(ctx context.Context, flow, who string) error {
	return s.do(ctx, "pause", func(t *tx) error {
		n, err := t.exec("INSERT INTO paused (flow, who, since) VALUES (?, ?, ?) ON CONFLICT (flow) DO NOTHING", flow, who, t.now)
		if err != nil || n == 0 {
			return err
		}
		return t.audit(who, "pause", "flow/"+flow, "", "running", "paused")
	})
}

// Resume lets a flow go on. It is an act, and counted for Resumes, where nothing is paused as well: the flow may stand still by an alarm,
// at whichever hub.
func (s *Store) Resume(ctx context.Context, flow, who string) error {
	return s.do(ctx, "resume", func(t *tx) error {
		was := "not paused"
		err := t.each(func(r *sql.Rows) error {
			var by string
			var since int64
			err := r.Scan(&by, &since)
			was = "paused by " + by + " since " + unstamp(since).UTC().Format(time.RFC3339)
			return err
		}, "DELETE FROM paused WHERE flow = ? RETURNING who, since", flow)
		if err != nil {
			return err
		}
		if _, err := t.exec("INSERT INTO resumes (flow, n) VALUES (?, 1) ON CONFLICT (flow) DO UPDATE SET n = resumes.n + 1", flow); err != nil {
			return err
		}
		return t.audit(who, "resume", "flow/"+flow, "", was, "running")
	})
}

// Resumes tells how often people have resumed each flow. Whoever compares it with what it knew learns of every resume, at whichever hub
// it was given, without a clock.
func (s *Store) Resumes(ctx context.Context) (map[string]int64, error) {
	out, err := numbersOf(ctx, s.read, s.d, "SELECT flow, n FROM resumes")
	return out, s.wrap("resumes", err)
}

// PausedFlows lists the stopped flows by name.
func (s *Store) PausedFlows(ctx context.Context) ([]state.Paused, error) {
	var out []state.Paused
	err := s.each(ctx, func(r *sql.Rows) error {
		var p state.Paused
		var since int64
		err := r.Scan(&p.Flow, &p.Who, &since)
		p.Since = unstamp(since)
		out = append(out, p)
		return err
	}, "SELECT flow, who, since FROM paused ORDER BY flow")
	return out, s.wrap("paused flows", err)
}

// retention is until when rows of the journal's kind are kept.
func (s *Store) retention(now time.Time) int64 { return stamp(now.Add(-s.cfg.KeepJournal)) }
