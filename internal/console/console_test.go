package console

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/access"
	"github.com/waybill-hub/waybill/internal/api"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/status"
)

var began = time.Date(2026, 11, 30, 9, 0, 0, 0, time.UTC)

// desk stands for the API: it answers by path, and notes what it is asked. The browser tests run the same pages on a real hub.
type desk struct {
	answers   map[string]any // by method and path; an *api.Problem is one
	asked     []string
	news      int64 // 0: each look is news
	tokens    bool
	users     bool
	elsewhere bool
}

func (d *desk) Ask(r *http.Request, method, path string, header http.Header, body []byte) *api.Answer {
	d.asked = append(d.asked, strings.TrimSpace(fmt.Sprintf("%s %s %s %s", method, path, header.Get("If-Match"), body)))
	if method != http.MethodGet && d.news > 0 {
		d.news++
	}
	plain, _, _ := strings.Cut(path, "?")
	a := &api.Answer{Status: 200, Header: http.Header{}}
	v, ok := d.answers[method+" "+path]
	if !ok {
		v, ok = d.answers[method+" "+plain]
	}
	if !ok {
		v = &api.Problem{Status: 404, Detail: "nothing is at " + plain}
	}
	if p, is := v.(*api.Problem); is {
		a.Status = p.Status
	}
	a.Body, _ = json.Marshal(v)
	return a
}

func (d *desk) Glance(r *http.Request) (*api.Status, error) {
	a := d.Ask(r, http.MethodGet, "/api/v1/status", nil, nil)
	if a.Status != http.StatusOK {
		var no api.Problem
		if err := json.Unmarshal(a.Body, &no); err != nil {
			return nil, err
		}
		return nil, errors.New(no.Detail)
	}
	st := &api.Status{}
	return st, json.Unmarshal(a.Body, st)
}

func (d *desk) News() int64 {
	if d.news > 0 {
		return d.news
	}
	return int64(len(d.asked)) + 1
}

func (d *desk) SignIn(_ *http.Request, token string) (*http.Cookie, *access.Refusal) {
	switch token {
	case "right":
		return &http.Cookie{Name: "waybill", Value: "sealed", HttpOnly: true}, nil
	case "slow":
		return nil, &access.Refusal{Status: 401, Why: access.Slowed, Challenge: true, Retry: 6 * time.Second, Close: true}
	case "foreign":
		return nil, &access.Refusal{Status: 403, Why: access.CrossSite, Detail: "writes from another site are refused"}
	}
	return nil, &access.Refusal{Status: 401, Why: access.WrongToken, Challenge: true}
}
func (d *desk) SignOut(*http.Request) *http.Cookie { return &http.Cookie{Name: "waybill", MaxAge: -1} }
func (d *desk) SignInUser(r *http.Request, name, password string) (*http.Cookie, *access.Refusal) {
	if name != "ann" && password == "right" {
		return nil, &access.Refusal{Status: 401, Why: access.WrongPassword, Challenge: true}
	}
	return d.SignIn(r, password)
}
func (d *desk) Ways() access.Ways {
	return access.Ways{Tokens: d.tokens, Users: d.users, Elsewhere: d.elsewhere}
}
func (d *desk) Leave(_ *http.Request, to string) (string, *http.Cookie, *access.Refusal) {
	if !d.elsewhere {
		return "", nil, &access.Refusal{Status: 404, Detail: "this hub has no provider"}
	}
	if to == "/console/map" {
		return "", nil, &access.Refusal{Status: 502, Challenge: true, Detail: "the provider is <down>"}
	}
	return "https://id.example/auth?to=" + url.QueryEscape(to), &http.Cookie{Name: "away", Value: "sealed"}, nil
}
func (d *desk) Return(r *http.Request) ([]*http.Cookie, string, *access.Refusal) {
	if r.URL.Query().Get("code") != "right" {
		return []*http.Cookie{{Name: "away", MaxAge: -1}}, "/console/find?q=a", &access.Refusal{Status: 403, Challenge: true, Detail: "ann is in no group"}
	}
	return []*http.Cookie{{Name: "away", MaxAge: -1}, {Name: "waybill", Value: "sealed"}}, "/console/find?q=a&x=\"", nil
}

