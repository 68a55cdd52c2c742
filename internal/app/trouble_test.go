package app

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/api"
	"github.com/waybill-hub/waybill/internal/lifecycle"
)

// fast is a clock that runs several times as fast as the machine's. Once it is calm, what is waited for is waited for as long as on the machine's: what a
// hub has to do until it stands still is not faster than elsewhere.
type fast struct {
	began time.Time
	calm  *atomic.Bool
}

const fastBy = 4

func (f fast) Now() time.Time         { return f.began.Add(f.Elapsed()).Round(0) }
func (f fast) Elapsed() time.Duration { return time.Since(f.began) * fastBy }

func (f fast) NewTimer(d time.Duration) lifecycle.Timer {
	if f.calm.Load() {
		return lifecycle.Real().NewTimer(d)
	}
	return fastTimer{lifecycle.Real().NewTimer(d / fastBy)}
}

type fastTimer struct{ lifecycle.Timer }

func (t fastTimer) Reset(d time.Duration) bool { return t.Timer.Reset(d / fastBy) }

// troubled is a hub on a fast clock whose shop can be made to misbehave, and what is seen of it.
type troubled struct {
	t      *testing.T
	hub    *Hub
	clock  fast
	target *target
	log    *logged
	addr   string

	mu    sync.Mutex
	fault func(w http.ResponseWriter, r *http.Request, body document) bool // answers the request itself
	srv   *http.Server
}

type logged struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// count says how many lines of the log hold all the texts.
func (l *logged) count(texts ...string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range strings.Split(l.b.String(), "\n") {
		all := true
		for _, text := range texts {
			all = all && strings.Contains(line, text)
		}
		if all {
			n++
		}
	}
	return n
}

const shopFlow = `flow: sales
entity: order
from:
  system: till
  poll: {object: sale, every: 2s, overlap: 0s}
key: source.no
map: orders
accept: order.v1
to: {topic: canonical.order}
`

func newTroubled(t *testing.T, retry string, edit func(p *project)) *troubled {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	tr := &troubled{t: t, clock: fast{time.Now(), &atomic.Bool{}}, target: newTarget(t), log: &logged{}, addr: l.Addr().String()}
	tr.serve(l)
	t.Cleanup(func() { _ = tr.srv.Close() })
	p := newProject(t, "http://"+tr.addr)
	p.edit("flows/erp.yaml", "retry: {for: 10m, backoff: 20ms..1s}", "retry: "+retry)
	if edit != nil {
		edit(p)
	}
	p.clock = tr.clock
	tr.hub = p.start(tr.log)
	t.Cleanup(func() { tr.clock.calm.Store(true) }) // before the hub is stopped
	return tr
}

// polledTill adds a shop that is polled at the same address.
func polledTill(p *project, url string) {
	p.edit("configs/waybill.yaml", "  erp:\n", "  till:\n    connector: rest\n    url: "+url+"\n    objects: {sale: {path: /sales, list: {items: items}}}\n  erp:\n")
	p.write("flows/sales.yaml", shopFlow)
	p.edit("schemas/order.v1.json", `"by":`, `"id": {"type": "string"}, "by":`)
}

func (tr *troubled) serve(l net.Listener) {
	tr.srv = &http.Server{Handler: tr}
	srv := tr.srv
	go func() { _ = srv.Serve(l) }()
}

// die closes the port; comeBack opens it again.
func (tr *troubled) die() { _ = tr.srv.Close() }

func (tr *troubled) comeBack() {
	tr.t.Helper()
	l, err := net.Listen("tcp", tr.addr)
	if err != nil {
		tr.t.Fatal(err)
	}
	tr.serve(l)
}

func (tr *troubled) be(fault func(w http.ResponseWriter, r *http.Request, body document) bool) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.fault = fault
}

func (tr *troubled) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body document
	if r.Method == http.MethodPost {
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		again, _ := json.Marshal(body)
		r.Body = &reread{strings.NewReader(string(again))}
	}
	tr.mu.Lock()
	fault := tr.fault
	tr.mu.Unlock()
	switch {
	case fault != nil && fault(w, r, body):
	case r.URL.Path == "/sales":
		fmt.Fprintln(w, `{"items": [{"id": "s1", "no": "S1", "seq": 1}]}`)
	default:
		tr.target.ServeHTTP(w, r)
	}
}

type reread struct{ *strings.Reader }

func (*reread) Close() error { return nil }

