package odata

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// trader is an open system that a test works with.
type trader struct {
	t   testing.TB
	sys *system
}

func openTrader(t testing.TB, set connector.Settings) *trader {
	t.Helper()
	sys, err := Kind{}.Open(context.Background(), set)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sys.Close() })
	return &trader{t, sys.(*system)}
}

func (s *trader) write(w connector.Write) (connector.Result, error) {
	return s.sys.Write(context.Background(), w)
}

func (s *trader) create(object, external, doc string) string {
	s.t.Helper()
	r, err := s.write(connector.Write{Object: object, Action: connector.Create, External: external, Doc: []byte(doc)})
	if err != nil {
		s.t.Fatalf("create %s: %v", object, err)
	}
	return r.Local
}

func (s *trader) update(object, id, doc string) connector.Result {
	s.t.Helper()
	r, err := s.write(connector.Write{Object: object, Action: connector.Update, Local: id, Doc: []byte(doc)})
	if err != nil {
		s.t.Fatalf("update %s: %v", object, err)
	}
	return r
}

// refused: an update fails with a kind, and its text holds something.
func (s *trader) refused(kind fault.Kind, object, id, doc, text string) {
	s.t.Helper()
	_, err := s.write(connector.Write{Object: object, Action: connector.Update, Local: id, Doc: []byte(doc)})
	if fault.KindOf(err) != kind || !strings.Contains(err.Error(), text) {
		s.t.Errorf("update with %s: %v, want %v with %q", doc, err, kind, text)
	}
}

func (s *trader) find(l connector.Lookup) []connector.Record {
	s.t.Helper()
	found, err := s.sys.Find(context.Background(), l)
	if err != nil {
		s.t.Fatalf("find: %v", err)
	}
	return found
}

// wants: the object has all that a document says, its lists have just those elements, in the order of their texts.
func (s *trader) wants(object, id, want string) {
	s.t.Helper()
	found := s.find(connector.Lookup{Object: object, Local: id})
	if len(found) != 1 {
		s.t.Fatalf("%s %s: %d are there", object, id, len(found))
	}
	if found[0].Err != nil {
		s.t.Fatalf("%s %s: %v", object, id, found[0].Err)
	}
	holdsAll(s.t, object, parsed(s.t, string(found[0].Doc)), parsed(s.t, want))
}

func parsed(t testing.TB, doc string) jsondoc.Value {
	t.Helper()
	d, err := jsondoc.Parse([]byte(doc), jsondoc.Limits{})
	if err != nil {
		t.Fatalf("%v: %s", err, doc)
	}
	return d.Root()
}

func holdsAll(t testing.TB, at string, got, want jsondoc.Value) {
	t.Helper()
	for name, w := range want.Members() {
		g := got.Get(name)
		if w.Kind() != jsondoc.Array {
			if string(g.Raw()) != string(w.Raw()) {
				t.Errorf("%s.%s is %s, want %s", at, name, g.Raw(), w.Raw())
			}
			continue
		}
		if g.Len() != w.Len() {
			t.Errorf("%s.%s has %d elements, want %d: %s", at, name, g.Len(), w.Len(), g.Raw())
			continue
		}
		for i := range w.Len() {
			holdsAll(t, at+"."+name, g.Index(i), w.Index(i))
		}
	}
}

// poll reads one round and gives the ids.
func (s *trader) poll(object string) (ids []string) {
	s.t.Helper()
	cursor := ""
	for {
		p, err := s.sys.Poll(context.Background(), connector.PollRequest{Object: object, Cursor: cursor, Overlap: time.Second})
		if err != nil {
			s.t.Fatalf("poll: %v", err)
		}
		for _, r := range p.Records {
			ids = append(ids, r.Local)
		}
		if cursor = p.Cursor; !p.More {
			return ids
		}
	}
}
