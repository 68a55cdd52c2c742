package odata

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/httpclient"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// A search is bounded: more than a few matches are a duplicate whatever their number, and many pages without one show that the service does not know
// the condition.
const (
	maxFound = 100
	maxPages = 20
)

// forbidden is the code of a 403. The answer to a search is about all objects; one to a single object by its key may be about that object alone.
const forbidden = "403"

// Find looks an object up. What a search answers is compared again with what was asked for.
func (s *system) Find(ctx context.Context, l connector.Lookup) ([]connector.Record, error) {
	op := "find " + l.Object
	b, err := s.bound(ctx, l.Object, op)
	if err != nil {
		return nil, err
	}
	switch {
	case l.Local != "":
		it, err := s.get(ctx, b, l.Local, op)
		if err != nil || it == nil {
			return nil, err
		}
		return []connector.Record{s.record(b, it, op)}, nil
	case l.External != "":
		found, err := s.byExternal(ctx, b, &l, op)
		return found, connector.Unlookable(err, forbidden)
	case len(l.Natural) > 0:
		found, err := s.byNatural(ctx, b, &l, op)
		return found, connector.Unlookable(err, forbidden)
	}
	return nil, s.fail(fault.Invalid, op, "nothing to look for")
}

// byExternal asks for an external id in the form that creates write, and in the older ones where that is asked for.
func (s *system) byExternal(ctx context.Context, b *bound, l *connector.Lookup, op string) ([]connector.Record, error) {
	if b.external == nil {
		f := s.fail(fault.Invalid, op, "")
		f.Err = fmt.Errorf("by external id: %w (set external)", connector.ErrNoLookup)
		return nil, f
	}
	forms := []string{b.ExternalForm.Write(l.External)}
	if l.Older {
		for _, form := range b.ExternalForm.Others() {
			forms = append(forms, form.Write(l.External))
		}
		forms = append(forms, strings.ToUpper(forms[0])) // as a service keeps it that writes ids in capitals and searches by the letter
	}
	var asked []string
	for _, form := range forms {
		if b.external.length >= 0 && len(form) > b.external.length {
			continue // it cannot be there
		}
		if lit, err := b.m.literal(b.external, form); err == nil {
			asked = append(asked, b.External+" eq "+lit)
		}
	}
	return s.ask(ctx, b, asked, op, func(it *item) bool {
		text, err := b.m.text(b.external, it.Get(b.External))
		return err == nil && connector.SameExternal(text, l.External)
	})
}

// byNatural asks for natural keys as they are given, and then as their rules would write them: a service may search by the letter.
func (s *system) byNatural(ctx context.Context, b *bound, l *connector.Lookup, op string) ([]connector.Record, error) {
	fields := slices.Sorted(maps.Keys(l.Natural))
	asked := []string{""}
	for _, field := range fields {
		p := b.typ.property(field)
		if p == nil || p.collection {
			return nil, s.fail(fault.Invalid, op, "%s has no property %q to look for%s", b.set.name, field, strictyaml.Meant(field, b.typ.names()))
		}
		terms, err := b.m.terms(p, l.Natural[field], l.Compare[field])
		if err != nil {
			return nil, s.fail(fault.Invalid, op, "%s: %q %s", field, httpclient.Shorten(l.Natural[field], 60), err)
		}
		asked = combined(asked, terms)
	}
	return s.ask(ctx, b, asked, op, func(it *item) bool {
		for _, field := range fields {
			text, err := b.m.text(b.typ.property(field), it.Get(field))
			if err != nil || !l.Compare[field].Same(text, l.Natural[field]) {
				return false
			}
		}
		return true
	})
}

// terms are conditions for a value, as it is given, as its rule writes it, and as SAP keeps numbers in texts: with zeros before them.
func (m *metadata) terms(p *property, value string, rule connector.Compare) ([]string, error) {
	var out []string
	var wrong error
	add := func(left, value string) {
		if p.kind == stringType && p.length >= 0 && len([]rune(value)) > p.length {
			return // it cannot be there
		}
		lit, err := m.literal(p, value)
		if err != nil {
			wrong = err
			return
		}
		if term := left + " eq " + lit; !slices.Contains(out, term) {
			out = append(out, term)
		}
	}
	add(p.name, value)
	switch rule {
	case connector.Fold:
		if p.kind == stringType {
			add("tolower("+p.name+")", strings.ToLower(value))
		}
	default:
		plain := rule.Key(value)
		add(p.name, plain)
		if n := p.length - len(plain); rule == connector.Number && p.kind == stringType && n > 0 && n < 64 && strings.Trim(plain, "0123456789") == "" {
			add(p.name, strings.Repeat("0", n)+plain)
		}
	}
	if len(out) == 0 && wrong != nil {
		return nil, wrong
	}
	return out, nil
}

// combined joins every condition with every other one.
func combined(before, terms []string) []string {
	var out []string
	for _, a := range before {
		for _, b := range terms {
			out = append(out, strings.TrimPrefix(a+" and "+b, " and "))
		}
	}
	return out
}

// ask searches by one condition after the other until something fits.
func (s *system) ask(ctx context.Context, b *bound, conditions []string, op string, fits func(*item) bool) ([]connector.Record, error) {
	for _, condition := range conditions {
		found, err := s.search(ctx, b, condition, op, fits)
		if err != nil || len(found) > 0 {
			return found, err
		}
	}
	return nil, nil
}

func (s *system) search(ctx context.Context, b *bound, condition, op string, fits func(*item) bool) ([]connector.Record, error) {
	var found []connector.Record
	w := s.walk(b, condition, op)
	for n := 0; !w.done && len(found) < maxFound; n++ {
		if n == maxPages {
			return nil, s.fail(fault.Invalid, op, "the search answers with other objects too, page after page: does the service know $filter?")
		}
		p, err := w.next(ctx)
		if errors.Is(err, errShifted) {
			return nil, s.fail(fault.Unavailable, op, "%s", err)
		}
		if err != nil {
			return nil, err
		}
		for i := range p.items {
			it := &p.items[i]
			if it.bad != nil { // it may be the one: to go on as if it were not there would make a second
				return nil, s.fail(fault.Invalid, op, "an object of the answer cannot be read: %s", it.bad.Err)
			}
			if fits(it) {
				found = append(found, s.record(b, it, op))
			}
		}
	}
	return found, nil
}
