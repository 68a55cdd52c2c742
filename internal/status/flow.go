package status

import (
	"fmt"
	"time"
)

// FlowFacts is what a flow is judged by.
type FlowFacts struct {
	Name string
	Now  time.Time
	// Started is since when the flow is watched: it is not silent for longer than that.
	Started time.Time
	// LateAfter and SilentAfter are the flow's slo; 0: it never is.
	LateAfter   time.Duration
	SilentAfter time.Duration

	Alarm  *AlarmFacts // nil: none
	Paused *PauseFacts // nil: it is not
	Source SourceFacts
	Group  GroupFacts
	Topics TopicFacts
	Store  StoreFacts   // as far as the flow's own commits go: it may take those of others
	Hub    *HubFacts    // what the flow stands on; nil: nothing is known against it
	Target *SystemFacts // the system that it delivers to; nil where it delivers to a topic

	Backlog       Backlog
	LastDelivered time.Time // zero: never
}

// AlarmFacts is why a flow stands still until a person looks.
type AlarmFacts struct{ What, Why string }

// PauseFacts is who has paused a flow, and when. Who is empty where that is not known.
type PauseFacts struct {
	Who   string
	Since time.Time
}

// SourceFacts is what is known of where a flow's events come from.
type SourceFacts struct {
	// Trouble is why the source cannot be read; empty where it can.
	Trouble string
	// Held is what the last sweep wants a person to look at before it goes on; empty for nothing.
	Held string
	// Failed says which files could not be taken and wait for a person; empty for none.
	Failed string
	// Refused says that the sender's deliveries are refused and nothing was taken since; empty where that is not so.
	Refused string
}

// GroupFacts is what is known of the consumer group that reads the flow's topic.
type GroupFacts struct {
	// Lost is why the flow reads nothing although it should; empty where it reads.
	Lost string
}

// TopicFacts are about the topics that the flow, or the relay for it, writes to.
type TopicFacts struct {
	// Trouble is why what has to be there is not; empty where it is, or nothing has to be.
	Trouble string
}

// Backlog is what a flow has still to bring to an end.
type Backlog struct {
	// Oldest is the age of the oldest message that the hub has to move by itself and could: unpublished, on the topic, or held.
	Oldest time.Duration
	// Overdue says what waits for another object for longer than slo.waiting-after; empty: nothing does.
	Overdue string
	// Parked counts what waits for a person.
	Parked int64
	// ParkedFor is the cause of the newest of them, where this hub has parked it lately.
	ParkedFor string
}

var flowRules = []func(*FlowFacts) (Verdict, bool){
	alarmed, hubFails, sourceFails, readsNothing, writesNothing, storeRefuses, targetFails, overdue, late, paused, silent, sweepHeld, doorRefuses, filesFailed, hasParked,
}

// Judge names the worst that can be said of a flow. What is parked waits for a person, and no time makes the flow late for that.
func (f *FlowFacts) Judge() Verdict { return first(flowRules, f, Running) }

func alarmed(f *FlowFacts) (Verdict, bool) {
	if f.Alarm == nil {
		return Verdict{}, false
	}
	return Verdict{Alarm, f.Alarm.What + ": " + f.Alarm.Why}, true
}

func hubFails(f *FlowFacts) (Verdict, bool) {
	if f.Hub == nil {
		return Verdict{}, false
	}
	v := f.Hub.Judge()
	return v, v.State == Failing
}

func sourceFails(f *FlowFacts) (Verdict, bool) {
	return f.because(Failing, "its source cannot be read: "+f.Source.Trouble), f.Source.Trouble != ""
}

func readsNothing(f *FlowFacts) (Verdict, bool) {
	return f.because(Failing, f.Group.Lost), f.Group.Lost != ""
}

func writesNothing(f *FlowFacts) (Verdict, bool) {
	return f.because(Failing, f.Topics.Trouble), f.Topics.Trouble != ""
}

func storeRefuses(f *FlowFacts) (Verdict, bool) {
	return f.because(Failing, f.Store.Trouble), f.Store.Trouble != ""
}

func targetFails(f *FlowFacts) (Verdict, bool) {
	if f.Target == nil {
		return Verdict{}, false
	}
	why, stops := f.Target.Write.Stops(f.Target.Name, f.Paused != nil)
	return f.because(Failing, why), stops
}

func overdue(f *FlowFacts) (Verdict, bool) {
	return f.because(Late, f.Backlog.Overdue), f.Backlog.Overdue != ""
}

func late(f *FlowFacts) (Verdict, bool) {
	age := (f.Backlog.Oldest + time.Second - 1).Truncate(time.Second) // rounded up: 15.2 s are more than the 15 s that are allowed
	why := fmt.Sprintf("the oldest message is %s old, and %s are allowed", age, f.LateAfter)
	if f.Target != nil && f.Target.CallTime > 0 {
		why += fmt.Sprintf("; a call to %s takes %s of late", f.Target.Name, short(f.Target.CallTime))
	}
	return f.because(Late, why), f.LateAfter > 0 && f.Backlog.Oldest > f.LateAfter
}

// short is a duration in as many digits as tell something: 4.2s, 35ms.
func short(d time.Duration) time.Duration {
	if d >= time.Second {
		return d.Round(100 * time.Millisecond)
	}
	return max(d.Round(time.Millisecond), time.Millisecond)
}

// because says what is wrong with a flow. One that is paused besides says so first: its messages grow old whoever has stopped them, and what is
// repaired does not go on by itself.
func (f *FlowFacts) because(state, why string) Verdict {
	if f.Paused != nil {
		why = f.Paused.text() + "; " + why
	}
	return Verdict{state, why}
}

func paused(f *FlowFacts) (Verdict, bool) {
	if f.Paused == nil {
		return Verdict{}, false
	}
	return Verdict{Paused, f.Paused.text()}, true
}

func (p *PauseFacts) text() string {
	text := "paused"
	if p.Who != "" {
		text += " by " + p.Who
	}
	if !p.Since.IsZero() {
		text += " since " + p.Since.UTC().Format(time.RFC3339)
	}
	return text
}

func silent(f *FlowFacts) (Verdict, bool) {
	last := f.Started
	if f.LastDelivered.After(last) {
		last = f.LastDelivered
	}
	quiet := f.Now.Sub(last)
	return Verdict{Silent, "nothing delivered for " + quiet.Round(time.Second).String()}, f.SilentAfter > 0 && quiet > f.SilentAfter
}

func sweepHeld(f *FlowFacts) (Verdict, bool) {
	return Verdict{Attention, f.Source.Held}, f.Source.Held != ""
}

func doorRefuses(f *FlowFacts) (Verdict, bool) {
	return Verdict{Attention, "its sender is refused: " + f.Source.Refused}, f.Source.Refused != ""
}

func filesFailed(f *FlowFacts) (Verdict, bool) {
	return Verdict{Attention, f.Source.Failed}, f.Source.Failed != ""
}

func hasParked(f *FlowFacts) (Verdict, bool) {
	why := ""
	if f.Backlog.ParkedFor != "" {
		why = " (lately for " + f.Backlog.ParkedFor + ")"
	}
	return Verdict{Attention, fmt.Sprintf("%d parked%s: waybill parked list --flow %s", f.Backlog.Parked, why, f.Name)}, f.Backlog.Parked > 0
}
