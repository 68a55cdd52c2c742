package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/access"
)

// The audit comes in pages, chosen by who, what and about what; those who may not see personal keys see none in what acts were about.
func TestAuditPages(t *testing.T) {
	s := server(&stub{}, Token{Name: "vic", Value: "s3cret", Role: access.Viewer}, Token{Name: "olga", Value: "0ther", Role: access.Operator})
	get := func(token, path string) (page Audits) {
		w := call(s, "GET", path, "", func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) })
		if w.Code != 200 {
			t.Fatalf("%s: %d %s", path, w.Code, w.Body)
		}
		if err := json.Unmarshal(w.Body.Bytes(), &page); err != nil {
			t.Fatal(err)
		}
		return page
	}
	ids := ""
	for next := int64(0); ; {
		page := get("0ther", fmt.Sprintf("/api/v1/audit?limit=2&before=%d", next))
		for _, a := range page.Audit {
			ids += fmt.Sprint(a.ID, " ")
		}
		if next = page.Next; next == 0 {
			break
		}
	}
	if ids != "9 8 7 6 5 4 " {
		t.Errorf("pages: %s", ids)
	}
	if page := get("0ther", "/api/v1/audit?who=bob&action=link&object="+url.QueryEscape("cross-reference")); len(page.Audit) != 1 || page.Audit[0].ID != 6 || !strings.Contains(page.Audit[0].After, "ann@") {
		t.Errorf("%+v", page)
	}
	page := get("s3cret", "/api/v1/audit")
	text, err := json.Marshal(page)
	if err != nil || strings.Contains(string(text), "ann@") || len(page.Audit) != 6 || page.Audit[2].Before != "running" {
		t.Errorf("%s", text)
	}
	for path, want := range map[string]string{"/api/v1/audit/1": `"before_text": "no JSON"`, "/api/v1/audit/2": `"action": "pause"`, "/api/v1/audit/3": "not", "/api/v1/audit/x": "must be a number", "/api/v1/audit?whom=x": "there is no parameter"} {
		if w := call(s, "GET", path, "", func(r *http.Request) { r.Header.Set("Authorization", "Bearer 0ther") }); !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}

// Who signs in is in the audit, and is let in also where the audit takes nothing; who does not is not in it.
func TestSignInIsNoted(t *testing.T) {
	hub := &stub{}
	s := server(hub, Token{Name: "ann", Value: "s3cret", Role: access.Operator})
	r, err := http.NewRequestWithContext(t.Context(), "POST", "http://127.0.0.1:8080/console/sign-in", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.RemoteAddr = "127.0.0.1:1"
	if _, no := s.SignIn(r, "guess"); no == nil || len(hub.acts) > 0 {
		t.Errorf("%+v %v", no, hub.acts)
	}
	if c, no := s.SignIn(r, "s3cret"); no != nil || c == nil || strings.Join(hub.acts, "") != "sign-in by ann: by token, as operator" {
		t.Errorf("%+v %v", no, hub.acts)
	}
	hub.err = fmt.Errorf("the disk is full")
	if c, no := s.SignIn(r, "s3cret"); no != nil || c == nil {
		t.Errorf("%+v", no)
	}
}
