package cli

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
)

// TestRuleForget: the hub is asked for the object of the rule, and what it answers is told.
func TestRuleForget(t *testing.T) {
	var asked string
	hub := hubServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		asked = r.Method + " " + r.URL.Path + " " + strings.TrimSpace(string(b))
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"rule": "terms", "object": "17"}`)
	}))
	t.Cleanup(hub.Close)
	for _, tt := range []struct {
		args []string
		code int
		out  string
		ask  string
	}{
		{[]string{"rule", "forget", "terms", "17", "--note", "agreed", "--url", hub.URL}, 0, "terms remembers nothing of 17 any more\n", `POST /api/v1/rules/terms/forget {"object":"17","note":"agreed"}`},
		{[]string{"rule", "forget", "terms", "17", "--url", hub.URL, "--output", "json"}, 0, `"object": "17"`, `POST /api/v1/rules/terms/forget {"object":"17"}`},
		{[]string{"rule", "forget", "terms", "--url", hub.URL}, 2, "", ""},
	} {
		asked = ""
		var buf, errs bytes.Buffer
		code := Main(t.Context(), tt.args, &buf, &errs)
		out := buf.String()
		if code != tt.code || !strings.Contains(out, tt.out) || asked != tt.ask {
			t.Errorf("%v: exit %d, %q, asked %s", tt.args, code, out, asked)
		}
	}
}
