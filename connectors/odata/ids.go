package odata

import (
	"context"
	"errors"
	"iter"
	"strings"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
)

var _ connector.IDLister = (*system)(nil)

// ListsIDs reports whether the object type is known: every service can be asked for the keys alone.
func (s *system) ListsIDs(object string) bool { return s.set.Objects[object] != nil }

// ListIDs reads the keys of everything. Where the list moves while it is read it is read again, as by List.
func (s *system) ListIDs(ctx context.Context, object string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		op := "list the ids of " + object
		b, err := s.patiently(ctx, object, op)
		if err != nil {
			yield("", err)
			return
		}
		given := map[string]bool{}
		w := s.walk(b, "", op)
		names := make([]string, len(b.keys))
		for i, p := range b.keys {
			names[i] = p.name
		}
		w.shape, w.bare = "$select="+escape(strings.Join(names, ",")), true
		err = w.everything(ctx, func(p *page) (bool, error) {
			for _, it := range p.items {
				keys, err := w.keysOf(it)
				if err != nil {
					return false, s.refuse(op, err)
				}
				id := key{m: b.m, parts: b.keys, values: keys}.local()
				if given[id] {
					continue
				}
				if given[id] = true; !yield(id, nil) {
					return false, nil
				}
			}
			return true, nil
		})
		if err != nil {
			yield("", err)
		}
	}
}

// patiently is bound for what does not come again by itself.
func (s *system) patiently(ctx context.Context, object, op string) (b *bound, err error) {
	err = connector.Again(ctx, s.clock, func() (err error) {
		b, err = s.bound(ctx, object, op)
		return err
	})
	return b, err
}

// everything reads a list to its end, page by page, and again from the beginning where it moves; take is given each page, and ends the walk by false.
func (w *walk) everything(ctx context.Context, take func(*page) (bool, error)) error {
	for w.patient = true; !w.done; {
		p, err := w.next(ctx)
		switch {
		case err == nil:
		case !errors.Is(err, errShifted):
			return err
		case w.at.Shifts == maxShifts:
			return w.s.fail(fault.Unavailable, w.op, "%s, %d times: nobody can say that nothing was left out", err, maxShifts+1)
		default:
			w.at, w.done = w.at.anew(), false
			continue
		}
		if more, err := take(p); !more || err != nil {
			return err
		}
	}
	return nil
}