// says answers requests that pick holds for with a status.
func says(status int, pick func(r *http.Request, body document) bool) func(http.ResponseWriter, *http.Request, document) bool {
	return func(w http.ResponseWriter, r *http.Request, body document) bool {
		if !pick(r, body) {
			return false
		}
		http.Error(w, `{"message": "not for you"}`, status)
		return true
	}
}

func everything(*http.Request, document) bool { return true }

func (tr *troubled) push(no string) {
	tr.t.Helper()
	if status, err := push(tr.t.Context(), tr.hub, "shop/orders", no, document{No: no, Seq: 1}); err != nil || status != http.StatusAccepted {
		tr.t.Fatalf("%s: %d %v", no, status, err)
	}
}

// seen waits until the status shows it, and says how long that took by the hub's clock.
func (tr *troubled) seen(what string, threshold time.Duration, shows func(st *api.Status) bool) {
	tr.t.Helper()
	began := tr.clock.Elapsed()
	await(tr.t, what, func() bool {
		st, err := tr.hub.Status(tr.t.Context())
		if err != nil {
			return false
		}
		if tr.clock.Elapsed()-began > fastBy*50*time.Second {
			text, _ := json.Marshal(st)
			tr.t.Fatalf("never: %s\n%s", what, text)
		}
		return shows(st)
	})
	tr.t.Logf("%s: seen after %v of the hub's clock; threshold %v", what, (tr.clock.Elapsed() - began).Round(100*time.Millisecond), threshold)
}

// stays is false as soon as the status shows anything else, for a while by the hub's clock.
func (tr *troubled) stays(what string, d time.Duration, shows func(st *api.Status) bool) {
	tr.t.Helper()
	for began := tr.clock.Elapsed(); tr.clock.Elapsed()-began < d; time.Sleep(20 * time.Millisecond) {
		st, err := tr.hub.Status(tr.t.Context())
		if err != nil {
			tr.t.Fatal(err)
		}
		if !shows(st) {
			text, _ := json.Marshal(st)
			tr.t.Fatalf("no longer: %s\n%s", what, text)
		}
	}
}

func flowNamed(st *api.Status, name string) *api.Flow {
	for i := range st.Flows {
		if st.Flows[i].Name == name {
			return &st.Flows[i]
		}
	}
	return &api.Flow{}
}

func systemNamed(st *api.Status, name string) *api.System {
	for i := range st.Systems {
		if st.Systems[i].Name == name {
			return &st.Systems[i]
		}
	}
	return &api.System{}
}

const downAfter = 10 * time.Second

