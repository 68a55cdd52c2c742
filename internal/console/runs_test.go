package console

import (
	"encoding/json"
	"net/url"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/api"
	"github.com/waybill-hub/waybill/internal/state"
)

// drifting is a hub with a run that has found something.
func drifting() *desk {
	hub := busy()
	over := api.Run{ID: 6, Kind: "reconciliation", Name: "customers", State: "drift", Trigger: "person", By: "ann", Why: "a <look>", Wanted: began, Finished: at(time.Minute), Drift: 3, Left: 2,
		Summary: &state.CompareSummary{Compared: 1000, Equal: 997, Repaired: 1, NotCompared: 4, Reasons: map[string]int64{"rounding": 1, "edited-left": 2}, Explained: map[string]int64{"in-flight": 5}, Money: map[string]string{"EUR": "12.50"}}}
	hub.answers["GET /api/v1/reconciliations/customers/runs"] = api.Runs{Runs: []api.Run{{ID: 7, Kind: "reconciliation", Name: "customers", State: "running", Wanted: began, Progress: &state.CompareProgress{Phase: "reading"}}, over}, Next: 6}
	hub.answers["GET /api/v1/rules/terms/runs"] = api.Runs{}
	hub.answers["GET /api/v1/runs/6"] = over
	hub.answers["GET /api/v1/runs/7"] = api.Run{ID: 7, Kind: "reconciliation", Name: "customers", State: "running", Wanted: began, Progress: &state.CompareProgress{Phase: "reading", Left: 1200}}
	hub.answers["GET /api/v1/runs/6/differences"] = api.Differences{Run: 6, Next: 2, Differences: []state.Difference{
		{N: 1, Kind: "different", Reason: "edited-left", Key: "C-1", Fields: []state.DifferentField{{Path: "name", Left: json.RawMessage(`"<A>"`), Right: json.RawMessage(`"B"`)}}, LeftDoc: json.RawMessage(`{"name":"A"}`), Proposal: "write it to erp", Amount: "1.00", Currency: "EUR"},
		{N: 2, Kind: "missing-right", Reason: "in-flight", Explained: true, Left: "9", Repair: "left", RepairDetail: "it is on its way"}}}
	return hub
}

func TestReconciliations(t *testing.T) {
	hub := drifting()
	has(t, visit(open(hub), "GET", "/console/reconciliations", nil, nil), 200, `<a href="/console/reconciliations/customers">customers</a>`, `<a href="/console/rules/terms">terms</a>`, "crm ⇄ erp", "never run", `aria-label="Drift of the last 2 runs; 3 in the newest"`)
	has(t, visit(open(hub), "GET", "/console/reconciliations/customers", nil, nil), 200, `<a href="/console/runs/6">6</a>`, "reading", "ann · a &lt;look&gt;", `href="/console/reconciliations/customers?before=6"`, `name="key"`)
	has(t, visit(open(hub), "GET", "/console/rules/terms", nil, nil), 200, "It never ran.", `∌name="key"`, `action="/console/rules/terms/run"`)
	has(t, visit(open(hub), "GET", "/console/rules/customers", nil, nil), 404, "Nothing is here")
}

func TestRun(t *testing.T) {
	hub := drifting()
	has(t, visit(open(hub), "GET", "/console/runs/6", nil, nil), 200, "Run 6 of customers", "997", "12.50 EUR", `<a href="/console/find?q=C-1">C-1</a>`, "<code>&#34;&lt;A&gt;&#34;</code>", "write it to erp", "1.00 EUR", "it is on its way", `href="/console/runs/6?reason=edited-left"`,
		`href="/console/runs/6?after=2"`, "No drift:", "report?format=xlsx", `action="/console/runs/6/repair"`, "∌/cancel")
	has(t, visit(open(hub), "GET", "/console/runs/7", nil, nil), 200, "reading", "1,200 / 0", `action="/console/runs/7/cancel"`, "∌/repair", "∌difference-1")
	no := hub.answers["GET /api/v1/runs/6"].(api.Run)
	no.NoRepair = "the file says no repair"
	hub.answers["GET /api/v1/runs/6"] = no
	has(t, visit(open(hub), "GET", "/console/runs/6", nil, nil), 200, "the file says no repair", "∌/console/runs/6/repair")
	has(t, visit(open(hub), "GET", "/console/runs/99", nil, nil), 404, "Nothing is here")
}

// What is wanted of runs goes to the API as it was asked for: a dry run unless a repair was.
func TestRunActs(t *testing.T) {
	for _, tt := range []struct{ path, asks, form, want, leads string }{
		{"/console/reconciliations/customers/run", "/api/v1/reconciliations/customers/run", "key=C-1&note=a+look", `{"key":"C-1","note":"a look"}`, "/console/runs/8?said=run"},
		{"/console/rules/terms/run", "/api/v1/rules/terms/run", "", `{}`, "/console/runs/8?said=run"},
		{"/console/runs/7/cancel", "/api/v1/runs/7/cancel", "note=slow", `{"note":"slow"}`, "/console/runs/7?said=cancel"},
		{"/console/runs/6/repair", "/api/v1/runs/6/repair", "", `{"all":true,"dry_run":true}`, "/console/runs/8?said=run"},
		{"/console/runs/6/repair", "/api/v1/runs/6/repair", "act=dry&reason=rounding", `{"reasons":["rounding"],"dry_run":true}`, "/console/runs/8?said=run"},
		{"/console/runs/6/repair", "/api/v1/runs/6/repair", "act=repair&deletes=true&at_most=7&note=mend", `{"all":true,"deletes":true,"at_most":7,"note":"mend"}`, "/console/runs/8?said=run"},
	} {
		hub := drifting()
		hub.answers["POST "+tt.asks] = api.Run{ID: 8}
		form, err := url.ParseQuery(tt.form)
		if err != nil {
			t.Fatal(err)
		}
		form.Set("csrf", "own")
		w := visit(open(hub), "POST", tt.path, form, nil)
		if want := "POST " + tt.asks + "  " + tt.want; w.Code != 303 || w.Header().Get("Location") != tt.leads || hub.asked[0] != want {
			t.Errorf("%s %s: %d %s %q", tt.path, tt.form, w.Code, w.Header().Get("Location"), hub.asked)
		}
	}
	hub := drifting()
	hub.answers["POST /api/v1/runs/6/repair"] = &api.Problem{Status: 409, Detail: "run 7 is under way already"}
	has(t, visit(open(hub), "POST", "/console/runs/6/repair", url.Values{"csrf": {"own"}}, nil), 409, "Not now", "under way already")
	has(t, visit(open(hub), "POST", "/console/runs/6/repair", url.Values{"csrf": {"own"}, "at_most": {"many"}}, nil), 400, "a whole number")
}
