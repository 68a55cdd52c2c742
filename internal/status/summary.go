package status

import (
	"fmt"
	"slices"
	"strings"
)

// Kinds of findings, the worst first. The first words answer what an operator asks: is anything lost, stuck, late, drifting, silent?
const (
	FoundLost     = "lost"     // the equation leaves messages over
	FoundDoubled  = "doubled"  // target objects beyond one per external id
	FoundHub      = "hub"      // the hub itself fails
	FoundBroker   = "broker"   // the broker does not answer
	FoundStuck    = "stuck"    // flows that stand still until a person looks
	FoundFailing  = "failing"  // flows that something keeps from working
	FoundLate     = "late"     // flows whose messages are older than they may be
	FoundDrifting = "drifting" // reconciliations and rules with differences left
	FoundOverdue  = "overdue"  // reconciliations and rules without the result that was due
	FoundSilent   = "silent"   // flows that have delivered nothing for too long
	FoundSystem   = "system"   // systems that do not answer as they should
	FoundPaused   = "paused"   // flows that a person has paused
	FoundNeed     = "need"     // the hub itself, or flows, need a person for something else than what is parked
	FoundParked   = "parked"   // messages that wait for a person
)

// FindingKinds are all of them, the worst first.
var FindingKinds = []string{FoundLost, FoundDoubled, FoundHub, FoundBroker, FoundStuck, FoundFailing, FoundLate, FoundDrifting, FoundOverdue, FoundSilent, FoundSystem, FoundPaused, FoundNeed, FoundParked}

// Finding is one kind of thing that is not as it should be: how many there are, and their names where they have some.
type Finding struct {
	Kind  string
	Count int64
	Names []string
}

// Summary is the hub in one sentence. State is Failing where `waybill status` exits with 1, Attention where something waits for a person or is to be
// known, else Running.
type Summary struct {
	State    string
	Text     string
	Findings []Finding // the worst first
}

// Named is something with a name and how it stands.
type Named struct{ Name, State string }

// Whole is what a summary is made of: verdicts that were reached already.
type Whole struct {
	Unaccounted, Duplicates, Parked int64
	Hub, Broker                     string
	Flows, Systems, Comparisons     []Named
}

// flowFinding is what a flow's state is found as; attention stands for what is parked, which is counted in messages, or for something else.
var flowFinding = map[string]string{Alarm: FoundStuck, Failing: FoundFailing, Late: FoundLate, Silent: FoundSilent, Paused: FoundPaused}

// comparisonFinding is what the state of a reconciliation or a rule is found as.
var comparisonFinding = map[string]string{Drift: FoundDrifting, Held: FoundDrifting, Failed: FoundOverdue, Overdue: FoundOverdue}

// Summarize puts everything into one sentence.
func Summarize(w *Whole) Summary {
	found := map[string]*Finding{}
	add := func(kind string, n int64, names ...string) {
		if n == 0 {
			return
		}
		f := found[kind]
		if f == nil {
			f = &Finding{Kind: kind}
			found[kind] = f
		}
		f.Count, f.Names = f.Count+n, append(f.Names, names...)
	}
	add(FoundLost, max(w.Unaccounted, -w.Unaccounted)) // a negative one is wrong, too
	add(FoundDoubled, w.Duplicates)
	if w.Hub == Failing {
		add(FoundHub, 1)
	} else if w.Hub == Attention {
		add(FoundNeed, 1, "hub")
	}
	if Bad(w.Broker) {
		add(FoundBroker, 1)
	}
	for _, f := range w.Flows {
		if kind := flowFinding[f.State]; kind != "" {
			add(kind, 1, f.Name)
		}
	}
	for _, c := range w.Comparisons {
		if kind := comparisonFinding[c.State]; kind != "" {
			add(kind, 1, c.Name)
		}
	}
	for _, s := range w.Systems {
		if s.State != Up && s.State != "" {
			add(FoundSystem, 1, s.Name)
		}
	}
	add(FoundParked, w.Parked)
	if w.Parked == 0 { // else that is why
		for _, f := range w.Flows {
			if f.State == Attention {
				add(FoundNeed, 1, f.Name)
			}
		}
	}
	out := Summary{State: Running, Findings: []Finding{}}
	for _, kind := range FindingKinds {
		if f := found[kind]; f != nil {
			out.Findings = append(out.Findings, *f)
			out.State = worse(out.State, kind)
		}
	}
	out.Text = English.Sentence(out.Findings)
	return out
}

// failures are the findings for which `waybill status` exits with 1.
var failures = []string{FoundLost, FoundDoubled, FoundHub, FoundBroker, FoundStuck, FoundFailing, FoundLate, FoundDrifting, FoundOverdue}

// FindingState is how bad one finding makes the whole.
func FindingState(kind string) string {
	if slices.Contains(failures, kind) {
		return Failing
	}
	return Attention
}