func some(v float64) *float64           { return &v }
func at(t time.Duration) *time.Time     { m := began.Add(t); return &m }
func moments(t time.Duration) time.Time { return began.Add(t) }

// busy is a hub in which most things that can be shown are.
func busy() *desk {
	st := &api.Status{Version: "v1.2.3", Started: moments(-time.Hour), Plan: api.Plan{Hash: "c0ffee", LoadedAt: moments(-time.Hour)}, Hub: api.Self{State: "running"}, Broker: api.Broker{State: "up", Remarks: []string{"a topic is small"}},
		Totals: api.Totals{Accepted: 12345, Delivered: 12000, Skipped: 300, Parked: 40, Waiting: 5},
		Flows: []api.Flow{
			{Name: "calm", From: "crm", To: "canonical.order", State: "running", OnTime: api.OnTime{LateAfterSeconds: 900, Hour: api.Delivered{Share: some(1)}, Day: api.Delivered{Share: some(0.9999)}}, LastDelivered: at(-time.Minute)},
			{Name: "slow<b>", From: "canonical.order", To: "erp", State: "late", Why: "the oldest message is <3h> old", OldestSeconds: 10800, Totals: api.Totals{Parked: 40, InFlight: 7}},
			{Name: "shut", From: "wms", To: "canonical.stock", State: "paused", Why: "paused by ann"},
		},
		Systems:         []api.System{{Name: "crm", Connector: "rest", State: "up", CallSeconds: 0.042, Write: api.Direction{State: "up"}, Read: api.Direction{State: "up"}}, {Name: "erp", Connector: "sql", State: "down", Write: api.Direction{State: "down", Why: "down since noon"}, Read: api.Direction{State: "up"}}},
		Refused:         []api.Refused{{Reason: "unknown-path", Count: 3, LastHour: 2, Last: moments(-time.Minute), Detail: "nothing is received there"}},
		Troubles:        []api.Trouble{{Flow: "calm", What: "retry", Cause: "erp unavailable 503", Count: 2, Last: moments(-time.Minute)}, {Flow: "slow<b>", What: "retry", Cause: "erp unavailable 503", Count: 3, Last: moments(-time.Second)}, {Flow: "calm", What: "park", Cause: "x"}},
		Reconciliations: []api.Reconciliation{{Name: "customers", Left: "crm", Right: "erp", Standing: api.Standing{State: "drift", Stands: "drift", Drift: 3, LastRun: at(-time.Hour)}}},
		Rules:           []api.Rule{{Name: "terms", Systems: []string{"erp"}, Standing: api.Standing{State: "never-run", Stands: "never-run"}}},
		Access:          api.Access{WrongTokens: 2, LastWrong: at(-time.Minute), LastWrongFrom: "10.0.0.9"},
	}
	st.Summarize()
	recs := slices.Clone(st.Reconciliations)
	recs[0].Trend = []api.TrendPoint{{Drift: 5, Repaired: 5}, {Drift: 3}}
	return &desk{answers: map[string]any{
		"GET /api/v1/status":          st,
		"GET /api/v1/deliveries":      api.Deliveries{From: moments(-2 * time.Hour), StepSeconds: 300, Flows: []api.FlowDeliveries{{Name: "calm", Delivered: []int64{0, 10, 20}, Late: []int64{0, 0, 5}}}},
		"GET /api/v1/parked/causes":   map[string]any{"causes": []api.Cause{{Cause: "c0ffee00", Text: "invalid erp/422: <no>", State: "parked", Count: 40, Behind: 2, Oldest: moments(-3 * time.Hour), Flows: []string{"slow<b>"}}}},
		"GET /api/v1/reconciliations": map[string]any{"reconciliations": recs},
		"GET /api/v1/replays":         map[string]any{"replays": []api.Replay{}},
		"GET /api/v1/rules":           map[string]any{"rules": st.Rules},
	}}
}

