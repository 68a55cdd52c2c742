package connectortest

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
)

// probePatience is how long the engine waits for a probe.
const probePatience = 10 * time.Second

// testProbe: the probe is honest. What stands for everybody fails it, what concerns the hub's own work or one document does not; and where it fails,
// a write fails in a way for which no message is parked.
func testProbe(t *testing.T, fresh func(t *testing.T) *Subject) {
	first := fresh(t)
	fails, answers := false, false
	for _, p := range first.Probes {
		fails, answers = fails || p.Want != fault.None, answers || p.Want == fault.None
	}
	if can := first.Kind.Spec().Can; (can.Write || can.Poll || can.Files) && !(fails && answers) {
		t.Error("no state of the system is tried in which its probe must fail, or none in which it must be answered")
	}
	for i := range first.Probes {
		t.Run(first.Probes[i].Name, func(t *testing.T) {
			s := fresh(t)
			p, set := s.Probes[i], s.Settings
			if p.Arrange != nil {
				p.Arrange(t, &set)
			}
			sys := s.openWith(t, set, time.Now)
			if p.Busy != nil {
				p.Busy(t, sys)
			}
			ctx, cancel := context.WithTimeout(t.Context(), probePatience)
			defer cancel()
			began := time.Now()
			err := sys.Probe(ctx)
			if took := time.Since(began); took > probePatience+time.Second {
				t.Errorf("the probe took %v", took)
			}
			if p.Want != fault.None {
				s.classified(t, "probe", err, p.Want)
			} else if err != nil {
				t.Errorf("the system answers, and its probe says: %v", err)
			}
			if err != nil && !strings.Contains(err.Error(), p.Text) {
				t.Errorf("the probe does not say %q: %v", p.Text, err)
			}
			if p.Create == fault.None {
				return
			}
			if p.Create == fault.Invalid {
				t.Fatal("a message would be parked for what is the system's fault")
			}
			_, err = sys.(connector.Sink).Write(t.Context(), s.write(connector.Create, 1, s.New(1)))
			if f := s.classified(t, "create", err, p.Create); !strings.Contains(f.Error(), p.Text) {
				t.Errorf("the failed create does not say %q: %v", p.Text, f)
			}
		})
	}
}
