package console

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/waybill-hub/waybill/internal/api"
)

// comparedBody is the list of reconciliations and rules.
type comparedBody struct{ Lines []comparedLine }

func (c *Console) reconciliations(p *page) error {
	all, err := p.comparisons()
	if err != nil {
		return err
	}
	return p.show("reconciliations", p.T("compared.title"), comparedBody{all})
}

// comparisons are the hub's reconciliations and rules, with the drift that their last runs have found.
func (p *page) comparisons() (out []comparedLine, err error) {
	recs, err := latest[reconciliationList](p, "/api/v1/reconciliations")
	if err != nil {
		return nil, err
	}
	rules, err := latest[ruleList](p, "/api/v1/rules")
	if err != nil {
		return nil, err
	}
	for i := range recs.Reconciliations {
		r := &recs.Reconciliations[i]
		out = append(out, comparedLine{r.Name, "reconciliations", r.Left + " ⇄ " + r.Right, r.About, r.Standing, trend(p, r.Trend)})
	}
	for i := range rules.Rules {
		r := &rules.Rules[i]
		out = append(out, comparedLine{r.Name, "rules", strings.Join(r.Systems, ", "), r.About, r.Standing, trend(p, r.Trend)})
	}
	return out, nil
}

type reconciliationList struct{ Reconciliations []api.Reconciliation }
type ruleList struct{ Rules []api.Rule }

// comparisonBody is one reconciliation or rule with its runs.
type comparisonBody struct {
	comparedLine
	Runs []api.Run
	Next string
}

// comparison shows one by its name; kind is as the API's paths have it.
func (c *Console) comparison(kind string) func(*page) error {
	return func(p *page) error {
		name := p.r.PathValue("name")
		all, err := p.comparisons()
		if err != nil {
			return err
		}
		i := slices.IndexFunc(all, func(l comparedLine) bool { return l.Kind == kind && l.Name == name })
		if i < 0 {
			return notFound
		}
		b := comparisonBody{comparedLine: all[i]}
		q := url.Values{"limit": {"30"}}
		if before := p.r.URL.Query().Get("before"); before != "" {
			q.Set("before", before)
		}
		var list api.Runs
		if err := p.get("/api/v1/"+kind+"/"+url.PathEscape(name)+"/runs", q, &list); err != nil {
			return err
		}
		if b.Runs = list.Runs; list.Next != 0 {
			b.Next = At("/console/"+kind+"/"+url.PathEscape(name), "before", list.Next)
		}
		return p.show("comparison", name, b)
	}
}

// runNow wants a run of a reconciliation or a rule.
func (c *Console) runNow(kind string) func(*page) error {
	return func(p *page) error {
		var run api.Run
		body := api.RunRequest{Key: p.r.PostForm.Get("key"), Note: p.r.PostForm.Get("note")}
		if err := p.ask(http.MethodPost, "/api/v1/"+kind+"/"+url.PathEscape(p.r.PathValue("name"))+"/run", nil, body, &run); err != nil {
			return err
		}
		return &redirect{fmt.Sprintf("/console/runs/%d?said=run", run.ID)}
	}
}

// runBody is a run with what it has found.
type runBody struct {
	api.Run
	Kinds   string // "reconciliations" or "rules", as paths have it
	Reasons []reasonCount
	Other   []reasonCount // differences that are no drift
	Money   []string
	Over    bool
	Reason  string // of which alone are shown
	Page    api.Differences
	Next    string
}

// reasonCount is how many differences there are for a reason.
type reasonCount struct {
	Reason string
	Count  int64
}

func counted(m map[string]int64) (out []reasonCount) {
	for reason, n := range m {
		out = append(out, reasonCount{reason, n})
	}
	slices.SortFunc(out, func(a, b reasonCount) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Reason, b.Reason))
	})
	return out
}

func (c *Console) run(p *page) error {
	id := url.PathEscape(p.r.PathValue("id"))
	b := runBody{Reason: p.r.URL.Query().Get("reason")}
	if err := p.get("/api/v1/runs/"+id, nil, &b.Run); err != nil {
		return err
	}
	b.Kinds = b.Kind + "s"
	if s := b.Summary; s != nil {
		b.Over, b.Reasons, b.Other = true, counted(s.Reasons), counted(s.Explained)
		for _, currency := range slices.Sorted(maps.Keys(s.Money)) {
			b.Money = append(b.Money, s.Money[currency]+" "+currency)
		}
		q := url.Values{"limit": {strconv.Itoa(pageSize)}}
		if b.Reason != "" {
			q.Set("reason", b.Reason)
		}
		if after := p.r.URL.Query().Get("after"); after != "" {
			q.Set("after", after)
		}
		if err := p.get("/api/v1/runs/"+id+"/differences", q, &b.Page); err != nil {
			return err
		}
		if b.Page.Next != 0 {
			b.Next = At("/console/runs/"+id, "reason", b.Reason, "after", b.Page.Next)
		}
	}
	return p.show("run", p.T("run.title", strconv.FormatInt(b.ID, 10), b.Name), b)
}

// cancelRun ends a run.
func (c *Console) cancelRun(p *page) error {
	id := url.PathEscape(p.r.PathValue("id"))
	if err := p.ask(http.MethodPost, "/api/v1/runs/"+id+"/cancel", nil, map[string]string{"note": p.r.PostForm.Get("note")}, nil); err != nil {
		return err
	}
	return &redirect{At("/console/runs/"+id, "said", "cancel")}
}

// repair wants a run that repairs what another has found, or, as a dry run, shows what would be sent.
func (c *Console) repair(p *page) error {
	f := p.r.PostForm
	body := api.RepairRequest{DryRun: f.Get("act") != "repair", Deletes: f.Get("deletes") == "true", Note: f.Get("note")}
	if reason := f.Get("reason"); reason != "" {
		body.Reasons = []string{reason}
	} else {
		body.All = true
	}
	if n := f.Get("at_most"); n != "" {
		most, err := strconv.ParseInt(n, 10, 32)
		if err != nil {
			return &problem{api.Problem{Status: http.StatusBadRequest, Detail: "at most: a whole number"}}
		}
		body.AtMost = api.Whole(most)
	}
	var run api.Run
	if err := p.ask(http.MethodPost, "/api/v1/runs/"+url.PathEscape(p.r.PathValue("id"))+"/repair", nil, body, &run); err != nil {
		return err
	}
	return &redirect{fmt.Sprintf("/console/runs/%d?said=run", run.ID)}
}