// visit asks the console as a visitor that was let in.
func visit(c *Console, method, path string, form url.Values, change func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://127.0.0.1:8080"+path, strings.NewReader(form.Encode()))
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	r = r.WithContext(access.With(r.Context(), access.Visitor{Name: "ann", Role: access.Admin, CSRF: "own", Session: true}))
	if change != nil {
		change(r)
	}
	w := httptest.NewRecorder()
	c.ServeHTTP(w, r)
	return w
}

func open(hub Hub) *Console { return New(hub, lifecycle.NewManual(began)) }

// has compares a page with what it must show and must not.
func has(t *testing.T, w *httptest.ResponseRecorder, status int, want ...string) {
	t.Helper()
	if w.Code != status || w.Header().Get("Content-Type") != "text/html; charset=utf-8" {
		t.Errorf("%d %s", w.Code, w.Header())
	}
	for _, text := range want {
		if not, is := strings.CutPrefix(text, "∌"); is == strings.Contains(w.Body.String(), not) {
			t.Errorf("want %s in\n%.20000s", text, w.Body)
		}
	}
}

func TestOverview(t *testing.T) {
	hub := busy()
	w := visit(open(hub), "GET", "/", nil, nil)
	has(t, w, 200, `<html lang="en">`, "<title>Overview · Waybill</title>", "1 flow is late (slow&lt;b&gt;), 1 comparison has drift left (customers), 1 system does not answer as it should (erp), 1 flow is paused (shut), 40 messages wait for a person; nothing is stuck, lost, doubled or silent.",
		"<dd>12,345</dd>", "100% / 99.9%", "≤ 15 min", "3 h", "the oldest message is &lt;3h&gt; old", `aria-label="30 delivered in the last two hours, 5 of them late"`, "invalid erp/422: &lt;no&gt;", "42 ms", "down since noon",
		`aria-label="Drift of the last 2 runs; 3 in the newest"`, "nothing is received there", "a topic is small", "2 wrong tokens since the start", "files c0ffee", `<time class="ago" datetime="2026-11-30T08:59:00Z" title="2026-11-30T08:59:00Z">60 s ago</time>`,
		"∌<b>", "erp unavailable 503", "calm, slow&lt;b&gt;", `<input type="hidden" name="csrf" value="own">`)
	body := w.Body.String()
	if late, calm := strings.Index(body, `id="flow-slow`), strings.Index(body, `id="flow-calm`); late < 0 || late > calm {
		t.Error("what is late does not stand first")
	}
	w = visit(open(hub), "GET", "/?state=paused&lang=zh", nil, nil)
	has(t, w, 200, `<html lang="zh-Hans">`, "<title>总览 · Waybill</title>", "1 个数据流迟到（slow&lt;b&gt;）", "没有卡住、丢失、重复或静默。", "paused by ann", "∌flow-calm", `aria-current="true"><span class="warn" aria-hidden="true">▲</span> 已暂停 1`, "60 秒前")
	if !strings.Contains(w.Header().Get("Set-Cookie"), "waybill-lang=zh") {
		t.Errorf("the choice of a language: %v", w.Header())
	}
	has(t, visit(open(hub), "GET", "/?state=none", nil, nil), 200, "No flow is in this state.")
}

// The English sentence of the console is the API's own.
func TestOneSentence(t *testing.T) {
	st := busy().answers["GET /api/v1/status"].(*api.Status)
	p := &page{Lang: "en"}
	if got := p.Sentence(&st.Summary); got != st.Summary.Text {
		t.Errorf("%s\n%s", got, st.Summary.Text)
	}
}

// Causes that are shown again are those of everything, and none from before an act.
func TestCausesAreOfNow(t *testing.T) {
	hub := stopped()
	hub.news = 1
	hub.answers["POST /api/v1/parked/17/replay"] = map[string]string{}
	c := open(hub)
	asked := func() (n int) {
		for _, a := range hub.asked {
			if a == "GET /api/v1/parked/causes" {
				n++
			}
		}
		return n
	}
	visit(c, "GET", "/console/parked?flow=calm", nil, nil)
	if visit(c, "GET", "/", nil, nil); asked() != 1 {
		t.Errorf("a flow's causes stand for all: %q", hub.asked)
	}
	if w := visit(c, "POST", "/console/parked/17/replay", url.Values{"csrf": {"own"}}, nil); w.Code != 303 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if visit(c, "GET", "/", nil, nil); asked() != 2 {
		t.Errorf("after an act: %q", hub.asked)
	}
}

