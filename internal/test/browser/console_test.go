//go:build unix

package browser

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// seen is what every page is looked at as: a laptop in light and a phone in dark, which has the language with the longer words. word stands on every page.
var seen = []struct {
	name       string
	width      int64
	dark       bool
	lang, word string
}{{"wide", 1280, false, "zh", "总览"}, {"phone", 400, true, "en", "Overview"}}

// TestPages looks at every page of a hub under way, at both widths and in both languages.
func TestPages(t *testing.T) {
	at := hub(t, t.TempDir(), "demo", "--chaos", "--rate", "4", "--listen", "127.0.0.1:0")
	var st struct{ Totals struct{ Parked int64 } }
	until(t, "something is parked", func() bool { ask(t, "GET", at+"/api/v1/status", "", &st); return st.Totals.Parked > 2 })
	for _, as := range seen {
		w := open(t, as.width, as.dark)
		for _, p := range pages(t, at) {
			w.do(chromedp.Navigate(at + with(p.path, "lang", as.lang)))
			w.shows(as.word)
			w.looks(p.name + "-" + as.name)
		}
		t.Run("follows the hub "+as.name, func(t *testing.T) { follows(w.in(t), at) })
		t.Run("repairs "+as.name, func(t *testing.T) { repairs(w.in(t), at) })
		t.Run("audit "+as.name, func(t *testing.T) { audited(w.in(t), at) })
		t.Run("the API "+as.name, func(t *testing.T) { describes(w.in(t), at, "api-"+as.name) })
		t.Run("by keyboard "+as.name, func(t *testing.T) { byKeyboard(w.in(t), at) })
	}
}

// in is the same window for a part of a test.
func (w *window) in(t *testing.T) *window { return &window{t: t, ctx: w.ctx, axe: w.axe} }

func with(path, name, value string) string {
	sep := "?"
	if strings.Contains(path, "?") {
		sep = "&"
	}
	return path + sep + name + "=" + value
}

type place struct{ name, path string }

// pages are all that the console has, with things that this hub has.
func pages(t *testing.T, at string) []place {
	t.Helper()
	m := parked(t, at)[0]
	return []place{{"overview", "/"}, {"overview-running", "/?state=running"}, {"nothing", "/console/nothing"},
		{"parked", "/console/parked"}, {"parked-cause", "/console/parked?cause=" + m.Cause}, {"message", fmt.Sprintf("/console/parked/%d", m.ID)}, {"message-edit", fmt.Sprintf("/console/parked/%d?edit=true", m.ID)},
		{"bulk", "/console/parked-all/discard?cause=" + m.Cause}, {"bulk-replay", "/console/parked-all/replay?rate=5%2Fs&cause=" + m.Cause}, {"codes", "/console/codes"}, {"system", "/console/systems/erp"}, {"flow", "/console/flows/orders-to-erp"}, {"flow-polled", "/console/flows/erp-customers"}, {"find-nothing", "/console/find?q=nothing"}, {"find-matches", "/console/find?q=GmbH"},
		{"find", "/console/find?q=" + url.QueryEscape(delivered(t, at))}, {"reconciliations", "/console/reconciliations"}, {"reconciliation", "/console/reconciliations/credit-erp-crm"},
		{"run", fmt.Sprintf("/console/runs/%d", ended(t, at))}, {"rule", "/console/rules/" + rule(t, at)}, {"map", "/console/map"},
		{"audit", "/console/audit"}, {"audit-chosen", "/console/audit?action=edit"}, {"audit-edit", edited(t, at, m)}, {"audit-run", "/console/audit?action=reconcile"}}
}

// edited edits a message that is parked, and gives the page of the audit that tells of it.
func edited(t *testing.T, at string, m message) string {
	t.Helper()
	var whole struct{ Data map[string]any }
	ask(t, "GET", fmt.Sprintf("%s/api/v1/parked/%d?clear=true", at, m.ID), "", &whole)
	whole.Data["seen_in_a_browser"] = true
	body, err := json.Marshal(map[string]any{"data": whole.Data, "note": "seen in a browser"})
	if err != nil {
		t.Fatal(err)
	}
	if code := ask(t, "PUT", fmt.Sprintf("%s/api/v1/parked/%d", at, m.ID), string(body), nil); code >= 300 {
		t.Fatalf("an edit: %d", code)
	}
	var list struct{ Audit []struct{ ID int64 } }
	if ask(t, "GET", at+"/api/v1/audit?action=edit&limit=1", "", &list); len(list.Audit) != 1 {
		t.Fatal("the edit is not in the audit")
	}
	return fmt.Sprintf("/console/audit/%d", list.Audit[0].ID)
}

