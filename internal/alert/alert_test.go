package alert

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/waybill-hub/waybill/internal/api"
	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var noon = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

// well is the status of a hub with which nothing is wrong.
func well() *api.Status {
	st := &api.Status{Time: noon, Hub: api.Self{State: "running"}, Broker: api.Broker{State: "up"}}
	st.Flows = []api.Flow{{Name: "orders", State: "running"}, {Name: "stock", State: "running"}}
	st.Systems = []api.System{{Name: "erp", State: "up"}}
	st.Reconciliations = []api.Reconciliation{{Name: "open", Standing: api.Standing{State: "agreed", Stands: "agreed"}}}
	st.Rules = []api.Rule{{Name: "credit", Standing: api.Standing{State: "agreed", Stands: "agreed"}}}
	return st
}

func hub(causes ...api.HubCause) api.Self {
	return api.Self{State: "failing", Why: causes[0].Why, Causes: causes}
}

// Everything that the status can say of what is wrong is one condition, and nothing else is.
func TestSeen(t *testing.T) {
	for name, c := range map[string]struct {
		wrong func(st *api.Status)
		want  string // keys
		says  string
	}{
		"nothing":                 {func(*api.Status) {}, "", ""},
		"paused":                  {func(st *api.Status) { st.Flows[0].State = "paused" }, "", ""},
		"a flow with parked ones": {func(st *api.Status) { st.Flows[0].State, st.Flows[0].Parked = "attention", 3 }, "parked/orders", "3 messages are parked"},
		"as many as may be":       {func(st *api.Status) { st.Flows[0].Parked = 2 }, "", ""},
		"late":                    {func(st *api.Status) { st.Flows[1].State, st.Flows[1].Why = "late", "the oldest is 20m old" }, "late/stock", "20m"},
		"silent":                  {func(st *api.Status) { st.Flows[1].State = "silent" }, "silent/stock", ""},
		"failing and parked": {func(st *api.Status) { st.Flows[0].State, st.Flows[0].Parked = "failing", 9 },
			"failing/orders,parked/orders", ""},
		"alarm":               {func(st *api.Status) { st.Flows[0].State, st.Flows[0].Why = "alarm", "its log was cut" }, "alarm/orders", "its log was cut"},
		"down":                {func(st *api.Status) { st.Systems[0].State, st.Systems[0].Why = "down", "connection refused" }, "down/erp", "refused"},
		"a system that fails": {func(st *api.Status) { st.Systems[0].State = "failing" }, "", ""}, // a moment's failure; the flow is late if it lasts
		"the clock":           {func(st *api.Status) { st.Hub = hub(api.HubCause{Of: "clock", Why: "the hub's clock is wrong"}) }, "hub/clock", "clock"},
		"one cause does not hide another": {func(st *api.Status) {
			st.Hub = hub(api.HubCause{Of: "disk", Why: "no space left"}, api.HubCause{Of: "alerts", Why: "alerts do not reach ops"})
		},
			"hub/alerts,hub/disk", "reach"},
		"the store": {func(st *api.Status) { st.Hub = hub(api.HubCause{Of: "store", Why: "its disk is full"}) }, "", ""}, // RunStore tells it
		"the disk and broker": {func(st *api.Status) {
			st.Hub, st.Broker = hub(api.HubCause{Of: "disk", Why: "no space left"}), api.Broker{State: "down", Why: "no answer"}
		}, "hub/broker,hub/disk", "no answer"},
		"lost and doubled": {func(st *api.Status) { st.Totals.Unaccounted, st.Totals.Duplicates = -1, 2 }, "unaccounted/,unaccounted/doubled", "-1 messages"},
		"refused now": {func(st *api.Status) {
			st.Refused = []api.Refused{{Flow: "orders", Reason: "signature", LastHour: 7, Last: noon.Add(-time.Minute), Detail: "no proof"}}
		}, "refused/orders (signature)", "7 requests"},
		"refused long ago": {func(st *api.Status) {
			st.Refused = []api.Refused{{Flow: "orders", Reason: "signature", Last: noon.Add(-time.Hour)}}
		}, "", ""},
		"unknown path": {func(st *api.Status) { st.Refused = []api.Refused{{Reason: "unknown-path", Last: noon}} }, "refused/unknown paths (unknown-path)", ""},
		"drift": {func(st *api.Status) {
			st.Reconciliations[0].State, st.Reconciliations[0].Stands, st.Reconciliations[0].Why = "drift", "drift", "4 left"
		}, "drift/reconciliation open", "4 left"},
		"drift while it runs again": {func(st *api.Status) {
			st.Rules[0].State, st.Rules[0].Stands, st.Rules[0].Why, st.Rules[0].Drift = "running", "held", "half way", 8
		}, "drift/rule credit", "8 left"},
		"overdue": {func(st *api.Status) { st.Rules[0].Stands = "overdue" }, "not-compared/rule credit", "overdue"},
		"a sweep that is held": {func(st *api.Status) {
			st.Flows[0].State, st.Flows[0].Sweep = "attention", &api.Sweep{State: "held", Text: "80 of 100 are missing"}
		}, "source/orders (sweep)", "80 of 100"},
		"a sweep that is not": {func(st *api.Status) { st.Flows[0].Sweep = &api.Sweep{State: "ok", Text: "fine"} }, "", ""},
		"files and changes that were not taken": {func(st *api.Status) {
			st.Flows[0].State = "attention"
			st.Flows[0].Remarks = []api.Remark{{Kind: "failed", Text: "2 files have failed, and wait for a person"}, {Kind: "held-back", Text: "1 file is held back"}, {Kind: "ahead"}, {Kind: "unstamped"},
				{Kind: "moving"}, {Kind: "anew"}}
			st.Flows[1].Remarks = []api.Remark{{Kind: "lost"}, {Kind: "kept"}, {Kind: "schema"}, {Kind: "left"}, {Kind: "unanswered"}}
		}, "source/orders (failed),source/stock (kept),source/stock (left),source/stock (lost),source/stock (schema),source/stock (unanswered)", "2 files have failed"},
		"a certificate": {func(st *api.Status) {
			st.Access.Certificates = []api.Certificate{{Listener: "hooks", File: "a.pem", NotAfter: noon.Add(time.Hour)}, {Listener: "http", NotAfter: noon.AddDate(1, 0, 0)}}
		}, "certificate/hooks", "a.pem"},
	} {
		t.Run(name, func(t *testing.T) {
			st := well()
			c.wrong(st)
			got := Seen(st, 2)
			var keys []string
			for i := range got {
				keys = append(keys, got[i].Key())
			}
			if strings.Join(keys, ",") != c.want || c.says != "" && !strings.Contains(got[0].Text, c.says) {
				t.Errorf("%q, want %s that says %q", got, c.want, c.says)
			}
		})
	}
}