// What stands in an address is taken for nothing else than it can say.
func TestAddresses(t *testing.T) {
	w := visit(open(busy()), "GET", "/?said=nonsense&lang=xx", nil, nil)
	has(t, w, 200, "∌said.nonsense")
	if got := w.Result().Cookies(); len(got) != 0 {
		t.Errorf("a language that there is not is kept: %v", got)
	}
	for method, want := range map[string]string{"GET": `value="/console/parked/17"`, "POST": `value="/"`} { // an act is not done by coming back to it
		w, hub := httptest.NewRecorder(), busy()
		hub.tokens = true
		open(hub).Stranger(w, httptest.NewRequest(method, "/console/parked/17", nil), &access.Refusal{Status: 401, Challenge: true})
		has(t, w, 401, want)
	}
}

func TestTrouble(t *testing.T) {
	hub := busy()
	c := open(hub)
	has(t, visit(c, "GET", "/console/nothing", nil, nil), 404, "Nothing is here", "To the overview")
	hub.answers["GET /api/v1/status"] = &api.Problem{Status: 503, Detail: "the disk is <full>"}
	has(t, visit(c, "GET", "/", nil, nil), 503, "The hub cannot answer now", "the disk is &lt;full&gt;")
}

// A write comes from the hub's own page, or is refused before the API is asked.
func TestWritesAreOwn(t *testing.T) {
	for csrf, want := range map[string]int{"own": 303, "": 403, "guess": 403} {
		w := visit(open(busy()), "POST", "/console/sign-out", url.Values{"csrf": {csrf}}, nil)
		if w.Code != want {
			t.Errorf("%q: %d", csrf, w.Code)
		}
	}
	if w := visit(open(busy()), "POST", "/console/sign-out?csrf=own", url.Values{}, nil); w.Code != 403 {
		t.Errorf("in the address: %d", w.Code)
	}
}