// delivered is a key of a message that was delivered.
func delivered(t *testing.T, at string) (key string) {
	t.Helper()
	until(t, "an order is delivered", func() bool {
		var list struct{ Journal []struct{ Key string } }
		ask(t, "GET", at+"/api/v1/flows/orders-to-erp/journal?outcome=delivered&limit=1", "", &list)
		if len(list.Journal) > 0 {
			key = list.Journal[0].Key
		}
		return key != ""
	})
	return key
}

// ended is a run of a reconciliation that is over.
func ended(t *testing.T, at string) int64 {
	t.Helper()
	var run struct {
		ID    int64
		State string
	}
	if code := ask(t, "POST", at+"/api/v1/reconciliations/products-erp-crm/run", "", &run); code != 202 && code != 409 {
		t.Fatalf("a run: %d", code)
	}
	until(t, "a run is over", func() bool {
		var list struct {
			Runs []struct {
				ID    int64
				State string
			}
		}
		ask(t, "GET", at+"/api/v1/reconciliations/products-erp-crm/runs", "", &list)
		for _, r := range list.Runs {
			if run.ID = r.ID; r.State == "agreed" || r.State == "drift" {
				return true
			}
		}
		return false
	})
	return run.ID
}

func rule(t *testing.T, at string) string {
	t.Helper()
	var list struct{ Rules []struct{ Name string } }
	if ask(t, "GET", at+"/api/v1/rules", "", &list); len(list.Rules) == 0 {
		t.Fatal("the demo has no rules")
	}
	return list.Rules[0].Name
}

type message struct {
	ID          int64
	Cause, Flow string
}

// parked are messages that wait for a person, of a flow whose documents are JSON.
func parked(t *testing.T, at string) (out []message) {
	t.Helper()
	until(t, "a document is parked", func() bool {
		var list struct{ Parked []message }
		ask(t, "GET", at+"/api/v1/parked?heads=true&state=parked&flow=erp-customers", "", &list)
		out = list.Parked
		return len(out) > 0
	})
	return out
}

// describes sees the API's description in its viewer, and asks the hub there for what changes nothing. What changes something cannot be asked there.
func describes(w *window, at, name string) {
	w.t.Helper()
	w.do(chromedp.Navigate(at + "/console/api?lang=en#/status/get_flows"))
	w.sees(`document.querySelectorAll(".opblock").length > 60 && document.querySelector("#operations-status-get_flows .try-out button")`)
	js[int](w, `document.querySelector("#operations-status-get_flows .try-out button").click(); 1`)
	w.sees(`document.querySelector("#operations-status-get_flows button.execute")`)
	js[int](w, `document.querySelector("#operations-status-get_flows button.execute").click(); 1`)
	w.sees(`document.querySelector("#operations-status-get_flows .live-responses-table")?.innerText.includes("erp-orders")`)
	js[int](w, `document.querySelector("#operations-flows-post_flows_name_pause button").click(); 1`)
	w.sees(`document.querySelector("#operations-flows-post_flows_name_pause .opblock-body") && !document.querySelector("#operations-flows-post_flows_name_pause .try-out")`)
	w.looksAt(name, "#api") // Swagger UI is made by others: docs/decisions/a-description.md
}

