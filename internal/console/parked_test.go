package console

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/waybill-hub/waybill/internal/api"
)

// stopped is a hub with one parked message.
func stopped() *desk {
	hub := busy()
	m := api.Queued{ID: 17, Flow: "calm", State: "parked", Behind: 3, Kind: "schema", Code: "required:sku", Reason: "lines[1].sku is <missing>", Cause: "c0ffee00", Key: "SO-1", Event: "ev-1", Entity: "order", Operation: "upsert",
		Attempts: 2, Since: began, ETag: `"17-4"`, Data: json.RawMessage(`{"number":"SO-1","total":10.50,"lines":[{"sku":"A"},{"qty":1}],"note":"a<b"}`), Acts: []api.Act{{Time: began, Action: "edit", Who: "bob", Note: "typo"}}}
	clear := m
	clear.Data = json.RawMessage(`{"number":"SO-1","name":"Ann"}`)
	hub.answers["GET /api/v1/parked"] = api.Page{Parked: []api.Queued{m}, Next: 17}
	hub.answers["GET /api/v1/parked/17"] = m
	hub.answers["GET /api/v1/parked/17?clear=true"] = clear
	hub.answers["POST /api/v1/parked/17/preview"] = &api.Problem{Status: 422, Detail: "the document is not valid", Places: []api.Place{{Path: "lines[1].sku", Message: "is required"}}}
	return hub
}

func TestParked(t *testing.T) {
	hub := stopped()
	w := visit(open(hub), "GET", "/console/parked?flow=calm&cause=c0ffee00&state=parked&after=9", nil, nil)
	has(t, w, 200, `<a href="/console/parked/17">SO-1</a>`, "3 behind", `<tr class="chosen">`, `href="/console/parked-all/replay?cause=c0ffee00&amp;flow=calm&amp;state=parked"`, `href="/console/parked?after=17&amp;cause=c0ffee00&amp;flow=calm&amp;state=parked" rel="next"`,
		`<option selected>calm</option>`, `<option value="parked" selected>parked</option>`, "lines[1].sku is &lt;missing&gt;", `<a href="/console/parked" aria-current="page">Parked</a>`)
	for _, want := range []string{"GET /api/v1/parked/causes?flow=calm&state=parked", "GET /api/v1/parked?after=9&cause=c0ffee00&flow=calm&heads=true&limit=50&state=parked"} {
		if !slices.Contains(hub.asked, want) {
			t.Errorf("%s was not asked: %q", want, hub.asked)
		}
	}
	visit(open(hub), "GET", "/console/parked?state=follower", nil, nil)
	if want := "GET /api/v1/parked?limit=50&state=follower"; !slices.Contains(hub.asked, want) {
		t.Errorf("%s was not asked: %q", want, hub.asked)
	}
	hub.answers["GET /api/v1/parked/causes"] = &api.Problem{Status: 400, Detail: "older_than \"soon\" is no age"}
	has(t, visit(open(hub), "GET", "/console/parked?older_than=soon", nil, nil), 400, "is no age")
}

func TestMessage(t *testing.T) {
	hub := stopped()
	has(t, visit(open(hub), "GET", "/console/parked/17", nil, nil), 200, "SO-1", "lines[1].sku is &lt;missing&gt;", "the document is not valid", `<li class="wrong"><code>    {</code><span class="problem" lang="en">lines[1].sku: is required</span></li>`,
		"<code>  &#34;total&#34;: 10.50,</code>", `name="etag" value="&#34;17-4&#34;"`, "bob", "typo", `href="/console/parked/17?edit=true"`, "∌<textarea", "data-live")
	hub.answers["POST /api/v1/parked/17/preview"] = api.Preview{ID: 17, Plan: api.Plan{Hash: "beef"}, Rehearsal: api.Rehearsal{Outcome: "delivered"}, To: "erp", Action: "update", Local: "7", Mapped: json.RawMessage(`{"a":1}`), Sent: json.RawMessage(`{"b":2}`)}
	has(t, visit(open(hub), "GET", "/console/parked/17", nil, nil), 200, "update in erp <code>7</code>", "<code>  &#34;b&#34;: 2</code>", "beef")
	has(t, visit(open(hub), "GET", "/console/parked/17?edit=true", nil, nil), 200, "<textarea", "&#34;name&#34;: &#34;Ann&#34;", "∌data-live", "∌Replay</button></form>")
	has(t, visit(open(hub), "GET", "/console/parked/18", nil, nil), 404, "Nothing is here")
	hub.answers["POST /api/v1/parked/17/preview"] = api.Preview{ID: 17}
	has(t, visit(open(hub), "GET", "/console/parked/17", nil, nil), 200, "Nobody can tell before it is replayed.")
	hub.answers["POST /api/v1/parked/17/preview"] = &api.Problem{Status: 503, Detail: "the store does not answer"}
	has(t, visit(open(hub), "GET", "/console/parked/17", nil, nil), 503, "the store does not answer")
}

