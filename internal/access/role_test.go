package access

import (
	"strings"
	"testing"
)

// A role may what those before it may; a scope takes from that, and adds nothing.
func TestMay(t *testing.T) {
	for _, tt := range []struct {
		has  Visitor
		need Need
		no   string
	}{
		{Visitor{Role: Operator}, Need{Viewer, Status}, ""},
		{Visitor{Role: Operator}, Need{Operator, Messages}, ""},
		{Visitor{Name: "olga", Role: Operator}, Need{Engineer, Hub}, "needs the role engineer, and olga has the role operator"},
		{Visitor{Role: Admin, Scopes: []Scope{Metrics}}, Need{Viewer, Metrics}, ""},
		{Visitor{Role: Admin, Scopes: []Scope{Metrics}}, Need{Viewer, ""}, ""},
		{Visitor{Name: "prom", Role: Admin, Scopes: []Scope{Metrics, Status}}, Need{Viewer, Messages}, "needs the scope messages, and the token prom is for metrics, status alone"},
		{Visitor{Role: Viewer, Scopes: []Scope{Messages}}, Need{Operator, Messages}, "needs the role operator"},
		{Visitor{}, Need{Viewer, ""}, "needs the role viewer, and this has the role nobody"},
		{Visitor{Role: Admin}, Need{}, "needs the role nobody"}, // what says nothing of who may is nobody's
	} {
		w := guard(Rules{})
		no := w.Allow(&tt.has, tt.need)
		if (no == nil) != (tt.no == "") || no != nil && (no.Status != 403 || no.Why != WrongRole || !strings.Contains(no.Detail, tt.no) || w.why[WrongRole] != 1) {
			t.Errorf("%+v for %+v: %+v", tt.has, tt.need, no)
		}
	}
	for _, r := range Roles {
		if got, ok := ParseRole(r.String()); !ok || got != r {
			t.Errorf("%s is read as %s", r, got)
		}
	}
	if r, ok := ParseRole("nobody"); ok || r != Nobody {
		t.Error("nobody is a role")
	}
}

// What a session may is what its token may now: a changed role holds for those who have signed in before.
func TestSessionFollowsItsToken(t *testing.T) {
	w := guard(Rules{Tokens: []Token{{Name: "ann", Value: right, Role: Engineer}}})
	c := signIn(t, w, right)
	if v, no := w.Enter(with(c)); no != nil || v.Role != Engineer || v.Scopes != nil {
		t.Errorf("%+v %+v", v, no)
	}
	w.Set(Rules{Tokens: []Token{{Name: "ann", Value: right, Role: Viewer, Scopes: []Scope{Status}}}})
	if v, no := w.Enter(with(c)); no != nil || v.Role != Viewer || len(v.Scopes) != 1 {
		t.Errorf("%+v %+v", v, no)
	}
}