// repairs goes from the overview to a parked message's cause, edits it with what is wrong shown as it is typed, and gives another one up, by keyboard.
func repairs(w *window, at string) {
	w.t.Helper()
	m := parked(w.t, at)[0]
	w.do(chromedp.Navigate(at + "/?lang=en"))
	w.sees(`document.querySelector("#causes a")`)
	w.focus("#causes a")
	w.act(chromedp.KeyEvent(kb.Enter))
	w.shows("All causes")
	w.do(chromedp.Navigate(fmt.Sprintf("%s/console/parked/%d", at, m.ID)))
	w.shows("What a replay would do now")
	w.focus(`a[href$="?edit=true"]`)
	w.act(chromedp.KeyEvent(kb.Enter))
	w.sees(`document.querySelector("#data")`)
	w.focus("#data")
	w.act(chromedp.KeyEvent("x"))
	w.shows("line 1: invalid character")
	w.act(chromedp.KeyEvent(kb.Backspace))
	w.sees(`!document.getElementById("check").innerText.includes("invalid character")`)
	w.do(chromedp.Navigate(fmt.Sprintf("%s/console/parked/%d", at, m.ID)))
	w.focus("#discard-note")
	w.act(chromedp.KeyEvent("seen in a browser" + kb.Enter))
	w.shows("It is discarded") // with the message, or with what became of it
	until(w.t, "the message has gone", func() bool { return ask(w.t, "GET", fmt.Sprintf("%s/api/v1/parked/%d", at, m.ID), "", nil) == 404 })
	w.mu.Lock()
	w.bad = nil // a page of what has gone is a 404
	w.mu.Unlock()
}

// follows sees that an open page shows what happens, without being loaded again, that what the reader has in focus stays there, and that what has come can be used.
func follows(w *window, at string) {
	w.t.Helper()
	w.do(chromedp.Navigate(at + "/?lang=en"))
	w.shows("Live")
	js[int](w, `window.opened = true; document.querySelector(".filter a").focus(); 1`)
	if code := ask(w.t, "POST", at+"/api/v1/flows/erp-orders/pause", "", nil); code != 200 {
		w.t.Fatalf("pause: %d", code)
	}
	w.shows("1 flow is paused (erp-orders)")
	if code := ask(w.t, "POST", at+"/api/v1/flows/erp-orders/resume", "", nil); code != 200 {
		w.t.Fatalf("resume: %d", code)
	}
	if !js[bool](w, `window.opened === true && document.activeElement === document.querySelector(".filter a")`) {
		fail(w.t, "the page was loaded again, or the focus has moved")
	}
	// A form that has come with what is new does what it says: the page has put its reader's own sign in.
	w.do(chromedp.Navigate(at + "/console/flows/erp-orders?lang=en"))
	w.shows("Live")
	js[int](w, `window.opened = true; 1`)
	if code := ask(w.t, "POST", at+"/api/v1/flows/erp-orders/pause", "", nil); code != 200 {
		w.t.Fatalf("pause: %d", code)
	}
	w.sees(`window.opened === true && document.querySelector("form[action$='/erp-orders/resume'] input[name=csrf]")?.value.length > 20`)
	w.focus("form[action$='/erp-orders/resume'] button")
	w.act(chromedp.KeyEvent(kb.Enter))
	w.sees(`location.search.includes("said=resume") && document.querySelector("form[action$='/erp-orders/pause']")`)
	tally.Lock()
	tally.actions += 3
	tally.Unlock()
}

// audited goes from who did what to one act, and sees what it has changed.
func audited(w *window, at string) {
	w.t.Helper()
	w.do(chromedp.Navigate(at + "/console/audit?lang=en&action=edit"))
	w.shows("Audit")
	w.act(chromedp.Focus(chromedp.CSS("#audit tbody th a")), chromedp.KeyEvent(kb.Enter))
	w.sees(`location.pathname.startsWith("/console/audit/") && document.querySelector("#after li.changed mark")`)
	if text := js[string](w, `[...document.querySelectorAll("#after li.changed")].map((e) => e.innerText).join(" ")`); !strings.Contains(text, "seen_in_a_browser") {
		fail(w.t, "changed: %s", text)
	}
}

