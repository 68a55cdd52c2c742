package app

import (
	"database/sql"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/api"
)

// A flow whose commits the store refuses, while it takes those of all others, is failing in the status and says why; it goes on when the store takes them.
func TestStoreRefusesOneFlow(t *testing.T) {
	t.Parallel()
	target := newTarget(t)
	p := newProject(t, target.URL)
	if err := p.start(io.Discard).Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	inStore := func(q string) {
		t.Helper()
		db, err := sql.Open("sqlite", filepath.Join(p.dir, "data", "waybill.db"))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = db.Close() }()
		if _, err := db.Exec(q); err != nil {
			t.Fatal(err)
		}
	}
	inStore(`CREATE TRIGGER refused BEFORE INSERT ON journal WHEN NEW.flow = 'orders-to-erp' BEGIN SELECT RAISE(ABORT, 'no row of this flow'); END`)
	hub := p.start(io.Discard)
	if status, err := push(t.Context(), hub, "shop/orders", "d1", document{No: "A", Seq: 1}); err != nil || status != http.StatusAccepted {
		t.Fatal(status, err)
	}
	shows := func(what string, holds func(f *api.Flow) bool) {
		t.Helper()
		await(t, what, func() bool {
			st, err := hub.Status(t.Context())
			return err == nil && holds(flowNamed(st, "orders-to-erp"))
		})
	}
	shows("the flow says why it stands still", func(f *api.Flow) bool {
		return f.State == "failing" && strings.Contains(f.Why, "the store does not take what the flow says since ") && strings.Contains(f.Why, "no row of this flow")
	})
	st, err := hub.Status(t.Context())
	if err != nil || st.Hub.State == "failing" {
		t.Fatalf("the hub itself is said to fail: %+v %v", st, err)
	}
	for _, f := range st.Flows {
		if f.Name != "orders-to-erp" && f.State == "failing" {
			t.Errorf("another flow is said to fail: %+v", f)
		}
	}
	if err := hub.Stop(t.Context()); err != nil {
		t.Logf("stop: %v", err) // what is in flight has no fate yet
	}
	inStore(`DROP TRIGGER refused`)
	hub = p.start(io.Discard)
	shows("it goes on", func(f *api.Flow) bool { return f.Delivered == 1 && f.State == "running" })
}
