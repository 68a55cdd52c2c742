package console

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/access"
	"github.com/waybill-hub/waybill/internal/api"
)

// unknown is a hub with messages that a code has stopped.
func unknown() *desk {
	hub := stopped()
	hub.answers["GET /api/v1/parked/causes"] = map[string]any{"causes": []api.Cause{{Cause: "c0de", Text: "mapping value:units/shop/<crate>", State: "parked", Count: 2, Example: api.Queued{Code: "value:units/shop/<crate>"}}}}
	hub.answers["GET /api/v1/parked/codes"] = map[string]any{"codes": []api.UnknownCode{
		{Map: "units", System: "shop", Direction: "value", Code: "<crate>", Cause: "c0de", Count: 2, Behind: 3, File: "mappings/values/units.yaml", Choices: []string{"each", "pallet"}},
		{Map: "units", System: "erp", Direction: "code", Code: "box", Cause: "beef", Count: 1, File: "mappings/values/units.yaml"},
		{Map: "terms", System: "erp", Direction: "value", Code: "Z", Cause: "feed", Known: true}, {Map: "gone", System: "erp", Direction: "value", Code: "Y"}}}
	return hub
}

func TestCodes(t *testing.T) {
	hub := unknown()
	has(t, visit(open(hub), "GET", "/console/codes", nil, nil), 200, "The map units does not know the code &lt;crate&gt; of shop.", "The map units has no code for box in erp.", "2 messages", "3 behind", `<option value="pallet">`, `name="code" value="&lt;crate&gt;"`,
		"The map knows it by now.", "in none of the hub&#39;s files")
	has(t, visit(open(hub), "GET", "/console/parked?cause=c0de", nil, nil), 200, "The map units does not know the code", `href="/console/codes"`, "∌no code for box")
	has(t, visit(open(hub), "GET", "/console/parked", nil, nil), 200, `href="/console/codes"`, "∌The map units does not know")
	has(t, visit(open(stopped()), "GET", "/console/parked", nil, nil), 200, `∌href="/console/codes"`)

	form := url.Values{"csrf": {"own"}, "map": {"units"}, "system": {"shop"}, "direction": {"value"}, "code": {"<crate>"}, "to": {"pallet"}, "cause": {"c0de"}, "note": {"why"}}
	hub.answers["POST /api/v1/parked/codes"] = &api.Problem{Status: 409, Detail: "add the line yourself"}
	has(t, visit(open(hub), "POST", "/console/codes", form, nil), 409, "add the line yourself", `value="pallet" required autocomplete="off" aria-invalid="true"`, `value="why"`)
	hub.answers["POST /api/v1/parked/codes"] = api.AddedCode{File: "f", Line: 3}
	hub.answers["POST /api/v1/parked/replay"] = api.BulkAnswer{Done: true, Total: 2}
	hub.asked = nil
	w := visit(open(hub), "POST", "/console/codes", form, nil)
	want := []string{`POST /api/v1/parked/codes  {"map":"units","system":"shop","direction":"value","code":"\u003ccrate\u003e","to":"pallet","note":"why"}`, `POST /api/v1/parked/replay  {"filter":{"cause":"c0de"},"note":"why"}`}
	if w.Code != 303 || w.Header().Get("Location") != "/console/codes?said=code" || !slices.Equal(hub.asked, want) {
		t.Errorf("%d %v %q", w.Code, w.Header(), hub.asked)
	}
	hub.asked, hub.answers["POST /api/v1/parked/replay"] = nil, api.BulkAnswer{Continue: "1.2.3.0"}
	form.Set("known", "true")
	w = visit(open(hub), "POST", "/console/codes", form, nil)
	if w.Code != 303 || w.Header().Get("Location") != "/console/parked-all/replay?cause=c0de&said=code" || len(hub.asked) != bulkSteps || strings.Contains(hub.asked[0], "/codes") {
		t.Errorf("%d %v %q", w.Code, w.Header(), hub.asked)
	}
}