// What a person does goes through the API with the revision that the page has shown, and leads back to the message.
func TestActs(t *testing.T) {
	hub := stopped()
	for _, act := range []string{"replay", "discard"} {
		hub.answers["POST /api/v1/parked/17/"+act] = map[string]any{"id": 17}
		w := visit(open(hub), "POST", "/console/parked/17/"+act, url.Values{"csrf": {"own"}, "etag": {`"17-4"`}, "note": {"why not"}}, nil)
		if want := "POST /api/v1/parked/17/" + act + ` "17-4" {"note":"why not"}`; w.Code != 303 || w.Header().Get("Location") != "/console/parked/17?said="+act || !slices.Contains(hub.asked, want) {
			t.Errorf("%d %v %q", w.Code, w.Header(), hub.asked)
		}
		has(t, visit(open(hub), "GET", w.Header().Get("Location"), nil, nil), 200, `<p class="said" role="status">`)
	}
	hub.answers["POST /api/v1/parked/17/replay"] = &api.Problem{Status: 412, Detail: "the message has changed"}
	has(t, visit(open(hub), "POST", "/console/parked/17/replay", url.Values{"csrf": {"own"}}, nil), 412, "It has changed meanwhile", "the message has changed")
	has(t, visit(open(hub), "POST", "/console/parked/17/replay", url.Values{"csrf": {"guess"}}, nil), 403, "This form is not from the page")
}

func TestEditing(t *testing.T) {
	hub := stopped()
	send := func(act, data, note string) []string {
		hub.asked = nil
		w := visit(open(hub), "POST", "/console/parked/17/edit", url.Values{"csrf": {"own"}, "etag": {`"17-4"`}, "act": {act}, "data": {data}, "note": {note}}, nil)
		return []string{w.Body.String(), w.Header().Get("Location"), strings.Join(hub.asked, "\n")}
	}
	got := send("check", `{"number": "SO-2"}`, "mended")
	if strings.Contains(got[2], "clear=true") {
		t.Errorf("a check shows personal data anew: %s", got[2])
	}
	if !strings.Contains(got[0], "lines[1].sku") || !strings.Contains(got[0], "&#34;SO-2&#34;") || !strings.Contains(got[0], `value="mended"`) || strings.Contains(got[2], "PUT") || !strings.Contains(got[2], `preview  {"data":{"number":"SO-2"}}`) {
		t.Errorf("a check: %s", got)
	}
	if got := send("save", "{\n \"a\": ", "mended"); !strings.Contains(got[0], "line 2: ") || !strings.Contains(got[0], "&#34;a&#34;: </textarea>") || strings.Contains(got[2], "PUT") {
		t.Errorf("no JSON: %s", got)
	}
	hub.answers["PUT /api/v1/parked/17"] = &api.Problem{Status: 400, Detail: "say why"}
	if got := send("save", `{"a":1}`, ""); !strings.Contains(got[0], "say why") || !strings.Contains(got[0], "{&#34;a&#34;:1}</textarea>") {
		t.Errorf("without a reason: %s", got)
	}
	hub.answers["PUT /api/v1/parked/17"] = api.Edited{ID: 17}
	for act, replay := range map[string]string{"save": "false", "replay": "true"} {
		got := send(act, `{"a":1}`, "mended")
		if want := `PUT /api/v1/parked/17 "17-4" {"data":{"a":1},"note":"mended","replay":` + replay + `}`; got[1] != "/console/parked/17?said=edit" || got[2] != want {
			t.Errorf("%s: %s", act, got)
		}
	}
}

