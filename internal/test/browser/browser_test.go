//go:build unix

// Package browser drives the console of a running hub in a real Chromium: every page at two widths, in both languages, in light and dark, with axe-core looking at
// each, and what people do there, with the keyboard. It is a module of its own, so that the hub does not depend on what drives browsers.
package browser

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// What the run script sets.
const (
	envHub      = "WAYBILL_BROWSER_HUB"      // the built command
	envChrome   = "WAYBILL_BROWSER_CHROME"   // the browser
	envAxe      = "WAYBILL_BROWSER_AXE"      // axe.min.js
	envResult   = "WAYBILL_BROWSER_RESULT"   // a file that gets the last line
	envProvider = "WAYBILL_BROWSER_PROVIDER" // the built OpenID provider of internal/test/provider
	envShots    = "WAYBILL_BROWSER_SHOTS"    // a folder for pictures; empty: none are made
)

// patience is for what a busy machine does; nothing is told by how long something takes.
const patience = 60 * time.Second

// tally is what the last line says.
var tally struct {
	sync.Mutex
	pages, actions, incidents, axe, failed int
}

func TestMain(m *testing.M) {
	code := m.Run()
	if code != 0 && tally.failed == 0 { // a test that could not go on has counted nothing
		tally.failed = 1
	}
	line := fmt.Sprintf("browser: pages=%d actions=%d incidents=%d axe=%d failed=%d\n", tally.pages, tally.actions, tally.incidents, tally.axe, tally.failed)
	if path := os.Getenv(envResult); path != "" {
		if err := os.WriteFile(path, []byte(line), 0o600); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

func fail(t *testing.T, format string, args ...any) {
	t.Helper()
	tally.Lock()
	tally.failed++
	tally.Unlock()
	t.Errorf(format, args...)
}

func need(t *testing.T, name string) string {
	t.Helper()
	v := os.Getenv(name)
	if v == "" {
		t.Skipf("%s is not set: run `make test-browser`", name)
	}
	return v
}

// hub starts a hub as a command and gives the address of its console.
func hub(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command(need(t, envHub), args...)
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Process.Signal(syscall.SIGTERM) // a demo settles first, unless it is told twice
		if err := cmd.Wait(); err != nil && t.Failed() {
			t.Logf("the hub: %v\n%s", err, errs.String())
		}
	})
	found := make(chan string, 1)
	go func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			for _, word := range strings.Fields(lines.Text()) {
				word = strings.TrimRight(word, ",/")
				if strings.HasPrefix(word, "http://") && strings.Contains(lines.Text(), "console") && found != nil {
					found <- word
					found = nil
				}
			}
		}
	}()
	select {
	case at := <-found:
		return at
	case <-time.After(patience):
		t.Fatalf("the hub does not say where its console is: %s", errs.String())
		return ""
	}
}

// ask asks the API of a hub.
func ask(t *testing.T, method, url, body string, into any) int {
	t.Helper()
	r, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if method == http.MethodPut {
		r.Header.Set("If-Match", "*")
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if into != nil {
		if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
			t.Fatalf("%s %s: %v", method, url, err)
		}
	}
	return resp.StatusCode
}

// until asks again until what is awaited is there.
func until(t *testing.T, what string, there func() bool) {
	t.Helper()
	end := time.Now().Add(patience)
	for !there() {
		if time.Now().After(end) {
			t.Fatalf("not within %s: %s", patience, what)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// window is a browser's window with what went wrong in it.
type window struct {
	t   *testing.T
	ctx context.Context
	axe string
	mu  sync.Mutex
	bad []string
}

// open opens a window of that width on a browser of its own. What a page logs as an error, or its policy refuses, is noted.
func open(t *testing.T, width int64, dark bool) *window {
	t.Helper()
	axe, err := os.ReadFile(need(t, envAxe))
	if err != nil {
		t.Fatal(err)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(need(t, envChrome)), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.WindowSize(int(width), 900),
		chromedp.Flag("lang", "en"), chromedp.WSURLReadTimeout(patience))
	alloc, endAlloc := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, end := chromedp.NewContext(alloc)
	t.Cleanup(func() { end(); endAlloc() })
	w := &window{t: t, ctx: ctx, axe: string(axe)}
	listening := chromedp.Listen(ctx, func(e any) {
		switch e := e.(type) {
		case *runtime.EventExceptionThrown:
			w.note("an exception: %s", (&chromedp.ExceptionError{ExceptionDetails: e.ExceptionDetails}).Error())
		case *runtime.EventConsoleAPICalled:
			if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning {
				w.note("the console says: %s", args(e.Args))
			}
		case *log.EventEntryAdded:
			// That an answer says no is logged as an error; whether it should is told apart by what the page then shows.
			if e.Entry.Level == log.EntryLevelError && e.Entry.Source != log.EntrySourceNetwork {
				w.note("%s: %s", e.Entry.Source, e.Entry.Text)
			}
		}
	})
	if listening != nil {
		t.Fatal(listening)
	}
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	w.do(chromedp.EmulateViewport(width, 900), chromedp.Func(func(ctx context.Context, to *chromedp.Target) error {
		media := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}
		if _, err := cdp.Call(ctx, to, emulation.SetEmulatedMedia, media); err != nil {
			return err
		}
		note := `document.addEventListener("securitypolicyviolation", (e) => console.error("policy: " + e.violatedDirective + " " + e.blockedURI))`
		_, err := cdp.Call(ctx, to, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: note})
		return err
	}))
	return w
}

func args(all []*runtime.RemoteObject) string {
	var b strings.Builder
	for _, a := range all {
		b.Write(a.Value)
		b.WriteString(a.Description + " ")
	}
	return b.String()
}

func (w *window) note(format string, a ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.bad = append(w.bad, fmt.Sprintf(format, a...))
}

// step is something that is done in a window.
type step = chromedp.Action[chromedp.Void]

// do does something in the window, or ends the test.
func (w *window) do(steps ...step) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		w.t.Fatal(err)
	}
}