// The page of a system shows who waits for it, and the flows can be paused there.
func TestSystem(t *testing.T) {
	hub := busy()
	has(t, visit(open(hub), "GET", "/console/systems/erp", nil, nil), 200, "<title>erp · Waybill</title>", "down since noon", `href="/console/flows/slow%3Cb%3E"`, `action="/console/flows/slow%3cb%3e/pause"`, "∌calm</a>", "invalid erp/422: &lt;no&gt;")
	if !slices.Contains(hub.asked, "GET /api/v1/parked/causes?system=erp") {
		t.Errorf("%q", hub.asked)
	}
	has(t, visit(open(hub), "GET", "/console/systems/none", nil, nil), 404, "Nothing is here")

	// It shows no button that would be refused, and is there for those who may not see messages.
	hub = busy()
	as := func(v access.Visitor) func(*http.Request) {
		return func(r *http.Request) { *r = *r.WithContext(access.With(r.Context(), v)) }
	}
	has(t, visit(open(hub), "GET", "/console/systems/erp", nil, as(access.Visitor{Role: access.Viewer})), 200, "down since noon", "invalid erp/422", "∌/pause", "∌<form method=\"post\"")
	hub.answers["GET /api/v1/parked/causes"] = &api.Problem{Status: 403}
	has(t, visit(open(hub), "GET", "/console/systems/erp", nil, as(access.Visitor{Role: access.Admin, Scopes: []access.Scope{access.Status}})), 200, "down since noon", "∌id=\"causes\"", "∌/console/parked")
}

func TestReload(t *testing.T) {
	hub := busy()
	hub.answers["POST /api/v1/reload"] = &api.Problem{Status: 422, Detail: "the files have problems", Problems: []api.FileProblem{{File: "flows/a.yaml", Line: 3, Column: 5, Message: "unknown <key>", Hint: "key"}}}
	form := url.Values{"csrf": {"own"}, "to": {"/console/flows/calm?outcome=parked"}}
	has(t, visit(open(hub), "POST", "/console/reload", form, nil), 422, "the files have problems", "<code>flows/a.yaml:3:5</code> unknown &lt;key&gt; (key)")
	hub.answers["POST /api/v1/reload"] = api.Reload{}
	for to, want := range map[string]string{"/console/flows/calm?outcome=parked": "/console/flows/calm?outcome=parked&said=reload", "https://evil.example/": "/?said=reload", "/%zz": "/?said=reload"} {
		form.Set("to", to)
		if w := visit(open(hub), "POST", "/console/reload", form, nil); w.Code != 303 || w.Header().Get("Location") != want {
			t.Errorf("%s: %d %v", to, w.Code, w.Header())
		}
	}
}

// What a message waits for is fetched from the system whose id of it is known; what has gone on leads to what became of it.
func TestFetch(t *testing.T) {
	hub := stopped()
	waits := hub.answers["GET /api/v1/parked/17"].(api.Queued)
	waits.State, waits.Missing = "waiting", &api.Missing{Entity: "customer", System: "crm", Local: "C-7"}
	hub.answers["GET /api/v1/parked/17"] = waits
	has(t, visit(open(hub), "GET", "/console/parked/17", nil, nil), 200, `action="/console/parked/17/fetch"`, `<a href="/console/find?q=C-7"><code>C-7</code></a>`)
	for hubID, want := range map[string]string{"h-7": `<a href="/console/find?q=h-7"><code>h-7</code></a>`, "": "<code>***</code> →"} { // an id that its reader may not see leads nowhere
		waits.Missing = &api.Missing{Entity: "customer", System: "crm", Local: masked, Hub: hubID}
		hub.answers["GET /api/v1/parked/17"] = waits
		has(t, visit(open(hub), "GET", "/console/parked/17", nil, nil), 200, want, "∌q=%2A", "∌q=***")
	}
	waits.Missing = &api.Missing{Entity: "customer", System: "crm", Local: "C-7"}
	hub.answers["POST /api/v1/resend"] = api.Resent{}
	for _, tt := range []struct {
		missing *api.Missing
		asks    string
	}{
		{waits.Missing, `POST /api/v1/resend  {"entity":"customer","key":"C-7","system":"crm","note":"message 17 waits for it"}`},
		{&api.Missing{Entity: "customer", System: "erp", Hub: "h-7"}, `POST /api/v1/resend  {"entity":"customer","key":"h-7","note":"message 17 waits for it"}`},
		{nil, "GET /api/v1/parked/17"},
	} {
		waits.Missing = tt.missing
		hub.answers["GET /api/v1/parked/17"] = waits
		w := visit(open(hub), "POST", "/console/parked/17/fetch", url.Values{"csrf": {"own"}, "key": {"SO-1"}}, nil)
		if last := hub.asked[len(hub.asked)-1]; w.Code != 303 || last != tt.asks {
			t.Errorf("%d %v %s", w.Code, w.Header(), last)
		}
	}
	delete(hub.answers, "GET /api/v1/parked/17")
	w := visit(open(hub), "GET", "/console/parked/17?key=SO-1&said=fetch", nil, nil)
	if w.Code != 303 || w.Header().Get("Location") != "/console/find?q=SO-1&said=fetch" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	has(t, visit(open(hub), "GET", "/console/parked/17?key=SO-1", nil, nil), 404, "Nothing is here")
}