func settings() *config.Alerts {
	return &config.Alerts{After: time.Minute, Again: time.Hour, Every: time.Minute}
}

// player tells one receiver and keeps what the store would.
type player struct {
	t    *testing.T
	a    *config.Alerts
	r    config.AlertReceiver
	rows []state.Alert
}

// at looks at a moment and gives what is said, as "change key"; sent tells whether the message gets there.
func (p *player) at(after time.Duration, sent bool, seen ...Condition) string {
	d := decide(p.a, &p.r, p.rows, seen, noon.Add(after))
	keep, drop := d.result(sent && len(d.say) > 0)
	names := map[string]int{}
	for _, k := range keep {
		if names[k.Key]++; names[k.Key] > 1 {
			p.t.Errorf("%s is kept twice", k.Key)
		}
		p.rows = append(slices.DeleteFunc(p.rows, func(a state.Alert) bool { return a.Key == k.Key }), k)
	}
	for _, k := range drop {
		if names[k.Key] > 0 {
			p.t.Errorf("%s is kept and dropped", k.Key)
		}
		p.rows = slices.DeleteFunc(p.rows, func(a state.Alert) bool { return a.Key == k.Key })
	}
	slices.SortFunc(p.rows, func(a, b state.Alert) int { return strings.Compare(a.Key, b.Key) })
	var out []string
	for _, s := range d.say {
		out = append(out, s.Change+" "+s.Key)
	}
	return strings.Join(out, ",")
}

