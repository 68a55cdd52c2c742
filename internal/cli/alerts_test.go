package cli

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/api"
)

// answers is a hub that gives the same answer to everything.
func answers(t *testing.T, answer any) string {
	t.Helper()
	s := hubServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(answer)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// TestAlertsShown: nobody is shown as told who was not, and the exit code says whether all can be.
func TestAlertsShown(t *testing.T) {
	at := time.Date(2026, 11, 30, 2, 0, 0, 0, time.Local)
	all := api.Alerts{Receivers: []api.AlertReceiver{
		{Name: "taken", Way: "slack", Of: []string{"hub"}, Last: &at},
		{Name: "fresh", Way: "slack", Of: []string{"hub"}},
		{Name: "night", Way: "mail", Of: []string{"hub", "late"}, Urgent: []string{"hub"}, Quiet: true}},
		Alerts: []api.Alert{{Receiver: "taken", What: "late", Subject: "orders", Text: "too \x1b[31mold", Since: at, Told: &at}, {Receiver: "night", What: "late", Subject: "orders", Since: at}, {Receiver: "taken", What: "down", Subject: "erp", Since: at, Told: &at, Gone: &at}}}
	code, out, errs := command(t, "alerts", "--url", answers(t, all))
	wantLines(t, out, "taken slack hub last message taken 2026-11-30 02:00:00", "fresh slack hub nothing sent yet: waybill alerts --test fresh", "night mail hub, late quiet but for hub",
		"2026-11-30 02:00:00 taken late orders 2026-11-30 02:00:00 too", "2026-11-30 02:00:00 night late orders not yet", "2026-11-30 02:00:00 taken down erp is over")
	if code != 0 || errs != "" || strings.Contains(out, "\x1b") {
		t.Errorf("exit %d, %q, %q", code, out, errs)
	}
	all.Receivers[1].Since, all.Receivers[1].Why = &at, "no_such_hook"
	code, out, errs = command(t, "alerts", "--url", answers(t, all))
	wantLines(t, out, "fresh slack hub cannot be told since 2026-11-30 02:00:00: no_such_hook")
	if code != 1 || !strings.Contains(errs, "1 of 3 receivers cannot be told") {
		t.Errorf("exit %d, %q", code, errs)
	}
}

// wantLines looks for lines that begin so, whatever the blanks are.
func wantLines(t *testing.T, out string, lines ...string) {
	t.Helper()
	flat := "\n"
	for _, line := range strings.Split(out, "\n") {
		flat += strings.Join(strings.Fields(line), " ") + "\n"
	}
	for _, want := range lines {
		if !strings.Contains(flat, "\n"+want) {
			t.Errorf("no line %q in:\n%s", want, out)
		}
	}
}
