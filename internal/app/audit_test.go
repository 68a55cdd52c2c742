package app

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/access"
	"github.com/waybill-hub/waybill/internal/api"
	"github.com/waybill-hub/waybill/internal/state"
)

// elsewhere are the writes whose row in the audit other tests look for: they need more than this hub has.
var elsewhere = map[string]string{
	"POST /api/v1/reconciliations/{name}/run": "storetest Comparison", "POST /api/v1/rules/{name}/run": "storetest Comparison", "POST /api/v1/runs/{id}/cancel": "storetest ComparisonCancelled",
	"POST /api/v1/runs/{id}/repair": "storetest Comparison", "POST /api/v1/rules/{name}/forget": "storetest RuleMemory", "POST /api/v1/recover": "storetest Recover", "POST /api/v1/resend": "app TestResendOfAHub",
	"POST /api/v1/parked/codes": "app TestAddCode", "POST /api/v1/replays/{id}/stop": "storetest Paces",
	"POST /api/v1/flows/{name}/backfill": "storetest Backfills", "POST /api/v1/backfills/{id}/cancel": "storetest Backfills",
	"POST /api/v1/flows/{name}/rewind": "storetest SourceWishes", "POST /api/v1/flows/{name}/sweep": "storetest SourceWishes", "POST /api/v1/flows/{name}/files/retake": "app TestRetakeOfFiles", "POST /api/v1/alerts/{receiver}/test": "app TestAlerts",
}

// Whatever changes something leaves a row in the audit: under the name of whoever did it, with how it was and how it is. Every write of the router is tried here, or named with the test that does.
func TestEveryWriteIsAudited(t *testing.T) {
	p := newProject(t, newTarget(t).URL)
	p.withRoles()
	p.edit("configs/waybill.yaml", "hooks:", "backup: {dir: \""+p.dir+"/copies\"}\nhooks:")
	p.write("mappings/values/marks.yaml", "values: marks\ncodes:\n  A: {shop: a}\n")
	hub := p.start(io.Discard)
	for i := range 5 {
		if code, err := push(t.Context(), hub, "shop/orders", fmt.Sprint("d", i), document{No: fmt.Sprint("N-", i), Seq: 7, Mark: "zz"}); err != nil || code != http.StatusAccepted {
			t.Fatal(code, err)
		}
	}
	rest(t, hub)
	rows, err := hub.Listed(t.Context(), state.QueueFilter{Heads: true, Limit: 10}, 0)
	if err != nil || len(rows) != 5 {
		t.Fatal(len(rows), err)
	}
	id := func(i int) string { return fmt.Sprint(rows[i].ID) }
	key := func(i int) string { return rows[i].Event.Key } // keys are dealt to lanes: they are parked in any order
	type write struct{ pattern, path, body, action, before, after string }
	writes := []write{
		{"POST /api/v1/flows/{name}/pause", "/api/v1/flows/orders/pause", "{}", "pause", "running", "paused"},
		{"PUT /api/v1/parked/{id}", "/api/v1/parked/" + id(0), `{"data":{"no":"` + key(0) + `","seq":8},"note":"typo"}`, "edit", "", ""},
		{"POST /api/v1/parked/{id}/replay", "/api/v1/parked/" + id(0) + "/replay", `{"note":"again"}`, "replay", "parked", "parked, marked for replay"},
		{"POST /api/v1/parked/{id}/discard", "/api/v1/parked/" + id(1) + "/discard", `{"note":"double"}`, "discard", "parked", "parked, marked for discard"},
		{"POST /api/v1/parked/replay", "/api/v1/parked/replay", `{"filter":{"key":"` + key(2) + `"}}`, "bulk replay", "", ""},
		{"POST /api/v1/parked/discard", "/api/v1/parked/discard", `{"filter":{"key":"` + key(3) + `"},"note":"old"}`, "bulk discard", "", ""},
		{"POST /api/v1/flows/{name}/resume", "/api/v1/flows/orders/resume", "{}", "resume", "paused by ada", "running"},
		{"POST /api/v1/links", "/api/v1/links", `{"links":[{"entity":"order","ids":[{"system":"shop","id":"S-1"},{"system":"erp","id":"E-1"}]}]}`, "link", "not linked", "shop S-1 erp E-1"},
		{"POST /api/v1/restored", "/api/v1/restored", `{"as_of":"2026-01-01T00:00:00Z","note":"a test"}`, "restored", "", ""},
		{"POST /api/v1/backups", "/api/v1/backups", `{"name":"monday"}`, "backup", "", ""},
		{"POST /api/v1/reload", "/api/v1/reload", "{}", "reload", "plan ", "token vic: viewer → operator"},
	}
	tried := map[string]bool{}
	for _, x := range writes {
		method, _, _ := strings.Cut(x.pattern, " ")
		tried[x.pattern] = true
		if x.action == "reload" {
			p.edit("configs/waybill.yaml", "role: viewer", "role: operator")
		}
		r := httptest.NewRequestWithContext(t.Context(), method, hub.URL()+x.path, strings.NewReader(x.body))
		r.Header.Set("Authorization", "Bearer "+tokenOf(access.Admin))
		r.Header.Set("If-Match", "*")
		w := httptest.NewRecorder()
		hub.api.ServeHTTP(w, r)
		if w.Code >= 300 {
			t.Errorf("%s: %d %s", x.pattern, w.Code, w.Body)
			continue
		}
		var list api.Audits
		if err := json.Unmarshal(asks(t, hub, access.Admin, "GET", "/api/v1/audit?limit=1&action="+strings.ReplaceAll(x.action, " ", "+"), "").Body.Bytes(), &list); err != nil || len(list.Audit) != 1 {
			t.Errorf("%s is not in the audit: %+v %v", x.pattern, list, err)
			continue
		}
		if a := list.Audit[0]; a.Who != "ada" || !strings.Contains(a.Before, x.before) || !strings.Contains(a.After, x.after) {
			t.Errorf("%s: the audit says %+v", x.pattern, a)
		}
	}
	// What an edit has changed is told with both documents.
	var list api.Audits
	if err := json.Unmarshal(asks(t, hub, access.Admin, "GET", "/api/v1/audit?action=edit", "").Body.Bytes(), &list); err != nil || len(list.Audit) != 1 {
		t.Fatal(list, err)
	}
	var one api.AuditEntry
	if err := json.Unmarshal(asks(t, hub, access.Admin, "GET", fmt.Sprint("/api/v1/audit/", list.Audit[0].ID), "").Body.Bytes(), &one); err != nil || !strings.Contains(string(one.BeforeDoc), "zz") || strings.Contains(string(one.AfterDoc), "zz") || one.Flow != "orders" {
		t.Errorf("%+v %v", one, err)
	}
	for _, r := range hub.api.Routes() {
		if method, path, _ := strings.Cut(r.Pattern, " "); method != "GET" && strings.HasPrefix(path, "/api/") && !tried[r.Pattern] && elsewhere[r.Pattern] == "" && r.Pattern != "POST /api/v1/parked/{id}/preview" { // which changes nothing
			t.Errorf("%s: nobody looks whether it is in the audit", r.Pattern)
		}
	}
}