func newPlayer(t *testing.T) *player {
	return &player{t: t, a: settings(), r: config.AlertReceiver{Name: "ops", Of: config.AlertWhats, Urgent: []string{config.AlertAlarm}}}
}

var late, alarm = Condition{config.AlertLate, "orders", "20m old"}, Condition{config.AlertAlarm, "stock", "cut"}

func TestDecide(t *testing.T) {
	type step struct {
		at   time.Duration
		sent bool
		seen []Condition
		want string
	}
	sees := func(c ...Condition) []Condition { return c }
	for name, c := range map[string]struct {
		set   func(p *player)
		steps []step
	}{
		"told once, again, and when it is over": {nil, []step{
			{0, true, sees(late), ""}, {59 * time.Second, true, sees(late), ""}, {time.Minute, true, sees(late), "raised late/orders"}, {30 * time.Minute, true, sees(late), ""},
			{61 * time.Minute, true, sees(late), "still late/orders"}, {62 * time.Minute, true, nil, ""}, {63 * time.Minute, true, nil, "over late/orders"}, {64 * time.Minute, true, nil, ""},
		}},
		"over before it was told": {nil, []step{{0, true, sees(late), ""}, {30 * time.Second, true, nil, ""}, {2 * time.Minute, true, nil, ""}, {3 * time.Minute, true, sees(late), ""}}},
		"it comes and goes": {nil, []step{
			{0, true, sees(late), ""}, {time.Minute, true, sees(late), "raised late/orders"}, {2 * time.Minute, true, nil, ""}, {2*time.Minute + 30*time.Second, true, sees(late), ""},
			{4 * time.Minute, true, nil, ""}, {4*time.Minute + 59*time.Second, true, nil, ""}, {5 * time.Minute, true, nil, "over late/orders"},
		}},
		"what was not taken is told again": {nil, []step{
			{0, true, sees(late), ""}, {time.Minute, false, sees(late), "raised late/orders"}, {2 * time.Minute, false, sees(late), "raised late/orders"}, {3 * time.Minute, true, sees(late), "raised late/orders"},
			{4 * time.Minute, false, nil, ""}, {5 * time.Minute, false, nil, "over late/orders"}, {6 * time.Minute, true, nil, "over late/orders"}, {7 * time.Minute, true, nil, ""},
		}},
		"quiet hours": {func(p *player) { p.r.Quiet = []config.Quiet{{From: 12 * 60, To: 13 * 60, Zone: time.UTC}} }, []step{
			{0, true, sees(alarm, late), ""}, {time.Minute, true, sees(alarm, late), "raised alarm/stock"}, {59 * time.Minute, true, sees(late), ""}, {time.Hour, true, sees(late), "raised late/orders,over alarm/stock"},
		}},
		"over in quiet hours": {func(p *player) { p.r.Quiet = []config.Quiet{{From: 12 * 60, To: 13 * 60, Zone: time.UTC}} }, []step{{0, true, sees(late), ""}, {5 * time.Minute, true, nil, ""}, {7 * time.Minute, true, nil, ""}, {time.Hour, true, nil, ""}}},
		"not of that":         {func(p *player) { p.r.Of = []string{config.AlertDown} }, []step{{0, true, sees(late), ""}, {time.Hour, true, sees(late), ""}}},
		"never again":         {func(p *player) { p.a.Again = 0 }, []step{{0, true, sees(late), ""}, {time.Minute, true, sees(late), "raised late/orders"}, {72 * time.Hour, true, sees(late), ""}}},
		"at once":             {func(p *player) { p.a.After = 0 }, []step{{0, true, sees(late), "raised late/orders"}}},
		"of that no more":     {nil, []step{{0, true, sees(late), ""}, {time.Minute, true, sees(late), "raised late/orders"}}},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlayer(t)
			if c.set != nil {
				c.set(p)
			}
			for _, s := range c.steps {
				if got := p.at(s.at, s.sent, s.seen...); got != s.want {
					t.Fatalf("at %s: %q, want %q", s.at, got, s.want)
				}
			}
		})
	}
	p := newPlayer(t)
	p.at(0, true, late)
	p.at(time.Minute, true, late)
	p.r.Of = []string{config.AlertDown}
	if got := p.at(2*time.Minute, true, late); got != "" || len(p.rows) != 0 {
		t.Errorf("what a receiver is not told of any more: %q, %v", got, p.rows)
	}
}

