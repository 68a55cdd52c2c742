// Package status judges how the hub is doing: facts about flows, systems, reconciliations and the hub itself go in, states and the reasons for them come out. It
// asks nobody and keeps nothing, so that every judgement can be tried as a table. Whoever has a new fact gives it a place in FlowFacts, SystemFacts
// or HubFacts, and a line in the list of rules that says how bad it is.
package status

// States of a flow, and of the hub itself, which is running, in need of attention, or failing.
const (
	Running = "running"
	// Attention: it works, and something waits for a person: messages are parked, or a sweep is held.
	Attention = "attention"
	Paused    = "paused" // a person has paused it, and nothing is late yet
	Late      = "late"   // messages are older than they may be, whether it works or is paused
	Silent    = "silent" // nothing delivered for longer than slo.silent-after
	// Failing: something that it needs does not answer, or takes nothing. It goes on by itself when that is over.
	Failing = "failing"
	Alarm   = "alarm" // it stands still until a person looks
)

// States of a system and of the broker.
const (
	Up   = "up"
	Down = "down"
)

// The states that there are, for what shows each of them.
var (
	FlowStates   = []string{Running, Attention, Paused, Silent, Late, Failing, Alarm}
	SystemStates = []string{Up, Failing, Down}
	HubStates    = []string{Running, Attention, Failing}
	BrokerStates = []string{Up, Down}
)

// Verdict is what is said of something, with the reason where the state is not Running or Up.
type Verdict struct{ State, Why string }

// Bad reports whether a state is one that `waybill status` exits with 1 for.
func Bad(state string) bool {
	switch state {
	case Late, Failing, Alarm, Down, Drift, Held, Failed, Overdue:
		return true
	}
	return false
}

// first gives the verdict of the first rule that applies, else the other one.
func first[F any](rules []func(F) (Verdict, bool), facts F, other string) Verdict {
	for _, rule := range rules {
		if v, ok := rule(facts); ok {
			return v
		}
	}
	return Verdict{State: other}
}