// A replay at a rate is estimated first, goes on by itself, and is seen and stopped where messages are listed.
func TestRate(t *testing.T) {
	hub := stopped()
	hub.answers["POST /api/v1/parked/replay"] = api.BulkAnswer{DryRun: true, Matched: 600, Seconds: 120}
	has(t, visit(open(hub), "GET", "/console/parked-all/replay?flow=calm&rate=5%2Fs&note=why", nil, nil), 200, `name="rate" value="5/s"`, "At that rate it takes 2 min.", `value="why"`)
	if last := hub.asked[len(hub.asked)-1]; !strings.Contains(last, `"rate":"5/s"`) {
		t.Error(last)
	}
	hub.answers["POST /api/v1/parked/discard"] = api.BulkAnswer{DryRun: true, Matched: 600}
	has(t, visit(open(hub), "GET", "/console/parked-all/discard?flow=calm", nil, nil), 200, `∌name="rate"`, "∌Estimate")
	form := url.Values{"csrf": {"own"}, "flow": {"calm"}, "rate": {"5/s"}, "note": {"why"}, "do": {"estimate"}}
	w := visit(open(hub), "POST", "/console/parked-all/replay", form, nil)
	if w.Code != 303 || w.Header().Get("Location") != "/console/parked-all/replay?flow=calm&note=why&rate=5%2Fs" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	form.Del("do")
	hub.answers["POST /api/v1/parked/replay"], hub.asked = api.BulkAnswer{Act: 9, Matched: 600, Seconds: 120}, nil
	w = visit(open(hub), "POST", "/console/parked-all/replay", form, nil)
	if want := []string{`POST /api/v1/parked/replay  {"filter":{"flow":"calm"},"note":"why","rate":"5/s"}`}; w.Code != 303 || w.Header().Get("Location") != "/console/parked?flow=calm&said=pace" || !slices.Equal(hub.asked, want) {
		t.Errorf("%d %v %q", w.Code, w.Header(), hub.asked)
	}
	hub.answers["POST /api/v1/parked/replay"] = &api.Problem{Status: 422, Detail: "soon is no rate"}
	if w := visit(open(hub), "POST", "/console/parked-all/replay", form, nil); w.Code != 422 || !strings.Contains(w.Body.String(), "soon is no rate") {
		t.Errorf("%d %s", w.Code, w.Body)
	}

	hub.answers["GET /api/v1/replays"] = map[string]any{"replays": []api.Replay{{Act: 9, State: "running", About: "flow=<calm>", Who: "ann", Rate: "5/s", Matched: 600, Marked: 450, SecondsLeft: 30},
		{Act: 8, State: "stopped", StoppedBy: "bob", Ended: at(-time.Hour)}, {Act: 7, State: "done", Ended: at(-25 * time.Hour)}}}
	has(t, visit(open(hub), "GET", "/console/parked", nil, nil), 200, "flow=&lt;calm&gt;", "450 / 600", "30 s", `action="/console/replays/9/stop"`, "bob", `∌replays/8/stop`, `∌id="replay-7"`)
	hub.answers["POST /api/v1/replays/9/stop"] = map[string]string{}
	if w := visit(open(hub), "POST", "/console/replays/9/stop", url.Values{"csrf": {"own"}}, nil); w.Code != 303 || w.Header().Get("Location") != "/console/parked?said=stop" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}