// byKeyboard reaches the content and the filters with the keyboard alone, each with a focus that can be seen.
func byKeyboard(w *window, at string) {
	w.t.Helper()
	w.do(chromedp.Navigate(at + "/?lang=en"))
	w.shows("Overview")
	w.act(chromedp.KeyEvent(kb.Tab))
	focus := js[string](w, `document.activeElement.className + " " + getComputedStyle(document.activeElement).outlineStyle`)
	if focus != "skip solid" {
		fail(w.t, "the first tab leads to %q, and not to the content", focus)
	}
	w.act(chromedp.KeyEvent(kb.Enter))
	if id := js[string](w, `document.activeElement.id`); id != "main" {
		fail(w.t, "skipping leads to %q", id)
	}
	for range 30 { // to the first filter behind "all"
		w.act(chromedp.KeyEvent(kb.Tab))
		if strings.HasPrefix(js[string](w, `document.activeElement.getAttribute("href") || ""`), "/?state=") {
			break
		}
	}
	w.act(chromedp.KeyEvent(kb.Enter))
	w.sees(`location.search.startsWith("?state=") && document.readyState === "complete"`)
	w.shows("Overview")
}

const tokens = `broker: {embedded: {dir: data/broker}}
store: {sqlite: {path: data/waybill.db}}
http:
  listen: %s
  tokens: [{name: ann, value: "${env:ANN}"}]
%shooks: {listen: %s}
systems: {}
`

// TestSignIn signs in to a hub with tokens by keyboard, and out again.
func TestSignIn(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "configs"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "configs", "waybill.yaml"), fmt.Appendf(nil, tokens, "127.0.0.1:0", "", "127.0.0.1:0"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("ANN", "a-token-of-some-length")
	at := hub(t, dir, "run", "-c", "configs/waybill.yaml")
	for _, as := range seen {
		w := open(t, as.width, as.dark)
		w.do(chromedp.Navigate(at + "/?state=running"))
		w.shows("Give one of the hub's tokens")
		w.looks("sign-in-" + as.name)
		w.act(chromedp.SendKeys(chromedp.CSS("#token"), "guess"+kb.Enter))
		w.shows("This is none of the hub's tokens")
		w.looks("sign-in-wrong-" + as.name)
		w.act(chromedp.SendKeys(chromedp.CSS("#token"), "a-token-of-some-length"+kb.Enter))
		w.shows("Nothing is late")
		w.shows("Live") // the stream takes the session, too
		if where := js[string](w, `location.pathname + location.search + " " + document.cookie.includes("waybill-")`); where != "/?state=running false" {
			fail(t, "signing in leads to %s", where)
		}
		w.looks("signed-in-" + as.name)
		w.focus("header form button")
		w.act(chromedp.KeyEvent(kb.Enter))
		w.shows("Give one of the hub's tokens")
	}
}

