package status

// HubFacts is what the hub itself is judged by, apart from its flows and systems.
type HubFacts struct {
	Broker BrokerFacts
	Store  StoreFacts
	Disk   DiskFacts
	Clock  ClockFacts
	Alerts AlertFacts
}

// BrokerFacts is what is known of the broker. Silent is why it does not answer; empty where it does.
type BrokerFacts struct{ Silent string }

// StoreFacts is what is known of the store. Trouble is why it takes no commit; empty where it does.
type StoreFacts struct{ Trouble string }

// DiskFacts is what is known of the disks that the hub writes to. Trouble is why one takes nothing; empty where they do.
type DiskFacts struct{ Trouble string }

// JudgeBroker says whether the broker answers.
func (h *HubFacts) JudgeBroker() Verdict {
	if h.Broker.Silent == "" {
		return Verdict{State: Up}
	}
	return Verdict{Down, "the broker does not answer; what waits on its topics is counted as it was seen last: " + h.Broker.Silent}
}

// AlertFacts is what is known of those who are told of what is wrong. Trouble is why one of them cannot be; empty where all can.
type AlertFacts struct{ Trouble string }

// What a cause of the hub's own state is of.
const (
	OfStore  = "store"
	OfDisk   = "disk"
	OfClock  = "clock"
	OfAlerts = "alerts"
)

// HubCause is one thing that is to be said of the hub itself.
type HubCause struct {
	Of string
	Verdict
}

var hubRules = []struct {
	of   string
	rule func(*HubFacts) (Verdict, bool)
}{{OfStore, storeFails}, {OfDisk, diskFails}, {OfClock, clockOff}, {OfAlerts, alertsFail}}

// Judge names the worst that can be said of the hub itself.
func (h *HubFacts) Judge() Verdict {
	if all := h.Causes(); len(all) > 0 {
		return all[0].Verdict
	}
	return Verdict{State: Running}
}

// Causes are all that is to be said of the hub itself, the worst first.
func (h *HubFacts) Causes() (out []HubCause) {
	for _, r := range hubRules {
		if v, ok := r.rule(h); ok {
			out = append(out, HubCause{r.of, v})
		}
	}
	return out
}

func storeFails(h *HubFacts) (Verdict, bool) {
	return Verdict{Failing, h.Store.Trouble}, h.Store.Trouble != ""
}

func diskFails(h *HubFacts) (Verdict, bool) {
	return Verdict{Failing, h.Disk.Trouble}, h.Disk.Trouble != ""
}

func alertsFail(h *HubFacts) (Verdict, bool) {
	return Verdict{Attention, h.Alerts.Trouble}, h.Alerts.Trouble != ""
}
