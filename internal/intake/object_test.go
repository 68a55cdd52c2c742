package intake

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/state"
)

// shelf is a system that can be asked for one object.
type shelf struct {
	script
	found  []connector.Record
	err    error
	asked  connector.Lookup
	during func()
}

func (s *shelf) Find(_ context.Context, l connector.Lookup) ([]connector.Record, error) {
	s.asked = l
	if s.during != nil {
		s.during()
	}
	return s.found, s.err
}

func (s *shelf) Objects() []string { return []string{"order", "sale"} }

// drop is a system of files that can be asked all the same.
type findableDrop struct{ *drop }

func (findableDrop) Find(context.Context, connector.Lookup) ([]connector.Record, error) {
	return nil, nil
}

// Which flows' sources can be asked for one object, and by which name.
func TestFinders(t *testing.T) {
	hook := config.From{System: "crm", Webhook: &config.Webhook{Path: "crm/orders"}}
	for name, c := range map[string]struct {
		entity string
		from   config.From
		system connector.System
		want   string // the object type; empty: it cannot be asked
	}{
		"a poll":                      {"order", config.From{System: "crm", Poll: &config.Poll{Every: time.Minute}}, &shelf{}, "order"},
		"a poll of another object":    {"order", config.From{System: "crm", Poll: &config.Poll{Object: "sale", Every: time.Minute}}, &shelf{}, "sale"},
		"a poll that cannot be asked": {"order", config.From{System: "crm", Poll: &config.Poll{Every: time.Minute}}, &script{}, ""},
		"a webhook":                   {"order", hook, &shelf{}, "order"},
		"an object that is not there": {"customer", hook, &shelf{}, ""},
		"a sender alone":              {"order", hook, nil, ""},
		"files":                       {"order", config.From{System: "crm", Files: &config.Files{Every: time.Minute}}, findableDrop{newDrop()}, ""},
	} {
		got := finder(&config.Flow{Name: "f", Entity: c.entity, From: c.from}, c.system)
		if (got != nil) != (c.want != "") || got != nil && got.Object != c.want {
			t.Errorf("%s: %+v, want %q", name, got, c.want)
		}
	}
}

// Where the hub's own store does not answer, the source is neither asked nor said to have failed.
func TestObjectWithoutAStore(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		s := &shelf{err: errors.New("asked")}
		src := source("f", "a/b")
		src.Finder = &Finder{s, "order"}
		in := b.hub(src)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := in.Object(ctx, "f", connector.Lookup{Local: "1"}); !errors.Is(err, ErrNotBegun) || s.asked.Local != "" {
			t.Errorf("%v; asked for %q", err, s.asked.Local)
		}
		if _, err := in.Object(t.Context(), "f", connector.Lookup{Local: "1"}); !errors.Is(err, s.err) || errors.Is(err, ErrNotBegun) {
			t.Error(err)
		}
	})
}

// What is read is an event as the flow would take it now; the version is one that compares with those of the flow's other events.
func TestObject(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		s := &shelf{}
		polled := func(flow string) Source {
			return Source{Flow: flow, Entity: "order", System: "crm", Topic: "in." + flow, Poll: &Poll{Poller: s, Object: "sale", When: every(time.Hour)}, Finder: &Finder{s, "sale"}}
		}
		versioned, hooked, blind := polled("versioned"), source("hooked", "a/b"), source("blind", "a/c")
		versioned.Versioned, hooked.Finder = true, &Finder{s, "order"}
		in := b.hub(polled("polled"), versioned, hooked, blind, inner("to-erp"))
		seq := func() string {
			t.Helper()
			at, err := in.AsOf(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return at
		}
		doc := []byte(`{"id":"17"}`)
		s.found = []connector.Record{{Local: "9", Deleted: true}, {Local: "17", Doc: doc, Version: "2026-03-01T00:00:00Z"}, {Local: "17", Doc: doc}}
		want := event.Event{Source: "crm", Entity: "order", Operation: event.Upsert, Local: "17", Origin: "crm", Data: doc}
		for flow, version := range map[string]string{"polled": "2026-03-01T00:00:00Z", "versioned": ""} {
			got, err := in.Object(t.Context(), flow, connector.Lookup{Local: "17"})
			want.Version = version
			if err != nil || !reflect.DeepEqual(got, []event.Event{want}) || !reflect.DeepEqual(s.asked, connector.Lookup{Entity: "order", Object: "sale", Local: "17"}) {
				t.Errorf("%s: %+v, %v, asked %+v", flow, got, err, s.asked)
			}
		}
		// A webhook's events are versioned by the order of acceptance: what comes in while the object is read is newer.
		before, during := seq(), ""
		s.during = func() { during = seq() }
		got, err := in.Object(t.Context(), "hooked", connector.Lookup{Natural: map[string]string{"No": "1"}})
		if err != nil || len(got) != 1 || event.CompareVersions(before, got[0].Version) >= 0 || event.CompareVersions(got[0].Version, during) >= 0 || s.asked.Object != "order" {
			t.Errorf("%s, %+v, %s, %v", before, got, during, err)
		}
		s.during, s.found[1].Version = nil, ""
		if got, err := in.Object(t.Context(), "polled", connector.Lookup{Local: "17"}); err != nil || event.CompareVersions(got[0].Version, during) <= 0 || event.CompareVersions(got[0].Version, seq()) >= 0 {
			t.Errorf("without a version: %+v, %v", got, err)
		}
		s.found = []connector.Record{{Local: "17", Err: errors.New("no number")}}
		if _, err := in.Object(t.Context(), "polled", connector.Lookup{Local: "17"}); fault.KindOf(err) != fault.Invalid {
			t.Errorf("unreadable: %v", err)
		}
		s.found = nil
		if got, err := in.Object(t.Context(), "polled", connector.Lookup{Local: "17"}); err != nil || len(got) != 0 {
			t.Errorf("none: %v, %v", got, err)
		}
		if !in.CanAsk("polled") || !in.CanAsk("hooked") || in.CanAsk("blind") || in.CanAsk("to-erp") || in.CanAsk("nobody") {
			t.Error("who can be asked")
		}
		s.err = fault.New(fault.Unavailable, "down")
		for flow, want := range map[string]error{"polled": s.err, "blind": ErrNotAsked, "to-erp": state.ErrNotFound, "nobody": state.ErrNotFound} {
			if _, err := in.Object(t.Context(), flow, connector.Lookup{Local: "17"}); !errors.Is(err, want) {
				t.Errorf("%s: %v, want %v", flow, err, want)
			}
		}
	})
}
