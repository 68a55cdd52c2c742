package app

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/api"
	"github.com/waybill-hub/waybill/internal/state"
)

// A code that a person adds stands in its file and in the audit, with whoever did it; where the files cannot be loaded with it, the file is what it was, and the audit says that, too.
func TestAddCode(t *testing.T) {
	p := newProject(t, newTarget(t).URL)
	const marks = "values: marks\ncodes:\n  A: {shop: a}\n"
	p.write("mappings/values/marks.yaml", marks)
	hub := p.start(io.Discard)
	file := func() string {
		text, err := os.ReadFile(filepath.Join(p.dir, "mappings", "values", "marks.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	audited := func(want ...string) {
		t.Helper()
		list, err := hub.Audits(t.Context(), state.AuditFilter{Action: "code", Limit: 10})
		if err != nil || len(list) != len(want) {
			t.Fatalf("%+v %v", list, err)
		}
		for i, a := range list {
			if a.Who != "ann" || a.Object != "values/marks" || !strings.Contains(a.Detail, want[i]) || strings.HasPrefix(want[i], "not ") != strings.HasPrefix(a.Detail, "not ") {
				t.Errorf("the audit says %+v, want %s", a, want[i])
			}
		}
	}
	p.write("flows/broken.yaml", "flow: broken\n")
	var bad *api.BadFiles
	if _, err := hub.AddCode(t.Context(), api.CodeRequest{Map: "marks", System: "shop", Code: "zz", To: "Z"}, "ann"); !errors.As(err, &bad) || file() != marks {
		t.Fatalf("%v\n%s", err, file())
	}
	audited("not loaded", "marks.yaml:4: zz of shop stands for Z")
	p.remove("flows/broken.yaml")
	done, err := hub.AddCode(t.Context(), api.CodeRequest{Map: "marks", System: "shop", Code: "zz", To: "Z", Note: "as the shop says"}, "ann")
	if err != nil || file() != marks+"  Z: {shop: \"zz\"}\n" || done.Line != 4 {
		t.Fatalf("%+v %v\n%s", done, err, file())
	}
	audited("zz of shop stands for Z: as the shop says", "not loaded", "marks.yaml:4")
	if code, err := hub.plan().Values["marks"].Value("shop", "zz"); err != nil || code != "Z" {
		t.Errorf("%v %v", code, err)
	}
}