func TestSignIn(t *testing.T) {
	hub := &desk{tokens: true}
	c := open(hub)
	w := httptest.NewRecorder()
	c.Stranger(w, httptest.NewRequest("GET", "http://127.0.0.1:8080/console/parked?flow=a%22b", nil), &access.Refusal{Status: 401, Challenge: true})
	has(t, w, 401, `name="to" value="/console/parked?flow=a%22b"`, `type="password"`, "∌<nav", "∌data-live")
	if got := w.Header().Get("WWW-Authenticate"); got != `Bearer realm="waybill"` {
		t.Errorf("%q: a browser would ask for a password by itself", got)
	}
	post := func(to, token string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("POST", "http://127.0.0.1:8080/console/sign-in", strings.NewReader(url.Values{"to": {to}, "token": {token}}.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		c.Open(w, r)
		return w
	}
	for to, want := range map[string]string{"/console/parked?flow=a": "/console/parked?flow=a", "": "/", "https://evil.example/": "/", "//evil.example": "/", `/\evil.example`: "/", "/\t/evil.example": "/"} {
		w := post(to, " right ")
		if w.Code != 303 || w.Header().Get("Location") != want || !strings.Contains(w.Header().Get("Set-Cookie"), "waybill=sealed") {
			t.Errorf("%q: %d %v", to, w.Code, w.Header())
		}
	}
	has(t, post("/", "wrong"), 401, "This is none of the hub&#39;s tokens.", `aria-invalid="true"`)
	w = post("/", "slow")
	has(t, w, 401, "Too many wrong attempts")
	if w.Header().Get("Retry-After") != "6" || w.Header().Get("Connection") != "close" {
		t.Errorf("%v", w.Header())
	}
	has(t, post("/", "foreign"), 403, "writes from another site are refused")
	hub.tokens = false
	if w := post("/console/parked", ""); w.Code != 303 || w.Header().Get("Location") != "/console/parked" {
		t.Errorf("a hub without tokens: %d", w.Code)
	}
}

// With users, the page asks for a name and a password, and for a token below; what is wrong is said beside what was given.
func TestSignInUser(t *testing.T) {
	hub := &desk{tokens: true, users: true}
	c := open(hub)
	w := httptest.NewRecorder()
	c.Stranger(w, httptest.NewRequest("GET", "http://127.0.0.1:8080/console/map", nil), &access.Refusal{Status: 401, Challenge: true})
	has(t, w, 401, `name="user"`, `autocomplete="username"`, `name="password"`, "<summary>With a token</summary>", `name="token"`)
	post := func(form url.Values) *httptest.ResponseRecorder {
		r := httptest.NewRequest("POST", "http://127.0.0.1:8080/console/sign-in", strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		c.Open(w, r)
		return w
	}
	if w := post(url.Values{"to": {"/console/map"}, "user": {" ann "}, "password": {"right"}}); w.Code != 303 || w.Header().Get("Location") != "/console/map" || w.Header().Get("Set-Cookie") == "" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	has(t, post(url.Values{"user": {"ann<"}, "password": {"wrong"}}), 401, "The name or the password is wrong.", `value="ann&lt;"`, `aria-describedby="wrong"`)
	has(t, post(url.Values{"token": {"wrong"}}), 401, "This is none of the hub&#39;s tokens.", "<details open>")
	hub.tokens = false
	has(t, post(url.Values{"user": {"bob"}, "password": {"right"}}), 401, "∌With a token", "The name or the password is wrong.")
}

// With a provider, a browser is led there and back; what comes back is shown the page that it wanted by a page of the hub's own.
func TestSignInElsewhere(t *testing.T) {
	hub := &desk{elsewhere: true, tokens: true}
	c := open(hub)
	get := func(path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		c.Open(w, httptest.NewRequest("GET", "http://127.0.0.1:8080"+path, nil))
		return w
	}
	w := httptest.NewRecorder()
	c.Stranger(w, httptest.NewRequest("GET", "http://127.0.0.1:8080/console/find?q=a", nil), &access.Refusal{Status: 401, Challenge: true})
	has(t, w, 401, `<a class="button main" href="/console/oidc?to=%2Fconsole%2Ffind%3Fq%3Da">`, "<summary>With a token</summary>", "∌name=\"user\"")
	if w := get("/console/oidc?to=/console/find?q=a"); w.Code != 303 || w.Header().Get("Location") != "https://id.example/auth?to=%2Fconsole%2Ffind%3Fq%3Da" || !strings.Contains(w.Header().Get("Set-Cookie"), "away=sealed") {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	if w := get("/console/oidc?to=https://evil.example"); w.Header().Get("Location") != "https://id.example/auth?to=%2F" {
		t.Errorf("%v", w.Header())
	}
	has(t, get("/console/oidc?to=/console/map"), 502, "Nobody was signed in.", "the provider is &lt;down&gt;", `href="/console/oidc?to=%2Fconsole%2Fmap"`)
	w = get("/console/oidc/callback?code=right")
	has(t, w, 200, `<meta http-equiv="refresh" content="0; url=/console/find?q=a&amp;x=`, `<a class="button main" href="/console/find?q=a&amp;x=%22">`)
	if cookies := w.Header().Values("Set-Cookie"); len(cookies) != 2 || !strings.Contains(cookies[1], "waybill=sealed") {
		t.Errorf("%v", cookies)
	}
	w = get("/console/oidc/callback?code=guess")
	has(t, w, 403, "ann is in no group", `href="/console/oidc?to=%2Fconsole%2Ffind%3Fq%3Da"`, "∌http-equiv")
	if cookies := w.Header().Values("Set-Cookie"); len(cookies) != 1 {
		t.Errorf("%v", cookies)
	}
	hub.elsewhere = false
	has(t, get("/console/oidc"), 404, "this hub has no provider")
}

// A page shows what its visitor may do and no more: a viewer has no button that would be refused, and a token that is for some scopes leads to those alone.
func TestPagesByRole(t *testing.T) {
	hub := busy()
	hub.answers["GET /api/v1/parked/17"] = api.Queued{ID: 17, Flow: "calm", State: "parked", Key: "SO-1", ETag: `"17-1"`, Data: json.RawMessage(`{"a":"***"}`)}
	hub.answers["POST /api/v1/parked/17/preview"] = api.Preview{ID: 17, Flow: "calm"}
	as := func(role access.Role, scopes ...access.Scope) func(*http.Request) {
		return func(r *http.Request) {
			*r = *r.WithContext(access.With(r.Context(), access.Visitor{Name: "vic", Role: role, Scopes: scopes, CSRF: "own", Session: true}))
		}
	}
	c := open(hub)
	has(t, visit(c, "GET", "/console/parked/17", nil, as(access.Viewer)), 200, "SO-1", `<span class="quiet">viewer</span>`, "∌?edit=true", "∌/replay", "∌/discard")
	has(t, visit(c, "GET", "/console/parked/17", nil, as(access.Operator)), 200, "?edit=true", `action="/console/parked/17/replay"`, `action="/console/parked/17/discard"`)
	has(t, visit(c, "GET", "/", nil, as(access.Viewer, access.Status)), 200, `href="/console/map"`, "∌href=\"/console/find\"", "∌role=\"search\"", "∌href=\"/metrics\"")
	w := httptest.NewRecorder()
	r := httptest.NewRequest("GET", "http://127.0.0.1:8080/console/parked-all/replay", nil)
	as(access.Viewer)(r)
	c.Forbidden(w, r, &access.Refusal{Status: 403, Detail: "this needs the role operator"})
	has(t, w, 403, "Not allowed", "this needs the role operator", `<nav aria-label="Pages">`)
}

func TestParts(t *testing.T) {
	c := open(&desk{})
	for path, want := range map[string]int{"/console/parts/style.css": 200, "/console/parts/console.js": 200, "/console/parts/icon.svg": 200, "/console/parts/nothing": 404, "/console/parts/..%2fconsole.go": 404} {
		w := httptest.NewRecorder()
		c.Open(w, httptest.NewRequest("GET", "http://127.0.0.1:8080"+path, nil))
		if w.Code != want {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

func TestLanguage(t *testing.T) {
	for _, tt := range []struct{ query, cookie, accept, want string }{
		{"", "", "", "en"}, {"", "", "zh-CN,zh;q=0.9,en;q=0.8", "zh"}, {"", "", "de,en;q=0.3,zh;q=0.4", "zh"}, {"", "", "fr", "en"}, {"", "zh", "en", "zh"}, {"lang=en", "zh", "zh", "en"},
		{"lang=xx", "yy", "zh;q=x, zh;q=0, en;q=0.1", "en"},
	} {
		r := httptest.NewRequest("GET", "http://127.0.0.1/?"+tt.query, nil)
		r.Header.Set("Accept-Language", tt.accept)
		if tt.cookie != "" {
			r.AddCookie(&http.Cookie{Name: langCookie, Value: tt.cookie})
		}
		if got := language(r); got != tt.want {
			t.Errorf("%+v: %s", tt, got)
		}
	}
}

// Every text that is asked for is there in every language, with the same places for figures, and none is there that nobody asks for.
func TestTexts(t *testing.T) {
	asked := map[string]bool{}
	use := func(source string) {
		for _, m := range regexp.MustCompile(`(?:\.T\(?\s*|key, |\$p\.Direction |\{)"([a-z_.]+)"`).FindAllStringSubmatch(source, -1) {
			asked[m[1]] = true
		}
	}
	for _, glob := range []string{"pages/*.html", "*.go", "viewer.html"} {
		names, err := filepath.Glob(glob)
		if err != nil || len(names) == 0 {
			t.Fatal(glob, err)
		}
		for _, name := range names {
			if data, err := os.ReadFile(name); err != nil {
				t.Fatal(err)
			} else if name != "texts.go" && !strings.HasSuffix(name, "_test.go") {
				use(string(data))
			}
		}
	}
	for key := range asked {
		if texts[key] == nil && strings.Contains(key, ".") && !strings.HasSuffix(key, ".") {
			t.Errorf("the console asks for %s", key)
		}
	}
	verbs := regexp.MustCompile(`%[a-z]`)
	for key, in := range texts {
		if len(in) != len(languages) || slices.Contains(in, "") {
			t.Errorf("%s is not there in every language: %q", key, in)
			continue
		}
		for i := range in {
			if a, b := verbs.FindAllString(in[0], -1), verbs.FindAllString(in[i], -1); !slices.Equal(a, b) {
				t.Errorf("%s has other figures: %q", key, in)
			}
		}
		if made := strings.HasPrefix(key, "error.") || strings.HasPrefix(key, "state.") || strings.HasPrefix(key, "said.") || strings.HasPrefix(key, "act.") || strings.HasPrefix(key, "role."); !made && !asked[key] {
			t.Errorf("nobody asks for %s", key)
		}
	}
	for key := range texts { // what is discarded is chosen as discard
		if act, is := strings.CutPrefix(key, "act."); is && act != "discarded" && !slices.Contains(auditActions, act) {
			t.Errorf("%s has a word and cannot be chosen in the audit", act)
		}
	}
	for _, state := range slices.Concat(status.FlowStates, status.SystemStates, status.ComparisonStates) {
		if texts["state."+state] == nil {
			t.Errorf("no word for the state %s", state)
		}
	}
	for lang, w := range words {
		for _, kind := range status.FindingKinds {
			f := status.Finding{Kind: kind, Count: 2, Names: []string{"a"}}
			if got := w.Finding(&f); got == "" || strings.Contains(got, "%!") {
				t.Errorf("%s %s: %q", lang, kind, got)
			}
		}
		for _, a := range status.Asked {
			if w.Asked[a.Word] == "" {
				t.Errorf("%s: no word for %s", lang, a.Word)
			}
		}
	}
}

// Every page, whatever is on it, is made of what its policy allows: no script, style or address of another's stands in it.
func TestPagesHoldToTheirPolicy(t *testing.T) {
	names, err := fs.Glob(files, "pages/*.html")
	if err != nil || len(names) < 3 {
		t.Fatal(names, err)
	}
	for _, name := range names {
		data, err := fs.ReadFile(files, name)
		if err != nil {
			t.Fatal(err)
		}
		for _, no := range []string{" style=", " onclick=", "<style", "javascript:", "http://", "https://", "<script>"} {
			if strings.Contains(string(data), no) {
				t.Errorf("%s holds %s", name, no)
			}
		}
	}
}

func TestFormats(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 7: "7", 999: "999", 1000: "1,000", -1234567: "-1,234,567"} {
		if got := number(n); got != want {
			t.Errorf("%d is %s", n, got)
		}
	}
	p := &page{Lang: "en", Now: began}
	for seconds, want := range map[float64]string{0: "", 0.2: "1 s", 119: "119 s", 120: "2 min", 7199: "120 min", 7200: "2 h", 86400 * 3: "3 d"} {
		if got := p.Age(seconds); got != want {
			t.Errorf("%v s is %q", seconds, got)
		}
	}
	for seconds, want := range map[float64]string{0: "", 0.0001: "1 ms", 0.25: "250 ms", 4.21: "4.2 s"} {
		if got := p.Took(seconds); got != want {
			t.Errorf("%v s is %q", seconds, got)
		}
	}
	if got := string(p.Ago(at(time.Hour))); !strings.Contains(got, ">in 60 min<") {
		t.Error(got)
	}
	for share, want := range map[float64]string{1: "100%", 0.99999: "99.9%", 0: "0%"} {
		if got := p.Share(&share); got != want {
			t.Errorf("%v is %s", share, got)
		}
	}
	if got := string(Bars([]int64{0, 2, 4}, []int64{0, 0, 1}, `a "b"`)); !strings.Contains(got, `aria-label="a &#34;b&#34;"`) || !strings.Contains(got, `class="all" d="M5 24h4v-12h-4zM10 24h4v-24h-4z"`) || !strings.Contains(got, `class="marked" d="M10 24h4v-6h-4z"`) {
		t.Error(got)
	}
	if got := At("/x", "a", "1 &", "b", "", "c", 0); got != "/x?a=1+%26" {
		t.Error(got)
	}
}
