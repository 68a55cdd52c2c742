package acceptance

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/api"
)

// TestResend: the webhook of an object was never sent. A person has it read from its system and sent, sees before what would be sent, and finds
// afterwards who had it sent and why; a hub that is killed right after it has said so delivers it all the same, once.
func TestResend(t *testing.T) {
	t.Parallel()
	crm, crmURL := peopleOf(t, map[string]any{"email": "ann@example.com", "name": "Ann"}, map[string]any{"email": "bob@example.com", "name": "Bob"})
	erp, erpURL := peopleOf(t)
	p := metProject(t, "  crm:\n    connector: rest\n    url: "+crmURL+"\n"+peopleObjects+"  erp:\n    connector: rest\n    url: "+erpURL+"\n"+peopleObjects, `flow: crm-customers
entity: customer
from:
  system: crm
  webhook:
    path: scanner/readings
    verify: {scheme: standard-webhooks, secret: "${env:SCANNER_SECRET}"}
key: source.email
id: source.id
to: {topic: canonical.customer}
---
flow: customers-to-erp
entity: customer
from: {topic: canonical.customer}
to: {system: erp, find-by: [email], owns: [email, name]}
`)
	h := p.run(t, map[string]string{"SCANNER_SECRET": hookSecret})
	ask := func(args ...string) (string, int) {
		t.Helper()
		out, stderr, code := waybill(t, p.dir, append(args, "--url", "http://"+p.http)...)
		return out + stderr, code
	}
	rest := func(what string) {
		t.Helper()
		h.await(what, time.Minute, func() bool {
			st := h.status()
			return st.Totals.InFlight == 0 && st.Totals.Unaccounted == 0
		})
	}

	out, code := ask("resend", "customer", "ann@example.com", "--dry-run")
	for _, want := range []string{"customer ann@example.com, 100 in crm", "crm-customers to canonical.customer", `"name": "Ann"`, "nothing is stored"} {
		if code != 0 || !strings.Contains(out, want) {
			t.Errorf("the dry run exits %d, and does not say %q:\n%s", code, want, out)
		}
	}
	if got := erp.text("name"); got != "" || h.status().Totals.Accepted != 0 {
		t.Errorf("a dry run has sent %s", got)
	}

	if out, code = ask("resend", "customer", "ann@example.com", "--id", "case-7", "--note", "its webhook was lost"); code != 0 || !strings.Contains(out, "is sent through crm-customers to canonical.customer") {
		t.Fatalf("exit %d: %s", code, out)
	}
	h.kill()
	h.start()
	h.await("the customer", time.Minute, func() bool { return erp.text("name") == "Ann" })
	if out, code = ask("resend", "customer", "ann@example.com", "--id", "case-7", "--note", "its webhook was lost"); code != 0 || !strings.Contains(out, "nothing more is sent") {
		t.Errorf("the same wish again: exit %d: %s", code, out)
	}
	rest("rest")
	if got := erp.text("name"); got != "Ann" || erp.writes != 1 {
		t.Errorf("the ERP holds %s after %d writes", got, erp.writes)
	}

	// The hub may have been killed behind the create: then it has met its own object.
	if out, code = ask("trace", "ann@example.com"); code != 0 || !strings.Contains(out, "resend") || !strings.Contains(out, ": its webhook was lost") || !strings.Contains(out, "create") && !strings.Contains(out, "adopted: it was there already, found by its external id") {
		t.Errorf("trace: exit %d\n%s", code, out)
	}
	out, code = ask("trace", "ann@example.com", "--output", "json")
	var m api.Message
	if err := json.Unmarshal([]byte(out), &m); code != 0 || err != nil || len(m.Acts) != 1 || m.Acts[0].Action != "resend" || m.Acts[0].Event != "submitted/person/case-7" || m.Acts[0].Message != 0 {
		t.Errorf("trace: exit %d, %v, %+v", code, err, m.Acts)
	}
	var audit struct{ Audit []api.Audit }
	if err := h.get("/api/v1/audit", &audit); err != nil || len(audit.Audit) == 0 || audit.Audit[0].Action != "resend" ||
		audit.Audit[0].Detail != "customer ann@example.com, as submitted/person/case-7: its webhook was lost" {
		t.Errorf("audit %+v, %v", audit.Audit, err)
	}
	// A webhook that comes later is newer than what was read before it.
	crm.mu.Lock()
	crm.keep(crm.rows[0], map[string]any{"name": "Ann B."})
	crm.mu.Unlock()
	if status, answer := (push{id: "1", body: []byte(`{"id":"100","email":"ann@example.com","name":"Ann B."}`)}).send(t, p); status != http.StatusAccepted {
		t.Fatalf("%d %s", status, answer)
	}
	h.await("the change", time.Minute, func() bool { return erp.text("name") == "Ann B." })

	for _, c := range []struct{ args, says string }{
		{"customer zoe@example.com", "crm holds no customer zoe@example.com, and the hub has not seen one: give the id that it has there"},
		{"custmer ann@example.com", `the hub's files know no flow of the entity "custmer" (did you mean "customer"?)`},
		{"customer ann@example.com --flow customers-to-erp", "it reads the topic canonical.customer: send it by a flow that fills it: crm-customers"},
	} {
		if out, code = ask(append([]string{"resend"}, strings.Fields(c.args)...)...); code != 1 || !strings.Contains(out, c.says) {
			t.Errorf("%s: exit %d, and does not say %q:\n%s", c.args, code, c.says, out)
		}
	}
	// By its id there, of one that nobody has seen.
	if out, code = ask("resend", "customer", "101", "--from", "crm", "--output", "json"); code != 0 || !strings.Contains(out, `"key": "bob@example.com"`) {
		t.Errorf("by its id: exit %d\n%s", code, out)
	}
	resp, err := http.Get("http://" + p.http + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if data, err := io.ReadAll(resp.Body); err != nil || !strings.Contains(string(data), `waybill_submitted_total{flow="crm-customers",trigger="person"} 1`) {
		t.Errorf("the metric does not count the resend: %v", err)
	}
	h.await("the other customer", time.Minute, func() bool { return erp.text("name") == "Ann B.,Bob" })
	rest("the end")
}