// js evaluates an expression, or ends the test.
func js[T any](w *window, expression string) T {
	w.t.Helper()
	v, err := evaluate[T](w, expression)
	if err != nil {
		w.t.Fatalf("%.200s: %v", expression, err)
	}
	return v
}

func evaluate[T any](w *window, expression string) (T, error) {
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[T](expression, func(p *runtime.EvaluateParams) { await := true; p.AwaitPromise = &await }))
}

// leaving reports whether nothing could be told because the page was just left for another one: what is awaited is looked for there.
func leaving(err error) bool {
	for _, text := range []string{"navigated or closed", "context was destroyed", "Cannot find context"} {
		if err != nil && strings.Contains(err.Error(), text) {
			return true
		}
	}
	return false
}

// act counts something that a person does there.
func (w *window) act(steps ...step) {
	w.t.Helper()
	tally.Lock()
	tally.actions++
	tally.Unlock()
	w.do(steps...)
}

// focus puts the focus on an element once the page is there with its script, in one step: a live page may put another node in the place of one that was
// found before.
func (w *window) focus(selector string) {
	w.t.Helper()
	quoted, err := json.Marshal(selector)
	if err != nil {
		w.t.Fatal(err)
	}
	w.sees(fmt.Sprintf("document.readyState === \"complete\" && ((e) => { if (e) e.focus(); return e && e === document.activeElement; })(document.querySelector(%s))", quoted))
}

// sees waits until an expression is true. The policy of the pages forbids what chromedp polls by.
func (w *window) sees(expression string) {
	w.t.Helper()
	end := time.Now().Add(patience)
	for {
		there, err := evaluate[bool](w, "!!("+expression+")")
		if there {
			return
		}
		if err != nil && !leaving(err) {
			w.t.Fatalf("%.200s: %v", expression, err)
		}
		if time.Now().After(end) {
			w.t.Fatalf("not within %s: %s\n%.3000s", patience, expression, js[string](w, "location.href + \"\\n\" + document.body.innerText"))
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// shows waits until the page shows a text.
func (w *window) shows(text string) {
	w.t.Helper()
	quoted, err := json.Marshal(text)
	if err != nil {
		w.t.Fatal(err)
	}
	w.sees(fmt.Sprintf("document.readyState === \"complete\" && document.body.innerText.includes(%s)", quoted))
}

// looks has axe look at the page as it is, and counts it; nothing may be wider than the window.
func (w *window) looks(name string) { w.t.Helper(); w.looksAt(name, "none") }

// looksAt looks, but not at what is another's: the elements of a selector.
func (w *window) looksAt(name, others string) {
	w.t.Helper()
	tally.Lock()
	tally.pages++
	tally.Unlock()
	type violation struct {
		ID    string   `json:"id"`
		Help  string   `json:"help"`
		Nodes []string `json:"nodes"`
	}
	found := js[[]violation](w, w.axe+`; axe.run({exclude: [["`+others+`"]]}, {resultTypes: ["violations"], runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}).then((r) =>
		r.violations.map((v) => ({id: v.id, help: v.help, nodes: v.nodes.slice(0, 4).map((n) => n.html.slice(0, 160) + " " + n.failureSummary)})))`)
	for _, v := range found {
		tally.Lock()
		tally.axe += len(v.Nodes)
		tally.Unlock()
		fail(w.t, "%s: axe: %s: %s\n  %s", name, v.ID, v.Help, strings.Join(v.Nodes, "\n  "))
	}
	wide := js[string](w, `(() => { const w = document.documentElement.clientWidth; if (document.documentElement.scrollWidth <= w) return "";
		return [...document.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right > w + 1 && !e.closest(".scroll, `+others+`")).slice(0, 5).map((e) => e.outerHTML.slice(0, 120)).join("\n"); })()`)
	if wide != "" {
		fail(w.t, "%s is wider than the window: %s", name, wide)
	}
	w.mu.Lock()
	for _, b := range w.bad {
		fail(w.t, "%s: %s", name, b)
	}
	w.bad = nil
	w.mu.Unlock()
	if dir := os.Getenv(envShots); dir != "" {
		png, err := chromedp.Run(w.ctx, chromedp.FullScreenshot(100))
		if err != nil {
			w.t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o600); err != nil {
			w.t.Fatal(err)
		}
	}
}
