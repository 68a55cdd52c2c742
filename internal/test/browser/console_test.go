//go:build unix

package browser

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// seen is what every page is looked at as: a laptop and a phone, light and dark.
var seen = []struct {
	name  string
	width int64
	dark  bool
}{{"wide", 1280, false}, {"phone", 400, true}}

// languages are those of the console, with the word by which a page is known to be in it.
var languages = map[string]string{"en": "Overview", "zh": "总览"}

// TestPages looks at every page of a hub under way, at both widths and in both languages.
func TestPages(t *testing.T) {
	at := hub(t, t.TempDir(), "demo", "--chaos", "--rate", "4", "--listen", freePort(t))
	var st struct{ Totals struct{ Parked int64 } }
	until(t, "something is parked", func() bool { ask(t, "GET", at+"/api/v1/status", "", &st); return st.Totals.Parked > 2 })
	for _, as := range seen {
		w := open(t, as.width, as.dark)
		for lang, word := range languages {
			for _, p := range pages(t, at) {
				w.do(chromedp.Navigate(at + with(p.path, "lang", lang)))
				w.shows(word)
				w.looks(fmt.Sprintf("%s-%s-%s", p.name, as.name, lang))
			}
		}
		t.Run("follows the hub "+as.name, func(t *testing.T) { follows(w.in(t), at) })
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
	return []place{{"overview", "/"}, {"overview-running", "/?state=running"}, {"nothing", "/console/nothing"}}
}

// follows sees that an open page shows what happens, without being loaded again, and that what the reader has in focus stays there.
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
	tally.Lock()
	tally.actions += 2
	tally.Unlock()
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
hooks: {listen: %s}
systems: {}
`

// TestSignIn signs in to a hub with tokens by keyboard, and out again.
func TestSignIn(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "configs"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "configs", "waybill.yaml"), fmt.Appendf(nil, tokens, freePort(t), freePort(t)), 0o600); err != nil {
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
		w.act(chromedp.Focus(chromedp.CSS("header form button")), chromedp.KeyEvent(kb.Enter))
		w.shows("Give one of the hub's tokens")
	}
}
