package intake

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/inbox"
	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/webhook"
)

// shelves is a system of things that is listed, polled and asked.
type shelves struct {
	page   connector.Page
	find   map[string][]connector.Record
	all    []connector.Record
	broken error // behind all
	log    string
	asked  []string
}

func (s *shelves) Poll(_ context.Context, r connector.PollRequest) (connector.Page, error) {
	s.asked = append(s.asked, "poll "+r.Cursor)
	return s.page, nil
}
func (s *shelves) Find(_ context.Context, l connector.Lookup) ([]connector.Record, error) {
	s.asked = append(s.asked, "find "+l.Local)
	if s.find == nil {
		return nil, connector.ErrNoLookup
	}
	return s.find[l.Local], nil
}
func (s *shelves) List(_ context.Context, _ string, since time.Time) iter.Seq2[connector.Record, error] {
	s.asked = append(s.asked, fmt.Sprint("list ", !since.IsZero()))
	return func(yield func(connector.Record, error) bool) {
		for _, r := range s.all {
			if !yield(r, nil) {
				return
			}
		}
		if s.broken != nil {
			yield(connector.Record{}, s.broken)
		}
	}
}
func (s *shelves) Stream(string) string             { return s.log }
func (s *shelves) Stored(string, map[string]string) {}
func (s *shelves) Leave(string)                     {}
func (s *shelves) Probe(context.Context) error      { return nil }
func (s *shelves) Close() error                     { return nil }

// came is a store that says what was accepted.
type came struct {
	Known
	rows []state.Inbound
}

func (c *came) AcceptedSince(context.Context, string, int64, string, int) ([]state.Inbound, error) {
	return c.rows, nil
}

func thingsOf(s *shelves, change func(*Source)) *Source {
	id := func(_ context.Context, in inbox.Input) (string, error) {
		v := in.Doc.Root().Get("id")
		if !v.Exists() {
			return "", errors.New("no id")
		}
		return v.Str(), nil
	}
	src := &Source{Flow: "things", Entity: "thing", System: "crm", ID: id, Key: id, Lists: &Lists{Lister: s, Object: "thing"}, Finder: &Finder{System: s, Object: "thing"}}
	change(src)
	return src
}

func recordOf(id, version string) connector.Record {
	return connector.Record{Local: id, Version: version, Doc: []byte(`{"id":"` + id + `"}`)}
}

// TestListing: pages come as polls read them, with versions as the flow's other events have them; what comes from a log, and what has changed since a time,
// is listed, and a list that breaks off is none.
func TestListing(t *testing.T) {
	polled, hooked := func(s *Source) { s.Poll = &Poll{} }, func(s *Source) { s.Webhook = &webhook.Endpoint{} }
	for _, c := range []struct {
		name    string
		source  func(*Source)
		version string
		want    string // version
		tied    bool
	}{{"polled", polled, "7", "7", true}, {"polled without versions", polled, "", "41", false}, {"hooked", hooked, "7", "41", false},
		{"versioned", func(s *Source) { s.Webhook, s.Versioned = &webhook.Endpoint{}, true }, "7", "", true}} {
		s := &shelves{page: connector.Page{Records: []connector.Record{recordOf("1", c.version), {Local: "2", Version: c.version, Deleted: true}, {Local: "3", Err: errors.New("no")}}, Cursor: "b", More: true,
			Remarks: []connector.Remark{{Kind: connector.Moving}}}}
		l, err := NewListing(thingsOf(s, c.source), &came{}, time.Time{})
		if err != nil || !l.Resumes() {
			t.Fatal(err)
		}
		p, err := l.Page(t.Context(), "a", 41)
		if err != nil || p.Cursor != "b" || !p.More || !p.Moved || len(p.Objects) != 3 || !slices.Equal(s.asked, []string{"poll a"}) {
			t.Fatalf("%s: %+v %v", c.name, p, err)
		}
		if o := p.Objects[0]; o.Event.Version != c.want || o.Tied != c.tied || o.Event.Source != "crm" || o.Event.Origin != "crm" || o.Event.Local != "1" || o.Event.Operation != event.Upsert || o.Content == "" || o.Content == p.Objects[1].Content {
			t.Errorf("%s: %+v", c.name, o)
		}
		if p.Objects[1].Event.Operation != event.Delete || p.Objects[2].Err == nil {
			t.Errorf("%s: %+v", c.name, p.Objects)
		}
		if _, err := l.Page(t.Context(), "b", 41); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: a cursor that does not move: %v", c.name, err)
		}
	}
	for name, c := range map[string]struct {
		log   string
		since time.Time
	}{"a log": {log: "slot"}, "since a time": {since: time.Unix(1, 0)}} {
		s := &shelves{log: c.log}
		for i := range listPage + 3 {
			s.all = append(s.all, recordOf(fmt.Sprint(i), "9"))
		}
		l, err := NewListing(thingsOf(s, polled), &came{}, c.since)
		if err != nil || l.Resumes() {
			t.Fatal(name, err)
		}
		first, err := l.Page(t.Context(), "", 41)
		if err != nil || len(first.Objects) != listPage || !first.More {
			t.Fatalf("%s: %d objects, %v", name, len(first.Objects), err)
		}
		second, err := l.Page(t.Context(), first.Cursor, 42)
		if err != nil || len(second.Objects) != 3 || second.More || !slices.Equal(s.asked, []string{fmt.Sprint("list ", !c.since.IsZero())}) {
			t.Errorf("%s: %d objects, %v, asked %v", name, len(second.Objects), err, s.asked)
		}
		s.all, s.broken = s.all[:2], errors.New("it broke off")
		if _, err := l.Page(t.Context(), "", 43); !errors.Is(err, s.broken) {
			t.Errorf("%s: a list that breaks off: %v", name, err)
		}
		l.Close()
	}
	if _, err := NewListing(&Source{}, &came{}, time.Time{}); !errors.Is(err, ErrNotListed) {
		t.Errorf("nothing to list: %v", err)
	}
}

