package acceptance

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/waybill-hub/waybill/internal/topictest"
)

const (
	troubleSecret = "a-secret-of-the-troubles"

	troubleConfig = `broker: {%BROKER%, partitions: 2}
store: {%STORE%}
http: {listen: %HTTP%}
hooks: {listen: %HOOKS%%HOOK%}
systems:
  shop: {connector: webhook}
  erp:
    connector: rest
    url: %ERP%
    timeout: 5s
    objects: {order: {path: /orders, external-id: external, find: {external: {external: "{external}"}}, list: {items: items}}}
  src:
    connector: rest
    url: %SRC%
    timeout: 5s
    objects: {price: {path: /prices, external-id: external, list: {items: items}}}
  depot:
    connector: file
    path: ../drop
    objects: {inventory: {pattern: "*.csv", csv: {columns: {no: text, seq: integer}}, ready: {when: stable, age: 300ms, cut-after: 1h}}}
`
	orderFlow = `flow: orders
entity: order
from:
  system: shop
  webhook:
    path: shop/orders
    verify: {scheme: hmac, secret: "${env:SHOP_SECRET}", header: X-Signature}
    delivery-id: header("X-Delivery")
accept: order.v1
key: source.no
version: source.seq
to: {topic: canonical.order}
`
	erpFlow = `flow: orders-to-erp
entity: order
from: {topic: canonical.order}
map: orders-to-erp
to: {system: erp}
retry: {for: 5s, backoff: 100ms..1s}
slo: {late-after: 1h, waiting-after: 2s}
`
	priceFlow = `flow: prices
entity: price
from: {system: src, poll: {every: 1s}}
accept: order.v1
key: source.no
to: {topic: canonical.price}
`
	stockFlow = `flow: stock
entity: inventory
from: {system: depot, files: {every: 1s}}
accept: order.v1
key: source.no
to: {topic: canonical.stock}
`
	troubleMapping = `mapping: orders-to-erp
from: order.v1
to: order.v1
set: {no: source.no, seq: source.seq}
`
	troubleSchema = `{"$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "required": ["no", "seq"],
  "properties": {"no": {"type": "string", "minLength": 1}, "seq": {"type": "integer"}, "external": {"type": "string"}}}
`
)

var given sync.Map

// ownPort is a free port that no other row has been given: they run beside each other, and some of them are nobody's for a while.
func ownPort(t *testing.T) string {
	t.Helper()
	for {
		addr := freePort(t)
		if _, twice := given.LoadOrStore(addr, true); !twice {
			return addr
		}
	}
}

// listen listens on an address; on one of its own where it is empty, whatever other programs take meanwhile.
func listen(t *testing.T, addr string) net.Listener {
	t.Helper()
	for try := 0; ; try++ {
		at := addr
		if at == "" {
			at = ownPort(t)
		}
		l, err := net.Listen("tcp", at)
		if err == nil {
			return l
		}
		if try == 50 {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond) // who has it may give it back
	}
}

// troubled is a hub with everything around it that can go wrong.
type troubled struct {
	*project
	t        *testing.T
	hub      *hub
	erp, src *stand
	wire     *wire
	kafka    *kfake.Cluster
	broken   atomic.Bool // whether the controlled broker does what control says

	broker, store, storeURL, hook, disk, secret string
	heal                                        func()

	mu      sync.Mutex
	delay   time.Duration
	answers map[string]refusal // by order number; "*" for all
	there   map[string]bool    // external ids that are there
	seq     int
}

type refusal struct {
	status int
	text   string
}

func newTroubled(t *testing.T) *troubled {
	t.Helper()
	w := &troubled{project: &project{dir: t.TempDir(), http: ownPort(t), hooks: ownPort(t)}, t: t, secret: troubleSecret, answers: map[string]refusal{}, there: map[string]bool{}}
	w.erp, w.src = newStand(t, w.serveERP), newStand(t, func(rw http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(rw, `{"items":[]}`) })
	w.broker = fmt.Sprintf("embedded: {dir: %q}", w.path("data/broker"))
	w.store = fmt.Sprintf("sqlite: {path: %q}", w.path("data/store/waybill.db"))
	return w
}

// onControlled puts the hub on a broker that answers as the test wants, behind a wire.
func onControlled(w *troubled) {
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.ListenFn(func(string, string) (net.Listener, error) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		w.wire = newWire(w.t, l.Addr().String())
		return told{l, w.wire.addr}, nil
	}))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(c.Close)
	w.kafka, w.broker = c, "kafka: {brokers: ["+w.wire.addr+"], replication: 1}"
}

// told is a listener that tells another address: clients come through the wire.
type told struct {
	net.Listener
	addr string
}

func (l told) Addr() net.Addr {
	a, err := net.ResolveTCPAddr("tcp", l.addr)
	if err != nil {
		return l.Listener.Addr()
	}
	return a
}