// Whatever comes, goes and fails to be sent: nothing is raised twice without being over in between, and what is over was raised.
func TestDecideInOrder(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p := newPlayer(t)
		open, at := map[string]bool{}, time.Duration(0)
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			at += time.Duration(rapid.IntRange(1, 90).Draw(rt, "seconds")) * time.Second
			var seen []Condition
			for _, c := range []Condition{alarm, late} {
				if rapid.Bool().Draw(rt, c.Key()) {
					seen = append(seen, c)
				}
			}
			sent := rapid.Bool().Draw(rt, "sent")
			said := p.at(at, sent, seen...)
			if !sent || said == "" {
				continue
			}
			for _, one := range strings.Split(said, ",") {
				change, key, _ := strings.Cut(one, " ")
				if (change == Raised) == open[key] {
					rt.Fatalf("%s at %s, and it was told: %v", one, at, open[key])
				}
				open[key] = change != Over
			}
		}
	})
}

func secret(t *testing.T, text string) strictyaml.Secret {
	t.Helper()
	return strictyaml.NewSecret(text)
}

// server keeps what was posted to it.
type server struct {
	*httptest.Server
	mu     sync.Mutex
	got    []*http.Request
	bodies [][]byte
	answer string
	status int
	then   func() // after the answer, before the sender has it
}