// TestSignInUser signs in by name and password, as one who may look and no more, and sees that the pages show it; with the keyboard alone.
func TestSignInUser(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "configs"), 0o700); err != nil {
		t.Fatal(err)
	}
	users := "  users: [{name: vic, role: viewer, password: \"${env:VIC}\"}, {name: olga, role: operator, password: \"${env:OLGA}\"}]\n"
	if err := os.WriteFile(filepath.Join(dir, "configs", "waybill.yaml"), fmt.Appendf(nil, tokens, "127.0.0.1:0", users, "127.0.0.1:0"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("ANN", "a-token-of-some-length")
	t.Setenv("VIC", hashed(t, "vic has a secret"))
	t.Setenv("OLGA", hashed(t, "olga has another"))
	at := hub(t, dir, "run", "-c", "configs/waybill.yaml")
	for _, as := range seen {
		w := open(t, as.width, as.dark)
		w.do(chromedp.Navigate(at + "/console/parked?lang=" + as.lang))
		w.sees(`document.activeElement.id === "user"`)
		w.looks("sign-in-user-" + as.name)
		w.act(chromedp.KeyEvent("vic" + kb.Tab + "wrong" + kb.Enter))
		w.sees(`document.getElementById("wrong") && document.getElementById("user").value === "vic" && document.activeElement.id === "password"`)
		w.looks("sign-in-user-wrong-" + as.name)
		w.act(chromedp.KeyEvent("vic has a secret" + kb.Enter))
		w.sees(`location.pathname === "/console/parked" && document.querySelector(".who")`)
		if who := js[string](w, `document.querySelector(".who").innerText`); who != map[string]string{"en": "vic viewer", "zh": "vic 查看者"}[as.lang] {
			fail(t, "the head says %q", who)
		}
		w.looks("signed-in-user-" + as.name)
		w.do(chromedp.Navigate(at + "/console/parked-all/discard"))
		w.sees(`document.querySelector("h1") && document.body.innerText.includes("needs the role operator")`)
		w.looks("forbidden-" + as.name)
		w.act(chromedp.Focus(chromedp.CSS("header form button")), chromedp.KeyEvent(kb.Enter))
		w.sees(`document.getElementById("user")`)
		w.act(chromedp.Focus(chromedp.CSS("summary")), chromedp.KeyEvent(kb.Enter), chromedp.SendKeys(chromedp.CSS("#token"), "a-token-of-some-length"+kb.Enter))
		w.sees(`document.querySelector(".who") && document.querySelector(".who").innerText.startsWith("ann")`)
		w.act(chromedp.Focus(chromedp.CSS("header form button")), chromedp.KeyEvent(kb.Enter))
		w.sees(`document.getElementById("user")`)
	}
}

// hashed is what waybill password makes of a password.
func hashed(t *testing.T, password string) string {
	t.Helper()
	cmd := exec.Command(need(t, envHub), "password")
	cmd.Stdin = strings.NewReader(password + "\n")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// TestSignInElsewhere signs in at a real OpenID provider, zitadel/oidc's, through its own page, as one who may repair and as one in no group.
func TestSignInElsewhere(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "configs"), 0o700); err != nil {
		t.Fatal(err)
	}
	own := free(t)
	issuer := provider(t, "http://"+own+"/console/oidc/callback")
	more := "  origin: http://" + own + "\n  oidc:\n    issuer: " + issuer + "\n    client: {id: waybill, secret: \"${env:OIDC_SECRET}\"}\n    roles: {operator: [shift], admin: [hub-admins]}\n"
	if err := os.WriteFile(filepath.Join(dir, "configs", "waybill.yaml"), fmt.Appendf(nil, tokens, own, more, "127.0.0.1:0"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("ANN", "a-token-of-some-length")
	t.Setenv("OIDC_SECRET", "a secret of the tests")
	at := hub(t, dir, "run", "-c", "configs/waybill.yaml")
	for _, as := range seen {
		w := open(t, as.width, as.dark)
		w.do(chromedp.Navigate(at + "/console/audit?action=sign-in&lang=" + as.lang))
		w.sees(`document.querySelector("a.button.main")`)
		w.looks("sign-in-oidc-" + as.name)
		enter := func(name string) {
			w.act(chromedp.Focus(chromedp.CSS("a.button.main")), chromedp.KeyEvent(kb.Enter))
			w.sees(`location.origin + "/" === ` + fmt.Sprintf("%q", issuer) + ` && document.querySelector("input[name=username]")`)
			w.act(chromedp.SendKeys(chromedp.CSS("input[name=username]"), name), chromedp.SendKeys(chromedp.CSS("input[name=password]"), "verysecure"+kb.Enter))
		}
		enter("nora")
		w.sees(`document.querySelector("[role=alert]") && document.body.innerText.includes("nora is in no group that has a role here")`)
		w.looks("sign-in-oidc-no-role-" + as.name)
		enter("olga")
		w.sees(`location.pathname === "/console/audit" && location.search.startsWith("?action=sign-in") && document.querySelector(".who")`)
		if who := js[string](w, `document.querySelector(".who").innerText`); !strings.HasPrefix(who, "olga (oidc)") {
			fail(t, "the head says %q", who)
		}
		w.sees(`document.getElementById("audit").textContent.includes("by the provider, as operator")`)
		w.looks("signed-in-oidc-" + as.name)
		w.act(chromedp.Focus(chromedp.CSS("header form button")), chromedp.KeyEvent(kb.Enter))
		w.sees(`document.querySelector("a.button.main")`)
	}
}

// free is an address that nothing listens on.
func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// provider starts the OpenID provider and gives its issuer.
func provider(t *testing.T, back string) string {
	t.Helper()
	cmd := exec.Command(need(t, envProvider), "-redirect", back)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	})
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		t.Fatal("the provider does not say where it is")
	}
	return strings.TrimPrefix(lines.Text(), "issuer ")
}