// control has the broker answer requests of a kind with what answer says, until free.
func (w *troubled) control(key kmsg.Key, answer func(kmsg.Request) kmsg.Response) {
	w.broken.Store(true)
	w.kafka.ControlKey(int16(key), func(req kmsg.Request) (kmsg.Response, error, bool) {
		w.kafka.KeepControl()
		if !w.broken.Load() {
			return nil, nil, false
		}
		return answer(req), nil, true
	})
}

func (w *troubled) free() { w.broken.Store(false) }

// deleteTopic deletes a topic as a broker's administrator does.
func (w *troubled) deleteTopic(name string) {
	w.t.Helper()
	c, err := kgo.NewClient(kgo.SeedBrokers(w.wire.addr))
	if err != nil {
		w.t.Fatal(err)
	}
	defer c.Close()
	if err := topictest.Delete(w.t.Context(), c, name); err != nil {
		w.t.Fatal(err)
	}
}

// coded is an answer that holds a code and nothing else.
func coded(req kmsg.Request, code int16) kmsg.Response {
	switch res := req.ResponseKind().(type) {
	case *kmsg.HeartbeatResponse:
		res.ErrorCode = code
		return res
	case *kmsg.FindCoordinatorResponse:
		res.ErrorCode, res.NodeID = code, -1
		return res
	}
	return nil
}

func produced(req kmsg.Request, code int16) kmsg.Response {
	r := req.(*kmsg.ProduceRequest)
	res := r.ResponseKind().(*kmsg.ProduceResponse)
	for _, t := range r.Topics {
		rt := kmsg.NewProduceResponseTopic()
		rt.Topic, rt.TopicID = t.Topic, t.TopicID
		for _, p := range t.Partitions {
			rp := kmsg.NewProduceResponseTopicPartition()
			rp.Partition, rp.ErrorCode = p.Partition, code
			rt.Partitions = append(rt.Partitions, rp)
		}
		res.Topics = append(res.Topics, rt)
	}
	return res
}

// begin starts the hub on the plain project with changed files, and has it deliver one order: from then on it is well.
func (w *troubled) begin(changed map[string]string) {
	w.t.Helper()
	files := map[string]string{"configs/waybill.yaml": troubleConfig, "flows/orders.yaml": orderFlow, "flows/erp.yaml": erpFlow,
		"mappings/orders.yaml": troubleMapping, "schemas/order.v1.json": troubleSchema}
	maps.Copy(files, changed)
	fill := strings.NewReplacer("%BROKER%", w.broker, "%STORE%", w.store, "%HTTP%", w.http, "%HOOKS%", w.hooks, "%HOOK%", w.hook, "%ERP%", w.erp.url(), "%SRC%", w.src.url())
	for name, text := range files {
		w.write(w.t, name, fill.Replace(text))
	}
	for _, dir := range []string{"drop", "data/store"} {
		if err := os.MkdirAll(w.path(dir), 0o755); err != nil {
			w.t.Fatal(err)
		}
	}
	w.hub = w.project.run(w.t, map[string]string{"SHOP_SECRET": troubleSecret, "STORE_URL": w.storeURL})
}

// run is the command against the hub.
func (w *troubled) run(want int, args ...string) string {
	w.t.Helper()
	out, errs, code := waybill(w.t, w.dir, append(args, "--url", "http://"+w.http)...)
	if code != want {
		w.t.Fatalf("waybill %v exits %d: %s%s", args, code, out, errs)
	}
	return out
}

// look is what an operator sees.
func (w *troubled) look() (text string, code int) {
	out, errs, code := waybill(w.t, w.dir, "status", "--url", "http://"+w.http)
	return out + errs, code
}

