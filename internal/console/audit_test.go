package console

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/access"
	"github.com/waybill-hub/waybill/internal/api"
)

// Who did what stands on a page with what can be chosen in its address, and goes on behind itself; one act shows how it was and how it is, and what differs.
func TestAudit(t *testing.T) {
	hub := busy()
	hub.answers["GET /api/v1/audit"] = api.Audits{Next: 7, Audit: []api.Audit{
		{ID: 9, Time: began, Who: "ann", Action: "edit", Object: "message/17", Detail: "typo <b>"}, {ID: 8, Time: began, Who: "bob (oidc)", Action: "pause", Object: "flow/calm", Before: "running", After: "paused"},
		{ID: 7, Time: began, Who: "ann", Action: "strange act", Object: "plan/abc", After: "plan abc\nflows added: x"}}}
	hub.answers["GET /api/v1/audit/9"] = api.AuditEntry{Audit: api.Audit{ID: 9, Time: began, Who: "ann", Action: "edit", Object: "message/17"}, Flow: "calm", Event: "e-1",
		BeforeDoc: json.RawMessage(`{"no":"1","qty":2,"name":"***"}`), AfterDoc: json.RawMessage(`{"no":"1","qty":3,"name":"***"}`)}
	hub.answers["GET /api/v1/audit/8"] = api.AuditEntry{Audit: api.Audit{ID: 8, Time: began, Who: "bob", Action: "pause", Object: "flow/calm", Before: "running", After: "paused"}}
	hub.answers["GET /api/v1/audit/6"] = api.AuditEntry{Audit: api.Audit{ID: 6, Time: began, Who: "bob", Action: "edit", Object: "message/6"}, BeforeText: "a,b\nc", AfterText: "a,b\nd"}
	c := open(hub)
	has(t, visit(c, "GET", "/console/audit?who=ann&action=edit&object=message/17&before=10", nil, nil), 200, `<a href="/console/audit/9">edit</a>`, "typo &lt;b&gt;", `href="/console/parked/17"`, `href="/console/flows/calm"`,
		"running → paused", "bob (oidc)", "strange act", "– → plan abc …", `<option value="edit" selected>`, `href="/console/audit?action=edit&amp;before=7&amp;object=message%2F17&amp;who=ann"`, `aria-current="page">Audit`)
	if asked := hub.asked[len(hub.asked)-1]; asked != "GET /api/v1/audit?action=edit&before=10&limit=50&object=message%2F17&who=ann" {
		t.Errorf("asked for %s", asked)
	}
	has(t, visit(c, "GET", "/console/audit/9", nil, nil), 200, "edit of message/17", `<mark><code>  &#34;qty&#34;: 2,</code></mark>`, `<mark><code>  &#34;qty&#34;: 3,</code></mark>`, "∌<mark><code>  &#34;no&#34;", "e-1")
	has(t, visit(c, "GET", "/console/audit/8?lang=zh", nil, nil), 200, "暂停：flow/calm", ">running</pre>", ">paused</pre>")
	has(t, visit(c, "GET", "/console/audit/6", nil, nil), 200, `<mark><code>c</code></mark>`, `<mark><code>d</code></mark>`, "∌<mark><code>a,b")
	has(t, visit(c, "GET", "/console/audit/5", nil, nil), 404, "Nothing is here")
	narrow := func(r *http.Request) {
		*r = *r.WithContext(access.With(r.Context(), access.Visitor{Name: "aud", Role: access.Viewer, Scopes: []access.Scope{access.Audit}, CSRF: "own"}))
	}
	has(t, visit(c, "GET", "/console/audit", nil, narrow), 200, "message/17", "∌/console/parked/17", "∌/console/flows/calm")
	hub.answers["GET /api/v1/audit"] = api.Audits{}
	has(t, visit(c, "GET", "/console/audit", nil, nil), 200, "Nothing that fits was done.")
}

// What two documents have in common is a longest part of both, also where much stands between; very long ones are told apart by their ends.
func TestCommon(t *testing.T) {
	of := func(text string) (out []docLine) {
		for line := range strings.SplitSeq(text, " ") {
			out = append(out, docLine{Text: line})
		}
		return out
	}
	for _, tt := range []struct{ a, b, want string }{
		{"a b c", "a x c", "a [b] c | a [x] c"}, {"a b c d", "a c d", "a [b] c d | a c d"}, {"a b", "b a", "[a] b | b [a]"}, {"a", "b", "[a] | [b]"}, {"a b c", "a b c", "a b c | a b c"}, {"a, b", "a b", "a, b | a b"},
		{"k v w x z", "k w v x z", "k [v] w x z | k w [v] x z"},
	} {
		a, b := of(tt.a), of(tt.b)
		markChanged(a, b)
		if got := shown(a) + " | " + shown(b); got != tt.want {
			t.Errorf("%s and %s: %s, want %s", tt.a, tt.b, got, tt.want)
		}
	}
	long := "a " + strings.TrimSpace(strings.Repeat("x ", mostCompared+1))
	a, b := of(long+" z"), of(strings.ReplaceAll(long, "x", "y")+" z")
	if markChanged(a, b); a[0].Changed || a[len(a)-1].Changed || !a[1].Changed || !b[1].Changed {
		t.Error("very long documents")
	}
	// The work is that of reading them: with the square of it this would not end.
	a, b = make([]docLine, 2_000_000), make([]docLine, 2_000_000)
	b[7].Text = "y"
	if markChanged(a, b); a[0].Changed || !a[7].Changed || !b[7].Changed || a[len(a)-1].Changed {
		t.Error("documents of a great many lines")
	}
}

func shown(all []docLine) string {
	var parts []string
	for _, l := range all {
		if l.Changed {
			l.Text = "[" + l.Text + "]"
		}
		parts = append(parts, l.Text)
	}
	return strings.Join(parts, " ")
}
