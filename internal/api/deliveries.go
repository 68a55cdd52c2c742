package api

import (
	"net/http"
	"time"

	"github.com/waybill-hub/waybill/internal/state"
)

// Deliveries are what flows have delivered, all hubs together, in steps: Delivered[i] from From + i steps on. The last step is not over.
type Deliveries struct {
	From        time.Time        `json:"from"`
	StepSeconds int64            `json:"step_seconds"`
	Flows       []FlowDeliveries `json:"flows"`
}

// FlowDeliveries are one flow's. What is in Late is in Delivered, too: it was older than slo.late-after by then.
type FlowDeliveries struct {
	Name      string  `json:"name"`
	Delivered []int64 `json:"delivered"`
	Late      []int64 `json:"late"`
}

func (s *Server) deliveries(w http.ResponseWriter, r *http.Request) {
	d, err := s.hub.Deliveries(r.Context(), of(r).text("flow"), time.Duration(of(r).number("hours"))*time.Hour)
	if err != nil {
		s.failed(w, r, err)
		return
	}
	answer(w, http.StatusOK, d)
}

// DeliveriesOf puts steps in order of time; names are the flows to tell of. Steps of other flows are left out.
func DeliveriesOf(names []string, from time.Time, step time.Duration, n int, steps []state.TimelyStep) *Deliveries {
	d := &Deliveries{From: from, StepSeconds: int64(step / time.Second), Flows: []FlowDeliveries{}}
	at := map[string]int{}
	for _, name := range names {
		at[name] = len(d.Flows)
		d.Flows = append(d.Flows, FlowDeliveries{Name: name, Delivered: make([]int64, n), Late: make([]int64, n)})
	}
	for i := range steps {
		f, known := at[steps[i].Flow]
		if slot := int(steps[i].Begin.Sub(from) / step); known && slot >= 0 && slot < n {
			d.Flows[f].Delivered[slot] += steps[i].Delivered
			d.Flows[f].Late[slot] += steps[i].Late
		}
	}
	return d
}