func TestBulk(t *testing.T) {
	hub := stopped()
	hub.answers["POST /api/v1/parked/replay"] = api.BulkAnswer{DryRun: true, Matched: 12000, Behind: 40}
	has(t, visit(open(hub), "GET", "/console/parked-all/replay?cause=c0ffee00&flow=calm", nil, nil), 200, "12,000 messages are selected. 40 more queue behind them", "cause=c0ffee00", `name="cause" value="c0ffee00"`, "Replay 12,000 messages")
	visit(open(hub), "GET", "/console/parked-all/replay", nil, nil)
	if last := hub.asked[len(hub.asked)-1]; !strings.Contains(last, `"all":true`) || !strings.Contains(last, `"dry_run":true`) {
		t.Errorf("everything: %s", last)
	}
	hub.answers["POST /api/v1/parked/replay"] = api.BulkAnswer{Total: 10000, Continue: "9.100.50.0", Matched: 2000}
	w := visit(open(hub), "POST", "/console/parked-all/replay", url.Values{"csrf": {"own"}, "cause": {"c0ffee00"}, "note": {"mended"}}, nil)
	has(t, w, 200, "10,000 are marked so far.", `name="continue" value="9.100.50.0"`, "Go on", `value="mended"`)
	hub.answers["POST /api/v1/parked/replay"] = api.BulkAnswer{Total: 12000, Done: true}
	hub.asked = nil
	w = visit(open(hub), "POST", "/console/parked-all/replay", url.Values{"csrf": {"own"}, "cause": {"c0ffee00"}, "flow": {"calm"}, "note": {"mended"}, "continue": {"9.100.50.0"}}, nil)
	if want := `POST /api/v1/parked/replay  {"filter":{"flow":"calm","cause":"c0ffee00"},"note":"mended","continue":"9.100.50.0"}`; w.Code != 303 || w.Header().Get("Location") != "/console/parked?flow=calm&said=bulk" || hub.asked[0] != want {
		t.Errorf("%d %v %q", w.Code, w.Header(), hub.asked)
	}
	hub.answers["POST /api/v1/parked/discard"] = &api.Problem{Status: 400, Detail: "say why"}
	has(t, visit(open(hub), "POST", "/console/parked-all/discard", url.Values{"csrf": {"own"}}, nil), 400, "say why")
	has(t, visit(open(hub), "GET", "/console/parked-all/forget", nil, nil), 404, "Nothing is here")
}

// Nothing is said to be there only where everything was looked at.
func TestNothingIsFound(t *testing.T) {
	for name, c := range map[string]struct {
		found api.Found
		want  bool
	}{"all looked at": {api.Found{Looked: api.Looked{Complete: true}}, true}, "not all": {api.Found{}, false}, "there is more": {api.Found{Next: "a", Looked: api.Looked{Complete: true}}, false}} {
		if got := (findBody{Found: &api.Message{}, Search: &c.found}).Nothing(); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// A document in lines is the same document, and each problem stands on the line of its value or of what that is missing in.
func TestLines(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var value func(depth int) any
		value = func(depth int) any {
			switch n := rapid.IntRange(0, 5).Draw(t, "kind"); {
			case n == 0 && depth < 4:
				out := map[string]any{}
				for range rapid.IntRange(0, 3).Draw(t, "members") {
					out[rapid.String().Draw(t, "name")] = value(depth + 1)
				}
				return out
			case n == 1 && depth < 4:
				out := []any{}
				for range rapid.IntRange(0, 3).Draw(t, "elements") {
					out = append(out, value(depth+1))
				}
				return out
			case n == 2:
				return rapid.Bool().Draw(t, "bool")
			case n == 3:
				return nil
			case n == 4:
				return rapid.Int64().Draw(t, "number")
			}
			return rapid.String().Draw(t, "text")
		}
		doc, err := json.Marshal(value(0))
		if err != nil {
			t.Fatal(err)
		}
		var was, is any
		if err := json.Unmarshal(doc, &was); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(pretty(doc, "")), &is); err != nil {
			t.Fatalf("%s: %v", doc, err)
		}
		a, _ := json.Marshal(was)
		b, _ := json.Marshal(is)
		if string(a) != string(b) {
			t.Fatalf("%s\n%s", a, b)
		}
	})
	doc := json.RawMessage(`{"a":{"b":[{"c":1},{"d":2}]},"ab":3}`)
	for path, want := range map[string]string{"a.b[1].d": `        "d": 2`, "a.b[1].c": `      {`, "a.b[10]": `    "b": [`, "ab": `  "ab": 3`, "x": "{", "": "{", "a": `  "a": {`} {
		for _, l := range lines(doc, []api.Place{{Path: path, Message: "wrong"}}) {
			if len(l.Problems) > 0 && l.Text != want {
				t.Errorf("%s is shown at %q", path, l.Text)
			}
		}
	}
	if lines(json.RawMessage("no"), nil) != nil || pretty(nil, "no") != "no" {
		t.Error("what is no JSON")
	}
}

