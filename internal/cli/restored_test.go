package cli

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/api"
	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/store"
)

// TestRestoredBeforeStart: what a person says goes into the hub's own store. In another folder none is made, which would only look as if it was told.
func TestRestoredBeforeStart(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "configs/waybill.yaml", "systems: {}\n")
	if code, out, errs := command(t, "restored", "--before-start"); code != 1 || out != "" || !strings.Contains(errs, "data/waybill.db") || !strings.Contains(errs, "working directory") {
		t.Errorf("without a store: %d\n%s%s", code, out, errs)
	}
	if _, err := os.Stat("data"); !os.IsNotExist(err) {
		t.Errorf("something was made: %v", err)
	}
	open := func() *store.Store {
		t.Helper()
		s, err := store.Open(t.Context(), store.Config{SQLite: "data/waybill.db"})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	if err := open().Close(); err != nil {
		t.Fatal(err)
	}
	code, out, errs := command(t, "restored", "--before-start", "--as-of", "2026-11-29T10:00:00Z", "--note", "the disk", "--output", "json")
	var said api.Restored
	if err := json.Unmarshal([]byte(out), &said); code != 0 || err != nil || said.State != state.RestoredReading || said.Note != "the disk" || said.AsOf == nil {
		t.Errorf("%d %v\n%s%s", code, err, out, errs)
	}
	s := open()
	defer s.Close()
	if r, err := s.Restoration(t.Context()); err != nil || r == nil || r.Note != "the disk" || !r.AsOf.Equal(*said.AsOf) {
		t.Errorf("%+v %v", r, err)
	}
}
