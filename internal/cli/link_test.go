package cli

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/api"
)

func TestReadLinks(t *testing.T) {
	for _, c := range []struct{ name, file, want string }{
		{"two systems", "entity,crm,erp\ncustomer,1,5\n", "2 customer crm=1 erp=5"},
		{"an empty cell", "entity,crm,erp,wms\ncustomer,1,,W1\ncustomer,2,6,W2", "2 customer crm=1 wms=W1; 3 customer crm=2 erp=6 wms=W2"},
		{"a byte order mark, CRLF and semicolons", "\ufeffEntity;crm;erp\r\ncustomer;1;5\r\n", "2 customer crm=1 erp=5"},
		{"quotes and zeros", "entity,crm,erp\ncustomer,\"a,b\",007\n", "2 customer crm=a,b erp=007"},
		{"lines in a cell", "entity,crm,erp\ncustomer,\"a\nb\",7\ncustomer,1,2\n", "2 customer crm=a\nb erp=7; 4 customer crm=1 erp=2"},
		{"one id", "entity,crm,erp\ncustomer,1,\n", "! 2: fewer than two ids"},
		{"no entity", "entity,crm,erp\n,1,5\ncustomer,1\n", "! 2: the entity is missing; 3: 2 columns, and the header has 3"},
		{"one system", "entity,crm\ncustomer,1\n", "! 1: the header must be entity"},
		{"a system twice", "entity,crm,crm\ncustomer,1,2\n", "! 1: the header must be entity"},
		{"no header", "customer,1,2\n", "! 1: the header must be entity"},
		{"nothing", "", "! 1: the file holds no row"},
		{"the header alone", "entity,crm,erp\n", "! 1: the file holds no row"},
		{"a quote that does not end", "entity,crm,erp\ncustomer,\"1,5\n", "! 2: "},
	} {
		rows, problems := readLinks([]byte(c.file))
		var got []string
		for _, r := range rows {
			text := num(int64(r.Line)) + " " + r.Entity
			for _, id := range r.IDs {
				text += " " + id.System + "=" + id.ID
			}
			got = append(got, text)
		}
		text := strings.Join(got, "; ")
		if len(problems) > 0 {
			text = "! " + strings.Join(problems, "; ")
		}
		if text != c.want && !(strings.HasPrefix(c.want, "!") && strings.HasPrefix(text, c.want)) {
			t.Errorf("%s: %q, want %q", c.name, text, c.want)
		}
	}
}

func FuzzReadLinks(f *testing.F) {
	f.Add([]byte("entity,crm,erp\ncustomer,1,5\n"))
	f.Add([]byte("\ufeffentity;crm;erp\r\ncustomer;\"1\";5"))
	f.Fuzz(func(t *testing.T, data []byte) {
		rows, problems := readLinks(data)
		if len(rows)+len(problems) == 0 {
			t.Error("neither a row nor a problem")
		}
		for _, r := range rows {
			if r.Entity == "" || len(r.IDs) < 2 || r.Line < 2 {
				t.Errorf("%+v", r)
			}
		}
	})
}

func TestLink(t *testing.T) {
	var asked []api.LinksRequest
	hub := hubServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var q api.LinksRequest
		if r.URL.Path != "/api/v1/links" || json.NewDecoder(r.Body).Decode(&q) != nil {
			t.Errorf("%s %s", r.Method, r.URL)
		}
		asked = append(asked, q)
		a := api.LinksAnswer{DryRun: q.DryRun}
		for i, l := range q.Links {
			if l.IDs[0].System == "nowhere" {
				w.WriteHeader(http.StatusUnprocessableEntity)
				_ = json.NewEncoder(w).Encode(api.Problem{Title: "no", Status: 422, Detail: "nothing", Places: []api.Place{{Path: "links[" + num(int64(i)) + "].ids[0].system", Message: "unknown system"}}})
				return
			}
			one := api.Linked{Status: "linked", Hub: "h"}
			if l.IDs[0].ID == "taken" {
				one = api.Linked{Status: "refused", Reason: "customer erp 5 has it"}
				a.Refused++
			} else {
				a.Linked++
			}
			a.Links = append(a.Links, one)
		}
		_ = json.NewEncoder(w).Encode(a)
	}))
	defer hub.Close()
	many := "entity,crm,erp\n" + strings.Repeat("customer,1,5\n", 2*linkSlice+1)
	for _, c := range []struct {
		name, file string
		args       []string
		url        string
		code       int
		out, err   string
		requests   int
	}{
		{name: "all linked", file: "entity,crm,erp\ncustomer,1,5\n", out: "1 linked, 0 known already, 0 refused", requests: 1},
		{name: "one refused", file: "entity,crm,erp\ncustomer,1,5\ncustomer,taken,6\n", code: 1, out: "crm taken, erp 6  refused  customer erp 5 has it", requests: 1},
		{name: "in slices", file: many, out: "1001 linked", requests: 3},
		{name: "a dry run in one", file: many, args: []string{"--dry-run"}, out: "dry run, nothing is stored: 1001 linked", requests: 1},
		{name: "as JSON", file: "entity,crm,erp\ncustomer,1,5\n", args: []string{"--output", "json"}, out: `"line": 2`, requests: 1},
		{name: "an unknown system", file: "entity,nowhere,erp\n\ncustomer,1,5\n", code: 1, err: "line 3: unknown system", requests: 1},
		{name: "a bad file", file: "entity,crm,erp\ncustomer,1,\n", code: 1, err: ":2: fewer than two ids"},
		{name: "no hub", file: "entity,crm,erp\ncustomer,1,5\n", url: "http://127.0.0.1:1", code: 3, err: "no hub answers"},
	} {
		t.Run(c.name, func(t *testing.T) {
			asked = nil
			file := filepath.Join(t.TempDir(), "known.csv")
			if err := os.WriteFile(file, []byte(c.file), 0o600); err != nil {
				t.Fatal(err)
			}
			url := c.url
			if url == "" {
				url = hub.URL
			}
			code, out, err := command(t, append([]string{"link", file, "--url", url}, c.args...)...)
			if code != c.code || !strings.Contains(out, c.out) || !strings.Contains(err, c.err) || len(asked) != c.requests {
				t.Errorf("exit %d, %d requests\n%s%s", code, len(asked), out, err)
			}
		})
	}
}