func TestFlow(t *testing.T) {
	hub := busy()
	hub.answers["GET /api/v1/flows/shut"] = api.FlowDefinition{Name: "shut", File: "flows/shut.yaml", Line: 3, Sum: "0123456789abcdef", By: "poll", Topic: "in.shut", Every: "30s", Order: "strict", RetrySeconds: 600, Requires: []string{"customer"}}
	hub.answers["GET /api/v1/deliveries?flow=shut&hours=24"] = api.Deliveries{Flows: []api.FlowDeliveries{{Name: "shut", Delivered: []int64{1, 2}, Late: []int64{0, 1}}}}
	rows := []api.Journal{{Time: began, Key: "SO-1", Outcome: "delivered", Operation: "update", Seconds: 0.2}, {Time: began, Event: "ev-2", Outcome: "parked", Reason: "no <way>"}}
	hub.answers["GET /api/v1/flows/shut/journal"] = api.Fates{Journal: rows, Next: 7}
	hub.answers["GET /api/v1/flows/shut/journal?limit=100&outcome=delivered"] = api.Fates{Journal: []api.Journal{{Seconds: 3}, {Seconds: 0.1}, {Seconds: 0.2}}}
	has(t, visit(open(hub), "GET", "/console/flows/shut", nil, nil), 200, "<title>shut · Waybill</title>", "paused by ann", "flows/shut.yaml:3", "0123456789ab<", "30s", "customer", "3 delivered in the last 24 hours, 1 of them late", "median 200 ms, p95 200 ms",
		`<a href="/console/find?q=SO-1">SO-1</a>`, `<a href="/console/find?q=ev-2">ev-2</a>`, "no &lt;way&gt;", `href="/console/flows/shut?before=7" rel="next"`, `action="/console/flows/shut/pause"`, `action="/console/flows/shut/rewind"`)
	st := hub.answers["GET /api/v1/status"].(*api.Status)
	st.Flows[2].Paused = &api.Pause{By: "ann", Since: began}
	has(t, visit(open(hub), "GET", "/console/flows/shut?outcome=parked", nil, nil), 200, `action="/console/flows/shut/resume"`, "Paused by ann since")
	has(t, visit(open(hub), "GET", "/console/flows/none", nil, nil), 404, "Nothing is here")
	for act, body := range map[string]string{"pause": "", "resume": "", "rewind": ` {"to":"start","note":"lost"}`} {
		hub.asked = nil
		hub.answers["POST /api/v1/flows/shut/"+act] = map[string]string{}
		w := visit(open(hub), "POST", "/console/flows/shut/"+act, url.Values{"csrf": {"own"}, "to": {"start"}, "note": {"lost"}}, nil)
		if want := "POST /api/v1/flows/shut/" + act + strings.Replace(body, " {", "  {", 1); w.Code != 303 || w.Header().Get("Location") != "/console/flows/shut?said="+act || hub.asked[0] != want {
			t.Errorf("%s: %d %v %q", act, w.Code, w.Header(), hub.asked)
		}
	}
	st.Flows[2].Remarks = []api.Remark{{Kind: "failed", Count: 2, Text: "2 files have failed"}}
	hub.answers["GET /api/v1/flows/shut/files"] = api.FailedFiles{Files: []api.FailedFile{{Name: "a.csv", As: "a.csv", Bytes: 1234, Modified: began, Why: "no <such> column"}, {Name: "b.csv"}}, More: true}
	has(t, visit(open(hub), "GET", "/console/flows/shut", nil, nil), 200, "Files that could not be taken", "no &lt;such&gt; column", "1,234 bytes", `name="file" value="a.csv"`, "Take all again", "There are more")
	c := open(hub)
	hub.answers["GET /api/v1/flows/shut/files"] = &api.Problem{Status: 503, Detail: "the share is gone"}
	for range 2 { // those who look within a while share what was asked once
		has(t, visit(c, "GET", "/console/flows/shut", nil, nil), 200, "The files cannot be listed now:", "the share is gone", "What became of its messages")
		hub.answers["GET /api/v1/flows/shut/files"] = api.FailedFiles{}
	}
	// One who leaves while they are asked for leaves no answer behind that says so.
	c = open(&leaving{hub})
	hub.answers["GET /api/v1/flows/shut/files"] = api.FailedFiles{Files: []api.FailedFile{{Name: "a.csv"}}}
	visit(c, "GET", "/console/flows/shut", nil, func(r *http.Request) {
		gone, leave := context.WithCancel(r.Context())
		leave()
		*r = *r.WithContext(gone)
	})
	has(t, visit(c, "GET", "/console/flows/shut", nil, nil), 200, `name="file" value="a.csv"`, "∌cannot be listed")
	for file, body := range map[string]string{"a.csv": `  {"files":["a.csv"]}`, "": `  {"all":true}`} {
		hub.asked = nil
		hub.answers["POST /api/v1/flows/shut/files/retake"] = map[string]string{}
		w := visit(open(hub), "POST", "/console/flows/shut/retake", url.Values{"csrf": {"own"}, "file": {file}, "all": {map[bool]string{true: "true"}[file == ""]}}, nil)
		if want := "POST /api/v1/flows/shut/files/retake" + body; w.Code != 303 || w.Header().Get("Location") != "/console/flows/shut?said=retake" || hub.asked[0] != want {
			t.Errorf("%q: %d %v %q", file, w.Code, w.Header(), hub.asked)
		}
	}
	hub.answers["POST /api/v1/flows/shut/rewind"] = &api.Problem{Status: 422, Detail: "no place"}
	has(t, visit(open(hub), "POST", "/console/flows/shut/rewind", url.Values{"csrf": {"own"}}, nil), 422, "no place")
}

