package api

import (
	"github.com/waybill-hub/waybill/internal/report"
	"github.com/waybill-hub/waybill/internal/state"
)

// comparisonOperations are those of reconciliations and rules.
func comparisonOperations() map[string]operation {
	return map[string]operation{
		"GET /api/v1/reconciliations": {says: "Reconciliations: how they stand, and the trend of their last runs",
			answers: answers{200: gives("OK", Reconciliations{})}},
		"POST /api/v1/reconciliations/{name}/run": {says: "Run a reconciliation now",
			about:   "The run is stored, and worked by whichever hub has its lease; GET /api/v1/runs/{id} tells how far it is.",
			body:    takes(RunRequest{}),
			answers: answers{202: gives("wanted", Run{}), 400: notUnderstood, 404: no("no such reconciliation"), 409: no("one is wanted or running already: it is in run"), 422: no("the reconciliation does not say how to repair, since is ahead of the clock, or dry_run, deletes or at_most stand without repair")}},
		"GET /api/v1/reconciliations/{name}/runs": {says: "Runs of a reconciliation, newest first",
			query:   params{before(), limit(20, 1000)},
			answers: answers{200: gives("a page", Runs{}), 400: wrongParameter, 404: no("no such reconciliation, and no run of one of that name is kept")}},
		"GET /api/v1/rules": {says: "Business rules: how they stand, and the trend of their last runs",
			answers: answers{200: gives("OK", Rules{})}},
		"POST /api/v1/rules/{name}/run": {says: "Run a rule now",
			about:   "The run is stored, and worked by whichever hub has its lease; GET /api/v1/runs/{id} tells how far it is.",
			body:    takes(RunRequest{}),
			answers: answers{202: gives("wanted", Run{}), 400: notUnderstood, 404: no("no such rule"), 409: no("one is wanted or running already: it is in run"), 422: no("a rule repairs nothing, or since is ahead of the clock")}},
		"GET /api/v1/rules/{name}/runs": {says: "Runs of a rule, newest first",
			query:   params{before(), limit(20, 1000)},
			answers: answers{200: gives("a page", Runs{}), 400: wrongParameter, 404: no("no such rule, and no run of one of that name is kept")}},
		"POST /api/v1/rules/{name}/forget": {says: "Forget what a rule remembers of an object",
			about:   "The next run sees the object for the first time: what has changed of it until then is agreed to. The act is in the audit.",
			body:    takes(ForgetRequest{}).needed(),
			answers: answers{200: gives("forgotten", Forgotten{}), 400: notUnderstood, 404: no("no such rule, or it remembers nothing of the object")}},
		"GET /api/v1/runs/{id}": {says: "One run: its progress, or what it found",
			answers: answers{200: gives("the run", Run{}), 400: noNumber, 404: no("no such run")}},
		"GET /api/v1/runs/{id}/differences": {says: "What a run has found, by number",
			about:   "Documents hold personal data masked. A page may be shorter than limit where differences are large: next says whether there are more.",
			query:   params{oneOf("kind", "of one kind", state.DifferenceKinds...), oneOf("reason", "for one reason", state.DifferenceReasons...), truth("drift", "true leaves out what is explained or not compared"), number("after", "go on behind this number: next of the last page", 0, 0, 2147483647), limit(100, 1000)},
			answers: answers{200: gives("a page", Differences{}), 400: no("the id is no number, or a parameter is wrong"), 404: no("no such run")}},
		"GET /api/v1/runs/{id}/report": {says: "The report of a run as a file",
			query:   params{oneOf("format", "json when absent", report.Formats...)},
			answers: answers{200: {says: "the file, as a stream; one that breaks off ends the connection", forms: []form{{mediaJSON, ReportFile{}}, {"text/csv", prose("one row for each field that differs, in UTF-8 with a byte order mark")}, {mediaBook, []byte(nil)}}}, 400: no("the id is no number, or the format is none"), 404: no("no such run"), 409: no("the run is not over")}},
		"POST /api/v1/runs/{id}/cancel": {says: "Ask for the end of a run",
			about:   "One that nobody has begun ends at once; the hub that works another one ends it within seconds. What was repaired by then stays repaired.",
			body:    takes(CancelRequest{}),
			answers: answers{202: gives("asked", Run{}), 400: notUnderstood, 404: no("no such run"), 409: no("the run is over")}},
		"POST /api/v1/runs/{id}/repair": {says: "Repair what a run has found",
			about:   "A new run looks at these differences again and writes those that are still there through the flows. Exactly one of numbers, reasons and all is given.",
			body:    takes(RepairRequest{}).needed().rules(`{"oneOf": [{"required": ["numbers"], "properties": {"numbers": {"minItems": 1}}}, {"required": ["reasons"], "properties": {"reasons": {"minItems": 1}}}, {"required": ["all"], "properties": {"all": {"const": true}}}]}`),
			answers: answers{202: gives("wanted", Run{}), 400: notUnderstood, 404: no("no such run, or the files have its reconciliation no more"), 409: no("the run is not over, or another one is wanted or running: it is in run"), 422: no("there is nothing to repair: no difference of such a number or reason, no drift, or no repair in the file")}},
	}
}
