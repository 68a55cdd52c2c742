package store

import (
	"context"
	"database/sql"

	"github.com/waybill-hub/waybill/internal/state"
)

// AlertLease is the lease under which alerts are told.
const AlertLease = "alerts"

// Alerts gives all alerts, in the order of their receivers and keys.
func (s *Store) Alerts(ctx context.Context) ([]state.Alert, error) {
	var out []state.Alert
	err := s.each(ctx, func(r *sql.Rows) error {
		var a state.Alert
		var since, told, gone int64
		err := r.Scan(&a.Receiver, &a.Key, &a.What, &a.Subject, &a.Text, &since, &told, &gone)
		a.Since, a.Told, a.Gone = unstamp(since), unstamp(told), unstamp(gone)
		out = append(out, a)
		return err
	}, "SELECT receiver, name, what, subject, text, since, told, gone FROM alerts ORDER BY receiver, name")
	return out, s.wrap("alerts", err)
}

// KeepAlerts stores alerts, each in place of the one of its name, and removes others, in one commit. state.ErrFenced when the lease is another's.
func (s *Store) KeepAlerts(ctx context.Context, lease state.Lease, keep, drop []state.Alert) error {
	if len(keep)+len(drop) == 0 {
		return nil
	}
	values := make([]any, 0, 8*len(keep))
	for i := range keep {
		a := &keep[i]
		values = append(values, cleanText(a.Receiver), cleanText(a.Key), a.What, cleanText(a.Subject), cleanText(a.Text), stamp(a.Since), stamp(a.Told), stamp(a.Gone))
	}
	return s.do(ctx, "alerts", func(t *tx) error {
		if lease.Name != AlertLease {
			return refuse(state.ErrFenced, "alerts are told under the lease %s, not %s", AlertLease, lease.Name)
		}
		if err := t.holds(&lease); err != nil {
			return err
		}
		for i := range drop {
			if _, err := t.exec("DELETE FROM alerts WHERE receiver = ? AND name = ?", cleanText(drop[i].Receiver), cleanText(drop[i].Key)); err != nil {
				return err
			}
		}
		if len(keep) == 0 {
			return nil
		}
		return t.insert("INSERT INTO alerts (receiver, name, what, subject, text, since, told, gone)", 8, values,
			" ON CONFLICT (receiver, name) DO UPDATE SET what = excluded.what, subject = excluded.subject, text = excluded.text, since = excluded.since, told = excluded.told, gone = excluded.gone")
	})
}
