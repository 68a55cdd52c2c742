package flow

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/state"
)

// What the target said of a call stays in the reason for which its message rests and parks, also when the last thing that happened is something else:
// a wait, a look that failed, a system that cannot be asked.
func TestTheTargetsWordsStay(t *testing.T) {
	said := &fault.Error{Kind: fault.UnknownOutcome, System: "erp", Op: "create order", Code: "500 ORA-01653", Err: errText("unable to extend table")}
	down := &fault.Error{Kind: fault.Unavailable, System: "erp", Op: "find order", Code: "503", Err: errText("maintenance")}
	const words = "500 ORA-01653: unable to extend table"

	t.Run("no look-up", func(t *testing.T) {
		w := newWorld(t)
		w.deps.Systems["erp"].Connector = mute{w.erp}
		w.erp.script = []step{{false, said, nil}}
		w.must(w.flow("orders-to-erp"), order("A", 1, "1"))
		w.expect("orders-to-erp", "parked=1")
		if q := w.queue("orders-to-erp")[0]; q.Kind != "unknown-outcome" || strings.Count(q.Reason, words) != 1 || !strings.Contains(q.Reason, "look there") {
			t.Errorf("parked: %+v", q)
		}
	})
	t.Run("given up while it cannot be asked", func(t *testing.T) {
		w := newWorld(t)
		w.deps.Systems["erp"].Connector = blind{w.erp, down}
		w.erp.script = []step{{false, said, nil}}
		w.must(w.flow("orders-to-erp"), order("A", 1, "1"))
		w.until("parked", func() bool {
			q := w.queue("orders-to-erp")
			if len(q) == 1 && strings.Count(q[0].Reason, words) != 1 {
				t.Fatalf("%s: %s", q[0].State, q[0].Reason)
			}
			return len(q) == 1 && q[0].State == state.Parked
		})
		if q := w.queue("orders-to-erp")[0]; !strings.Contains(q.Reason, "maintenance") || q.Kind != "unknown-outcome" {
			t.Errorf("parked: %+v", q)
		}
	})
	t.Run("never answered, and found to be absent", func(t *testing.T) {
		w := newWorld(t)
		lost := &fault.Error{Kind: fault.UnknownOutcome, System: "erp", Op: "create order", Err: errText("the connection was cut off")}
		w.erp.script = []step{{false, lost, nil}}
		w.must(w.flow("orders-to-erp"), order("A", 1, "1"))
		if q := w.queue("orders-to-erp"); len(q) == 1 && !strings.Contains(q[0].Reason, "the connection was cut off") {
			t.Errorf("held: %s", q[0].Reason)
		}
		w.clock.Advance(2 * time.Minute)
		w.until("delivered", func() bool { return w.summary("orders-to-erp") == "delivered=1" })
	})
	t.Run("refused", func(t *testing.T) {
		w := newWorld(t)
		w.erp.script = []step{{false, &fault.Error{Kind: fault.Invalid, System: "erp", Op: "create order", Code: "200 E_LOCKED", Err: errText("period is closed")}, nil}}
		w.must(w.flow("orders-to-erp"), order("A", 1, "1"))
		w.expect("orders-to-erp", "parked=1")
		if q := w.queue("orders-to-erp")[0]; q.Reason != "erp: create order: 200 E_LOCKED: period is closed" || q.Code != "erp/200 E_LOCKED" {
			t.Errorf("parked: %+v", q)
		}
	})
}

// blind is a target whose look-ups fail.
type blind struct {
	*target
	why error
}

func (b blind) Find(context.Context, connector.Lookup) ([]connector.Record, error) { return nil, b.why }

// A change that would make the object the double of another is refused, however often it is sent: it parks, and is not adopted again and again.
func TestUpdateIntoADouble(t *testing.T) {
	w := newWorld(t)
	r := w.flow("orders-to-erp")
	w.must(r, order("A", 1, "1"))
	w.expect("orders-to-erp", "delivered=1")
	taken := &fault.Error{Kind: fault.Conflict, Duplicate: true, System: "erp", Op: "update order", Code: "200 DUPLICATE_DATA", Err: errText("the e-mail is taken")}
	w.erp.script = []step{{false, taken, nil}}
	w.must(r, order("A", 2, "2"))
	w.expect("orders-to-erp", "delivered=1 parked=1")
	if q := w.queue("orders-to-erp")[0]; q.Reason != "erp: update order: 200 DUPLICATE_DATA: the e-mail is taken" {
		t.Errorf("parked: %+v", q)
	}
}

type errText string

func (e errText) Error() string { return string(e) }
