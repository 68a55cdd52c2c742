package flow

import (
	"errors"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/flow/deliver"
	"github.com/waybill-hub/waybill/internal/state"
)

// A hub that was replaced while it waited, frozen or held up by its target, does not write any more: another hub may have written
// newer versions since.
func TestReplacedOwnerDoesNotWrite(t *testing.T) {
	for _, tt := range []struct {
		name     string
		replaced bool
		want     string
	}{
		{"replaced", true, "create A"},
		{"still the owner", false, "create A,create A"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			r := w.flow("orders-to-erp")
			w.erp.script = []step{{err: fault.New(fault.Unavailable, "connection refused"), before: func(*target) {
				w.clock.Advance(deliver.OwnershipTTL)
				if !tt.replaced {
					return
				}
				if _, err := w.store.OpenPartition(t.Context(), r.flow.Name, r.flow.Topic(), 0, event.Log{Cluster: "cluster", TopicID: "topic", Last: 1 << 40}); err != nil {
					t.Error(err)
				}
			}}}
			if err := w.batch(r, order("A", 1, "1")); errors.Is(err, state.ErrFenced) != tt.replaced {
				t.Errorf("the batch ended with %v", err)
			}
			if got := strings.Join(w.erp.calls, ","); got != tt.want {
				t.Errorf("calls: got %q, want %q", got, tt.want)
			}
		})
	}
}
