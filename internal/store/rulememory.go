package store

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/waybill-hub/waybill/internal/state"
)

// Remembered gives what a rule remembers of objects, in the order of the bytes of their ids, from behind after on; no more than limit (1,000 when
// zero, at most 10,000).
func (s *Store) Remembered(ctx context.Context, rule, after string, limit int) ([]state.Remembered, error) {
	var out []state.Remembered
	err := s.each(ctx, func(r *sql.Rows) error {
		var one state.Remembered
		var doc []byte
		var until int64
		err := r.Scan(&one.Object, &doc, &until)
		one.Doc, one.Until = doc, unstamp(until)
		out = append(out, one)
		return err
	}, "SELECT object, doc, keep_until FROM rule_memory WHERE rule = ? AND object > ? ORDER BY object LIMIT CAST(? AS INTEGER)", rule, after, min(cmp.Or(limit, 1000), 10_000))
	return out, s.wrap("what a rule remembers", err)
}

// Remember keeps what a rule remembers of objects, each once, in place of what it did. state.ErrFenced when the lease of the rule's runs is another's.
func (s *Store) Remember(ctx context.Context, lease state.Lease, rule string, objects []state.Remembered) error {
	if len(objects) == 0 {
		return nil
	}
	values := make([]any, 0, 4*len(objects))
	for i := range objects {
		o := &objects[i]
		values = append(values, rule, cleanText(o.Object), []byte(o.Doc), stamp(o.Until))
	}
	return s.do(ctx, "remember", func(t *tx) error {
		if want := state.RunLease(state.RunRule, rule); lease.Name != want {
			return refuse(state.ErrFenced, "the rule %s is worked under the lease %s, not %s", rule, want, lease.Name)
		}
		if err := t.holds(&lease); err != nil {
			return err
		}
		return t.insert("INSERT INTO rule_memory (rule, object, doc, keep_until)", 4, values,
			" ON CONFLICT (rule, object) DO UPDATE SET doc = excluded.doc, keep_until = excluded.keep_until")
	})
}

// ForgetRemembered takes away what a rule remembers of an object, so that the next run sees it for the first time, with the act of the person who
// wants that. state.ErrNotFound when nothing is remembered of it.
func (s *Store) ForgetRemembered(ctx context.Context, rule, object, who, why string) error {
	return s.do(ctx, "forget", func(t *tx) error {
		n, err := t.exec("DELETE FROM rule_memory WHERE rule = ? AND object = ?", rule, object)
		if err != nil {
			return err
		}
		if n == 0 {
			return refuse(state.ErrNotFound, "the rule %s remembers nothing of %s", rule, object)
		}
		return t.audit(who, "forget", state.RunRule+"/"+rule, fmt.Sprintf("what is remembered of %s%s", object, forReason(why)), "remembered", "forgotten")
	})
}

// pruneRuleMemory removes what has been kept as long as it is to be.
func (s *Store) pruneRuleMemory(ctx context.Context, now time.Time) (int64, error) {
	q := "DELETE FROM rule_memory WHERE (rule, object) IN (SELECT rule, object FROM rule_memory WHERE keep_until < ? LIMIT CAST(? AS INTEGER))"
	return s.pruneUntilFew(ctx, "prune what rules remember", q, stamp(now), pruneRows)
}