func newServer(t *testing.T) *server {
	s := &server{status: 200}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.got, s.bodies = append(s.got, r), append(s.bodies, body)
		w.WriteHeader(s.status)
		_, _ = io.WriteString(w, s.answer)
		if s.then != nil {
			s.then()
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func message() *Message {
	gone := noon.Add(-time.Minute)
	return newMessage("hub-1", "https://hub.example.com", "ops", []Said{
		{Raised, state.Alert{Key: "late/orders", What: "late", Subject: "orders", Text: "the oldest\nis <20m> old & more", Since: noon.Add(-2 * time.Minute), Told: noon}, time.Time{}},
		{Over, state.Alert{Key: "down/erp", What: "down", Subject: "erp", Text: "refused", Since: noon.Add(-time.Hour), Gone: gone}, noon.Add(-time.Hour)},
	}, noon)
}

const said = "NEW late orders: the oldest is <20m> old & more (since 2026-11-30T11:58:00Z)\nOVER down erp: it lasted 59m0s, since 2026-11-30T11:00:00Z"

func TestWays(t *testing.T) {
	quiet := slog.New(slog.DiscardHandler)
	t.Run("slack", func(t *testing.T) {
		s := newServer(t)
		if err := send(t.Context(), &config.AlertReceiver{Name: "chat", Slack: &config.AlertPost{URL: secret(t, s.URL+"/T0/B0/x")}}, message(), quiet); err != nil {
			t.Fatal(err)
		}
		var doc map[string]string
		if err := json.Unmarshal(s.bodies[0], &doc); err != nil {
			t.Fatal(err)
		}
		want := "Waybill hub-1: 1 new, 1 over\n\n" + strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(said) + "\n\nhttps://hub.example.com"
		if doc["text"] != want || len(doc) != 1 || s.got[0].URL.Path != "/T0/B0/x" {
			t.Errorf("%q", doc)
		}
	})
	t.Run("dingtalk", func(t *testing.T) {
		s := newServer(t)
		s.answer = `{"errcode":0,"errmsg":"ok"}`
		r := &config.AlertReceiver{Name: "robot", DingTalk: &config.AlertPost{URL: secret(t, s.URL+"/robot/send?access_token=t0ken"), Secret: secret(t, "SEC000")}}
		if err := send(t.Context(), r, message(), quiet); err != nil {
			t.Fatal(err)
		}
		q := s.got[0].URL.Query()
		if q.Get("access_token") != "t0ken" || q.Get("timestamp") != "1796040000000" || len(q.Get("sign")) != 44 {
			t.Errorf("%v", q)
		}
		if !bytes.Contains(s.bodies[0], []byte(`"msgtype":"text"`)) {
			t.Errorf("%s", s.bodies[0])
		}
		s.answer = `{"errcode":310000,"errmsg":"sign not match, t0ken, ` + q.Get("sign") + `"}`
		err := send(t.Context(), r, message(), quiet)
		if err == nil || !strings.Contains(err.Error(), "310000") || !strings.Contains(err.Error(), "sign not match") || strings.Contains(err.Error(), "SEC000") || strings.Contains(err.Error(), "t0ken") || strings.Contains(err.Error(), q.Get("sign")) {
			t.Errorf("a refusal in a 200: %v", err)
		}
	})
	t.Run("wecom", func(t *testing.T) {
		s := newServer(t)
		s.answer = `{"errcode":0,"errmsg":"ok"}`
		m := message()
		m.Said[0].Text = strings.Repeat("界", 400)
		for range 30 {
			m.Said = append(m.Said, m.Said[0])
		}
		r := &config.AlertReceiver{Name: "robot", WeCom: &config.AlertPost{URL: secret(t, s.URL+"/cgi-bin/webhook/send?key=k")}}
		if err := send(t.Context(), r, m, quiet); err != nil {
			t.Fatal(err)
		}
		var doc struct{ Text struct{ Content string } }
		if err := json.Unmarshal(s.bodies[0], &doc); err != nil || len(doc.Text.Content) > 4096 || !strings.HasSuffix(doc.Text.Content, "界…") {
			t.Errorf("%d bytes, %v", len(doc.Text.Content), err)
		}
		s.answer = "<html>"
		if err := send(t.Context(), r, m, quiet); err == nil || !strings.Contains(err.Error(), "address of a robot") {
			t.Errorf("no robot: %v", err)
		}
	})
	t.Run("webhook", func(t *testing.T) {
		s := newServer(t)
		const key = "whsec_c2VjcmV0LW9mLXRoZS1hbGVydHM="
		r := &config.AlertReceiver{Name: "hook", Webhook: &config.AlertPost{URL: secret(t, s.URL+"/in"), Secret: secret(t, key)}}
		m := message()
		if err := send(t.Context(), r, m, quiet); err != nil {
			t.Fatal(err)
		}
		h := s.got[0].Header
		mac := hmac.New(sha256.New, []byte("secret-of-the-alerts"))
		mac.Write([]byte(m.ID + ".1796040000." + string(s.bodies[0])))
		if want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)); h.Get("webhook-id") != m.ID || h.Get("webhook-timestamp") != "1796040000" || h.Get("webhook-signature") != want {
			t.Errorf("%v, want the signature %s", h, want)
		}
		var d document
		if err := json.Unmarshal(s.bodies[0], &d); err != nil || d.ID != m.ID || len(d.Alerts) != 2 || d.Alerts[0].Change != Raised || d.Alerts[0].Text != "the oldest\nis <20m> old & more" || d.Alerts[1].Over.IsZero() {
			t.Errorf("%s, %v", s.bodies[0], err)
		}
		if again := message(); again.ID != m.ID {
			t.Error("a message that is sent again has another id")
		}
	})
	t.Run("failures hide the address", func(t *testing.T) {
		s := newServer(t)
		s.status, s.answer = 403, "no such token: /T0/B0/very-secret"
		r := &config.AlertReceiver{Name: "chat", Slack: &config.AlertPost{URL: secret(t, s.URL+"/T0/B0/very-secret")}}
		err := send(t.Context(), r, message(), quiet)
		if err == nil || !strings.Contains(err.Error(), "403") || strings.Contains(err.Error(), "very-secret") {
			t.Errorf("%v", err)
		}
		s.Close()
		if err := send(t.Context(), r, message(), quiet); err == nil || strings.Contains(err.Error(), "very-secret") {
			t.Errorf("%v", err)
		}
	})
}

