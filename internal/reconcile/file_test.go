package reconcile

import (
	"context"
	"errors"
	"iter"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/state"
)

// drop is a folder of files.
type drop struct {
	connector.System
	files []connector.File
	young func() string
	looks int
}

func (d *drop) Pending(context.Context, string) ([]connector.File, error) {
	d.looks++
	return d.files, nil
}
func (d *drop) Read(context.Context, string, connector.File, int) iter.Seq2[connector.Row, error] {
	return func(func(connector.Row, error) bool) {}
}
func (d *drop) Done(context.Context, string, connector.File, error) error { return nil }
func (d *drop) Ripening(string) string                                    { return d.young() }

// TestNewestFile: a run reads one file, the newest, and waits for one that may be half an upload; not for ever.
func TestNewestFile(t *testing.T) {
	sideOf := func(d *drop) *side {
		return &side{name: "right", entity: "product", def: &config.Side{System: "bank", Files: true}, system: d, clock: hurried{lifecycle.Real(), new(time.Duration)}}
	}
	d := &drop{files: []connector.File{{Name: "1.csv"}}}
	d.young = func() string {
		if d.looks < 3 {
			return "2.csv"
		}
		d.files = []connector.File{{Name: "1.csv"}, {Name: "2.csv"}}
		return ""
	}
	s := sideOf(d)
	got, err := s.newest(t.Context(), d)
	if err != nil || got.Name != "2.csv" || d.looks != 4 {
		t.Fatal(got, err, d.looks)
	}
	d.files = append(d.files, connector.File{Name: "3.csv"})
	if again, err := s.newest(t.Context(), d); err != nil || again.Name != got.Name || d.looks != 4 {
		t.Errorf("%v %v after %d looks", again, err, d.looks)
	}
	d = &drop{young: func() string { return "1.csv" }}
	if _, err := sideOf(d).newest(t.Context(), d); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("%v", err)
	}
	d = &drop{young: func() string { return "" }}
	if _, err := sideOf(d).newest(t.Context(), d); fault.KindOf(err) != fault.NotFound {
		t.Errorf("%v", err)
	}
}

// hurried is a clock on which waiting takes no time, and time goes on all the same.
type hurried struct {
	lifecycle.Clock
	passed *time.Duration
}

func (h hurried) Elapsed() time.Duration { return *h.passed }
func (h hurried) NewTimer(d time.Duration) lifecycle.Timer {
	*h.passed += d
	return h.Clock.NewTimer(0)
}

// rowsOf is a drop whose files hold rows.
type rowsOf struct {
	*drop
	docs []string
}

func (r rowsOf) Read(context.Context, string, connector.File, int) iter.Seq2[connector.Row, error] {
	return func(yield func(connector.Row, error) bool) {
		for i, doc := range r.docs {
			if !yield(connector.Row{Number: i + 1, Doc: []byte(doc)}, nil) {
				return
			}
		}
	}
}

// TestComparedFile: the summary of a run names the file that a side was read from, also where the run fails.
func TestComparedFile(t *testing.T) {
	for name, c := range map[string]struct {
		fails bool
		st    state.RunState
	}{"to its end": {false, state.RunAgreed}, "it fails": {true, state.RunFailed}} {
		t.Run(name, inWorld(func(t *testing.T, w *world) {
			at := w.clock.Now().Add(-time.Hour)
			w.open["east"] = rowsOf{&drop{files: []connector.File{{Name: "old.csv", ID: "1"}, {Name: "new.csv", ID: "abc", Size: 12, Modified: at}}, young: func() string { return "" }}, []string{`{"no":"A"}`}}
			w.west.objects["1"] = `{"no":"A"}`
			w.rec.Right, w.rec.Match = config.Side{System: "east", Files: true}, config.Match{Fields: []string{"no"}}
			w.rec.Totals = nil
			if c.fails {
				w.mem.failing = errors.New("the store is away")
			}
			got := w.run(t.Context(), Asked{})
			want := state.ComparedFile{Side: "right", System: "east", Name: "new.csv", ID: "abc", Size: 12, Modified: at}
			if got.st != c.st || len(got.sum.Files) != 1 || got.sum.Files[0] != want || got.detail != "" {
				t.Errorf("%+v", got)
			}
		}))
	}
}
