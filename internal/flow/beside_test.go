package flow

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/event"
)

// sheet is a target that writes every change of an object beside what it wrote before.
type sheet struct {
	*target
	told []string
}

func (*sheet) WriteOnce() {}

func (s *sheet) Write(ctx context.Context, w connector.Write) (connector.Result, error) {
	s.mu.Lock()
	s.told = append(s.told, fmt.Sprintf("%s %s v%s %v", w.Action, w.Local, w.Version, len(w.Doc) > 0))
	s.mu.Unlock()
	if w.Action != connector.Create {
		return connector.Result{Local: w.Local}, nil
	}
	return s.target.Write(ctx, w)
}

// TestWrittenBeside: where changes are written beside what was there, each event of an object is written, once, under the object's first id, with
// its version, a deletion with its document; and what is created again after a deletion is a change of it, and not found to be there.
func TestWrittenBeside(t *testing.T) {
	w := newWorld(t)
	s := &sheet{target: w.erp}
	w.deps.Systems["erp"].Connector = s
	r := w.flow("orders-to-erp")
	gone := with(order("A", 2, "3"), func(e *event.Event) { e.Operation = event.Delete })
	for _, e := range []event.Event{order("A", 1, "1"), order("A", 2, "2"), order("A", 2, "2"), gone, order("A", 1, "4"), order("A", 3, "5")} {
		w.must(r, e)
	}
	w.expect("orders-to-erp", "delivered=5 duplicate=1")
	want := []string{"create  v1 true", "update T1 v2 true", "delete T1 v3 true", "update T1 v4 true", "update T1 v5 true"}
	if !slices.Equal(s.told, want) {
		t.Errorf("%q, want %q", s.told, want)
	}
}