// The signature of DingTalk's robots, reckoned with openssl:
// printf '1796040000000\nSEC000' | openssl dgst -sha256 -hmac SEC000 -binary | base64
func TestDingSign(t *testing.T) {
	q := dingSign("SEC000", noon)
	if got := q[1].Value; got != "QxgucdHt2wkEZLRPtOEKJkhXjqUBcsiVMadygaQTp4M=" {
		t.Error(got)
	}
	if dingSign("", noon) != nil {
		t.Error("a robot without a secret is signed to")
	}
}

// memory is a store.
type memory struct {
	mu   sync.Mutex
	rows map[string]state.Alert
}

func (m *memory) Alerts(context.Context) (out []state.Alert, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, a := range m.rows {
		out = append(out, a)
	}
	slices.SortFunc(out, func(a, b state.Alert) int { return strings.Compare(a.Receiver+a.Key, b.Receiver+b.Key) })
	return out, nil
}

func (m *memory) KeepAlerts(_ context.Context, _ state.Lease, keep, drop []state.Alert) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, a := range drop {
		delete(m.rows, a.Receiver+a.Key)
	}
	for _, a := range keep {
		m.rows[a.Receiver+a.Key] = a
	}
	return nil
}

// A receiver that cannot be told is named until it can, holds up no other, and hears everything then, in one message.
func TestWorker(t *testing.T) {
	clock := lifecycle.NewManual(noon)
	good, dead := newServer(t), newServer(t)
	dead.status = 500
	st := well()
	all := settings()
	all.To = []config.AlertReceiver{
		{Name: "dead", Of: config.AlertWhats, Slack: &config.AlertPost{URL: secret(t, dead.URL)}},
		{Name: "good", Of: config.AlertWhats, Slack: &config.AlertPost{URL: secret(t, good.URL)}},
	}
	var asked error
	w := &Worker{Store: &memory{rows: map[string]state.Alert{}}, Clock: clock, Log: slog.New(slog.DiscardHandler), Hub: "hub-1",
		Status: func(context.Context) (*api.Status, error) { return st, asked }, Settings: func() (*config.Alerts, string) { return all, "" }}
	look := func(after time.Duration) error {
		clock.Advance(after)
		st.Time = clock.Now()
		return w.look(t.Context(), func() state.Lease { return state.Lease{} })
	}
	no := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	st.Flows[0].State = "late"
	no(look(0))
	no(look(time.Minute))
	if len(good.bodies) != 1 || len(dead.bodies) != 1 || !strings.Contains(w.Troubles()["dead"].Why, "500") || len(w.Troubles()) != 1 {
		t.Fatalf("%d and %d messages, %v", len(good.bodies), len(dead.bodies), w.Troubles())
	}
	st.Systems[0].State = "down"
	no(look(10 * time.Second)) // too soon to be told
	no(look(time.Minute))
	since := w.Troubles()["dead"].Since
	dead.status = 200
	no(look(time.Minute))
	if len(w.Troubles()) != 0 || !since.Equal(noon.Add(time.Minute)) {
		t.Errorf("%v since %s", w.Troubles(), since)
	}
	last := string(dead.bodies[len(dead.bodies)-1])
	if !strings.Contains(last, "NEW late orders") || !strings.Contains(last, "NEW down erp") {
		t.Errorf("%s", last)
	}
	if len(good.bodies) != 2 {
		t.Errorf("%q", good.bodies)
	}
	asked = errors.New("the store is away")
	if err := look(time.Minute); !errors.Is(err, asked) {
		t.Errorf("%v", err)
	}
	asked = nil
	all.To = all.To[1:]
	no(look(time.Minute))
	rows, _ := w.Store.Alerts(t.Context())
	for _, r := range rows {
		if r.Receiver != "good" {
			t.Errorf("what is left of a receiver that is none any more: %v", r)
		}
	}
	no(w.Test(t.Context(), "good"))
	if last := string(good.bodies[len(good.bodies)-1]); !strings.Contains(last, "This is a test") {
		t.Error(last)
	}
	if err := w.Test(t.Context(), "dead"); !errors.Is(err, state.ErrNotFound) {
		t.Error(err)
	}
}

