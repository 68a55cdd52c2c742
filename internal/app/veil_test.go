package app

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/access"
	"github.com/waybill-hub/waybill/internal/api"
	"github.com/waybill-hub/waybill/internal/state"
)

// asks asks a hub as somebody of a role.
func asks(t *testing.T, hub *Hub, role access.Role, method, path, body string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, hub.URL()+path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+tokenOf(role))
	w := httptest.NewRecorder()
	hub.api.ServeHTTP(w, r)
	return w
}

// Below operator, nothing that a schema marks as personal is in clear: in no answer of the API, on no page, in no trace or search, and not by asking for the beginning of it. An operator sees keys, and
// documents where he asks for them; the audit tells of it.
func TestPersonalDataBelowOperator(t *testing.T) {
	g := newTarget(t)
	p := newProject(t, g.URL)
	p.withRoles()
	p.edit("schemas/order.v1.json", `"no": {"type": "string", "minLength": 1}`, `"no": {"type": "string", "minLength": 1, "x-pii": true}`)
	p.write("mappings/values/marks.yaml", "values: marks\ncodes:\n  A: {shop: a}\n")
	var log strings.Builder
	hub := p.start(io.MultiWriter(&log))
	const ann, joe = "ann.smith@a.example", "joe.bloggs@a.example"
	for i, d := range []document{{No: ann, Seq: 1}, {No: joe, Seq: 2, Mark: "strange"}} {
		if code, err := push(t.Context(), hub, "shop/orders", fmt.Sprint("d", i), d); err != nil || code != http.StatusAccepted {
			t.Fatal(code, err)
		}
	}
	rest(t, hub)
	rows, err := hub.Listed(t.Context(), state.QueueFilter{Heads: true, Limit: 10}, 0)
	if err != nil || len(rows) != 1 {
		t.Fatal(rows, err)
	}
	id := rows[0].ID
	fates, err := hub.store.Journal(t.Context(), state.JournalFilter{Flow: "orders-to-erp", Limit: 1})
	if err != nil || len(fates) != 1 {
		t.Fatal(fates, err)
	}
	hubID, whole := fates[0].Hub, url.QueryEscape(ann)
	for _, at := range []struct {
		path string
		keys bool // an operator sees a key there
	}{
		{"/api/v1/parked", true}, {"/api/v1/parked/causes", true}, {fmt.Sprint("/api/v1/parked/", id), true}, {"/api/v1/flows/orders-to-erp/journal", true},
		{"/api/v1/messages?documents=9&key=" + hubID, true}, {"/api/v1/messages?documents=9&key=" + whole, true}, {"/api/v1/messages?key=ann.sm", true}, {"/api/v1/messages?key=j", true},
		{"/api/v1/find?q=" + whole, true}, {"/api/v1/find?q=ann.sm", true}, {"/api/v1/find?q=" + hubID, true}, {"/api/v1/xref?key=" + hubID, true}, {"/api/v1/audit", false}, {"/api/v1/status", false}, {"/metrics", false},
		{"/console/parked", true}, {fmt.Sprint("/console/parked/", id), true}, {"/console/find?q=" + hubID, true}, {"/console/find?q=ann.sm", true}, {"/console/flows/orders-to-erp", true}, {"/", false},
	} {
		if w := asks(t, hub, access.Operator, "GET", at.path, ""); w.Code != 200 || at.keys != (strings.Contains(w.Body.String(), ann) || strings.Contains(w.Body.String(), joe)) {
			t.Errorf("%s of an operator: %d, keys in it: %v\n%.2000s", at.path, w.Code, !at.keys, w.Body)
		}
		w := asks(t, hub, access.Viewer, "GET", at.path, "")
		text := strings.ReplaceAll(w.Body.String(), "q="+whole, "") // the language's link has what was asked for
		if w.Code != 200 || strings.Contains(text, "bloggs") || strings.Contains(text, "smith") {
			t.Errorf("%s of a viewer: %d\n%.2000s", at.path, w.Code, text)
		}
	}
	// Who knows the whole finds; who has a beginning learns nothing of the rest.
	if w := asks(t, hub, access.Viewer, "GET", "/api/v1/find?q="+whole, ""); !strings.Contains(w.Body.String(), hubID) {
		t.Errorf("a whole key: %s", w.Body)
	}
	for _, path := range []string{"/api/v1/find?q=ann.sm", "/api/v1/messages?key=ann.sm"} {
		if w := asks(t, hub, access.Viewer, "GET", path, ""); strings.Contains(w.Body.String(), hubID) || strings.Contains(w.Body.String(), "***") {
			t.Errorf("the beginning of a key: %s", w.Body)
		}
	}
	if w := asks(t, hub, access.Viewer, "GET", fmt.Sprintf("/api/v1/parked/%d?clear=true", id), ""); w.Code != 403 {
		t.Errorf("a document in clear: %d", w.Code)
	}
	if w := asks(t, hub, access.Viewer, "POST", fmt.Sprintf("/api/v1/parked/%d/preview", id), `{"data":{"no":"x","seq":3}}`); w.Code != 403 || strings.Contains(w.Body.String(), "bloggs") {
		t.Errorf("a preview that tells the key: %d %s", w.Code, w.Body)
	}
	if w := asks(t, hub, access.Viewer, "POST", fmt.Sprintf("/api/v1/parked/%d/preview", id), ""); w.Code != 200 || strings.Contains(w.Body.String(), "bloggs") {
		t.Errorf("a preview: %d %s", w.Code, w.Body)
	}
	w := asks(t, hub, access.Operator, "GET", fmt.Sprintf("/api/v1/parked/%d?clear=true", id), "")
	audits, err := hub.Audits(t.Context(), state.AuditFilter{Limit: 1})
	if w.Code != 200 || !strings.Contains(w.Body.String(), `"no": "`+joe) || err != nil || len(audits) != 1 || audits[0].Who != "olga" || audits[0].Action != "read" || audits[0].Object != fmt.Sprint("message/", id) {
		t.Errorf("an operator: %d %s; %+v %v", w.Code, w.Body, audits, err)
	}
	// Of a comparison that the files have no more nobody knows what it is about.
	if about := hub.Compared(state.RunReconciliation, "gone"); !hub.PersonalKey("", about) {
		t.Errorf("the keys of a comparison that there is not are taken for those of %q", about)
	} else if text, ok := hub.Veil([]byte(`{"differences":[{"key":"`+ann+`"}]}`), about); !ok || strings.Contains(string(text), ann) {
		t.Errorf("%s", text)
	}
	// Who sees the status sees what is under way: not which object alone it looks at.
	var stands api.Standing
	hub.stand(&stands, &compared{kind: state.RunReconciliation, name: "people", entity: "order"}, &runsSeen{open: map[state.RunName]state.Comparison{
		{Kind: state.RunReconciliation, Name: "people"}: {ID: 7, State: state.RunWanted, Who: "olga", Why: ann + " has called", Options: state.CompareOptions{Key: ann}}}})
	if text, err := json.Marshal(stands); err != nil || stands.Running == nil || stands.Running.ID != 7 || stands.Running.By != "olga" || strings.Contains(string(text), "smith") {
		t.Errorf("a run under way: %s %v", text, err)
	}
	if text := log.String(); strings.Contains(text, "bloggs") || strings.Contains(text, "smith") {
		t.Errorf("the log:\n%s", text)
	}
}