// TestListingAgain: objects are asked for one by one, and where that cannot be, or tells no versions where polls do, their page is read again.
func TestListingAgain(t *testing.T) {
	page := connector.Page{Records: []connector.Record{recordOf("1", "8"), recordOf("2", "8"), recordOf("3", "8")}, Cursor: "b"}
	for name, c := range map[string]struct {
		find  map[string][]connector.Record
		asked []string
		want  string
	}{
		"by look-up":                 {map[string][]connector.Record{"1": {recordOf("1", "9")}}, []string{"find 1", "find 2"}, "1@9 "},
		"no look-up":                 {nil, []string{"find 1", "poll a"}, "1@8 2@8 "},
		"a look-up without versions": {map[string][]connector.Record{"1": {recordOf("1", "")}}, []string{"find 1", "poll a"}, "1@8 2@8 "},
	} {
		s := &shelves{page: page, find: c.find}
		l, err := NewListing(thingsOf(s, func(src *Source) { src.Poll = &Poll{} }), &came{}, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		got, err := l.Again(t.Context(), "a", []string{"1", "2"}, 50)
		said := ""
		for _, o := range got {
			said += o.Event.Local + "@" + o.Event.Version + " "
		}
		if err != nil || said != c.want || !slices.Equal(s.asked, c.asked) {
			t.Errorf("%s: %q, %v, asked %v", name, said, err, s.asked)
		}
	}
}

// TestTouched: what was accepted names its objects by their ids in the system, or by what the flow computes of the document; where neither can be told, any
// object may have changed.
func TestTouched(t *testing.T) {
	at := func(local string) Listed {
		return Listed{Event: event.Event{Local: local, Data: []byte(`{"id":"` + local + `"}`)}}
	}
	local := func(id string, more ...string) state.Inbound {
		h := map[string]string{inbox.HeaderLocal: id}
		for _, m := range more {
			h[m] = "true"
		}
		return state.Inbound{Headers: h}
	}
	for name, c := range map[string]struct {
		rows  []state.Inbound
		split string
		none  bool
		is    map[string]bool
		gone  map[string]bool
	}{
		"nothing":                 {none: true, is: map[string]bool{"1": false}},
		"a poll's":                {rows: []state.Inbound{local("1")}, is: map[string]bool{"1": true, "2": false}},
		"a deletion":              {rows: []state.Inbound{local("1", inbox.HeaderDeleted), local("2")}, is: map[string]bool{"1": true, "2": true}, gone: map[string]bool{"1": true, "2": false}},
		"what was sent again":     {rows: []state.Inbound{{Headers: map[string]string{inbox.HeaderLocal: "2"}, Event: &event.Event{Operation: event.Delete}}}, is: map[string]bool{"2": true}, gone: map[string]bool{"2": true}},
		"a webhook's":             {rows: []state.Inbound{{Body: []byte(`{"id":"2"}`)}}, is: map[string]bool{"1": false, "2": true}},
		"a list":                  {rows: []state.Inbound{{Body: []byte(`[{"id":"2"}]`)}}, is: map[string]bool{"1": true}},
		"a document without one":  {rows: []state.Inbound{{Body: []byte(`{"no":"2"}`)}}, is: map[string]bool{"1": true}},
		"a document with a list":  {rows: []state.Inbound{{Body: []byte(`{"id":"2"}`)}}, split: "rows", is: map[string]bool{"1": true}},
		"more than can be looked": {rows: make([]state.Inbound, mostTouched), is: map[string]bool{"1": true}},
	} {
		l, err := NewListing(thingsOf(&shelves{}, func(s *Source) { s.Webhook, s.Versioned = &webhook.Endpoint{Split: c.split}, true }), &came{rows: c.rows}, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		got, err := l.Touched(t.Context(), 1, "submitted/backfill/backfill-1/")
		if err != nil || got.None() != c.none {
			t.Fatalf("%s: %+v %v", name, got, err)
		}
		for id, want := range c.is {
			o := at(id)
			if got.Is(t.Context(), &o) != want {
				t.Errorf("%s: %s is %v", name, id, !want)
			}
			if sure := want && !got.All; got.Sure(t.Context(), &o) != sure {
				t.Errorf("%s: %s is so for sure: %v", name, id, !sure)
			}
		}
		for id, want := range c.gone {
			if o := at(id); got.Gone(&o) != want {
				t.Errorf("%s: %s is gone: %v", name, id, !want)
			}
		}
	}
}

// TestListingOnce: of a list without pages, in a system that cannot be asked for one object, nothing can be read once more, and that is not the same as gone.
func TestListingOnce(t *testing.T) {
	s := &shelves{all: []connector.Record{recordOf("1", "8")}}
	l, err := NewListing(thingsOf(s, func(src *Source) { src.Poll = &Poll{} }), &came{}, time.Unix(1, 0))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := l.Again(t.Context(), "", []string{"1"}, 50); !errors.Is(err, connector.ErrNoLookup) {
		t.Errorf("%+v, %v", got, err)
	}
}
