package cli

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/api"
)

// TestReloadTells: a reload lists what has changed, of every kind; a hub without reconciliations and rules says nothing of them.
func TestReloadTells(t *testing.T) {
	done := api.Reload{Flows: api.Changes{Unchanged: 3}}
	hub := hubServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(done) })) // a test's answer
	defer hub.Close()
	if code, out, errs := command(t, "reload", "--url", hub.URL); code != 0 || !strings.HasSuffix(out, "\nflows unchanged: 3\nsystems unchanged: 0\n") {
		t.Errorf("%d %s%s", code, out, errs)
	}
	done.Reconciliations = api.Changes{Added: []string{"stock"}, Changed: []string{"customers", "orders"}, Unchanged: 4}
	done.Rules = api.Changes{Removed: []string{"credit"}}
	if code, out, errs := command(t, "reload", "--url", hub.URL); code != 0 || !strings.HasSuffix(out, "\nsystems unchanged: 0\nreconciliations added: stock\nreconciliations changed: customers, orders\nreconciliations unchanged: 4\n"+
		"rules removed: credit\nrules unchanged: 0\n") {
		t.Errorf("%d %s%s", code, out, errs)
	}
}
