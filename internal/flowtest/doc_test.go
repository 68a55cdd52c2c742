package flowtest

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/connector"
)

var example = regexp.MustCompile("(?s)```yaml\n(.*?)```")

// TestReference runs the examples of the reference, and looks for every key in it.
func TestReference(t *testing.T) {
	data, err := os.ReadFile("../../docs/testing-flows.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	found := example.FindAllStringSubmatch(text, -1)
	if len(found) < 2 {
		t.Fatalf("%d examples", len(found))
	}
	plan := load(t, "testdata/project")
	for i, x := range found {
		src := x[1]
		if !strings.HasPrefix(src, "test:") && !strings.HasPrefix(src, "rule:") {
			src = "test: customers-to-erp\ncases:\n" + src
		}
		out, rep := report(t, Options{}, plan, File{Name: fmt.Sprintf("example %d", i+1), Data: []byte(src)})
		if !rep.OK() || len(rep.Results) == 0 {
			t.Error(out)
		}
	}
	var keys func(fields []connector.Field)
	keys = func(fields []connector.Field) {
		for _, f := range fields {
			if !strings.Contains(text, "`"+f.Name+"`") && !strings.Contains(text, f.Name+":") {
				t.Errorf("the key %q is not in the reference", f.Name)
			}
			keys(f.Fields)
		}
	}
	keys(Spec())
	keys(RuleSpec())
}