func (w *troubled) ready() bool {
	w.t.Helper()
	resp, err := http.Get("http://" + w.http + "/readyz")
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// await looks until wrong has nothing to say.
func (w *troubled) await(limit time.Duration, wrong func(out string, code int) string) {
	w.t.Helper()
	began := time.Now()
	for {
		out, code := w.look()
		say := wrong(out, code)
		if say == "" {
			return
		}
		if time.Since(began) > limit {
			w.t.Fatalf("after %s %s:\n%s", limit, say, out)
		}
		time.Sleep(300 * time.Millisecond)
	}
}

// push sends one order and gives the answer's status.
func (w *troubled) push(no string) int {
	w.t.Helper()
	w.seq++
	body, err := json.Marshal(map[string]any{"no": no, "seq": w.seq})
	if err != nil {
		w.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, "http://"+w.hooks+"/hooks/shop/orders", bytes.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	mac := hmac.New(sha256.New, []byte(w.secret))
	mac.Write(body)
	req.Header.Set("X-Signature", hex.EncodeToString(mac.Sum(nil)))
	req.Header.Set("X-Delivery", fmt.Sprint(w.seq))
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

func (w *troubled) pushed(want int, orders ...string) {
	w.t.Helper()
	for _, no := range orders {
		if got := w.push(no); got != want {
			w.t.Fatalf("order %s is answered %d, want %d", no, got, want)
		}
	}
}

func (w *troubled) orders(nos ...string) { w.t.Helper(); w.pushed(http.StatusAccepted, nos...) }

// flood sends more than the rate allows, slowly sends as much as it allows.
func (w *troubled) flood(n int) {
	refused := 0
	for range n {
		if w.push("F") == http.StatusTooManyRequests {
			refused++
		}
	}
	if refused == 0 {
		w.t.Fatalf("%d orders at once were not too many", n)
	}
}

func (w *troubled) slowly() {
	for until := time.Now().Add(30 * time.Second); w.push("S") != http.StatusAccepted; time.Sleep(time.Second) {
		if time.Now().After(until) {
			w.t.Fatal("the sender is not taken again")
		}
	}
}

// giveUp discards what waits.
func (w *troubled) giveUp() {
	w.t.Helper()
	var queued struct {
		Parked []struct {
			ID int64 `json:"id"`
		} `json:"parked"`
	}
	if err := json.Unmarshal([]byte(w.run(0, "parked", "list", "--state", "waiting", "--output", "json")), &queued); err != nil {
		w.t.Fatal(err)
	}
	for _, q := range queued.Parked {
		w.run(0, "parked", "discard", fmt.Sprint(q.ID), "--note", "seeded")
	}
}

func (w *troubled) slow(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.delay = d
}

func (w *troubled) answer(no string, status int, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if delete(w.answers, no); status != 0 {
		w.answers[no] = refusal{status, text}
	}
}

func (w *troubled) serveERP(rw http.ResponseWriter, r *http.Request) {
	var doc struct{ No, External string }
	if r.Method != http.MethodGet {
		if err := json.NewDecoder(r.Body).Decode(&doc); err != nil {
			http.Error(rw, err.Error(), http.StatusBadRequest)
			return
		}
	}
	w.mu.Lock()
	delay := w.delay
	no, refused := w.answers[doc.No]
	if all, ok := w.answers["*"]; ok {
		no, refused = all, true
	}
	external := r.URL.Query().Get("external")
	items := []map[string]string{}
	if w.there[external] {
		items = append(items, map[string]string{"id": external, "external": external})
	}
	if !refused && doc.External != "" {
		w.there[doc.External] = true
	}
	w.mu.Unlock()
	switch {
	case refused:
		http.Error(rw, fmt.Sprintf(`{"message":%q}`, no.text), no.status)
		return
	case r.Method == http.MethodGet:
		_ = json.NewEncoder(rw).Encode(map[string]any{"items": items})
		return
	}
	time.Sleep(delay)
	id := doc.External
	if id == "" {
		id = filepath.Base(r.URL.Path)
	}
	_ = json.NewEncoder(rw).Encode(map[string]string{"id": id, "external": id, "no": doc.No})
}

// stand is a server that can go away and come back under its address.
type stand struct {
	t      *testing.T
	addr   string
	h      http.Handler
	refuse atomic.Int64 // a status for everything
	srv    *httptest.Server
}

func newStand(t *testing.T, h http.HandlerFunc) *stand {
	s := &stand{t: t}
	s.h = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if code := s.refuse.Load(); code != 0 {
			http.Error(w, `{"message":"no"}`, int(code))
			return
		}
		h(w, r)
	})
	s.up()
	t.Cleanup(func() { s.down() })
	return s
}

func (s *stand) url() string { return "http://" + s.addr }

func (s *stand) up() {
	s.t.Helper()
	l := listen(s.t, s.addr)
	s.addr = l.Addr().String()
	s.srv = &httptest.Server{Listener: l, Config: &http.Server{Handler: s.h, ReadHeaderTimeout: time.Minute}}
	s.srv.Start()
}

func (s *stand) down() {
	s.srv.CloseClientConnections()
	s.srv.Close()
}

// wire carries connections to a server, and can be cut.
type wire struct {
	t      *testing.T
	addr   string
	behind string

	mu    sync.Mutex
	l     net.Listener
	conns map[net.Conn]struct{}
	wg    sync.WaitGroup
}

func newWire(t *testing.T, behind string) *wire {
	w := &wire{t: t, behind: behind, conns: map[net.Conn]struct{}{}}
	w.up()
	t.Cleanup(func() { w.down(); w.wg.Wait() })
	return w
}

func (w *wire) up() {
	w.t.Helper()
	l := listen(w.t, w.addr)
	w.addr = l.Addr().String()
	w.mu.Lock()
	w.l = l
	w.mu.Unlock()
	w.wg.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", w.behind)
			if err != nil {
				_ = in.Close()
				continue
			}
			w.mu.Lock()
			w.conns[in], w.conns[out] = struct{}{}, struct{}{}
			w.mu.Unlock()
			carry := func(to, from net.Conn) {
				_, _ = io.Copy(to, from) // until one of them ends
				_, _ = to.Close(), from.Close()
				w.mu.Lock()
				delete(w.conns, from)
				w.mu.Unlock()
			}
			w.wg.Go(func() { carry(in, out) })
			w.wg.Go(func() { carry(out, in) })
		}
	})
}

func (w *wire) down() {
	w.mu.Lock()
	defer w.mu.Unlock()
	_ = w.l.Close()
	for c := range w.conns {
		_ = c.Close()
	}
}
