package store

import (
	"context"
	"database/sql"
	"time"

	"github.com/waybill-hub/waybill/internal/state"
)

const pgClock = "(extract(epoch FROM clock_timestamp()) * 1000000000)::bigint"

// clock is the time that leases are judged by: hubs that share a PostgreSQL share its clock.
func (t *tx) clock() (n int64, err error) {
	if t.d == sqlite {
		return t.s.now(), nil
	}
	err = t.each(func(r *sql.Rows) error { return r.Scan(&n) }, "SELECT "+pgClock)
	return n, err
}

// TheirClock is what the database's clock shows; ok is false where it is the hub's own.
func (s *Store) TheirClock(ctx context.Context) (at time.Time, ok bool, err error) {
	if s.d == sqlite {
		return time.Time{}, false, nil
	}
	err = s.each(ctx, func(r *sql.Rows) error {
		var n int64
		err := r.Scan(&n)
		at = unstamp(n)
		return err
	}, "SELECT "+pgClock)
	return at, err == nil, s.wrap("ask for the time", err)
}

func (t *tx) lease(name string) (l *state.Lease, err error) {
	err = t.each(func(r *sql.Rows) error {
		var expires int64
		l = &state.Lease{Name: name}
		err := r.Scan(&l.Holder, &l.Token, &expires)
		l.Expires = unstamp(expires)
		return err
	}, "SELECT holder, token, expires FROM leases WHERE name = ?"+t.d.forUpdate(), name)
	return l, err
}

// AcquireLease takes the lease unless another holder has it and it has not expired; then it gives that lease and false. A holder
// that has it already gets a new token: what it began under the old one is fenced.
func (s *Store) AcquireLease(ctx context.Context, name, holder string, ttl time.Duration) (state.Lease, bool, error) {
	// Most who ask do so in vain, again and again. They are told so without the writer, and without locking the row that the
	// holder's work locks.
	if l, taken, err := s.takenLease(ctx, name, holder, ttl); taken || err != nil {
		return l, false, s.wrap("acquire lease "+name, err)
	}
	l, err := ask(ctx, s, "acquire lease "+name, func(t *tx) (state.Lease, error) {
		if t.d == postgres { // two hubs may ask for a name that has no row to lock yet
			if err := t.lock([]lockKey{{hashKey("lease", name), true}}); err != nil {
				return state.Lease{}, err
			}
		}
		have, err := t.lease(name)
		if err != nil {
			return state.Lease{}, err
		}
		now, err := t.clock()
		if err != nil {
			return state.Lease{}, err
		}
		next := state.Lease{Name: name, Holder: holder, Token: 1, Expires: unstamp(now + int64(ttl))}
		if have != nil {
			if have.Holder != "" && have.Holder != holder && stamp(have.Expires) > now {
				if latest := now + longestLease(ttl); stamp(have.Expires) > latest {
					have.Expires = unstamp(latest)
					_, err := t.exec("UPDATE leases SET expires = ? WHERE name = ?", latest, name)
					return *have, err
				}
				return *have, nil
			}
			next.Token = have.Token + 1
		}
		_, err = t.exec("INSERT INTO leases (name, holder, token, expires) VALUES (?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, token = excluded.token, expires = excluded.expires",
			name, holder, next.Token, stamp(next.Expires))
		return next, err
	})
	return l, err == nil && l.Holder == holder, err
}

// longestLease is how far ahead the end of a lease may be: one that ends later was given before the clock was set back, and would keep
// everybody from a dead holder's work for as long.
func longestLease(ttl time.Duration) int64 { return int64(2 * max(ttl, time.Minute)) }

// takenLease looks whether another holder has the lease, and will give it up in time if it is dead.
func (s *Store) takenLease(ctx context.Context, name, holder string, ttl time.Duration) (l state.Lease, taken bool, err error) {
	now := s.now()
	clock := "0"
	if s.d == postgres {
		clock = pgClock
	}
	err = s.each(ctx, func(r *sql.Rows) error {
		var expires, at int64
		l = state.Lease{Name: name}
		if err := r.Scan(&l.Holder, &l.Token, &expires, &at); err != nil {
			return err
		}
		if s.d == postgres {
			now = at
		}
		l.Expires = unstamp(expires)
		taken = l.Holder != "" && l.Holder != holder && expires > now && expires <= now+longestLease(ttl)
		return nil
	}, "SELECT holder, token, expires, "+clock+" FROM leases WHERE name = ?", name)
	return l, taken, err
}

// RenewLease moves the end of a lease that is still held; state.ErrFenced when another holder took it.
// An expired lease that nobody took is renewed: its token still fences.
func (s *Store) RenewLease(ctx context.Context, l state.Lease, ttl time.Duration) (state.Lease, error) {
	return ask(ctx, s, "renew lease "+l.Name, func(t *tx) (state.Lease, error) {
		if err := t.holds(&l); err != nil {
			return state.Lease{}, err
		}
		now, err := t.clock()
		if err != nil {
			return state.Lease{}, err
		}
		out := l
		out.Expires = unstamp(now + int64(ttl))
		_, err = t.exec("UPDATE leases SET expires = ? WHERE name = ?", stamp(out.Expires), l.Name)
		return out, err
	})
}

// ReleaseLease gives a lease back, so that the next holder need not wait for its end. A lease that is no longer held is left alone.
func (s *Store) ReleaseLease(ctx context.Context, l state.Lease) error {
	return s.do(ctx, "release lease "+l.Name, func(t *tx) error {
		_, err := t.exec("UPDATE leases SET holder = '', expires = 0 WHERE name = ? AND token = ? AND holder = ?", l.Name, l.Token, l.Holder)
		return err
	})
}

// holds refuses with state.ErrFenced unless l is the present lease; on PostgreSQL it stays so until the transaction ends.
func (t *tx) holds(l *state.Lease) error {
	have, err := t.lease(l.Name)
	switch {
	case err != nil:
		return err
	case have == nil || have.Token != l.Token || have.Holder != l.Holder:
		return refuse(state.ErrFenced, "lease %s", l.Name)
	}
	return nil
}