// oneReceiver is a worker that tells one receiver at once.
func oneReceiver(t *testing.T, to *server, store Store) (*Worker, *lifecycle.Manual, *api.Status) {
	clock, st := lifecycle.NewManual(noon), well()
	all := &config.Alerts{To: []config.AlertReceiver{{Name: "ops", Of: config.AlertWhats, Webhook: &config.AlertPost{URL: secret(t, to.URL)}}}}
	return &Worker{Store: store, Clock: clock, Log: slog.New(slog.DiscardHandler), Hub: "hub-1", Status: func(context.Context) (*api.Status, error) { return st, nil },
		Settings: func() (*config.Alerts, string) { return all, "" }}, clock, st
}

func noLease() state.Lease { return state.Lease{} }

// A test that is taken ends what is known of a receiver that could not be told: nothing else may be said to it for months.
func TestTestReaches(t *testing.T) {
	s := newServer(t)
	s.status = 500
	w, clock, st := oneReceiver(t, s, &memory{rows: map[string]state.Alert{}})
	st.Flows[0].State = "late"
	if err := w.look(t.Context(), noLease); err != nil || len(w.Troubles()) != 1 {
		t.Fatalf("%v, %v", err, w.Troubles())
	}
	st.Flows[0].State = "running"
	clock.Advance(time.Hour)
	if err := w.look(t.Context(), noLease); err != nil || len(w.Troubles()) != 1 {
		t.Fatalf("%v, %v", err, w.Troubles())
	}
	if err := w.Test(t.Context(), "ops"); err == nil || len(w.Troubles()) != 1 {
		t.Fatalf("a test that is refused: %v, %v", err, w.Troubles())
	}
	s.status = 200
	if err := w.Test(t.Context(), "ops"); err != nil || len(w.Troubles()) != 0 {
		t.Errorf("%v, %v", err, w.Troubles())
	}
}

// ending is a store of a hub that ends: without its context, or with dead, it stores nothing.
type ending struct {
	memory
	dead bool
}

func (e *ending) KeepAlerts(ctx context.Context, l state.Lease, keep, drop []state.Alert) error {
	if err := ctx.Err(); err != nil || e.dead {
		return errors.Join(err, errors.New("the hub ends"))
	}
	return e.memory.KeepAlerts(ctx, l, keep, drop)
}

// What one receiver was told is not told again by the next hub, although this one ends while another receiver has not answered.
func TestEndsInOrder(t *testing.T) {
	store := &ending{memory: memory{rows: map[string]state.Alert{}}}
	ctx, end := context.WithCancel(t.Context())
	defer end()
	told, slow := newServer(t), newServer(t)
	w, _, st := oneReceiver(t, told, store)
	all, _ := w.Settings()
	all.To = append(all.To, config.AlertReceiver{Name: "slow", Of: config.AlertWhats, Slack: &config.AlertPost{URL: secret(t, slow.URL)}})
	slow.then = func() {
		for was := false; !was; runtime.Gosched() {
			w.mu.Lock()
			_, was = w.last["ops"]
			w.mu.Unlock()
		}
		end()
	}
	st.Flows[0].State = "late"
	if err := w.look(ctx, noLease); err != nil {
		t.Fatal(err)
	}
	next, clock, st := oneReceiver(t, told, store)
	st.Flows[0].State = "late"
	clock.Advance(time.Minute)
	if err := next.look(t.Context(), noLease); err != nil || len(told.bodies) != 1 {
		t.Errorf("%d messages, %v", len(told.bodies), err)
	}
}

