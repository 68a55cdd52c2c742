package console

import (
	"cmp"
	"fmt"
	"html/template"
	"slices"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/api"
	"github.com/waybill-hub/waybill/internal/status"
)

// mostCauses is how many causes the overview shows.
const mostCauses = 8

// recentPath is what the flows have delivered lately.
const recentPath = "/api/v1/deliveries?hours=2"

// overviewBody is the page that answers whether anything is late, stuck, lost, drifting or silent.
type overviewBody struct {
	*api.Status
	// Only is the state of which flows are shown; "" for all.
	Only     string
	Flows    []overviewFlow
	States   []stateCount
	Causes   []api.Cause
	More     int // causes beyond those
	Retried  []retriedLine
	Compared []comparedLine
	Notes    []string
}

// retriedLine is what the hub tries again by itself, for one cause, in all flows.
type retriedLine struct {
	Cause string
	Flows []string
	Count int64
	Last  time.Time
}

// overviewFlow is a flow with what it has delivered lately.
type overviewFlow struct {
	api.Flow
	Recent    template.HTML
	Delivered int64 // in that time
}

// stateCount is how many flows are in a state.
type stateCount struct {
	State string
	Count int
}

// comparedLine is a reconciliation or a rule.
type comparedLine struct {
	Name, Kind, Between, About string
	Of                         api.Standing
	Trend                      template.HTML
}

func (*Console) overview(p *page) error {
	b := overviewBody{Only: p.r.URL.Query().Get("state")}
	var err error
	if b.Status, err = p.glance(); err != nil {
		return err
	}
	recent, err := latest[api.Deliveries](p, recentPath)
	if err != nil {
		return err
	}
	b.flows(p, recent)
	if t := &b.Status.Totals; t.Parked+t.Waiting+t.InFlight > 0 && p.May("GET /console/parked") {
		causes, err := p.causes(api.Selection{})
		if err != nil {
			return err
		}
		b.Causes = causes[:min(len(causes), mostCauses)]
		b.More = len(causes) - len(b.Causes)
	}
	if p.May("GET /console/reconciliations") {
		if b.Compared, err = p.comparisons(); err != nil {
			return err
		}
	}
	slices.SortStableFunc(b.Compared, func(x, y comparedLine) int { return cmp.Compare(urgency[tone(y.Of.State)], urgency[tone(x.Of.State)]) })
	b.Retried = retried(b.Status.Troubles)
	b.Notes = notes(b.Status)
	return p.show("overview", p.T("overview.title"), b)
}

// urgency puts what looks bad first.
var urgency = map[string]int{"bad": 3, "warn": 2, "good": 1, "quiet": 0}

// mostRetried is how many causes of retries the overview shows: the newest.
const mostRetried = 6

// severity puts what needs a person first.
func severity(state string) int { return slices.Index(status.FlowStates, state) }

func (b *overviewBody) flows(p *page, recent *api.Deliveries) {
	lately := map[string]*api.FlowDeliveries{}
	for i := range recent.Flows {
		lately[recent.Flows[i].Name] = &recent.Flows[i]
	}
	counts := map[string]int{}
	for _, f := range b.Status.Flows {
		counts[f.State]++
		if b.Only != "" && f.State != b.Only {
			continue
		}
		o := overviewFlow{Flow: f}
		if d := lately[f.Name]; d != nil {
			o.Delivered = sum(d.Delivered)
			o.Recent = Bars(d.Delivered, d.Late, p.T("flow.recent.label", o.Delivered, sum(d.Late)))
		}
		b.Flows = append(b.Flows, o)
	}
	slices.SortStableFunc(b.Flows, func(x, y overviewFlow) int {
		return cmp.Or(cmp.Compare(severity(y.State), severity(x.State)), strings.Compare(x.Name, y.Name))
	})
	for _, s := range slices.Backward(status.FlowStates) {
		if counts[s] > 0 {
			b.States = append(b.States, stateCount{s, counts[s]})
		}
	}
}

func sum(values []int64) (n int64) {
	for _, v := range values {
		n += v
	}
	return n
}

// trend draws the drift that the last runs have found.
func trend(p *page, points []api.TrendPoint) template.HTML {
	if len(points) == 0 {
		return ""
	}
	found, left := make([]int64, len(points)), make([]int64, len(points))
	for i, t := range points {
		found[i], left[i] = t.Drift, t.Drift-t.Repaired
	}
	return Bars(found, left, p.T("trend.label", len(points), found[len(found)-1]))
}

// Sentence is the hub's own summary in the page's language.
func (p *page) Sentence(s *api.Summary) string {
	findings := make([]status.Finding, len(s.Findings))
	for i, f := range s.Findings {
		findings[i] = status.Finding(f)
	}
	return words[p.Lang].Sentence(findings)
}

// retried groups what is tried again by its cause; the newest first.
func retried(troubles []api.Trouble) []retriedLine {
	var out []retriedLine
	at := map[string]int{}
	for _, t := range troubles {
		if t.What != "retry" {
			continue
		}
		i, known := at[t.Cause]
		if !known {
			i = len(out)
			at[t.Cause] = i
			out = append(out, retriedLine{Cause: t.Cause})
		}
		l := &out[i]
		if l.Count += int64(t.Count); !slices.Contains(l.Flows, t.Flow) {
			l.Flows = append(l.Flows, t.Flow)
		}
		if t.Last.After(l.Last) {
			l.Last = t.Last
		}
	}
	slices.SortStableFunc(out, func(x, y retriedLine) int { return y.Last.Compare(x.Last) })
	return out[:min(len(out), mostRetried)]
}

// notes are what concerns no single flow or system.
func notes(s *api.Status) []string {
	out := slices.Clone(s.Broker.Remarks)
	at := func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }
	if s.Hub.Why != "" {
		out = append(out, s.Hub.Why)
	}
	if s.Broker.Why != "" {
		out = append(out, s.Broker.Why)
	}
	if r := s.Restored; r != nil {
		how := r.State + " since " + at(r.Since)
		if r.Ended != nil {
			how = "settled " + at(*r.Ended) + " by " + r.EndedBy
		} else if len(r.Waits) > 0 {
			how += "; " + strings.Join(r.Waits, "; ")
		}
		text := fmt.Sprintf("The store went back to an older state (%s): %s looked up before they were created, %s of them were there, %s parked because nobody can tell; %s", r.Why, number(r.LookedUp), number(r.Found), number(r.Parked), how)
		if r.Lost != "" {
			text += ". Lost: " + r.Lost
		}
		out = append(out, text)
	}
	if a := &s.Access; a.WrongTokens > 0 {
		out = append(out, fmt.Sprintf("%s wrong tokens since the start, last at %s from %s", number(a.WrongTokens), at(*a.LastWrong), a.LastWrongFrom))
	}
	for _, c := range s.Access.Certificates {
		if c.Why != "" {
			out = append(out, c.Listener+".tls: "+c.File+": "+c.Why)
		}
	}
	return out
}
