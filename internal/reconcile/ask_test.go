package reconcile

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/mapping"
	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// askedSystem is a system that holds objects by its own id. It searches by no field, or by the field no.
type askedSystem struct {
	docs     map[string]string
	searches bool
	// pattern is how its ids begin: anything else it refuses.
	pattern string
	asked   []string
}

func (a *askedSystem) Probe(context.Context) error { return nil }
func (a *askedSystem) Close() error                { return nil }

func (a *askedSystem) Find(_ context.Context, l connector.Lookup) ([]connector.Record, error) {
	a.asked = append(a.asked, fmt.Sprint(l.Local, l.Natural))
	if l.Local != "" && a.pattern != "" && !strings.HasPrefix(l.Local, a.pattern) {
		return nil, fault.New(fault.Invalid, "%s is no id of mine", l.Local)
	}
	if l.Local != "" {
		if doc, ok := a.docs[l.Local]; ok {
			return []connector.Record{{Local: l.Local, Doc: []byte(doc)}}, nil
		}
		return nil, nil
	}
	if !a.searches {
		return nil, fault.New(fault.Invalid, "the search answers with other objects too")
	}
	for id, doc := range a.docs {
		if doc == fmt.Sprintf(`{"no":%q}`, l.Natural["no"]) {
			return []connector.Record{{Local: id, Doc: []byte(doc)}}, nil
		}
	}
	return nil, nil
}

// nothingKnown is a store in which nothing is known.
type nothingKnown struct{ Store }

func (nothingKnown) KnownByLocal(context.Context, string, string, []string) (map[string]state.KnownObject, error) {
	return nil, nil
}

// TestAskedByTheHubsID: a repair has listed nothing, so that it does not know whether the hub's ids are the system's own. It asks by both, and where the system cannot be
// searched one object that is there tells.
func TestAskedByTheHubsID(t *testing.T) {
	var problems strictyaml.Problems
	id := mapping.CompileExpr(strictyaml.Parse("f.yaml", []byte("id: source.no"), &problems)[0].Get("id"), mapping.ExprContext{Result: "string"}, &problems)
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		docs     map[string]string
		searches bool
		pattern  string
		seen     string // an object that is read before
		find     string
		want     string
		err      error
	}{
		"the ids are one, and it is there":                   {docs: map[string]string{"A": `{"no":"A"}`}, find: "A", want: "A"},
		"the ids are one, it is gone, and nobody can tell":   {docs: map[string]string{"B": `{"no":"B"}`}, find: "A", err: errCannotAsk},
		"the ids are one, it is gone, and another tells":     {docs: map[string]string{"B": `{"no":"B"}`}, seen: "B", find: "A"},
		"there are two ids":                                  {docs: map[string]string{"7": `{"no":"A"}`}, searches: true, find: "A", want: "7"},
		"two ids, and the one is another object's other":     {docs: map[string]string{"7": `{"no":"8"}`, "8": `{"no":"7"}`}, searches: true, find: "7", want: "8"},
		"two ids, and the hub's is none of the system's":     {docs: map[string]string{"id7": `{"no":"A"}`}, searches: true, pattern: "id", find: "A", want: "id7"},
		"two ids, it is gone":                                {docs: map[string]string{"7": `{"no":"A"}`}, searches: true, find: "B"},
		"two ids, it cannot be searched":                     {docs: map[string]string{"7": `{"no":"A"}`}, seen: "7", find: "A", err: errCannotAsk},
		"two ids, it cannot be searched, and it looks alike": {docs: map[string]string{"7": `{"no":"8"}`}, seen: "7", find: "7", err: errCannotAsk},
	} {
		t.Run(name, func(t *testing.T) {
			sys := &askedSystem{docs: tt.docs, searches: tt.searches, pattern: tt.pattern}
			s := &side{name: "left", entity: "order", def: &config.Side{System: "shop", ID: id}, system: sys, store: nothingKnown{}, clock: lifecycle.Real()}
			r := &Run{left: s, right: &side{system: nil, def: &config.Side{}}}
			if tt.seen != "" {
				if err := r.acquaint(t.Context(), []*pair{{left: &entry{own: tt.seen}}}); err != nil {
					t.Fatal(err)
				}
			}
			got, err := s.find(t.Context(), "", tt.find)
			own := ""
			if got != nil {
				own = got.own
			}
			if own != tt.want || !errors.Is(err, tt.err) || (err == nil) != (tt.err == nil) {
				t.Errorf("found %q (%v), want %q (%v); asked %q", own, err, tt.want, tt.err, sys.asked)
			}
		})
	}
}
