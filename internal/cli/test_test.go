package cli

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/api"
)

// command runs one command line in the present directory.
func command(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	code = Main(t.Context(), args, &out, &err)
	return code, out.String(), err.String()
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// project makes one with a flow and its tests, and makes it the present directory.
func project(t *testing.T) {
	t.Helper()
	t.Chdir(t.TempDir())
	write(t, "configs/waybill.yaml", "systems: {}\n")
	write(t, "flows/orders.yaml", "flow: orders\nentity: order\nfrom: {topic: orders}\nwhen: source.state != \"draft\"\nto: {topic: booked}\n")
	write(t, "flows/orders_test.yaml", `test: orders
cases:
  - name: an order
    given: {no: "1", state: new}
    want: {data: {no: "1", state: new}}
  - name: a draft
    given: {no: "1", state: draft}
    skipped: filtered
`)
}

func TestTestCommand(t *testing.T) {
	project(t)
	write(t, "flows/more/bad_test.yaml", "test: orders\ncases:\n  - name: wrong\n    given: {no: \"2\"}\n    want: {data: {no: 2}}\n")
	const failure = "flows/more/bad_test.yaml:3:5: FAIL orders: wrong\n    flows/more/bad_test.yaml:5:23: data.no: want 2, got \"2\"\n"
	for _, c := range []struct {
		args string
		code int
		out  string
		err  string
	}{
		{"test", 1, failure + "FAIL: 2 of 3 cases passed in 2 files\n", ""},
		{"test .", 1, failure + "FAIL: 2 of 3 cases passed in 2 files\n", ""},
		{"test configs/waybill.yaml --run order", 1, failure + "FAIL: 2 of 3 cases passed in 2 files\n", ""},
		{"test --run draft", 0, "ok: 1 case passed in 2 files\n", ""},
		{"test flows/orders_test.yaml", 0, "ok: 2 cases passed in 1 file\n", ""},
		{"test flows/more/bad_test.yaml flows/orders_test.yaml", 1, failure + "FAIL: 2 of 3 cases passed in 2 files\n", ""},
		{"test --run nobody", 1, "", "waybill: --run nobody: no case has such a name\n"},
		{"test --run (", 2, "", "waybill: --run: error parsing regexp: missing closing ): `(`\n"},
		{"test nowhere", 2, "", "waybill: nowhere: there is no such file or directory\n"},
		{"test flows", 2, "", "waybill: flows holds no configs/*.yaml: give a project's directory, a configuration file or a test file; waybill init makes a project\n"},
	} {
		code, out, err := command(t, strings.Fields(c.args)...)
		if code != c.code || out != c.out || err != c.err {
			t.Errorf("%s\ngot  %d %q %q\nwant %d %q %q", c.args, code, out, err, c.code, c.out, c.err)
		}
	}
}

func TestTestCommandJSON(t *testing.T) {
	project(t)
	code, out, _ := command(t, "test", "--output", "json")
	var got struct {
		OK     bool
		Cases  int
		Passed int
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil || code != 0 || !got.OK || got.Cases != 2 || got.Passed != 2 {
		t.Errorf("%d %v\n%s", code, err, out)
	}
}

func TestTestCommandUpdate(t *testing.T) {
	project(t)
	write(t, "flows/orders_test.yaml", "test: orders\ncases:\n  - name: new\n    given: {no: \"2\"}\n    want: {data: {}}   # filled in\n")
	code, out, _ := command(t, "test", "--update")
	if code != 0 || out != "flows/orders_test.yaml:3:5: updated orders: new\nok: 1 case passed in 1 file\n" {
		t.Errorf("%d %s", code, out)
	}
	data, err := os.ReadFile("flows/orders_test.yaml")
	if err != nil || !strings.HasSuffix(string(data), "    want: {data: {no: \"2\"}}   # filled in\n") {
		t.Errorf("%v\n%s", err, data)
	}
}

func TestTestCommandOnBrokenProject(t *testing.T) {
	project(t)
	write(t, "flows/orders.yaml", "flow: orders\nentity: order\nfrom: {topic: orders}\nto: {topik: booked}\n")
	code, out, err := command(t, "test")
	if code != 1 || out != "" || !strings.Contains(err, "flows/orders.yaml:4:6") || !strings.Contains(err, "no test was run") {
		t.Errorf("%d %q %q", code, out, err)
	}
}

// TestWithoutProject: where nothing of the caller's would be looked at, that is said, with what to do. The tests inside the program are asked for.
func TestWithoutProject(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, args := range []string{"test", "test .", "check", "run", "test --update", "new flow orders"} {
		code, out, err := command(t, strings.Fields(args)...)
		if code != 2 || out != "" || !strings.Contains(err, "waybill init") {
			t.Errorf("%s: %d\n%s%s", args, code, out, err)
		}
	}
	code, out, err := command(t, "test", "--built-in")
	if code != 0 || !strings.HasPrefix(out, "ok: ") {
		t.Errorf("%d\n%s%s", code, out, err)
	}
	if code, _, err := command(t, "test", "--built-in", "--update"); code != 2 || !strings.Contains(err, "cannot be changed") {
		t.Errorf("%d %s", code, err)
	}
}

// hubServer is a server whose answers are a hub's.
func hubServer(h http.Handler) *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(api.HubHeader, "1")
		h.ServeHTTP(w, r)
	}))
}
