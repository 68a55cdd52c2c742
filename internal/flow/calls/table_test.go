package calls

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/failpoint"
)

// Every pair of a state and an event: where it leads, or that it is refused.
func TestTable(t *testing.T) {
	const no = -1
	// In the order of the events: open send withhold answer refuse lose look rejoin crash close cover.
	want := map[State][]State{
		None:     {Opened, no, no, no, no, no, None, Refused, None, no, no},
		Opened:   {Opened, Sent, no, no, no, no, Opened, no, Unknown, Settled, no},
		Sent:     {no, no, Opened, Applied, Refused, Unknown, no, no, Unknown, no, no},
		Refused:  {Opened, no, no, no, no, no, Refused, no, Unknown, Settled, Settled},
		Unknown:  {Reopened, no, no, no, no, no, Known, no, Unknown, no, Settled},
		Reopened: {Reopened, Resent, no, no, no, no, Opened, no, Unknown, no, no},
		Resent:   {no, no, Reopened, Applied, Unknown, Unknown, no, no, Unknown, no, no},
		Known:    {Opened, no, no, no, no, no, Known, no, Unknown, Settled, no},
		Applied:  {no, no, no, no, no, no, no, no, Unknown, Settled, no},
		Settled:  {no, no, no, no, no, no, no, no, Settled, no, no},
	}
	rows := 0
	for s := range State(len(stateNames)) {
		if len(want[s]) != len(eventNames) {
			t.Fatalf("%s has %d events of %d", s, len(want[s]), len(eventNames))
		}
		for e := range Event(len(eventNames)) {
			got, err := Next(s, e)
			switch to := want[s][e]; {
			case to == no && (err == nil || got != s || !strings.Contains(err.Error(), s.String()) || !strings.Contains(err.Error(), e.String())):
				t.Errorf("%s, %s: goes to %s (%v), and must be refused by name", s, e, got, err)
			case to != no && (err != nil || got != to):
				t.Errorf("%s, %s: goes to %s (%v), not to %s", s, e, got, err, to)
			case to != no:
				rows++
			}
		}
	}
	if rows != len(Table) {
		t.Errorf("the table has %d rows, and %d pairs: one stands twice", len(Table), rows)
	}
}

// The durable step of a transition is a failpoint that exists, or says that there is none.
func TestDurableSteps(t *testing.T) {
	known := failpoint.All()
	for _, r := range Table {
		if r.Durable != intentStands && r.Durable != noStep && !slices.Contains(known, failpoint.Name("flow."+r.Durable)) {
			t.Errorf("%s, %s: %q is no failpoint", r.From, r.On, r.Durable)
		}
	}
}

// The picture in docs/architecture.md is the table.
func TestPicture(t *testing.T) {
	b, err := os.ReadFile("../../../docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(b), "```mermaid\nstateDiagram-v2\n")
	drawn, _, ended := strings.Cut(rest, "```")
	if !ok || !ended {
		t.Fatal("docs/architecture.md draws no states")
	}
	var want strings.Builder
	for _, r := range Table {
		fmt.Fprintf(&want, "    %s --> %s: %s (%s)\n", r.From, r.To, r.On, r.Durable)
	}
	if drawn != want.String() {
		t.Errorf("the picture is not the table; it should be\n%s", want.String())
	}
}

// A delivery that is told what cannot be sends nothing, and takes what it was told of an outcome for the worst.
func TestImpossible(t *testing.T) {
	d := NewLedger().Deliver("e")
	in := intentOf("e", 1)
	if err := d.Sending(&in); err == nil {
		t.Error("a request without an intent")
	}
	if err := d.Opened(0, false); err != nil {
		t.Fatal(err)
	}
	if err := d.Sending(&in); err != nil {
		t.Fatal(err)
	}
	if d.Sending(&in) == nil || d.Opened(0, false) == nil {
		t.Error("two requests at once")
	}
	if d.Ending() != KeepOwn {
		t.Error("a call without an outcome is closed")
	}
	d.Answered()
	d.Refused()
	if !d.LostHere() || d.Ending() != KeepOwn {
		t.Error("an answer that contradicts another is believed")
	}
}
