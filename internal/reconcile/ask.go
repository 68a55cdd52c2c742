package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/mapping"
)

// plainField is an expression that is a field of the document, by which a system may be asked.
var plainField = regexp.MustCompile(`^(?:text\()?source\.([A-Za-z_][A-Za-z0-9_.]*)\)?$`)

// errCannotAsk: the system cannot be asked for one object.
var errCannotAsk = errors.New("it cannot be asked for one object")

// find asks the system for one object: by its own id, or by the one that the hub knows. nil: it is not there.
func (s *side) find(ctx context.Context, own, local string) (*entry, error) {
	look, sure := connector.Lookup{Entity: s.entity, Object: s.object(), Local: own}, true
	if own == "" {
		if look, sure = s.lookFor(local); look.Local == "" && !s.apart.Load() { // mostly both ids are one
			e, err := s.one(ctx, connector.Lookup{Entity: s.entity, Object: s.object(), Local: local}, local, false)
			if err == nil || !errors.Is(err, errCannotAsk) {
				return e, err
			}
		}
	}
	return s.one(ctx, look, local, sure)
}

// one gives the object that a question finds. local: it is to have this id in the hub, unless it is asked for by its own; sure: where nothing is found, it is
// not there.
func (s *side) one(ctx context.Context, look connector.Lookup, local string, sure bool) (*entry, error) {
	got, err := s.ask(ctx, look)
	switch {
	case err != nil && fault.KindOf(err) == fault.Invalid && !sure:
		return nil, s.cannotAsk() // it may be no id of the system's
	case err != nil && fault.KindOf(err) == fault.Invalid: // it is there, and says nothing of the others
		e := &entry{own: look.Local, local: cmp.Or(local, look.Local), why: "it cannot be read: " + err.Error()}
		return e, s.known(ctx, []*entry{e})
	case err != nil:
		return nil, err
	}
	for i := range got {
		if got[i].Deleted {
			continue
		}
		e, err := s.entries(ctx, got[i:i+1])
		if err != nil {
			return nil, err
		}
		if local != "" && e[0].local != local {
			continue // another object has the id there that this one has in the hub
		}
		return e[0], nil
	}
	if !sure {
		return nil, s.cannotAsk()
	}
	return nil, nil
}

// ask puts a question to the system, and again where that failed of something that may be over soon. What is not there is no error.
func (s *side) ask(ctx context.Context, l connector.Lookup) (got []connector.Record, err error) {
	f, ok := s.system.(connector.Finder)
	if !ok || s.def.Files {
		return nil, s.cannotAsk()
	}
	err = connector.Again(ctx, s.clock, func() error {
		return lifecycle.Guard(func() (err error) {
			got, err = f.Find(ctx, l)
			return err
		})
	})
	if err != nil && ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	switch {
	case err == nil:
		return got, nil
	case errors.Is(err, connector.ErrNoLookup), len(l.Natural) > 0 && fault.KindOf(err) == fault.Invalid: // it searches by no such field
		return nil, s.cannotAsk()
	case fault.KindOf(err) == fault.NotFound:
		return nil, nil
	}
	what := l.Local
	if what == "" {
		what = fmt.Sprint(l.Natural)
	}
	return nil, fmt.Errorf("the %s side, %s: look for %s %s: %w", s.name, s.def.System, s.object(), what, err)
}

// lookFor is the question for an object by the id that the hub knows; sure: where it finds nothing, nothing is there.
func (s *side) lookFor(local string) (l connector.Lookup, sure bool) {
	l = connector.Lookup{Entity: s.entity, Object: s.object()}
	id := s.idExpr()
	if id != nil && (s.apart.Load() || !s.alike.Load()) {
		if m := plainField.FindStringSubmatch(strings.TrimSpace(id.Text())); m != nil {
			l.Natural = map[string]string{m[1]: local}
			return l, true
		}
	}
	l.Local = local
	return l, id == nil || s.alike.Load() && !s.apart.Load()
}

// acquaint reads one of the candidates' objects on each side of which nothing was read yet, so that it is known whether the hub knows objects by the
// system's own ids: then the system can say that one is gone.
func (r *Run) acquaint(ctx context.Context, batch []*pair) error {
	for _, s := range []*side{r.left, r.right} {
		for _, p := range batch {
			e := p.left
			if s == r.right {
				e = p.right
			}
			if e == nil || e.own == "" || s.apart.Load() || s.alike.Load() || !s.canAsk() {
				continue
			}
			if _, err := s.find(ctx, e.own, ""); err != nil && !errors.Is(err, errCannotAsk) {
				return err
			}
		}
	}
	return nil
}

// idExpr is by what the hub knows objects of the side, where that is another id than the system's.
func (s *side) idExpr() *mapping.Expr {
	switch {
	case s.flow != nil && s.flow.ID != nil:
		return s.flow.ID
	case s.flow != nil:
		return s.flow.Key
	}
	return s.def.ID
}

// canAsk reports whether the side can be asked for one object at all.
func (s *side) canAsk() bool {
	_, ok := s.system.(connector.Finder)
	return ok && !s.def.Files
}

func isCannotAsk(err error) bool { return errors.Is(err, errCannotAsk) }

func (s *side) cannotAsk() error {
	return fmt.Errorf("the %s side, %s of %s: %w", s.name, s.object(), s.def.System, errCannotAsk)
}

// failing is a look-up that remembers its failure: what could not be looked up says nothing of a record.
type failing struct {
	mapping.Lookup
	err error
}

func (f *failing) HubID(ctx context.Context, entity, system, local string) (string, bool, error) {
	hub, ok, err := f.Lookup.HubID(ctx, entity, system, local)
	f.err = errors.Join(f.err, err)
	return hub, ok, err
}

func (f *failing) LocalID(ctx context.Context, entity, system, hub string) (string, bool, error) {
	local, ok, err := f.Lookup.LocalID(ctx, entity, system, hub)
	f.err = errors.Join(f.err, err)
	return local, ok, err
}
