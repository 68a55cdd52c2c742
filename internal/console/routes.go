package console

import (
	"net/http"

	"github.com/waybill-hub/waybill/internal/access"
	"github.com/waybill-hub/waybill/internal/api"
)

// partsPattern is where styles, scripts and pictures are.
const partsPattern = "GET /console/parts/{file}"

// The viewer of the API's description, and its parts.
const (
	viewerPattern     = "GET " + api.ViewerPath
	viewerFilePattern = viewerPattern + "/{file}"
)

// route is a page, or what a form is sent to, and who may ask for it. One without a need is open.
type route struct {
	pattern string
	need    access.Need
	// edits is who may see the page as a form with personal data.
	edits access.Need
	// alike: the page is the same for all who may see the same, in the same language at the same address. Nothing is noted of who has seen it.
	alike bool
	show  func(*page) error
}

func (c *Console) routes() []route {
	of := func(role access.Role, scope access.Scope) access.Need { return access.Need{Role: role, Scope: scope} }
	status, messages, comparisons := of(access.Viewer, access.Status), of(access.Viewer, access.Messages), of(access.Viewer, access.Comparisons)
	repair, compare, turn := of(access.Operator, access.Messages), of(access.Operator, access.Comparisons), of(access.Operator, access.Flows)
	files := of(access.Engineer, access.Hub)
	return []route{
		{pattern: "GET /{$}", need: status, alike: true, show: c.overview},
		{pattern: "GET /console/flows/{name}", need: status, alike: true, show: c.flow},
		{pattern: "GET /console/systems/{name}", need: status, alike: true, show: c.system},
		{pattern: "GET /console/codes", need: messages, alike: true, show: c.codes},
		{pattern: "POST /console/codes", need: files, show: c.addCode},
		{pattern: "POST /console/reload", need: files, show: c.reload},
		{pattern: "POST /console/parked/{id}/fetch", need: repair, show: c.fetch},
		{pattern: "POST /console/replays/{id}/stop", need: repair, show: c.stopReplay},
		{pattern: "GET /console/map", need: status, alike: true, show: c.plan},
		{pattern: "GET /console/reconciliations", need: comparisons, alike: true, show: c.reconciliations},
		{pattern: "GET /console/reconciliations/{name}", need: comparisons, alike: true, show: c.comparison("reconciliations")},
		{pattern: "GET /console/rules/{name}", need: comparisons, alike: true, show: c.comparison("rules")},
		{pattern: "GET /console/runs/{id}", need: comparisons, alike: true, show: c.run},
		{pattern: "GET /console/find", need: messages, show: c.find},
		{pattern: "GET /console/parked", need: messages, alike: true, show: c.parked},
		{pattern: "GET /console/parked/{id}", need: messages, edits: repair, show: c.message},
		{pattern: "GET /console/parked-all/{act}", need: repair, show: c.bulk},
		{pattern: "GET /console/audit", need: of(access.Viewer, access.Audit), show: c.audit},
		{pattern: "GET /console/audit/{id}", need: of(access.Viewer, access.Audit), show: c.auditEntry},
		{pattern: "POST /console/sign-out", need: of(access.Viewer, ""), show: c.signOut},
		{pattern: "POST /console/reconciliations/{name}/run", need: compare, show: c.runNow("reconciliations")},
		{pattern: "POST /console/rules/{name}/run", need: compare, show: c.runNow("rules")},
		{pattern: "POST /console/runs/{id}/cancel", need: compare, show: c.cancelRun},
		{pattern: "POST /console/runs/{id}/repair", need: compare, show: c.repair},
		{pattern: "POST /console/flows/{name}/pause", need: turn, show: c.turn("pause")},
		{pattern: "POST /console/flows/{name}/resume", need: turn, show: c.turn("resume")},
		{pattern: "POST /console/flows/{name}/retake", need: turn, show: c.retake},
		{pattern: "POST /console/flows/{name}/rewind", need: of(access.Engineer, access.Flows), show: c.rewind},
		{pattern: "POST /console/parked/{id}/replay", need: repair, show: c.mark("replay")},
		{pattern: "POST /console/parked/{id}/discard", need: repair, show: c.mark("discard")},
		{pattern: "POST /console/parked/{id}/edit", need: repair, show: c.edit},
		{pattern: "POST /console/parked-all/{act}", need: repair, show: c.doBulk},
		{pattern: "POST /console/sign-in", show: c.signIn},
		{pattern: "GET /console/oidc", show: c.leave},
		{pattern: "GET /console/oidc/callback", show: c.comeBack},
	}
}

// Routes are the console's paths for the server, which asks who may have them; those below it that lead nowhere as well.
func (c *Console) Routes() []api.PageRoute {
	anybody := access.Need{Role: access.Viewer}
	out := []api.PageRoute{{Pattern: partsPattern}, {Pattern: "GET /console/", Need: anybody}, {Pattern: "POST /console/", Need: anybody}, {Pattern: viewerPattern, Need: anybody}, {Pattern: viewerFilePattern, Need: anybody}}
	for _, r := range c.routes() {
		out = append(out, api.PageRoute{Pattern: r.pattern, Need: r.need, Edits: r.edits})
	}
	return out
}

// Forbidden says what a visitor may not see, or do.
func (c *Console) Forbidden(w http.ResponseWriter, r *http.Request, no *access.Refusal) {
	p := c.page(w, r)
	p.fail(&api.Problem{Status: no.Status, Detail: no.Detail})
	p.make().answer(p)
}

// May reports whether the page's visitor may ask for what a pattern names: pages show no button that would be refused.
func (p *page) May(pattern string) bool {
	need, ok := p.c.needs[pattern]
	if !ok {
		panic("the console has no route " + pattern) // a test shows every page
	}
	return p.visitor.May(need)
}