// What was sent by a hub that crashed before it could be stored is sent again as the same message.
func TestEndsByACrash(t *testing.T) {
	store, s := &ending{memory: memory{rows: map[string]state.Alert{}}}, newServer(t)
	s.then = func() { store.dead = true }
	w, _, st := oneReceiver(t, s, store)
	st.Flows[0].State = "late"
	if err := w.look(t.Context(), noLease); err == nil {
		t.Fatal("it is stored")
	}
	s.then, store.dead = nil, false
	next, clock, st := oneReceiver(t, s, store)
	st.Flows[0].State = "late"
	clock.Advance(time.Minute)
	if err := next.look(t.Context(), noLease); err != nil || len(s.got) != 2 || s.got[0].Header.Get("webhook-id") != s.got[1].Header.Get("webhook-id") {
		t.Errorf("%v, %s", err, s.bodies)
	}
}

// That the store takes nothing is told without the store, once, and when it is over; a receiver that is none any more is forgotten.
func TestStoreTrouble(t *testing.T) {
	s := newServer(t)
	w, clock, _ := oneReceiver(t, s, nil)
	all, _ := w.Settings()
	all.After, all.Every = time.Minute, time.Minute
	why := ""
	w.StoreTrouble = func() string { return why }
	look := func(after time.Duration, messages int, last string) {
		t.Helper()
		clock.Advance(after)
		w.lookStore(t.Context())
		if len(s.bodies) != messages || last != "" && !bytes.Contains(s.bodies[messages-1], []byte(last)) {
			t.Fatalf("%d messages, want %d, of %s: %s", len(s.bodies), messages, last, s.bodies)
		}
	}
	look(0, 0, "")
	why = "the store takes nothing: its disk is full"
	look(time.Second, 0, "")
	s.status = 500
	look(time.Minute, 1, "its disk is full")
	s.status = 200
	look(time.Minute, 2, `"change":"raised","what":"hub","subject":"store"`)
	look(time.Hour, 2, "")
	if own := w.Own(); len(own) != 1 || own[0].Told.IsZero() {
		t.Errorf("%+v", own)
	}
	why = ""
	look(time.Second, 2, "")
	look(time.Minute, 3, `"change":"over"`)
	why = "again"
	look(time.Minute, 3, "")
	s.status = 500
	look(time.Minute, 4, "again")
	if len(w.Troubles()) != 1 {
		t.Errorf("%v", w.Troubles())
	}
	all.To = nil
	look(time.Minute, 4, "")
	if own := w.Own(); len(own) != 0 || len(w.Troubles()) != 0 {
		t.Errorf("%+v, %v", own, w.Troubles())
	}
}

// A receiver that does not answer is told of in the same words each time, and without the ports of this machine.
func TestNoAnswer(t *testing.T) {
	ctx, cancel := context.WithTimeoutCause(t.Context(), 0, errNoAnswer)
	defer cancel()
	s := newServer(t)
	err := by(ctx, &config.AlertReceiver{Name: "ops", Slack: &config.AlertPost{URL: secret(t, s.URL)}}, message(), slog.New(slog.DiscardHandler))
	if err = why(ctx, err); err == nil || err.Error() != "no answer within 15s" {
		t.Errorf("%v", err)
	}
	if err := why(ctx, nil); err != nil {
		t.Errorf("taken at the last moment: %v", err)
	}
	if refused := errors.New("404"); why(t.Context(), refused) != refused {
		t.Error("what was answered is not said")
	}
}

func TestMessageIsBounded(t *testing.T) {
	m := message()
	for i := range 50 {
		m.Said = append(m.Said, Said{Change: Still, Alert: state.Alert{What: "parked", Subject: fmt.Sprint(i), Text: strings.Repeat("x", 10_000), Since: noon}})
	}
	lines := m.lines()
	if len(lines) != mostLines+1 || lines[mostLines] != "and 32 more: see the console, or waybill alerts" || len(lines[2]) > mostLine+10 {
		t.Errorf("%d lines, %q", len(lines), lines[len(lines)-1])
	}
	if m.title() != "Waybill hub-1: 1 new, 50 still, 1 over" {
		t.Error(m.title())
	}
}