// TestTroubles seeds troubles, and looks for their name and cause in the status; then it mends them, and all goes on by itself.
func TestTroubles(t *testing.T) {
	t.Parallel()
	down := func(st *api.Status) bool {
		s, f := systemNamed(st, "erp"), flowNamed(st, "orders-to-erp")
		return s.State == "down" && s.Since != nil && strings.Contains(s.Why, "refused") && f.State == "failing" && strings.Contains(f.Why, "erp is down since") && st.Failing()
	}
	well := func(n int64) func(st *api.Status) bool {
		return func(st *api.Status) bool {
			f := flowNamed(st, "orders-to-erp")
			return f.Delivered == n && f.Parked == 0 && f.State == "running" && systemNamed(st, "erp").State == "up" && !st.Failing()
		}
	}
	for _, keys := range []int{1, 30} {
		t.Run(map[int]string{1: "dead target, one key", 30: "dead target, many keys"}[keys], func(t *testing.T) {
			t.Parallel()
			tr := newTroubled(t, "{for: 5s, backoff: 200ms..1s}", nil) // shorter than what makes a system down
			tr.die()
			for i := range keys {
				tr.push(fmt.Sprint("A", i))
			}
			tr.seen("failing, at once", 0, func(st *api.Status) bool { return systemNamed(st, "erp").State == "failing" })
			tr.seen("down", downAfter, down)
			tr.stays("down, and nothing parked", 40*time.Second, func(st *api.Status) bool { return down(st) && flowNamed(st, "orders-to-erp").Parked == 0 })
			tr.comeBack()
			tr.seen("back, and all delivered by itself", 0, well(int64(keys)))
			if told := tr.log.count("messages are not taken, and tried again", "flow=orders-to-erp"); told != 1 {
				t.Errorf("told %d times for %d messages", told, keys)
			}
			if n := tr.log.count("the system is down"); n != 1 {
				t.Errorf("%d lines say that it is down", n)
			}
		})
	}
	t.Run("target answers 503 to one key", func(t *testing.T) {
		t.Parallel()
		tr := newTroubled(t, "{for: 20s, backoff: 200ms..1s}", nil)
		tr.be(says(503, func(_ *http.Request, body document) bool { return body.No == "POISON" }))
		tr.push("POISON")
		sent, began := int64(0), tr.clock.Elapsed()
		others := func(st *api.Status) bool {
			if n := int64((tr.clock.Elapsed() - began) / (2 * time.Second)); n > sent {
				sent++
				tr.push(fmt.Sprint("GOOD", sent))
			}
			if s := systemNamed(st, "erp"); s.State == "down" {
				t.Errorf("one order takes the system down: %s", s.Why)
			}
			return true
		}
		tr.seen("parked, with its cause", 20*time.Second, func(st *api.Status) bool {
			f := flowNamed(st, "orders-to-erp")
			return others(st) && f.Parked == 1 && f.State == "attention" && strings.Contains(f.Why, "erp/503")
		})
		tr.seen("the others delivered", 0, func(st *api.Status) bool {
			f := flowNamed(st, "orders-to-erp")
			return f.Delivered == sent && sent > 3 && f.InFlight == 0 && systemNamed(st, "erp").State == "up"
		})
	})
	t.Run("target answers 503 to one key, and nothing else comes", func(t *testing.T) {
		t.Parallel()
		tr := newTroubled(t, "{for: 20s, backoff: 200ms..1s}", nil)
		tr.be(says(503, func(_ *http.Request, body document) bool { return body.No == "POISON" }))
		tr.push("POISON")
		tr.seen("taken nothing", downAfter, func(st *api.Status) bool {
			return strings.Contains(flowNamed(st, "orders-to-erp").Why, "answers its probe, and has taken nothing meanwhile")
		})
		tr.seen("parked", downAfter, func(st *api.Status) bool { return flowNamed(st, "orders-to-erp").Parked == 1 })
		tr.seen("a matter for a person, and the system well", 0, func(st *api.Status) bool {
			return flowNamed(st, "orders-to-erp").State == "attention" && systemNamed(st, "erp").State == "up" && !st.Failing()
		})
		tr.push("GOOD")
		tr.seen("the next one is taken", 0, func(st *api.Status) bool {
			return flowNamed(st, "orders-to-erp").Delivered == 1 && systemNamed(st, "erp").State == "up"
		})
	})
	t.Run("target answers 503 to everything but its probe", func(t *testing.T) {
		t.Parallel()
		tr := newTroubled(t, "{for: 5s, backoff: 200ms..1s}", nil)
		tr.be(says(503, func(r *http.Request, _ document) bool { return r.Method != http.MethodGet }))
		for i := range 5 {
			tr.push(fmt.Sprint("A", i))
		}
		tr.seen("takes nothing", downAfter, func(st *api.Status) bool {
			return strings.Contains(flowNamed(st, "orders-to-erp").Why, "answers its probe, and has taken nothing meanwhile") && systemNamed(st, "erp").State == "failing"
		})
		tr.stays("nothing parked", 30*time.Second, func(st *api.Status) bool { return flowNamed(st, "orders-to-erp").Parked == 0 })
		tr.be(nil)
		tr.seen("all delivered by itself", 0, well(5))
	})
	t.Run("expired credentials", func(t *testing.T) {
		t.Parallel()
		tr := newTroubled(t, "{for: 5s, backoff: 200ms..1s}", nil)
		tr.be(says(401, everything))
		tr.push("A")
		tr.push("B")
		refused := func(st *api.Status) bool {
			f, s := flowNamed(st, "orders-to-erp"), systemNamed(st, "erp")
			return s.State == "failing" && strings.Contains(s.Why, "refuses the hub's credentials") && strings.Contains(s.Why, "401") &&
				f.State == "failing" && strings.Contains(f.Why, "erp refuses the hub's credentials") && f.Parked == 0
		}
		tr.seen("refused, at once", 0, refused)
		tr.stays("refused, and nothing parked", 30*time.Second, refused)
		tr.be(nil)
		tr.seen("all delivered by itself", 30*time.Second, well(2))
		if n := tr.log.count("level=ERROR", "refuses the hub's credentials"); n != 1 {
			t.Errorf("%d lines say so", n)
		}
	})
	t.Run("dead source", func(t *testing.T) {
		t.Parallel()
		tr := newTroubledTill(t)
		tr.seen("read", 5*time.Second, func(st *api.Status) bool { return flowNamed(st, "sales").Delivered == 1 })
		tr.die()
		tr.seen("failing, at its next poll", 2*time.Second, func(st *api.Status) bool {
			f, s := flowNamed(st, "sales"), systemNamed(st, "till")
			return f.State == "failing" && strings.Contains(f.Why, "its source cannot be read: failing since") && strings.Contains(f.Why, "refused") &&
				s.State == "failing" && s.Read.State == "failing" && s.Write.State == "up" && st.Failing()
		})
		tr.seen("down", downAfter, func(st *api.Status) bool { return systemNamed(st, "till").State == "down" })
		tr.stays("down", 60*time.Second, func(st *api.Status) bool { return systemNamed(st, "till").State == "down" })
		tr.comeBack()
		tr.seen("read again by itself", 0, func(st *api.Status) bool {
			return flowNamed(st, "sales").State == "running" && systemNamed(st, "till").State == "up"
		})
		if n, m := tr.log.count("the source cannot be read", "flow=sales"), tr.log.count("the source is read again", "flow=sales"); n != 1 || m != 1 {
			t.Errorf("%d lines say that it fails, %d that it is over", n, m)
		}
	})
	t.Run("source answers 401", func(t *testing.T) {
		t.Parallel()
		tr := newTroubledTill(t)
		tr.be(says(401, everything))
		tr.seen("refused, at its next poll", 2*time.Second, func(st *api.Status) bool {
			f, s := flowNamed(st, "sales"), systemNamed(st, "till")
			return f.State == "failing" && strings.Contains(f.Why, "401") && strings.Contains(f.Why, "waybill resume sales") && strings.Contains(s.Why, "refuses the hub's credentials")
		})
		tr.be(nil)
		if err := tr.hub.Resume(t.Context(), "sales", "ann"); err != nil {
			t.Fatal(err)
		}
		tr.seen("read again", 0, func(st *api.Status) bool {
			return flowNamed(st, "sales").State == "running" && systemNamed(st, "till").State == "up"
		})
	})
	t.Run("wrong secret of a sender", func(t *testing.T) {
		t.Parallel()
		tr := newTroubled(t, "{for: 5s}", nil)
		post := func(path string) {
			resp, err := http.Post("http://"+tr.hub.HooksAddr()+"/hooks/"+path, "application/json", strings.NewReader(`{"no":"A","seq":1}`))
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
		}
		for range 50 {
			post("shop/orders")
			post("shop/order")
		}
		tr.seen("refused, with why and how often", 0, func(st *api.Status) bool {
			f := flowNamed(st, "orders")
			if len(st.Refused) != 2 {
				return false
			}
			unknown, r := st.Refused[0], st.Refused[1]
			return f.State == "attention" && strings.Contains(f.Why, "its sender is refused: signature, 50 in the last hour") &&
				r.Flow == "orders" && r.Reason == "signature" && r.Count == 50 && r.LastHour == 50 && !r.Last.IsZero() &&
				unknown.Flow == "" && unknown.Reason == "unknown-path" && unknown.Count == 50
		})
		if n := tr.log.count("a request to the webhook was refused"); n != 2 {
			t.Errorf("%d lines for two causes", n)
		}
		tr.push("A")
		tr.seen("over", 0, func(st *api.Status) bool { return flowNamed(st, "orders").State == "running" })
	})
	t.Run("sender over its rate", func(t *testing.T) {
		t.Parallel()
		tr := newTroubled(t, "{for: 5s}", func(p *project) {
			p.edit("configs/waybill.yaml", "hooks: {listen: 127.0.0.1:0}", "hooks: {listen: 127.0.0.1:0, rate: 1/s}")
		})
		for i := range 20 {
			if _, err := push(t.Context(), tr.hub, "shop/orders", fmt.Sprint(i), document{No: fmt.Sprint(i), Seq: 1}); err != nil {
				t.Fatal(err)
			}
		}
		tr.seen("refused for its rate", 0, func(st *api.Status) bool {
			return len(st.Refused) == 1 && st.Refused[0].Flow == "orders" && st.Refused[0].Reason == "rate" && st.Refused[0].Count > 5 && strings.Contains(st.Refused[0].Detail, "more than its rate")
		})
	})
}

// newTroubledTill is a troubled hub with a source at the same address.
func newTroubledTill(t *testing.T) *troubled {
	t.Helper()
	return newTroubled(t, "{for: 5s}", func(p *project) {
		text := readConfig(p)
		_, rest, _ := strings.Cut(text, "url: ")
		url, _, _ := strings.Cut(rest, "\n")
		polledTill(p, url)
	})
}

func readConfig(p *project) string {
	p.t.Helper()
	text, err := os.ReadFile(filepath.Join(p.dir, "configs", "waybill.yaml"))
	if err != nil {
		p.t.Fatal(err)
	}
	return string(text)
}