func TestFind(t *testing.T) {
	hub := busy()
	has(t, visit(open(hub), "GET", "/console/find", nil, nil), 200, `name="q" type="search" value=""`, "∌timeline")
	hub.answers["GET /api/v1/messages"] = api.Message{Key: "SO-1", Objects: []api.Object{{Entity: "order", Hub: "h-1", Created: began, Refs: []api.Ref{{System: "erp", Local: "7"}, {System: "crm", Local: "x", Deleted: true}}}},
		Journal: []api.Journal{{Time: began, Flow: "calm", Outcome: "delivered", Operation: "create", System: "erp", Local: "7", Seconds: 0.2, Attempts: 2, Reason: "why <so>", Documents: &api.Documents{Source: json.RawMessage(`{"a":"<b>"}`), AnswerText: "created"}}},
		Queued:  []api.Queued{{ID: 17, Flow: "calm", State: "parked", Since: *at(time.Hour), Reason: "stuck"}}, Inbox: []api.Inbound{{Flow: "calm", Delivery: "d-1", Received: *at(-time.Hour)}}, Acts: []api.Act{{Time: *at(time.Minute), Flow: "calm", Action: "replay", Who: "bob", Note: "again"}}, Keys: []string{"SO-10"}}
	w := visit(open(hub), "GET", "/console/find?q=so-1", nil, nil)
	has(t, w, 200, "This is SO-1.", `<a class="chip" href="/console/find?q=SO-10">SO-10</a>`, `<a href="/console/find?q=7"><code>7</code></a>`, "(deleted)", "why &lt;so&gt;", "&#34;&lt;b&gt;&#34;", "<code>created</code>", "not on its topic yet", `<a href="/console/parked/17">open</a>`, "bob")
	order := []string{"stuck", "again", "why &lt;so&gt;", "d-1"}
	for i, text := range order[1:] {
		if strings.Index(w.Body.String(), order[i]) > strings.Index(w.Body.String(), text) {
			t.Errorf("%s stands behind %s", order[i], text)
		}
	}
	hub.answers["GET /api/v1/messages"] = api.Message{Key: "SO"}
	hub.answers["GET /api/v1/find"] = api.Found{Looked: api.Looked{Complete: true}}
	has(t, visit(open(hub), "GET", "/console/find?q=SO", nil, nil), 200, "The hub remembers nothing under SO.")
	hub.answers["GET /api/v1/messages"] = api.Message{Key: "SO", Keys: []string{"SO-1", "SO-2"}}
	has(t, visit(open(hub), "GET", "/console/find?q=SO", nil, nil), 200, "Several begin with SO:", "SO-2")

	// What is no key is looked for in the index; what was not looked at yet is said, and never taken for nothing.
	hub.answers["GET /api/v1/messages"] = api.Message{Key: "acme"}
	hub.answers["GET /api/v1/find"] = api.Found{Next: "c2", Looked: api.Looked{Behind: 7}, Objects: []api.FoundObject{
		{Entity: "customer", Key: "C-7", Hub: "h-7", State: "parked", Reason: "why <so>", Refs: []api.Ref{{System: "erp", Local: "0007"}}, Time: at(-time.Minute)}, {Entity: "order", Hub: "h-9"}}}
	has(t, visit(open(hub), "GET", "/console/find?q=acme", nil, nil), 200, `<a href="/console/find?q=C-7">C-7</a>`, `<a href="/console/find?q=h-9">h-9</a>`, "why &lt;so&gt;", "<code>0007</code>",
		`href="/console/find?after=c2&amp;q=acme"`, `id="looked"`, "∌The hub remembers nothing")
	hub.answers["GET /api/v1/find"] = api.Found{Looked: api.Looked{Behind: 7}}
	has(t, visit(open(hub), "GET", "/console/find?q=acme", nil, nil), 200, `id="looked"`, "∌The hub remembers nothing")
	hub.answers["GET /api/v1/find"] = api.Found{Looked: api.Looked{Underway: at(-time.Hour)}}
	has(t, visit(open(hub), "GET", "/console/find?q=acme", nil, nil), 200, `id="looked"`, "on their way that have no fate yet", "∌The hub remembers nothing", "∌in a moment")
	hub.asked = nil
	has(t, visit(open(hub), "GET", "/console/find?q=acme&after=c2", nil, nil), 200, `id="looked"`)
	if got := strings.Join(hub.asked, "\n"); !strings.Contains(got, "after=c2") || strings.Contains(got, "/api/v1/messages") {
		t.Errorf("a further page asks %s", got)
	}

	// What a document names, and what names it, leads on.
	hub.answers["GET /api/v1/messages"] = api.Message{Key: "SO-1", Journal: []api.Journal{{Outcome: "delivered", Flow: "calm", Time: began}}, Related: []api.Related{{FoundObject: api.FoundObject{Entity: "invoice", Key: "INV-1", State: "delivered"}, Field: "order", Backward: true, Through: "shipment D-1"}}}
	has(t, visit(open(hub), "GET", "/console/find?q=SO-1", nil, nil), 200, `invoice <a href="/console/find?q=INV-1">INV-1</a>`, "shipment D-1", `∌id="matches"`)
}

// leaving answers nobody who has gone what has to be asked for elsewhere.
type leaving struct{ *desk }

func (l *leaving) Ask(r *http.Request, method, path string, header http.Header, body []byte) *api.Answer {
	if err := r.Context().Err(); err != nil && strings.HasSuffix(path, "/files") {
		return &api.Answer{Status: http.StatusServiceUnavailable, Body: []byte(`{"detail":"` + err.Error() + `"}`)}
	}
	return l.desk.Ask(r, method, path, header, body)
}