func worse(state, kind string) string {
	if state == Failing {
		return Failing
	}
	return FindingState(kind)
}

// Asked are what the sentence answers, in the order in which it says so, with the findings that each stands for.
var Asked = []struct {
	Word string
	By   []string
}{
	{"late", []string{FoundLate}},
	{"stuck", []string{FoundStuck, FoundFailing, FoundHub, FoundBroker}},
	{"lost", []string{FoundLost}},
	{"doubled", []string{FoundDoubled}},
	{"drifting", []string{FoundDrifting, FoundOverdue}},
	{"silent", []string{FoundSilent}},
}

// Words are the sentence in one language.
type Words struct {
	// One and Many say a finding of one thing and of several; %d is the number, %s the names.
	One, Many map[string]string
	// Asked are the words of what was asked.
	Asked map[string]string
	// Nothing says that nothing is any of these words, at the beginning of a sentence; Else behind findings.
	Nothing, Else string
	// Comma stands between findings and words, Or before the last word, Semicolon before what else there is not, Stop at the end.
	Comma, Or, Semicolon, Stop string
	// More says that there are %d names more.
	More string
	// Capital: a sentence begins with a capital letter.
	Capital bool
}

// mostNames is how many names the sentence says of one kind.
const mostNames = 3

// English is the sentence as the API says it.
var English = &Words{
	One: map[string]string{
		FoundLost: "%d message is unaccounted for", FoundDoubled: "%d target object is doubled", FoundHub: "the hub itself is failing", FoundBroker: "the broker does not answer",
		FoundStuck: "%d flow stands still until a person looks (%s)", FoundFailing: "%d flow is failing (%s)", FoundLate: "%d flow is late (%s)", FoundDrifting: "%d comparison has drift left (%s)",
		FoundOverdue: "%d comparison has no result (%s)", FoundSilent: "%d flow is silent (%s)", FoundSystem: "%d system does not answer as it should (%s)", FoundPaused: "%d flow is paused (%s)",
		FoundNeed: "%d thing needs attention (%s)", FoundParked: "%d message waits for a person",
	},
	Many: map[string]string{
		FoundLost: "%d messages are unaccounted for", FoundDoubled: "%d target objects are doubled",
		FoundStuck: "%d flows stand still until a person looks (%s)", FoundFailing: "%d flows are failing (%s)", FoundLate: "%d flows are late (%s)", FoundDrifting: "%d comparisons have drift left (%s)",
		FoundOverdue: "%d comparisons have no result (%s)", FoundSilent: "%d flows are silent (%s)", FoundSystem: "%d systems do not answer as they should (%s)", FoundPaused: "%d flows are paused (%s)",
		FoundNeed: "%d things need attention (%s)", FoundParked: "%d messages wait for a person",
	},
	Asked:   map[string]string{"late": "late", "stuck": "stuck", "lost": "lost", "doubled": "doubled", "drifting": "drifting", "silent": "silent"},
	Nothing: "nothing is ", Else: "nothing is ", Comma: ", ", Or: " or ", Semicolon: "; ", Stop: ".", More: "%d more", Capital: true,
}

// Sentence says what was found, and what of the rest is as it should be.
func (w *Words) Sentence(findings []Finding) string {
	var said []string
	for i := range findings {
		said = append(said, w.Finding(&findings[i]))
	}
	var not []string
	for _, a := range Asked {
		if !slices.ContainsFunc(findings, func(f Finding) bool { return slices.Contains(a.By, f.Kind) }) {
			not = append(not, w.Asked[a.Word])
		}
	}
	text := strings.Join(said, w.Comma)
	if len(not) > 0 {
		list := not[len(not)-1]
		if rest := not[:len(not)-1]; len(rest) > 0 {
			list = strings.Join(rest, w.Comma) + w.Or + list
		}
		if text == "" {
			text = w.Nothing + list
		} else {
			text += w.Semicolon + w.Else + list
		}
	}
	if w.Capital && text != "" {
		text = strings.ToUpper(text[:1]) + text[1:]
	}
	return text + w.Stop
}

// Finding says one finding.
func (w *Words) Finding(f *Finding) string {
	format := w.One[f.Kind]
	if f.Count != 1 && w.Many[f.Kind] != "" {
		format = w.Many[f.Kind]
	}
	var args []any
	if strings.Contains(format, "%d") {
		args = append(args, f.Count)
	}
	if strings.Contains(format, "%s") {
		names := f.Names
		if len(names) > mostNames {
			names = append(slices.Clone(names[:mostNames]), fmt.Sprintf(w.More, len(f.Names)-mostNames))
		}
		args = append(args, strings.Join(names, w.Comma))
	}
	return fmt.Sprintf(format, args...)
}
