package app

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/access"
	"github.com/waybill-hub/waybill/internal/api"
	"github.com/waybill-hub/waybill/internal/state"
)

const depotFlow = `flow: depot
entity: order
from: {system: depot, files: {every: 1s}}
accept: order.v1
key: source.no
to: {topic: canonical.depot}
`

// A file that has failed is told of with its reason, and an operator has it taken again: in vain while nothing was mended, and as if it had just come when it was. Who did it is in the audit.
func TestRetakeOfFiles(t *testing.T) {
	p := newProject(t, newTarget(t).URL)
	p.withRoles()
	p.edit("configs/waybill.yaml", "  shop: {connector: webhook}\n", "  shop: {connector: webhook}\n  depot: {connector: file, path: ../drop, objects: {order: {pattern: \"*.csv\", csv: {columns: {no: text, seq: integer}}, ready: {when: renamed}}}}\n")
	p.write("flows/depot.yaml", depotFlow)
	text := "\xff\xfe"
	for _, c := range []byte("no,seq\nN-1,1\n") {
		text += string([]byte{c, 0})
	}
	p.write("drop/a.csv", text)
	hub := p.start(io.Discard)
	list := func() (got api.FailedFiles) {
		t.Helper()
		w := asks(t, hub, access.Viewer, "GET", "/api/v1/flows/depot/files", "")
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != 200 {
			t.Fatal(w.Code, w.Body, err)
		}
		return got
	}
	await(t, "the file to fail", func() bool { return len(list().Files) == 1 })
	if f := list().Files[0]; f.Name != "a.csv" || f.As != "a.csv" || f.Bytes != int64(len(text)) || !strings.Contains(f.Why, "set encoding: utf-16") {
		t.Errorf("%+v", f)
	}
	for _, x := range []struct {
		role       access.Role
		path, body string
		code       int
		says       string
	}{
		{access.Viewer, "depot", `{"all":true}`, 403, "needs the role operator"}, {access.Operator, "depot", `{"files":["b.csv"]}`, 422, `has no failed file "b.csv"; did you mean "a.csv"?`},
		{access.Operator, "orders", `{"all":true}`, 422, "flow orders reads no files"}, {access.Operator, "none", `{"all":true}`, 404, "not found"},
	} {
		if w := asks(t, hub, x.role, "POST", "/api/v1/flows/"+x.path+"/files/retake", x.body); w.Code != x.code || !strings.Contains(strings.ReplaceAll(w.Body.String(), `\"`, `"`), x.says) {
			t.Errorf("%s %s: %d %s", x.path, x.body, w.Code, w.Body)
		}
	}
	carriedOut := func() bool {
		wishes, err := hub.store.SourceWishes(t.Context(), "depot")
		return err == nil && len(wishes) == 0
	}
	failures := func() int {
		runs, err := hub.store.Runs(t.Context(), state.RunFilter{Kind: "files", Name: "depot"})
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, r := range runs {
			if strings.Contains(r.Detail, "failed") {
				n++
			}
		}
		return n
	}
	if w := asks(t, hub, access.Operator, "POST", "/api/v1/flows/depot/files/retake", `{"files":["a.csv"],"note":"let us see"}`); w.Code != 202 {
		t.Fatal(w.Code, w.Body)
	}
	await(t, "it to fail again", func() bool { return carriedOut() && failures() == 2 && len(list().Files) == 1 })
	p.edit("configs/waybill.yaml", `{pattern: "*.csv",`, `{pattern: "*.csv", encoding: utf-16,`)
	if w := asks(t, hub, access.Engineer, "POST", "/api/v1/reload", ""); w.Code != 200 {
		t.Fatal(w.Code, w.Body)
	}
	if w := asks(t, hub, access.Operator, "POST", "/api/v1/flows/depot/files/retake", `{"all":true,"note":"the encoding"}`); w.Code != 202 {
		t.Fatal(w.Code, w.Body)
	}
	await(t, "it to be taken", func() bool {
		_, err := os.Stat(filepath.Join(p.dir, "drop", "done", "a.csv"))
		return err == nil && carriedOut()
	})
	st := rest(t, hub)
	for i := range st.Flows {
		if f := &st.Flows[i]; f.Name == "depot" && (f.Delivered != 1 || f.Accepted != 1) {
			t.Errorf("%+v", f.Totals)
		}
	}
	if got := list(); len(got.Files) != 0 || got.Files == nil {
		t.Errorf("left %+v", got)
	}
	if w := asks(t, hub, access.Operator, "POST", "/api/v1/flows/depot/files/retake", `{"all":true}`); w.Code != 422 || !strings.Contains(w.Body.String(), "has no failed files") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	acts, err := hub.store.Audits(t.Context(), state.AuditFilter{Action: "retake", Limit: 5})
	if err != nil || len(acts) != 2 || acts[0].Object != "flow/depot" || acts[0].Detail != "a.csv: the encoding" || acts[0].Who != acts[1].Who || acts[0].Who == "" {
		t.Errorf("%+v %v", acts, err)
	}
}
